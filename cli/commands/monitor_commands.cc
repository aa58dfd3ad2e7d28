#include <memory>

#include "tidewheel/cli/commands/command.h"
#include "tidewheel/monitoring/v1/monitoring_service.grpc.pb.h"

namespace tidewheel::cli {
namespace {

namespace v1 = monitoring::v1;
using Stub = v1::MonitoringService::Stub;

struct MonitorOptions {
  std::string task;
  std::string model;
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
  const auto list = line.platform().CallList(&Stub::ListWindows, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table({">WINDOW", "MODEL VERSION", "LAST", ">PREDICTIONS", ">CONFIDENCE", ">OUTCOMES",
               ">ACCURACY", "CLASSES"});
  for (const auto& window : list->windows()) {
    table.Add({std::to_string(window.number()) + (window.closed() ? "" : " (open)"),
               window.model_version_id(), FormatTime(window.last_at()),
               FormatCount(window.predictions()), FormatNumber(window.mean_confidence(), 3),
               FormatCount(window.outcomes()),
               window.has_accuracy() ? FormatNumber(window.accuracy(), 3) : "-",
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

}  // namespace

void AddMonitorCommands(CommandLine& line) {
  auto* group = line.AddGroup("monitor", "What is seen in production");
  const auto windows = std::make_shared<MonitorOptions>();
  auto* command = line.AddCommand(group, "windows", "List windows of predictions, newest first");
  AddTask(command, &windows->task);
  command->add_option("--model", windows->model, "Only of this model version");
  AddLimit(command, &windows->limit);
  line.OnRun(command, [&line, windows] { return ListWindows(line, *windows); });

  const auto summaries = std::make_shared<MonitorOptions>();
  command = line.AddCommand(group, "models", "List what was seen of each model version so far");
  command->add_option("--task", summaries->task, "Only of this task");
  AddLimit(command, &summaries->limit);
  line.OnRun(command, [&line, summaries] { return ListSummaries(line, *summaries); });
}

}  // namespace tidewheel::cli
