#include <memory>

#include "tidewheel/cli/commands/model_commands.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"

namespace tidewheel::cli {
namespace {

namespace v1 = model_registry::v1;
using Stub = v1::ModelRegistryService::Stub;

struct RolloutOptions {
  std::string model;
  std::string task;
  bool shadow = false;
  double share = 0;
  std::string reason;
  std::string override_reason;
  std::string expected;
};

void PrintRollout(const v1::Deployment& deployment, bool changed) {
  Print("task " + deployment.task() + ": " + RolloutText(deployment) + " beside " +
        TitleOf(deployment.production()) + " (revision " + std::to_string(deployment.revision()) +
        (changed ? ")\n" : ", unchanged)\n"));
}

Result<ExitStatus> Set(CommandLine& line, const RolloutOptions& options) {
  if (!options.shadow && options.share == 0) {
    Remark("INVALID_ARGUMENT: --share or --shadow is needed");
    return ExitStatus::kUsage;
  }
  const auto model = FindModelVersion(line, options.model);
  if (!model) return model.error();
  v1::SetRolloutRequest request;
  request.set_model_version_id(model->model_version_id());
  request.set_stage(options.shadow ? "shadow" : "canary");
  request.set_share(options.shadow ? 0 : options.share);
  request.set_actor(line.actor());
  request.set_reason(options.reason);
  request.set_override_reason(options.override_reason);
  const auto set = line.platform().Call(&Stub::SetRollout, request);
  if (!set) return RefusedByGate(set.error());
  if (line.json()) {
    Print(ToJson(*set));
  } else {
    PrintRollout(set->deployment(), set->changed());
  }
  return ExitStatus::kOk;
}

Result<ExitStatus> Clear(CommandLine& line, const RolloutOptions& options) {
  v1::ClearRolloutRequest request;
  request.set_task(options.task);
  request.set_actor(line.actor());
  request.set_reason(options.reason);
  if (!options.expected.empty()) {
    const auto expected = FindModelVersion(line, options.expected);
    if (!expected) return expected.error();
    request.set_expected_model_version_id(expected->model_version_id());
  }
  const auto cleared = line.platform().Call(&Stub::ClearRollout, request);
  if (!cleared) return cleared.error();
  if (line.json()) {
    Print(ToJson(*cleared));
  } else {
    Print("task " + cleared->deployment().task() + ": " +
          (cleared->changed() ? "the rollout is over, " : "unchanged, ") +
          TitleOf(cleared->deployment().production()) + " serves" +
          (cleared->deployment().has_rollout() ? " beside " + RolloutText(cleared->deployment())
                                               : std::string()) +
          "\n");
  }
  return ExitStatus::kOk;
}

Result<ExitStatus> Show(CommandLine& line, const RolloutOptions& options) {
  v1::ListDeploymentsRequest request;
  request.set_task(options.task);
  const auto list = line.platform().CallList(&Stub::ListDeployments, request, 0);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table({"TASK", "PRODUCTION", "CANDIDATE", "STAGE", ">SHARE", "SINCE", "BY", "REASON"});
  for (const auto& deployment : list->deployments()) {
    if (!deployment.has_rollout()) continue;
    const auto& rollout = deployment.rollout();
    table.Add({deployment.task(), TitleOf(deployment.production()), TitleOf(rollout.candidate()),
               rollout.stage(), FormatNumber(rollout.share()), FormatTime(rollout.since()),
               rollout.by(), rollout.reason()});
  }
  Print(table.empty() ? "no candidate has traffic\n" : table.Text());
  return ExitStatus::kOk;
}

}  // namespace

std::string RolloutText(const v1::Deployment& deployment) {
  if (!deployment.has_rollout()) return "-";
  const auto& rollout = deployment.rollout();
  return rollout.stage() + " of " + TitleOf(rollout.candidate()) +
         (rollout.stage() == "canary" ? ", share " + FormatNumber(rollout.share(), 3) : "");
}

void AddRolloutCommands(CommandLine& line) {
  auto* group = line.AddGroup("rollout", "Candidates beside the serving version");
  const auto set = std::make_shared<RolloutOptions>();
  auto* command = line.AddCommand(
      group, "set",
      "Give a candidate shadow copies or a share of the traffic (3: the gate says no)");
  command->add_option("MODEL_VERSION", set->model, "Id or TASK@VERSION")->required();
  auto* share = command->add_option("--share", set->share, "Of requests, above 0 and below 1");
  command->add_flag("--shadow", set->shadow, "Copies alone: nobody gets the answers")
      ->excludes(share);
  command->add_option("--reason", set->reason, "Why");
  command->add_option("--override", set->override_reason,
                      "Although the gate says no or a signature is missing, for this reason");
  line.OnRun(command, [&line, set] { return Set(line, *set); });

  const auto clear = std::make_shared<RolloutOptions>();
  command = line.AddCommand(group, "clear", "Take all traffic from the candidate");
  command->add_option("TASK", clear->task, "The task's name")->required();
  command->add_option("--reason", clear->reason, "Why");
  command->add_option("--expect", clear->expected,
                      "Only when this candidate still has the rollout");
  line.OnRun(command, [&line, clear] { return Clear(line, *clear); });

  const auto show = std::make_shared<RolloutOptions>();
  command = line.AddCommand(group, "show", "List the candidates that have traffic");
  command->add_option("TASK", show->task, "Only of this task");
  line.OnRun(command, [&line, show] { return Show(line, *show); });
}

}  // namespace tidewheel::cli
