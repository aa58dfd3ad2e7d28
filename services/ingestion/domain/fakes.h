#pragma once

#include <atomic>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/ingestion/domain/examiner.h"
#include "tidewheel/ingestion/domain/sample_store.h"
#include "tidewheel/ingestion/domain/task_rules.h"

/// Stand-ins for tests: maps, and switches for failure. Thread-safe, but for the switches.
namespace tidewheel::ingestion {

/// Payloads are words: "dark..." is underexposed, "broken..." cannot be decoded, "near:N:..."
/// hashes to N low bits.
class FakeExaminer final : public Examiner {
 public:
  Examination Examine(std::string_view payload, const QualityRules& /*rules*/) const override {
    ++examined;
    Examination examination;
    examination.decoded = !payload.starts_with("broken");
    examination.width = examination.height = 32;
    if (!examination.decoded) {
      examination.reasons = {{ReasonCode::kUndecodable, "JPEG ends early", ""}};
    } else if (payload.starts_with("dark")) {
      examination.reasons = {{ReasonCode::kUnderexposed, "mean luminance 0.01 is below 0.02", ""}};
    }
    const std::uint64_t word = StableHash(payload);
    examination.hash = {word, ~word};
    if (payload.starts_with("near:")) examination.hash = {(1ULL << (payload[5] - '0')) - 1, 0};
    return examination;
  }
  Digest Hash(std::string_view payload) const override {
    Digest digest;
    const std::uint64_t word = StableHash(payload);
    std::memcpy(digest.bytes.data(), &word, sizeof word);
    return digest;
  }
  mutable std::atomic<int> examined = 0;
};

class FakeTasks final : public TaskSource {
 public:
  Result<std::shared_ptr<const TaskRules>> Find(const std::string& task) override {
    if (task != rules.name) return Error{ErrorCode::kNotFound, "no task " + task};
    return std::shared_ptr<const TaskRules>(std::make_shared<TaskRules>(rules));
  }
  TaskRules rules{"lights", {}, 1, 4, {}};
};

class FakeNear final : public NearDuplicates {
 public:
  Result<std::optional<NearSample>> Nearest(const std::string& /*task*/, const PictureHash& hash,
                                            int radius) override {
    const std::lock_guard lock(mutex_);
    std::optional<NearSample> best;
    for (const auto& [stored, sample] : samples) {
      const int distance = Distance(stored, hash);
      if (distance <= radius && (!best || distance < best->distance)) {
        best = sample;
        best->distance = distance;
      }
    }
    return best;
  }
  void Add(const std::string& /*task*/, const PictureHash& hash, const std::string& sample_id,
           const std::string& group) override {
    const std::lock_guard lock(mutex_);
    samples.push_back({hash, {sample_id, group, 0}});
  }
  std::vector<std::pair<PictureHash, NearSample>> samples;

 private:
  std::mutex mutex_;  // Guards samples.
};

class FakePayloads final : public PayloadStore {
 public:
  Result<std::vector<std::string>> PutMany(std::span<const HashedPayload> payloads) override {
    if (before_put) before_put();
    if (full) return Error{ErrorCode::kResourceExhausted, "the disk is full"};
    std::vector<std::string> refs;
    for (const auto& payload : payloads) refs.push_back("ref:" + std::string(payload.bytes));
    stored += payloads.size();
    return refs;
  }
  Result<std::string> Get(const std::string& ref) const override { return ref.substr(4); }
  bool full = false;
  std::function<void()> before_put;
  std::atomic<std::size_t> stored = 0;
};

class FakeStore final : public SampleStore {
 public:
  Result<KnownPushes> FindKnown(const std::string& /*task*/,
                                std::span<const PushedName> names) override {
    const std::lock_guard lock(mutex_);
    KnownPushes known;
    for (const auto& pushed : names) {
      const auto sample = samples.find(pushed.sha256);
      known.samples.push_back(sample == samples.end() ? std::nullopt
                                                      : std::optional(KnownSample{
                                                            sample->second.id, sample->second.name,
                                                            sample->second.split}));
      const auto aside = quarantined.find({pushed.sha256, pushed.name});
      known.quarantined.push_back(
          aside == quarantined.end() ? std::nullopt : std::optional(aside->second.reasons));
    }
    return known;
  }
  Result<bool> Save(const BatchToStore& batch) override {
    const std::lock_guard lock(mutex_);
    if (!races.empty()) {
      const Sample other = races.front();
      races.pop_front();
      samples.emplace(other.sha256, other);
      return false;
    }
    for (const auto& sample : batch.samples) samples.emplace(sample.sha256, sample);
    for (const auto& sample : batch.quarantined) {
      quarantined.emplace(std::pair(sample.sha256, sample.name), sample);
    }
    ++saves;
    return true;
  }
  Result<std::optional<Sample>> Find(const std::string& id) override {
    const std::lock_guard lock(mutex_);
    for (const auto& [digest, sample] : samples) {
      if (sample.id == id) return std::optional<Sample>(sample);
    }
    return std::optional<Sample>();
  }
  /// All of it on one page.
  Result<Page<Sample>> List(const SampleFilter& filter, const PageRequest& /*page*/) override {
    const std::lock_guard lock(mutex_);
    Page<Sample> page;
    for (const auto& [digest, sample] : samples) {
      if (filter.split && sample.split != *filter.split) continue;
      page.items.push_back(sample);
    }
    return page;
  }
  Result<Sample> Deactivate(const std::string& id, const std::string& /*reason*/,
                            Timestamp now) override {
    const std::lock_guard lock(mutex_);
    for (auto& [digest, sample] : samples) {
      if (sample.id != id) continue;
      if (!sample.deactivated_at) sample.deactivated_at = now;
      return sample;
    }
    return Error{ErrorCode::kNotFound, "no sample " + id};
  }
  Result<Page<QuarantinedSample>> ListQuarantine(const std::string& /*task*/,
                                                 std::optional<ReasonCode> reason,
                                                 const PageRequest& /*page*/) override {
    const std::lock_guard lock(mutex_);
    Page<QuarantinedSample> page;
    for (const auto& [key, sample] : quarantined) {
      if (!reason || sample.reasons.front().code == *reason) page.items.push_back(sample);
    }
    return page;
  }
  Result<SampleCounts> Count(const std::string& /*task*/) override {
    const std::lock_guard lock(mutex_);
    SampleCounts counts;
    counts.active = samples.size();
    counts.quarantined = quarantined.size();
    return counts;
  }

  std::map<Digest, Sample> samples;
  std::map<std::pair<Digest, std::string>, QuarantinedSample> quarantined;
  std::deque<Sample> races;  // Stored by somebody else at the next saves.
  int saves = 0;

 private:
  std::mutex mutex_;  // Guards all of it while calls run.
};

}  // namespace tidewheel::ingestion
