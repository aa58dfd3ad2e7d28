#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/internal/samples.h"
#include "tidewheel/stats/internal/standardize.h"
#include "tidewheel/stats/many_features.h"
#include "tidewheel/stats/special.h"
#include "tidewheel/stats/symmetric_eigen.h"

namespace tidewheel::stats {
namespace {

constexpr std::size_t kFewestReferenceRows = 40;
constexpr std::size_t kFewestCurrentRows = 20;

/// Mean products of the columns, which are standardised: their correlations.
std::vector<double> Correlations(const MatrixView<double>& rows) {
  const std::size_t columns = rows.columns;
  std::vector<double> sums(columns * columns);
  for (std::size_t row = 0; row < rows.rows; ++row) {
    const auto values = rows.Row(row);
    for (std::size_t i = 0; i < columns; ++i) {
      for (std::size_t j = 0; j <= i; ++j) sums[i * columns + j] += values[i] * values[j];
    }
  }
  for (std::size_t i = 0; i < columns; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      sums[i * columns + j] /= static_cast<double>(rows.rows);
      sums[j * columns + i] = sums[i * columns + j];
    }
  }
  return sums;
}

struct MeanError {
  double mean = 0;
  double squared_error = 0;  // Of the mean.
};

/// Distance of each row to its projection on the first components.
MeanError Reconstruct(const MatrixView<double>& rows, const SymmetricEigen& eigen,
                      std::size_t components) {
  std::vector<double> errors;
  std::vector<double> left(rows.columns);
  for (std::size_t row = 0; row < rows.rows; ++row) {
    const auto values = rows.Row(row);
    std::copy(values.begin(), values.end(), left.begin());
    for (std::size_t k = 0; k < components; ++k) {
      const double* direction = eigen.vectors.data() + k * rows.columns;
      double score = 0;
      for (std::size_t c = 0; c < rows.columns; ++c) score += values[c] * direction[c];
      for (std::size_t c = 0; c < rows.columns; ++c) left[c] -= score * direction[c];
    }
    double squares = 0;
    for (const double value : left) squares += value * value;
    errors.push_back(std::sqrt(squares));
  }
  const auto n = static_cast<double>(errors.size());
  MeanError result;
  for (const double error : errors) result.mean += error / n;
  for (const double error : errors) {
    result.squared_error += (error - result.mean) * (error - result.mean) / (n * (n - 1));
  }
  return result;
}

Estimate WithInterval(double value, double squared_error, double z) {
  const double half = z * std::sqrt(squared_error);
  return {value, {value - half, value + half}};
}

}  // namespace

Result<PcaReconstruction> PcaReconstructionError(MatrixView<double> reference,
                                                 MatrixView<double> current,
                                                 const PcaOptions& options) {
  if (const auto good = internal::CheckMatrices(reference, current); !good) return good.error();
  if (!(options.explained > 0 && options.explained < 1)) {
    return internal::Invalid("the explained share is above 0 and below 1");
  }
  if (!(options.confidence > 0 && options.confidence < 1)) {
    return internal::Invalid("confidence is above 0 and below 1");
  }
  const std::size_t columns = reference.columns;
  if (columns < 2) {
    return internal::NotApplicable("one column has no other that could reconstruct it");
  }
  const std::size_t fewest = std::max(kFewestReferenceRows, 2 * (columns + 1));
  if (reference.rows < fewest) {
    return internal::NotApplicable("a reference of " + std::to_string(reference.rows) +
                                   " rows is below the " + std::to_string(fewest) + " that " +
                                   std::to_string(columns) + " columns need");
  }
  if (current.rows < kFewestCurrentRows) {
    return internal::NotApplicable(std::to_string(current.rows) + " current rows are below the " +
                                   std::to_string(kFewestCurrentRows) + " that an interval needs");
  }

  std::vector<std::size_t> order(reference.rows);
  std::iota(order.begin(), order.end(), std::size_t{0});
  Random random(options.seed);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
  std::vector<double> shuffled;
  shuffled.reserve(reference.values.size());
  for (const std::size_t row : order) {
    shuffled.insert(shuffled.end(), reference.Row(row).begin(), reference.Row(row).end());
  }
  const std::size_t half = reference.rows / 2;
  const auto all = std::span<const double>(shuffled);
  const MatrixView<double> fitted{all.first(half * columns), half, columns};
  const MatrixView<double> held_out{all.subspan(half * columns), reference.rows - half, columns};

  const auto scale = internal::ColumnScale::Of(fitted);
  if (!scale) return scale.error();
  const auto fitted_scaled = scale->Applied(fitted);
  const auto correlations = Correlations({fitted_scaled, fitted.rows, columns});
  const auto eigen = EigenOfSymmetric({correlations, columns, columns});
  if (!eigen) return eigen.error();

  PcaReconstruction result;
  double held = 0;
  // The variances of standardised columns add up to their number.
  while (result.components + 1 < columns &&
         held < options.explained * static_cast<double>(columns)) {
    held += eigen->values[result.components++];
  }
  const auto held_out_scaled = scale->Applied(held_out);
  const auto current_scaled = scale->Applied(current);
  const auto before =
      Reconstruct({held_out_scaled, held_out.rows, columns}, *eigen, result.components);
  const auto now = Reconstruct({current_scaled, current.rows, columns}, *eigen, result.components);
  const double z = NormalQuantile(0.5 + options.confidence / 2);
  const double squared_error = before.squared_error + now.squared_error;
  result.reference_error = WithInterval(before.mean, before.squared_error, z);
  result.current_error = WithInterval(now.mean, now.squared_error, z);
  result.difference = WithInterval(now.mean - before.mean, squared_error, z);
  if (!std::isfinite(squared_error) || !std::isfinite(now.mean)) {
    return Error{ErrorCode::kOutOfRange, "the reconstruction error is above the range of a double"};
  }
  if (squared_error > 0) {
    result.p_value = std::erfc(std::abs(result.difference.value) / std::sqrt(2 * squared_error));
  } else {
    result.p_value = result.difference.value == 0 ? 1 : 0;
  }
  return result;
}

}  // namespace tidewheel::stats
