#include "tidewheel/monitoring/storage/postgres_monitoring_store.h"

#include <simdjson.h>

#include <array>
#include <charconv>
#include <cmath>
#include <pqxx/pqxx>
#include <set>
#include <utility>

#include "tidewheel/base/page_token.h"
#include "tidewheel/log/log.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/values.h"

namespace tidewheel::monitoring {
namespace {

using Place = std::pair<std::string, std::uint32_t>;  // Of an answer: request id and index.

constexpr char kEnsureModel[] =
    "INSERT INTO models (task, model_version_id, window_size, last_at) VALUES ($1, $2, $3, $4) "
    "ON CONFLICT DO NOTHING";
constexpr char kLockModel[] =
    "SELECT window_size, predictions FROM models WHERE task = $1 AND model_version_id = $2 FOR "
    "UPDATE";
constexpr char kFindKnown[] =
    "SELECT p.request_id, p.place FROM unnest($1::text[], $2::integer[]) AS asked (request_id, "
    "place) "
    "JOIN predictions p USING (request_id, place)";
constexpr char kInsertPredictions[] =
    "INSERT INTO predictions (request_id, place, task, model_version_id, window_number, "
    "class_name, "
    "confidence, probabilities, predicted_at, payload_sha256, measures) "
    "SELECT request_id, place, task, model, number, class_name, confidence, probabilities::real[], "
    "predicted_at, sha256, measures::jsonb "
    "FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::bigint[], $6::text[], "
    "$7::double precision[], $8::text[], $9::timestamptz[], $10::text[], $11::text[]) "
    "AS row (request_id, place, task, model, number, class_name, confidence, probabilities, "
    "predicted_at, sha256, measures)";
constexpr char kAddToModel[] =
    "UPDATE models SET predictions = predictions + $3, confidence_sum = confidence_sum + $4, "
    "last_at = greatest(last_at, $5) "
    "WHERE task = $1 AND model_version_id = $2";
constexpr char kAddToWindow[] =
    "INSERT INTO windows AS w (task, model_version_id, number, first_at, last_at, predictions, "
    "confidence_sum, outcomes, correct) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0) "
    "ON CONFLICT (task, model_version_id, number) DO UPDATE SET "
    "first_at = least(w.first_at, excluded.first_at), last_at = greatest(w.last_at, "
    "excluded.last_at), "
    "predictions = w.predictions + excluded.predictions, "
    "confidence_sum = w.confidence_sum + excluded.confidence_sum";
constexpr char kAddToClass[] =
    "INSERT INTO window_classes AS c (task, model_version_id, number, class_name, predictions) "
    "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (task, model_version_id, number, class_name) "
    "DO UPDATE SET predictions = c.predictions + excluded.predictions";

constexpr char kInsertOutcomes[] =
    "INSERT INTO outcomes (request_id, place, source, class_name, observed_at) "
    "SELECT request_id, place, source, class_name, observed_at FROM unnest($1::text[], "
    "$2::integer[], "
    "$3::text[], $4::text[], $5::timestamptz[]) AS row (request_id, place, source, class_name, "
    "observed_at) ORDER BY request_id, place, source ON CONFLICT DO NOTHING "
    "RETURNING request_id, place";
constexpr char kModelsToJoin[] =
    "SELECT DISTINCT p.task, p.model_version_id FROM unnest($1::text[], $2::integer[]) "
    "AS asked (request_id, place) JOIN predictions p USING (request_id, place) "
    "JOIN outcomes o USING (request_id, place) WHERE p.outcome_class IS NULL ORDER BY 1, 2";
// The outcome that was observed first; sources decide between equals.
constexpr char kJoinOutcomes[] =
    "UPDATE predictions p SET outcome_class = first.class_name, outcome_at = first.observed_at "
    "FROM (SELECT DISTINCT ON (o.request_id, o.place) o.request_id, o.place, o.class_name, "
    "o.observed_at FROM unnest($1::text[], $2::integer[]) AS asked (request_id, place) "
    "JOIN outcomes o USING (request_id, place) "
    "ORDER BY o.request_id, o.place, o.observed_at, o.source) AS first "
    "WHERE p.request_id = first.request_id AND p.place = first.place AND p.outcome_class IS NULL "
    "RETURNING p.task, p.model_version_id, p.window_number, p.class_name, p.outcome_class";
constexpr char kAddOutcomesToWindow[] =
    "UPDATE windows SET outcomes = outcomes + $4, correct = correct + $5 "
    "WHERE task = $1 AND model_version_id = $2 AND number = $3";
constexpr char kAddOutcomesToModel[] =
    "UPDATE models SET outcomes = outcomes + $3, correct = correct + $4 "
    "WHERE task = $1 AND model_version_id = $2";

constexpr char kFind[] =
    "SELECT request_id, place, task, model_version_id, class_name, confidence, probabilities, "
    "predicted_at, payload_sha256, measures, outcome_class, outcome_at FROM predictions "
    "WHERE request_id = $1 AND place = $2";
constexpr char kListWindows[] =
    "SELECT w.task, w.model_version_id, w.number, w.first_at, w.last_at, w.predictions, "
    "w.confidence_sum, w.outcomes, w.correct, m.window_size FROM windows w "
    "JOIN models m USING (task, model_version_id) "
    "WHERE ($1 = '' OR task = $1) AND ($2 = '' OR model_version_id = $2) "
    "AND ($3 = '' OR (w.last_at, task, model_version_id, w.number) < "
    "(nullif($3, '')::timestamptz, $4, $5, $6::bigint)) "
    "ORDER BY w.last_at DESC, task DESC, model_version_id DESC, w.number DESC LIMIT $7";
constexpr char kWindowClasses[] =
    "SELECT class_name, predictions FROM window_classes "
    "WHERE task = $1 AND model_version_id = $2 AND number = $3";
constexpr char kListModels[] =
    "SELECT task, model_version_id, window_size, predictions, confidence_sum, outcomes, correct, "
    "last_at FROM models WHERE ($1 = '' OR task = $1) AND (task, model_version_id) > ($2, $3) "
    "ORDER BY task, model_version_id LIMIT $4";
constexpr char kModelClasses[] =
    "SELECT class_name, sum(predictions)::bigint AS predictions FROM window_classes "
    "WHERE task = $1 AND model_version_id = $2 GROUP BY class_name";

std::string MeasuresJson(const std::map<std::string, double>& measures) {
  std::string json = "{";
  for (const auto& [name, value] : measures) {
    if (!std::isfinite(value)) continue;
    std::array<char, 32> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    if (json.size() > 1) json.push_back(',');
    json += log::JsonQuoted(name) + ":";
    json.append(digits.data(), end);
  }
  return json + "}";
}

std::map<std::string, double> MeasuresFrom(std::string_view json) {
  std::map<std::string, double> measures;
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  if (parser.parse(json.data(), json.size()).get(object) != simdjson::SUCCESS) return measures;
  for (const auto [name, value] : object) {
    double number = 0;
    if (value.get(number) == simdjson::SUCCESS) measures.emplace(name, number);
  }
  return measures;
}

std::string RealsLiteral(const std::vector<float>& values) {
  postgres::ArrayLiteral array;
  for (const float value : values) array.AddDouble(static_cast<double>(value));
  return array.text();
}

std::vector<float> RealsFrom(const pqxx::field& field) {
  std::vector<float> values;
  auto parser = field.as_array();
  for (auto [kind, text] = parser.get_next(); kind != pqxx::array_parser::done;
       std::tie(kind, text) = parser.get_next()) {
    if (kind == pqxx::array_parser::string_value) values.push_back(std::stof(text));
  }
  return values;
}

/// The places of some answers as two array parameters.
struct PlaceArrays {
  postgres::TextArray request_ids;
  postgres::IntegerArray places;

