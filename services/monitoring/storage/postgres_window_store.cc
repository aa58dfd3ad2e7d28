#include "tidewheel/monitoring/storage/postgres_window_store.h"

#include <algorithm>
#include <map>
#include <optional>
#include <pqxx/pqxx>
#include <utility>
#include <vector>

#include "tidewheel/monitoring/storage/outcome_joiner.h"
#include "tidewheel/monitoring/storage/row_reader.h"
#include "tidewheel/monitoring/storage/window_reader.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/values.h"

namespace tidewheel::monitoring {
namespace {

constexpr int kStreamsAtOnce = 512;
constexpr int kWindowsAtOnce = 50;      // Closed in one transaction.
constexpr int kOutcomesAtOnce = 5'000;  // Numbered in one transaction.
constexpr int kOutcomesTold = 500;
constexpr std::size_t kMostRemembered = 64;  // Windows with their rows, in memory.
constexpr int kTellLock = 0x74656c6c;  // The first half of an advisory lock, the model the second.

// A stream is due when a late row has come, when there are rows enough for a window (whether the
// watermark has passed them is seen then), or when its open window was not shown for a second.
constexpr char kDue[] =
    "SELECT s.id FROM streams s JOIN models m ON m.id = s.model_id "
    "WHERE s.fresh_from <= s.boundary_at OR s.fresh_from < s.timed_until "
    "OR s.predictions - s.closed * m.window_size >= m.window_size "
    "OR (m.window_seconds > 0 AND (s.timed_until IS NULL OR s.last_at >= s.timed_until)) "
    "OR (s.open_stale AND s.opened_at <= clock_timestamp() - interval '1 second') "
    "ORDER BY s.id LIMIT $1";
// Nothing came for as long as late events are waited for: then nothing is waited for.
constexpr char kTake[] =
    "SELECT s.model_id, s.slice, s.closed, s.boundary_at, s.boundary_request, s.boundary_place, "
    "s.timed_until, s.fresh_from, s.open_stale, m.window_size, m.window_seconds, "
    "s.fresh_from <= s.boundary_at AS late, "
    "s.open_stale AND s.opened_at <= clock_timestamp() - interval '1 second' AS show_open, "
    "CASE WHEN clock_timestamp() - c.arrived_at >= c.lateness * interval '1 microsecond' "
    "THEN 'infinity' ELSE c.newest_at - c.lateness * interval '1 microsecond' END AS watermark, "
    "s.predictions - s.closed * m.window_size >= m.window_size AS enough "
    "FROM streams s JOIN models m ON m.id = s.model_id JOIN task_clocks c ON c.task = m.task "
    "WHERE s.id = $1 FOR NO KEY UPDATE OF s SKIP LOCKED";
// Windows that have lost rows to the retention stay as they are.
constexpr char kFirstToCutAgain[] =
    "SELECT min(w.number) FROM windows w JOIN streams s ON s.id = w.stream_id "
    "JOIN models m ON m.id = s.model_id WHERE w.stream_id = $1 AND w.kind = 'count' AND w.closed "
    "AND w.last_at >= $2::timestamptz AND w.first_at >= coalesce(m.forgotten_before, '-infinity')";
constexpr char kLastRowOf[] =
    "SELECT last_at, last_request, last_place FROM windows "
    "WHERE stream_id = $1 AND kind = 'count' AND number = $2";
constexpr char kSaveBoundary[] =
    "UPDATE streams SET closed = $2, boundary_at = $3::timestamptz, boundary_request = $4, "
    "boundary_place = $5::integer, timed_until = $6::timestamptz, fresh_from = NULL, "
    "open_stale = open_stale OR $7 WHERE id = $1";
constexpr char kShown[] =
    "UPDATE streams SET open_stale = false, opened_at = clock_timestamp() WHERE id = $1";
constexpr char kRowsOfModel[] = "FROM predictions p WHERE p.model_id = $1 AND p.role < 2 ";
constexpr char kRowsOfSlice[] = "FROM slice_predictions p WHERE p.stream_id = $1 ";
constexpr char kBehindBoundary[] =
    "AND p.predicted_at >= $2::timestamptz "
    "AND (p.predicted_at, p.request_id, p.place) > ($2::timestamptz, $3, $4::integer) "
    "AND p.predicted_at <= $5::timestamptz "
    "ORDER BY p.predicted_at, p.request_id, p.place LIMIT $6";
// By window and class: what windows are put together from.
constexpr char kSumsByCount[] =
    "SELECT n / $7 AS k, class_index, count(*) AS rows, "
    "sum(round(confidence::double precision * 1e9)::bigint)::bigint AS confidence, "
    "bit_xor(hashtextextended(request_id, place)) AS hash, "
    "min(predicted_at) AS first_at, max(predicted_at) AS last_at, "
    "max(request_id) FILTER (WHERE n % $7 = 0) AS first_request, "
    "max(place) FILTER (WHERE n % $7 = 0) AS first_place, "
    "(array_agg(request_id ORDER BY n DESC))[1] AS last_request, "
    "(array_agg(place ORDER BY n DESC))[1] AS last_place, max(n) AS last_n "
    "FROM (SELECT t.*, row_number() OVER (ORDER BY predicted_at, request_id, place) - 1 AS n "
    "FROM (SELECT p.class_index, p.confidence, p.predicted_at, p.request_id, p.place ";
constexpr char kSumsByCountEnd[] = ") t) numbered GROUP BY 1, 2 ORDER BY 1, 2";
constexpr char kSumsByTime[] =
    "SELECT floor(extract(epoch FROM p.predicted_at) / $4::double precision)::bigint AS k, "
    "p.class_index, count(*) AS rows, "
    "sum(round(p.confidence::double precision * 1e9)::bigint)::bigint AS confidence, "
    "bit_xor(hashtextextended(p.request_id, p.place)) AS hash, "
    "min(p.predicted_at) AS first_at, max(p.predicted_at) AS last_at ";
constexpr char kInTime[] =
    "AND p.predicted_at >= $2::timestamptz AND p.predicted_at < $3::timestamptz "
    "GROUP BY 1, 2 ORDER BY 1, 2";
// $1 the length in seconds: up to where intervals are complete, and the beginning of that of a late
// row.
constexpr char kCompleteUntil[] =
    "SELECT CASE WHEN w.at = 'infinity' THEN "
    "to_timestamp((floor(extract(epoch FROM s.last_at) / $2) + 1) * $2) "
    "ELSE to_timestamp(floor(extract(epoch FROM w.at) / $2) * $2) END AS until, "
    "least(s.timed_until, to_timestamp(floor(extract(epoch FROM s.fresh_from) / $2) * $2)) AS "
    "since "
    "FROM streams s, (SELECT $3::timestamptz AS at) w WHERE s.id = $1";
// The same set of rows: nothing changes, and what was judged stays judged.
constexpr char kSaveWindow[] =
    "INSERT INTO windows AS w (stream_id, kind, number, closed, first_at, first_request, "
    "first_place, last_at, last_request, last_place, predictions, confidence_sum, class_counts, "
    "fingerprint) VALUES ($1, $2, $3, $4, $5::timestamptz, $6, $7, $8::timestamptz, $9, $10, $11, "
    "$12, $13::bigint[], $14) ON CONFLICT (stream_id, kind, number) DO UPDATE SET "
    "closed = excluded.closed, first_at = excluded.first_at, "
    "first_request = excluded.first_request, first_place = excluded.first_place, "
    "last_at = excluded.last_at, last_request = excluded.last_request, "
    "last_place = excluded.last_place, predictions = excluded.predictions, "
    "confidence_sum = excluded.confidence_sum, class_counts = excluded.class_counts, "
    "fingerprint = excluded.fingerprint, judged = false, estimated_accuracy = NULL, "
    "estimated_low = NULL, estimated_high = NULL, drift = '{}' "
    "WHERE NOT w.closed OR (excluded.closed AND w.fingerprint <> excluded.fingerprint)";

constexpr char kModelsToNumber[] =
    "SELECT DISTINCT model_id FROM joined_outcomes WHERE number IS NULL AND role < 2 "
    "ORDER BY 1 LIMIT $1";
constexpr char kTakeModel[] =
    "SELECT m.outcomes_numbered, CASE WHEN c.outcome_arrived_at IS NULL OR "
    "clock_timestamp() - c.outcome_arrived_at >= c.lateness * interval '1 microsecond' "
    "THEN 'infinity' ELSE c.newest_outcome_at - c.lateness * interval '1 microsecond' END "
    "AS watermark FROM models m JOIN task_clocks c ON c.task = m.task "
    "WHERE m.id = $1 FOR NO KEY UPDATE OF m SKIP LOCKED";
constexpr char kNumber[] =
    "UPDATE joined_outcomes j SET number = $2 + n.n FROM ("
    "SELECT request_id, place, row_number() OVER (ORDER BY observed_at, request_id, place) - 1 AS "
    "n "
    "FROM joined_outcomes WHERE model_id = $1 AND number IS NULL AND role < 2 "
    "AND observed_at <= $3::timestamptz ORDER BY observed_at, request_id, place LIMIT $4) n "
    "WHERE j.model_id = $1 AND j.request_id = n.request_id AND j.place = n.place";
constexpr char kSaveNumbered[] = "UPDATE models SET outcomes_numbered = $2 WHERE id = $1";

constexpr char kModelsToTell[] =
    "SELECT DISTINCT s.model_id FROM windows w JOIN streams s ON s.id = w.stream_id "
    "WHERE w.closed AND NOT w.judged UNION SELECT id FROM models "
    "WHERE outcomes_told < outcomes_numbered ORDER BY 1";
constexpr char kTryLock[] = "SELECT pg_try_advisory_xact_lock($1, $2)";
constexpr char kWindowToTell[] =
    "SELECT w.* FROM windows w JOIN streams s ON s.id = w.stream_id "
    "WHERE s.model_id = $1 AND w.closed AND NOT w.judged "
    "ORDER BY w.last_at, w.kind, s.slice, w.number LIMIT 1";
// Not one that was cut anew meanwhile.
constexpr char kWindowTold[] =
    "UPDATE windows SET judged = true WHERE stream_id = $1 AND kind = $2 AND number = $3 "
    "AND fingerprint = $4 AND closed";
constexpr char kClosedWindow[] =
    "SELECT * FROM windows WHERE stream_id = $1 AND kind = 'count' AND number = $2 AND closed";
constexpr char kOutcomesToTell[] =
    " FROM joined_outcomes j JOIN models m ON m.id = j.model_id "
    "JOIN predictions p ON p.model_id = j.model_id AND p.request_id = j.request_id AND "
    "p.place = j.place WHERE j.model_id = $1 AND j.number >= m.outcomes_told "
    "ORDER BY j.number LIMIT $2";
constexpr char kOutcomesTo[] = "UPDATE models SET outcomes_told = $2 WHERE id = $1";
constexpr char kNoneToTell[] =
    "UPDATE models m SET outcomes_told = outcomes_numbered WHERE id = $1 AND NOT EXISTS "
    "(SELECT FROM joined_outcomes j WHERE j.model_id = m.id AND j.number >= m.outcomes_told AND "
    "j.number < m.outcomes_numbered)";

/// After every request id: no UTF-8 text is larger.
const std::string kLastRequest = "\U0010FFFF";
constexpr int kLastPlace = 2'147'483'647;

/// A row's place in the order of its stream, as PostgreSQL writes it.
struct RowPlace {
  std::string at;
  std::string request;
  std::string place;
};

/// Everything about one window that is cut.
struct CutWindow {
  std::int64_t number = 0;
  RowPlace first;
  RowPlace last;
  std::int64_t last_row = -1;  // Its number among those read.
  std::int64_t rows = 0;
  std::int64_t confidence = 0;
  std::int64_t hash = 0;
  std::vector<std::int64_t> classes;

