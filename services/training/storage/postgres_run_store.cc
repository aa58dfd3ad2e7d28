#include "tidewheel/training/storage/postgres_run_store.h"

#include <pqxx/pqxx>

#include "tidewheel/base/ids.h"
#include "tidewheel/base/page_token.h"
#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/copy_rows.h"
#include "tidewheel/postgres/outbox.h"
#include "tidewheel/postgres/values.h"
#include "tidewheel/training/storage/rows.h"

namespace tidewheel::training {
namespace {

constexpr char kFindDataset[] =
    "SELECT dataset_version_id, task, digest, items, classes FROM curation.dataset_versions_v1 "
    "WHERE dataset_version_id = $1";
constexpr char kItems[] =
    "SELECT i.ordinal, i.payload_ref, i.class_index, i.split, i.weight, m.names, m.texts "
    "FROM curation.dataset_items_v1 i "
    "LEFT JOIN ingestion.samples_v1 s ON s.sample_id = i.sample_id AND i.split = 'test' "
    "LEFT JOIN LATERAL (SELECT array_agg(key ORDER BY key) AS names, "
    "array_agg(value ORDER BY key) AS texts FROM jsonb_each_text(s.metadata)) m ON true "
    "WHERE i.dataset_version_id = $1 AND i.ordinal >= $2 ORDER BY i.ordinal LIMIT $3";
constexpr std::size_t kItemsAtOnce = 5'000;

constexpr char kLockQueue[] = "SELECT pg_advisory_xact_lock(hashtextextended('training/queue', 0))";
constexpr char kCountQueued[] = "SELECT count(*) FROM runs WHERE state = 'queued'";
constexpr char kEnqueue[] =
    "INSERT INTO runs (run_id, request_id, task, dataset_version_id, dataset_digest, "
    "dataset_items, "
    "classes, recipe, seed, epochs, batch_size, learning_rate, weight_decay, patience, "
    "class_weights, actor, state, queued_at, baseline_model_version_id, baseline_file_names, "
    "baseline_file_refs) VALUES ($1, $2, $3, $4, $5, $6, $7::text[], $8, $9, $10, $11, $12, "
    "$13, $14, $15, $16, 'queued', $17, $18, $19::text[], $20::text[])";
constexpr char kColumns[] =
    "SELECT run_id, request_id, task, dataset_version_id, dataset_digest, dataset_items, classes, "
    "recipe, seed, epochs, batch_size, learning_rate, weight_decay, patience, class_weights, "
    "effective_epochs, effective_batch_size, effective_learning_rate, effective_weight_decay, "
    "effective_patience, effective_class_weights, actor, state, reason, cancel_requested, attempt, "
    "phase, steps_done, steps_total, epoch, epochs_total, training_loss, validation_metric, "
    "samples_per_second, seconds_left, code_version, code_clean, build, model_version_id, "
    "best_epoch, training_seconds, queued_at, started_at, ended_at, cpu_seconds, "
    "baseline_model_version_id, baseline_file_names, baseline_file_refs FROM runs ";
constexpr char kClaim[] =
    "UPDATE runs SET state = 'running', owner = $1, lease_until = $3, attempt = attempt + 1, "
    "started_at = $2, phase = 'preparing', steps_done = 0, steps_total = 0, epoch = 0 "
    "WHERE run_id = (SELECT run_id FROM runs WHERE state = 'queued' ORDER BY queued_at, run_id "
    "LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING run_id";
constexpr char kRenew[] =
    "UPDATE runs SET lease_until = $3, phase = $4, steps_done = $5, steps_total = $6, epoch = $7, "
    "epochs_total = $8, training_loss = $9, validation_metric = $10, samples_per_second = $11, "
    "seconds_left = $12 WHERE run_id = $1 AND owner = $2 AND state = 'running' "
    "RETURNING cancel_requested";
constexpr char kSucceed[] =
    "UPDATE runs SET state = 'succeeded', reason = '', lease_until = NULL, ended_at = $3, "
    "model_version_id = $4, best_epoch = $5, training_seconds = $6, code_version = $7, "
    "code_clean = $8, build = $9, effective_epochs = $10, effective_batch_size = $11, "
    "effective_learning_rate = $12, effective_weight_decay = $13, effective_patience = $14, "
    "effective_class_weights = $15, cpu_seconds = $16 WHERE run_id = $1 AND owner = $2 AND state = "
    "'running'";
constexpr char kInsertEvaluation[] =
    "INSERT INTO run_evaluations (run_id, split, samples, confusion) VALUES ($1, $2, $3, "
    "$4::bigint[])";
constexpr char kInsertMetric[] =
    "INSERT INTO run_metrics (run_id, split, place, name, value, low, high, interval) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
constexpr char kInsertPredictions[] =
    "INSERT INTO run_predictions (run_id, ordinal, sample_id, split, given_class, predicted_class, "
    "probabilities, baseline_probabilities) SELECT $1, row.ordinal, item.sample_id, item.split, "
    "item.class_index, row.predicted, row.probabilities::real[], row.baseline::real[] "
    "FROM unnest($3::bigint[], $4::integer[], $5::text[], $6::text[]) AS row (ordinal, predicted, "
    "probabilities, baseline) "
    "JOIN curation.dataset_items_v1 item ON item.dataset_version_id = $2 AND item.ordinal = "
    "row.ordinal";
constexpr char kInsertTest[] =
    "INSERT INTO run_tests (run_id, place, name, samples, passed, not_evaluated) "
    "VALUES ($1, $2, $3, $4, $5, $6)";
constexpr char kTests[] =
    "SELECT name, samples, passed, not_evaluated FROM run_tests WHERE run_id = $1 ORDER BY place";
constexpr char kEnd[] =
    "UPDATE runs SET state = $3, reason = $4, lease_until = NULL, ended_at = $5 "
    "WHERE run_id = $1 AND owner = $2 AND state = 'running'";
constexpr char kRequeueLost[] =
    "UPDATE runs SET state = 'queued', owner = '', lease_until = NULL, "
    "reason = 'interrupted: its worker or service ended; starts again' "
    "WHERE state = 'running' AND lease_until < $1 AND attempt < $2 AND NOT cancel_requested "
    "RETURNING run_id";
constexpr char kFailLost[] =
    "UPDATE runs SET state = CASE WHEN cancel_requested THEN 'cancelled' ELSE 'failed' END, "
    "lease_until = NULL, ended_at = $1, reason = CASE WHEN cancel_requested THEN reason ELSE "
    "'interrupted ' || attempt || ' times: its worker or service ended' END "
    "WHERE state = 'running' AND lease_until < $1 RETURNING run_id";
constexpr char kCountOpen[] =
    "SELECT count(*) FILTER (WHERE state = 'queued'), count(*) FILTER (WHERE state = 'running') "
    "FROM runs WHERE state IN ('queued', 'running')";
constexpr char kLockRun[] = "SELECT state FROM runs WHERE run_id = $1 FOR UPDATE";
constexpr char kCancelQueued[] =
    "UPDATE runs SET state = 'cancelled', reason = $2, ended_at = $3, cancel_requested = true "
    "WHERE run_id = $1";
constexpr char kCancelRunning[] =
    "UPDATE runs SET cancel_requested = true, reason = $2 WHERE run_id = $1";
constexpr char kEvaluations[] =
    "SELECT split, samples, confusion FROM run_evaluations WHERE run_id = $1 ORDER BY split DESC";
constexpr char kMetrics[] =
    "SELECT split, name, value, low, high, interval FROM run_metrics WHERE run_id = $1 "
    "ORDER BY split, place";
constexpr char kListPredictions[] =
    "SELECT ordinal, sample_id, split, given_class, predicted_class, probabilities, "
    "baseline_probabilities FROM run_predictions WHERE run_id = $1 AND ($2 = '' OR split = $2) "
    "AND (NOT $3 OR given_class <> predicted_class) AND ordinal > $4 ORDER BY ordinal LIMIT $5";
constexpr char kCompare[] =
    "SELECT count(*) AS either, count(a.sample_id) AS first_samples, count(b.sample_id) AS "
    "second_samples, "
    "count(*) FILTER (WHERE a.given_class IS DISTINCT FROM b.given_class) AS different_labels, "
    "count(*) FILTER (WHERE a.given_class = a.predicted_class) AS first_right, "
    "count(*) FILTER (WHERE b.given_class = b.predicted_class) AS second_right, "
    "count(*) FILTER (WHERE a.given_class = a.predicted_class AND b.given_class <> "
    "b.predicted_class) "
    "AS only_first, "
    "count(*) FILTER (WHERE a.given_class <> a.predicted_class AND b.given_class = "
    "b.predicted_class) "
    "AS only_second "
    "FROM (SELECT * FROM run_predictions WHERE run_id = $1 AND split = $3) a "
    "FULL JOIN (SELECT * FROM run_predictions WHERE run_id = $2 AND split = $3) b USING "
    "(sample_id)";

std::string RealArrayLiteral(const std::vector<float>& values) {
  postgres::ArrayLiteral row;
  for (const float value : values) row.AddDouble(static_cast<double>(value));
  return row.text();
}

Hyperparameters HyperparametersFrom(const pqxx::row& row, const std::string& prefix) {
  const auto field = [&](const char* name) { return row[prefix + name]; };
  return {Optional<std::uint32_t>(field("epochs")),   Optional<std::uint32_t>(field("batch_size")),
          Optional<double>(field("learning_rate")),   Optional<double>(field("weight_decay")),
          Optional<std::uint32_t>(field("patience")), Optional<bool>(field("class_weights"))};
}

Run RunFrom(const pqxx::row& row) {
  Run run;
  run.id = row["run_id"].c_str();
  run.request.request_id = row["request_id"].c_str();
  run.request.dataset_version_id = row["dataset_version_id"].c_str();
  run.request.recipe = row["recipe"].c_str();
  run.request.seed = row["seed"].as<std::uint64_t>();
  run.request.hyperparameters = HyperparametersFrom(row, "");
  run.request.actor = row["actor"].c_str();
  run.effective = HyperparametersFrom(row, "effective_");
  run.dataset = {run.request.dataset_version_id, row["task"].c_str(), row["dataset_digest"].c_str(),
                 row["dataset_items"].as<std::uint64_t>(), ArrayFrom<std::string>(row["classes"])};
  run.state = RunStateFrom(row["state"].c_str()).value_or(RunState::kFailed);
  run.reason = row["reason"].c_str();
  run.cancel_requested = row["cancel_requested"].as<bool>();
  run.attempt = row["attempt"].as<std::uint32_t>();
  run.progress = {row["phase"].c_str(),
                  row["steps_done"].as<std::uint64_t>(),
                  row["steps_total"].as<std::uint64_t>(),
                  row["epoch"].as<std::uint32_t>(),
                  row["epochs_total"].as<std::uint32_t>(),
                  row["training_loss"].as<double>(),
                  row["validation_metric"].as<double>(),
                  row["samples_per_second"].as<double>(),
                  row["seconds_left"].as<double>()};
  run.code_version = row["code_version"].c_str();
  run.code_clean = row["code_clean"].as<bool>();
  run.build = row["build"].c_str();
  run.model_version_id = row["model_version_id"].c_str();
  run.best_epoch = row["best_epoch"].as<std::uint32_t>();
  run.training_seconds = row["training_seconds"].as<double>();
  run.queued_at = row["queued_at"].as<Timestamp>();
  run.started_at = Optional<Timestamp>(row["started_at"]);
  run.ended_at = Optional<Timestamp>(row["ended_at"]);
  run.cpu_seconds = row["cpu_seconds"].as<double>();
  if (const std::string baseline = row["baseline_model_version_id"].c_str(); !baseline.empty()) {
    run.request.baseline = BaselinePackage{baseline, {}};
    const auto names = ArrayFrom<std::string>(row["baseline_file_names"]);
    const auto refs = ArrayFrom<std::string>(row["baseline_file_refs"]);
    for (std::size_t i = 0; i < names.size() && i < refs.size(); ++i) {
      run.request.baseline->files.push_back({names[i], refs[i]});
    }
  }
  return run;
}

void AddEvaluations(pqxx::transaction_base& tx, Run* run) {
  for (const auto& row : tx.exec_params(kTests, run->id)) {
    run->tests.push_back({row["name"].c_str(), row["samples"].as<std::uint64_t>(),
                          row["passed"].as<std::uint64_t>(), row["not_evaluated"].c_str()});
  }
  for (const auto& row : tx.exec_params(kEvaluations, run->id)) {
    run->evaluations.push_back({row["split"].c_str(),
                                row["samples"].as<std::uint64_t>(),
                                {},
                                ArrayFrom<std::uint64_t>(row["confusion"])});
  }
  for (const auto& row : tx.exec_params(kMetrics, run->id)) {
    for (auto& evaluation : run->evaluations) {
      if (evaluation.split != row["split"].c_str()) continue;
      evaluation.metrics.push_back({row["name"].c_str(), row["value"].as<double>(),
                                    row["low"].as<double>(), row["high"].as<double>(),
                                    row["interval"].c_str()});
    }
  }
}

std::optional<Run> FindOne(pqxx::transaction_base& tx, const std::string& id) {
  const auto rows = tx.exec_params(std::string(kColumns) + "WHERE run_id = $1", id);
  if (rows.empty()) return std::nullopt;
  Run run = RunFrom(rows[0]);
  AddEvaluations(tx, &run);
  return run;
}

Result<void> Tell(pqxx::work& tx, const std::string& id, const std::string& type) {
  const auto run = FindOne(tx, id);
  events::v1::RunEvent event;
  event.set_run_id(id);
  event.set_task(run->dataset.task);
  event.set_dataset_version_id(run->dataset.id);
  event.set_recipe(run->request.recipe);
  event.set_state(std::string(Name(run->state)));
  event.set_reason(run->reason);
  postgres::OutboxMessage message;
  message.event_id = NewUuid();
  message.topic = "tidewheel.runs";
  message.key = id;
  message.type = type;
  message.payload = event.SerializeAsString();
  return postgres::Outbox("training").Enqueue(tx, message);
}

Error NotOurs(const std::string& id) {
  return {ErrorCode::kAborted, "run " + id + " is not this worker's any more"};
}

}  // namespace

Result<DatasetVersion> PostgresRunStore::FindDatasetVersion(const std::string& id) {
  const Error unknown{ErrorCode::kNotFound, "no dataset version " + id.substr(0, 80)};
  if (!IsUuid(id)) return unknown;
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<DatasetVersion> {
    const auto rows = tx.exec_params(kFindDataset, id);
    if (rows.empty()) return unknown;
    const auto& row = rows[0];
    return DatasetVersion{row["dataset_version_id"].c_str(), row["task"].c_str(),
                          row["digest"].c_str(), row["items"].as<std::uint64_t>(),
                          ArrayFrom<std::string>(row["classes"])};
  });
}