  void Add(const std::string& request_id, std::uint32_t place) {
    request_ids.Add(request_id);
    places.Add(static_cast<std::int32_t>(place));
  }
};

/// What a batch adds to one window.
struct WindowChange {
  Tally tally;
  Timestamp first_at = Timestamp::max();
  Timestamp last_at = Timestamp::min();
};

struct OpenModel {
  std::uint32_t window_size = 0;
  std::uint64_t predictions = 0;  // So far, this batch included.
};

std::map<ModelKey, OpenModel> LockModels(pqxx::work& tx, std::span<const Prediction> predictions,
                                         const std::map<std::string, std::uint32_t>& window_sizes) {
  std::map<ModelKey, OpenModel> models;
  for (const auto& prediction : predictions) models.try_emplace(prediction.model);
  for (auto& [key, model] : models) {
    const auto size = window_sizes.find(key.task);
    tx.exec_params0(kEnsureModel, key.task, key.model_version_id,
                    size == window_sizes.end() ? 200 : size->second,
                    predictions.front().predicted_at);
    const auto row = tx.exec_params1(kLockModel, key.task, key.model_version_id);
    model.window_size = row["window_size"].as<std::uint32_t>();
    model.predictions = row["predictions"].as<std::uint64_t>();
  }
  return models;
}

std::vector<Prediction> NewOnes(pqxx::work& tx, std::span<const Prediction> predictions) {
  PlaceArrays asked;
  for (const auto& prediction : predictions) asked.Add(prediction.request_id, prediction.index);
  std::set<Place> known;
  for (const auto& row :
       tx.exec_params(kFindKnown, asked.request_ids.Parameter(), asked.places.Parameter())) {
    known.emplace(row[0].c_str(), row[1].as<std::uint32_t>());
  }
  std::vector<Prediction> added;
  for (const auto& prediction : predictions) {
    if (known.emplace(prediction.request_id, prediction.index).second) added.push_back(prediction);
  }
  return added;
}

void InsertPredictions(pqxx::work& tx, std::span<const Prediction> predictions,
                       std::span<const std::uint64_t> numbers) {
  postgres::TextArray request_ids, tasks, models, classes, probabilities, digests, measures;
  postgres::IntegerArray places;
  postgres::BigintArray windows;
  postgres::DoubleArray confidences;
  postgres::TimestampArray times;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const Prediction& prediction = predictions[i];
    request_ids.Add(prediction.request_id);
    places.Add(static_cast<std::int32_t>(prediction.index));
    tasks.Add(prediction.model.task);
    models.Add(prediction.model.model_version_id);
    windows.Add(static_cast<std::int64_t>(numbers[i]));
    classes.Add(prediction.class_name);
    confidences.Add(prediction.confidence);
    probabilities.Add(RealsLiteral(prediction.probabilities));
    times.Add(prediction.predicted_at);
    digests.Add(prediction.payload_sha256);
    measures.Add(MeasuresJson(prediction.measures));
  }
  tx.exec_params0(kInsertPredictions, request_ids.Parameter(), places.Parameter(),
                  tasks.Parameter(), models.Parameter(), windows.Parameter(), classes.Parameter(),
                  confidences.Parameter(), probabilities.Parameter(), times.Parameter(),
                  digests.Parameter(), measures.Parameter());
}

void AddToWindow(pqxx::work& tx, const ModelKey& model, std::uint64_t number,
                 const WindowChange& change) {
  const Tally& tally = change.tally;
  tx.exec_params0(kAddToWindow, model.task, model.model_version_id, number, change.first_at,
                  change.last_at, tally.predictions, tally.confidence_sum);
  for (const auto& [class_name, predictions] : tally.by_class) {
    tx.exec_params0(kAddToClass, model.task, model.model_version_id, number, class_name,
                    predictions);
  }
  tx.exec_params0(kAddToModel, model.task, model.model_version_id, tally.predictions,
                  tally.confidence_sum, change.last_at);
}

/// Gives predictions their outcomes, and counts those. A prediction and its outcome may be stored
/// side by side, neither seeing the other: so both do this once they are committed, and the later
/// of the two sees both.
Result<void> JoinOutcomes(postgres::Pool& pool, const PlaceArrays& places) {
  return pool.InTransaction([&](pqxx::work& tx) -> Result<void> {
    // The models first and in order, as AddPredictions does.
    const auto models =
        tx.exec_params(kModelsToJoin, places.request_ids.Parameter(), places.places.Parameter());
    if (models.empty()) return {};
    for (const auto& row : models) tx.exec_params(kLockModel, row[0].c_str(), row[1].c_str());

    std::map<std::pair<ModelKey, std::uint64_t>, Tally> changes;
    for (const auto& row :
         tx.exec_params(kJoinOutcomes, places.request_ids.Parameter(), places.places.Parameter())) {
      const ModelKey model{row["task"].c_str(), row["model_version_id"].c_str()};
      changes[{model, row["window_number"].as<std::uint64_t>()}].AddOutcome(
          row["class_name"].c_str(), row["outcome_class"].c_str());
    }
    for (const auto& [window, tally] : changes) {
      const ModelKey& model = window.first;
      tx.exec_params0(kAddOutcomesToWindow, model.task, model.model_version_id, window.second,
                      tally.outcomes, tally.correct);
      tx.exec_params0(kAddOutcomesToModel, model.task, model.model_version_id, tally.outcomes,
                      tally.correct);
    }
    return {};
  });
}

}  // namespace

