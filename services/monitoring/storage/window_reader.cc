#include "tidewheel/monitoring/storage/window_reader.h"

#include <string>
#include <utility>

#include "tidewheel/monitoring/storage/row_reader.h"
#include "tidewheel/postgres/values.h"

namespace tidewheel::monitoring {
namespace {

constexpr char kOfAllTraffic[] = " FROM predictions p ";
constexpr char kOfSlice[] =
    " FROM slice_predictions m JOIN predictions p ON p.model_id = $1 AND "
    "p.request_id = m.request_id AND p.place = m.place ";
constexpr char kInWindow[] =
    "LEFT JOIN joined_outcomes j ON j.model_id = p.model_id AND j.request_id = p.request_id AND "
    "j.place = p.place "
    "WHERE p.model_id = $1 AND p.role < 2 AND p.predicted_at >= $2::timestamptz "
    "AND p.predicted_at <= $5::timestamptz "
    "AND (p.predicted_at, p.request_id, p.place) >= ($2::timestamptz, $3, $4::integer) "
    "AND (p.predicted_at, p.request_id, p.place) <= ($5::timestamptz, $6, $7::integer) ";

std::string Statement(bool slice, bool too_many) {
  std::string sql =
      std::string("SELECT ") + kRowColumns + (slice ? kOfSlice : kOfAllTraffic) + kInWindow;
  if (slice) {
    sql +=
        "AND m.stream_id = $8 AND m.predicted_at >= $2::timestamptz "
        "AND m.predicted_at <= $5::timestamptz ";
  }
  if (too_many) {
    sql += "ORDER BY hashtextextended(p.request_id, p.place), p.request_id, p.place LIMIT " +
           std::to_string(kMostWindowRows);
    sql = "SELECT * FROM (" + sql + ") p ";
  }
  return sql + "ORDER BY p.predicted_at, p.request_id, p.place";
}

}  // namespace

Result<WindowRows> ReadRows(pqxx::transaction_base& tx, const pqxx::row& window,
                            const StoredModel& model) {
  const int stream = window["stream_id"].as<int>();
  WindowRows out;
  out.model = model.key;
  const auto slice = model.slices.find(stream);
  if (slice != model.slices.end()) out.slice = slice->second;
  out.kind = window["kind"].c_str();
  out.number = window["number"].as<std::uint64_t>();
  out.first_at = window["first_at"].as<Timestamp>();
  out.last_at = window["last_at"].as<Timestamp>();
  out.fingerprint = static_cast<std::uint64_t>(window["fingerprint"].as<std::int64_t>());
  out.classes = model.classes;
  out.features = model.features;

  const bool sliced = !out.slice.empty();
  const std::string sql = Statement(sliced, window["predictions"].as<int>() > kMostWindowRows);
  const auto text = [&](const char* column) { return std::string(window[column].c_str()); };
  const auto rows = sliced ? tx.exec_params(sql, model.id, text("first_at"), text("first_request"),
                                            text("first_place"), text("last_at"),
                                            text("last_request"), text("last_place"), stream)
                           : tx.exec_params(sql, model.id, text("first_at"), text("first_request"),
                                            text("first_place"), text("last_at"),
                                            text("last_request"), text("last_place"));
  out.rows.reserve(static_cast<std::size_t>(rows.size()));
  for (const auto& row : rows) {
    auto read = ReadRow(row, model);
    if (!read) return read.error();
    out.rows.push_back(*std::move(read));
  }
  return out;
}

}  // namespace tidewheel::monitoring