  /// Adds the sums of one class.
  void Add(const pqxx::row& row) {
    rows += row["rows"].as<std::int64_t>();
    confidence += row["confidence"].as<std::int64_t>();
    hash ^= row["hash"].as<std::int64_t>();
    const auto index = row["class_index"].as<std::size_t>();
    if (classes.size() <= index) classes.resize(index + 1);
    classes[index] += row["rows"].as<std::int64_t>();
  }
};

std::string Text(const pqxx::field& field) { return field.is_null() ? "" : field.c_str(); }

/// Who holds a stream's row, and where it is.
struct OpenStream {
  int id = 0;
  int model_id = 0;
  bool all_traffic = false;
  int window_size = 0;
  double window_seconds = 0;
  std::string watermark;
  std::int64_t closed = 0;
  std::optional<RowPlace> boundary;
  std::string timed_until;  // Empty: nothing was cut by time.

  int owner() const { return all_traffic ? model_id : id; }
  const char* rows() const { return all_traffic ? kRowsOfModel : kRowsOfSlice; }
};

void Save(pqxx::work& tx, const OpenStream& stream, const char* kind, bool closed,
          const CutWindow& window) {
  postgres::ArrayLiteral classes;
  for (const std::int64_t count : window.classes) classes.AddInt(count);
  tx.exec_params0(kSaveWindow, stream.id, kind, window.number, closed, window.first.at,
                  window.first.request, window.first.place, window.last.at, window.last.request,
                  window.last.place, window.rows, window.confidence, classes.text(), window.hash);
}

/// The next windows behind the boundary, the last of them perhaps not full.
std::vector<CutWindow> NextByCount(pqxx::work& tx, const OpenStream& stream, int at_most,
                                   const std::string& until) {
  const std::string sql =
      std::string(kSumsByCount) + stream.rows() + kBehindBoundary + kSumsByCountEnd;
  const RowPlace from = stream.boundary.value_or(RowPlace{"-infinity", "", "0"});
  std::vector<CutWindow> windows;
  for (const auto& row :
       tx.exec_params(sql, stream.owner(), from.at, from.request, from.place, until,
                      static_cast<std::int64_t>(at_most) * stream.window_size,
                      static_cast<std::int64_t>(stream.window_size))) {
    const auto number = stream.closed + 1 + row["k"].as<std::int64_t>();
    if (windows.empty() || windows.back().number != number) {
      windows.emplace_back();
      windows.back().number = number;
    }
    CutWindow& window = windows.back();
    window.Add(row);
    if (!row["first_place"].is_null()) {
      window.first = {row["first_at"].c_str(), row["first_request"].c_str(),
                      row["first_place"].c_str()};
    }
    if (row["last_n"].as<std::int64_t>() > window.last_row) {
      window.last_row = row["last_n"].as<std::int64_t>();
      window.last = {row["last_at"].c_str(), row["last_request"].c_str(),
                     row["last_place"].c_str()};
    }
  }
  return windows;
}

/// Goes back to before the window that a late row belongs to.
void StepBack(pqxx::work& tx, const std::string& late_at, OpenStream* stream) {
  const auto first = tx.exec_params1(kFirstToCutAgain, stream->id, late_at)[0];
  if (first.is_null()) return;
  stream->closed = first.as<std::int64_t>() - 1;
  const auto before = tx.exec_params(kLastRowOf, stream->id, stream->closed);
  stream->boundary.reset();
  if (!before.empty()) {
    stream->boundary = {before[0][0].c_str(), before[0][1].c_str(), before[0][2].c_str()};
  }
}

/// Counts the outcomes of windows from the first to the last of them.
void CountOutcomesOf(pqxx::work& tx, int stream_id, const std::vector<CutWindow>& windows) {
  if (windows.empty()) return;
  CountOutcomes(tx, stream_id, windows.front().first.at, windows.back().last.at);
}

/// Closes what is complete. Whether a full load was there, so that more may be.
bool CloseByCount(pqxx::work& tx, OpenStream* stream, std::size_t* closed) {
  auto windows = NextByCount(tx, *stream, kWindowsAtOnce, stream->watermark);
  if (!windows.empty() && windows.back().rows < stream->window_size) windows.pop_back();
  for (const auto& window : windows) {
    Save(tx, *stream, "count", true, window);
    stream->closed = window.number;
    stream->boundary = window.last;
  }
  CountOutcomesOf(tx, stream->id, windows);
  *closed += windows.size();
  return windows.size() == kWindowsAtOnce;
}

void ShowOpen(pqxx::work& tx, const OpenStream& stream) {
  const auto windows = NextByCount(tx, stream, 1, "infinity");
  for (const auto& window : windows) Save(tx, stream, "count", false, window);
  CountOutcomesOf(tx, stream.id, windows);
  tx.exec_params0(kShown, stream.id);
}

void CloseByTime(pqxx::work& tx, OpenStream* stream, std::size_t* closed) {
  const auto bounds =
      tx.exec_params1(kCompleteUntil, stream->id, stream->window_seconds, stream->watermark);
  const std::string until = Text(bounds["until"]);
  const std::string since = bounds["since"].is_null() ? "-infinity" : Text(bounds["since"]);
  if (until.empty()) return;
  std::vector<CutWindow> windows;
  for (const auto& row : tx.exec_params(std::string(kSumsByTime) + stream->rows() + kInTime,
                                        stream->owner(), since, until, stream->window_seconds)) {
    const auto number = row["k"].as<std::int64_t>();
    if (windows.empty() || windows.back().number != number) {
      windows.emplace_back();
      windows.back().number = number;
    }
    CutWindow& window = windows.back();
    window.Add(row);
    // The server writes times so that their texts of one form have their order.
    const std::string first = row["first_at"].c_str();
    const std::string last = row["last_at"].c_str();
    const bool earlier = window.first.at.empty() || *postgres::ParseTimestamp(first) <
                                                        *postgres::ParseTimestamp(window.first.at);
    const bool later = window.last.at.empty() ||
                       *postgres::ParseTimestamp(last) > *postgres::ParseTimestamp(window.last.at);
    if (earlier) window.first = {first, "", "0"};
    if (later) window.last = {last, kLastRequest, std::to_string(kLastPlace)};
  }
  for (const auto& window : windows) Save(tx, *stream, "time", true, window);
  CountOutcomesOf(tx, stream->id, windows);
  *closed += windows.size();
  const bool further =
      stream->timed_until.empty() ||
      *postgres::ParseTimestamp(until) > *postgres::ParseTimestamp(stream->timed_until);
  if (further) stream->timed_until = until;
}

}  // namespace

Result<std::size_t> PostgresWindowStore::Cut() {
  const auto due = pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<int>> {
    std::vector<int> ids;
    for (const auto& row : tx.exec_params(kDue, kStreamsAtOnce)) ids.push_back(row[0].as<int>());
    return ids;
  });
  if (!due) return due.error();
  std::size_t worked = 0;
  for (const int id : *due) {
    const auto cut = CutStream(id);
    if (!cut) return cut.error();
    worked += *cut ? 1 : 0;
  }
  return worked;
}

