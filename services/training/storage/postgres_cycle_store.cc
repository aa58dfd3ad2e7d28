#include "tidewheel/training/storage/postgres_cycle_store.h"

#include <pqxx/pqxx>

#include "tidewheel/base/ids.h"
#include "tidewheel/base/page_token.h"
#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/log/trace.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/outbox.h"
#include "tidewheel/postgres/values.h"
#include "tidewheel/training/storage/rows.h"

namespace tidewheel::training {
namespace {

constexpr char kLockTask[] =
    "SELECT pg_advisory_xact_lock(hashtextextended('training/cycles/' || $1, 0))";
constexpr char kStateOf[] =
    "SELECT coalesce((SELECT cycle_id::text FROM cycles WHERE task = $1 AND open), '') AS running, "
    "coalesce((SELECT cycle_id::text FROM cycles WHERE task = $1 "
    "ORDER BY started_at DESC, cycle_id DESC LIMIT 1), '') AS newest, "
    "(SELECT max(started_at) FROM cycles WHERE task = $1) AS started_at, "
    "(SELECT max(ended_at) FROM cycles WHERE task = $1) AS ended_at, day.labels, day.cpu_seconds "
    "FROM (SELECT coalesce(sum(labels), 0) AS labels, coalesce(sum(cpu_seconds), 0) AS cpu_seconds "
    "FROM cycles WHERE task = $1 AND ended_at > now() - interval '1 day') AS day";
constexpr char kDecisionColumns[] =
    "SELECT decision_id, task, decided_at, trigger, alert_id, event, outcome, because, reason, "
    "cycle_id, actor FROM decisions ";
constexpr char kInsertDecision[] =
    "INSERT INTO decisions (decision_id, task, decided_at, trigger, alert_id, event, outcome, "
    "because, reason, cycle_id, actor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) "
    "ON CONFLICT ON CONSTRAINT decisions_once DO NOTHING";
constexpr char kInsertCycle[] =
    "INSERT INTO cycles (cycle_id, request_id, task, task_version, state, trigger, alert_id, "
    "alert_cause, damage, since, actor, asked_because, labels_at_hand, given_candidate, "
    "override_reason, candidate_model_version_id, stage_since, next_step_at, started_at) "
    "VALUES ($1, $2, $3, $4, 'triggered', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, "
    "$16, $16)";
constexpr char kInsertStep[] =
    "INSERT INTO cycle_steps (cycle_id, step, state, entered_at, left_at, result) "
    "VALUES ($1, $2, $3, $4, $5, $6)";
constexpr char kColumns[] =
    "SELECT cycle_id, request_id, task, task_version, state, reason, trigger, alert_id, "
    "alert_cause, damage, since, actor, asked_because, labels_at_hand, given_candidate, "
    "override_reason, baseline_model_version_id, previous_dataset_version_id, slice, batch_id, "
    "dataset_version_id, run_id, candidate_model_version_id, gate_evaluation_id, gain, gain_low, "
    "gain_high, labels, cpu_seconds, harmed_requests, share_number, comparison_id, has_traffic, "
    "retries, failures_in_row, stage_since, ending, ending_reason, failed_in, paused_at, "
    "cancel_requested, cancel_reason, started_at, ended_at FROM cycles ";
constexpr char kSteps[] =
    "SELECT state, entered_at, left_at, result, detail_names, detail_values FROM cycle_steps "
    "WHERE cycle_id = $1 ORDER BY step";
constexpr char kCriteria[] =
    "SELECT name, verdict, reason, difference, low, high, samples, p_value FROM cycle_criteria "
    "WHERE cycle_id = $1 ORDER BY place";
constexpr char kAcquired[] =
    "SELECT reason, count(*) FROM cycle_samples WHERE cycle_id = $1 GROUP BY reason";
constexpr char kSamples[] =
    "SELECT sample_id, request_id, request_index, reason, score, inclusion_probability "
    "FROM cycle_samples WHERE cycle_id = $1 ORDER BY place";
// A cancel goes before a pause; a lease that has passed was held by somebody who died.
constexpr char kClaim[] =
    "UPDATE cycles SET owner = $1, lease_until = $3 WHERE cycle_id = (SELECT cycle_id FROM cycles "
    "WHERE open AND next_step_at <= $2 AND (lease_until IS NULL OR lease_until < $2) "
    "AND (paused_at IS NULL OR cancel_requested OR ending IS NOT NULL) "
    "ORDER BY next_step_at, cycle_id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING cycle_id";
// Not what people ask for: they may have asked while the step was taken.
constexpr char kSave[] =
    "UPDATE cycles SET state = $3, reason = $4, baseline_model_version_id = $5, "
    "previous_dataset_version_id = $6, slice = $7, batch_id = $8, dataset_version_id = $9, "
    "run_id = $10, candidate_model_version_id = $11, gate_evaluation_id = $12, gain = $13, "
    "gain_low = $14, gain_high = $15, labels = $16, cpu_seconds = $17, harmed_requests = $18, "
    "share_number = $19, comparison_id = $20, has_traffic = $21, failures_in_row = $22, "
    "stage_since = CASE WHEN $31 THEN $23::timestamptz ELSE stage_since END, ending = $24, "
    "ending_reason = $25, failed_in = $26, "
    "ended_at = $27, owner = '', lease_until = NULL, "
    "next_step_at = CASE WHEN cancel_requested AND NOT $30 THEN $29::timestamptz "
    "ELSE $28::timestamptz END, step = step + CASE WHEN $31 THEN 1 ELSE 0 END "
    "WHERE cycle_id = $1 AND owner = $2 AND open RETURNING step";
constexpr char kLeaveStep[] =
    "UPDATE cycle_steps SET left_at = $3, result = $4 WHERE cycle_id = $1 AND step = $2";
constexpr char kTellStep[] =
    "UPDATE cycle_steps SET detail_names = $3::text[], detail_values = $4::text[] "
    "WHERE cycle_id = $1 AND step = $2";
constexpr char kStepDetails[] =
    "SELECT detail_names, detail_values FROM cycle_steps WHERE cycle_id = $1 AND step = $2";
constexpr char kForgetSamples[] = "DELETE FROM cycle_samples WHERE cycle_id = $1";
constexpr char kInsertSamples[] =
    "INSERT INTO cycle_samples (cycle_id, place, sample_id, request_id, request_index, reason, "
    "score, inclusion_probability) SELECT $1, row.place - 1, row.sample::uuid, row.request, "
    "row.index, row.reason, row.score, row.probability FROM unnest($2::text[], $3::text[], "
    "$4::integer[], $5::text[], $6::double precision[], $7::double precision[]) WITH ORDINALITY "
    "AS row (sample, request, index, reason, score, probability, place)";
constexpr char kForgetCriteria[] = "DELETE FROM cycle_criteria WHERE cycle_id = $1";
constexpr char kInsertCriterion[] =
    "INSERT INTO cycle_criteria (cycle_id, place, name, verdict, reason, difference, low, high, "
    "samples, p_value) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
constexpr char kLock[] =
    "SELECT state, paused_at IS NOT NULL AS paused, task, failed_in, step FROM cycles "
    "WHERE cycle_id = $1 FOR UPDATE";
constexpr char kCancel[] =
    "UPDATE cycles SET cancel_requested = true, cancel_reason = $2, reason = $2, next_step_at = $3 "
    "WHERE cycle_id = $1 AND NOT cancel_requested";
constexpr char kPause[] =
    "UPDATE cycles SET paused_at = $2 WHERE cycle_id = $1 AND paused_at IS NULL";
constexpr char kResume[] =
    "UPDATE cycles SET stage_since = stage_since + ($2::timestamptz - paused_at), "
    "paused_at = NULL, next_step_at = $2 WHERE cycle_id = $1 AND paused_at IS NOT NULL";
// What was taken back is asked for anew.
constexpr char kRetry[] =
    "UPDATE cycles SET state = failed_in, failed_in = NULL, ending = NULL, ending_reason = '', "
    "ended_at = NULL, reason = 'retried', failures_in_row = 0, retries = retries + 1, "
    "cancel_requested = false, cancel_reason = '', paused_at = NULL, comparison_id = '', "
    "batch_id = CASE WHEN failed_in = 'labeling' THEN '' ELSE batch_id END, "
    "run_id = CASE WHEN failed_in = 'training' THEN '' ELSE run_id END, "
    "stage_since = $2, next_step_at = $2, step = step + 1 WHERE cycle_id = $1";
constexpr char kCountByState[] = "SELECT task, state, count(*) FROM cycles GROUP BY task, state";
constexpr char kKeepAlert[] =
    "INSERT INTO waiting_alerts (alert_id, task, model_version_id, cause, damage, since) "
    "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (alert_id) DO NOTHING";
constexpr char kDropAlert[] =
    "INSERT INTO waiting_alerts (alert_id, task, model_version_id, cause, damage, dropped) "
    "VALUES ($1, '', '', '', 0, true) ON CONFLICT (alert_id) DO UPDATE SET dropped = true";
constexpr char kWaitingAlerts[] =
    "SELECT alert_id, task, model_version_id, cause, damage, since FROM waiting_alerts "
    "WHERE NOT dropped ORDER BY alert_id LIMIT 1000";
constexpr char kForgetDecisions[] =
    "DELETE FROM decisions WHERE decision_id IN (SELECT decision_id FROM decisions "
    "WHERE outcome = 'not_started' AND decided_at < now() - make_interval(secs => $1) "
    "ORDER BY decided_at LIMIT 10000)";
constexpr char kForgetAlerts[] =
    "DELETE FROM waiting_alerts WHERE alert_id IN (SELECT alert_id FROM waiting_alerts "
    "WHERE kept_at < now() - make_interval(secs => $1) LIMIT 10000)";

Cycle CycleFrom(const pqxx::row& row) {
  Cycle cycle;
  const auto text = [&row](const char* name) { return std::string(row[name].c_str()); };
  const auto state = [&row](const char* name) -> std::optional<CycleState> {
    if (row[name].is_null()) return std::nullopt;
    return CycleStateFrom(row[name].c_str());
  };
  cycle.id = text("cycle_id");
  cycle.request_id = text("request_id");
  cycle.task = text("task");
  cycle.task_version = row["task_version"].as<std::uint32_t>();
  cycle.state = state("state").value_or(CycleState::kFailed);
  cycle.reason = text("reason");
  cycle.paused = !row["paused_at"].is_null();
  cycle.trigger = {text("trigger"), text("alert_id"), text("alert_cause"),
                   row["damage"].as<double>(), Optional<Timestamp>(row["since"])};
  cycle.actor = text("actor");
  cycle.asked_because = text("asked_because");
  cycle.labels_at_hand = row["labels_at_hand"].as<bool>();
  cycle.given_candidate = row["given_candidate"].as<bool>();
  cycle.override_reason = text("override_reason");
  cycle.baseline_model_version_id = text("baseline_model_version_id");
  cycle.previous_dataset_version_id = text("previous_dataset_version_id");
  cycle.slice = text("slice");
  cycle.batch_id = text("batch_id");
  cycle.dataset_version_id = text("dataset_version_id");
  cycle.run_id = text("run_id");
  cycle.candidate_model_version_id = text("candidate_model_version_id");
  cycle.gate_evaluation_id = text("gate_evaluation_id");
  cycle.gain = Optional<double>(row["gain"]);
  cycle.gain_low = Optional<double>(row["gain_low"]);
  cycle.gain_high = Optional<double>(row["gain_high"]);
  cycle.labels = row["labels"].as<std::uint32_t>();
  cycle.cpu_seconds = row["cpu_seconds"].as<double>();
  cycle.harmed_requests = row["harmed_requests"].as<std::uint64_t>();
  cycle.share_number = row["share_number"].as<std::uint32_t>();
  cycle.comparison_id = text("comparison_id");
  cycle.has_traffic = row["has_traffic"].as<bool>();
  cycle.retries = row["retries"].as<std::uint32_t>();
  cycle.failures_in_row = row["failures_in_row"].as<std::uint32_t>();
  cycle.stage_since = row["stage_since"].as<Timestamp>();
  cycle.ending = state("ending");
  cycle.ending_reason = text("ending_reason");
  cycle.failed_in = state("failed_in");
  cycle.cancel_requested = row["cancel_requested"].as<bool>();
  cycle.cancel_reason = text("cancel_reason");
  cycle.started_at = row["started_at"].as<Timestamp>();
  cycle.ended_at = Optional<Timestamp>(row["ended_at"]);
  return cycle;
}

Decision DecisionFrom(const pqxx::row& row) {
  return {
      .id = row["decision_id"].c_str(),
      .task = row["task"].c_str(),
      .decided_at = row["decided_at"].as<Timestamp>(),
      .trigger = row["trigger"].c_str(),
      .alert_id = row["alert_id"].c_str(),
      .event = row["event"].c_str(),
      .outcome = DecisionOutcomeFrom(row["outcome"].c_str()).value_or(DecisionOutcome::kNotStarted),
      .because = row["because"].c_str(),
      .reason = row["reason"].c_str(),
      .cycle_id = row["cycle_id"].is_null() ? "" : row["cycle_id"].c_str(),
      .actor = row["actor"].c_str()};
}

/// What stands in tables of its own.
void AddRest(pqxx::transaction_base& tx, Cycle* cycle) {
  for (const auto& row : tx.exec_params(kSteps, cycle->id)) {
    cycle->steps.push_back({CycleStateFrom(row["state"].c_str()).value_or(CycleState::kFailed),
                            row["entered_at"].as<Timestamp>(), Optional<Timestamp>(row["left_at"]),
                            row["result"].c_str(),
                            MapFrom(row["detail_names"], row["detail_values"])});
  }
  for (const auto& row : tx.exec_params(kCriteria, cycle->id)) {
    GateCriterion criterion;
    criterion.name = row["name"].c_str();
    for (const auto verdict :
         {GateVerdict::kPass, GateVerdict::kFail, GateVerdict::kInconclusive}) {
      if (Name(verdict) == row["verdict"].c_str()) criterion.verdict = verdict;
    }
    criterion.reason = row["reason"].c_str();
    criterion.difference = Optional<double>(row["difference"]);
    criterion.low = Optional<double>(row["low"]);
    criterion.high = Optional<double>(row["high"]);
    criterion.samples = row["samples"].as<std::uint64_t>();
    criterion.p_value = Optional<double>(row["p_value"]);
    cycle->criteria.push_back(std::move(criterion));
  }
  for (const auto& row : tx.exec_params(
           std::string(kDecisionColumns) + "WHERE cycle_id = $1 ORDER BY decided_at, decision_id",
           cycle->id)) {
    cycle->decisions.push_back(DecisionFrom(row));
  }
  for (const auto& row : tx.exec_params(kAcquired, cycle->id)) {
    cycle->acquired[row[0].c_str()] = row[1].as<std::uint32_t>();
  }
}

std::optional<Cycle> FindOne(pqxx::transaction_base& tx, const std::string& id) {
  const auto rows = tx.exec_params(std::string(kColumns) + "WHERE cycle_id = $1", id);
  if (rows.empty()) return std::nullopt;
  Cycle cycle = CycleFrom(rows[0]);
  AddRest(tx, &cycle);
  return cycle;
}

Result<void> Tell(pqxx::work& tx, const Cycle& cycle, Timestamp at) {
  events::v1::CycleEvent event;
  event.set_cycle_id(cycle.id);
  event.set_task(cycle.task);
  event.set_state(std::string(Name(cycle.state)));
  event.set_reason(cycle.reason);
  event.set_alert_id(cycle.trigger.alert_id);
  event.set_candidate_model_version_id(cycle.candidate_model_version_id);
  const auto micros = at.time_since_epoch().count();
  event.mutable_at()->set_seconds(micros / 1'000'000);
  event.mutable_at()->set_nanos(static_cast<std::int32_t>(micros % 1'000'000) * 1'000);
  return postgres::Outbox("training")
      .Enqueue(tx, postgres::OutboxMessage{.event_id = NewUuid(),
                                           .topic = "tidewheel.cycles",
                                           .key = cycle.id,
                                           .type = "cycle." + std::string(Name(cycle.state)),
                                           .headers = {},
                                           .payload = event.SerializeAsString(),
                                           .traceparent = log::CurrentTraceParent()});
}

/// False: it was decided before.
bool Insert(pqxx::work& tx, const Decision& decision) {
  const auto inserted = tx.exec_params0(
      kInsertDecision, decision.id, decision.task, decision.decided_at, decision.trigger,
      decision.alert_id, decision.event, Name(decision.outcome), decision.because, decision.reason,
      decision.cycle_id.empty() ? std::optional<std::string>()
                                : std::optional<std::string>(decision.cycle_id),
      decision.actor);
  return inserted.affected_rows() == 1;
}

/// Who asked for what about a cycle, and why.
void Keep(pqxx::work& tx, const std::string& cycle_id, const std::string& task,
          DecisionOutcome outcome, const CycleAsk& ask) {
  const std::string id = NewUuid();
  Insert(tx, {.id = id,
              .task = task,
              .decided_at = ask.at,
              .trigger = "hand",
              .alert_id = "",
              .event = "cycle " + cycle_id + "/" + id,
              .outcome = outcome,
              .because = "",
              .reason = ask.reason,
              .cycle_id = cycle_id,
              .actor = ask.actor});
}

TaskCycles StateIn(pqxx::transaction_base& tx, const std::string& task) {
  const auto row = tx.exec_params1(kStateOf, task);
  return {.open_cycle_id = row["running"].c_str(),
          .last_cycle_id = row["newest"].c_str(),
          .started_at = Optional<Timestamp>(row["started_at"]),
          .ended_at = Optional<Timestamp>(row["ended_at"]),
          .labels_of_day = row["labels"].as<std::uint64_t>(),
          .cpu_seconds_of_day = row["cpu_seconds"].as<double>()};
}

Error Unknown(const std::string& id) {
  return {ErrorCode::kNotFound, "no cycle " + id.substr(0, 80)};
}

Error Ended(const std::string& id, const std::string& state) {
  return {ErrorCode::kFailedPrecondition, "cycle " + id + " has ended: " + state};
}

void AddDetails(pqxx::work& tx, const std::string& id, int step,
                const std::map<std::string, std::string>& added) {
  if (added.empty()) return;
  const auto row = tx.exec_params1(kStepDetails, id, step);
  auto details = MapFrom(row[0], row[1]);
  for (const auto& [name, value] : added) details[name] = value;
  postgres::TextArray names;
  postgres::TextArray values;
  for (const auto& [name, value] : details) {
    names.Add(name);
    values.Add(value);
  }
  tx.exec_params0(kTellStep, id, step, names.Parameter(), values.Parameter());
}

void AddSamples(pqxx::work& tx, const std::string& id, const std::vector<CycleSample>& chosen) {
  tx.exec_params0(kForgetSamples, id);
  postgres::TextArray samples;
  postgres::TextArray requests;
  postgres::IntegerArray indexes;
  postgres::TextArray reasons;
  postgres::DoubleArray scores;
  postgres::DoubleArray probabilities;
  for (const auto& sample : chosen) {
    samples.Add(sample.sample_id);
    requests.Add(sample.request_id);
    indexes.Add(static_cast<std::int32_t>(sample.request_index));
    reasons.Add(sample.reason);
    scores.Add(sample.score);
    probabilities.Add(sample.inclusion_probability);
  }
  tx.exec_params0(kInsertSamples, id, samples.Parameter(), requests.Parameter(),
                  indexes.Parameter(), reasons.Parameter(), scores.Parameter(),
                  probabilities.Parameter());
}

}  // namespace

Result<DecidedCycle> PostgresCycleStore::Decide(const std::string& task, const std::string& trigger,
                                                const std::string& alert_id,
                                                const std::string& event, Deciding& decide) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<DecidedCycle> {
    tx.exec_params(kLockTask, task);
    const auto there = tx.exec_params(std::string(kDecisionColumns) +
                                          "WHERE task = $1 AND trigger = $2 AND alert_id = $3 "
                                          "AND event = $4",
                                      task, trigger, alert_id, event);
    if (!there.empty()) {
      DecidedCycle decided{DecisionFrom(there[0]), {}, false};
      if (!decided.decision.cycle_id.empty()) {
        decided.cycle = FindOne(tx, decided.decision.cycle_id);
      }
      return decided;
    }
    auto [decision, cycle] = decide.Decide(StateIn(tx, task));
    decision.task = task;
    decision.trigger = trigger;
    decision.alert_id = alert_id;
    if (decision.event.empty()) decision.event = event;
    if (cycle) {
      tx.exec_params0(kInsertCycle, cycle->id, cycle->request_id, cycle->task, cycle->task_version,
                      trigger, alert_id, cycle->trigger.alert_cause, cycle->trigger.damage,
                      cycle->trigger.since, cycle->actor, cycle->asked_because,
                      cycle->labels_at_hand, cycle->given_candidate, cycle->override_reason,
                      cycle->candidate_model_version_id, cycle->started_at);
      tx.exec_params0(kInsertStep, cycle->id, 0, Name(cycle->state), cycle->started_at,
                      std::optional<Timestamp>(), "");
      if (const auto told = Tell(tx, *cycle, cycle->started_at); !told) return told.error();
    }
    const bool created = Insert(tx, decision);
    if (cycle) cycle = FindOne(tx, cycle->id);
    return DecidedCycle{std::move(decision), std::move(cycle), created};
  });
}