Result<void> PostgresRunStore::ForEachItem(
    const std::string& dataset_version_id,
    const std::function<Result<void>(const DatasetItem&)>& visit) {
  std::uint64_t next = 0;
  while (true) {
    // A dataset version never changes, so pages read one after the other are one picture of it.
    const auto items =
        pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<DatasetItem>> {
          std::vector<DatasetItem> page;
          for (const auto& row : tx.exec_params(kItems, dataset_version_id, next, kItemsAtOnce)) {
            page.push_back({row["payload_ref"].c_str(), row["class_index"].as<std::uint32_t>(),
                            row["split"].c_str(), row["weight"].as<double>(),
                            MapFrom(row["names"], row["texts"])});
          }
          return page;
        });
    if (!items) return items.error();
    if (items->empty()) return {};
    for (const auto& item : *items) {
      if (const auto visited = visit(item); !visited) return visited;
    }
    next += items->size();
  }
}

Result<EnqueuedRun> PostgresRunStore::Enqueue(const Run& run, std::size_t limit) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<EnqueuedRun> {
    tx.exec(kLockQueue);
    const auto known =
        tx.exec_params(std::string(kColumns) + "WHERE request_id = $1", run.request.request_id);
    if (!known.empty()) {
      Run there = RunFrom(known[0]);
      AddEvaluations(tx, &there);
      return EnqueuedRun{std::move(there), false};
    }
    if (tx.exec1(kCountQueued)[0].as<std::size_t>() >= limit) {
      return Error{ErrorCode::kResourceExhausted,
                   std::to_string(limit) + " runs wait already; start it again later"};
    }
    const Hyperparameters& asked = run.request.hyperparameters;
    postgres::TextArray file_names;
    postgres::TextArray file_refs;
    const BaselinePackage baseline = run.request.baseline.value_or(BaselinePackage{});
    for (const auto& file : baseline.files) {
      file_names.Add(file.name);
      file_refs.Add(file.payload_ref);
    }
    tx.exec_params0(
        kEnqueue, run.id, run.request.request_id, run.dataset.task, run.dataset.id,
        run.dataset.digest, run.dataset.items, postgres::TextArrayLiteral(run.dataset.classes),
        run.request.recipe, run.request.seed, asked.epochs, asked.batch_size, asked.learning_rate,
        asked.weight_decay, asked.patience, asked.class_weights, run.request.actor, run.queued_at,
        baseline.model_version_id, file_names.Parameter(), file_refs.Parameter());
    if (const auto told = Tell(tx, run.id, "run.queued"); !told) return told.error();
    return EnqueuedRun{run, true};
  });
}

