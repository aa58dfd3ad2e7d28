#include "tidewheel/monitoring/storage/alert_postgres_store.h"

#include <algorithm>
#include <charconv>
#include <pqxx/pqxx>

#include "tidewheel/base/ids.h"
#include "tidewheel/base/page_token.h"
#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/inbox.h"
#include "tidewheel/postgres/outbox.h"
#include "tidewheel/postgres/values.h"

namespace tidewheel::monitoring {
namespace {

constexpr char kLockTask[] = "SELECT pg_advisory_xact_lock(hashtextextended('alerts/' || $1, 0))";
constexpr char kState[] = "SELECT state FROM watch_states WHERE task = $1 AND name = $2";
constexpr char kSaveState[] =
    "INSERT INTO watch_states (task, name, state) VALUES ($1, $2, $3) "
    "ON CONFLICT (task, name) DO UPDATE SET state = excluded.state";
constexpr char kAlertColumns[] =
    "alert_id, task, model_version_id, cause, state, muted_until, title, description, damage, "
    "findings, telling, since, delay_predictions, share_classes, shares, predicted, raised_at, "
    "updated_at, resolved_at, acknowledged_by, resolution, quiet, quiet_model, webhooks";
constexpr char kSaveAlert[] =
    "INSERT INTO alerts (alert_id, task, model_version_id, cause, state, muted_until, title, "
    "description, damage, findings, telling, since, delay_predictions, share_classes, shares, "
    "predicted, raised_at, updated_at, resolved_at, acknowledged_by, resolution, quiet, "
    "quiet_model, webhooks) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text[]::uuid[], "
    "$11::text[], $12, $13, $14::text[], $15::float8[], $16::bigint[], $17, $18, $19, $20, $21, "
    "$22, $23, $24::text[]) "
    "ON CONFLICT (alert_id) DO UPDATE SET model_version_id = excluded.model_version_id, "
    "state = excluded.state, muted_until = excluded.muted_until, title = excluded.title, "
    "description = excluded.description, damage = excluded.damage, findings = excluded.findings, "
    "telling = excluded.telling, share_classes = excluded.share_classes, "
    "shares = excluded.shares, predicted = excluded.predicted, updated_at = excluded.updated_at, "
    "resolved_at = excluded.resolved_at, acknowledged_by = excluded.acknowledged_by, "
    "resolution = excluded.resolution, quiet = excluded.quiet, quiet_model = excluded.quiet_model";
constexpr char kClearHistograms[] = "DELETE FROM alert_histograms WHERE alert_id = $1";
constexpr char kAddHistogram[] =
    "INSERT INTO alert_histograms (alert_id, place, subject, bounds, names, reference_shares, "
    "current_shares) VALUES ($1, $2, $3, $4::float8[], $5::text[], $6::float8[], $7::float8[])";
constexpr char kHistograms[] =
    "SELECT subject, bounds, names, reference_shares, current_shares FROM alert_histograms "
    "WHERE alert_id = $1 ORDER BY place";
constexpr char kFindingColumns[] =
    "finding_id, task, model_version_id, slice, kind, subject, method, statistic, threshold, "
    "effect, effect_low, effect_high, fires, predictions, first_at, last_at, window_id";
constexpr char kClearFindings[] = "DELETE FROM findings WHERE window_id = $1 AND alert_id IS NULL";
constexpr char kAddFindings[] =
    "INSERT INTO findings (finding_id, task, model_version_id, slice, kind, subject, method, "
    "statistic, threshold, effect, effect_low, effect_high, fires, predictions, first_at, last_at, "
    "window_id, alert_id) "
    "SELECT id::uuid, task, model, slice, kind, subject, method, statistic, threshold, effect, "
    "low, "
    "high, fires, predictions, first_at, last_at, window_id, nullif(alert, '')::uuid "
    "FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], "
    "$7::text[], $8::float8[], $9::float8[], $10::float8[], $11::float8[], $12::float8[], "
    "$13::boolean[], $14::bigint[], $15::timestamptz[], $16::timestamptz[], $17::text[], "
    "$18::text[]) AS row (id, task, model, slice, kind, subject, method, statistic, threshold, "
    "effect, low, high, fires, predictions, first_at, last_at, window_id, alert) "
    "ON CONFLICT (finding_id) DO UPDATE SET fires = excluded.fires, "
    "alert_id = coalesce(excluded.alert_id, findings.alert_id)";
constexpr char kAddNotification[] =
    "INSERT INTO notifications (alert_id, change, target, body, due_at) VALUES ($1, $2, $3, $4, "
    "$5)";
constexpr char kTakeNotifications[] =
    "WITH due AS (SELECT n.id FROM notifications n WHERE n.delivered_at IS NULL "
    "AND n.abandoned_at IS NULL AND n.due_at <= $1 AND NOT EXISTS (SELECT FROM notifications o "
    "WHERE o.alert_id = n.alert_id AND o.target = n.target AND o.id < n.id "
    "AND o.delivered_at IS NULL AND o.abandoned_at IS NULL) "
    "ORDER BY n.due_at, n.id LIMIT $3 FOR UPDATE SKIP LOCKED) "
    "UPDATE notifications t SET due_at = $2, attempts = t.attempts + 1 FROM due "
    "WHERE t.id = due.id RETURNING t.id, t.alert_id, t.change, t.target, t.body, t.attempts - 1";
constexpr char kNoteWindow[] =
    "UPDATE windows w SET estimated_accuracy = $6, estimated_low = $7, estimated_high = $8, "
    "drift = $9::jsonb FROM streams s JOIN models m ON m.id = s.model_id "
    "WHERE w.stream_id = s.id AND m.task = $1 AND m.model_version_id = $2 AND s.slice = $3 "
    "AND w.kind = $4 AND w.number = $5";

template <typename Range>
std::string DoubleArrayText(const Range& values) {
  postgres::ArrayLiteral array;
  for (const double value : values) array.AddDouble(value);
  return array.text();
}

std::vector<std::string> TextsFrom(const pqxx::field& field) {
  std::vector<std::string> values;
  auto parser = field.as_array();
  for (auto [kind, text] = parser.get_next(); kind != pqxx::array_parser::done;
       std::tie(kind, text) = parser.get_next()) {
    if (kind == pqxx::array_parser::string_value) values.push_back(text);
  }
  return values;
}

std::vector<double> DoublesFrom(const pqxx::field& field) {
  std::vector<double> values;
  for (const auto& text : TextsFrom(field)) {
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    values.push_back(value);
  }
  return values;
}

Finding FindingFrom(const pqxx::row& row) {
  Finding finding;
  finding.id = row["finding_id"].c_str();
  finding.model = {row["task"].c_str(), row["model_version_id"].c_str()};
  finding.slice = row["slice"].c_str();
  if (const auto kind = FindingKindNamed(row["kind"].c_str())) finding.kind = *kind;
  finding.subject = row["subject"].c_str();
  finding.method = row["method"].c_str();
  finding.statistic = row["statistic"].as<double>();
  finding.threshold = row["threshold"].as<double>();
  finding.effect = row["effect"].as<double>();
  finding.effect_low = row["effect_low"].as<double>();
  finding.effect_high = row["effect_high"].as<double>();
  finding.fires = row["fires"].as<bool>();
  finding.predictions = row["predictions"].as<std::uint64_t>();
  finding.first_at = row["first_at"].as<Timestamp>();
  finding.last_at = row["last_at"].as<Timestamp>();
  finding.window_id = row["window_id"].c_str();
  return finding;
}

Alert AlertFrom(pqxx::transaction_base& tx, const pqxx::row& row) {
  Alert alert;
  alert.id = row["alert_id"].c_str();
  alert.model = {row["task"].c_str(), row["model_version_id"].c_str()};
  if (const auto state = AlertStateNamed(row["state"].c_str())) alert.state = *state;
  if (!row["muted_until"].is_null()) alert.muted_until = row["muted_until"].as<Timestamp>();
  Diagnosis& diagnosis = alert.diagnosis;
  diagnosis.cause = row["cause"].c_str();
  diagnosis.title = row["title"].c_str();
  diagnosis.description = row["description"].c_str();
  diagnosis.damage = row["damage"].as<double>();
  diagnosis.telling_predictions = TextsFrom(row["telling"]);
  diagnosis.since = row["since"].as<Timestamp>();
  diagnosis.delay_predictions = row["delay_predictions"].as<std::uint64_t>();
  const auto classes = TextsFrom(row["share_classes"]);
  const auto shares = DoublesFrom(row["shares"]);
  for (std::size_t k = 0; k < std::min(classes.size(), shares.size()); ++k) {
    diagnosis.class_shares[classes[k]] = shares[k];
  }
  for (const double count : DoublesFrom(row["predicted"])) {
    diagnosis.predicted.push_back(static_cast<std::uint64_t>(count));
  }
  alert.raised_at = row["raised_at"].as<Timestamp>();
  alert.updated_at = row["updated_at"].as<Timestamp>();
  if (!row["resolved_at"].is_null()) alert.resolved_at = row["resolved_at"].as<Timestamp>();
  alert.acknowledged_by = row["acknowledged_by"].c_str();
  alert.resolution = row["resolution"].c_str();
  alert.quiet = row["quiet"].as<std::uint32_t>();
  alert.quiet_model = row["quiet_model"].c_str();
  alert.webhooks = TextsFrom(row["webhooks"]);
  const auto found =
      tx.exec_params(std::string("SELECT ") + kFindingColumns +
                         " FROM unnest($1::uuid[]) WITH ORDINALITY AS named (id, place) "
                         "JOIN findings ON finding_id = named.id ORDER BY named.place",
                     row["findings"].c_str());
  for (const auto& each : found) diagnosis.findings.push_back(FindingFrom(each));
  return alert;
}

void AddHistograms(pqxx::transaction_base& tx, Alert* alert) {
  for (const auto& row : tx.exec_params(kHistograms, alert->id)) {
    HistogramEvidence histogram;
    histogram.subject = row["subject"].c_str();
    histogram.bounds = DoublesFrom(row["bounds"]);
    histogram.names = TextsFrom(row["names"]);
    histogram.reference_shares = DoublesFrom(row["reference_shares"]);
    histogram.current_shares = DoublesFrom(row["current_shares"]);
    alert->diagnosis.histograms.push_back(std::move(histogram));
  }
}

void AddFindings(pqxx::transaction_base& tx, std::span<const Finding> findings,
                 std::span<const std::string> alert_ids) {
  if (findings.empty()) return;
  postgres::TextArray ids;
  postgres::TextArray tasks;
  postgres::TextArray models;
  postgres::TextArray slices;
  postgres::TextArray kinds;
  postgres::TextArray subjects;
  postgres::TextArray methods;
  postgres::DoubleArray statistics;
  postgres::DoubleArray thresholds;
  postgres::DoubleArray effects;
  postgres::DoubleArray lows;
  postgres::DoubleArray highs;
  postgres::BooleanArray fires;
  postgres::BigintArray predictions;
  postgres::TimestampArray firsts;
  postgres::TimestampArray lasts;
  postgres::TextArray windows;
  postgres::TextArray alerts;
  for (std::size_t i = 0; i < findings.size(); ++i) {
    const Finding& finding = findings[i];
    ids.Add(finding.id);
    tasks.Add(finding.model.task);
    models.Add(finding.model.model_version_id);
    slices.Add(finding.slice);
    kinds.Add(Name(finding.kind));
    subjects.Add(finding.subject);
    methods.Add(finding.method);
    statistics.Add(finding.statistic);
    thresholds.Add(finding.threshold);
    effects.Add(finding.effect);
    lows.Add(finding.effect_low);
    highs.Add(finding.effect_high);
    fires.Add(finding.fires);
    predictions.Add(static_cast<std::int64_t>(finding.predictions));
    firsts.Add(finding.first_at);
    lasts.Add(finding.last_at);
    windows.Add(finding.window_id);
    alerts.Add(alert_ids[i]);
  }
  tx.exec_params(kAddFindings, ids.Parameter(), tasks.Parameter(), models.Parameter(),
                 slices.Parameter(), kinds.Parameter(), subjects.Parameter(), methods.Parameter(),
                 statistics.Parameter(), thresholds.Parameter(), effects.Parameter(),
                 lows.Parameter(), highs.Parameter(), fires.Parameter(), predictions.Parameter(),
                 firsts.Parameter(), lasts.Parameter(), windows.Parameter(), alerts.Parameter());
}

google::protobuf::Timestamp ToProto(Timestamp time) {
  const auto micros = time.time_since_epoch().count();
  auto seconds = micros / 1'000'000;
  auto rest = micros % 1'000'000;
  if (rest < 0) {
    --seconds;
    rest += 1'000'000;
  }
  google::protobuf::Timestamp out;
  out.set_seconds(seconds);
  out.set_nanos(static_cast<std::int32_t>(rest * 1'000));
  return out;
}

class PostgresAlertLedger final : public AlertLedger {
 public:
  PostgresAlertLedger(pqxx::transaction_base& tx, std::string task,
                      const PostgresAlertStore::Plan& plan)
      : tx_(tx), task_(std::move(task)), plan_(plan) {}

  Result<std::string> State(const std::string& name) override {
    const auto rows = tx_.exec_params(kState, task_, name);
    return rows.empty() ? std::string() : postgres::BytesOf(rows[0][0]);
  }

  Result<void> SaveState(const std::string& name, const std::string& bytes) override {
    tx_.exec_params(kSaveState, task_, name, postgres::Bytes(bytes));
    return {};
  }

  Result<bool> FirstTime(const std::string& event_id) override {
    return postgres::Inbox("monitoring").FirstTime(tx_, "alerts", event_id);
  }

  Result<std::vector<Alert>> OpenAlerts() override {
    std::vector<Alert> alerts;
    const auto rows = tx_.exec_params(std::string("SELECT ") + kAlertColumns +
                                          " FROM alerts WHERE task = $1 AND state <> 'resolved' "
                                          "ORDER BY raised_at, alert_id",
                                      task_);
    for (const auto& row : rows) {
      alerts.push_back(AlertFrom(tx_, row));
      AddHistograms(tx_, &alerts.back());
    }
    return alerts;
  }

  Result<void> Save(const Alert& alert, AlertChange change, Timestamp now) override {
    const Diagnosis& diagnosis = alert.diagnosis;
    postgres::ArrayLiteral findings;
    std::vector<std::string> alert_ids(diagnosis.findings.size(), alert.id);
    for (const auto& finding : diagnosis.findings) findings.AddText(std::string_view(finding.id));
    std::vector<std::string> classes;
    std::vector<double> shares;
    for (const auto& [name, share] : diagnosis.class_shares) {
      classes.push_back(name);
      shares.push_back(share);
    }
    postgres::ArrayLiteral predicted;
    for (const auto count : diagnosis.predicted) {
      predicted.AddInt(static_cast<std::int64_t>(count));
    }
    const auto muted = alert.muted_until == Timestamp{}
                           ? std::optional<std::string>()
                           : std::optional<std::string>(FormatUtc(alert.muted_until));
    const auto resolved = alert.resolved_at
                              ? std::optional<std::string>(FormatUtc(*alert.resolved_at))
                              : std::optional<std::string>();
    tx_.exec_params(kSaveAlert, alert.id, alert.model.task, alert.model.model_version_id,
                    diagnosis.cause, std::string(Name(alert.state)), muted, diagnosis.title,
                    diagnosis.description, std::clamp(diagnosis.damage, 0.0, 1.0), findings.text(),
                    postgres::TextArrayLiteral(diagnosis.telling_predictions), diagnosis.since,
                    diagnosis.delay_predictions, postgres::TextArrayLiteral(classes),
                    DoubleArrayText(shares), predicted.text(), alert.raised_at, alert.updated_at,
                    resolved, alert.acknowledged_by, alert.resolution, alert.quiet,
                    alert.quiet_model, postgres::TextArrayLiteral(alert.webhooks));
    AddFindings(tx_, diagnosis.findings, alert_ids);
    tx_.exec_params(kClearHistograms, alert.id);
    int place = 0;
    for (const auto& histogram : diagnosis.histograms) {
      tx_.exec_params(
          kAddHistogram, alert.id, place++, histogram.subject, DoubleArrayText(histogram.bounds),
          postgres::TextArrayLiteral(histogram.names), DoubleArrayText(histogram.reference_shares),
          DoubleArrayText(histogram.current_shares));
    }
    if (change == AlertChange::kUpdated) return {};

    events::v1::AlertEvent event;
    event.set_alert_id(alert.id);
    event.set_task(alert.model.task);
    event.set_model_version_id(alert.model.model_version_id);
    event.set_cause(diagnosis.cause);
    event.set_state(std::string(Name(alert.state)));
    event.set_damage(std::clamp(diagnosis.damage, 0.0, 1.0));
    event.set_title(diagnosis.title);
    *event.mutable_raised_at() = ToProto(alert.raised_at);
    *event.mutable_at() = ToProto(now);
    *event.mutable_since() = ToProto(diagnosis.since);
    postgres::OutboxMessage message;
    message.event_id = NewUuid();
    message.topic = "tidewheel.alerts";
    message.key = alert.id;
    message.type = std::string(EventType(change));
    message.payload = event.SerializeAsString();
    const auto enqueued = postgres::Outbox("monitoring").Enqueue(tx_, message);
    if (!enqueued) return enqueued;

    if (!plan_ || alert.muted(now) || change == AlertChange::kMuted) return {};
    for (const auto& draft : plan_(alert, change)) {
      tx_.exec_params(kAddNotification, alert.id,
                      std::string(change == AlertChange::kRaised ? "raised" : Name(alert.state)),
                      draft.target, draft.body, now);
    }
    return {};
  }

  Result<void> ReplaceFindings(const std::string& window_id, std::span<const Finding> findings,
                               std::span<const std::string> alert_ids) override {
    tx_.exec_params(kClearFindings, window_id);
    AddFindings(tx_, findings, alert_ids);
    return {};
  }

  Result<void> NoteWindow(const WindowKey& window, const WindowNote& note) override {
    std::string drift = "{";
    for (const auto& [kind, share] : note.drift) {
      // Kinds are words of ours.
      if (drift.size() > 1) drift += ",";
      drift += "\"" + kind + "\":" + pqxx::to_string(share);
    }
    const auto number = [&](double value) {
      return note.estimated_accuracy ? std::optional<double>(value) : std::optional<double>();
    };
    tx_.exec_params(kNoteWindow, window.model.task, window.model.model_version_id, window.slice,
                    window.kind, window.number, note.estimated_accuracy, number(note.estimated_low),
                    number(note.estimated_high), drift + "}");
    return {};
  }

 private:
  pqxx::transaction_base& tx_;
  const std::string task_;
  const PostgresAlertStore::Plan& plan_;
};

}  // namespace

Result<void> PostgresAlertStore::InTask(const std::string& task,
                                        const std::function<Result<void>(AlertLedger&)>& body) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
    tx.exec_params(kLockTask, task);
    PostgresAlertLedger ledger(tx, task, plan_);
    return body(ledger);
  });
}

