#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"
#include "tidewheel/stats/sort_numbers.h"

namespace tidewheel::stats::internal {

inline Error Invalid(std::string message) {
  return {ErrorCode::kInvalidArgument, std::move(message)};
}

inline Error NotApplicable(std::string reason) {
  return {ErrorCode::kFailedPrecondition, "not applicable, because " + std::move(reason)};
}

/// kInvalidArgument: empty, or which value is NaN or infinite.
template <typename T>
Result<void> CheckSample(std::span<const T> values, std::string_view name) {
  if (values.empty()) return Invalid("the " + std::string(name) + " sample is empty");
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      return Invalid("value " + std::to_string(i) + " of the " + std::string(name) +
                     " sample is not a finite number");
    }
  }
  return {};
}

template <typename T>
Result<void> CheckSamples(std::span<const T> reference, std::span<const T> current) {
  if (auto good = CheckSample(reference, "reference"); !good) return good;
  return CheckSample(current, "current");
}

/// kInvalidArgument: empty, a shape that does not fit, or which row and column is not finite.
inline Result<void> CheckMatrix(const MatrixView<double>& matrix, std::string_view name) {
  if (matrix.rows == 0 || matrix.columns == 0) {
    return Invalid("the " + std::string(name) + " has no rows or no columns");
  }
  if (!matrix.Fits()) {
    return Invalid("the " + std::string(name) + " of " + std::to_string(matrix.rows) + " x " +
                   std::to_string(matrix.columns) + " does not fit its " +
                   std::to_string(matrix.values.size()) + " values");
  }
  for (std::size_t i = 0; i < matrix.values.size(); ++i) {
    if (!std::isfinite(matrix.values[i])) {
      return Invalid("row " + std::to_string(i / matrix.columns) + ", column " +
                     std::to_string(i % matrix.columns) + " of the " + std::string(name) +
                     " is not a finite number");
    }
  }
  return {};
}

inline Result<void> CheckMatrices(const MatrixView<double>& reference,
                                  const MatrixView<double>& current) {
  if (auto good = CheckMatrix(reference, "reference"); !good) return good;
  if (auto good = CheckMatrix(current, "current"); !good) return good;
  if (reference.columns != current.columns) {
    return Invalid("the reference has " + std::to_string(reference.columns) +
                   " columns and the current rows have " + std::to_string(current.columns));
  }
  return {};
}

/// A sorted copy with an infinity after the last value, which a merge need not watch for.
template <typename T>
std::vector<T> SortedWithGuard(std::span<const T> values) {
  std::vector<T> sorted;
  sorted.reserve(values.size() + 1);
  sorted.assign(values.begin(), values.end());
  SortNumbers(std::span<T>(sorted));
  sorted.push_back(std::numeric_limits<T>::infinity());
  return sorted;
}

/// Calls `visit(value, of_first, of_second, next)` for each distinct value of two sorted samples in
/// order: how many of each equal it, and the next distinct value (infinity after the last). Both
/// end with a guard (SortedWithGuard).
template <typename T, typename Visit>
void VisitDistinct(const std::vector<T>& first, const std::vector<T>& second, Visit visit) {
  const std::size_t first_size = first.size() - 1;
  const std::size_t second_size = second.size() - 1;
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < first_size || j < second_size) {
    const T value = first[i] < second[j] ? first[i] : second[j];
    const std::size_t i0 = i;
    const std::size_t j0 = j;
    while (first[i] == value) ++i;
    while (second[j] == value) ++j;
    visit(value, i - i0, j - j0, first[i] < second[j] ? first[i] : second[j]);
  }
}

}  // namespace tidewheel::stats::internal
