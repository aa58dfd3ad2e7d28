#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"
#include "tidewheel/stats/internal/samples.h"

namespace tidewheel::stats::internal {

/// Mean and standard deviation (divisor n) of each column.
struct ColumnScale {
  std::vector<double> mean;
  std::vector<double> deviation;

  /// kFailedPrecondition: a constant column.
  static Result<ColumnScale> Of(const MatrixView<double>& matrix) {
    ColumnScale scale{std::vector<double>(matrix.columns), std::vector<double>(matrix.columns)};
    const auto rows = static_cast<double>(matrix.rows);
    for (std::size_t row = 0; row < matrix.rows; ++row) {
      for (std::size_t c = 0; c < matrix.columns; ++c) {
        scale.mean[c] += matrix.Row(row)[c] / rows;
      }
    }
    std::vector<bool> varies(matrix.columns);
    for (std::size_t row = 0; row < matrix.rows; ++row) {
      for (std::size_t c = 0; c < matrix.columns; ++c) {
        const double value = matrix.Row(row)[c];
        const double difference = value - scale.mean[c];
        scale.deviation[c] += difference * difference / rows;
        if (value != matrix.Row(0)[c]) varies[c] = true;
      }
    }
    for (std::size_t c = 0; c < matrix.columns; ++c) {
      scale.deviation[c] = std::sqrt(scale.deviation[c]);
      if (!varies[c] || !(scale.deviation[c] > 0)) {
        return NotApplicable("column " + std::to_string(c) + " of the reference is constant");
      }
      if (!std::isfinite(scale.deviation[c])) {
        return Error{ErrorCode::kOutOfRange, "the standard deviation of column " +
                                                 std::to_string(c) +
                                                 " is above the range of a double"};
      }
    }
    return scale;
  }

  std::vector<double> Applied(const MatrixView<double>& matrix) const {
    std::vector<double> scaled(matrix.values.begin(), matrix.values.end());
    for (std::size_t i = 0; i < scaled.size(); ++i) {
      const std::size_t c = i % matrix.columns;
      scaled[i] = (scaled[i] - mean[c]) / deviation[c];
    }
    return scaled;
  }
};

}  // namespace tidewheel::stats::internal
