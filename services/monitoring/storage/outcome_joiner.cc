#include "tidewheel/monitoring/storage/outcome_joiner.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "tidewheel/monitoring/storage/row_reader.h"
#include "tidewheel/postgres/values.h"

namespace tidewheel::monitoring {
namespace {

// Sources decide between outcomes of the same moment. What is joined already is found again only
// where an earlier outcome has come.
constexpr char kCandidates[] =
    "SELECT p.model_id, p.request_id, p.place, p.role, p.predicted_at, p.class_index, p.slices, "
    "o.class_name, o.source, o.observed_at, j.correct AS was_correct "
    "FROM (SELECT DISTINCT ON (o.request_id, o.place) o.* FROM unnest($1::text[], $2::integer[]) "
    "AS asked (request_id, place) JOIN outcomes o USING (request_id, place) "
    "ORDER BY o.request_id, o.place, o.observed_at, o.source) o "
    "JOIN predictions p USING (request_id, place) "
    "LEFT JOIN joined_outcomes j USING (model_id, request_id, place) "
    "WHERE j.model_id IS NULL OR (o.observed_at, o.source) < (j.observed_at, j.source) "
    "ORDER BY p.model_id, p.request_id, p.place";
constexpr char kMoveClock[] =
    "UPDATE task_clocks SET newest_outcome_at = greatest(newest_outcome_at, least($2, "
    "clock_timestamp() + interval '1 minute')), outcome_arrived_at = clock_timestamp() "
    "WHERE task = $1";
constexpr char kLockStreams[] =
    "SELECT id FROM streams WHERE id = ANY ($1::integer[]) ORDER BY id FOR NO KEY UPDATE";
constexpr char kJoin[] =
    "INSERT INTO joined_outcomes AS j (model_id, request_id, place, role, predicted_at, "
    "class_index, class_name, correct, source, observed_at) "
    "SELECT * FROM unnest($1::integer[], $2::text[], $3::integer[], $4::integer[], "
    "$5::timestamptz[], $6::integer[], $7::text[], $8::boolean[], $9::text[], $10::timestamptz[]) "
    "ON CONFLICT (model_id, request_id, place) DO UPDATE SET class_name = excluded.class_name, "
    "correct = excluded.correct, source = excluded.source, observed_at = excluded.observed_at";
// An answer that a shadow gave does not end the waiting: production's may still come.
constexpr char kEndWaiting[] =
    "UPDATE outcomes o SET waiting = false FROM unnest($1::text[], $2::integer[]) "
    "AS joined (request_id, place) "
    "WHERE o.waiting AND o.request_id = joined.request_id AND o.place = joined.place";
constexpr char kTally[] =
    "UPDATE model_tallies SET outcomes = outcomes + $3, correct = correct + $4 "
    "WHERE model_id = $1 AND class_index = $2";
constexpr char kTouch[] = "UPDATE streams SET open_stale = true WHERE id = ANY ($1::integer[])";
constexpr char kStreamModel[] = "SELECT model_id, slice FROM streams WHERE id = $1";
constexpr char kCount[] =
    "UPDATE windows w SET outcomes = c.outcomes, correct = c.correct FROM ("
    "SELECT i.kind, i.number, count(j.model_id) AS outcomes, "
    "count(*) FILTER (WHERE j.correct) AS correct FROM windows i "
    "LEFT JOIN joined_outcomes j ON j.model_id = $2 AND j.role < 2 "
    "AND j.predicted_at >= i.first_at AND j.predicted_at <= i.last_at "
    "AND (j.predicted_at, j.request_id, j.place) >= (i.first_at, i.first_request, i.first_place) "
    "AND (j.predicted_at, j.request_id, j.place) <= (i.last_at, i.last_request, i.last_place) "
    "AND ($5 OR EXISTS (SELECT FROM slice_predictions m WHERE m.stream_id = $1 AND "
    "m.predicted_at = j.predicted_at AND m.request_id = j.request_id AND m.place = j.place)) "
    "WHERE i.stream_id = $1 AND i.last_at >= $3::timestamptz AND i.first_at <= $4::timestamptz "
    "GROUP BY 1, 2) c "
    "WHERE w.stream_id = $1 AND w.kind = c.kind AND w.number = c.number "
    "AND (w.outcomes, w.correct) IS DISTINCT FROM (c.outcomes, c.correct)";

/// What joining adds to the counts of one answered class.
struct Gain {
  int outcomes = 0;
  int correct = 0;
};

struct Span {
  Timestamp from = Timestamp::max();
  Timestamp to = Timestamp::min();

