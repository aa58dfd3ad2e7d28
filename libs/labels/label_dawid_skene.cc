#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/labels/internal/vote_patterns.h"
#include "tidewheel/labels/label_models.h"

namespace tidewheel::labels {
namespace {

using internal::VotePatterns;

Result<void> Check(const FunctionVotes& votes, const LabelDawidSkeneOptions& options) {
  if (auto checked = CheckFunctionVotes(votes); !checked) return checked.error();
  if (auto checked = internal::CheckPrior(options.prior, votes.classes); !checked) {
    return checked.error();
  }
  const auto invalid = [](const char* message) {
    return Error{ErrorCode::kInvalidArgument, std::string("label model: ") + message};
  };
  if (!(options.smoothing >= 1e-30 && options.smoothing <= 1e9)) {
    return invalid("smoothing must be in [1e-30, 1e9]");
  }
  if (options.rounds == 0) return invalid("rounds must be at least 1");
  if (!(options.tolerance >= 0)) return invalid("tolerance must be at least 0");
  if (options.abstention > Abstention::kMissing) return invalid("unknown meaning of abstentions");
  return {};
}

/// Prior (unless it is given) and tables that make the posteriors most likely.
void Maximize(const VotePatterns& patterns, const std::vector<double>& posterior,
              const LabelDawidSkeneOptions& options, LabelModel& model) {
  const std::size_t classes = model.classes;
  const std::size_t stride = (classes + 1) * classes;
  const bool missing = model.abstention == Abstention::kMissing;
  std::fill(model.table.begin(), model.table.end(), 0);
  std::vector<double> prior(classes);
  for (std::size_t u = 0; u < patterns.size(); ++u) {
    // A row of which nothing is known must not hold the prior back.
    if (missing && patterns.voters[u] == 0) continue;
    const double* row = posterior.data() + u * classes;
    const auto votes = patterns[u];
    for (std::size_t k = 0; k < classes; ++k) prior[k] += patterns.weight[u] * row[k];
    for (std::size_t f = 0; f < votes.size(); ++f) {
      double* outcome =
          model.table.data() + f * stride + static_cast<std::size_t>(votes[f] + 1) * classes;
      for (std::size_t k = 0; k < classes; ++k) outcome[k] += patterns.weight[u] * row[k];
    }
  }
  if (options.prior.empty()) {
    const double sum = std::accumulate(prior.begin(), prior.end(), 0.0);
    for (std::size_t k = 0; k < classes; ++k) model.prior[k] = prior[k] / sum;
  }
  for (std::size_t f = 0; f < model.functions; ++f) {
    double* table = model.table.data() + f * stride;
    if (missing) std::fill(table, table + classes, 0);
    for (std::size_t k = 0; k < classes; ++k) {
      double sum = 0;
      for (std::size_t o = missing ? 1 : 0; o <= classes; ++o) {
        table[o * classes + k] += options.smoothing;
        sum += table[o * classes + k];
      }
      for (std::size_t o = 0; o <= classes; ++o) table[o * classes + k] /= sum;
    }
  }
}

}  // namespace

Result<FittedLabelModel> FitDawidSkene(const FunctionVotes& votes,
                                       const LabelDawidSkeneOptions& options) {
  if (auto checked = Check(votes, options); !checked) return checked.error();
  const VotePatterns patterns = internal::FindPatterns(votes);
  double said = 0;
  for (std::size_t u = 0; u < patterns.size(); ++u) said += patterns.weight[u] * patterns.voters[u];
  if (*std::max_element(patterns.voters.begin(), patterns.voters.end()) < 2) {
    return Error{ErrorCode::kFailedPrecondition,
                 "label model: Dawid-Skene is not applicable, because no row has votes of two "
                 "functions; their majority is all that can be said"};
  }

  FittedLabelModel fitted;
  LabelModel& model = fitted.model;
  model.functions = votes.votes.columns;
  model.classes = votes.classes;
  model.abstention = options.abstention;
  model.prior = options.prior;
  model.prior.resize(votes.classes);
  model.table.resize(model.functions * (model.classes + 1) * model.classes);
  std::vector<double> posterior = internal::MajorityShares(patterns, votes.classes);
  fitted.converged = false;
  while (fitted.rounds < options.rounds && !fitted.converged) {
    Maximize(patterns, posterior, options, model);
    const double likelihood = internal::Expect(model, patterns, posterior);
    fitted.converged = fitted.rounds > 0 &&
                       std::abs(likelihood - fitted.log_likelihood) < options.tolerance * said;
    fitted.log_likelihood = likelihood;
    ++fitted.rounds;
  }
  internal::SetAccuracies(model);
  return fitted;
}

}  // namespace tidewheel::labels