Result<std::optional<Run>> PostgresRunStore::Find(const std::string& id) {
  if (!IsUuid(id)) return std::optional<Run>();
  return pool_.ReadOnly(
      [&](pqxx::transaction_base& tx) -> Result<std::optional<Run>> { return FindOne(tx, id); });
}

Result<Page<Run>> PostgresRunStore::List(const std::string& task, std::optional<RunState> state,
                                         const PageRequest& request) {
  const std::string word(state ? Name(*state) : std::string_view());
  const std::string query = "runs/" + task + "/" + word;
  const auto after = DecodePageToken(query, request.token, 2);
  if (!after) return after.error();
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<Page<Run>> {
    const auto rows = tx.exec_params(
        std::string(kColumns) +
            "WHERE ($1 = '' OR task = $1) AND ($2 = '' OR state = $2) AND ($3 = '' OR "
            "(queued_at, run_id) < (nullif($3, '')::timestamptz, nullif($4, '')::uuid)) "
            "ORDER BY queued_at DESC, run_id DESC LIMIT $5",
        task, word, after->empty() ? std::string() : (*after)[0],
        after->empty() ? std::string() : (*after)[1], request.size + 1);
    Page<Run> page;
    for (const auto& row : rows) {
      if (page.items.size() == request.size) {
        const Run& last = page.items.back();
        page.next_token = EncodePageToken(query, {FormatUtc(last.queued_at), last.id});
        break;
      }
      page.items.push_back(RunFrom(row));
      AddEvaluations(tx, &page.items.back());
    }
    return page;
  });
}