Result<TaskCycles> PostgresCycleStore::StateOf(const std::string& task) {
  return pool_.ReadOnly(
      [&](pqxx::transaction_base& tx) -> Result<TaskCycles> { return StateIn(tx, task); });
}

Result<std::optional<Cycle>> PostgresCycleStore::Find(const std::string& id) {
  if (!IsUuid(id)) return std::optional<Cycle>();
  return pool_.ReadOnly(
      [&](pqxx::transaction_base& tx) -> Result<std::optional<Cycle>> { return FindOne(tx, id); });
}

Result<Page<Cycle>> PostgresCycleStore::List(const std::string& task,
                                             std::optional<CycleState> state,
                                             const PageRequest& request) {
  const std::string word(state ? Name(*state) : std::string_view());
  const std::string query = "cycles/" + task + "/" + word;
  const auto after = DecodePageToken(query, request.token, 2);
  if (!after) return after.error();
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<Page<Cycle>> {
    const auto rows = tx.exec_params(
        std::string(kColumns) +
            "WHERE ($1 = '' OR task = $1) AND ($2 = '' OR state = $2) AND ($3 = '' OR "
            "(started_at, cycle_id) < (nullif($3, '')::timestamptz, nullif($4, '')::uuid)) "
            "ORDER BY started_at DESC, cycle_id DESC LIMIT $5",
        task, word, after->empty() ? std::string() : (*after)[0],
        after->empty() ? std::string() : (*after)[1], request.size + 1);
    Page<Cycle> page;
    for (const auto& row : rows) {
      if (page.items.size() == request.size) {
        const Cycle& last = page.items.back();
        page.next_token = EncodePageToken(query, {FormatUtc(last.started_at), last.id});
        break;
      }
      page.items.push_back(CycleFrom(row));
      AddRest(tx, &page.items.back());
    }
    return page;
  });
}

