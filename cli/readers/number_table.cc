#include "tidewheel/cli/readers/number_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>

#include "tidewheel/cli/readers/text_rules.h"

namespace tidewheel::cli {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
// Of a field within a message.
constexpr std::size_t kShownBytes = 40;

std::string_view Trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

/// None also for `nan`, which is not a value but the lack of one.
std::optional<double> Number(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  double number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (end != text.data() + text.size() || text.empty()) return std::nullopt;
  // Too large or too small for a double: as everybody rounds it, to infinity or to zero.
  if (problem == std::errc::result_out_of_range)
    return std::strtod(std::string(text).c_str(), nullptr);
  if (problem != std::errc() || std::isnan(number)) return std::nullopt;
  return number;
}

std::string NoNumber(const std::string& file, std::uint64_t line, std::string_view column,
                     std::string_view field) {
  return file + ":" + std::to_string(line) + ": column \"" + Printable(column) + "\": \"" +
         Printable(field, kShownBytes) + "\" is no number";
}

/// A column while the file is read.
class Collector {
 public:
  Collector(TableColumn& column, std::size_t place, ColumnKind kind)
      : column_(column), place_(place), kind_(kind) {}

  std::size_t place() const { return place_; }
  /// Whether fields went by as numbers whose texts are wanted now.
  bool incomplete() const { return incomplete_; }

  void AddMissing() {
    ++column_.missing;
    if (kind_ == ColumnKind::kTexts) {
      column_.codes.push_back(-1);
    } else {
      column_.numbers.push_back(kMissing);
    }
  }

  /// False: numbers are wanted and this is none.
  bool Add(const std::string& field, std::string_view trimmed, const std::string& file,
           std::uint64_t line) {
    if (kind_ != ColumnKind::kTexts) {
      const auto number = Number(trimmed);
      if (number) {
        column_.numbers.push_back(*number);
        return true;
      }
      if (kind_ == ColumnKind::kNumbers) return false;
      TurnToTexts(field, file, line);
    }
    const auto [known, is_new] =
        codes_.try_emplace(field, static_cast<std::int32_t>(column_.texts.size()));
    if (is_new) column_.texts.push_back(field);
    column_.codes.push_back(known->second);
    return true;
  }

  /// For the second reading.
  void StartAgain() {
    column_.numbers.clear();
    column_.codes.clear();
    column_.texts.clear();
    codes_.clear();
    column_.missing = 0;
    incomplete_ = false;
  }

 private:
  void TurnToTexts(const std::string& field, const std::string& file, std::uint64_t line) {
    kind_ = ColumnKind::kTexts;
    incomplete_ = column_.missing < column_.numbers.size();
    column_.codes.assign(column_.numbers.size(), -1);
    column_.numbers = {};
    column_.why_texts = NoNumber(file, line, column_.name, field);
  }

  TableColumn& column_;
  std::size_t place_;
  ColumnKind kind_;
  bool incomplete_ = false;
  std::unordered_map<std::string, std::int32_t> codes_;
};

std::string Listed(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 20;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kShown; ++i) {
    text += (i > 0 ? ", " : "") + Printable(names[i], kShownBytes);
  }
  return names.size() > kShown ? text + " and " + std::to_string(names.size() - kShown) + " more"
                               : text;
}

Result<std::size_t> ReadRows(CsvReader& reader, const std::string& name,
                             const TableOptions& options, std::vector<Collector*>& collectors) {
  std::uint64_t rows = 0;
  while (true) {
    auto row = reader.Next();
    if (!row) return row.error();
    if (!row->has_value()) return static_cast<std::size_t>(rows);
    if (rows == options.rows) {
      return Error{ErrorCode::kOutOfRange,
                   name + ": more than " + std::to_string(options.rows) + " rows"};
    }
    ++rows;
    for (Collector* collector : collectors) {
      const std::string& field = (*row)->fields[collector->place()];
      const std::string_view trimmed = Trimmed(field);
      if (std::find(options.missing.begin(), options.missing.end(), trimmed) !=
          options.missing.end()) {
        collector->AddMissing();
      } else if (!collector->Add(field, trimmed, name, (*row)->line)) {
        return Error{ErrorCode::kInvalidArgument,
                     NoNumber(name, (*row)->line, reader.columns()[collector->place()], field)};
      }
    }
  }
}

}  // namespace

Result<NumberTable> NumberTable::Read(const std::filesystem::path& path,
                                      const TableOptions& options) {
  return ReadFrom([&] { return CsvReader::Open(path); }, Printable(path.string()), options);
}

Result<NumberTable> NumberTable::ReadText(std::string_view text, const std::string& name,
                                          const TableOptions& options) {
  return ReadFrom([&] { return CsvReader::Of(InputFile::Of(text, name)); }, Printable(name),
                  options);
}

Result<NumberTable> NumberTable::ReadFrom(const std::function<Result<CsvReader>()>& open,
                                          std::string name, const TableOptions& options) {
  auto reader = open();
  if (!reader) return reader.error();
  NumberTable table;
  table.name_ = std::move(name);

  std::vector<TableOptions::Wanted> wanted = options.columns;
  if (wanted.empty()) {
    for (const auto& column : reader->columns()) wanted.push_back({column, ColumnKind::kAuto});
  }
  table.columns_.resize(wanted.size());
  std::vector<Collector> collectors;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto place = reader->Find(wanted[i].name);
    if (!place) {
      return Error{ErrorCode::kNotFound, table.name_ + ": no column \"" +
                                             Printable(wanted[i].name) + "\"; there are " +
                                             Listed(reader->columns())};
    }
    table.columns_[i].name = wanted[i].name;
    collectors.emplace_back(table.columns_[i], *place, wanted[i].kind);
  }

  std::vector<Collector*> due;
  for (auto& collector : collectors) due.push_back(&collector);
  const auto rows = ReadRows(*reader, table.name_, options, due);
  if (!rows) return rows.error();
  if (*rows == 0) {
    return Error{ErrorCode::kInvalidArgument, table.name_ + ": a header and no row"};
  }
  table.rows_ = *rows;

  std::erase_if(due, [](const Collector* collector) { return !collector->incomplete(); });
  if (!due.empty()) {
    for (Collector* collector : due) collector->StartAgain();
    auto again = open();
    if (!again) return again.error();
    if (again->columns() != reader->columns()) {
      return Error{ErrorCode::kAborted, table.name_ + ": changed while it was read"};
    }
    const auto second = ReadRows(*again, table.name_, options, due);
    if (!second) return second.error();
    if (*second != table.rows_) {
      return Error{ErrorCode::kAborted, table.name_ + ": changed while it was read"};
    }
  }
  return table;
}

Result<const TableColumn*> NumberTable::Find(std::string_view name) const {
  for (const auto& column : columns_) {
    if (column.name == name) return &column;
  }
  std::vector<std::string> names;
  for (const auto& column : columns_) names.push_back(column.name);
  return Error{ErrorCode::kNotFound,
               name_ + ": no column \"" + Printable(name) + "\"; there are " + Listed(names)};
}

Result<std::span<const double>> NumberTable::Numbers(std::string_view name) const {
  const auto column = Find(name);
  if (!column) return column.error();
  if ((*column)->IsNumbers()) return std::span<const double>((*column)->numbers);
  if (!(*column)->why_texts.empty()) {
    return Error{ErrorCode::kInvalidArgument, (*column)->why_texts};
  }
  return Error{ErrorCode::kInvalidArgument,
               name_ + ": column \"" + Printable(name) + "\" was read as texts"};
}

}  // namespace tidewheel::cli
