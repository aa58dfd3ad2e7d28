#include "tidewheel/cli/readers/csv_reader.h"

#include <algorithm>
#include <utility>

#include "tidewheel/cli/readers/text_rules.h"

namespace tidewheel::cli {
namespace {

constexpr std::size_t kMaxColumns = 4096;
constexpr std::size_t kMaxRowBytes = 16 * 1024 * 1024;
constexpr std::size_t kMaxFieldBytes = 64 * 1024;
constexpr std::size_t kBufferBytes = 64 * 1024;

}  // namespace

CsvReader::CsvReader(InputFile file) : file_(std::move(file)) {}

Error CsvReader::Problem(std::uint64_t line, const std::string& what) const {
  return {ErrorCode::kInvalidArgument,
          Printable(file_.path().string()) + ":" + std::to_string(line) + ": " + what};
}

Result<CsvReader> CsvReader::Open(const std::filesystem::path& path) {
  auto file = InputFile::Open(path);
  if (!file) return file.error();
  return Of(*std::move(file));
}

Result<CsvReader> CsvReader::Of(InputFile file) {
  CsvReader reader(std::move(file));
  auto header = reader.NextRecord();
  if (!header) return header.error();
  if (!header->has_value()) return reader.Problem(1, "no header line");
  auto& columns = (*header)->fields;
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (columns[0].starts_with(kByteOrderMark)) columns[0].erase(0, kByteOrderMark.size());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (std::find(columns.begin(), columns.begin() + static_cast<std::ptrdiff_t>(i), columns[i]) !=
        columns.begin() + static_cast<std::ptrdiff_t>(i)) {
      return reader.Problem(1, "two columns are named \"" + Printable(columns[i]) + "\"");
    }
  }
  reader.columns_ = std::move(columns);
  return reader;
}

std::optional<std::size_t> CsvReader::Find(std::string_view column) const {
  const auto found = std::find(columns_.begin(), columns_.end(), column);
  if (found == columns_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - columns_.begin());
}

Result<std::optional<CsvRow>> CsvReader::Next() {
  auto row = NextRecord();
  if (!row || !row->has_value()) return row;
  if ((*row)->fields.size() != columns_.size()) {
    return Problem((*row)->line, std::to_string((*row)->fields.size()) +
                                     " fields, the header has " + std::to_string(columns_.size()));
  }
  return row;
}

Result<int> CsvReader::Take() {
  if (position_ == buffer_.size()) {
    if (at_end_) return -1;
    buffer_.resize(kBufferBytes);
    const auto read = file_.Read(buffer_.data(), buffer_.size());
    if (!read) return read.error();
    at_end_ = *read < kBufferBytes;
    buffer_.resize(*read);
    position_ = 0;
    if (buffer_.empty()) return -1;
  }
  return static_cast<unsigned char>(buffer_[position_++]);
}

std::string_view CsvReader::TakeUntil(char end) {
  const std::size_t begin = position_;
  while (position_ < buffer_.size()) {
    const char c = buffer_[position_];
    if (c == end || c == '\n' || c == '\0') break;
    ++position_;
  }
  return std::string_view(buffer_).substr(begin, position_ - begin);
}

Result<std::optional<CsvRow>> CsvReader::NextRecord() {
  CsvRow row;
  row.fields.reserve(columns_.size());
  std::string field;
  enum class In { kFieldStart, kPlain, kQuoted, kAfterQuote } state = In::kFieldStart;
  row.line = line_;
  std::size_t row_bytes = 0;
  bool anything = false;
  while (true) {
    // Most bytes are just copied; the cases below see what is left.
    if (state == In::kPlain || state == In::kQuoted) {
      field += TakeUntil(state == In::kQuoted ? '"' : ',');
      if (field.size() > kMaxFieldBytes) {
        return Problem(row.line, "a field of more than " + FormatBytes(kMaxFieldBytes));
      }
    }
    const auto taken = Take();
    if (!taken) return taken.error();
    const int c = *taken;
    if (c == 0) return Problem(line_, "a NUL byte");
    if (c < 0) {
      if (state == In::kQuoted) return Problem(row.line, "a quote is never closed");
      if (!anything) return std::optional<CsvRow>();
    }
    const bool ends_row = c < 0 || (c == '\n' && state != In::kQuoted);
    if (c == '\n') ++line_;
    if (ends_row || (c == ',' && state != In::kQuoted)) {
      if (ends_row && c >= 0 && state != In::kAfterQuote && field.ends_with('\r')) field.pop_back();
      if (!IsUtf8(field)) return Problem(row.line, "not UTF-8");
      if (ends_row && row.fields.empty() && field.empty() && state != In::kAfterQuote) {
        // An empty line is no row.
        if (c < 0) return std::optional<CsvRow>();
        row.line = line_;
        anything = false;
        state = In::kFieldStart;
        continue;
      }
      if (row.fields.size() == kMaxColumns) {
        return Problem(row.line, "more than " + std::to_string(kMaxColumns) + " columns");
      }
      row_bytes += field.size();
      if (row_bytes > kMaxRowBytes) {
        return Problem(row.line, "a row of more than " + FormatBytes(kMaxRowBytes));
      }
      row.fields.push_back(std::move(field));
      field.clear();
      state = In::kFieldStart;
      anything = true;
      if (ends_row) return std::optional<CsvRow>(std::move(row));
      continue;
    }
    anything = true;
    const char byte = static_cast<char>(c);
    if (state == In::kFieldStart && byte == '"') {
      state = In::kQuoted;
      continue;
    }
    if (state == In::kQuoted && byte == '"') {
      state = In::kAfterQuote;
      continue;
    }
    if (state == In::kAfterQuote) {
      if (byte == '\r') continue;
      if (byte != '"') return Problem(line_, "text after a closing quote");
      state = In::kQuoted;
    } else if (state == In::kFieldStart) {
      state = In::kPlain;
    }
    if (field.size() == kMaxFieldBytes) {
      return Problem(row.line, "a field of more than " + FormatBytes(kMaxFieldBytes));
    }
    field.push_back(byte);
  }
}

}  // namespace tidewheel::cli