Result<std::optional<Alert>> PostgresAlertStore::FindAlert(const std::string& id) {
  if (!IsUuid(id)) return std::optional<Alert>();
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::optional<Alert>> {
    const auto rows = tx.exec_params(
        std::string("SELECT ") + kAlertColumns + " FROM alerts WHERE alert_id = $1", id);
    if (rows.empty()) return std::optional<Alert>();
    Alert alert = AlertFrom(tx, rows[0]);
    AddHistograms(tx, &alert);
    return std::optional<Alert>(std::move(alert));
  });
}

Result<Page<Alert>> PostgresAlertStore::ListAlerts(const std::string& task,
                                                   std::optional<AlertState> state,
                                                   const PageRequest& request) {
  const std::string wanted = state ? std::string(Name(*state)) : "";
  const std::string query = "alerts/" + task + "/" + wanted;
  const auto token = DecodePageToken(query, request.token, 2);
  if (!token) return token.error();
  const std::vector<std::string> after = token->empty() ? std::vector<std::string>{"", ""} : *token;
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<Page<Alert>> {
    Page<Alert> page;
    const auto rows = tx.exec_params(
        std::string("SELECT ") + kAlertColumns +
            " FROM alerts WHERE ($1 = '' OR task = $1) AND ($2 = '' OR state = $2) AND ($3 = '' OR "
            "(raised_at, alert_id) < (nullif($3, '')::timestamptz, nullif($4, '')::uuid)) "
            "ORDER BY raised_at DESC, alert_id DESC LIMIT $5",
        task, wanted, after[0], after[1], request.size + 1);
    for (const auto& row : rows) {
      if (page.items.size() == request.size) {
        const Alert& last = page.items.back();
        page.next_token = EncodePageToken(query, {FormatUtc(last.raised_at), last.id});
        break;
      }
      page.items.push_back(AlertFrom(tx, row));
    }
    return page;
  });
}

