#pragma once

#include <span>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::stats {

/// A function that never falls, given by its knots: straight between two of them, constant before
/// the first and after the last. Immutable, so any number of threads may ask it.
struct IsotonicFunction {
  std::vector<double> at;     // Strictly increasing, at least one.
  std::vector<double> value;  // As many, never falling.

  /// O(log knots). NaN gives NaN.
  double operator()(double x) const;
};

/// The never falling function of `x` with the least weighted squared distance from `y` (pool
/// adjacent violators: Ayer, Brunk, Ewing, Reid, Silverman 1955). Rows with the same x are one row
/// with their weighted mean first, so that the order of rows says nothing; of a stretch of equal
/// values only the ends stay as knots. `x`, `y` and `weights` (empty: all 1) have one number per
/// row; rows of weight 0 are left out. O(n log n) time, O(n) memory.
/// kInvalidArgument: no rows, shapes that differ, a number that is not finite, a negative weight
/// (named with its row), or no row with a weight.
Result<IsotonicFunction> FitIsotonic(std::span<const double> x, std::span<const double> y,
                                     std::span<const double> weights = {});

/// Pools `values` in place where they fall: the weighted means of the blocks that remain.
/// `weights` are positive and as many as the values. O(n).
void PoolAdjacentViolators(std::span<double> values, std::span<const double> weights);

}  // namespace tidewheel::stats