Result<std::size_t> PostgresMonitoringStore::AddPredictions(
    std::span<const Prediction> predictions,
    const std::map<std::string, std::uint32_t>& window_sizes) {
  if (predictions.empty()) return std::size_t{0};
  const auto stored = pool_.InTransaction([&](pqxx::work& tx) -> Result<std::size_t> {
    auto models = LockModels(tx, predictions, window_sizes);
    const std::vector<Prediction> added = NewOnes(tx, predictions);
    if (added.empty()) return std::size_t{0};

    std::vector<std::uint64_t> numbers;
    std::map<std::pair<ModelKey, std::uint64_t>, WindowChange> changes;
    for (const auto& prediction : added) {
      OpenModel& model = models.at(prediction.model);
      numbers.push_back(WindowNumber(model.predictions++, model.window_size));
      WindowChange& change = changes[{prediction.model, numbers.back()}];
      change.tally.Add(prediction);
      change.first_at = std::min(change.first_at, prediction.predicted_at);
      change.last_at = std::max(change.last_at, prediction.predicted_at);
    }
    InsertPredictions(tx, added, numbers);
    for (const auto& [window, change] : changes)
      AddToWindow(tx, window.first, window.second, change);
    return added.size();
  });
  if (!stored) return stored;
  PlaceArrays places;
  for (const auto& prediction : predictions) places.Add(prediction.request_id, prediction.index);
  if (const auto joined = JoinOutcomes(pool_, places); !joined) return joined.error();
  return stored;
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
    return std::size_t{tx.exec_params(kInsertOutcomes, places.request_ids.Parameter(),
                                      places.places.Parameter(), sources.Parameter(),
                                      classes.Parameter(), times.Parameter())
                           .size()};
  });
  if (!stored) return stored;
  if (const auto joined = JoinOutcomes(pool_, places); !joined) return joined.error();
  return stored;
}

