#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/labeling/domain/queue.h"
#include "tidewheel/labeling/domain/vote.h"

namespace tidewheel::labeling {

struct EnqueueOutcome {
  Batch batch{};
  bool created = false;
  std::map<std::string, std::uint32_t> skipped{};
};

struct ItemFilter {
  std::string task{};      // Empty: all.
  std::string batch_id{};  // Empty: all.
  std::optional<ItemState> state{};
};

struct LeaseRequest {
  std::string task{};  // Empty: any.
  std::string annotator{};
  std::size_t count = 1;
  Timestamp now{};
  Timestamp until{};
};

struct VotesUnderLease {
  std::string annotator{};
  std::optional<AnnotatorKind> kind{};  // Nothing: what the annotator is known as, else a person.
  std::vector<LeasedVote> votes{};
  Timestamp now{};
};

struct AnswerOutcome {
  std::uint32_t accepted = 0;
  std::uint32_t unchanged = 0;
  std::vector<std::pair<std::size_t, std::string>> rejected{};  // Place and reason, by place.
  bool settled = false;                                         // Labels became due.
};

/// An outcome of a prediction: what turned out to be true.
struct Outcome {
  std::string task{};
  std::string request_id{};
  std::uint32_t index = 0;
  std::string class_name{};
  std::string source{};
  Timestamp observed_at{};
};

/// A captured payload whose sample is known by now.
struct CapturedSample {
  std::string task{};
  std::string request_id{};
  std::uint32_t index = 0;
};

struct OutcomeReport {
  std::uint32_t votes = 0;    // New ones.
  std::uint32_t pending = 0;  // Wait for their sample.
};

/// When an item that annotators gave back becomes one that cannot be judged.
struct UnjudgedRule {
  std::uint32_t declined_by = 3;  // By so many: at once.
  std::chrono::microseconds absent_after{
      1'800'000'000};  // Who took nothing for so long is not waited for.
};

/// Keeps the queue. Times are the caller's. Thread-safe.
class QueueStore {
 public:
  virtual ~QueueStore() = default;

  /// With its items, or the batch that is there. `min_confidence`: labels of less are none.
  /// kNotFound names a sample. kAlreadyExists: the batch is another task's.
  virtual Result<EnqueueOutcome> Enqueue(const NewBatch& batch, double min_confidence,
                                         Timestamp now) = 0;
  /// kNotFound.
  virtual Result<Batch> Find(const std::string& batch_id) = 0;
  /// Newest first; `before` 0: from the newest.
  virtual Result<std::vector<Batch>> List(const std::string& task, std::uint64_t before,
                                          std::size_t at_most) = 0;
  /// What is there in votes stays, and its labels become due. One that has all its votes stays what
  /// it is. kNotFound.
  virtual Result<Batch> Cancel(const std::string& batch_id, const std::string& reason,
                               Timestamp now) = 0;

  /// The most urgent items for an annotator, one lease each. Known items look like others.
  virtual Result<std::vector<QueueItem>> Lease(const LeaseRequest& request) = 0;
  /// Of leases that exist, by id.
  virtual Result<std::map<LeaseId, LeaseFacts>> FindLeases(std::span<const LeaseId> leases) = 0;
  /// Votes, leases and what follows from them in one transaction.
  virtual Result<AnswerOutcome> Answer(const VotesUnderLease& votes) = 0;
  /// Only leases of this annotator; those that ended before are left alone. How many were given
  /// back.
  virtual Result<std::uint32_t> Release(const std::string& annotator,
                                        std::span<const LeaseId> leases, bool cannot_judge,
                                        Timestamp now) = 0;
  /// In the order of queueing; `after` 0: from the start.
  virtual Result<std::vector<QueueItem>> ListItems(const ItemFilter& filter, std::uint64_t after,
                                                   std::size_t at_most, Timestamp now) = 0;

  /// Looks through all open batches for items that nobody is left to judge.
  virtual Result<void> Settle(Timestamp now) = 0;
  /// Computes labels that are due by `compute`, one task after another, and completes the batches
  /// that were settled before. What fails stays due and does not keep the other tasks. A task that
  /// another process is at is left to it. How many batches became complete.
  virtual Result<std::uint32_t> ComputeDue(
      Timestamp now, const std::function<Result<void>(const std::string& task)>& compute) = 0;

  /// Each becomes a vote of annotator "outcome:<source>" where its sample is known, else it waits.
  /// Of several by one source on one sample the latest observed counts, in whatever order they
  /// come. From `due` on labels are to be computed.
  virtual Result<OutcomeReport> TakeOutcomes(std::span<const Outcome> outcomes, Timestamp now,
                                             Timestamp due) = 0;
  /// Gives waiting outcomes to samples that have come.
  virtual Result<OutcomeReport> JoinOutcomes(std::span<const CapturedSample> samples,
                                             Timestamp due) = 0;
  /// Forgets outcomes that waited since before `time`. How many.
  virtual Result<std::uint64_t> DropOutcomes(Timestamp before) = 0;
};

}  // namespace tidewheel::labeling
