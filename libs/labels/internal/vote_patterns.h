#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/labels/label_functions.h"
#include "tidewheel/labels/label_models.h"

namespace tidewheel::labels::internal {

/// Posteriors that close are a tie.
inline constexpr double kTie = 1e-12;

/// The different rows of a matrix of votes, in lexical order, so that nothing made of them depends
/// on the order of the rows.
struct VotePatterns {
  std::size_t functions = 0;
  std::vector<std::int32_t> votes;    // patterns x functions.
  std::vector<double> weight;         // patterns: how many rows.
  std::vector<std::uint32_t> voters;  // patterns: functions that vote.
  std::vector<std::size_t> of_row;    // rows: which pattern.

  std::size_t size() const { return weight.size(); }
  std::span<const std::int32_t> operator[](std::size_t u) const {
    return {votes.data() + u * functions, functions};
  }
};

/// Of votes that have been checked.
VotePatterns FindPatterns(const FunctionVotes& votes);

/// patterns x classes: shares of the votes, all alike where there is none.
std::vector<double> MajorityShares(const VotePatterns& patterns, std::size_t classes);

/// Fills patterns x classes with the posteriors under the model. The log-likelihood of all rows;
/// with kMissing of those with votes.
double Expect(const LabelModel& model, const VotePatterns& patterns,
              std::vector<double>& posterior);

/// model.accuracy from its table and prior.
void SetAccuracies(LabelModel& model);

/// kInvalidArgument: neither empty nor `classes` shares above 0 that sum to 1 within 1e-6.
Result<void> CheckPrior(std::span<const double> prior, std::size_t classes);

}  // namespace tidewheel::labels::internal
