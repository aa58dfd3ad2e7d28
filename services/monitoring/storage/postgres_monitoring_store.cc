#include "tidewheel/monitoring/storage/postgres_monitoring_store.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <pqxx/pqxx>
#include <utility>

#include "tidewheel/base/page_token.h"
#include "tidewheel/log/log.h"
#include "tidewheel/monitoring/storage/outcome_joiner.h"
#include "tidewheel/monitoring/storage/prediction_batch.h"
#include "tidewheel/monitoring/storage/row_reader.h"
#include "tidewheel/monitoring/storage/window_reader.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/values.h"

namespace tidewheel::monitoring {
namespace {

constexpr std::size_t kForgetAtOnce = 5'000;
constexpr int kDelayOutcomes = 1'000;  // The newest of a model that its label delay is taken from.

constexpr char kAnyWaiting[] = "SELECT EXISTS (SELECT FROM outcomes WHERE waiting)";
constexpr char kInsertFailures[] =
    "INSERT INTO failures (request_id, model_id, failed_at, seconds, role, error) "
    "SELECT r.request_id, m.id, r.at, r.seconds, r.role, r.error "
    "FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::real[], "
    "$6::integer[], $7::text[]) AS r (request_id, task, model, at, seconds, role, error) "
    "JOIN models m ON m.task = r.task AND m.model_version_id = r.model "
    "WHERE r.at >= coalesce(m.forgotten_before, '-infinity') "
    "ORDER BY 1, 2 ON CONFLICT DO NOTHING";
constexpr char kInsertOutcomes[] =
    "INSERT INTO outcomes (request_id, place, source, class_name, observed_at) "
    "SELECT request_id, place, source, class_name, observed_at FROM unnest($1::text[], "
    "$2::integer[], $3::text[], $4::text[], $5::timestamptz[]) AS row (request_id, place, source, "
    "class_name, observed_at) ORDER BY request_id, place, source ON CONFLICT DO NOTHING";
constexpr char kFind[] =
    ", p.confidence, p.answered FROM predictions p "
    "LEFT JOIN joined_outcomes j USING (model_id, request_id, place) "
    "WHERE p.request_id = $1 AND p.place = $2 ORDER BY p.role, p.predicted_at, p.model_id LIMIT 1";
constexpr char kListWindows[] =
    "SELECT m.task, m.model_version_id, m.classes, s.slice, w.* FROM windows w "
    "JOIN streams s ON s.id = w.stream_id JOIN models m ON m.id = s.model_id "
    "WHERE ($1 = '' OR m.task = $1) AND ($2 = '' OR m.model_version_id = $2) "
    "AND s.slice = $3 AND w.kind = $4 AND ($5 = '' OR (w.last_at, w.stream_id, w.number) < "
    "(nullif($5, '')::timestamptz, $6::integer, $7::bigint)) "
    "ORDER BY w.last_at DESC, w.stream_id DESC, w.number DESC LIMIT $8";
constexpr char kListModels[] =
    "SELECT m.id, m.task, m.model_version_id, m.classes, s.last_at FROM models m "
    "JOIN streams s ON s.model_id = m.id AND s.slice = '' "
    "WHERE ($1 = '' OR m.task = $1) AND (m.task, m.model_version_id) > ($2, $3) "
    "AND s.predictions > 0 ORDER BY m.task, m.model_version_id LIMIT $4";
constexpr char kTallies[] =
    "SELECT class_index, predictions, confidence_sum, outcomes, correct FROM model_tallies "
    "WHERE model_id = $1 ORDER BY class_index";
constexpr char kListDelays[] =
    "SELECT m.task, m.model_version_id, count(*) AS outcomes, "
    "percentile_cont(0.5) WITHIN GROUP (ORDER BY n.delay) AS median, avg(n.delay) AS mean "
    "FROM models m CROSS JOIN LATERAL (SELECT extract(epoch FROM j.observed_at - "
    "j.predicted_at)::double precision AS delay FROM joined_outcomes j WHERE j.model_id = m.id AND "
    "j.role < 2 ORDER BY j.predicted_at DESC LIMIT $1) n GROUP BY m.id ORDER BY 1, 2";
constexpr char kListActivity[] =
    "SELECT task, newest_at, arrived_at FROM task_clocks ORDER BY task";
constexpr char kNote[] =
    "UPDATE windows w SET estimated_accuracy = $5, estimated_low = $6, estimated_high = $7, "
    "drift = $8::jsonb FROM streams s JOIN models m ON m.id = s.model_id "
    "WHERE w.stream_id = s.id AND m.task = $1 AND m.model_version_id = $2 AND s.slice = $3 "
    "AND w.kind = $4 AND w.number = $9";
constexpr char kFindWindow[] =
    "SELECT w.* FROM windows w WHERE w.stream_id = $1 AND w.kind = $2 AND w.number = $3";
constexpr char kTaskModels[] =
    "SELECT id FROM models WHERE task = $1 AND ($2 = '' OR model_version_id = $2) ORDER BY id";
constexpr char kCandidates[] =
    " FROM predictions p LEFT JOIN joined_outcomes j USING (model_id, request_id, place) "
    "WHERE p.model_id = $1 AND p.role < 2 AND p.predicted_at >= $2::timestamptz "
    "AND ($3::integer IS NULL OR p.slices @> ARRAY[$3::integer]) "
    "ORDER BY p.predicted_at DESC, p.request_id DESC, p.place DESC LIMIT $4";

constexpr char kForgetFrom[] =
    "UPDATE models SET forgotten_before = greatest(forgotten_before, $1)";
constexpr std::array<const char*, 5> kForget = {
    "DELETE FROM predictions WHERE ctid = ANY (ARRAY(SELECT p.ctid FROM models m JOIN predictions "
    "p ON p.model_id = m.id AND p.predicted_at < $1 LIMIT $2))",
    "DELETE FROM slice_predictions WHERE ctid = ANY (ARRAY(SELECT p.ctid FROM streams s JOIN "
    "slice_predictions p ON p.stream_id = s.id AND p.predicted_at < $1 LIMIT $2))",
    "DELETE FROM failures WHERE ctid = ANY (ARRAY(SELECT f.ctid FROM models m JOIN failures f ON "
    "f.model_id = m.id AND f.failed_at < $1 LIMIT $2))",
    "DELETE FROM joined_outcomes WHERE ctid = ANY (ARRAY(SELECT j.ctid FROM models m JOIN "
    "joined_outcomes j ON j.model_id = m.id AND j.predicted_at < $1 AND (j.number IS NULL OR "
    "j.number < m.outcomes_told) LIMIT $2))",
    "DELETE FROM outcomes WHERE ctid = ANY (ARRAY(SELECT ctid FROM outcomes WHERE observed_at < "
    "$1 LIMIT $2))"};

std::string NumbersJson(const std::map<std::string, double>& numbers) {
  std::string json = "{";
  for (const auto& [name, value] : numbers) {
    if (!std::isfinite(value)) continue;
    std::array<char, 32> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    if (json.size() > 1) json.push_back(',');
    json += log::JsonQuoted(name) + ":";
    json.append(digits.data(), end);
  }
  return json + "}";
}

std::map<std::string, double> NumbersFrom(std::string_view json) {
  std::map<std::string, double> numbers;
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (parser.parse(json.data(), json.size()).get(object) != simdjson::SUCCESS) return numbers;
  for (const auto [name, value] : object) {
    double number = 0;
    if (value.get(number) == simdjson::SUCCESS) numbers.emplace(name, number);
  }
  return numbers;
}

std::string NameOfClass(const std::vector<std::string>& classes, std::size_t index) {
  return index < classes.size() ? classes[index] : std::to_string(index);
}

Window WindowFrom(const pqxx::row& row) {
  Window window;
  window.model = {row["task"].c_str(), row["model_version_id"].c_str()};
  window.slice = row["slice"].c_str();
  window.kind = row["kind"].c_str();
  window.number = row["number"].as<std::uint64_t>();
  window.closed = row["closed"].as<bool>();
  window.judged = row["judged"].as<bool>();
  window.first_at = row["first_at"].as<Timestamp>();
  window.last_at = row["last_at"].as<Timestamp>();
  window.tally.predictions = row["predictions"].as<std::uint64_t>();
  window.tally.confidence_sum = row["confidence_sum"].as<std::uint64_t>();
  window.tally.outcomes = row["outcomes"].as<std::uint64_t>();
  window.tally.correct = row["correct"].as<std::uint64_t>();
  const auto classes = TextsFrom(row["classes"]);
  const auto counts = IntegersFrom(row["class_counts"]);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) {
      window.tally.by_class[NameOfClass(classes, i)] = static_cast<std::uint64_t>(counts[i]);
    }
  }
  if (!row["estimated_accuracy"].is_null()) {
    window.estimated_accuracy = row["estimated_accuracy"].as<double>();
    window.estimated_low = row["estimated_low"].as<double>();
    window.estimated_high = row["estimated_high"].as<double>();
  }
  window.drift = NumbersFrom(row["drift"].c_str());
  return window;
}

}  // namespace

