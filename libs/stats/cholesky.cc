#include "tidewheel/stats/cholesky.h"

#include <cmath>

namespace tidewheel::stats {

bool FactorCholesky(std::span<double> matrix, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double rest = matrix[i * size + j];
      for (std::size_t k = 0; k < j; ++k) rest -= matrix[i * size + k] * matrix[j * size + k];
      if (i != j) {
        matrix[i * size + j] = rest / matrix[j * size + j];
      } else if (rest > 0) {
        matrix[i * size + i] = std::sqrt(rest);
      } else {
        return false;
      }
    }
  }
  return true;
}

void SolveLower(std::span<const double> root, std::size_t size, std::span<double> values) {
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t k = 0; k < i; ++k) values[i] -= root[i * size + k] * values[k];
    values[i] /= root[i * size + i];
  }
}

void SolveCholesky(std::span<const double> root, std::size_t size, std::span<double> values) {
  SolveLower(root, size, values);
  for (std::size_t i = size; i-- > 0;) {
    for (std::size_t k = i + 1; k < size; ++k) values[i] -= root[k * size + i] * values[k];
    values[i] /= root[i * size + i];
  }
}

}  // namespace tidewheel::stats
