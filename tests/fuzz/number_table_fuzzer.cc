// Any bytes as a table of numbers: every column complete, and the same whatever kind it is asked
// for as.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "must.h"
#include "tidewheel/cli/readers/number_table.h"

namespace {

using tidewheel::cli::ColumnKind;
using tidewheel::cli::NumberTable;
using tidewheel::cli::TableColumn;
using tidewheel::cli::TableOptions;
using tidewheel::fuzz::Must;

void MustBeComplete(const TableColumn& column, std::size_t rows) {
  std::uint64_t missing = 0;
  if (column.IsNumbers()) {
    Must(column.numbers.size() == rows && column.texts.empty());
    for (const double number : column.numbers) missing += std::isnan(number) ? 1 : 0;
  } else {
    Must(column.codes.size() == rows && column.numbers.empty());
    std::int32_t next = 0;
    for (const std::int32_t code : column.codes) {
      // Texts stand in the order of their first row.
      Must(code >= -1 && code <= next);
      missing += code == -1 ? 1 : 0;
      next += code == next ? 1 : 0;
    }
    Must(column.texts.size() == static_cast<std::size_t>(next));
  }
  Must(missing == column.missing);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto table = NumberTable::ReadText(text, "fuzzed.csv");
  if (!table) {
    Must(!table.error().message.empty());
    return 0;
  }
  TableOptions as_texts;
  TableOptions as_found;
  for (const auto& column : table->columns()) {
    MustBeComplete(column, table->rows());
    as_texts.columns.push_back({column.name, ColumnKind::kTexts});
    as_found.columns.push_back(
        {column.name, column.IsNumbers() ? ColumnKind::kNumbers : ColumnKind::kTexts});
  }
  const auto texts = NumberTable::ReadText(text, "fuzzed.csv", as_texts);
  const auto found = NumberTable::ReadText(text, "fuzzed.csv", as_found);
  Must(texts.ok() && found.ok());
  for (std::size_t i = 0; i < table->columns().size(); ++i) {
    const auto& column = table->columns()[i];
    MustBeComplete(texts->columns()[i], table->rows());
    Must(texts->columns()[i].missing == column.missing);
    Must(found->columns()[i].codes == column.codes && found->columns()[i].texts == column.texts);
    if (!column.IsNumbers()) Must(texts->columns()[i].codes == column.codes);
  }
  return 0;
}