Result<std::optional<Run>> PostgresRunStore::Claim(const std::string& owner, Timestamp now,
                                                   std::chrono::milliseconds lease) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<std::optional<Run>> {
    const auto claimed = tx.exec_params(
        kClaim, owner, now,
        Timestamp(now + std::chrono::duration_cast<std::chrono::microseconds>(lease)));
    if (claimed.empty()) return std::optional<Run>();
    const std::string id = claimed[0][0].c_str();
    if (const auto told = Tell(tx, id, "run.started"); !told) return told.error();
    return FindOne(tx, id);
  });
}

Result<bool> PostgresRunStore::Renew(const std::string& id, const std::string& owner,
                                     Timestamp until, const Progress& progress) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<bool> {
    const auto rows = tx.exec_params(kRenew, id, owner, until, progress.phase, progress.steps_done,
                                     progress.steps_total, progress.epoch, progress.epochs,
                                     progress.training_loss, progress.validation_metric,
                                     progress.samples_per_second, progress.seconds_left);
    if (rows.empty()) return NotOurs(id);
    return rows[0][0].as<bool>();
  });
}

Result<void> PostgresRunStore::Succeed(const std::string& id, const std::string& owner,
                                       Timestamp now, const RunOutcome& outcome,
                                       const std::string& model_version_id) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
    const Hyperparameters& effective = outcome.effective;
    const auto updated = tx.exec_params0(
        kSucceed, id, owner, now, model_version_id, outcome.best_epoch, outcome.training_seconds,
        outcome.code_version, outcome.code_clean, outcome.build, effective.epochs,
        effective.batch_size, effective.learning_rate, effective.weight_decay, effective.patience,
        effective.class_weights, outcome.cpu_seconds);
    if (updated.affected_rows() == 0) return NotOurs(id);
    for (const auto& evaluation : outcome.evaluations) {
      postgres::ArrayLiteral confusion;
      for (const auto count : evaluation.confusion) {
        confusion.AddInt(static_cast<std::int64_t>(count));
      }
      tx.exec_params0(kInsertEvaluation, id, evaluation.split, evaluation.samples,
                      confusion.text());
      int place = 0;
      for (const auto& metric : evaluation.metrics) {
        tx.exec_params0(kInsertMetric, id, evaluation.split, place++, metric.name, metric.value,
                        metric.low, metric.high, metric.interval);
      }
    }

    int place = 0;
    for (const auto& test : outcome.tests) {
      tx.exec_params0(kInsertTest, id, place++, test.name, test.samples, test.passed,
                      test.not_evaluated);
    }
    const std::string dataset = FindOne(tx, id)->dataset.id;
    for (std::size_t first = 0; first < outcome.predictions.size(); first += kItemsAtOnce) {
      const std::size_t last = std::min(first + kItemsAtOnce, outcome.predictions.size());
      postgres::BigintArray ordinals;
      postgres::IntegerArray predicted;
      postgres::TextArray probabilities;
      postgres::TextArray baseline;
      for (std::size_t i = first; i < last; ++i) {
        const RunPrediction& prediction = outcome.predictions[i];
        ordinals.Add(static_cast<std::int64_t>(prediction.ordinal));
        predicted.Add(static_cast<std::int32_t>(prediction.predicted_class));
        probabilities.Add(RealArrayLiteral(prediction.probabilities));
        baseline.Add(RealArrayLiteral(prediction.baseline_probabilities));
      }
      const auto stored =
          tx.exec_params0(kInsertPredictions, id, dataset, ordinals.Parameter(),
                          predicted.Parameter(), probabilities.Parameter(), baseline.Parameter());
      if (static_cast<std::size_t>(stored.affected_rows()) != last - first) {
        return Error{ErrorCode::kInternal,
                     "run " + id + " predicted items its dataset does not have"};
      }
    }
    return Tell(tx, id, "run.succeeded");
  });
}