Result<Page<Decision>> PostgresCycleStore::ListDecisions(const std::string& task,
                                                         const PageRequest& request) {
  const std::string query = "decisions/" + task;
  const auto after = DecodePageToken(query, request.token, 2);
  if (!after) return after.error();
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<Page<Decision>> {
    const auto rows = tx.exec_params(
        std::string(kDecisionColumns) +
            "WHERE ($1 = '' OR task = $1) AND ($2 = '' OR (decided_at, decision_id) < "
            "(nullif($2, '')::timestamptz, nullif($3, '')::uuid)) "
            "ORDER BY decided_at DESC, decision_id DESC LIMIT $4",
        task, after->empty() ? std::string() : (*after)[0],
        after->empty() ? std::string() : (*after)[1], request.size + 1);
    Page<Decision> page;
    for (const auto& row : rows) {
      if (page.items.size() == request.size) {
        const Decision& last = page.items.back();
        page.next_token = EncodePageToken(query, {FormatUtc(last.decided_at), last.id});
        break;
      }
      page.items.push_back(DecisionFrom(row));
    }
    return page;
  });
}

Result<std::vector<CycleSample>> PostgresCycleStore::ListSamples(const std::string& cycle_id) {
  if (!IsUuid(cycle_id)) return Unknown(cycle_id);
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::vector<CycleSample>> {
    std::vector<CycleSample> samples;
    for (const auto& row : tx.exec_params(kSamples, cycle_id)) {
      samples.push_back({row["sample_id"].c_str(), row["request_id"].c_str(),
                         row["request_index"].as<std::uint32_t>(), row["reason"].c_str(),
                         row["score"].as<double>(), row["inclusion_probability"].as<double>()});
    }
    return samples;
  });
}

