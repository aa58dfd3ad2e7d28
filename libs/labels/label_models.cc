#include "tidewheel/labels/label_models.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/labels/internal/vote_patterns.h"
#include "tidewheel/stats/special.h"

namespace tidewheel::labels {
namespace {

using internal::VotePatterns;

Error Invalid(std::string message) {
  return {ErrorCode::kInvalidArgument, "label model: " + std::move(message)};
}

/// Posteriors of patterns, by row.
ProbabilisticLabels Conclude(const VotePatterns& patterns, const std::vector<double>& posterior,
                             std::vector<double> prior) {
  ProbabilisticLabels labels;
  labels.classes = prior.size();
  labels.prior = std::move(prior);
  const std::size_t classes = labels.classes;
  const std::size_t rows = patterns.of_row.size();
  labels.posterior.resize(rows * classes);
  labels.label.resize(rows);
  labels.tied.resize(rows);
  labels.covered.resize(rows);
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t u = patterns.of_row[row];
    const double* from = posterior.data() + u * classes;
    std::copy(from, from + classes, labels.posterior.data() + row * classes);
    const double largest = *std::max_element(from, from + classes);
    std::size_t best = classes;
    std::size_t among = 0;
    for (std::size_t k = 0; k < classes; ++k) {
      if (from[k] < largest - internal::kTie) continue;
      ++among;
      if (best == classes || labels.prior[k] > labels.prior[best] + internal::kTie) best = k;
    }
    labels.label[row] = static_cast<std::int32_t>(best);
    labels.tied[row] = among > 1 ? 1 : 0;
    labels.ties += labels.tied[row];
    labels.covered[row] = patterns.voters[u] > 0 ? 1 : 0;
    labels.uncovered += 1U - labels.covered[row];
  }
  return labels;
}

/// How much of a row with gold label `gold` is right: 1, 0, or a tie's share.
double Right(const ProbabilisticLabels& labels, std::size_t row, std::int32_t gold) {
  const double* p = labels.posterior.data() + row * labels.classes;
  const double largest = *std::max_element(p, p + labels.classes);
  if (p[gold] < largest - internal::kTie) return 0;
  const auto among = std::count_if(p, p + labels.classes,
                                   [&](double share) { return share >= largest - internal::kTie; });
  return 1 / static_cast<double>(among);
}

Error NoGold() {
  return {ErrorCode::kFailedPrecondition,
          "label model: not applicable, because no gold label is known"};
}

}  // namespace

Result<ProbabilisticLabels> MajorityLabels(const FunctionVotes& votes) {
  if (auto checked = CheckFunctionVotes(votes); !checked) return checked.error();
  const VotePatterns patterns = internal::FindPatterns(votes);
  const std::vector<double> posterior = internal::MajorityShares(patterns, votes.classes);
  std::vector<double> prior(votes.classes);
  for (std::size_t u = 0; u < patterns.size(); ++u) {
    if (patterns.voters[u] == 0) continue;
    for (std::size_t k = 0; k < votes.classes; ++k) {
      prior[k] += patterns.weight[u] * posterior[u * votes.classes + k];
    }
  }
  const double total = std::accumulate(prior.begin(), prior.end(), 0.0);
  for (double& share : prior) share /= total;
  return Conclude(patterns, posterior, std::move(prior));
}

Result<ProbabilisticLabels> ApplyLabelModel(const LabelModel& model, const FunctionVotes& votes) {
  if (auto checked = CheckFunctionVotes(votes); !checked) return checked.error();
  if (model.functions != votes.votes.columns || model.classes != votes.classes ||
      model.prior.size() != model.classes ||
      model.table.size() != model.functions * (model.classes + 1) * model.classes) {
    return Invalid("of " + std::to_string(model.functions) + " functions and " +
                   std::to_string(model.classes) + " classes, votes of " +
                   std::to_string(votes.votes.columns) + " and " + std::to_string(votes.classes));
  }
  const VotePatterns patterns = internal::FindPatterns(votes);
  std::vector<double> posterior(patterns.size() * model.classes);
  internal::Expect(model, patterns, posterior);
  return Conclude(patterns, posterior, model.prior);
}

Result<double> AccuracyWithTiesShared(const ProbabilisticLabels& labels,
                                      std::span<const std::int32_t> gold) {
  if (auto checked = CheckGold(gold, labels.label.size(), labels.classes); !checked) {
    return checked.error();
  }
  double right = 0;
  std::size_t known = 0;
  for (std::size_t row = 0; row < gold.size(); ++row) {
    if (gold[row] == kAbstain) continue;
    ++known;
    right += Right(labels, row, gold[row]);
  }
  if (known == 0) return NoGold();
  return right / static_cast<double>(known);
}

Result<MajorityComparison> CompareWithMajority(const FunctionVotes& votes,
                                               const ProbabilisticLabels& model,
                                               std::span<const std::int32_t> gold,
                                               double confidence) {
  const auto majority = MajorityLabels(votes);
  if (!majority) return majority.error();
  if (model.label.size() != votes.votes.rows || model.classes != votes.classes) {
    return Invalid("labels of " + std::to_string(model.label.size()) + " rows, votes on " +
                   std::to_string(votes.votes.rows));
  }
  if (auto checked = CheckGold(gold, votes.votes.rows, votes.classes); !checked) {
    return checked.error();
  }
  if (!(confidence > 0 && confidence < 1)) return Invalid("confidence must be in (0, 1)");

  MajorityComparison comparison;
  double sum = 0;
  double squares = 0;
  std::uint64_t only_majority = 0;
  std::uint64_t only_model = 0;
  for (std::size_t row = 0; row < gold.size(); ++row) {
    if (gold[row] == kAbstain) continue;
    ++comparison.rows;
    const double before = Right(*majority, row, gold[row]);
    const double after = Right(model, row, gold[row]);
    comparison.majority_accuracy += before;
    comparison.model_accuracy += after;
    sum += after - before;
    squares += (after - before) * (after - before);
    const bool majority_right = majority->label[row] == gold[row];
    const bool model_right = model.label[row] == gold[row];
    only_majority += majority_right && !model_right ? 1 : 0;
    only_model += model_right && !majority_right ? 1 : 0;
  }
  if (comparison.rows == 0) return NoGold();
  const auto n = static_cast<double>(comparison.rows);
  comparison.majority_accuracy /= n;
  comparison.model_accuracy /= n;
  comparison.difference = sum / n;
  // Half a row on which only the one is right, and half on which only the other is, and one each
  // where both are right and wrong: the mean shrinks and the spread is never nothing.
  const double mean = sum / (n + 2);
  const double deviation = std::sqrt(((squares + 1) / (n + 2) - mean * mean) / (n + 2));
  const double z = stats::NormalQuantile((1 + confidence) / 2);
  comparison.difference_interval = {std::max(-1.0, mean - z * deviation),
                                    std::min(1.0, mean + z * deviation)};
  const auto test = stats::McNemar(only_majority, only_model);
  if (!test) return test.error();
  comparison.mcnemar = *test;
  if (comparison.difference_interval.low > 0) comparison.verdict = AgainstMajority::kBetter;
  if (comparison.difference_interval.high < 0) comparison.verdict = AgainstMajority::kWorse;
  return comparison;
}

}  // namespace tidewheel::labels
