#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/labeling/domain/queue_store.h"

namespace tidewheel::labeling {

/// A queue in memory, for tests: one lease an item, no look-alikes; remembers what it was asked.
class FakeQueueStore final : public QueueStore {
 public:
  Result<EnqueueOutcome> Enqueue(const NewBatch& batch, double min_confidence,
                                 Timestamp now) override {
    asked_min_confidence = min_confidence;
    EnqueueOutcome outcome;
    for (const Batch& there : batches) {
      if (there.batch_id == batch.batch_id) return EnqueueOutcome{there, false, {}};
    }
    for (const NewQueueItem& item : batch.items) {
      items.push_back({.number = items.size() + 1,
                       .item_id = QueueItemId(NewUuid()),
                       .batch_id = batch.batch_id,
                       .task = batch.task,
                       .sample_id = item.sample_id,
                       .priority = item.priority,
                       .reason = item.reason,
                       .votes_wanted = batch.votes_wanted});
    }
    outcome.created = true;
    outcome.batch = {.number = batches.size() + 1,
                     .batch_id = batch.batch_id,
                     .task = batch.task,
                     .items = static_cast<std::uint32_t>(batch.items.size()),
                     .votes_wanted = batch.votes_wanted,
                     .queued_at = now};
    outcome.skipped = {{"budget", 2}};
    batches.push_back(outcome.batch);
    return outcome;
  }
  Result<Batch> Find(const std::string& batch_id) override {
    for (const Batch& batch : batches) {
      if (batch.batch_id == batch_id) return batch;
    }
    return Error{ErrorCode::kNotFound, "no batch " + batch_id};
  }
  Result<std::vector<Batch>> List(const std::string& task, std::uint64_t before,
                                  std::size_t at_most) override {
    std::vector<Batch> listed;
    for (auto batch = batches.rbegin(); batch != batches.rend(); ++batch) {
      if (!task.empty() && batch->task != task) continue;
      if (before != 0 && batch->number >= before) continue;
      if (listed.size() < at_most) listed.push_back(*batch);
    }
    return listed;
  }
  Result<Batch> Cancel(const std::string& batch_id, const std::string& reason,
                       Timestamp /*now*/) override {
    for (Batch& batch : batches) {
      if (batch.batch_id != batch_id) continue;
      batch.state = BatchState::kCancelled;
      batch.cancelled_because = reason;
      return batch;
    }
    return Error{ErrorCode::kNotFound, "no batch " + batch_id};
  }
  Result<std::vector<QueueItem>> Lease(const LeaseRequest& request) override {
    asked = request;
    std::vector<QueueItem> leased;
    for (QueueItem& item : items) {
      if (item.state != ItemState::kWaiting || leased.size() == request.count) continue;
      item.state = ItemState::kLeased;
      item.lease_id = LeaseId(NewUuid());
      item.leased_by = request.annotator;
      item.leased_until = request.until;
      leases[item.lease_id] = {.annotator = request.annotator,
                               .batch_id = item.batch_id,
                               .task = item.task,
                               .sample_id = item.sample_id,
                               .votes_wanted = item.votes_wanted};
      leased.push_back(item);
    }
    return leased;
  }
  Result<std::map<LeaseId, LeaseFacts>> FindLeases(std::span<const LeaseId> ids) override {
    std::map<LeaseId, LeaseFacts> found;
    for (const LeaseId& id : ids) {
      if (const auto lease = leases.find(id); lease != leases.end()) found.insert(*lease);
    }
    return found;
  }
  Result<AnswerOutcome> Answer(const VotesUnderLease& votes) override {
    AnswerOutcome outcome;
    for (std::size_t place = 0; place < votes.votes.size(); ++place) {
      const LeasedVote& vote = votes.votes[place];
      const auto lease = leases.find(vote.lease_id);
      const auto decision =
          Decide(vote, votes.annotator, lease == leases.end() ? nullptr : &lease->second);
      if (decision.kind == VoteDecision::Kind::kRejected) {
        outcome.rejected.emplace_back(place, decision.reason);
      } else if (decision.kind == VoteDecision::Kind::kUnchanged) {
        ++outcome.unchanged;
      } else {
        lease->second.state = LeaseState::kAnswered;
        lease->second.class_name = vote.class_name;
        ++outcome.accepted;
      }
    }
    outcome.settled = outcome.accepted > 0;
    return outcome;
  }
  Result<std::uint32_t> Release(const std::string& annotator, std::span<const LeaseId> ids,
                                bool cannot_judge, Timestamp /*now*/) override {
    std::uint32_t released = 0;
    for (const LeaseId& id : ids) {
      const auto lease = leases.find(id);
      if (lease == leases.end() || lease->second.annotator != annotator) continue;
      lease->second.state = cannot_judge ? LeaseState::kDeclined : LeaseState::kReleased;
      ++released;
    }
    return released;
  }
  Result<std::vector<QueueItem>> ListItems(const ItemFilter& filter, std::uint64_t after,
                                           std::size_t at_most, Timestamp /*now*/) override {
    std::vector<QueueItem> listed;
    for (const QueueItem& item : items) {
      if (item.number <= after || (filter.state && item.state != *filter.state)) continue;
      if (listed.size() < at_most) listed.push_back(item);
    }
    return listed;
  }
  Result<void> Settle(Timestamp /*now*/) override { return {}; }
  Result<std::uint32_t> ComputeDue(
      Timestamp /*now*/,
      const std::function<Result<void>(const std::string& task)>& /*compute*/) override {
    return 0U;
  }
  Result<OutcomeReport> TakeOutcomes(std::span<const Outcome> /*outcomes*/, Timestamp /*now*/,
                                     Timestamp /*due*/) override {
    return OutcomeReport{};
  }
  Result<OutcomeReport> JoinOutcomes(std::span<const CapturedSample> /*samples*/,
                                     Timestamp /*due*/) override {
    return OutcomeReport{};
  }
  Result<std::uint64_t> DropOutcomes(Timestamp /*before*/) override { return std::uint64_t{0}; }

  std::vector<Batch> batches;
  std::vector<QueueItem> items;
  std::map<LeaseId, LeaseFacts> leases;
  std::optional<LeaseRequest> asked;
  double asked_min_confidence = -1;
};

}  // namespace tidewheel::labeling
