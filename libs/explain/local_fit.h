#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"

namespace tidewheel::explain {

/// A linear model around one input.
struct LocalFit {
  std::vector<double> weights;          // Per column.
  std::vector<double> standard_errors;  // Of the weights, from the spread of the residuals.
  double intercept = 0;
  double r_squared = 0;  // Weighted; of the rows it was fitted to. 0 when the answers do not vary.
};

/// Weighted ridge regression with a free intercept: minimises sum w (y - a - x b)^2 + penalty |b|^2
/// (Hoerl, Kennard 1970). Standard errors are those of White's sandwich (1980), which holds for
/// unequal residuals, too. O(rows x columns^2 + columns^3).
/// kInvalidArgument: shapes that do not fit, fewer than 2 rows, more than 2048 columns, a negative
/// weight, weights that sum to 0, a penalty that is not above 0, a number that is not finite.
Result<LocalFit> FitLocally(MatrixView<double> rows, std::span<const double> answers,
                            std::span<const double> weights, double penalty);

}  // namespace tidewheel::explain