Result<std::size_t> PostgresMonitoringStore::AddPredictions(std::span<const Prediction> predictions,
                                                            const Policies& policies) {
  if (predictions.empty()) return std::size_t{0};
  const auto stored = StorePredictions(pool_, catalog_, predictions, policies);
  if (!stored) return stored;

  const auto waiting = pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<bool> {
    return tx.exec1(kAnyWaiting)[0].as<bool>();
  });
  if (!waiting) return waiting.error();
  PlaceArrays places;
  for (const auto& prediction : predictions) {
    // The outcome of a shadow's answer may have found production's, and wait no more.
    if (*waiting || prediction.role == Role::kShadow) {
      places.Add(prediction.request_id, prediction.index);
    }
  }
  if (places.places.size() == 0) return stored;
  if (const auto joined = JoinOutcomes(pool_, catalog_, places); !joined) return joined.error();
  return stored;
}

Result<std::size_t> PostgresMonitoringStore::AddFailures(std::span<const Failure> failures,
                                                         const Policies& policies) {
  if (failures.empty()) return std::size_t{0};
  postgres::TextArray requests, tasks, models, errors;
  postgres::TimestampArray times;
  postgres::RealArray seconds;
  postgres::IntegerArray roles;
  std::map<std::string, Timestamp> newest;
  for (const auto& failure : failures) {
    // A model may fail before it ever answered: its classes are then not known yet.
    const auto known = catalog_.FindByKey(failure.model);
    if (!known) return known.error();
    if (*known == nullptr) {
      const auto policy = policies.find(failure.model.task);
      const auto made = catalog_.Ensure(
          failure.model, {}, policy == policies.end() ? MonitoringPolicy{} : policy->second);
      if (!made) return made.error();
    }
    requests.Add(failure.request_id);
    tasks.Add(failure.model.task);
    models.Add(failure.model.model_version_id);
    times.Add(failure.failed_at);
    seconds.Add(static_cast<float>(failure.seconds));
    roles.Add(static_cast<std::int32_t>(failure.role));
    errors.Add(failure.error);
    const auto at = newest.try_emplace(failure.model.task, failure.failed_at);
    at.first->second = std::max(at.first->second, failure.failed_at);
  }
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<std::size_t> {
    const auto added = tx.exec_params0(kInsertFailures, requests.Parameter(), tasks.Parameter(),
                                       models.Parameter(), times.Parameter(), seconds.Parameter(),
                                       roles.Parameter(), errors.Parameter())
                           .affected_rows();
    if (added > 0) MoveClocks(tx, newest, policies);
    return static_cast<std::size_t>(added);
  });
}

