#include "tidewheel/stats/mahalanobis.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "tidewheel/stats/cholesky.h"

namespace tidewheel::stats {
namespace {

constexpr std::size_t kMostColumns = 1024;
constexpr double kLeastShrinkage = 1e-4;
constexpr double kLeastVariance = 1e-12;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

}  // namespace

Result<ShrunkCovariance> EstimateShrunkCovariance(MatrixView<double> rows) {
  if (rows.rows == 0 || rows.columns == 0 || !rows.Fits()) {
    return Bad("a covariance needs rows and columns that fit the numbers");
  }
  const std::size_t size = rows.columns;
  if (size > kMostColumns) {
    return Bad("a covariance of more than " + std::to_string(kMostColumns) + " columns");
  }
  ShrunkCovariance estimate;
  estimate.mean.assign(size, 0);
  const auto count = static_cast<double>(rows.rows);
  for (std::size_t row = 0; row < rows.rows; ++row) {
    const auto values = rows.Row(row);
    for (std::size_t i = 0; i < size; ++i) {
      if (!std::isfinite(values[i])) {
        return Bad("row " + std::to_string(row) + ", column " + std::to_string(i) +
                   " is not a finite number");
      }
      // Divided first: a sum of large values leaves the range sooner than their mean.
      estimate.mean[i] += values[i] / count;
    }
  }

  std::vector<double>& covariance = estimate.covariance;
  covariance.assign(size * size, 0);
  std::vector<double> centred(size);
  const auto centre = [&](std::size_t row) {
    const auto values = rows.Row(row);
    for (std::size_t i = 0; i < size; ++i) centred[i] = values[i] - estimate.mean[i];
  };
  for (std::size_t row = 0; row < rows.rows; ++row) {
    centre(row);
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t k = 0; k <= i; ++k) covariance[i * size + k] += centred[i] * centred[k];
    }
  }
  double trace = 0;
  double squares = 0;  // Squared Frobenius norm.
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t k = 0; k <= i; ++k) {
      const double element = covariance[i * size + k] / count;
      covariance[i * size + k] = covariance[k * size + i] = element;
      squares += (i == k ? 1 : 2) * element * element;
    }
    trace += covariance[i * size + i];
  }
  if (!std::isfinite(squares)) return Bad("the numbers are too large for a covariance");
  const auto columns = static_cast<double>(size);
  const double scale = std::max(trace / columns, kLeastVariance);

  // In the paper's letters: d^2, how far it is from the identity; b^2, how uncertain it is.
  const double distance = std::max(0.0, squares / columns - scale * scale);
  double spread = 0;
  for (std::size_t row = 0; row < rows.rows; ++row) {
    centre(row);
    double length = 0;
    double quadratic = 0;
    for (std::size_t i = 0; i < size; ++i) {
      length += centred[i] * centred[i];
      double sum = 0;
      for (std::size_t k = 0; k < size; ++k) sum += covariance[i * size + k] * centred[k];
      quadratic += centred[i] * sum;
    }
    spread += (length * length - 2 * quadratic + squares) / columns;
  }
  const double uncertainty = std::max(0.0, spread / (count * count));
  estimate.shrinkage = distance > 0 ? std::min(1.0, uncertainty / distance) : 1.0;
  estimate.shrinkage = std::max(estimate.shrinkage, kLeastShrinkage);
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t k = 0; k < size; ++k) {
      double& element = covariance[i * size + k];
      element *= 1 - estimate.shrinkage;
      if (i == k) element += estimate.shrinkage * scale;
    }
  }
  return estimate;
}

Result<MahalanobisDistance> MahalanobisDistance::Create(std::span<const double> mean,
                                                        std::span<const double> covariance) {
  const std::size_t size = mean.size();
  if (size == 0 || size > kMostColumns || covariance.size() != size * size) {
    return Bad("a mean of " + std::to_string(size) + " numbers does not fit a covariance of " +
               std::to_string(covariance.size()));
  }
  const auto finite = [](double number) { return std::isfinite(number); };
  if (!std::all_of(mean.begin(), mean.end(), finite) ||
      !std::all_of(covariance.begin(), covariance.end(), finite)) {
    return Bad("a mean or covariance is not a finite number");
  }
  MahalanobisDistance distance;
  distance.mean_.assign(mean.begin(), mean.end());
  distance.root_.assign(covariance.begin(), covariance.end());
  if (!FactorCholesky(distance.root_, size)) {
    return Bad("the covariance is not positive definite");
  }
  return distance;
}

template <typename T>
double MahalanobisDistance::Solve(std::span<const T> row) const {
  const std::size_t size = mean_.size();
  std::vector<double> solved(size);
  for (std::size_t i = 0; i < size; ++i) solved[i] = double{row[i]} - mean_[i];
  SolveLower(root_, size, solved);
  double sum = 0;
  for (const double number : solved) sum += number * number;
  return sum;
}

double MahalanobisDistance::Squared(std::span<const double> row) const { return Solve(row); }
double MahalanobisDistance::Squared(std::span<const float> row) const { return Solve(row); }

}  // namespace tidewheel::stats
