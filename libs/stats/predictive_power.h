#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "tidewheel/base/result.h"

namespace tidewheel::stats {

/// A column of a table: numbers, or codes of a nominal column (any whole numbers; -1 for "missing"
/// is a category like any other). Exactly one of the two is given.
struct FeatureColumn {
  std::string name = {};
  std::span<const double> numeric = {};
  std::span<const std::int32_t> nominal = {};

  std::size_t rows() const { return numeric.empty() ? nominal.size() : numeric.size(); }
};

struct PredictivePowerOptions {
  std::size_t folds = 4;
  std::size_t max_leaves = 64;
  std::size_t min_leaf = 5;  // Rows.
  std::uint64_t seed = 1;    // Of the folds.
};

/// How well one column alone tells the label.
struct PredictivePower {
  double score = 0;     // max(0, (f1 - baseline) / (1 - baseline)): 0 tells nothing, 1 everything.
  double f1 = 0;        // Of a tree on this column, held out, weighted by the classes' shares.
  double baseline = 0;  // Of the better of two that do not look.
};

/// The predictive power score (Wetschoreck 2020): the weighted F1 of a decision tree on the column,
/// predicted out of sample, on a scale from the F1 of who does not look (always the commonest
/// class, or labels drawn by their shares, whose expected F1 is the sum of the squared shares)
/// to 1. A number is split by a tree of thresholds (CART, Gini; Breiman et al. 1984) that grows
/// where it gains most, up to `max_leaves` of at least `min_leaf` rows; a category answers with its
/// commonest class, one that was not seen with the commonest of all. Folds are stratified and
/// seeded. Ties: the smaller class, the lower threshold. Unlike correlation it sees any shape, and
/// it is not symmetric. O(rows log rows + rows x leaves x classes).
///
/// kInvalidArgument: not one of numbers and codes, different lengths, a label that is not in
/// 0..classes-1, a number that is not finite (its row), options of 0 or fewer than 2 folds.
/// kFailedPrecondition: fewer rows than folds, or all labels are one class.
Result<PredictivePower> ScorePredictivePower(const FeatureColumn& feature,
                                             std::span<const std::int32_t> labels,
                                             std::size_t classes,
                                             const PredictivePowerOptions& options = {});

}  // namespace tidewheel::stats
