#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/stats/mahalanobis.h"

namespace tidewheel::inference {

/// Where the embeddings of a model's held-out inputs lay: the quantiles of their squared
/// Mahalanobis distances to their own mean. Immutable.
class EmbeddingReference {
 public:
  /// `covariance` row by row; `distance_quantiles` at equal steps from 0 to 1, at least two.
  /// kInvalidArgument: sizes that do not fit, a value that is not finite, a covariance that is
  /// none, falling quantiles.
  static Result<EmbeddingReference> Create(std::span<const double> mean,
                                           std::span<const double> covariance,
                                           std::vector<double> distance_quantiles);

  std::size_t numbers() const { return distance_.numbers(); }

  /// `embedding` has numbers() values. Not a number when one of them is not.
  double SquaredDistance(std::span<const float> embedding) const {
    return distance_.Squared(embedding);
  }

  /// The distance below which this share of the reference lies, between two steps on a line.
  double DistanceAt(double quantile) const;

 private:
  EmbeddingReference(stats::MahalanobisDistance distance, std::vector<double> distance_quantiles)
      : distance_(std::move(distance)), distance_quantiles_(std::move(distance_quantiles)) {}

  stats::MahalanobisDistance distance_;
  std::vector<double> distance_quantiles_;
};

}  // namespace tidewheel::inference
