#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"
#include "tidewheel/cli/readers/npy_reader.h"
#include "tidewheel/cli/readers/number_table.h"

namespace tidewheel::cli {

/// A matrix of numbers from a .npy file (float32 and float64 as they lie in the file) or from a CSV
/// whose columns are all numbers.
class NumberMatrix {
 public:
  /// kInvalidArgument: neither one nor two dimensions, or a column that is no number; and the
  /// readers' errors.
  static Result<NumberMatrix> Read(const std::filesystem::path& path);

  std::size_t rows() const;
  std::size_t columns() const;

  /// Calls `work` with the MatrixView of what the file holds, float or double.
  template <typename Work>
  auto Visit(const Work& work) const {
    if (const auto* floats = std::get_if<NpyNumbers<float>>(&numbers_)) {
      return work(floats->Matrix());
    }
    return work(Doubles());
  }

 private:
  struct Owned {
    std::vector<double> values;
    std::size_t rows = 0;
    std::size_t columns = 0;
  };
  explicit NumberMatrix(std::variant<NpyNumbers<float>, NpyNumbers<double>, Owned> numbers)
      : numbers_(std::move(numbers)) {}
  MatrixView<double> Doubles() const;

  std::variant<NpyNumbers<float>, NpyNumbers<double>, Owned> numbers_;
};

/// Whole numbers, one a row: a .npy file of one dimension, or a CSV with a single column or one
/// that is called `column`. kInvalidArgument names the file and what it holds instead.
Result<std::vector<std::int32_t>> ReadIntegers(const std::filesystem::path& path,
                                               const std::string& column);

/// Names as indices: numbers in their order, then other texts in theirs.
class Names {
 public:
  /// All texts of the columns given.
  static Names Of(const std::vector<const TableColumn*>& columns);
  static Names Of(const std::vector<TableColumn>& columns);

  std::size_t size() const { return names_.size(); }
  const std::string& operator[](std::size_t index) const { return names_[index]; }
  const std::string& operator[](std::int32_t index) const {
    return names_[static_cast<std::size_t>(index)];
  }
  /// -1: no such name.
  std::int32_t Find(const std::string& name) const;
  /// One a row; -1 where missing or unknown.
  std::vector<std::int32_t> IndicesOf(const TableColumn& column) const;

 private:
  std::vector<std::string> names_;
};

/// A column that has a value in every row; kInvalidArgument names the first row without one.
Result<void> RequireComplete(const TableColumn& column, const std::filesystem::path& path);

/// "0.1234", "-" for none.
std::string FormatShare(double value);
/// "12.3 %".
std::string FormatPercent(double share);
/// "[0.1, 0.2]".
std::string FormatInterval(double low, double high, int digits = 4);
/// Four significant digits.
std::string FormatShort(double value);

}  // namespace tidewheel::cli
