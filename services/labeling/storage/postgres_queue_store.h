#pragma once

#include "tidewheel/labeling/domain/queue_store.h"

namespace tidewheel::postgres {
class Pool;
}

namespace tidewheel::labeling {

/// The queue in the schema `labeling`. Who changes a batch's progress locks the batch first and its
/// items after it; who leases takes only items that nobody has locked, and waits for none.
class PostgresQueueStore final : public QueueStore {
 public:
  PostgresQueueStore(postgres::Pool& pool, const Clock& clock, UnjudgedRule unjudged = {})
      : pool_(pool), clock_(clock), unjudged_(unjudged) {}

  Result<EnqueueOutcome> Enqueue(const NewBatch& batch, double min_confidence,
                                 Timestamp now) override;
  Result<Batch> Find(const std::string& batch_id) override;
  Result<std::vector<Batch>> List(const std::string& task, std::uint64_t before,
                                  std::size_t at_most) override;
  Result<Batch> Cancel(const std::string& batch_id, const std::string& reason,
                       Timestamp now) override;
  Result<std::vector<QueueItem>> Lease(const LeaseRequest& request) override;
  Result<std::map<LeaseId, LeaseFacts>> FindLeases(std::span<const LeaseId> leases) override;
  Result<AnswerOutcome> Answer(const VotesUnderLease& votes) override;
  Result<std::uint32_t> Release(const std::string& annotator, std::span<const LeaseId> leases,
                                bool cannot_judge, Timestamp now) override;
  Result<std::vector<QueueItem>> ListItems(const ItemFilter& filter, std::uint64_t after,
                                           std::size_t at_most, Timestamp now) override;
  Result<void> Settle(Timestamp now) override;
  Result<std::uint32_t> ComputeDue(
      Timestamp now, const std::function<Result<void>(const std::string& task)>& compute) override;
  Result<OutcomeReport> TakeOutcomes(std::span<const Outcome> outcomes, Timestamp now,
                                     Timestamp due) override;
  Result<OutcomeReport> JoinOutcomes(std::span<const CapturedSample> samples,
                                     Timestamp due) override;
  Result<std::uint64_t> DropOutcomes(Timestamp before) override;

 private:
  Result<bool> ComputeOne(const std::string& task, Timestamp now,
                          const std::function<Result<void>(const std::string& task)>& compute,
                          std::uint32_t* completed);

  postgres::Pool& pool_;
  const Clock& clock_;
  const UnjudgedRule unjudged_;
};

}  // namespace tidewheel::labeling
