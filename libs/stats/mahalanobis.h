#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"

namespace tidewheel::stats {

/// Where rows of D numbers lie and how they spread.
struct ShrunkCovariance {
  std::vector<double> mean;        // D
  std::vector<double> covariance;  // D x D, row by row; positive definite.
  double shrinkage = 0;            // Share of the scaled identity in it, 0 to 1.
};

/// The covariance of the rows (divisor N), drawn towards the identity of its own scale as far as N
/// rows leave it uncertain (Ledoit, Wolf 2004), and by 1e-4 at least, so that it can always be
/// inverted. Rows that are all equal get the identity times 1e-12. O(N D^2) time. Deterministic.
/// kInvalidArgument: no rows or columns, sizes that do not fit, more than 1024 columns, or a number
/// that is not finite, named with its row and column.
Result<ShrunkCovariance> EstimateShrunkCovariance(MatrixView<double> rows);

/// Squared distances to a mean in units of a covariance (Mahalanobis 1936). Immutable; any number
/// of threads may ask it.
class MahalanobisDistance {
 public:
  /// `covariance` is D x D, row by row, symmetric and positive definite. kInvalidArgument: it is
  /// not, sizes that do not fit, or a number that is not finite.
  static Result<MahalanobisDistance> Create(std::span<const double> mean,
                                            std::span<const double> covariance);

  std::size_t numbers() const { return mean_.size(); }

  /// `row` has numbers() values; NaN when one of them is. O(D^2).
  double Squared(std::span<const double> row) const;
  double Squared(std::span<const float> row) const;

 private:
  MahalanobisDistance() = default;

  template <typename T>
  double Solve(std::span<const T> row) const;

  std::vector<double> mean_;
  std::vector<double> root_;  // Cholesky's lower triangle, row by row.
};

}  // namespace tidewheel::stats