Result<void> PostgresRunStore::End(const std::string& id, const std::string& owner, Timestamp now,
                                   RunState state, const std::string& reason) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
    const std::string word(Name(state));
    if (tx.exec_params0(kEnd, id, owner, word, reason, now).affected_rows() == 0)
      return NotOurs(id);
    return Tell(tx, id, "run." + word);
  });
}

Result<std::size_t> PostgresRunStore::RecoverLost(Timestamp now, std::uint32_t attempts) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<std::size_t> {
    std::size_t recovered = 0;
    for (const auto& row : tx.exec_params(kRequeueLost, now, attempts)) {
      if (const auto told = Tell(tx, row[0].c_str(), "run.queued"); !told) return told.error();
      ++recovered;
    }
    for (const auto& row : tx.exec_params(kFailLost, now)) {
      const std::string id = row[0].c_str();
      const std::string word(Name(FindOne(tx, id)->state));
      if (const auto told = Tell(tx, id, "run." + word); !told) return told.error();
      ++recovered;
    }
    return recovered;
  });
}

Result<OpenRuns> PostgresRunStore::CountOpen() {
  return pool_.InTransaction([](pqxx::work& tx) -> Result<OpenRuns> {
    const auto row = tx.exec1(kCountOpen);
    return OpenRuns{.queued = row[0].as<std::uint64_t>(), .running = row[1].as<std::uint64_t>()};
  });
}

