#include "tidewheel/tests/platform/wheel.h"

#include <algorithm>
#include <mutex>
#include <thread>

#include "tidewheel/base/ids.h"
#include "tidewheel/cli/push/sample_stream.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/tests/platform/bar_pictures.h"

namespace tidewheel::tests {
namespace {

using RegistryStub = model_registry::v1::ModelRegistryService::Stub;
using LabelingStub = labeling::v1::LabelingService::Stub;
using CurationStub = curation::v1::CurationService::Stub;
using TrainingStub = training::v1::TrainingService::Stub;
using InferenceStub = inference::v1::InferenceService::Stub;
using IngestionStub = ingestion::v1::IngestionService::Stub;

constexpr std::chrono::milliseconds kAskAgain{50};
constexpr std::chrono::seconds kServeLimit{60};

bool HasEnded(const training::v1::Run& run) {
  switch (run.state()) {
    case training::v1::RUN_STATE_SUCCEEDED:
      return !run.model_version_id().empty();
    case training::v1::RUN_STATE_FAILED:
    case training::v1::RUN_STATE_CANCELLED:
      return true;
    default:
      return false;
  }
}

}  // namespace

ingestion::v1::NewSample BarSample(std::uint64_t number) {
  BarPicture picture = MakeBarPicture(number);
  ingestion::v1::NewSample sample;
  sample.set_payload(std::move(picture.payload));
  sample.set_name(picture.name);
  sample.set_group(picture.name);
  sample.set_source("bars");
  return sample;
}

Result<void> Wheel::Apply(const std::string& yaml) {
  model_registry::v1::ApplyTaskRequest request;
  request.set_yaml(yaml);
  request.set_actor("test");
  const auto applied = client_.Call(&RegistryStub::ApplyTask, request);
  if (!applied) return applied.error();
  return {};
}

Result<Wheel::Acknowledged> Wheel::Push(
    const std::function<std::optional<ingestion::v1::NewSample>()>& next,
    std::size_t batch_samples) {
  const auto channel = client_.PlainChannelTo("ingestion");
  if (!channel) return channel.error();
  Acknowledged acknowledged;
  cli::SampleStream::Options options;
  options.batch_samples = batch_samples;
  cli::SampleStream stream(*channel, task_, options,
                           [&](const auto& request, const auto& response) {
                             for (int i = 0; i < request.samples_size(); ++i) {
                               acknowledged[request.samples(i).name()] = response.verdicts(i);
                             }
                           });
  while (auto sample = next()) {
    if (auto pushed = stream.Push(*std::move(sample)); !pushed) return pushed.error();
  }
  if (auto finished = stream.Finish(); !finished) return finished.error();
  return acknowledged;
}

Result<Wheel::Acknowledged> Wheel::PushBars(std::uint64_t first, std::uint64_t end) {
  return Push([&]() -> std::optional<ingestion::v1::NewSample> {
    if (first == end) return std::nullopt;
    return BarSample(first++);
  });
}

Result<ingestion::v1::Verdict> Wheel::PushOne(const std::string& name, const std::string& payload) {
  ingestion::v1::PushSampleRequest request;
  request.set_task(task_);
  request.mutable_sample()->set_name(name);
  request.mutable_sample()->set_payload(payload);
  auto pushed = client_.Call(&IngestionStub::PushSample, request);
  if (!pushed) return pushed.error();
  return pushed->verdict();
}

Result<void> Wheel::LabelBars(std::uint64_t first, std::uint64_t end) {
  labeling::v1::SubmitVotesRequest request;
  request.set_task(task_);
  for (std::uint64_t number = first; number < end; ++number) {
    const BarPicture picture = MakeBarPicture(number);
    auto& vote = *request.add_votes();
    vote.set_sample_name(picture.name);
    vote.set_class_name(picture.class_name);
    vote.set_annotator("given");
    vote.set_annotator_kind(labeling::v1::ANNOTATOR_KIND_IMPORT);
    vote.set_source("bars");
  }
  const auto submitted = client_.Call(&LabelingStub::SubmitVotes, request);
  if (!submitted) return submitted.error();
  if (submitted->rejected_size() > 0) {
    return Error{ErrorCode::kFailedPrecondition, submitted->rejected(0).reason()};
  }
  labeling::v1::ComputeLabelsRequest compute;
  compute.set_task(task_);
  const auto computed = client_.Call(&LabelingStub::ComputeLabels, compute);
  if (!computed) return computed.error();
  return {};
}

Result<curation::v1::DatasetVersion> Wheel::BuildDataset() {
  curation::v1::BuildDatasetVersionRequest request;
  request.mutable_recipe()->set_task(task_);
  request.set_actor("test");
  const auto built = client_.Call(&CurationStub::BuildDatasetVersion, request);
  if (!built) return built.error();
  return built->dataset_version();
}

Result<training::v1::Run> Wheel::Start(const std::string& dataset_version_id,
                                       const std::string& recipe, std::uint64_t seed,
                                       std::optional<std::uint32_t> epochs) {
  training::v1::StartRunRequest request;
  request.set_request_id(NewUuid());
  request.set_dataset_version_id(dataset_version_id);
  request.set_recipe(recipe);
  request.set_seed(seed);
  request.set_actor("test");
  if (epochs) {
    request.mutable_hyperparameters()->set_epochs(*epochs);
    request.mutable_hyperparameters()->set_patience(*epochs);
  }
  const auto started = client_.Call(&TrainingStub::StartRun, request);
  if (!started) return started.error();
  return started->run();
}

Result<training::v1::Run> Wheel::Get(const std::string& run_id) {
  training::v1::GetRunRequest request;
  request.set_run_id(run_id);
  const auto got = client_.Call(&TrainingStub::GetRun, request);
  if (!got) return got.error();
  return got->run();
}

Result<training::v1::Run> Wheel::WaitForEnd(const std::string& run_id,
                                            std::chrono::seconds at_most) {
  const auto deadline = std::chrono::steady_clock::now() + at_most * testing::Patience();
  while (true) {
    const auto run = Get(run_id);
    if (run && HasEnded(*run)) return run;
    if (!run && run.error().code != ErrorCode::kUnavailable) return run;
    if (std::chrono::steady_clock::now() > deadline) {
      return Error{ErrorCode::kDeadlineExceeded,
                   run ? "run is still " + run->ShortDebugString() : run.error().message};
    }
    std::this_thread::sleep_for(kAskAgain);
  }
}

Result<std::vector<training::v1::RunPrediction>> Wheel::PredictionsOf(const std::string& run_id) {
  training::v1::ListRunPredictionsRequest request;
  request.set_run_id(run_id);
  const auto listed = client_.CallList(&TrainingStub::ListRunPredictions, request, 0);
  if (!listed) return listed.error();
  std::vector<training::v1::RunPrediction> predictions(listed->predictions().begin(),
                                                       listed->predictions().end());
  std::sort(predictions.begin(), predictions.end(),
            [](const auto& a, const auto& b) { return a.sample_id() < b.sample_id(); });
  return predictions;
}

Result<void> Wheel::Promote(const std::string& model_version_id) {
  model_registry::v1::PromoteModelVersionRequest request;
  request.set_model_version_id(model_version_id);
  request.set_actor("test");
  const auto promoted = client_.Call(&RegistryStub::PromoteModelVersion, request);
  if (!promoted) return promoted.error();
  return {};
}

Result<void> Wheel::WaitUntilServed(const std::string& model_version_id) {
  const auto deadline = std::chrono::steady_clock::now() + kServeLimit;
  std::string problem = "nothing is loaded";
  while (std::chrono::steady_clock::now() < deadline) {
    const auto loaded = client_.CallList(&InferenceStub::ListLoadedModels,
                                         inference::v1::ListLoadedModelsRequest(), 0);
    if (!loaded) problem = loaded.error().message;
    for (int i = 0; loaded && i < loaded->models_size(); ++i) {
      if (loaded->models(i).model_version_id() == model_version_id) return {};
      if (loaded->models(i).task() == task_) problem = loaded->models(i).problem();
    }
    std::this_thread::sleep_for(kAskAgain);
  }
  return Error{ErrorCode::kDeadlineExceeded, "not served: " + problem};
}

Result<curation::v1::DatasetVersion> Wheel::PrepareBars(std::uint64_t count) {
  if (auto applied = Apply(BarTaskYaml(task_)); !applied) return applied.error();
  if (auto pushed = PushBars(0, count); !pushed) return pushed.error();
  if (auto labeled = LabelBars(0, count); !labeled) return labeled.error();
  return BuildDataset();
}

Result<training::v1::Run> Wheel::ServeBars(std::uint64_t count) {
  const auto dataset = PrepareBars(count);
  if (!dataset) return dataset.error();
  const auto started = Start(dataset->dataset_version_id(), "image-linear", 1, 5);
  if (!started) return started;
  auto run = WaitForEnd(started->run_id(), std::chrono::seconds(120));
  if (!run) return run;
  if (run->state() != training::v1::RUN_STATE_SUCCEEDED) {
    return Error{ErrorCode::kFailedPrecondition, "the run did not succeed: " + run->reason()};
  }
  if (auto promoted = Promote(run->model_version_id()); !promoted) return promoted.error();
  if (auto served = WaitUntilServed(run->model_version_id()); !served) return served.error();
  return run;
}

}  // namespace tidewheel::tests