Result<std::optional<Cycle>> PostgresCycleStore::Claim(const std::string& owner, Timestamp now,
                                                       std::chrono::milliseconds lease) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<std::optional<Cycle>> {
    const auto claimed = tx.exec_params(
        kClaim, owner, now,
        Timestamp(now + std::chrono::duration_cast<std::chrono::microseconds>(lease)));
    if (claimed.empty()) return std::optional<Cycle>();
    return FindOne(tx, claimed[0][0].c_str());
  });
}

Result<void> PostgresCycleStore::Save(const Cycle& cycle, const CycleSave& save) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
    const auto word = [](const std::optional<CycleState>& state) {
      return state ? std::optional<std::string>(Name(*state)) : std::nullopt;
    };
    const bool moves = save.to.has_value();
    const auto saved = tx.exec_params(
        kSave, cycle.id, save.owner, Name(cycle.state), cycle.reason,
        cycle.baseline_model_version_id, cycle.previous_dataset_version_id, cycle.slice,
        cycle.batch_id, cycle.dataset_version_id, cycle.run_id, cycle.candidate_model_version_id,
        cycle.gate_evaluation_id, cycle.gain, cycle.gain_low, cycle.gain_high, cycle.labels,
        cycle.cpu_seconds, cycle.harmed_requests, cycle.share_number, cycle.comparison_id,
        cycle.has_traffic, cycle.failures_in_row, cycle.stage_since, word(cycle.ending),
        cycle.ending_reason, word(cycle.failed_in), cycle.ended_at, save.next_step_at, save.now,
        cycle.ending.has_value(), moves);
    if (saved.empty()) {
      return Error{ErrorCode::kAborted, "cycle " + cycle.id + " is not this process's any more"};
    }
    const int step = saved[0][0].as<int>() - (moves ? 1 : 0);
    AddDetails(tx, cycle.id, step, save.details);
    if (!save.chosen.empty()) AddSamples(tx, cycle.id, save.chosen);
    for (const auto& decision : save.decisions) Insert(tx, decision);
    // Also of a step that decides the end without leaving its state: what a gate failed must stay.
    if (moves || cycle.ending) {
      tx.exec_params0(kForgetCriteria, cycle.id);
      int place = 0;
      for (const auto& criterion : cycle.criteria) {
        tx.exec_params0(kInsertCriterion, cycle.id, place++, criterion.name,
                        Name(criterion.verdict), criterion.reason, criterion.difference,
                        criterion.low, criterion.high, criterion.samples, criterion.p_value);
      }
    }
    if (!moves) return {};

    tx.exec_params0(kLeaveStep, cycle.id, step, save.now, save.result);
    const bool ends = HasEnded(cycle.state);
    tx.exec_params0(kInsertStep, cycle.id, step + 1, Name(cycle.state), save.now,
                    ends ? std::optional<Timestamp>(save.now) : std::nullopt,
                    ends ? cycle.reason : std::string());
    return Tell(tx, cycle, save.now);
  });
}

