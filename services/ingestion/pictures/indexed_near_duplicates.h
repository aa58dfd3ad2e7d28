#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/ingestion/domain/examiner.h"
#include "tidewheel/ingestion/domain/hash_feed.h"
#include "tidewheel/vision/near_duplicate_index.h"

namespace tidewheel::ingestion {

/// Look-alikes from memory: one index a task. Before a task's first look-up its whole history is
/// read from the feed, page by page; from then on what others stored is read once an interval, and
/// what this process stored is there at once. Of samples with equal hashes the first is kept, which
/// is enough to find all. Thread-safe.
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
  struct TaskIndex {
    std::mutex mutex;  // Guards everything below; never held while the feed is read.
    std::condition_variable changed;
    std::vector<HashedSample> samples;  // Of different hashes; the place is the id in `index`.
    std::optional<vision::NearDuplicateIndex> index;
    int radius = 0;  // Of `index`.
    FeedPosition position;
    bool loaded = false;   // The history has been read once.
    bool reading = false;  // Somebody reads the feed now.
    std::chrono::steady_clock::time_point read_at{};
  };

  TaskIndex& IndexOf(const std::string& task);
  /// Reads the feed when it is time, or waits for who does it the first time.
  Result<void> KeepUp(const std::string& task, TaskIndex& index);
  static void AddLocked(TaskIndex& index, HashedSample sample);
  static void EnsureRadiusLocked(TaskIndex& index, int radius);

  HashFeed& feed_;
  const Options options_;
  std::mutex mutex_;  // Guards tasks_; its entries stay as long as this lives.
  std::map<std::string, std::unique_ptr<TaskIndex>> tasks_;
};

}  // namespace tidewheel::ingestion