Result<bool> PostgresWindowStore::CutStream(int stream_id) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<bool> {
    const auto rows = tx.exec_params(kTake, stream_id);
    if (rows.empty()) return false;  // Another copy has it.
    const auto& row = rows[0];
    OpenStream stream;
    stream.id = stream_id;
    stream.model_id = row["model_id"].as<int>();
    stream.all_traffic = std::string_view(row["slice"].c_str()).empty();
    stream.window_size = row["window_size"].as<int>();
    stream.window_seconds = row["window_seconds"].as<double>();
    stream.watermark = row["watermark"].c_str();
    stream.closed = row["closed"].as<std::int64_t>();
    if (!row["boundary_at"].is_null()) {
      stream.boundary = {row["boundary_at"].c_str(), row["boundary_request"].c_str(),
                         row["boundary_place"].c_str()};
    }
    stream.timed_until = Text(row["timed_until"]);

    const bool late = !row["late"].is_null() && row["late"].as<bool>();
    if (late) StepBack(tx, row["fresh_from"].c_str(), &stream);
    std::size_t closed = 0;
    bool more = false;
    if (late || row["enough"].as<bool>()) more = CloseByCount(tx, &stream, &closed);
    if (stream.window_seconds > 0) CloseByTime(tx, &stream, &closed);
    if (late || closed > 0 || !row["fresh_from"].is_null()) {
      const auto& boundary = stream.boundary;
      tx.exec_params0(kSaveBoundary, stream.id, stream.closed,
                      boundary ? std::optional(boundary->at) : std::nullopt,
                      boundary ? std::optional(boundary->request) : std::nullopt,
                      boundary ? std::optional(boundary->place) : std::nullopt,
                      stream.timed_until.empty() ? std::nullopt : std::optional(stream.timed_until),
                      // What was the open window is closed now: there may be another behind it.
                      late || closed > 0);
    }
    const bool show = row["show_open"].as<bool>() && !more;
    if (show) ShowOpen(tx, stream);
    return late || closed > 0 || show;
  });
}

