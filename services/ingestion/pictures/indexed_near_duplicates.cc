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

void IndexedNearDuplicates::BuildLocked(TaskIndex& index, int radius) {
  std::erase_if(index.hashes, [](const SameHash& same) { return same.samples.empty(); });
  index.empty = 0;
  index.radius = radius;
  index.index.emplace(vision::NearDuplicateIndex::Options{.radius = radius});
  for (std::size_t i = 0; i < index.hashes.size(); ++i) {
    index.index->Add(ToVision(index.hashes[i].hash), i);
  }
}

void IndexedNearDuplicates::EnsureRadiusLocked(TaskIndex& index, int radius) {
  if (index.index && radius <= index.radius) return;
  BuildLocked(index, radius);
}

void IndexedNearDuplicates::AddLocked(TaskIndex& index, HashedSample sample) {
  EnsureRadiusLocked(index, 0);
  if (const auto known = index.index->Nearest(ToVision(sample.hash), 0)) {
    SameHash& same = index.hashes[known->id];
    for (const auto& [id, group] : same.samples) {
      if (id == sample.sample_id) return;
    }
    if (same.samples.empty()) --index.empty;
    same.samples.emplace_back(std::move(sample.sample_id), std::move(sample.group));
    return;
  }
  index.index->Add(ToVision(sample.hash), index.hashes.size());
  SameHash same{.hash = sample.hash, .samples = {}};
  same.samples.emplace_back(std::move(sample.sample_id), std::move(sample.group));
  index.hashes.push_back(std::move(same));
}

void IndexedNearDuplicates::RemoveLocked(TaskIndex& index, const HashedSample& sample) {
  constexpr std::size_t kFewEmpty = 1'000;
  if (!index.index) return;
  const auto known = index.index->Nearest(ToVision(sample.hash), 0);
  if (!known) return;
  SameHash& same = index.hashes[known->id];
  const auto removed = std::erase_if(
      same.samples, [&sample](const auto& one) { return one.first == sample.sample_id; });
  if (removed == 0 || !same.samples.empty()) return;
  ++index.empty;
  // Hashes without a sample are looked at in vain; when they are many, the index is built anew.
  if (index.empty > kFewEmpty && index.empty * 2 > index.hashes.size()) {
    BuildLocked(index, index.radius);
  }
}

Result<void> IndexedNearDuplicates::ReadOn(const std::string& task, TaskIndex& index,
                                           std::unique_lock<std::mutex>& lock) {
  for (bool more = true; more;) {
    FeedPosition position = index.position;
    lock.unlock();
    auto samples = feed_.ReadOn(task, options_.page, &position);
    lock.lock();
    if (!samples) return samples.error();
    more = samples->size() == options_.page;
    for (auto& sample : *samples) AddLocked(index, std::move(sample));
    index.position = std::move(position);
  }
  for (bool more = true; more;) {
    FeedPosition position = index.removed_position;
    lock.unlock();
    const auto samples = feed_.ReadRemoved(task, options_.page, &position);
    lock.lock();
    if (!samples) return samples.error();
    more = samples->size() == options_.page;
    for (const auto& sample : *samples) RemoveLocked(index, sample);
    index.removed_position = std::move(position);
  }
  return {};
}

Result<void> IndexedNearDuplicates::KeepUp(const std::string& task, TaskIndex& index) {
  std::unique_lock lock(index.mutex);
  index.changed.wait(lock, [&index] { return index.loaded || !index.reading; });
  const auto now = std::chrono::steady_clock::now();
  const bool due = !index.loaded || now - index.read_at >= options_.follow_interval;
  // While another thread reads what is new, the others go on with what is there.
  if (index.reading || !due) return {};

  index.reading = true;
  const auto outcome = ReadOn(task, index, lock);
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
  const auto found = [&index](const vision::NearDuplicateIndex::Match& match) {
    const auto& [id, group] = index.hashes[match.id].samples.front();
    return std::optional(NearSample{id, group, match.distance});
  };
  const auto match = index.index->Nearest(ToVision(hash), radius);
  if (!match) return std::optional<NearSample>();
  if (!index.hashes[match->id].samples.empty()) return found(*match);
  // The nearest is gone: the nearest of those that are not.
  for (const auto& other : index.index->Within(ToVision(hash), radius, index.hashes.size())) {
    if (!index.hashes[other.id].samples.empty()) return found(other);
  }
  return std::optional<NearSample>();
}

void IndexedNearDuplicates::Add(const std::string& task, const PictureHash& hash,
                                const std::string& sample_id, const std::string& group) {
  TaskIndex& index = IndexOf(task);
  const std::lock_guard lock(index.mutex);
  // Not looked up yet: the first look-up reads it from the feed.
  if (index.loaded) AddLocked(index, {sample_id, group, hash});
}

}  // namespace tidewheel::ingestion
