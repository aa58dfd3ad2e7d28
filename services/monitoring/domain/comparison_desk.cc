#include "tidewheel/monitoring/domain/comparison_desk.h"

namespace tidewheel::monitoring {

Result<Comparison> ComparisonDesk::Look(const ComparisonStore::Stored& stored) {
  const auto counts = store_.Count(stored.plan);
  if (!counts) return counts.error();
  Comparison comparison = JudgeComparison(stored.plan, *counts);
  comparison.updated_at = clock_.Now();
  if (stored.verdict != "undecided") {
    comparison.verdict = stored.verdict;
    comparison.reason = stored.reason;
    return comparison;
  }
  if (comparison.verdict != "undecided") {
    const auto decided =
        store_.Decide(stored.plan.id, comparison.verdict, comparison.reason, comparison.updated_at);
    if (!decided) return decided.error();
  }
  return comparison;
}

Result<std::pair<Comparison, bool>> ComparisonDesk::Start(ComparisonPlan plan) {
  if (const auto good = CheckPlan(&plan); !good) return good.error();
  plan.started_at = clock_.Now();
  const auto added = store_.Add(plan);
  if (!added) return added.error();
  const auto stored = store_.FindComparison(plan.id);
  if (!stored) return stored.error();
  if (!*stored) return Error{ErrorCode::kInternal, "comparison " + plan.id + " was not kept"};
  const ComparisonPlan& there = (*stored)->plan;
  if (there.task != plan.task || there.candidate != plan.candidate ||
      there.baseline != plan.baseline || there.stage != plan.stage) {
    return Error{ErrorCode::kAlreadyExists, "comparison " + plan.id + " is of other models"};
  }
  auto comparison = Look(**stored);
  if (!comparison) return comparison.error();
  return std::pair(*std::move(comparison), *added);
}

Result<Comparison> ComparisonDesk::Find(const std::string& id) {
  const auto stored = store_.FindComparison(id);
  if (!stored) return stored.error();
  if (!*stored) return Error{ErrorCode::kNotFound, "no comparison " + id.substr(0, 64)};
  return Look(**stored);
}

Result<Page<Comparison>> ComparisonDesk::List(const std::string& task, const PageRequest& page) {
  const auto stored = store_.ListComparisons(task, page);
  if (!stored) return stored.error();
  Page<Comparison> result;
  result.next_token = stored->next_token;
  for (const auto& each : stored->items) {
    auto comparison = Look(each);
    if (!comparison) return comparison.error();
    result.items.push_back(*std::move(comparison));
  }
  return result;
}

}  // namespace tidewheel::monitoring
