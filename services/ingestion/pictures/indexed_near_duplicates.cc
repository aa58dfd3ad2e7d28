#include "tidewheel/ingestion/pictures/indexed_near_duplicates.h"

#include <algorithm>
#include <utility>

namespace tidewheel::ingestion {
namespace {

vision::Hash128 ToVision(const PictureHash& hash) { return {hash[0], hash[1]}; }

}  // namespace

IndexedNearDuplicates::TaskIndex& IndexedNearDuplicates::IndexOf(const std::string& task) {
  const std::lock_guard lock(mutex_);
  auto& index = tasks_[task];
  if (index == nullptr) index = std::make_unique<TaskIndex>();
  return *index;
}

void IndexedNearDuplicates::EnsureRadiusLocked(TaskIndex& index, int radius) {
  if (index.index && radius <= index.radius) return;
  index.radius = radius;
  index.index.emplace(vision::NearDuplicateIndex::Options{.radius = radius});
  for (std::size_t i = 0; i < index.samples.size(); ++i) {
    index.index->Add(ToVision(index.samples[i].hash), i);
  }
}

void IndexedNearDuplicates::AddLocked(TaskIndex& index, HashedSample sample) {
  EnsureRadiusLocked(index, 0);
  if (index.index->Nearest(ToVision(sample.hash), 0)) return;  // It, or one that looks the same.
  index.index->Add(ToVision(sample.hash), index.samples.size());
  index.samples.push_back(std::move(sample));
}

Result<void> IndexedNearDuplicates::KeepUp(const std::string& task, TaskIndex& index) {
  std::unique_lock lock(index.mutex);
  index.changed.wait(lock, [&index] { return index.loaded || !index.reading; });
  const auto now = std::chrono::steady_clock::now();
  const bool due = !index.loaded || now - index.read_at >= options_.follow_interval;
  // While another thread reads what is new, the others go on with what is there.
  if (index.reading || !due) return {};

  index.reading = true;
  Result<void> outcome;
  for (bool more = true; more && outcome.ok();) {
    FeedPosition position = index.position;
    lock.unlock();
    auto samples = feed_.ReadOn(task, options_.page, &position);
    lock.lock();
    if (!samples) {
      outcome = samples.error();
      continue;
    }
    more = samples->size() == options_.page;
    for (auto& sample : *samples) AddLocked(index, std::move(sample));
    index.position = std::move(position);
  }
  index.reading = false;
  if (outcome.ok()) {
    index.loaded = true;
    index.read_at = now;
  }
  index.changed.notify_all();
  return outcome;
}

Result<std::optional<NearSample>> IndexedNearDuplicates::Nearest(const std::string& task,
                                                                 const PictureHash& hash,
                                                                 int radius) {
  TaskIndex& index = IndexOf(task);
  if (const auto kept_up = KeepUp(task, index); !kept_up) return kept_up.error();
  const std::lock_guard lock(index.mutex);
  EnsureRadiusLocked(index, std::min(radius, vision::NearDuplicateIndex::kMaxRadius));
  const auto match = index.index->Nearest(ToVision(hash), radius);
  if (!match) return std::optional<NearSample>();
  const HashedSample& sample = index.samples[match->id];
  return std::optional(NearSample{sample.sample_id, sample.group, match->distance});
}

void IndexedNearDuplicates::Add(const std::string& task, const PictureHash& hash,
                                const std::string& sample_id, const std::string& group) {
  TaskIndex& index = IndexOf(task);
  const std::lock_guard lock(index.mutex);
  // Not looked up yet: the first look-up reads it from the feed.
  if (index.loaded) AddLocked(index, {sample_id, group, hash});
}

}  // namespace tidewheel::ingestion