Result<Run> PostgresRunStore::Cancel(const std::string& id, const std::string& reason,
                                     Timestamp now) {
  const Error unknown{ErrorCode::kNotFound, "no run " + id.substr(0, 80)};
  if (!IsUuid(id)) return unknown;
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<Run> {
    const auto rows = tx.exec_params(kLockRun, id);
    if (rows.empty()) return unknown;
    const RunState state = RunStateFrom(rows[0][0].c_str()).value_or(RunState::kFailed);
    if (state == RunState::kQueued) {
      tx.exec_params0(kCancelQueued, id, reason, now);
      if (const auto told = Tell(tx, id, "run.cancelled"); !told) return told.error();
    } else if (state == RunState::kRunning) {
      tx.exec_params0(kCancelRunning, id, reason);
    } else if (state != RunState::kCancelled) {
      return Error{ErrorCode::kFailedPrecondition,
                   "run " + id + " has " + std::string(Name(state)) + " already"};
    }
    return *FindOne(tx, id);
  });
}

Result<Page<RunPrediction>> PostgresRunStore::ListPredictions(const PredictionFilter& filter,
                                                              const PageRequest& request) {
  if (!IsUuid(filter.run_id)) {
    return Error{ErrorCode::kNotFound, "no run " + filter.run_id.substr(0, 80)};
  }
  const std::string query =
      "predictions/" + filter.run_id + "/" + filter.split + (filter.errors_only ? "/errors" : "");
  const auto after = DecodePageToken(query, request.token, 1);
  if (!after) return after.error();
  const std::string last = after->empty() ? "-1" : (*after)[0];
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<Page<RunPrediction>> {
    Page<RunPrediction> page;
    for (const auto& row : tx.exec_params(kListPredictions, filter.run_id, filter.split,
                                          filter.errors_only, last, request.size + 1)) {
      if (page.items.size() == request.size) {
        page.next_token = EncodePageToken(query, {std::to_string(page.items.back().ordinal)});
        break;
      }
      page.items.push_back({row["ordinal"].as<std::uint64_t>(), row["sample_id"].c_str(),
                            row["split"].c_str(), row["given_class"].as<std::uint32_t>(),
                            row["predicted_class"].as<std::uint32_t>(),
                            ArrayFrom<float>(row["probabilities"]),
                            ArrayFrom<float>(row["baseline_probabilities"])});
    }
    return page;
  });
}

