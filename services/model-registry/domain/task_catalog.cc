#include "tidewheel/model_registry/domain/task_catalog.h"

#include <algorithm>

namespace tidewheel::model_registry {
namespace {

/// Labels and models count classes by place, and samples keep their split: what hangs on them may
/// only grow.
Result<void> CheckMayFollow(const TaskSpec& next, const TaskSpec& current) {
  const bool extends =
      next.classes.size() >= current.classes.size() &&
      std::equal(current.classes.begin(), current.classes.end(), next.classes.begin());
  if (!extends) {
    return Error{
        ErrorCode::kFailedPrecondition,
        "task " + next.name +
            ": classes may be added at the end, not removed, renamed or moved, because labels and "
            "models count on their order"};
  }
  if (next.splits != current.splits) {
    return Error{ErrorCode::kFailedPrecondition, "task " + next.name +
                                                     ": splits cannot change, because samples got "
                                                     "theirs when they arrived; make a new task"};
  }
  return {};
}

}  // namespace

Result<AppliedTask> TaskCatalog::Apply(const Declaration& declaration, const std::string& actor,
                                       bool dry_run) {
  const auto problems = Validate(declaration.spec);
  if (!problems.empty()) {
    std::string message = "task " + declaration.spec.name.substr(0, 80) + ":";
    for (const auto& problem : problems) message += " " + problem.key + " " + problem.message + ";";
    message.pop_back();
    return Error{ErrorCode::kInvalidArgument, message};
  }

  const auto newest = store_.FindNewest(declaration.spec.name);
  if (!newest) return newest.error();
  const auto& current = *newest;
  if (current && current->digest == declaration.digest) return AppliedTask{*current, false};
  if (current) {
    if (const auto may = CheckMayFollow(declaration.spec, current->spec); !may) return may.error();
  }

  Task task;
  task.spec = declaration.spec;
  task.version = current ? current->version + 1 : 1;
  task.applied_at = clock_.Now();
  task.applied_by = actor;
  task.digest = declaration.digest;
  task.yaml = declaration.yaml;
  if (dry_run) return AppliedTask{task, true};

  const AuditDraft audit{actor,
                         "task.applied",
                         "task/" + task.spec.name,
                         {{"version", std::to_string(task.version)}, {"digest", task.digest}}};
  if (const auto appended = store_.Append(task, audit); !appended) return appended.error();
  return AppliedTask{task, true};
}

Result<Task> TaskCatalog::Find(const std::string& name, std::uint32_t version) {
  const auto found = version == 0 ? store_.FindNewest(name) : store_.FindVersion(name, version);
  if (!found) return found.error();
  if (!*found) {
    return Error{ErrorCode::kNotFound,
                 "no task " + name.substr(0, 80) +
                     (version == 0 ? std::string() : " version " + std::to_string(version))};
  }
  return **found;
}

}  // namespace tidewheel::model_registry
