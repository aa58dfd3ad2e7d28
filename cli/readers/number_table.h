#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/cli/readers/csv_reader.h"

namespace tidewheel::cli {

/// What a column is read as. kAuto: numbers if every field is one or missing, else texts.
enum class ColumnKind { kAuto, kNumbers, kTexts };

/// One column. Either `numbers` or `codes` has one entry a row, the other is empty.
struct TableColumn {
  std::string name;
  std::vector<double> numbers;      // NaN where missing.
  std::vector<std::int32_t> codes;  // Into `texts`; -1 where missing.
  std::vector<std::string> texts;   // Distinct, in the order of their first row.
  std::uint64_t missing = 0;
  // Of texts that were asked for as kAuto: why the column has no numbers, with file and line.
  std::string why_texts;

  bool IsNumbers() const { return codes.empty(); }
};

struct TableOptions {
  struct Wanted {
    std::string name;
    ColumnKind kind = ColumnKind::kAuto;
  };
  /// Which columns, in which order; empty: all of the file as kAuto.
  std::vector<Wanted> columns = {};
  /// Fields that say there is no value, as they stand or with blanks around.
  std::vector<std::string> missing = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"};
  std::uint64_t rows = 100'000'000;  // At most.
};

/// A CSV file (bounds and dialect: CsvReader; gzip too) as columns of numbers and texts.
class NumberTable {
 public:
  /// Numbers are decimal with an optional sign, point and exponent, or `inf`; blanks around them
  /// are no matter. Texts are kept as they stand. kNotFound: a wanted column that is not there (the
  /// message lists those that are); kInvalidArgument names file, line and column of a field that is
  /// no number where numbers are wanted, or a table without a row; kOutOfRange: more rows than the
  /// limit; CsvReader's errors. O(file) time; where a column turns out to be texts after fields
  /// that could be numbers, the file is read a second time.
  static Result<NumberTable> Read(const std::filesystem::path& path,
                                  const TableOptions& options = {});
  /// The same for a text in memory (not gzip); `name` takes the file's place in messages.
  static Result<NumberTable> ReadText(std::string_view text, const std::string& name,
                                      const TableOptions& options = {});

  std::size_t rows() const { return rows_; }
  const std::vector<TableColumn>& columns() const { return columns_; }

  /// None of that name: kNotFound.
  Result<const TableColumn*> Find(std::string_view name) const;
  /// The column's numbers; kInvalidArgument with file and line of the first field that is none.
  Result<std::span<const double>> Numbers(std::string_view name) const;

 private:
  NumberTable() = default;
  static Result<NumberTable> ReadFrom(const std::function<Result<CsvReader>()>& open,
                                      std::string name, const TableOptions& options);

  std::string name_;
  std::size_t rows_ = 0;
  std::vector<TableColumn> columns_;
};

}  // namespace tidewheel::cli
