#include "tidewheel/monitoring/alerting.h"

#include <array>
#include <map>
#include <set>
#include <utility>

#include "tidewheel/log/log.h"
#include "tidewheel/monitoring/notify/alert_message.h"
#include "tidewheel/service/events.h"

namespace tidewheel::monitoring {
namespace {

constexpr char kGroup[] = "monitoring.alerts";
constexpr std::chrono::hours kForgetInterval{1};
constexpr std::array<const char*, 10> kCauses = {
    cause::kDataDrift, cause::kPredictionDrift, cause::kLabelShift,  cause::kConceptDrift,
    cause::kAccuracy,  cause::kSensorFault,     cause::kDataQuality, cause::kSilence,
    cause::kSlice,     cause::kAnnotatorQuality};

std::vector<NotificationDraft> PlanOf(const Alert& alert, AlertChange change,
                                      const std::string& alertmanager_url) {
  std::vector<NotificationDraft> drafts;
  for (const auto& url : alert.webhooks) drafts.push_back({url, WebhookJson(alert, change)});
  if (!alertmanager_url.empty() && change != AlertChange::kAcknowledged) {
    drafts.push_back({kAlertmanagerTarget, AlertmanagerJson({&alert, 1})});
  }
  return drafts;
}

}  // namespace

Alerting::Alerting(postgres::Pool& pool, MonitoringStore& windows, PolicySource& policies,
                   const Clock& clock, metrics::Registry& metrics, const Options& options)
    : pool_(pool),
      windows_(windows),
      policies_(policies),
      clock_(clock),
      metrics_(metrics),
      options_(options),
      store_(pool,
             [url = options.alertmanager_url](const Alert& alert, AlertChange change) {
               return PlanOf(alert, change, url);
             }),
      keeper_(
          store_, clock,
          KeeperCounters{.raised = metrics.Counter("tidewheel_monitoring_alerts_raised_total",
                                                   "Alerts raised by this process."),
                         .resolved = metrics.Counter("tidewheel_monitoring_alerts_resolved_total",
                                                     "Alerts resolved by this process.")}),
      comparisons_(comparison_store_, clock),
      open_alerts_(metrics.Gauges("tidewheel_monitoring_open_alerts",
                                  "Alerts that are not resolved.", {"task", "cause"})),
      damage_(metrics.Gauges("tidewheel_monitoring_damage_ratio",
                             "Expected loss of accuracy over all traffic, of the open alerts.",
                             {"task", "cause"})),
      comparison_predictions_(metrics.Gauges("tidewheel_monitoring_comparison_predictions",
                                             "Answers in the task's newest comparison.",
                                             {"task", "stage", "arm"})),
      comparison_state_(metrics.Gauges("tidewheel_monitoring_comparison_info",
                                       "1 for the verdict of the task's newest comparison.",
                                       {"task", "stage", "verdict"})),
      comparison_accuracy_(metrics.Gauges(
          "tidewheel_monitoring_comparison_accuracy_difference_ratio",
          "Candidate less baseline in the newest comparison, with its always-valid bounds.",
          {"task", "stage", "bound"})),
      audit_error_(metrics.Gauges(
          "tidewheel_monitoring_estimate_audit_error_ratio",
          "Expected less realised accuracy, mean over the audited blocks of outcomes.",
          {"task", "model"})),
      audit_error_low_(metrics.Gauges("tidewheel_monitoring_estimate_audit_error_low_ratio",
                                      "Lower end of its 95 % interval.", {"task", "model"})),
      audit_error_high_(metrics.Gauges("tidewheel_monitoring_estimate_audit_error_high_ratio",
                                       "Upper end of its 95 % interval.", {"task", "model"})),
      audit_(metrics.Gauges("tidewheel_monitoring_estimate_audit_ratio",
                            "Evidence that the bands of expected accuracy do not hold, over its "
                            "threshold: above 1 they do not.",
                            {"task", "model"})) {}

void Alerting::Start(bus::Broker& broker) {
  relay_ = service::RelayOutbox(pool_, broker, metrics_, "monitoring", "monitoring");
  notifier_ = std::make_unique<NotificationWorker>(
      store_, store_, poster_, clock_,
      NotificationWorker::Options{.alertmanager_url = options_.alertmanager_url},
      NotifyCounters{
          .delivered = metrics_.Counter("tidewheel_monitoring_notifications_delivered_total",
                                        "Notifications that were taken."),
          .failed = metrics_.Counter("tidewheel_monitoring_notifications_failed_total",
                                     "Attempts to notify that failed."),
          .abandoned = metrics_.Counter("tidewheel_monitoring_notifications_abandoned_total",
                                        "Notifications that were given up.")});
  bus::ConsumerOptions options;
  options.group = kGroup;
  options.topics = {"tidewheel.labels", "tidewheel.samples"};
  options.on_problem = [](const Error& error) {
    log::Warning("facts wait or are set aside", {{"problem", error}});
  };
  consumer_ = std::make_unique<bus::Consumer>(
      broker, std::move(options), bus::Consumer::OneByOne([this](const bus::Delivery& delivery) {
        return facts_.Handle(delivery);
      }));
  worker_ = std::make_unique<Worker>("look-after-alerts", [this](std::stop_token stop) {
    auto forget_due = std::chrono::steady_clock::now() + kForgetInterval;
    do {
      Look();
      if (std::chrono::steady_clock::now() >= forget_due) {
        Forget();
        forget_due = std::chrono::steady_clock::now() + kForgetInterval;
      }
    } while (pause_.Wait(stop, options_.look));
  });
}

void Alerting::Look() {
  const auto activity = windows_.ListActivity();
  if (!activity) {
    log::Warning("silence not looked for", {{"error", activity.error()}});
    return;
  }
  for (const auto& task : *activity) {
    const auto policy = PolicyOrDefault(policies_, task.task);
    if (!policy) continue;  // The registry is away: said elsewhere.
    if (const auto looked = keeper_.OnTime(task, *policy); !looked) {
      log::Warning("silence not looked for", {{"task", task.task}, {"error", looked.error()}});
    }
  }

  std::map<std::pair<std::string, std::string>, double> open;
  for (const auto& task : *activity) {
    for (const char* const name : kCauses) open[{task.task, name}] = -1;
  }
  for (const auto state : {AlertState::kRaised, AlertState::kAcknowledged}) {
    const auto page = store_.ListAlerts("", state, {1'000, ""});
    if (!page) return;
    for (const auto& alert : page->items) {
      open[{alert.model.task, alert.diagnosis.cause}] = alert.diagnosis.damage;
    }
  }
  for (const auto& [labels, damage] : open) {
    open_alerts_.Set({labels.first, labels.second}, damage >= 0 ? 1 : 0);
    damage_.Set({labels.first, labels.second}, std::max(damage, 0.0));
  }
  for (const auto& task : *activity) {
    const auto page = comparisons_.List(task.task, {1, ""});
    if (!page) continue;
    if (page->items.empty()) {
      // So that a graph begins before the first one does.
      for (const char* const arm : {"candidate", "baseline"}) {
        comparison_predictions_.Set({task.task, "canary", arm}, 0);
      }
      continue;
    }
    const Comparison& newest = page->items.front();
    const std::string& stage = newest.plan.stage;
    comparison_predictions_.Set({task.task, stage, "candidate"},
                                static_cast<double>(newest.counts.candidate.predictions));
    comparison_predictions_.Set({task.task, stage, "baseline"},
                                static_cast<double>(newest.counts.baseline.predictions));
    for (const char* const verdict : {"undecided", "harmful", "harmless"}) {
      comparison_state_.Set({task.task, stage, verdict}, newest.verdict == verdict ? 1 : 0);
    }
    if (newest.accuracy_difference) {
      comparison_accuracy_.Set({task.task, stage, "estimate"}, *newest.accuracy_difference);
      comparison_accuracy_.Set({task.task, stage, "low"}, newest.accuracy_low);
      comparison_accuracy_.Set({task.task, stage, "high"}, newest.accuracy_high);
    }
  }
  ShowAudits();
}

void Alerting::ShowAudits() {
  FindingFilter audits;
  audits.kind = FindingKind::kEstimateAudit;
  const auto page = store_.ListFindings(audits, {1'000, ""});
  if (!page) return;
  std::set<std::pair<std::string, std::string>> shown;
  for (const Finding& finding :
       page->items) {  // Newest first; one that fired stays with its alert.
    const auto& [task, model] = finding.model;
    if (!shown.emplace(task, model).second) continue;
    audit_error_.Set({task, model}, finding.effect);
    audit_error_low_.Set({task, model}, finding.effect_low);
    audit_error_high_.Set({task, model}, finding.effect_high);
    audit_.Set({task, model}, finding.Share());
  }
}

void Alerting::Forget() {
  const auto before =
      clock_.Now() - std::chrono::duration_cast<std::chrono::microseconds>(options_.retention);
  const auto forgotten = store_.Forget(before);
  if (!forgotten) log::Warning("old findings not dropped", {{"error", forgotten.error()}});
}

}  // namespace tidewheel::monitoring
