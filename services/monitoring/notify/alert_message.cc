#include "tidewheel/monitoring/notify/alert_message.h"

#include <array>
#include <charconv>
#include <cmath>

#include "tidewheel/log/log.h"

namespace tidewheel::monitoring {
namespace {

std::string Number(double value) {
  if (!std::isfinite(value)) return "null";
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return {digits.data(), end};
}

/// "name": value, with a comma before all but the first.
class JsonObject {
 public:
  void Text(std::string_view name, std::string_view value) { Raw(name, log::JsonQuoted(value)); }
  void Real(std::string_view name, double value) { Raw(name, Number(value)); }
  void Raw(std::string_view name, std::string_view json) {
    if (text_.size() > 1) text_ += ",";
    text_ += log::JsonQuoted(name);
    text_ += ":";
    text_ += json;
  }
  std::string text() const { return text_ + "}"; }

 private:
  std::string text_ = "{";
};

std::string Severity(const Alert& alert) {
  return alert.diagnosis.damage >= 0.1 || alert.diagnosis.cause == cause::kSilence ? "critical"
                                                                                   : "warning";
}

}  // namespace

std::string WebhookJson(const Alert& alert, AlertChange change) {
  const Diagnosis& diagnosis = alert.diagnosis;
  JsonObject json;
  json.Text("event", EventType(change));
  json.Text("alert_id", alert.id);
  json.Text("task", alert.model.task);
  json.Text("model_version_id", alert.model.model_version_id);
  json.Text("cause", diagnosis.cause);
  json.Text("state", Name(alert.state));
  json.Text("title", diagnosis.title);
  json.Text("description", diagnosis.description);
  json.Real("damage", diagnosis.damage);
  json.Text("since", FormatUtc(diagnosis.since));
  json.Text("raised_at", FormatUtc(alert.raised_at));
  if (alert.resolved_at) json.Text("resolved_at", FormatUtc(*alert.resolved_at));
  if (!alert.resolution.empty()) json.Text("resolution", alert.resolution);
  std::string findings = "[";
  for (const auto& finding : diagnosis.findings) {
    JsonObject each;
    each.Text("kind", Name(finding.kind));
    each.Text("subject", finding.subject);
    each.Text("slice", finding.slice);
    each.Text("method", finding.method);
    each.Real("statistic", finding.statistic);
    each.Real("threshold", finding.threshold);
    each.Real("effect", finding.effect);
    if (findings.size() > 1) findings += ",";
    findings += each.text();
  }
  json.Raw("findings", findings + "]");
  std::string telling = "[";
  for (const auto& name : diagnosis.telling_predictions) {
    if (telling.size() > 1) telling += ",";
    telling += log::JsonQuoted(name);
  }
  json.Raw("telling_predictions", telling + "]");
  return json.text();
}

std::string AlertmanagerJson(std::span<const Alert> alerts) {
  std::string json = "[";
  for (const auto& alert : alerts) {
    JsonObject labels;
    labels.Text("alertname", "TidewheelAlert");
    labels.Text("task", alert.model.task);
    labels.Text("cause", alert.diagnosis.cause);
    labels.Text("alert_id", alert.id);
    JsonObject annotations;
    annotations.Text("summary", alert.diagnosis.title);
    annotations.Text("description", alert.diagnosis.description);
    annotations.Text("damage", Number(alert.diagnosis.damage));
    annotations.Text("severity", Severity(alert));
    annotations.Text("model_version_id", alert.model.model_version_id);
    JsonObject each;
    each.Raw("labels", labels.text());
    each.Raw("annotations", annotations.text());
    each.Text("startsAt", FormatUtc(alert.raised_at));
    if (alert.resolved_at) each.Text("endsAt", FormatUtc(*alert.resolved_at));
    if (json.size() > 1) json += ",";
    json += each.text();
  }
  return json + "]";
}

}  // namespace tidewheel::monitoring
