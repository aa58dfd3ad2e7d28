#pragma once

#include <pqxx/pqxx>
#include <string>
#include <tuple>
#include <vector>

#include "tidewheel/postgres/values.h"

namespace tidewheel::postgres {

/// Rows by the thousand into one table by COPY, without ON CONFLICT. One at a time per transaction,
/// and nothing else may run in that transaction between the first row and Finish. Throws what
/// libpqxx throws, to be caught by Pool.
class CopyRows {
 public:
  CopyRows(pqxx::transaction_base& tx, const std::string& table,
           const std::vector<std::string>& columns)
      : stream_(tx, table, columns) {}

  /// One value per column: texts, numbers, Timestamp, std::optional of these, nullptr, or
  /// Hex(bytes) for bytea.
  template <typename... Fields>
  void Add(const Fields&... fields) {
    stream_ << std::tuple<const Fields&...>(fields...);
  }

  /// The rows are in the table when it returns.
  void Finish() { stream_.complete(); }

  /// The text form of bytea.
  static std::string Hex(std::string_view bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string text = "\\x";
    text.reserve(2 + 2 * bytes.size());
    for (const char c : bytes) {
      text.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
      text.push_back(kDigits[static_cast<unsigned char>(c) & 0x0F]);
    }
    return text;
  }

 private:
  pqxx::stream_to stream_;
};

}  // namespace tidewheel::postgres