Result<Cycle> PostgresCycleStore::RequestCancel(const std::string& id, const CycleAsk& ask) {
  if (!IsUuid(id)) return Unknown(id);
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<Cycle> {
    const auto rows = tx.exec_params(kLock, id);
    if (rows.empty()) return Unknown(id);
    const std::string state = rows[0]["state"].c_str();
    if (state == Name(CycleState::kCancelled)) return *FindOne(tx, id);
    if (HasEnded(CycleStateFrom(state).value_or(CycleState::kFailed))) return Ended(id, state);
    if (tx.exec_params0(kCancel, id, ask.CancelWords(), ask.at).affected_rows() > 0) {
      Keep(tx, id, rows[0]["task"].c_str(), DecisionOutcome::kCancelled, ask);
    }
    return *FindOne(tx, id);
  });
}

Result<Cycle> PostgresCycleStore::ChangeOpen(const std::string& id, const char* change,
                                             DecisionOutcome outcome, const CycleAsk& ask) {
  if (!IsUuid(id)) return Unknown(id);
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<Cycle> {
    const auto rows = tx.exec_params(kLock, id);
    if (rows.empty()) return Unknown(id);
    const std::string state = rows[0]["state"].c_str();
    if (HasEnded(CycleStateFrom(state).value_or(CycleState::kFailed))) return Ended(id, state);
    if (tx.exec_params0(change, id, ask.at).affected_rows() > 0) {
      Keep(tx, id, rows[0]["task"].c_str(), outcome, ask);
    }
    return *FindOne(tx, id);
  });
}