Result<Page<Finding>> PostgresAlertStore::ListFindings(const FindingFilter& filter,
                                                       const PageRequest& request) {
  const std::string kind = filter.kind ? std::string(Name(*filter.kind)) : "";
  const std::string query = "findings/" + filter.model.task + "/" + filter.model.model_version_id +
                            "/" + kind + "/" + (filter.firing_only ? "1" : "0") + "/" +
                            filter.alert_id;
  const auto token = DecodePageToken(query, request.token, 2);
  if (!token) return token.error();
  if (!filter.alert_id.empty() && !IsUuid(filter.alert_id)) return Page<Finding>();
  const std::vector<std::string> after = token->empty() ? std::vector<std::string>{"", ""} : *token;
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<Page<Finding>> {
    Page<Finding> page;
    const auto rows = tx.exec_params(
        std::string("SELECT ") + kFindingColumns +
            " FROM findings WHERE ($1 = '' OR task = $1) AND ($2 = '' OR model_version_id = $2) "
            "AND ($3 = '' OR kind = $3) AND (NOT $4::boolean OR fires) "
            "AND ($5 = '' OR alert_id = nullif($5, '')::uuid) AND ($6 = '' OR "
            "(last_at, finding_id) < (nullif($6, '')::timestamptz, nullif($7, '')::uuid)) "
            "ORDER BY last_at DESC, finding_id DESC LIMIT $8",
        filter.model.task, filter.model.model_version_id, kind, filter.firing_only, filter.alert_id,
        after[0], after[1], request.size + 1);
    for (const auto& row : rows) {
      if (page.items.size() == request.size) {
        const Finding& last = page.items.back();
        page.next_token = EncodePageToken(query, {FormatUtc(last.last_at), last.id});
        break;
      }
      page.items.push_back(FindingFrom(row));
    }
    return page;
  });
}

