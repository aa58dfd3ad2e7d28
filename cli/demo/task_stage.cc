#include "tidewheel/cli/demo/story.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"

namespace tidewheel::cli::demo {

namespace v1 = model_registry::v1;

Result<void> ApplyTask(Story& story) {
  v1::ApplyTaskRequest request;
  request.set_yaml(story.pictures.traits().task_yaml);
  request.set_actor("demo");
  const auto applied = story.platform.Call(&v1::ModelRegistryService::Stub::ApplyTask, request);
  if (!applied) return applied.error();
  story.task = applied->task().spec();

  const auto& preprocessing = story.task.preprocessing();
  std::string classes;
  for (const auto& name : story.task.classes()) classes += (classes.empty() ? "" : ", ") + name;
  story.account.Title("Task");
  story.account.Say(story.task.name() + ", version " + std::to_string(applied->task().version()) +
                    (applied->changed() ? "" : " (in force already)") + ": " + classes + "; " +
                    std::to_string(preprocessing.width()) + " x " +
                    std::to_string(preprocessing.height()) + " x " +
                    std::to_string(preprocessing.channels()));
  if (!std::equal(story.task.classes().begin(), story.task.classes().end(),
                  story.pictures.traits().classes.begin(), story.pictures.traits().classes.end())) {
    return Error{ErrorCode::kFailedPrecondition,
                 "task " + story.task.name() + " has other classes than the pictures"};
  }
  return {};
}

}  // namespace tidewheel::cli::demo
