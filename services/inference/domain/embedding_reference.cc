#include "tidewheel/inference/domain/embedding_reference.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tidewheel::inference {

Result<EmbeddingReference> EmbeddingReference::Create(std::span<const double> mean,
                                                      std::span<const double> covariance,
                                                      std::vector<double> distance_quantiles) {
  if (distance_quantiles.size() < 2) {
    return Error{ErrorCode::kInvalidArgument, "at least two quantiles of distances are needed"};
  }
  if (!std::all_of(distance_quantiles.begin(), distance_quantiles.end(),
                   [](double quantile) { return std::isfinite(quantile); }) ||
      !std::is_sorted(distance_quantiles.begin(), distance_quantiles.end())) {
    return Error{ErrorCode::kInvalidArgument, "the quantiles of distances fall, or are not finite"};
  }
  auto distance = stats::MahalanobisDistance::Create(mean, covariance);
  if (!distance) return distance.error();
  return EmbeddingReference(*std::move(distance), std::move(distance_quantiles));
}

double EmbeddingReference::DistanceAt(double quantile) const {
  const double last = static_cast<double>(distance_quantiles_.size() - 1);
  const double place = std::clamp(quantile, 0.0, 1.0) * last;
  const double below = std::floor(place);
  const auto index = static_cast<std::size_t>(below);
  if (index + 1 >= distance_quantiles_.size()) return distance_quantiles_.back();
  const double low = distance_quantiles_[index];
  return low + (place - below) * (distance_quantiles_[index + 1] - low);
}

}  // namespace tidewheel::inference