Result<std::size_t> PostgresWindowStore::NumberOutcomes() {
  const auto models = pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<int>> {
    std::vector<int> ids;
    for (const auto& row : tx.exec_params(kModelsToNumber, kStreamsAtOnce)) {
      ids.push_back(row[0].as<int>());
    }
    return ids;
  });
  if (!models) return models.error();
  std::size_t numbered = 0;
  for (const int id : *models) {
    const auto some = NumberOutcomesOf(id);
    if (!some) return some;
    numbered += *some;
  }
  return numbered;
}

Result<std::size_t> PostgresWindowStore::NumberOutcomesOf(int model_id) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<std::size_t> {
    const auto model = tx.exec_params(kTakeModel, model_id);
    if (model.empty()) return std::size_t{0};
    const auto before = model[0]["outcomes_numbered"].as<std::int64_t>();
    const auto numbered =
        tx.exec_params0(kNumber, model_id, before, model[0]["watermark"].c_str(), kOutcomesAtOnce)
            .affected_rows();
    if (numbered > 0) {
      tx.exec_params0(kSaveNumbered, model_id, before + static_cast<std::int64_t>(numbered));
    }
    return static_cast<std::size_t>(numbered);
  });
}

Result<std::size_t> PostgresWindowStore::Tell(const Teller& teller) {
  const auto models = pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<int>> {
    std::vector<int> ids;
    for (const auto& row : tx.exec(kModelsToTell)) ids.push_back(row[0].as<int>());
    return ids;
  });
  if (!models) return models.error();
  std::size_t told = 0;
  std::optional<Error> failed;  // Of one model; the others shall not wait for it.
  for (const int id : *models) {
    const auto window = TellWindow(id, teller);
    if (!window) failed = window.error();
    if (!window) continue;
    told += *window ? 1 : 0;
    const auto outcomes = TellOutcomes(id, teller);
    if (!outcomes) failed = outcomes.error();
    if (outcomes) told += *outcomes;
  }
  if (failed && told == 0) return *failed;
  return told;
}

