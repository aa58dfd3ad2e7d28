#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tidewheel::cli {

/// Columns of text for people. What comes from elsewhere cannot steer the terminal: control
/// characters are shown as
/// `\xNN`.
class Table {
 public:
  /// A header that begins with `>` is a column of numbers, set to the right.
  explicit Table(std::vector<std::string> headers) : headers_(std::move(headers)) {}

  void Add(std::vector<std::string> row);
  /// Text that belongs to the last row: whole, on lines of its own below it, indented and wrapped
  /// between words. A row's own cells are cut at 200 characters.
  void Note(const std::string& text);
  bool empty() const { return rows_.empty(); }

  /// With a line end after each row; the last column is not padded.
  std::string Text() const;

 private:
  std::vector<std::string> headers_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::string> notes_;  // Of each row, with its line ends.
};

/// "2026-11-22 10:00:00"; "-" when absent.
std::string FormatTime(const google::protobuf::Timestamp& time);
/// With thin groups: "60 000".
std::string FormatCount(std::uint64_t count);
std::string FormatNumber(double value, int digits = 4);
/// "RUN_STATE_QUEUED" of prefix "RUN_STATE_" -> "queued".
std::string LowerEnum(std::string_view name, std::string_view prefix);
/// Columns a text takes on a terminal, one for each character.
std::size_t DisplayWidth(std::string_view text);

}  // namespace tidewheel::cli
