#include "tidewheel/cli/commands/model_commands.h"

#include <memory>

#include "tidewheel/base/ids.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"

namespace tidewheel::cli {
namespace {

namespace v1 = model_registry::v1;
using Stub = v1::ModelRegistryService::Stub;

struct ModelOptions {
  std::string model;
  std::string task;
  std::string override_reason;
  std::string reason;
  std::string expected;
  std::uint64_t limit = 100;
};

std::string StageName(v1::Stage stage) { return LowerEnum(v1::Stage_Name(stage), "STAGE_"); }

std::string MetricText(const v1::ModelVersion& model, const std::string& name) {
  const auto found = model.metrics().find(name);
  return found == model.metrics().end() ? "-" : FormatNumber(found->second);
}

Result<ExitStatus> List(CommandLine& line, const ModelOptions& options) {
  v1::ListModelVersionsRequest request;
  request.set_task(options.task);
  const auto list = line.platform().CallList(&Stub::ListModelVersions, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table({"MODEL", "ID", "STAGE", "RECIPE", ">SEED", ">ACCURACY", ">BALANCED", ">MACRO F1",
               "REGISTERED", "RUN"});
  for (const auto& model : list->model_versions()) {
    table.Add({TitleOf(model), model.model_version_id(), StageName(model.stage()), model.recipe(),
               std::to_string(model.seed()), MetricText(model, "accuracy"),
               MetricText(model, "balanced_accuracy"), MetricText(model, "macro_f1"),
               FormatTime(model.registered_at()), model.run_id()});
  }
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

Result<ExitStatus> Show(CommandLine& line, const ModelOptions& options) {
  const auto model = FindModelVersion(line, options.model);
  if (!model) return model.error();
  if (line.json()) {
    Print(ToJson(*model));
    return ExitStatus::kOk;
  }
  Table table({"FIELD", "VALUE"});
  table.Add({"model", TitleOf(*model)});
  table.Add({"id", model->model_version_id()});
  table.Add({"stage", StageName(model->stage())});
  table.Add({"recipe", model->recipe() + ", seed " + std::to_string(model->seed())});
  table.Add({"run", model->run_id()});
  table.Add({"dataset", model->dataset_version_id()});
  table.Add({"dataset digest", model->dataset_digest()});
  table.Add({"package digest", model->package_digest()});
  table.Add({"code", model->code_version() + (model->code_clean() ? "" : " (changed tree)")});
  table.Add({"registered", FormatTime(model->registered_at()) + " by " + model->registered_by()});
  const std::map<std::string, double> metrics(model->metrics().begin(), model->metrics().end());
  for (const auto& [name, value] : metrics) table.Add({"test " + name, FormatNumber(value)});
  for (const auto& file : model->files()) {
    table.Add({"file " + file.name(),
               FormatCount(file.size_bytes()) + " bytes  " + file.sha256().substr(0, 12)});
  }
  Print(table.Text());
  return ExitStatus::kOk;
}

void PrintDeployment(const v1::Deployment& deployment, const std::string& what) {
  Print("task " + deployment.task() + ": " + TitleOf(deployment.production()) + " " + what +
        " (revision " + std::to_string(deployment.revision()) + ")\n");
}

Result<ExitStatus> Promote(CommandLine& line, const ModelOptions& options) {
  const auto model = FindModelVersion(line, options.model);
  if (!model) return model.error();
  v1::PromoteModelVersionRequest request;
  request.set_model_version_id(model->model_version_id());
  request.set_actor(line.actor());
  request.set_override_reason(options.override_reason);
  const auto promoted = line.platform().Call(&Stub::PromoteModelVersion, request);
  if (!promoted) return RefusedByGate(promoted.error());
  if (line.json()) {
    Print(ToJson(*promoted));
    return ExitStatus::kOk;
  }
  PrintDeployment(promoted->deployment(), promoted->changed() ? "serves now" : "served already");
  if (promoted->criteria_size() > 0) Print(CriteriaTable(promoted->criteria()).Text());
  return ExitStatus::kOk;
}

Result<ExitStatus> RollBack(CommandLine& line, const ModelOptions& options) {
  v1::RollBackDeploymentRequest request;
  request.set_task(options.task);
  request.set_actor(line.actor());
  request.set_reason(options.reason);
  if (!options.expected.empty()) {
    const auto expected = FindModelVersion(line, options.expected);
    if (!expected) return expected.error();
    request.set_expected_model_version_id(expected->model_version_id());
  } else {
    // What serves now is what is meant: gRPC may repeat the call, and it must not go back twice.
    v1::ListDeploymentsRequest now;
    now.set_task(options.task);
    const auto deployments = line.platform().Call(&Stub::ListDeployments, now);
    if (!deployments) return deployments.error();
    if (deployments->deployments_size() > 0) {
      request.set_expected_model_version_id(
          deployments->deployments(0).production().model_version_id());
    }
  }
  const auto rolled = line.platform().Call(&Stub::RollBackDeployment, request);
  if (!rolled) return rolled.error();
  if (line.json()) {
    Print(ToJson(*rolled));
  } else {
    PrintDeployment(rolled->deployment(), "serves again");
  }
  return ExitStatus::kOk;
}

Result<ExitStatus> ListDeployments(CommandLine& line, const ModelOptions& options) {
  v1::ListDeploymentsRequest request;
  request.set_task(options.task);
  const auto list = line.platform().CallList(&Stub::ListDeployments, request, options.limit);
  if (!list) return list.error();
  if (line.json()) {
    Print(ToJson(*list));
    return ExitStatus::kOk;
  }
  Table table({"TASK", "PRODUCTION", "ID", ">REVISION", "DEPLOYED", "BY", "ROLLOUT"});
  for (const auto& deployment : list->deployments()) {
    table.Add({deployment.task(), TitleOf(deployment.production()),
               deployment.production().model_version_id(), std::to_string(deployment.revision()),
               FormatTime(deployment.deployed_at()), deployment.deployed_by(),
               RolloutText(deployment)});
  }
  Print(table.Text());
  RemarkOnRest(list->next_page_token());
  return ExitStatus::kOk;
}

}  // namespace

std::string TitleOf(const v1::ModelVersion& model) {
  return model.task() + "@" + std::to_string(model.version());
}

Result<v1::ModelVersion> FindModelVersion(CommandLine& line, const std::string& text) {
  v1::GetModelVersionRequest request;
  if (IsUuid(text)) {
    request.set_model_version_id(text);
  } else {
    const auto name = ParseVersionedName(text);
    if (!name) return name.error();
    if (name->version == 0) {
      return Error{ErrorCode::kInvalidArgument,
                   "\"" + text + "\": a model version is an id or TASK@VERSION"};
    }
    request.mutable_name()->set_task(name->name);
    request.mutable_name()->set_version(name->version);
  }
  auto found = line.platform().Call(&Stub::GetModelVersion, request);
  if (!found) return found.error();
  return std::move(*found->mutable_model_version());
}

void AddModelCommands(CommandLine& line) {
  const auto list = std::make_shared<ModelOptions>();
  auto* command = line.AddCommand(&line.app(), "models", "List model versions, newest first");
  command->add_option("--task", list->task, "Only of this task");
  AddLimit(command, &list->limit);
  line.OnRun(command, [&line, list] { return List(line, *list); });
  AddReviewCommands(line, command);

  const auto show = std::make_shared<ModelOptions>();
  command = line.AddCommand(&line.app(), "model", "Show a model version");
  command->add_option("MODEL_VERSION", show->model, "Id or TASK@VERSION")->required();
  line.OnRun(command, [&line, show] { return Show(line, *show); });

  const auto deployments = std::make_shared<ModelOptions>();
  command = line.AddCommand(&line.app(), "deployments", "List what serves each task");
  command->add_option("--task", deployments->task, "Only of this task");
  AddLimit(command, &deployments->limit);
  line.OnRun(command, [&line, deployments] { return ListDeployments(line, *deployments); });

  const auto promote = std::make_shared<ModelOptions>();
  command = line.AddCommand(&line.app(), "promote",
                            "Make a model version the one that serves (3: the gate says no)");
  command->add_option("MODEL_VERSION", promote->model, "Id or TASK@VERSION")->required();
  command->add_option("--override", promote->override_reason,
                      "Promote although the gate says no, for this reason");
  line.OnRun(command, [&line, promote] { return Promote(line, *promote); });

  const auto rollback = std::make_shared<ModelOptions>();
  command = line.AddCommand(&line.app(), "rollback", "Put the version back that served before");
  command->add_option("TASK", rollback->task, "The task's name")->required();
  command->add_option("--reason", rollback->reason, "Why");
  command->add_option("--expect", rollback->expected,
                      "Refuse when another version serves by now (default: what serves now)");
  line.OnRun(command, [&line, rollback] { return RollBack(line, *rollback); });

  AddRolloutCommands(line);
}

}  // namespace tidewheel::cli