Result<bool> PostgresWindowStore::TellWindow(int model_id, const Teller& teller) {
  const auto model = catalog_.Refresh(model_id);
  if (!model) return model.error();
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<bool> {
    if (!tx.exec_params1(kTryLock, kTellLock, model_id)[0].as<bool>()) return false;
    const auto windows = tx.exec_params(kWindowToTell, model_id);
    if (windows.empty()) return false;
    const auto& window = windows[0];
    auto rows = ReadRows(tx, window, **model);
    if (!rows) return rows.error();
    std::shared_ptr<const WindowRows> kept;
    if (rows->slice.empty() && rows->kind == "count") {
      kept = std::make_shared<const WindowRows>(*rows);
      rows->before = Last(model_id, rows->number - 1);
      if (rows->before == nullptr && rows->number > 1) {
        // Another copy told it, or this one before it was started again.
        const auto before = tx.exec_params(kClosedWindow, window["stream_id"].as<int>(),
                                           static_cast<std::int64_t>(rows->number) - 1);
        if (!before.empty()) {
          auto read = ReadRows(tx, before[0], **model);
          if (!read) return read.error();
          if (!read->rows.empty()) {
            rows->before = std::make_shared<const WindowRows>(*std::move(read));
          }
        }
      }
    }
    if (const auto told = teller.window(*std::move(rows)); !told) return told.error();
    if (kept != nullptr) Remember(model_id, std::move(kept));
    tx.exec_params0(kWindowTold, window["stream_id"].as<int>(), window["kind"].c_str(),
                    window["number"].as<std::int64_t>(), window["fingerprint"].as<std::int64_t>());
    return true;
  });
}

