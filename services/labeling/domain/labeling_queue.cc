#include "tidewheel/labeling/domain/labeling_queue.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <utility>

namespace tidewheel::labeling {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> CheckText(const std::string& what, const std::string& text, std::size_t limit) {
  if (const auto problem = TextProblem(what, text, limit)) return Bad(*problem);
  return {};
}

Result<void> CheckLimit(const std::string& what, std::size_t count, std::size_t limit) {
  if (count <= limit) return {};
  return Bad("the request has " + std::to_string(count) + " " + what + ", the limit is " +
             std::to_string(limit));
}

Result<void> CheckBatch(const NewBatch& batch, const QueueLimits& limits) {
  if (auto good = CheckText("batch_id", batch.batch_id, limits.batch_id_bytes); !good) return good;
  if (batch.task.empty()) return Bad("task is empty");
  if (auto good = CheckLimit("items", batch.items.size(), limits.items); !good) return good;
  if (batch.votes_wanted > limits.votes_wanted) {
    return Bad("votes_wanted is " + std::to_string(batch.votes_wanted) + ", the limit is " +
               std::to_string(limits.votes_wanted));
  }
  if (!(batch.gold_share >= 0 && batch.gold_share <= 1)) {
    return Bad("gold_share is " + std::to_string(batch.gold_share) + ", it must be 0 to 1");
  }
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    const NewQueueItem& item = batch.items[i];
    const std::string where = "items[" + std::to_string(i) + "]";
    if (!IsUuid(item.sample_id.text())) {
      return Bad(where + ": sample_id \"" + item.sample_id.text().substr(0, 64) +
                 "\" is not a UUID");
    }
    if (!std::isfinite(item.priority)) return Bad(where + ": priority is not a finite number");
    if (item.reason.empty()) continue;
    if (auto good = CheckText(where + ": reason", item.reason, limits.reason_bytes); !good) {
      return good;
    }
  }
  return {};
}

}  // namespace

