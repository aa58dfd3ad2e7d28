// Any bytes as a CSV file: rows as wide as the header, of clean text, until an error or the end.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "must.h"
#include "tidewheel/cli/readers/csv_reader.h"
#include "tidewheel/cli/readers/text_rules.h"

namespace {

using tidewheel::cli::CsvReader;
using tidewheel::cli::InputFile;
using tidewheel::fuzz::Must;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto reader =
      CsvReader::Of(InputFile::Of({reinterpret_cast<const char*>(data), size}, "fuzzed.csv"));
  if (!reader) {
    Must(!reader.error().message.empty());
    return 0;
  }
  Must(!reader->columns().empty());
  for (std::size_t i = 0; i < reader->columns().size(); ++i) {
    Must(reader->Find(reader->columns()[i]) == i);
  }
  std::uint64_t line = 0;
  while (true) {
    const auto row = reader->Next();
    if (!row) {
      Must(row.error().message.find("fuzzed.csv:") != std::string::npos);
      return 0;
    }
    if (!row->has_value()) return 0;
    Must((*row)->line > line);
    line = (*row)->line;
    Must((*row)->fields.size() == reader->columns().size());
    for (const auto& field : (*row)->fields) Must(tidewheel::cli::IsUtf8(field));
  }
}
