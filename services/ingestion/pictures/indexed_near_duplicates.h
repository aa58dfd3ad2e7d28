#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/ingestion/domain/examiner.h"
#include "tidewheel/ingestion/domain/hash_feed.h"
#include "tidewheel/vision/near_duplicate_index.h"

namespace tidewheel::ingestion {

/// Look-alikes from memory: one index a task. Before a task's first look-up its whole history is
/// read from the feed, page by page; from then on what others stored is read once an interval, and
/// what this process stored is there at once. What was deactivated is forgotten with the next
/// reading. Of samples with equal hashes the first that is still active answers. Thread-safe.
class IndexedNearDuplicates final : public NearDuplicates {
 public:
  struct Options {
    std::chrono::milliseconds follow_interval{1'000};
    std::size_t page = 10'000;  // Samples for one reading of the feed.
  };

  IndexedNearDuplicates(HashFeed& feed, const Options& options) : feed_(feed), options_(options) {}

  /// Looks at a bounded number of samples, see vision::NearDuplicateIndex. The errors of the feed.
  Result<std::optional<NearSample>> Nearest(const std::string& task, const PictureHash& hash,
                                            int radius) override;
  void Add(const std::string& task, const PictureHash& hash, const std::string& sample_id,
           const std::string& group) override;

 private:
  /// The active samples of one hash, in the order they came.
  struct SameHash {
    PictureHash hash{};
    std::vector<std::pair<std::string, std::string>> samples;  // Id and group.
  };

  struct TaskIndex {
    std::mutex mutex;  // Guards everything below; never held while the feed is read.
    std::condition_variable changed;
    std::vector<SameHash> hashes;  // All different; the place is the id in `index`.
    std::size_t empty = 0;         // Of `hashes`, those without a sample.
    std::optional<vision::NearDuplicateIndex> index;
    int radius = 0;  // Of `index`.
    FeedPosition position;
    FeedPosition removed_position;
    bool loaded = false;   // The history has been read once.
    bool reading = false;  // Somebody reads the feed now.
    std::chrono::steady_clock::time_point read_at{};
  };

  TaskIndex& IndexOf(const std::string& task);
  /// Reads the feed when it is time, or waits for who does it the first time.
  Result<void> KeepUp(const std::string& task, TaskIndex& index);
  /// The errors of the feed. `lock` is open while the feed is read.
  Result<void> ReadOn(const std::string& task, TaskIndex& index,
                      std::unique_lock<std::mutex>& lock);
  static void AddLocked(TaskIndex& index, HashedSample sample);
  static void RemoveLocked(TaskIndex& index, const HashedSample& sample);
  static void BuildLocked(TaskIndex& index, int radius);
  static void EnsureRadiusLocked(TaskIndex& index, int radius);

  HashFeed& feed_;
  const Options options_;
  std::mutex mutex_;  // Guards tasks_; its entries stay as long as this lives.
  std::map<std::string, std::unique_ptr<TaskIndex>> tasks_;
};

}  // namespace tidewheel::ingestion
