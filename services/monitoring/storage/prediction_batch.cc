#include "tidewheel/monitoring/storage/prediction_batch.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "tidewheel/monitoring/storage/packed_row.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/copy_rows.h"
#include "tidewheel/postgres/values.h"

namespace tidewheel::monitoring {
namespace {

/// What is added comes back as sums: part 0 by model, class and role, part 1 by stream of a slice.
/// All bodies are one parameter, cut up by the server: as an array they would be copied three
/// times. Only a batch that has slices pays for them. What is older than what was forgotten stays
/// out.
std::string InsertStatement(bool sliced) {
  std::string sql =
      "WITH added AS (INSERT INTO predictions (request_id, place, model_id, predicted_at, "
      "class_index, confidence, seconds, role, answered, body, slices) "
      "SELECT request_id, place, model_id, predicted_at, class_index, confidence, seconds, role, "
      "answered, substr($10::bytea, body_at, body_bytes), slices::integer[] "
      "FROM unnest($1::text[], $2::integer[], $3::integer[], $4::timestamptz[], $5::integer[], "
      "$6::real[], $7::real[], $8::integer[], $9::integer[], $11::integer[], $12::integer[], "
      "$13::text[]) AS r (request_id, place, model_id, predicted_at, class_index, confidence, "
      "seconds, role, answered, body_at, body_bytes, slices) WHERE NOT EXISTS (SELECT FROM models "
      "m "
      "WHERE m.id = r.model_id AND r.predicted_at < m.forgotten_before) ON CONFLICT DO NOTHING "
      "RETURNING model_id, class_index, confidence, role, predicted_at";
  if (sliced) {
    sql +=
        ", request_id, place, slices), members AS (INSERT INTO slice_predictions (stream_id, "
        "predicted_at, request_id, place, class_index, confidence) SELECT s, predicted_at, "
        "request_id, place, class_index, confidence FROM added, unnest(slices) AS s "
        "WHERE role < 2 RETURNING stream_id, predicted_at";
  }
  sql +=
      ") SELECT 0 AS part, model_id AS id, class_index, role::integer, count(*) AS rows, "
      "sum(round(confidence::double precision * 1e9)::bigint)::bigint AS confidence, "
      "min(predicted_at) AS first_at, max(predicted_at) AS last_at FROM added GROUP BY 2, 3, 4";
  if (sliced) {
    sql +=
        " UNION ALL SELECT 1, stream_id, 0, 0, count(*), 0, min(predicted_at), max(predicted_at) "
        "FROM members GROUP BY stream_id";
  }
  return sql;
}

constexpr char kForgotten[] =
    "SELECT id, forgotten_before FROM models WHERE id = ANY ($1::integer[]) AND forgotten_before "
    "IS NOT NULL";

// A clock that runs ahead somewhere must not end the waiting for everybody.
constexpr char kMoveClock[] =
    "::timestamptz, clock_timestamp() + interval '1 minute'), clock_timestamp()) "
    "ON CONFLICT (task) DO UPDATE SET lateness = excluded.lateness, "
    "newest_at = greatest(c.newest_at, excluded.newest_at), arrived_at = clock_timestamp();";

/// A prediction with numbers instead of names.
struct EncodedRow {
  const Prediction* prediction = nullptr;
  const StoredModel* model = nullptr;
  std::set<int> streams;  // Of its slices.
  std::string body;
};

/// The names that a model's dictionaries lack.
struct MissingNames {
  std::set<std::string> features;
  std::set<std::string> slices;
};

/// `missing` gets what cannot be encoded yet.
EncodedRow Encode(const Prediction& prediction, const StoredModel& model,
                  std::vector<double>* features, MissingNames* missing) {
  features->assign(model.features.size(), std::numeric_limits<double>::quiet_NaN());
  for (const auto& measure : prediction.measures) {
    const auto place = model.feature_places.find(measure.name);
    if (place != model.feature_places.end()) {
      (*features)[place->second] = measure.value;
    } else if (model.features.size() < ModelCatalog::kMostFeatures) {
      missing->features.insert(measure.name);
    }
  }
  EncodedRow row{&prediction, &model, {}, {}};
  for (const auto& slice : prediction.slices) {
    if (const auto stream = model.StreamOf(slice)) {
      row.streams.insert(*stream);
    } else {
      missing->slices.insert(slice);
    }
  }
  row.body = Pack(prediction.probabilities, *features, prediction.embedding,
                  prediction.quality_problems, prediction.payload_sha256);
  return row;
}

using BatchModels = std::map<ModelKey, std::shared_ptr<const StoredModel>>;

/// The catalog's entries of the batch's models, made where they are missing.
Result<BatchModels> FindModels(ModelCatalog& catalog, std::span<const Prediction> predictions,
                               const Policies& policies) {
  BatchModels models;
  const Prediction* previous = nullptr;
  for (const auto& prediction : predictions) {
    const bool same = previous != nullptr && previous->model == prediction.model &&
                      previous->classes == prediction.classes;
    previous = &prediction;
    if (same) continue;
    const auto policy = policies.find(prediction.model.task);
    auto found = catalog.Ensure(prediction.model, *prediction.classes,
                                policy == policies.end() ? MonitoringPolicy{} : policy->second);
    if (!found) return found.error();
    models[prediction.model] = *std::move(found);
  }
  return models;
}

/// Adds to the dictionaries of `models` what they lack, and encodes again where they did.
Result<std::vector<EncodedRow>> EncodeAll(ModelCatalog& catalog,
                                          std::span<const Prediction> predictions,
                                          BatchModels* models) {
  std::vector<EncodedRow> rows;
  rows.reserve(predictions.size());
  std::vector<double> features;
  std::map<ModelKey, MissingNames> missing;
  const StoredModel* model = nullptr;
  MissingNames lacking;
  for (const auto& prediction : predictions) {
    if (model == nullptr || model->key != prediction.model) {
      model = models->at(prediction.model).get();
    }
    rows.push_back(Encode(prediction, *model, &features, &lacking));
    if (lacking.features.empty() && lacking.slices.empty()) continue;
    MissingNames& all = missing[prediction.model];
    all.features.merge(lacking.features);
    all.slices.merge(lacking.slices);
    lacking = {};
  }
  for (const auto& [key, names] : missing) {
    auto extended = catalog.Extend(*models->at(key), names.features, names.slices);
    if (!extended) return extended.error();
    const auto before = std::exchange((*models)[key], *std::move(extended));
    for (auto& row : rows) {
      if (row.model != before.get()) continue;
      row = Encode(*row.prediction, *(*models)[key], &features, &lacking);
    }
  }
  return rows;
}

/// What a batch adds to one stream.
struct StreamGain {
  std::int64_t rows = 0;
  Timestamp first_at = Timestamp::max();
  Timestamp last_at = Timestamp::min();
};

struct ClassGain {
  std::int64_t rows = 0;
  std::int64_t confidence = 0;  // In 1e-9.
};

/// What a batch adds.
struct Sums {
  std::size_t rows = 0;
  std::map<int, StreamGain> streams;
  std::map<std::pair<int, int>, ClassGain> classes;  // By model and class.
};

/// In one order everywhere, so that two copies wait for each other instead of for ever.
std::vector<const EncodedRow*> InOrder(const std::vector<EncodedRow>& encoded) {
  std::vector<const EncodedRow*> rows;
  rows.reserve(encoded.size());
  for (const auto& row : encoded) rows.push_back(&row);
  std::sort(rows.begin(), rows.end(), [](const EncodedRow* a, const EncodedRow* b) {
    return std::tie(a->prediction->request_id, a->prediction->index, a->model->id) <
           std::tie(b->prediction->request_id, b->prediction->index, b->model->id);
  });
  return rows;
}

/// Leaves out what is older than what was forgotten.
void LeaveOutForgotten(pqxx::work& tx, std::vector<const EncodedRow*>* rows) {
  std::map<int, Timestamp> forgotten;
  postgres::ArrayLiteral ids;
  for (const EncodedRow* row : *rows) {
    if (forgotten.emplace(row->model->id, Timestamp::min()).second) ids.AddInt(row->model->id);
  }
  for (const auto& row : tx.exec_params(kForgotten, ids.text())) {
    forgotten[row[0].as<int>()] = row[1].as<Timestamp>();
  }
  std::erase_if(*rows, [&](const EncodedRow* row) {
    return row->prediction->predicted_at < forgotten.at(row->model->id);
  });
}

/// All rows, which must not be there yet: kAlreadyExists otherwise.
Sums Copy(pqxx::work& tx, const std::vector<EncodedRow>& encoded) {
  std::vector<const EncodedRow*> rows = InOrder(encoded);
  LeaveOutForgotten(tx, &rows);
  postgres::CopyRows copy("predictions",
                          {"request_id", "place", "model_id", "predicted_at", "class_index",
                           "confidence", "seconds", "role", "answered", "slices", "body"});
  postgres::CopyRows members("slice_predictions", {"stream_id", "predicted_at", "request_id",
                                                   "place", "class_index", "confidence"});
  Sums sums;
  sums.rows = rows.size();
  const auto gain = [&](int stream, Timestamp at) {
    StreamGain& of_stream = sums.streams[stream];
    ++of_stream.rows;
    of_stream.first_at = std::min(of_stream.first_at, at);
    of_stream.last_at = std::max(of_stream.last_at, at);
  };
  std::vector<std::int32_t> streams;
  for (const EncodedRow* row : rows) {
    const Prediction& prediction = *row->prediction;
    const auto place = static_cast<std::int32_t>(prediction.index);
    const auto class_index = static_cast<std::int32_t>(prediction.class_index);
    const auto confidence = static_cast<float>(prediction.confidence);
    copy.Row();
    copy.Text(prediction.request_id);
    copy.Integer(place);
    copy.Integer(row->model->id);
    copy.Time(prediction.predicted_at);
    copy.Integer(class_index);
    copy.Real(confidence);
    copy.Real(static_cast<float>(prediction.seconds));
    copy.Smallint(static_cast<std::int16_t>(prediction.role));
    if (prediction.answered_class_index) {
      copy.Integer(static_cast<std::int32_t>(*prediction.answered_class_index));
    } else {
      copy.Null();
    }
    if (row->streams.empty()) {
      copy.Null();
    } else {
      streams.assign(row->streams.begin(), row->streams.end());
      copy.Integers(streams);
    }
    copy.Bytes(row->body);
    if (prediction.role == Role::kShadow) continue;
    gain(row->model->streams.at(""), prediction.predicted_at);
    ClassGain& answered = sums.classes[{row->model->id, class_index}];
    ++answered.rows;
    // As the server rounds: half to even.
    answered.confidence += std::llrint(static_cast<double>(confidence) * 1e9);
    for (const int stream : row->streams) {
      members.Row();
      members.Integer(stream);
      members.Time(prediction.predicted_at);
      members.Text(prediction.request_id);
      members.Integer(place);
      members.Integer(class_index);
      members.Real(confidence);
      gain(stream, prediction.predicted_at);
    }
  }
  copy.Send(tx);
  members.Send(tx);
  return sums;
}

/// Those rows that are not there yet.
Sums Insert(pqxx::work& tx, const std::vector<EncodedRow>& encoded) {
  const std::vector<const EncodedRow*> rows = InOrder(encoded);
  postgres::TextArray requests, slices;
  postgres::IntegerArray places, ids, classes, roles, answers, body_begins, body_lengths;
  postgres::TimestampArray times;
  postgres::RealArray confidences, seconds;
  std::string bodies;
  bool sliced = false;
  std::map<int, int> all_traffic;
  for (const EncodedRow* row : rows) {
    const Prediction& prediction = *row->prediction;
    requests.Add(prediction.request_id);
    places.Add(static_cast<std::int32_t>(prediction.index));
    ids.Add(row->model->id);
    times.Add(prediction.predicted_at);
    classes.Add(static_cast<std::int32_t>(prediction.class_index));
    confidences.Add(static_cast<float>(prediction.confidence));
    seconds.Add(static_cast<float>(prediction.seconds));
    roles.Add(static_cast<std::int32_t>(prediction.role));
    if (prediction.answered_class_index) {
      answers.Add(static_cast<std::int32_t>(*prediction.answered_class_index));
    } else {
      answers.AddNull();
    }
    body_begins.Add(static_cast<std::int32_t>(bodies.size()) + 1);
    body_lengths.Add(static_cast<std::int32_t>(row->body.size()));
    bodies += row->body;
    if (row->streams.empty()) {
      slices.AddNull();
    } else {
      postgres::ArrayLiteral list;
      for (const int stream : row->streams) list.AddInt(stream);
      slices.Add(list.text());
      sliced = true;
    }
    all_traffic[row->model->id] = row->model->streams.at("");
  }
  Sums sums;
  for (const auto& row : tx.exec_params(
           InsertStatement(sliced), requests.Parameter(), places.Parameter(), ids.Parameter(),
           times.Parameter(), classes.Parameter(), confidences.Parameter(), seconds.Parameter(),
           roles.Parameter(), answers.Parameter(), postgres::Bytes(bodies), body_begins.Parameter(),
           body_lengths.Parameter(), slices.Parameter())) {
    const bool of_slice = row["part"].as<int>() == 1;
    const auto count = row["rows"].as<std::int64_t>();
    const int id = row["id"].as<int>();
    if (!of_slice) sums.rows += static_cast<std::size_t>(count);
    if (row["role"].as<int>() == static_cast<int>(Role::kShadow)) continue;
    StreamGain& gain = sums.streams[of_slice ? id : all_traffic.at(id)];
    gain.rows += count;
    gain.first_at = std::min(gain.first_at, row["first_at"].as<Timestamp>());
    gain.last_at = std::max(gain.last_at, row["last_at"].as<Timestamp>());
    if (of_slice) continue;
    ClassGain& answered = sums.classes[{id, row["class_index"].as<int>()}];
    answered.rows += count;
    answered.confidence += row["confidence"].as<std::int64_t>();
  }
  return sums;
}

/// Statements that move the clocks of tasks.
std::string ClockStatements(pqxx::work& tx, const std::map<std::string, Timestamp>& newest,
                            const Policies& policies) {
  std::string sql;
  for (const auto& [task, at] : newest) {
    const auto policy = policies.find(task);
    const double lateness = policy == policies.end() ? MonitoringPolicy{}.lateness_seconds
                                                     : policy->second.lateness_seconds;
    sql += "INSERT INTO task_clocks AS c (task, lateness, newest_at, arrived_at) VALUES (" +
           tx.quote(task) + ", " +
           std::to_string(std::llround(std::clamp(lateness, 0.0, 1e9) * 1e6)) + ", least(" +
           tx.quote(at) + kMoveClock;
  }
  return sql;
}

}  // namespace

Result<std::size_t> StorePredictions(postgres::Pool& pool, ModelCatalog& catalog,
                                     std::span<const Prediction> predictions,
                                     const Policies& policies) {
  auto models = FindModels(catalog, predictions, policies);
  if (!models) return models.error();
  const auto encoded = EncodeAll(catalog, predictions, &*models);
  if (!encoded) return encoded.error();
  std::map<std::string, Timestamp> newest;
  for (const auto& prediction : predictions) {
    const auto known = newest.try_emplace(prediction.model.task, prediction.predicted_at);
    known.first->second = std::max(known.first->second, prediction.predicted_at);
  }
  const auto store = [&](pqxx::work& tx, const Sums& sums) -> Result<std::size_t> {
    if (sums.rows == 0) return std::size_t{0};
    // Whatever others wait for comes last and, here as in outcome_joiner, in this order; together,
    // as a way to the server and back costs more than one of them.
    std::string sql = ClockStatements(tx, newest, policies);
    for (const auto& [stream, gain] : sums.streams) {
      sql += "UPDATE streams SET predictions = predictions + " + std::to_string(gain.rows) +
             ", last_at = greatest(last_at, " + tx.quote(gain.last_at) +
             "::timestamptz), fresh_from = least(fresh_from, " + tx.quote(gain.first_at) +
             "::timestamptz), open_stale = true WHERE id = " + std::to_string(stream) + ";";
    }
    for (const auto& [which, gain] : sums.classes) {
      sql +=
          "INSERT INTO model_tallies AS t (model_id, class_index, predictions, confidence_sum) "
          "VALUES (" +
          std::to_string(which.first) + ", " + std::to_string(which.second) + ", " +
          std::to_string(gain.rows) + ", " + std::to_string(gain.confidence) +
          ") ON CONFLICT (model_id, class_index) DO UPDATE SET "
          "predictions = t.predictions + excluded.predictions, "
          "confidence_sum = t.confidence_sum + excluded.confidence_sum;";
    }
    tx.exec0(sql);
    return sums.rows;
  };
  // Mostly all of them are new; after a crash, or while two copies change places, some may be
  // there.
  auto stored = pool.InTransaction(
      [&](pqxx::work& tx) -> Result<std::size_t> { return store(tx, Copy(tx, *encoded)); });
  if (stored || stored.error().code != ErrorCode::kAlreadyExists) return stored;
  return pool.InTransaction(
      [&](pqxx::work& tx) -> Result<std::size_t> { return store(tx, Insert(tx, *encoded)); });
}

void MoveClocks(pqxx::work& tx, const std::map<std::string, Timestamp>& newest,
                const Policies& policies) {
  if (!newest.empty()) tx.exec0(ClockStatements(tx, newest, policies));
}

}  // namespace tidewheel::monitoring