Result<std::uint64_t> PostgresAlertStore::Forget(Timestamp before) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<std::uint64_t> {
    tx.exec_params0("DELETE FROM notifications WHERE coalesce(delivered_at, abandoned_at) < $1",
                    before);
    // The bus keeps nothing as long, so none of them comes again.
    tx.exec_params0("DELETE FROM inbox WHERE received_at < $1", before);
    return static_cast<std::uint64_t>(
        tx.exec_params0(
              "DELETE FROM findings WHERE last_at < $1 AND NOT fires AND alert_id IS NULL", before)
            .affected_rows());
  });
}

Result<std::vector<Notification>> PostgresAlertStore::Take(Timestamp now,
                                                           std::chrono::milliseconds lease,
                                                           std::size_t limit) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<std::vector<Notification>> {
    std::vector<Notification> taken;
    const auto until = now + std::chrono::duration_cast<std::chrono::microseconds>(lease);
    for (const auto& row : tx.exec_params(kTakeNotifications, now, until, limit)) {
      taken.push_back({row[0].as<std::int64_t>(), row[1].c_str(), row[2].c_str(), row[3].c_str(),
                       row[4].c_str(), row[5].as<std::uint32_t>()});
    }
    std::sort(taken.begin(), taken.end(),
              [](const Notification& a, const Notification& b) { return a.id < b.id; });
    return taken;
  });
}

Result<void> PostgresAlertStore::Delivered(std::int64_t id, Timestamp now) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
    tx.exec_params0("UPDATE notifications SET delivered_at = $2, last_error = '' WHERE id = $1", id,
                    now);
    return {};
  });
}

Result<void> PostgresAlertStore::Failed(std::int64_t id, Timestamp due_at, const std::string& error,
                                        bool abandoned) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
    tx.exec_params0(
        "UPDATE notifications SET due_at = $2, last_error = left($3, 500), "
        "abandoned_at = CASE WHEN $4 THEN $2::timestamptz END WHERE id = $1",
        id, due_at, error, abandoned);
    return {};
  });
}

}  // namespace tidewheel::monitoring
