#include "tidewheel/labels/internal/softmax_rows.h"

#include "tidewheel/labels/internal/vector_math.h"
#include "tidewheel/stats/internal/target_clones.h"

// Compiled with -O3 and -ffp-contract=off.
namespace tidewheel::labels::internal {

TIDEWHEEL_TARGET_CLONES double SoftmaxRows(double* values, std::size_t rows, std::size_t classes) {
  double log_sum = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    double* const p = values + i * classes;
    double largest = p[0];
    for (std::size_t k = 1; k < classes; ++k) largest = p[k] > largest ? p[k] : largest;
    for (std::size_t k = 0; k < classes; ++k) p[k] -= largest;
    log_sum += largest;
  }
  const std::size_t all = rows * classes;
  for (std::size_t n = 0; n < all; ++n) values[n] = ExpNotAbove0(values[n]);
  double product = 1;
  for (std::size_t i = 0; i < rows; ++i) {
    double* const p = values + i * classes;
    double sum = 0;
    for (std::size_t k = 0; k < classes; ++k) sum += p[k];
    product *= sum;
    if (product > 1e200) {
      log_sum += LogOfPositive(product);
      product = 1;
    }
    const double inverse = 1 / sum;
    for (std::size_t k = 0; k < classes; ++k) p[k] *= inverse;
  }
  return log_sum + LogOfPositive(product);
}

}  // namespace tidewheel::labels::internal