Result<Cycle> PostgresCycleStore::Pause(const std::string& id, const CycleAsk& ask) {
  return ChangeOpen(id, kPause, DecisionOutcome::kPaused, ask);
}

Result<Cycle> PostgresCycleStore::Resume(const std::string& id, const CycleAsk& ask) {
  return ChangeOpen(id, kResume, DecisionOutcome::kResumed, ask);
}

Result<Cycle> PostgresCycleStore::Retry(const std::string& id, const CycleAsk& ask) {
  if (!IsUuid(id)) return Unknown(id);
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<Cycle> {
    const auto rows = tx.exec_params(kLock, id);
    if (rows.empty()) return Unknown(id);
    const std::string state = rows[0]["state"].c_str();
    if (state != Name(CycleState::kFailed) || rows[0]["failed_in"].is_null()) {
      return Error{ErrorCode::kFailedPrecondition, "cycle " + id + " did not fail: it is " + state};
    }
    const std::string task = rows[0]["task"].c_str();
    tx.exec_params(kLockTask, task);
    if (const auto now_open = StateIn(tx, task); !now_open.open_cycle_id.empty()) {
      return Error{ErrorCode::kFailedPrecondition,
                   "cycle " + now_open.open_cycle_id + " of task " + task + " is running"};
    }
    tx.exec_params0(kRetry, id, ask.at);
    const int step = rows[0]["step"].as<int>() + 1;
    tx.exec_params0(kInsertStep, id, step, rows[0]["failed_in"].c_str(), ask.at,
                    std::optional<Timestamp>(), "");
    Keep(tx, id, task, DecisionOutcome::kRetried, ask);
    const Cycle cycle = *FindOne(tx, id);
    if (const auto told = Tell(tx, cycle, ask.at); !told) return told.error();
    return cycle;
  });
}

