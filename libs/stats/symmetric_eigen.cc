#include "tidewheel/stats/symmetric_eigen.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>

#include "tidewheel/stats/internal/samples.h"

namespace tidewheel::stats {
namespace {

constexpr std::size_t kMostRows = 512;
constexpr int kMostSweeps = 60;

/// (x, y) becomes (cosine x - sine y, sine x + cosine y), element by element.
void Rotate(double* x, double* y, std::size_t size, std::size_t stride, double cosine,
            double sine) {
  for (std::size_t i = 0; i < size * stride; i += stride) {
    const double a = x[i];
    const double b = y[i];
    x[i] = cosine * a - sine * b;
    y[i] = sine * a + cosine * b;
  }
}

}  // namespace

Result<SymmetricEigen> EigenOfSymmetric(MatrixView<double> matrix) {
  if (const auto good = internal::CheckMatrix(matrix, "matrix"); !good) return good.error();
  const std::size_t size = matrix.rows;
  if (matrix.columns != size) {
    return internal::Invalid("a matrix of " + std::to_string(size) + " x " +
                             std::to_string(matrix.columns) + " is not square");
  }
  if (size > kMostRows) {
    return internal::Invalid("a matrix of " + std::to_string(size) +
                             " rows is above the limit of " + std::to_string(kMostRows));
  }
  std::vector<double> a(matrix.values.begin(), matrix.values.end());
  double largest = 0;
  for (const double value : a) largest = std::max(largest, std::abs(value));
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (std::abs(a[i * size + j] - a[j * size + i]) > 1e-9 * largest) {
        return internal::Invalid("the matrix is not symmetric at row " + std::to_string(i) +
                                 ", column " + std::to_string(j));
      }
      a[i * size + j] = a[j * size + i] = (a[i * size + j] + a[j * size + i]) / 2;
    }
  }

  std::vector<double> vectors(size * size);
  for (std::size_t i = 0; i < size; ++i) vectors[i * size + i] = 1;
  // Below this a rotation would not change the diagonal.
  const double negligible = largest * 1e-17;
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    bool turned = false;
    for (std::size_t p = 0; p + 1 < size; ++p) {
      for (std::size_t q = p + 1; q < size; ++q) {
        const double off = a[p * size + q];
        if (std::abs(off) <= negligible) continue;
        turned = true;
        const double ratio = (a[q * size + q] - a[p * size + p]) / (2 * off);
        const double tangent = std::copysign(1 / (std::abs(ratio) + std::hypot(1.0, ratio)), ratio);
        const double cosine = 1 / std::hypot(1.0, tangent);
        const double sine = tangent * cosine;
        Rotate(&a[p * size], &a[q * size], size, 1, cosine, sine);
        Rotate(&a[p], &a[q], size, size, cosine, sine);
        a[p * size + q] = a[q * size + p] = 0;
        Rotate(&vectors[p * size], &vectors[q * size], size, 1, cosine, sine);
      }
    }
    if (!turned) break;
  }

  std::vector<std::size_t> order(size);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t x, std::size_t y) { return a[x * size + x] > a[y * size + y]; });
  SymmetricEigen eigen;
  eigen.values.reserve(size);
  eigen.vectors.reserve(size * size);
  for (const std::size_t k : order) {
    eigen.values.push_back(a[k * size + k]);
    const auto row = std::span<const double>(vectors).subspan(k * size, size);
    const auto top = std::max_element(row.begin(), row.end(), [](double x, double y) {
      // Equal up to rounding counts as equal, so that the first one gives the sign.
      return std::abs(x) < std::abs(y) - 1e-12;
    });
    const double sign = *top < 0 ? -1 : 1;
    for (const double component : row) eigen.vectors.push_back(sign * component);
  }
  return eigen;
}

}  // namespace tidewheel::stats
