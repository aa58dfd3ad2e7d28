#include <thread>

#include "tidewheel/cli/demo/story.h"
#include "tidewheel/inference/v1/inference_service.grpc.pb.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/training/v1/training_service.grpc.pb.h"

namespace tidewheel::cli::demo {
namespace {

namespace registry_v1 = model_registry::v1;
namespace inference_v1 = inference::v1;

constexpr std::chrono::seconds kLoadLimit{60};

/// The run's model version: registered shortly after the run has ended, if the registry was away.
Result<std::string> ModelVersionOf(Story& story) {
  if (!story.promoted.model_version_id().empty()) return story.promoted.model_version_id();
  const auto deadline = std::chrono::steady_clock::now() + kLoadLimit;
  while (std::chrono::steady_clock::now() < deadline) {
    training::v1::GetRunRequest request;
    request.set_run_id(story.promoted.run_id());
    const auto got = story.platform.Call(&training::v1::TrainingService::Stub::GetRun, request);
    if (!got) return got.error();
    if (!got->run().model_version_id().empty()) {
      story.promoted = got->run();
      return story.promoted.model_version_id();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return Error{ErrorCode::kDeadlineExceeded,
               "run " + story.promoted.run_id() + " has no model version yet"};
}

/// Waits until inference says that it serves this version. kDeadlineExceeded names its problem.
Result<void> WaitUntilLoaded(Story& story, const std::string& model_version_id) {
  const auto deadline = std::chrono::steady_clock::now() + kLoadLimit;
  std::string problem = "nothing is loaded for the task";
  while (std::chrono::steady_clock::now() < deadline) {
    const auto loaded =
        story.platform.CallList(&inference_v1::InferenceService::Stub::ListLoadedModels,
                                inference_v1::ListLoadedModelsRequest(), 0);
    if (!loaded) return loaded.error();
    for (const auto& model : loaded->models()) {
      if (model.task() != story.task.name()) continue;
      if (model.model_version_id() == model_version_id) return {};
      problem = model.problem().empty() ? "another version is loaded" : model.problem();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return Error{ErrorCode::kDeadlineExceeded,
               "inference does not serve model version " + model_version_id + ": " + problem};
}

}  // namespace

Result<void> PromoteModel(Story& story) {
  story.account.Title("Promote");
  const StageTimer timer("promote");
  const auto id = ModelVersionOf(story);
  if (!id) return id.error();
  registry_v1::PromoteModelVersionRequest request;
  request.set_model_version_id(*id);
  request.set_actor("demo");
  const auto promoted =
      story.platform.Call(&registry_v1::ModelRegistryService::Stub::PromoteModelVersion, request);
  if (!promoted) return promoted.error();
  if (const auto loaded = WaitUntilLoaded(story, *id); !loaded) return loaded;
  const double seconds = timer.Finish(story.report, 1, "promotions until inference serves it,");

  const auto& deployment = promoted->deployment();
  story.account.Say(story.promoted.recipe() + " is model version " +
                    std::to_string(deployment.production().version()) + " of " + story.task.name() +
                    " and serves after " + FormatSeconds(seconds) + " (revision " +
                    std::to_string(deployment.revision()) + ")");
  for (const auto& criterion : promoted->criteria()) {
    story.account.Say(
        "gate: " + criterion.name() + " " +
        LowerEnum(registry_v1::GateVerdict_Name(criterion.verdict()), "GATE_VERDICT_") + ", " +
        criterion.reason());
  }
  return {};
}

}  // namespace tidewheel::cli::demo
