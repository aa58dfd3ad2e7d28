#include "tidewheel/postgres/copy_rows.h"

#include <libpq-fe.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <stdexcept>

#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/failure.h"

namespace tidewheel::postgres {
namespace {

// As COPY documents its binary form: a signature, no flags, no extension of the header.
constexpr std::string_view kHeader{"PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19};
constexpr std::size_t kPiece = std::size_t{1} << 20;
// Of one field; PostgreSQL's own limit is 1 GiB.
constexpr std::size_t kMostBytes = std::size_t{1} << 30;

using internal::AppendBigEndian;
using Answer = std::unique_ptr<PGresult, decltype(&PQclear)>;

/// As libpqxx does: by what the server said, or by the connection being gone.
[[noreturn]] void Throw(PGconn* connection, const Answer& answer, const std::string& statement) {
  const char* const state = answer ? PQresultErrorField(answer.get(), PG_DIAG_SQLSTATE) : nullptr;
  const std::string message = answer && *PQresultErrorMessage(answer.get()) != '\0'
                                  ? PQresultErrorMessage(answer.get())
                                  : PQerrorMessage(connection);
  if (PQstatus(connection) != CONNECTION_OK) throw pqxx::broken_connection(message);
  const std::string_view code = state != nullptr ? state : "";
  if (code.starts_with("40")) throw pqxx::transaction_rollback(message);
  throw pqxx::sql_error(message, statement, state);
}

}  // namespace

CopyRows::CopyRows(std::string table, const std::vector<std::string>& columns)
    : statement_("COPY " + std::move(table) + " ("), columns_(columns.size()), data_(kHeader) {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    statement_ += (i > 0 ? ", " : "") + columns[i];
  }
  statement_ += ") FROM STDIN (FORMAT binary)";
}

void CopyRows::Row() {
  if (rows_ > 0 && fields_ != columns_) {
    throw std::logic_error(statement_ + ": a row has " + std::to_string(fields_) + " fields of " +
                           std::to_string(columns_));
  }
  fields_ = 0;
  ++rows_;
  AppendBigEndian(columns_, 2, data_);
}

void CopyRows::Field(std::string_view bytes) {
  if (bytes.size() > kMostBytes) throw std::length_error(statement_ + ": a field is too large");
  ++fields_;
  AppendBigEndian(bytes.size(), 4, data_);
  data_ += bytes;
}

void CopyRows::Number(std::uint64_t value, int bytes) {
  ++fields_;
  AppendBigEndian(static_cast<std::uint64_t>(bytes), 4, data_);
  AppendBigEndian(value, bytes, data_);
}

void CopyRows::Text(std::string_view value) { Field(value); }
void CopyRows::Bytes(std::string_view value) { Field(value); }
void CopyRows::Smallint(std::int16_t value) { Number(static_cast<std::uint16_t>(value), 2); }
void CopyRows::Integer(std::int32_t value) { Number(static_cast<std::uint32_t>(value), 4); }
void CopyRows::Bigint(std::int64_t value) { Number(static_cast<std::uint64_t>(value), 8); }
void CopyRows::Real(float value) { Number(std::bit_cast<std::uint32_t>(value), 4); }
void CopyRows::Double(double value) { Number(std::bit_cast<std::uint64_t>(value), 8); }

void CopyRows::Time(Timestamp value) { Field(internal::TimestampElement::Encode(value)); }

void CopyRows::Integers(std::span<const std::int32_t> values) {
  internal::ArrayBytes array(internal::IntegerElement::kOid);
  for (const std::int32_t value : values) array.Add(internal::IntegerElement::Encode(value));
  Field(array.Whole());
}

void CopyRows::Null() {
  ++fields_;
  AppendBigEndian(0xFFFF'FFFF, 4, data_);
}

void CopyRows::Send(pqxx::transaction_base& tx) {
  if (rows_ == 0) return;
  if (fields_ != columns_) throw std::logic_error(statement_ + ": the last row is not whole");
  PGconn* const connection = Session::HandleOf(tx.conn());
  if (connection == nullptr) throw std::logic_error(statement_ + ": not a pool's transaction");

  const Answer begun(PQexec(connection, statement_.c_str()), &PQclear);
  if (!begun || PQresultStatus(begun.get()) != PGRES_COPY_IN) {
    Throw(connection, begun, statement_);
  }
  AppendBigEndian(0xFFFF, 2, data_);  // No more rows.
  bool sent = true;
  for (std::size_t first = 0; sent && first < data_.size(); first += kPiece) {
    const std::size_t count = std::min(kPiece, data_.size() - first);
    sent = PQputCopyData(connection, data_.data() + first, static_cast<int>(count)) == 1;
  }
  if (!sent || PQputCopyEnd(connection, nullptr) != 1) {
    Throw(connection, Answer(nullptr, &PQclear), statement_);
  }
  Answer failed(nullptr, &PQclear);
  while (PGresult* const result = PQgetResult(connection)) {
    Answer answer(result, &PQclear);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && !failed) failed = std::move(answer);
  }
  if (failed) Throw(connection, failed, statement_);
}

}  // namespace tidewheel::postgres
