#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/counters.h"
#include "tidewheel/base/result.h"
#include "tidewheel/labeling/domain/queue_store.h"
#include "tidewheel/labeling/domain/task_catalogue.h"
#include "tidewheel/labeling/domain/vote_taker.h"

namespace tidewheel::labeling {

struct QueueLimits {
  std::size_t batch_id_bytes = 128;
  std::size_t reason_bytes = 256;
  std::size_t items = 10'000;
  std::uint32_t votes_wanted = 100;
  std::size_t leases = 100;  // In one request.
  std::chrono::seconds lease{86'400};
  std::chrono::seconds usual_lease{600};
  std::size_t votes = 1'000;  // In one request.
  VoteLimits vote{};
};

struct QueueCounters {
  Counter& queued = Counter::None();   // Samples.
  Counter& skipped = Counter::None();  // Samples that were not asked.
  Counter& leased = Counter::None();
  Counter& released = Counter::None();
  VoteCounters votes{};
};

/// Hands samples to annotators and takes their votes: checks what is asked, and leaves to the store
/// what must not be torn apart. Thread-safe.
class LabelingQueue {
 public:
  /// `on_due` is called when labels became due, from the thread of the call.
  LabelingQueue(TaskCatalogue& tasks, QueueStore& store, const Clock& clock,
                std::function<void()> on_due = {}, QueueLimits limits = {},
                QueueCounters counters = {})
      : tasks_(tasks),
        store_(store),
        clock_(clock),
        on_due_(std::move(on_due)),
        limits_(limits),
        counters_(counters) {}

  /// kNotFound: the task or a sample. kInvalidArgument names the field and its limit.
  Result<EnqueueOutcome> Enqueue(NewBatch batch);
  Result<Batch> Cancel(const std::string& batch_id, const std::string& reason);
  /// `count` 0: 1. `seconds` 0: 600.
  Result<std::vector<QueueItem>> Lease(const std::string& task, const std::string& annotator,
                                       std::uint32_t count, std::uint32_t seconds);
  Result<SubmitReport> Submit(const std::string& annotator, std::optional<AnnotatorKind> kind,
                              std::vector<LeasedVote> votes);
  Result<std::uint32_t> Release(const std::string& annotator, const std::vector<LeaseId>& leases,
                                bool cannot_judge);
  Result<std::vector<QueueItem>> ListItems(const ItemFilter& filter, std::uint64_t after,
                                           std::size_t at_most) {
    return store_.ListItems(filter, after, at_most, clock_.Now());
  }
  Result<Batch> Find(const std::string& batch_id) { return store_.Find(batch_id); }
  Result<std::vector<Batch>> List(const std::string& task, std::uint64_t before,
                                  std::size_t at_most) {
    return store_.List(task, before, at_most);
  }

 private:
  TaskCatalogue& tasks_;
  QueueStore& store_;
  const Clock& clock_;
  const std::function<void()> on_due_;
  const QueueLimits limits_;
  const QueueCounters counters_;
};

}  // namespace tidewheel::labeling
