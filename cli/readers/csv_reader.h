#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/cli/readers/input_file.h"

namespace tidewheel::cli {

/// One line of a table. Fields stand in the order of the header.
struct CsvRow {
  std::uint64_t line = 0;  // Where it begins in the file, from 1.
  std::vector<std::string> fields;
};

/// Reads comma-separated values with a header (RFC 4180; also LF line ends, a byte-order mark, and
/// gzip around it) one row at a time. Bounds: 4,096 columns, 64 KiB a field, 16 MiB a row, UTF-8
/// without NUL.
class CsvReader {
 public:
  /// Reads the header. kInvalidArgument: none, two columns of one name, or a bound.
  static Result<CsvReader> Open(const std::filesystem::path& path);
  static Result<CsvReader> Of(InputFile file);

  const std::vector<std::string>& columns() const { return columns_; }
  /// Place of a column; none when there is no such.
  std::optional<std::size_t> Find(std::string_view column) const;

  /// The next row, none at the end. Rows of another number of fields than the header are errors
  /// (kInvalidArgument with file and line), as is a quote that is never closed; after an error the
  /// reader is of no use.
  Result<std::optional<CsvRow>> Next();

 private:
  explicit CsvReader(InputFile file);

  // -1 at the end.
  Result<int> Take();
  // What the buffer still holds before the next `end`, line end or NUL.
  std::string_view TakeUntil(char end);
  Result<std::optional<CsvRow>> NextRecord();
  Error Problem(std::uint64_t line, const std::string& what) const;

  InputFile file_;
  std::vector<std::string> columns_;
  std::string buffer_;
  std::size_t position_ = 0;
  bool at_end_ = false;
  std::uint64_t line_ = 1;
};

}  // namespace tidewheel::cli
