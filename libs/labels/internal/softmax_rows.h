#pragma once

#include <cstddef>

namespace tidewheel::labels::internal {

/// Log-posteriors to posteriors in place, row by row; returns the sum of the rows' log-sums. The
/// same bits whatever the processor.
double SoftmaxRows(double* values, std::size_t rows, std::size_t classes);

}  // namespace tidewheel::labels::internal
