#include "tidewheel/monitoring/storage/prediction_batch.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "tidewheel/monitoring/storage/packed_row.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/values.h"

namespace tidewheel::monitoring {
namespace {

/// What is added comes back as sums: part 0 by model, class and role, part 1 by stream of a slice.
/// Only a batch that has slices pays for them.
std::string InsertStatement(bool sliced) {
  std::string sql =
      "WITH added AS (INSERT INTO predictions (request_id, place, model_id, predicted_at, "
      "class_index, confidence, seconds, role, answered, body, slices) "
      "SELECT r.request_id, r.place, r.model_id, r.predicted_at, r.class_index, r.confidence, "
      "r.seconds, r.role, r.answered, r.body, r.slices::integer[] "
      "FROM unnest($1::text[], $2::integer[], $3::integer[], $4::timestamptz[], $5::integer[], "
      "$6::real[], $7::real[], $8::integer[], $9::integer[], $10::bytea[], $11::text[]) AS r "
      "(request_id, place, model_id, predicted_at, class_index, confidence, seconds, role, "
      "answered, body, slices) JOIN models m ON m.id = r.model_id "
      "WHERE r.predicted_at >= coalesce(m.forgotten_before, '-infinity') ON CONFLICT DO NOTHING "
      "RETURNING model_id, class_index, confidence, role, predicted_at";
  if (sliced) sql += ", request_id, place, slices";
  sql += ")";
  if (sliced) {
    sql +=
        ", members AS (INSERT INTO slice_predictions (stream_id, predicted_at, request_id, place, "
        "class_index, confidence) SELECT s, predicted_at, request_id, place, class_index, "
        "confidence FROM added, unnest(slices) AS s WHERE role < 2 "
        "RETURNING stream_id, predicted_at)";
  }
  sql +=
      " SELECT 0 AS part, model_id AS id, class_index, role::integer, count(*) AS rows, "
      "sum(round(confidence::double precision * 1e9)::bigint)::bigint AS confidence, "
      "min(predicted_at) AS first_at, max(predicted_at) AS last_at FROM added GROUP BY 2, 3, 4";
  if (sliced) {
    sql +=
        " UNION ALL SELECT 1, stream_id, 0, 0, count(*), 0, min(predicted_at), max(predicted_at) "
        "FROM members GROUP BY stream_id";
  }
  return sql + " ORDER BY 1, 2, 3, 4";
}

constexpr char kTally[] =
    "INSERT INTO model_tallies AS t (model_id, class_index, predictions, confidence_sum) "
    "VALUES ($1, $2, $3, $4) ON CONFLICT (model_id, class_index) DO UPDATE SET "
    "predictions = t.predictions + excluded.predictions, "
    "confidence_sum = t.confidence_sum + excluded.confidence_sum";
// A clock that runs ahead somewhere must not end the waiting for everybody.
constexpr char kMoveClock[] =
    "INSERT INTO task_clocks AS c (task, lateness, newest_at, arrived_at) "
    "VALUES ($1, $2, least($3::timestamptz, clock_timestamp() + interval '1 minute'), "
    "clock_timestamp()) ON CONFLICT (task) DO UPDATE SET lateness = excluded.lateness, "
    "newest_at = greatest(c.newest_at, excluded.newest_at), arrived_at = clock_timestamp()";
constexpr char kStream[] =
    "UPDATE streams SET predictions = predictions + $2, last_at = greatest(last_at, $4), "
    "fresh_from = least(fresh_from, $3), open_stale = true WHERE id = $1";

/// What a batch adds to one stream.
struct StreamGain {
  std::int64_t rows = 0;
  Timestamp first_at = Timestamp::max();
  Timestamp last_at = Timestamp::min();
};

}  // namespace

Result<BatchModels> PrepareModels(ModelCatalog& catalog, std::span<const Prediction> predictions,
                                  const Policies& policies) {
  struct Wanted {
    std::set<std::string> features;
    std::set<std::string> slices;
  };
  BatchModels models;
  std::map<ModelKey, Wanted> wanted;
  const Prediction* previous = nullptr;
  const StoredModel* model = nullptr;
  for (const auto& prediction : predictions) {
    const bool same = previous != nullptr && previous->model == prediction.model;
    if (!same || previous->classes != prediction.classes) {
      const auto policy = policies.find(prediction.model.task);
      auto ensured = catalog.Ensure(prediction.model, *prediction.classes,
                                    policy == policies.end() ? MonitoringPolicy{} : policy->second);
      if (!ensured) return ensured.error();
      model = ensured->get();
      models[prediction.model] = *std::move(ensured);
    }
    previous = &prediction;
    if (model->features.size() < ModelCatalog::kMostFeatures) {
      for (const auto& measure : prediction.measures) {
        if (!model->feature_places.contains(measure.name)) {
          wanted[prediction.model].features.insert(measure.name);
        }
      }
    }
    for (const auto& slice : prediction.slices) {
      if (!model->StreamOf(slice)) wanted[prediction.model].slices.insert(slice);
    }
  }
  for (const auto& [key, names] : wanted) {
    auto extended = catalog.Extend(*models.at(key), names.features, names.slices);
    if (!extended) return extended.error();
    models[key] = *std::move(extended);
  }
  return models;
}

Result<std::size_t> InsertPredictions(pqxx::work& tx, std::span<const Prediction> predictions,
                                      const BatchModels& models, const Policies& policies) {
  // In one order everywhere, so that two copies wait for each other instead of for ever.
  std::vector<const Prediction*> rows;
  rows.reserve(predictions.size());
  for (const auto& prediction : predictions) rows.push_back(&prediction);
  std::sort(rows.begin(), rows.end(), [](const Prediction* a, const Prediction* b) {
    return std::tie(a->request_id, a->index, a->model) <
           std::tie(b->request_id, b->index, b->model);
  });

  postgres::TextArray requests, slices;
  postgres::IntegerArray places, ids, classes, roles, answers;
  postgres::TimestampArray times;
  postgres::RealArray confidences, seconds;
  postgres::ByteaArray bodies;
  bool sliced = false;
  std::map<std::string, Timestamp> newest;
  std::vector<double> features;
  const StoredModel* model = nullptr;
  for (const Prediction* prediction : rows) {
    if (model == nullptr || model->key != prediction->model) {
      model = models.at(prediction->model).get();
    }
    features.assign(model->features.size(), std::numeric_limits<double>::quiet_NaN());
    for (const auto& measure : prediction->measures) {
      const auto place = model->feature_places.find(measure.name);
      if (place != model->feature_places.end()) features[place->second] = measure.value;
    }
    requests.Add(prediction->request_id);
    places.Add(static_cast<std::int32_t>(prediction->index));
    ids.Add(model->id);
    times.Add(prediction->predicted_at);
    classes.Add(static_cast<std::int32_t>(prediction->class_index));
    confidences.Add(static_cast<float>(prediction->confidence));
    seconds.Add(static_cast<float>(prediction->seconds));
    roles.Add(static_cast<std::int32_t>(prediction->role));
    if (prediction->answered_class_index) {
      answers.Add(static_cast<std::int32_t>(*prediction->answered_class_index));
    } else {
      answers.AddNull();
    }
    bodies.Add(Pack(prediction->probabilities, features, prediction->embedding,
                    prediction->quality_problems, prediction->payload_sha256));
    if (prediction->slices.empty()) {
      slices.AddNull();
    } else {
      std::set<int> streams;
      for (const auto& slice : prediction->slices) {
        if (const auto stream = model->StreamOf(slice)) streams.insert(*stream);
      }
      postgres::ArrayLiteral list;
      for (const int stream : streams) list.AddInt(stream);
      slices.Add(list.text());
      sliced = true;
    }
    const auto known = newest.try_emplace(prediction->model.task, prediction->predicted_at);
    known.first->second = std::max(known.first->second, prediction->predicted_at);
  }

  const auto sums = tx.exec_params(
      InsertStatement(sliced), requests.Parameter(), places.Parameter(), ids.Parameter(),
      times.Parameter(), classes.Parameter(), confidences.Parameter(), seconds.Parameter(),
      roles.Parameter(), answers.Parameter(), bodies.Parameter(), slices.Parameter());
  std::size_t added = 0;
  std::map<int, StreamGain> gains;
  std::map<int, int> all_traffic;
  for (const auto& [key, entry] : models) all_traffic[entry->id] = entry->streams.at("");
  for (const auto& row : sums) {
    const bool of_slice = row["part"].as<int>() == 1;
    const auto count = row["rows"].as<std::int64_t>();
    if (!of_slice) added += static_cast<std::size_t>(count);
    if (row["role"].as<int>() == static_cast<int>(Role::kShadow)) continue;
    const int id = row["id"].as<int>();
    StreamGain& gain = gains[of_slice ? id : all_traffic.at(id)];
    gain.rows += count;
    gain.first_at = std::min(gain.first_at, row["first_at"].as<Timestamp>());
    gain.last_at = std::max(gain.last_at, row["last_at"].as<Timestamp>());
  }
  if (added == 0) return added;
  // Whatever others wait for comes last and, here as in outcome_joiner, in this order.
  MoveClocks(tx, newest, policies);
  for (const auto& [stream, gain] : gains) {
    tx.exec_params0(kStream, stream, gain.rows, gain.first_at, gain.last_at);
  }
  for (const auto& row : sums) {
    const bool counted =
        row["part"].as<int>() == 0 && row["role"].as<int>() != static_cast<int>(Role::kShadow);
    if (!counted) continue;
    tx.exec_params0(kTally, row["id"].as<int>(), row["class_index"].as<int>(),
                    row["rows"].as<std::int64_t>(), row["confidence"].as<std::int64_t>());
  }
  return added;
}

void MoveClocks(pqxx::work& tx, const std::map<std::string, Timestamp>& newest,
                const Policies& policies) {
  for (const auto& [task, at] : newest) {
    const auto policy = policies.find(task);
    const double lateness = policy == policies.end() ? MonitoringPolicy{}.lateness_seconds
                                                     : policy->second.lateness_seconds;
    tx.exec_params0(kMoveClock, task, std::llround(std::clamp(lateness, 0.0, 1e9) * 1e6), at);
  }
}

}  // namespace tidewheel::monitoring
