#include "tidewheel/inference/domain/embedding_reference.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace tidewheel::inference {
namespace {

/// Of the mean variance. What varies less than this beside the rest is rounding.
constexpr double kLeastPivot = 1e-10;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

bool AllFinite(std::span<const double> numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [](double x) { return std::isfinite(x); });
}

/// Cholesky's decomposition of `matrix` + `ridge` on its diagonal; false: not positive definite, by
/// as much as `least` on every pivot.
bool Decompose(std::span<const double> matrix, std::size_t size, double ridge, double least,
               std::vector<double>& root) {
  root.assign(size * size, 0);
  for (std::size_t row = 0; row < size; ++row) {
    for (std::size_t column = 0; column <= row; ++column) {
      double rest = matrix[row * size + column];
      for (std::size_t k = 0; k < column; ++k) {
        rest -= root[row * size + k] * root[column * size + k];
      }
      if (column < row) {
        root[row * size + column] = rest / root[column * size + column];
        continue;
      }
      rest += ridge;
      // Written so that a NaN fails.
      if (!(rest > least)) return false;
      root[row * size + row] = std::sqrt(rest);
    }
  }
  return true;
}

}  // namespace

Result<EmbeddingReference> EmbeddingReference::Create(std::vector<double> mean,
                                                      std::span<const double> covariance,
                                                      std::vector<double> distance_quantiles) {
  const std::size_t size = mean.size();
  if (size == 0) return Bad("an embedding has at least one number");
  if (covariance.size() != size * size) {
    return Bad("a covariance of " + std::to_string(size) + " numbers has " +
               std::to_string(size * size) + " values, this one has " +
               std::to_string(covariance.size()));
  }
  if (distance_quantiles.size() < 2) return Bad("at least two quantiles of distances are needed");
  if (!AllFinite(mean) || !AllFinite(covariance) || !AllFinite(distance_quantiles)) {
    return Bad("a value is not finite");
  }
  if (!std::is_sorted(distance_quantiles.begin(), distance_quantiles.end())) {
    return Bad("the quantiles of distances fall");
  }

  EmbeddingReference reference;
  double trace = 0;
  for (std::size_t i = 0; i < size; ++i) trace += std::abs(covariance[i * size + i]);
  const double scale = trace > 0 ? trace / static_cast<double>(size) : 1;
  double ridge = 0;
  while (!Decompose(covariance, size, ridge, kLeastPivot * scale, reference.root_)) {
    if (ridge > scale) return Bad("the covariance is not one: it has a negative eigenvalue");
    ridge = ridge == 0 ? 2 * kLeastPivot * scale : ridge * 10;
  }
  reference.mean_ = std::move(mean);
  reference.distance_quantiles_ = std::move(distance_quantiles);
  return reference;
}

double EmbeddingReference::SquaredDistance(std::span<const float> embedding) const {
  const std::size_t size = mean_.size();
  std::vector<double> solved(size);
  double sum = 0;
  for (std::size_t row = 0; row < size; ++row) {
    double rest = double{embedding[row]} - mean_[row];
    for (std::size_t k = 0; k < row; ++k) rest -= root_[row * size + k] * solved[k];
    solved[row] = rest / root_[row * size + row];
    sum += solved[row] * solved[row];
  }
  return sum;
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