Result<std::size_t> PostgresMonitoringStore::AddOutcomes(std::span<const Outcome> outcomes) {
  if (outcomes.empty()) return std::size_t{0};
  PlaceArrays places;
  postgres::TextArray sources, classes;
  postgres::TimestampArray times;
  for (const auto& outcome : outcomes) {
    places.Add(outcome.request_id, outcome.index);
    sources.Add(outcome.source);
    classes.Add(outcome.class_name);
    times.Add(outcome.observed_at);
  }
  const auto stored = pool_.InTransaction([&](pqxx::work& tx) -> Result<std::size_t> {
    return static_cast<std::size_t>(tx.exec_params0(kInsertOutcomes, places.request_ids.Parameter(),
                                                    places.places.Parameter(), sources.Parameter(),
                                                    classes.Parameter(), times.Parameter())
                                        .affected_rows());
  });
  if (!stored) return stored;
  if (const auto joined = JoinOutcomes(pool_, catalog_, places); !joined) return joined.error();
  return stored;
}

Result<std::optional<Prediction>> PostgresMonitoringStore::FindPrediction(
    const std::string& request_id, std::uint32_t index) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::optional<Prediction>> {
    const auto rows =
        tx.exec_params(std::string("SELECT ") + kRowColumns + kFind, request_id, index);
    if (rows.empty()) return std::optional<Prediction>();
    const auto model = catalog_.Refresh(rows[0]["model_id"].as<int>());
    if (!model) return model.error();
    auto row = ReadRow(rows[0], **model);
    if (!row) return row.error();
    Prediction prediction;
    prediction.request_id = std::move(row->request_id);
    prediction.index = row->index;
    prediction.model = (*model)->key;
    prediction.classes = std::make_shared<const std::vector<std::string>>((*model)->classes);
    prediction.class_index = row->class_index;
    prediction.confidence = rows[0]["confidence"].as<double>();
    prediction.probabilities = std::move(row->probabilities);
    prediction.predicted_at = row->at;
    prediction.payload_sha256 = std::move(row->payload_sha256);
    for (std::size_t i = 0; i < (*model)->features.size(); ++i) {
      if (!std::isnan(row->features[i])) {
        prediction.measures.push_back({(*model)->features[i], row->features[i]});
      }
    }
    prediction.embedding = std::move(row->embedding);
    prediction.quality_problems = std::move(row->quality_problems);
    prediction.role = static_cast<Role>(rows[0]["role"].as<int>());
    prediction.seconds = row->seconds;
    prediction.answered_class_index = rows[0]["answered"].as<std::optional<std::uint32_t>>();
    prediction.slices = std::move(row->slices);
    if (!rows[0]["outcome"].is_null()) {
      prediction.outcome_class_name = rows[0]["outcome"].c_str();
      prediction.outcome_at = row->outcome_at;
    }
    return std::optional<Prediction>(std::move(prediction));
  });
}