Result<std::vector<CycleStore::Count>> PostgresCycleStore::CountByState() {
  return pool_.ReadOnly([](pqxx::transaction_base& tx) -> Result<std::vector<Count>> {
    std::vector<Count> counts;
    for (const auto& row : tx.exec(kCountByState)) {
      counts.push_back({row[0].c_str(),
                        CycleStateFrom(row[1].c_str()).value_or(CycleState::kFailed),
                        row[2].as<std::uint64_t>()});
    }
    return counts;
  });
}

Result<void> PostgresCycleStore::KeepAlert(const WaitingAlert& alert) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
    tx.exec_params0(kKeepAlert, alert.trigger.alert_id, alert.task, alert.model_version_id,
                    alert.trigger.alert_cause, alert.trigger.damage, alert.trigger.since);
    return {};
  });
}

Result<void> PostgresCycleStore::DropAlert(const std::string& alert_id) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
    tx.exec_params0(kDropAlert, alert_id);
    return {};
  });
}

Result<std::vector<WaitingAlert>> PostgresCycleStore::ListWaitingAlerts() {
  return pool_.ReadOnly([](pqxx::transaction_base& tx) -> Result<std::vector<WaitingAlert>> {
    std::vector<WaitingAlert> alerts;
    for (const auto& row : tx.exec(kWaitingAlerts)) {
      alerts.push_back({row["task"].c_str(),
                        row["model_version_id"].c_str(),
                        {"alert", row["alert_id"].c_str(), row["cause"].c_str(),
                         row["damage"].as<double>(), Optional<Timestamp>(row["since"])}});
    }
    return alerts;
  });
}

Result<std::uint64_t> PostgresCycleStore::Forget(std::chrono::seconds age) {
  const auto seconds = static_cast<double>(age.count());
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<std::uint64_t> {
    std::uint64_t rows = 0;
    for (const char* forget : {kForgetDecisions, kForgetAlerts}) {
      rows += static_cast<std::uint64_t>(tx.exec_params(forget, seconds).affected_rows());
    }
    return rows;
  });
}

}  // namespace tidewheel::training