std::shared_ptr<const WindowRows> PostgresWindowStore::Last(int model_id, std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = last_.find(model_id);
  return found != last_.end() && found->second->number == number ? found->second : nullptr;
}

void PostgresWindowStore::Remember(int model_id, std::shared_ptr<const WindowRows> window) {
  const std::lock_guard lock(mutex_);
  if (last_.size() >= kMostRemembered && !last_.contains(model_id)) last_.clear();
  last_[model_id] = std::move(window);
}

Result<std::size_t> PostgresWindowStore::TellOutcomes(int model_id, const Teller& teller) {
  const auto model = catalog_.Refresh(model_id);
  if (!model) return model.error();
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<std::size_t> {
    if (!tx.exec_params1(kTryLock, kTellLock, model_id)[0].as<bool>()) return std::size_t{0};
    const auto found = tx.exec_params(
        std::string("SELECT j.number, ") + kRowColumns + kOutcomesToTell, model_id, kOutcomesTold);
    if (found.empty()) {
      tx.exec_params0(kNoneToTell, model_id);  // Dropped by the retention before they were told.
      return std::size_t{0};
    }
    WindowRows rows;
    rows.model = (*model)->key;
    rows.classes = (*model)->classes;
    rows.features = (*model)->features;
    const auto first = found[0]["number"].as<std::uint64_t>();
    for (const auto& row : found) {
      if (row["number"].as<std::uint64_t>() != first + rows.rows.size()) break;
      auto read = ReadRow(row, **model);
      if (!read) return read.error();
      rows.rows.push_back(*std::move(read));
    }
    if (const auto told = teller.outcomes(rows, first); !told) return told.error();
    tx.exec_params0(kOutcomesTo, model_id, first + rows.rows.size());
    return rows.rows.size();
  });
}

}  // namespace tidewheel::monitoring
