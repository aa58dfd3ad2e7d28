#include "tidewheel/labels/internal/vote_patterns.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

namespace tidewheel::labels::internal {

VotePatterns FindPatterns(const FunctionVotes& votes) {
  const auto& matrix = votes.votes;
  VotePatterns patterns;
  patterns.functions = matrix.columns;
  patterns.of_row.resize(matrix.rows);
  std::vector<std::size_t> order(matrix.rows);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto before = [&](std::size_t a, std::size_t b) {
    const auto left = matrix.Row(a);
    const auto right = matrix.Row(b);
    return std::lexicographical_compare(left.begin(), left.end(), right.begin(), right.end());
  };
  std::sort(order.begin(), order.end(), before);
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || before(order[i - 1], order[i])) {
      const auto row = matrix.Row(order[i]);
      patterns.votes.insert(patterns.votes.end(), row.begin(), row.end());
      patterns.weight.push_back(0);
      patterns.voters.push_back(static_cast<std::uint32_t>(
          std::count_if(row.begin(), row.end(), [](std::int32_t v) { return v != kAbstain; })));
    }
    patterns.weight.back() += 1;
    patterns.of_row[order[i]] = patterns.size() - 1;
  }
  return patterns;
}

std::vector<double> MajorityShares(const VotePatterns& patterns, std::size_t classes) {
  std::vector<double> shares(patterns.size() * classes);
  for (std::size_t u = 0; u < patterns.size(); ++u) {
    double* share = shares.data() + u * classes;
    if (patterns.voters[u] == 0) {
      std::fill(share, share + classes, 1 / static_cast<double>(classes));
      continue;
    }
    for (const std::int32_t vote : patterns[u]) {
      if (vote != kAbstain) share[vote] += 1 / static_cast<double>(patterns.voters[u]);
    }
  }
  return shares;
}

double Expect(const LabelModel& model, const VotePatterns& patterns,
              std::vector<double>& posterior) {
  const std::size_t classes = model.classes;
  const std::size_t stride = (classes + 1) * classes;
  std::vector<double> logs(model.table.size());
  std::transform(model.table.begin(), model.table.end(), logs.begin(),
                 [](double share) { return share > 0 ? std::log(share) : 0; });
  std::vector<double> log_prior(classes);
  std::transform(model.prior.begin(), model.prior.end(), log_prior.begin(),
                 [](double share) { return std::log(std::max(share, 1e-300)); });
  double likelihood = 0;
  for (std::size_t u = 0; u < patterns.size(); ++u) {
    double* row = posterior.data() + u * classes;
    std::copy(log_prior.begin(), log_prior.end(), row);
    const auto votes = patterns[u];
    for (std::size_t f = 0; f < votes.size(); ++f) {
      if (votes[f] == kAbstain && model.abstention == Abstention::kMissing) continue;
      const double* outcome =
          logs.data() + f * stride + static_cast<std::size_t>(votes[f] + 1) * classes;
      for (std::size_t k = 0; k < classes; ++k) row[k] += outcome[k];
    }
    const double largest = *std::max_element(row, row + classes);
    double sum = 0;
    for (std::size_t k = 0; k < classes; ++k) sum += row[k] = std::exp(row[k] - largest);
    for (std::size_t k = 0; k < classes; ++k) row[k] /= sum;
    if (patterns.voters[u] > 0 || model.abstention == Abstention::kOutcome) {
      likelihood += patterns.weight[u] * (largest + std::log(sum));
    }
  }
  return likelihood;
}

void SetAccuracies(LabelModel& model) {
  const std::size_t classes = model.classes;
  model.accuracy.assign(model.functions, 0);
  for (std::size_t f = 0; f < model.functions; ++f) {
    const double* table = model.table.data() + f * (classes + 1) * classes;
    double right = 0;
    double voted = 0;
    for (std::size_t k = 0; k < classes; ++k) {
      for (std::size_t l = 0; l < classes; ++l) {
        const double share = model.prior[k] * table[(l + 1) * classes + k];
        voted += share;
        if (l == k) right += share;
      }
    }
    if (voted > 0) model.accuracy[f] = right / voted;
  }
}

Result<void> CheckPrior(std::span<const double> prior, std::size_t classes) {
  if (prior.empty()) return {};
  const auto invalid = [](const std::string& message) {
    return Error{ErrorCode::kInvalidArgument, "label model: prior " + message};
  };
  if (prior.size() != classes) {
    return invalid("of " + std::to_string(prior.size()) + " shares for " + std::to_string(classes) +
                   " classes");
  }
  double sum = 0;
  for (std::size_t k = 0; k < classes; ++k) {
    if (!(prior[k] > 0 && prior[k] < 1)) {
      return invalid("share of class " + std::to_string(k) + " is not in (0, 1)");
    }
    sum += prior[k];
  }
  if (std::abs(sum - 1) > 1e-6) return invalid("sums to " + std::to_string(sum) + ", not to 1");
  return {};
}

}  // namespace tidewheel::labels::internal