  void Cover(Timestamp at) {
    from = std::min(from, at);
    to = std::max(to, at);
  }
};

/// The streams that count an answer.
std::vector<int> StreamsOf(const pqxx::row& row, const StoredModel& model) {
  std::vector<int> streams = {model.streams.at("")};
  for (const auto stream : IntegersFrom(row["slices"])) streams.push_back(static_cast<int>(stream));
  return streams;
}

Result<std::map<int, Span>> TouchedStreams(const pqxx::result& rows, ModelCatalog& catalog) {
  std::map<int, Span> touched;
  for (const auto& row : rows) {
    if (row["role"].as<int>() == static_cast<int>(Role::kShadow)) continue;
    const auto model = catalog.Find(row["model_id"].as<int>());
    if (!model) return model.error();
    const auto at = row["predicted_at"].as<Timestamp>();
    for (const int stream : StreamsOf(row, **model)) touched[stream].Cover(at);
  }
  return touched;
}

pqxx::binarystring Ids(const std::map<int, Span>& streams) {
  postgres::IntegerArray ids;
  for (const auto& [id, span] : streams) ids.Add(id);
  return ids.Parameter();
}

Result<void> Join(pqxx::work& tx, ModelCatalog& catalog, const PlaceArrays& places) {
  const auto look = [&] {
    return tx.exec_params(kCandidates, places.request_ids.Parameter(), places.places.Parameter());
  };
  auto rows = look();
  if (rows.empty()) return {};
  auto touched = TouchedStreams(rows, catalog);
  if (!touched) return touched.error();
  std::map<std::string, Timestamp> newest;
  for (const auto& row : rows) {
    const auto model = catalog.Find(row["model_id"].as<int>());
    if (!model) return model.error();
    const auto at = row["observed_at"].as<Timestamp>();
    const auto known = newest.try_emplace((*model)->key.task, at);
    known.first->second = std::max(known.first->second, at);
  }
  for (const auto& [task, at] : newest) tx.exec_params0(kMoveClock, task, at);
  tx.exec_params(kLockStreams, Ids(*touched));
  rows = look();  // Another copy may have joined some before we had the lock.
  if (rows.empty()) return {};

  postgres::IntegerArray models, indexes, roles, answers;
  postgres::TextArray requests, classes, sources;
  postgres::BooleanArray correct;
  postgres::TimestampArray predicted, observed;
  PlaceArrays ended;
  std::map<std::pair<int, int>, Gain> gains;
  for (const auto& row : rows) {
    const auto model = catalog.Find(row["model_id"].as<int>());
    if (!model) return model.error();
    const int answered = row["class_index"].as<int>();
    const bool right =
        static_cast<std::size_t>(answered) < (*model)->classes.size() &&
        (*model)->classes[static_cast<std::size_t>(answered)] == row["class_name"].c_str();
    models.Add((*model)->id);
    requests.Add(row["request_id"].c_str());
    indexes.Add(row["place"].as<int>());
    roles.Add(row["role"].as<int>());
    predicted.Add(row["predicted_at"].as<Timestamp>());
    answers.Add(answered);
    classes.Add(row["class_name"].c_str());
    correct.Add(right);
    sources.Add(row["source"].c_str());
    observed.Add(row["observed_at"].as<Timestamp>());
    if (row["role"].as<int>() == static_cast<int>(Role::kShadow)) continue;
    ended.Add(row["request_id"].c_str(), row["place"].as<std::uint32_t>());
    Gain& gain = gains[{(*model)->id, answered}];
    const bool new_one = row["was_correct"].is_null();
    gain.outcomes += new_one ? 1 : 0;
    gain.correct += (right ? 1 : 0) - (!new_one && row["was_correct"].as<bool>() ? 1 : 0);
  }
  tx.exec_params0(kJoin, models.Parameter(), requests.Parameter(), indexes.Parameter(),
                  roles.Parameter(), predicted.Parameter(), answers.Parameter(),
                  classes.Parameter(), correct.Parameter(), sources.Parameter(),
                  observed.Parameter());
  tx.exec_params0(kEndWaiting, ended.request_ids.Parameter(), ended.places.Parameter());
  for (const auto& [which, gain] : gains) {
    tx.exec_params0(kTally, which.first, which.second, gain.outcomes, gain.correct);
  }
  tx.exec_params0(kTouch, Ids(*touched));
  for (const auto& [stream, span] : *touched) {
    CountOutcomes(tx, stream, FormatUtc(span.from), FormatUtc(span.to));
  }
  return {};
}

}  // namespace

Result<void> JoinOutcomes(postgres::Pool& pool, ModelCatalog& catalog, const PlaceArrays& places) {
  return pool.InTransaction(
      [&](pqxx::work& tx) -> Result<void> { return Join(tx, catalog, places); });
}

void CountOutcomes(pqxx::work& tx, int stream_id, const std::string& from, const std::string& to) {
  const auto stream = tx.exec_params1(kStreamModel, stream_id);
  const bool all_traffic = std::string_view(stream["slice"].c_str()).empty();
  tx.exec_params0(kCount, stream_id, stream["model_id"].as<int>(), from, to, all_traffic);
}

}  // namespace tidewheel::monitoring