Result<Page<Window>> PostgresMonitoringStore::ListWindows(const WindowFilter& filter,
                                                          const PageRequest& request) {
  const std::string query = "windows/" + filter.model.task + "/" + filter.model.model_version_id +
                            "/" + filter.kind + "/" + filter.slice;
  const auto token = DecodePageToken(query, request.token, 3);
  if (!token) return token.error();
  const std::vector<std::string> after =
      token->empty() ? std::vector<std::string>{"", "0", "0"} : *token;
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<Page<Window>> {
    Page<Window> page;
    std::string stream;
    for (const auto& row : tx.exec_params(kListWindows, filter.model.task,
                                          filter.model.model_version_id, filter.slice, filter.kind,
                                          after[0], after[1], after[2], request.size + 1)) {
      if (page.items.size() == request.size) {
        const Window& last = page.items.back();
        page.next_token =
            EncodePageToken(query, {FormatUtc(last.last_at), stream, std::to_string(last.number)});
        break;
      }
      stream = row["stream_id"].c_str();
      page.items.push_back(WindowFrom(row));
    }
    return page;
  });
}

Result<Page<ModelSummary>> PostgresMonitoringStore::ListSummaries(const std::string& task,
                                                                  const PageRequest& request) {
  const std::string query = "summaries/" + task;
  const auto token = DecodePageToken(query, request.token, 2);
  if (!token) return token.error();
  const std::vector<std::string> after = token->empty() ? std::vector<std::string>{"", ""} : *token;
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<Page<ModelSummary>> {
    Page<ModelSummary> page;
    for (const auto& row :
         tx.exec_params(kListModels, task, after[0], after[1], request.size + 1)) {
      if (page.items.size() == request.size) {
        const ModelKey& last = page.items.back().model;
        page.next_token = EncodePageToken(query, {last.task, last.model_version_id});
        break;
      }
      ModelSummary summary;
      summary.model = {row["task"].c_str(), row["model_version_id"].c_str()};
      summary.last_at = row["last_at"].as<Timestamp>();
      const auto classes = TextsFrom(row["classes"]);
      for (const auto& part : tx.exec_params(kTallies, row["id"].as<int>())) {
        const auto predictions = part["predictions"].as<std::uint64_t>();
        summary.tally.predictions += predictions;
        summary.tally.confidence_sum += part["confidence_sum"].as<std::uint64_t>();
        summary.tally.outcomes += part["outcomes"].as<std::uint64_t>();
        summary.tally.correct += part["correct"].as<std::uint64_t>();
        summary.tally.by_class[NameOfClass(classes, part["class_index"].as<std::size_t>())] =
            predictions;
      }
      page.items.push_back(std::move(summary));
    }
    return page;
  });
}

Result<std::vector<LabelDelay>> PostgresMonitoringStore::ListLabelDelays() {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<LabelDelay>> {
    std::vector<LabelDelay> delays;
    for (const auto& row : tx.exec_params(kListDelays, kDelayOutcomes)) {
      delays.push_back({{row["task"].c_str(), row["model_version_id"].c_str()},
                        row["outcomes"].as<std::uint64_t>(),
                        row["median"].as<double>(),
                        row["mean"].as<double>()});
    }
    return delays;
  });
}

