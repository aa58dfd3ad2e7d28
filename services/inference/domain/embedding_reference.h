#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::inference {

/// Where the embeddings of a model's held-out inputs lay: their mean and covariance, and the
/// quantiles of their squared Mahalanobis distances to that mean. Immutable.
class EmbeddingReference {
 public:
  /// `covariance` row by row; `distance_quantiles` at equal steps from 0 to 1, at least two. A
  /// covariance of fewer rows than numbers gets the least ridge that makes it invertible.
  /// kInvalidArgument: sizes that do not fit, a value that is not finite, falling quantiles.
  static Result<EmbeddingReference> Create(std::vector<double> mean,
                                           std::span<const double> covariance,
                                           std::vector<double> distance_quantiles);

  std::size_t numbers() const { return mean_.size(); }

  /// `embedding` has numbers() values. Not a number when one of them is not.
  double SquaredDistance(std::span<const float> embedding) const;

  /// The distance below which this share of the reference lies, between two steps on a line.
  double DistanceAt(double quantile) const;

 private:
  EmbeddingReference() = default;

  std::vector<double> mean_;
  std::vector<double> root_;  // Cholesky's lower triangle of the covariance, row by row.
  std::vector<double> distance_quantiles_;
};

}  // namespace tidewheel::inference
