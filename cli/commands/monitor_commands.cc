#include <algorithm>
#include <map>
#include <memory>

#include "tidewheel/cli/commands/command.h"
#include "tidewheel/cli/output/chart.h"
#include "tidewheel/monitoring/v1/monitoring_service.grpc.pb.h"

namespace tidewheel::cli {
namespace {

namespace v1 = monitoring::v1;
using Stub = v1::MonitoringService::Stub;

struct MonitorOptions {
  std::string task;
  std::string model;
  std::string slice;
  std::string kind;
  std::uint64_t limit = 20;
};

std::string Shares(const google::protobuf::RepeatedPtrField<v1::ClassShare>& classes) {
  std::string text;
  for (const auto& share : classes) {
    text += (text.empty() ? "" : ", ") + share.class_name() + " " +
            FormatNumber(share.share() * 100, 1) + " %";
  }
  return text;
}

Result<ExitStatus> ListWindows(CommandLine& line, const MonitorOptions& options) {
  v1::ListWindowsRequest request;
  request.set_task(options.task);
  request.set_model_version_id(options.model);
  request.set_slice(options.slice);
  request.set_kind(options.kind);
  const auto list = line.platform().CallList(&Stub::ListWindows, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table({">WINDOW", "MODEL VERSION", "LAST", ">PREDICTIONS", ">CONFIDENCE", ">OUTCOMES",
               ">ACCURACY", ">ESTIMATED", "CLASSES"});
  for (const auto& window : list->windows()) {
    table.Add({std::to_string(window.number()) + (window.closed() ? "" : " (open)"),
               window.model_version_id(), FormatTime(window.last_at()),
               FormatCount(window.predictions()), FormatNumber(window.mean_confidence(), 3),
               FormatCount(window.outcomes()),
               window.has_accuracy() ? FormatNumber(window.accuracy(), 3) : "-",
               window.has_estimated_accuracy() ? FormatNumber(window.estimated_accuracy(), 3) : "-",
               Shares(window.classes())});
  }
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

Result<ExitStatus> ListSummaries(CommandLine& line, const MonitorOptions& options) {
  v1::ListModelSummariesRequest request;
  request.set_task(options.task);
  const auto list = line.platform().CallList(&Stub::ListModelSummaries, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table({"TASK", "MODEL VERSION", ">PREDICTIONS", ">CONFIDENCE", ">OUTCOMES", ">ACCURACY",
               "LAST", "CLASSES"});
  for (const auto& summary : list->summaries()) {
    table.Add({summary.task(), summary.model_version_id(), FormatCount(summary.predictions()),
               FormatNumber(summary.mean_confidence(), 3), FormatCount(summary.outcomes()),
               summary.has_accuracy() ? FormatNumber(summary.accuracy(), 3) : "-",
               FormatTime(summary.last_at()), Shares(summary.classes())});
  }
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

struct AlertOptions {
  std::string task;
  std::string state;
  std::string id;
  std::string reason;
  double seconds = 3'600;
  std::uint64_t limit = 20;
};

struct FindingOptions {
  std::string task;
  std::string model;
  std::string kind;
  std::string alert;
  bool firing = false;
  std::uint64_t limit = 20;
};

std::string StateName(const v1::Alert& alert) {
  return LowerEnum(v1::AlertState_Name(alert.state()), "ALERT_STATE_") +
         (alert.muted() ? " (muted)" : "");
}

std::string KindName(v1::FindingKind kind) {
  return LowerEnum(v1::FindingKind_Name(kind), "FINDING_KIND_");
}

std::string Interval(double value, double low, double high) {
  return FormatNumber(value, 3) + " [" + FormatNumber(low, 3) + ", " + FormatNumber(high, 3) + "]";
}

Table FindingTable(const google::protobuf::RepeatedPtrField<v1::Finding>& findings) {
  Table table({"KIND", "SUBJECT", "SLICE", "METHOD", ">STATISTIC", ">THRESHOLD", "EFFECT", "FIRES",
               ">PREDICTIONS", "UNTIL"});
  for (const auto& finding : findings) {
    table.Add({KindName(finding.kind()), finding.subject().empty() ? "-" : finding.subject(),
               finding.slice().empty() ? "all" : finding.slice(), finding.method(),
               FormatNumber(finding.statistic()), FormatNumber(finding.threshold()),
               Interval(finding.effect(), finding.effect_low(), finding.effect_high()),
               finding.fires() ? "yes" : "no", FormatCount(finding.predictions()),
               FormatTime(finding.window_last_at())});
  }
  return table;
}

// The reference above what is seen now, cell by cell.
std::string HistogramText(const v1::HistogramEvidence& histogram) {
  std::vector<Bar> bars;
  const int cells = std::min(histogram.reference_shares_size(), histogram.current_shares_size());
  for (int i = 0; i < cells; ++i) {
    std::string name = "cell " + std::to_string(i);
    if (i < histogram.names_size()) {
      name = histogram.names(i);
    } else if (i + 1 < histogram.bounds_size()) {
      name =
          FormatNumber(histogram.bounds(i), 3) + " to " + FormatNumber(histogram.bounds(i + 1), 3);
    }
    const auto add = [&bars](const std::string& label, double share) {
      bars.push_back({label, share, FormatNumber(share * 100, 1) + " %"});
    };
    add(name + "  reference", histogram.reference_shares(i));
    add(std::string(DisplayWidth(name), ' ') + "  now", histogram.current_shares(i));
  }
  return "\n" + histogram.subject() + "\n" + BarChart(bars);
}

void PrintAlert(CommandLine& line, const google::protobuf::Message& response,
                const v1::Alert& alert) {
  if (line.json()) {
    Print(ToJson(response));
    return;
  }
  Table table({"FIELD", "VALUE"});
  table.Add({"alert", alert.alert_id()});
  table.Add({"task", alert.task()});
  table.Add({"model version", alert.model_version_id()});
  table.Add({"cause", alert.cause()});
  table.Add({"state", StateName(alert)});
  table.Add({"title", alert.title()});
  table.Add({"damage", FormatNumber(alert.damage())});
  table.Add({"since", FormatTime(alert.since())});
  table.Add({"raised", FormatTime(alert.raised_at())});
  if (alert.delay_predictions() > 0) {
    table.Add({"delay", FormatCount(alert.delay_predictions()) + " predictions"});
  }
  if (!alert.acknowledged_by().empty()) table.Add({"acknowledged by", alert.acknowledged_by()});
  if (alert.muted() && alert.has_muted_until()) {
    table.Add({"muted until", FormatTime(alert.muted_until())});
  }
  if (alert.has_resolved_at()) {
    table.Add({"resolved", FormatTime(alert.resolved_at())});
    table.Add({"resolution", alert.resolution()});
  }
  const std::map<std::string, double> shares(alert.estimated_class_shares().begin(),
                                             alert.estimated_class_shares().end());
  for (const auto& [name, share] : shares) {
    table.Add({"estimated share of " + name, FormatNumber(share * 100, 1) + " %"});
  }
  Print(table.Text());
  if (!alert.description().empty()) {
    Table description({""});
    description.Add({alert.description()});
    Print(description.Text());
  }
  if (alert.findings_size() > 0) Print("\n" + FindingTable(alert.findings()).Text());
  for (const auto& histogram : alert.histograms()) Print(HistogramText(histogram));
  if (alert.telling_predictions_size() > 0) {
    Table telling({"TELLING PREDICTION"});
    for (const auto& prediction : alert.telling_predictions()) telling.Add({prediction});
    Print("\n" + telling.Text());
  }
}

Result<ExitStatus> ListAlerts(CommandLine& line, const AlertOptions& options) {
  v1::ListAlertsRequest request;
  request.set_task(options.task);
  if (options.state == "raised") request.set_state(v1::ALERT_STATE_RAISED);
  if (options.state == "acknowledged") request.set_state(v1::ALERT_STATE_ACKNOWLEDGED);
  if (options.state == "resolved") request.set_state(v1::ALERT_STATE_RESOLVED);
  const auto list = line.platform().CallList(&Stub::ListAlerts, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table({"ALERT", "TASK", "CAUSE", "STATE", ">DAMAGE", "SINCE", "RAISED", "TITLE"});
  for (const auto& alert : list->alerts()) {
    table.Add({alert.alert_id(), alert.task(), alert.cause(), StateName(alert),
               FormatNumber(alert.damage()), FormatTime(alert.since()),
               FormatTime(alert.raised_at()), alert.title()});
  }
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

// Calls what answers with an alert, and shows it.
template <typename Request, typename Response>
Result<ExitStatus> OnAlert(CommandLine& line,
                           grpc::Status (Stub::*rpc)(grpc::ClientContext*, const Request&,
                                                     Response*),
                           const Request& request) {
  const auto response = line.platform().Call(rpc, request);
  if (!response) return response.error();
  PrintAlert(line, *response, response->alert());
  return ExitStatus::kOk;
}

Result<ExitStatus> ShowAlert(CommandLine& line, const AlertOptions& options) {
  v1::GetAlertRequest request;
  request.set_alert_id(options.id);
  return OnAlert(line, &Stub::GetAlert, request);
}

Result<ExitStatus> AcknowledgeAlert(CommandLine& line, const AlertOptions& options) {
  v1::AcknowledgeAlertRequest request;
  request.set_alert_id(options.id);
  request.set_actor(line.actor());
  return OnAlert(line, &Stub::AcknowledgeAlert, request);
}

Result<ExitStatus> MuteAlert(CommandLine& line, const AlertOptions& options) {
  v1::MuteAlertRequest request;
  request.set_alert_id(options.id);
  request.set_actor(line.actor());
  request.set_seconds(options.seconds);
  return OnAlert(line, &Stub::MuteAlert, request);
}

Result<ExitStatus> ResolveAlert(CommandLine& line, const AlertOptions& options) {
  v1::ResolveAlertRequest request;
  request.set_alert_id(options.id);
  request.set_actor(line.actor());
  request.set_reason(options.reason);
  return OnAlert(line, &Stub::ResolveAlert, request);
}

Result<ExitStatus> ListFindings(CommandLine& line, const FindingOptions& options) {
  v1::ListFindingsRequest request;
  request.set_task(options.task);
  request.set_model_version_id(options.model);
  request.set_alert_id(options.alert);
  request.set_firing_only(options.firing);
  if (!options.kind.empty()) {
    std::string known;
    for (int number = 1; v1::FindingKind_IsValid(number); ++number) {
      const auto kind = static_cast<v1::FindingKind>(number);
      std::string name = KindName(kind);
      std::replace(name.begin(), name.end(), ' ', '_');
      if (name == options.kind) request.set_kind(kind);
      known += (known.empty() ? "" : ", ") + name;
    }
    if (request.kind() == v1::FINDING_KIND_UNSPECIFIED) {
      return Error{ErrorCode::kInvalidArgument,
                   "--kind " + options.kind + ": must be one of " + known};
    }
  }
  const auto list = line.platform().CallList(&Stub::ListFindings, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Print(FindingTable(list->findings()).Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

void AddAlertCommands(CommandLine& line) {
  auto* group = line.AddGroup("alerts", "What monitoring found to be wrong");
  const auto list = std::make_shared<AlertOptions>();
  auto* command = line.AddCommand(group, "list", "List alerts, newest first");
  command->add_option("--task", list->task, "Only of this task");
  command->add_option("--state", list->state, "raised, acknowledged or resolved")
      ->check(CLI::IsMember({"raised", "acknowledged", "resolved"}));
  AddLimit(command, &list->limit);
  line.OnRun(command, [&line, list] { return ListAlerts(line, *list); });

  const auto with_id = [&line, group](
                           const std::string& name, const std::string& description,
                           Result<ExitStatus> (*run)(CommandLine&, const AlertOptions&)) {
    const auto options = std::make_shared<AlertOptions>();
    auto* const added = line.AddCommand(group, name, description);
    added->add_option("ALERT", options->id, "The alert's id")->required();
    line.OnRun(added, [&line, options, run] { return run(line, *options); });
    return std::pair(added, options);
  };
  with_id("show", "Show an alert with its evidence", ShowAlert);
  with_id("ack", "Say that somebody looks after it", AcknowledgeAlert);
  const auto [mute, mute_options] =
      with_id("mute", "Let it tell nobody for a while; it is still measured", MuteAlert);
  mute->add_option("--seconds", mute_options->seconds, "For how long; 0 ends the muting")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  const auto [resolve, resolve_options] =
      with_id("resolve", "End it by hand; measured quiet ends it by itself", ResolveAlert);
  resolve->add_option("--reason", resolve_options->reason, "Why")->required();

  const auto findings = std::make_shared<FindingOptions>();
  command =
      line.AddCommand(&line.app(), "findings", "List what was found in windows, newest first");
  command->add_option("--task", findings->task, "Only of this task");
  command->add_option("--model", findings->model, "Only of this model version");
  command->add_option("--kind", findings->kind, "Such as feature_drift or label_shift");
  command->add_option("--alert", findings->alert, "Only those of this alert");
  command->add_flag("--firing", findings->firing, "Only those above their threshold");
  AddLimit(command, &findings->limit);
  line.OnRun(command, [&line, findings] { return ListFindings(line, *findings); });
}

}  // namespace

void AddMonitorCommands(CommandLine& line) {
  auto* group = line.AddGroup("monitor", "What is seen in production");
  const auto windows = std::make_shared<MonitorOptions>();
  auto* command = line.AddCommand(group, "windows", "List windows of predictions, newest first");
  AddTask(command, &windows->task);
  command->add_option("--model", windows->model, "Only of this model version");
  command->add_option("--slice", windows->slice, "KEY=VALUE instead of all traffic");
  command->add_option("--kind", windows->kind, "count (also without it) or time")
      ->check(CLI::IsMember({"count", "time"}));
  AddLimit(command, &windows->limit);
  line.OnRun(command, [&line, windows] { return ListWindows(line, *windows); });

  const auto summaries = std::make_shared<MonitorOptions>();
  command = line.AddCommand(group, "models", "List what was seen of each model version so far");
  command->add_option("--task", summaries->task, "Only of this task");
  AddLimit(command, &summaries->limit);
  line.OnRun(command, [&line, summaries] { return ListSummaries(line, *summaries); });

  AddAlertCommands(line);
}

}  // namespace tidewheel::cli