Result<std::vector<TaskActivity>> PostgresMonitoringStore::ListActivity() {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<TaskActivity>> {
    std::vector<TaskActivity> tasks;
    for (const auto& row : tx.exec(kListActivity)) {
      tasks.push_back({row[0].c_str(), row[1].as<Timestamp>(), row[2].as<Timestamp>()});
    }
    return tasks;
  });
}

Result<std::vector<std::string>> PostgresMonitoringStore::ListSlices(const ModelKey& model) {
  const auto found = catalog_.FindByKey(model);
  if (!found) return found.error();
  std::vector<std::string> slices;
  if (*found == nullptr) return slices;
  const auto now = catalog_.Refresh((*found)->id);
  if (!now) return now.error();
  for (const auto& [slice, stream] : (*now)->streams) {
    if (!slice.empty()) slices.push_back(slice);
  }
  std::sort(slices.begin(), slices.end());
  return slices;
}

Result<WindowRows> PostgresMonitoringStore::ReadWindow(const WindowKey& key) {
  const Error missing{ErrorCode::kNotFound, "no window " + key.Id()};
  const auto found = catalog_.FindByKey(key.model);
  if (!found) return found.error();
  if (*found == nullptr) return missing;
  const auto model = catalog_.Refresh((*found)->id);
  if (!model) return model.error();
  const auto stream = (*model)->streams.find(key.slice);
  if (stream == (*model)->streams.end()) return missing;
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<WindowRows> {
    const auto rows = tx.exec_params(kFindWindow, stream->second, key.kind, key.number);
    if (rows.empty()) return missing;
    return ReadRows(tx, rows[0], **model);
  });
}

Result<void> PostgresMonitoringStore::NoteWindow(const WindowKey& key, const WindowNote& note) {
  const auto& estimate = note.estimated_accuracy;
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
    tx.exec_params0(kNote, key.model.task, key.model.model_version_id, key.slice, key.kind,
                    estimate, estimate ? std::optional(note.estimated_low) : std::nullopt,
                    estimate ? std::optional(note.estimated_high) : std::nullopt,
                    NumbersJson(note.drift), key.number);
    return {};
  });
}

Result<RankCandidates> PostgresMonitoringStore::FindCandidates(const RankQuery& query,
                                                               std::size_t at_most) {
  const auto ids = pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<int>> {
    std::vector<int> found;
    for (const auto& row : tx.exec_params(kTaskModels, query.task, query.model_version_id)) {
      found.push_back(row[0].as<int>());
    }
    return found;
  });
  if (!ids) return ids.error();
  RankCandidates candidates;
  const std::string since = query.since ? FormatUtc(*query.since) : "-infinity";
  for (const int id : *ids) {
    const auto model = catalog_.Refresh(id);
    if (!model) return model.error();
    std::optional<int> stream;
    if (!query.slice.empty()) {
      const auto found = (*model)->streams.find(query.slice);
      if (found == (*model)->streams.end()) continue;
      stream = found->second;
    }
    const auto read = pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<void> {
      for (const auto& row : tx.exec_params(std::string("SELECT ") + kRowColumns + kCandidates, id,
                                            since, stream, at_most)) {
        auto observed = ReadRow(row, **model);
        if (!observed) return observed.error();
        std::string class_name = NameOfClass((*model)->classes, observed->class_index);
        candidates.items.push_back({(*model)->key, std::move(class_name), *std::move(observed)});
      }
      return {};
    });
    if (!read) return read.error();
    candidates.features[(*model)->key] = (*model)->features;
  }
  return candidates;
}

Result<std::uint64_t> PostgresMonitoringStore::Forget(Timestamp before) {
  const auto marked = pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
    tx.exec_params0(kForgetFrom, before);
    return {};
  });
  if (!marked) return marked.error();
  std::uint64_t forgotten = 0;
  for (const char* statement : kForget) {
    bool more = true;
    while (more) {  // A transaction each, so that nobody waits for long.
      const auto gone = pool_.InTransaction([&](pqxx::work& tx) -> Result<std::uint64_t> {
        return std::uint64_t{tx.exec_params0(statement, before, kForgetAtOnce).affected_rows()};
      });
      if (!gone) return gone.error();
      if (statement == kForget.front()) forgotten += *gone;
      more = *gone == kForgetAtOnce;
    }
  }
  return forgotten;
}

}  // namespace tidewheel::monitoring