Result<EnqueueOutcome> LabelingQueue::Enqueue(NewBatch batch) {
  if (batch.votes_wanted == 0) batch.votes_wanted = 1;
  if (const auto good = CheckBatch(batch, limits_); !good) return good.error();
  const auto task = tasks_.Find(batch.task);
  if (!task) return task.error();
  // One spelling of each id, so that a sample is not taken for two.
  for (NewQueueItem& item : batch.items) {
    std::string id = item.sample_id.text();
    std::transform(id.begin(), id.end(), id.begin(), [](char c) {
      return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    item.sample_id = SampleId(std::move(id));
  }

  auto outcome = store_.Enqueue(batch, (*task)->min_confidence, clock_.Now());
  if (!outcome || !outcome->created) return outcome;
  counters_.queued.Add(outcome->batch.items);
  for (const auto& [reason, count] : outcome->skipped) counters_.skipped.Add(count);
  return outcome;
}

Result<Batch> LabelingQueue::Cancel(const std::string& batch_id, const std::string& reason) {
  if (reason.size() > limits_.vote.source_bytes || reason.find('\0') != std::string::npos) {
    return Bad("reason has " + std::to_string(reason.size()) +
               " bytes or a zero byte, the limit is " + std::to_string(limits_.vote.source_bytes));
  }
  auto batch = store_.Cancel(batch_id, reason, clock_.Now());
  if (batch && on_due_) on_due_();
  return batch;
}

Result<std::vector<QueueItem>> LabelingQueue::Lease(const std::string& task,
                                                    const std::string& annotator,
                                                    std::uint32_t count, std::uint32_t seconds) {
  if (auto good = CheckText("annotator", annotator, limits_.vote.annotator_bytes); !good) {
    return good.error();
  }
  if (count > limits_.leases) {
    return Bad("count is " + std::to_string(count) + ", the limit is " +
               std::to_string(limits_.leases));
  }
  const std::chrono::seconds lease =
      seconds == 0 ? limits_.usual_lease : std::chrono::seconds(seconds);
  if (lease > limits_.lease) {
    return Bad("lease_seconds is " + std::to_string(seconds) + ", the limit is " +
               std::to_string(limits_.lease.count()));
  }
  const Timestamp now = clock_.Now();
  auto items = store_.Lease({.task = task,
                             .annotator = annotator,
                             .count = std::max(1U, count),
                             .now = now,
                             .until = now + lease});
  if (items) counters_.leased.Add(static_cast<double>(items->size()));
  return items;
}

Result<SubmitReport> LabelingQueue::Submit(const std::string& annotator,
                                           std::optional<AnnotatorKind> kind,
                                           std::vector<LeasedVote> votes) {
  if (auto good = CheckText("annotator", annotator, limits_.vote.annotator_bytes); !good) {
    return good.error();
  }
  if (auto good = CheckLimit("votes", votes.size(), limits_.votes); !good) return good.error();

  SubmitReport report;
  std::vector<std::size_t> good;  // Places in `votes`.
  std::vector<LeaseId> ids;
  std::set<LeaseId> seen;
  for (std::size_t i = 0; i < votes.size(); ++i) {
    if (!IsUuid(votes[i].lease_id.text())) {
      report.rejected.push_back(
          {i, "lease_id \"" + votes[i].lease_id.text().substr(0, 64) + "\" is not a UUID"});
    } else if (!seen.insert(votes[i].lease_id).second) {
      report.rejected.push_back({i, "the lease is answered twice in this request"});
    } else {
      good.push_back(i);
      ids.push_back(votes[i].lease_id);
    }
  }
  const auto leases = store_.FindLeases(ids);
  if (!leases) return leases.error();

  // A class is one of the task's; the rest is decided where nobody can come between.
  VotesUnderLease saving{.annotator = annotator, .kind = kind, .votes = {}, .now = clock_.Now()};
  std::vector<std::size_t> places;
  std::map<std::string, std::shared_ptr<const TaskPolicy>> policies;
  for (const std::size_t place : good) {
    const auto lease = leases->find(votes[place].lease_id);
    if (lease != leases->end()) {
      const std::string& task = lease->second.task;
      auto& policy = policies[task];
      if (policy == nullptr || policy->IndexOf(votes[place].class_name) < 0) {
        auto found = policy == nullptr ? tasks_.Find(task) : tasks_.FindNewest(task);
        if (found && (*found)->IndexOf(votes[place].class_name) < 0) {
          found = tasks_.FindNewest(task);
        }
        if (!found) return found.error();
        policy = *found;
      }
      if (policy->IndexOf(votes[place].class_name) < 0) {
        report.rejected.push_back({place, ClassProblem(votes[place].class_name, *policy)});
        continue;
      }
    }
    saving.votes.push_back(std::move(votes[place]));
    places.push_back(place);
  }
  if (!saving.votes.empty()) {
    const auto outcome = store_.Answer(saving);
    if (!outcome) return outcome.error();
    report.accepted = outcome->accepted;
    report.unchanged = outcome->unchanged;
    for (const auto& [place, reason] : outcome->rejected) {
      report.rejected.push_back({places[place], reason});
    }
    if (outcome->settled && on_due_) on_due_();
  }
  std::sort(report.rejected.begin(), report.rejected.end(),
            [](const RejectedVote& a, const RejectedVote& b) { return a.index < b.index; });
  counters_.votes.accepted.Add(report.accepted);
  counters_.votes.unchanged.Add(report.unchanged);
  counters_.votes.rejected.Add(static_cast<double>(report.rejected.size()));
  return report;
}

Result<std::uint32_t> LabelingQueue::Release(const std::string& annotator,
                                             const std::vector<LeaseId>& leases,
                                             bool cannot_judge) {
  if (auto good = CheckText("annotator", annotator, limits_.vote.annotator_bytes); !good) {
    return good.error();
  }
  if (auto good = CheckLimit("leases", leases.size(), limits_.votes); !good) return good.error();
  for (const LeaseId& lease : leases) {
    if (!IsUuid(lease.text())) {
      return Bad("lease_id \"" + lease.text().substr(0, 64) + "\" is not a UUID");
    }
  }
  const auto released = store_.Release(annotator, leases, cannot_judge, clock_.Now());
  if (!released) return released.error();
  counters_.released.Add(*released);
  if (cannot_judge && *released > 0 && on_due_) on_due_();
  return *released;
}

}  // namespace tidewheel::labeling
