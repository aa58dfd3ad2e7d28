#pragma once

#include <cstddef>
#include <cstdint>
#include <pqxx/pqxx>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/clock.h"

namespace tidewheel::postgres {

/// Rows by the thousand into one table by COPY in its binary form, without ON CONFLICT: where there
/// may be duplicates, take the slow way after kAlreadyExists. Cheaper for the server than an INSERT
/// of arrays. Gathers the rows; nothing is sent before Send.
class CopyRows {
 public:
  /// `columns` are the columns of each row, in order.
  CopyRows(std::string table, const std::vector<std::string>& columns);

  /// Begins a row; then one call for each column, by the column's type.
  void Row();
  void Text(std::string_view value);   // text
  void Bytes(std::string_view value);  // bytea
  void Smallint(std::int16_t value);
  void Integer(std::int32_t value);
  void Bigint(std::int64_t value);
  void Real(float value);
  void Double(double value);
  void Time(Timestamp value);                           // timestamptz
  void Integers(std::span<const std::int32_t> values);  // integer[]
  void Null();

  std::size_t rows() const { return rows_; }

  /// The rows are in the table when it returns. `tx` must be of a Pool. Throws what libpqxx throws,
  /// to be caught by Pool; std::logic_error: a row that is not whole.
  void Send(pqxx::transaction_base& tx);

 private:
  void Number(std::uint64_t value, int bytes);
  void Field(std::string_view bytes);

  std::string statement_;
  std::size_t columns_;
  std::size_t fields_ = 0;
  std::size_t rows_ = 0;
  std::string data_;
};

}  // namespace tidewheel::postgres