Result<std::optional<Prediction>> PostgresMonitoringStore::FindPrediction(
    const std::string& request_id, std::uint32_t index) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::optional<Prediction>> {
    const auto rows = tx.exec_params(kFind, request_id, index);
    if (rows.empty()) return std::optional<Prediction>();
    const auto& row = rows[0];
    Prediction prediction;
    prediction.request_id = row["request_id"].c_str();
    prediction.index = row["place"].as<std::uint32_t>();
    prediction.model = {row["task"].c_str(), row["model_version_id"].c_str()};
    prediction.class_name = row["class_name"].c_str();
    prediction.confidence = row["confidence"].as<double>();
    prediction.probabilities = RealsFrom(row["probabilities"]);
    prediction.predicted_at = row["predicted_at"].as<Timestamp>();
    prediction.payload_sha256 = row["payload_sha256"].c_str();
    prediction.measures = MeasuresFrom(row["measures"].c_str());
    if (!row["outcome_class"].is_null()) {
      prediction.outcome_class_name = row["outcome_class"].c_str();
      prediction.outcome_at = row["outcome_at"].as<Timestamp>();
    }
    return std::optional<Prediction>(std::move(prediction));
  });
}

Result<Page<Window>> PostgresMonitoringStore::ListWindows(const ModelKey& model,
                                                          const PageRequest& request) {
  const std::string query = "windows/" + model.task + "/" + model.model_version_id;
  const auto token = DecodePageToken(query, request.token, 4);
  if (!token) return token.error();
  const std::vector<std::string> after =
      token->empty() ? std::vector<std::string>{"", "", "", "0"} : *token;
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<Page<Window>> {
    Page<Window> page;
    for (const auto& row :
         tx.exec_params(kListWindows, model.task, model.model_version_id, after[0], after[1],
                        after[2], after[3], request.size + 1)) {
      if (page.items.size() == request.size) {
        const Window& last = page.items.back();
        page.next_token =
            EncodePageToken(query, {FormatUtc(last.last_at), last.model.task,
                                    last.model.model_version_id, std::to_string(last.number)});
        break;
      }
      Window window;
      window.model = {row["task"].c_str(), row["model_version_id"].c_str()};
      window.number = row["number"].as<std::uint64_t>();
      window.size = row["window_size"].as<std::uint32_t>();
      window.first_at = row["first_at"].as<Timestamp>();
      window.last_at = row["last_at"].as<Timestamp>();
      window.tally.predictions = row["predictions"].as<std::uint64_t>();
      window.tally.confidence_sum = row["confidence_sum"].as<double>();
      window.tally.outcomes = row["outcomes"].as<std::uint64_t>();
      window.tally.correct = row["correct"].as<std::uint64_t>();
      for (const auto& part : tx.exec_params(kWindowClasses, window.model.task,
                                             window.model.model_version_id, window.number)) {
        window.tally.by_class[part[0].c_str()] = part[1].as<std::uint64_t>();
      }
      page.items.push_back(std::move(window));
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
      summary.window_size = row["window_size"].as<std::uint32_t>();
      summary.tally.predictions = row["predictions"].as<std::uint64_t>();
      summary.tally.confidence_sum = row["confidence_sum"].as<double>();
      summary.tally.outcomes = row["outcomes"].as<std::uint64_t>();
      summary.tally.correct = row["correct"].as<std::uint64_t>();
      summary.last_at = row["last_at"].as<Timestamp>();
      for (const auto& part :
           tx.exec_params(kModelClasses, summary.model.task, summary.model.model_version_id)) {
        summary.tally.by_class[part[0].c_str()] = part[1].as<std::uint64_t>();
      }
      page.items.push_back(std::move(summary));
    }
    return page;
  });
}

Result<std::uint64_t> PostgresMonitoringStore::Forget(Timestamp before) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<std::uint64_t> {
    const auto predictions =
        tx.exec_params0("DELETE FROM predictions WHERE predicted_at < $1", before).affected_rows();
    tx.exec_params0("DELETE FROM outcomes WHERE observed_at < $1", before);
    return static_cast<std::uint64_t>(predictions);
  });
}

}  // namespace tidewheel::monitoring
