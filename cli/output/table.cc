#include "tidewheel/cli/output/table.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <utility>

#include "tidewheel/base/clock.h"
#include "tidewheel/cli/readers/text_rules.h"

namespace tidewheel::cli {

std::size_t DisplayWidth(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u;
  }));
}

void Table::Add(std::vector<std::string> row) {
  for (auto& cell : row) cell = Printable(cell);
  row.resize(headers_.size());
  rows_.push_back(std::move(row));
  notes_.emplace_back();
}

void Table::Note(const std::string& text) {
  constexpr std::size_t kLine = 100;
  // Printable makes at most four characters of one.
  const std::string whole = Printable(text, 4 * text.size() + 1);
  std::string line = "    ";
  std::size_t first = 0;
  while (first < whole.size()) {
    const std::size_t end = std::min(whole.find(' ', first), whole.size());
    const std::string word = whole.substr(first, end - first);
    if (DisplayWidth(line) + 1 + DisplayWidth(word) > kLine && line.size() > 6) {
      notes_.back() += line + "\n";
      line = "      ";
    }
    if (line.back() != ' ') line += ' ';
    line += word;
    first = end + 1;
  }
  notes_.back() += line + "\n";
}

std::string Table::Text() const {
  std::vector<bool> right(headers_.size());
  std::vector<std::string> names = headers_;
  std::vector<std::size_t> widths(headers_.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    right[i] = names[i].starts_with('>');
    if (right[i]) names[i].erase(0, 1);
    widths[i] = DisplayWidth(names[i]);
    for (const auto& row : rows_) widths[i] = std::max(widths[i], DisplayWidth(row[i]));
  }
  std::string text;
  const auto line = [&](const std::vector<std::string>& cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string padding(widths[i] - DisplayWidth(cells[i]), ' ');
      if (right[i]) text += padding;
      text += cells[i];
      if (i + 1 == cells.size()) break;
      if (!right[i]) text += padding;
      text += "  ";
    }
    text += '\n';
  };
  line(names);
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    line(rows_[i]);
    text += notes_[i];
  }
  return text;
}

std::string FormatTime(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0 && time.nanos() == 0) return "-";
  std::string text = FormatUtc(Timestamp(std::chrono::seconds(time.seconds())));
  text.resize(19);
  text[10] = ' ';
  return text;
}

std::string FormatCount(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (auto place = static_cast<std::ptrdiff_t>(digits.size()) - 3; place > 0; place -= 3) {
    digits.insert(static_cast<std::size_t>(place), " ");
  }
  return digits;
}

std::string FormatNumber(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string LowerEnum(std::string_view name, std::string_view prefix) {
  if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  std::string text(name);
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
    return c == '_' ? ' ' : static_cast<char>(std::tolower(c));
  });
  return text;
}

}  // namespace tidewheel::cli