Result<Disagreement> PostgresRunStore::Compare(const std::string& run_id,
                                               const std::string& other_run_id,
                                               const std::string& split) {
  for (const auto* id : {&run_id, &other_run_id}) {
    if (!IsUuid(*id)) return Error{ErrorCode::kNotFound, "no run " + id->substr(0, 80)};
  }
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<Disagreement> {
    const auto row = tx.exec_params1(kCompare, run_id, other_run_id, split);
    const auto count = [&row](const char* name) { return row[name].as<std::uint64_t>(); };
    for (const auto& [name, id] :
         {std::pair{"first_samples", &run_id}, std::pair{"second_samples", &other_run_id}}) {
      if (count(name) == 0) {
        return Error{ErrorCode::kFailedPrecondition,
                     "run " + *id + " has no predictions for the " + split + " split"};
      }
    }
    if (count("either") != count("first_samples") || count("either") != count("second_samples") ||
        count("different_labels") > 0) {
      return Error{ErrorCode::kFailedPrecondition,
                   "runs " + run_id + " and " + other_run_id +
                       " were not evaluated on the same samples with the same labels"};
    }
    return Disagreement{count("either"), count("first_right"), count("second_right"),
                        count("only_first"), count("only_second")};
  });
}

}  // namespace tidewheel::training
