#include "tidewheel/labels/internal/softmax_rows.h"

#include "tidewheel/labels/internal/vector_math.h"
#include "tidewheel/stats/internal/target_clones.h"

// Compiled with -O3 and -ffp-contract=off.
namespace tidewheel::labels::internal {

namespace {

/// One exponential a row instead of two.
TIDEWHEEL_TARGET_CLONES double SoftmaxPairs(double* __restrict values, std::size_t rows) {
  constexpr std::size_t kBlock = 64;
  double less[kBlock];
  double log_sum = 0;
  for (std::size_t first = 0; first < rows; first += kBlock) {
    double* const p = values + 2 * first;
    const std::size_t here = rows - first < kBlock ? rows - first : kBlock;
    for (std::size_t i = 0; i < here; ++i) {
      const double ahead = p[2 * i] - p[2 * i + 1];
      less[i] = ahead > 0 ? -ahead : ahead;
      log_sum += ahead > 0 ? p[2 * i] : p[2 * i + 1];
    }
    for (std::size_t i = 0; i < here; ++i) less[i] = ExpNotAbove0(less[i]);
    double product = 1;
    for (std::size_t i = 0; i < here; ++i) {
      const double sum = 1 + less[i];
      product *= sum;
      const double more = 1 / sum;
      const double rest = less[i] * more;
      const bool first_leads = p[2 * i] > p[2 * i + 1];
      p[2 * i] = first_leads ? more : rest;
      p[2 * i + 1] = first_leads ? rest : more;
    }
    log_sum += LogOfPositive(product);
  }
  return log_sum;
}

TIDEWHEEL_TARGET_CLONES double SoftmaxMany(double* values, std::size_t rows, std::size_t classes) {
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

}  // namespace

double SoftmaxRows(double* values, std::size_t rows, std::size_t classes) {
  return classes == 2 ? SoftmaxPairs(values, rows) : SoftmaxMany(values, rows, classes);
}

}  // namespace tidewheel::labels::internal
