#include "tidewheel/cli/analyze/inputs.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "tidewheel/cli/output/table.h"

namespace tidewheel::cli {
namespace {

bool IsNpy(const std::filesystem::path& path) { return path.extension() == ".npy"; }

std::optional<double> NumberOf(const std::string& text) {
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Numbers by size, then texts by their letters.
bool NameBefore(const std::string& a, const std::string& b) {
  const auto first = NumberOf(a);
  const auto second = NumberOf(b);
  if (first && second && *first != *second) return *first < *second;
  if (first.has_value() != second.has_value()) return first.has_value();
  return a < b;
}

std::string ShapeText(const std::vector<std::uint64_t>& shape) {
  std::string text = "(";
  for (const std::uint64_t extent : shape) text += std::to_string(extent) + ", ";
  return text + ")";
}

}  // namespace

Result<NumberMatrix> NumberMatrix::Read(const std::filesystem::path& path) {
  if (IsNpy(path)) {
    const auto file = NpyFile::Open(path);
    if (!file) return file.error();
    const auto& shape = file->header().shape;
    if (shape.empty() || shape.size() > 2) {
      return Error{
          ErrorCode::kInvalidArgument,
          path.string() + ": one or two dimensions are wanted, not shape " + ShapeText(shape)};
    }
    if (auto floats = file->Floats()) return NumberMatrix(*std::move(floats));
    auto doubles = file->Doubles();
    if (!doubles) return doubles.error();
    return NumberMatrix(*std::move(doubles));
  }
  const auto table = NumberTable::Read(path);
  if (!table) return table.error();
  Owned owned{.values = {}, .rows = table->rows(), .columns = table->columns().size()};
  owned.values.resize(owned.rows * owned.columns);
  for (std::size_t c = 0; c < owned.columns; ++c) {
    const auto numbers = table->Numbers(table->columns()[c].name);
    if (!numbers) return numbers.error();
    for (std::size_t r = 0; r < owned.rows; ++r) {
      owned.values[r * owned.columns + c] = (*numbers)[r];
    }
  }
  return NumberMatrix(std::move(owned));
}

MatrixView<double> NumberMatrix::Doubles() const {
  if (const auto* doubles = std::get_if<NpyNumbers<double>>(&numbers_)) return doubles->Matrix();
  const auto& owned = std::get<Owned>(numbers_);
  return {owned.values, owned.rows, owned.columns};
}

std::size_t NumberMatrix::rows() const {
  return Visit([](const auto& matrix) { return matrix.rows; });
}

std::size_t NumberMatrix::columns() const {
  return Visit([](const auto& matrix) { return matrix.columns; });
}

Result<std::vector<std::int32_t>> ReadIntegers(const std::filesystem::path& path,
                                               const std::string& column) {
  if (IsNpy(path)) {
    const auto file = NpyFile::Open(path);
    if (!file) return file.error();
    const auto& shape = file->header().shape;
    if (shape.size() != 1 && !(shape.size() == 2 && shape[1] == 1)) {
      return Error{ErrorCode::kInvalidArgument,
                   path.string() + ": one dimension is wanted, not shape " + ShapeText(shape)};
    }
    const auto numbers = file->Integers();
    if (!numbers) return numbers.error();
    return std::vector<std::int32_t>(numbers->values.begin(), numbers->values.end());
  }
  const auto table = NumberTable::Read(path);
  if (!table) return table.error();
  const std::string name = table->columns().size() == 1 ? table->columns()[0].name : column;
  const auto numbers = table->Numbers(name);
  if (!numbers) return numbers.error();
  std::vector<std::int32_t> integers;
  integers.reserve(numbers->size());
  for (const double value : *numbers) {
    const bool whole =
        value == std::floor(value) && std::abs(value) <= std::numeric_limits<std::int32_t>::max();
    if (!whole) {
      return Error{ErrorCode::kInvalidArgument, path.string() + ", row " +
                                                    std::to_string(integers.size()) + ", column " +
                                                    name + ": a whole number is wanted"};
    }
    integers.push_back(static_cast<std::int32_t>(value));
  }
  return integers;
}

Names Names::Of(const std::vector<TableColumn>& columns) {
  std::vector<const TableColumn*> pointers;
  for (const TableColumn& column : columns) pointers.push_back(&column);
  return Of(pointers);
}

Names Names::Of(const std::vector<const TableColumn*>& columns) {
  Names names;
  for (const TableColumn* column : columns) {
    names.names_.insert(names.names_.end(), column->texts.begin(), column->texts.end());
  }
  std::sort(names.names_.begin(), names.names_.end(), NameBefore);
  names.names_.erase(std::unique(names.names_.begin(), names.names_.end()), names.names_.end());
  return names;
}

std::int32_t Names::Find(const std::string& name) const {
  const auto found = std::lower_bound(names_.begin(), names_.end(), name, NameBefore);
  if (found == names_.end() || *found != name) return -1;
  return static_cast<std::int32_t>(found - names_.begin());
}

std::vector<std::int32_t> Names::IndicesOf(const TableColumn& column) const {
  std::vector<std::int32_t> index_of_code;
  for (const std::string& text : column.texts) index_of_code.push_back(Find(text));
  std::vector<std::int32_t> indices;
  indices.reserve(column.codes.size());
  for (const std::int32_t code : column.codes) {
    indices.push_back(code < 0 ? -1 : index_of_code[static_cast<std::size_t>(code)]);
  }
  return indices;
}

Result<void> RequireComplete(const TableColumn& column, const std::filesystem::path& path) {
  if (column.missing == 0) return {};
  const auto first =
      column.IsNumbers()
          ? std::find_if(column.numbers.begin(), column.numbers.end(),
                         [](double value) { return std::isnan(value); }) -
                column.numbers.begin()
          : std::find(column.codes.begin(), column.codes.end(), -1) - column.codes.begin();
  return Error{ErrorCode::kInvalidArgument, path.string() + ", column " + column.name + ": row " +
                                                std::to_string(first) + " has no value"};
}

std::string FormatShare(double value) { return std::isfinite(value) ? FormatNumber(value) : "-"; }

std::string FormatPercent(double share) { return FormatNumber(100 * share, 1) + " %"; }

std::string FormatInterval(double low, double high, int digits) {
  return "[" + FormatNumber(low, digits) + ", " + FormatNumber(high, digits) + "]";
}

std::string FormatShort(double value) {
  if (!std::isfinite(value)) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

}  // namespace tidewheel::cli
