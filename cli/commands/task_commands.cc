#include <memory>

#include "tidewheel/cli/commands/command.h"
#include "tidewheel/cli/readers/input_file.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"

namespace tidewheel::cli {
namespace {

namespace v1 = model_registry::v1;
using Stub = v1::ModelRegistryService::Stub;

constexpr std::uint64_t kMaxYamlBytes = 1 << 20;

struct ApplyOptions {
  std::vector<std::string> files;
  bool dry_run = false;
};

Result<ExitStatus> Apply(CommandLine& line, const ApplyOptions& options) {
  JsonObject answer;
  answer.EnsureList("tasks");
  std::optional<Error> failed;
  std::size_t done = 0;
  for (const std::string& file : options.files) {
    auto yaml = ReadWholeFile(file, kMaxYamlBytes);
    if (!yaml && yaml.error().code == ErrorCode::kOutOfRange)
      yaml = Prefixed(file + ": ", yaml.error());
    Result<v1::ApplyTaskResponse> applied = Error{};
    if (yaml) {
      v1::ApplyTaskRequest request;
      request.set_yaml(*yaml);
      request.set_actor(line.actor());
      request.set_dry_run(options.dry_run);
      applied = line.platform().Call(&Stub::ApplyTask, request);
      if (!applied) applied = Prefixed(file + ": ", applied.error());
    } else {
      applied = yaml.error();
    }
    if (!applied) {
      // The other files still get their turn; the last failure speaks at the end.
      if (failed) Remark(std::string(Name(failed->code)) + ": " + failed->message);
      failed = applied.error();
      continue;
    }
    ++done;
    const auto& task = applied->task();
    if (line.json()) {
      answer.Add("tasks", JsonObject()
                              .Set("file", file)
                              .Set("name", task.spec().name())
                              .Set("version", std::uint64_t{task.version()})
                              .Set("digest", task.digest())
                              .Set("changed", applied->changed()));
      continue;
    }
    const char* what =
        applied->changed() ? (options.dry_run ? "would be applied" : "applied") : "unchanged";
    Print("task " + task.spec().name() + " version " + std::to_string(task.version()) + ": " +
          what + "\n");
  }
  if (line.json()) Print(answer.Set("dry_run", options.dry_run).Text());
  if (!failed) return ExitStatus::kOk;
  if (done == 0) return *failed;
  Remark(std::string(Name(failed->code)) + ": " + failed->message);
  return ExitStatus::kPartly;
}

Result<ExitStatus> ListTasks(CommandLine& line, std::uint64_t limit) {
  const auto tasks = line.platform().CallList(&Stub::ListTasks, v1::ListTasksRequest(), limit);
  if (!tasks) return tasks.error();
  if (line.json()) {
    Print(ToJson(*tasks));
    return ExitStatus::kOk;
  }
  Table table({"TASK", ">VERSION", ">CLASSES", "INPUT", "APPLIED", "BY", "DESCRIPTION"});
  for (const auto& task : tasks->tasks()) {
    const auto& input = task.spec().preprocessing();
    table.Add({task.spec().name(), std::to_string(task.version()),
               std::to_string(task.spec().classes_size()),
               std::to_string(input.width()) + "x" + std::to_string(input.height()) + "x" +
                   std::to_string(input.channels()),
               FormatTime(task.applied_at()), task.applied_by(), task.spec().description()});
  }
  Print(table.Text());
  RemarkOnRest(tasks->next_page_token());
  return ExitStatus::kOk;
}

Result<ExitStatus> ShowTask(CommandLine& line, const std::string& text) {
  const auto name = ParseVersionedName(text);
  if (!name) return name.error();
  v1::GetTaskRequest request;
  request.set_name(name->name);
  request.set_version(name->version);
  const auto task = line.platform().Call(&Stub::GetTask, request);
  if (!task) return task.error();
  // Without --json: what can be edited and applied again.
  Print(line.json() ? ToJson(*task) : task->task().yaml());
  return ExitStatus::kOk;
}

}  // namespace

void AddTaskCommands(CommandLine& line) {
  const auto apply = std::make_shared<ApplyOptions>();
  auto* command = line.AddCommand(&line.app(), "apply", "Store tasks from YAML files");
  command->add_option("FILE", apply->files, "Task files")->required();
  command->add_flag("--dry-run", apply->dry_run, "Validate and compare only");
  line.OnRun(command, [&line, apply] { return Apply(line, *apply); });

  const auto limit = std::make_shared<std::uint64_t>(100);
  command = line.AddCommand(&line.app(), "tasks", "List the tasks");
  AddLimit(command, limit.get());
  line.OnRun(command, [&line, limit] { return ListTasks(line, *limit); });

  const auto name = std::make_shared<std::string>();
  command = line.AddCommand(&line.app(), "task", "Show a task's YAML");
  command->add_option("TASK", *name, "TASK or TASK@VERSION")->required();
  line.OnRun(command, [&line, name] { return ShowTask(line, *name); });
}

}  // namespace tidewheel::cli
