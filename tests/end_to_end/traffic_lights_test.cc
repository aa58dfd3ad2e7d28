#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <span>

#include "data_folder.h"
#include "tidewheel/tests/platform/reports.h"
#include "tidewheel/tests/platform/wheel.h"
#include "tidewheel/vision/decode.h"
#include "tidewheel/vision/preprocess.h"

namespace tidewheel::tests {
namespace {

using ::testing::HasSubstr;

constexpr std::chrono::seconds kDemoLimit{200};

void ExpectTheAgreedFigures(const DemoEnd& demo) {
  EXPECT_EQ(demo.program.status, 0) << demo.program.output << demo.program.errors;
  for (const auto& name : RequiredFigures({"red", "yellow", "green"})) {
    EXPECT_TRUE(demo.figures.contains(name) && demo.figures.at(name)) << name;
  }
  const auto figure = [&](const std::string& name) {
    const auto found = demo.figures.find(name);
    return found == demo.figures.end() ? -1 : found->second.value_or(-1);
  };
  EXPECT_EQ(figure("demo.samples.accepted"), 1'484);
  EXPECT_EQ(figure("demo.planted.found"), figure("demo.planted.pictures"));
  EXPECT_EQ(figure("demo.samples.quarantined"), figure("demo.planted.pictures"));
  EXPECT_GE(figure("demo.cnn.test.accuracy"), 0.99);
  EXPECT_GE(figure("demo.cnn.test.recall.yellow"), 8.0 / 9.0);
  EXPECT_GE(figure("demo.consensus.dawid_skene.accuracy"),
            figure("demo.consensus.majority.accuracy"));
}

class TrafficLightsTest : public PlatformTest {};

/// The spec of the task as the platform knows it.
vision::PreprocessSpec SpecOf(const model_registry::v1::Preprocessing& declared) {
  vision::PreprocessSpec spec;
  spec.width = static_cast<int>(declared.width());
  spec.height = static_cast<int>(declared.height());
  spec.channels = static_cast<int>(declared.channels());
  spec.resize = declared.resize() == model_registry::v1::RESIZE_MODE_FIT_PAD
                    ? vision::Resize::kFitPad
                    : vision::Resize::kStretch;
  spec.mean.assign(declared.mean().begin(), declared.mean().end());
  spec.std.assign(declared.std().begin(), declared.std().end());
  return spec;
}

/// Asks inference for the same pictures twice, encoded and preprocessed here by the library that
/// training uses: equal answers, bit by bit.
void ExpectServingToPreprocessAsTrainingDoes(Wheel& wheel) {
  const auto pictures = vision::testing::TrafficLights(*vision::testing::FindDataFolder());
  ASSERT_TRUE(pictures.ok()) << pictures.error().message;
  model_registry::v1::GetTaskRequest get;
  get.set_name(wheel.task());
  const auto task =
      wheel.client().Call(&model_registry::v1::ModelRegistryService::Stub::GetTask, get);
  ASSERT_TRUE(task.ok()) << task.error().message;
  const auto spec = SpecOf(task->task().spec().preprocessing());
  constexpr std::size_t kAtOnce = 64;
  std::size_t compared = 0;
  for (std::size_t first = 0; first < pictures->size(); first += kAtOnce) {
    const std::size_t end = std::min(first + kAtOnce, pictures->size());
    inference::v1::PredictRequest encoded;
    inference::v1::PredictRequest prepared;
    std::vector<float> rows((end - first) * spec.OutputSize());
    for (std::size_t i = first; i < end; ++i) {
      encoded.mutable_pictures()->add_payloads((*pictures)[i].bytes);
      const auto image = vision::Decode((*pictures)[i].bytes);
      ASSERT_TRUE(image.ok()) << (*pictures)[i].path;
      const auto row = std::span(rows).subspan((i - first) * spec.OutputSize(), spec.OutputSize());
      ASSERT_TRUE(vision::Preprocess(*image, spec, row).ok());
    }
    encoded.set_task(wheel.task());
    prepared.set_task(wheel.task());
    for (const std::size_t size :
         {end - first, static_cast<std::size_t>(spec.channels),
          static_cast<std::size_t>(spec.height), static_cast<std::size_t>(spec.width)}) {
      prepared.mutable_tensor()->add_shape(static_cast<std::int64_t>(size));
    }
    prepared.mutable_tensor()->set_data(rows.data(), rows.size() * sizeof(float));
    const auto one = wheel.client().Call(&inference::v1::InferenceService::Stub::Predict, encoded);
    const auto other =
        wheel.client().Call(&inference::v1::InferenceService::Stub::Predict, prepared);
    ASSERT_TRUE(one.ok() && other.ok());
    ASSERT_EQ(one->predictions_size(), other->predictions_size());
    for (int i = 0; i < one->predictions_size(); ++i, ++compared) {
      EXPECT_EQ(one->predictions(i).SerializeAsString(), other->predictions(i).SerializeAsString());
    }
  }
  EXPECT_EQ(compared, 1'484U);
}

TEST_F(TrafficLightsTest, AreLearnedAndARepeatedRunIsEqualBitByBit) {
  TIDEWHEEL_NEEDS_DATA(folder, "traffic_lights")
  ASSERT_NE(platform_, nullptr);
  const auto demo = RunDemo(*platform_, {"--data", folder.string(), "--seed", "1"}, kDemoLimit);
  ExpectTheAgreedFigures(demo);
  if (HasFailure()) return;

  Wheel wheel(*platform_, "traffic-lights");
  ExpectServingToPreprocessAsTrainingDoes(wheel);

  // The demo's CNN again: same dataset version, recipe and seed.
  training::v1::ListRunsRequest list;
  list.set_task("traffic-lights");
  const auto runs =
      wheel.client().CallList(&training::v1::TrainingService::Stub::ListRuns, list, 0);
  ASSERT_TRUE(runs.ok()) << runs.error().message;
  const training::v1::Run* first = nullptr;
  for (const auto& run : runs->runs()) {
    if (run.recipe() == "image-cnn") first = &run;
  }
  ASSERT_NE(first, nullptr);
  const auto started = wheel.Start(first->dataset_version_id(), "image-cnn", first->seed());
  ASSERT_TRUE(started.ok()) << started.error().message;
  const auto again = wheel.WaitForEnd(started->run_id(), kDemoLimit);
  ASSERT_TRUE(again.ok()) << again.error().message;
  ASSERT_EQ(again->state(), training::v1::RUN_STATE_SUCCEEDED) << again->reason();

  const auto one = wheel.Get(first->run_id());
  ASSERT_TRUE(one.ok()) << one.error().message;
  ASSERT_EQ(one->evaluations_size(), again->evaluations_size());
  for (int i = 0; i < one->evaluations_size(); ++i) {
    EXPECT_EQ(one->evaluations(i).SerializeAsString(), again->evaluations(i).SerializeAsString());
  }
  EXPECT_EQ(one->best_epoch(), again->best_epoch());
  const auto predictions = wheel.PredictionsOf(one->run_id());
  const auto repeated = wheel.PredictionsOf(again->run_id());
  ASSERT_TRUE(predictions.ok() && repeated.ok());
  ASSERT_EQ(predictions->size(), repeated->size());
  EXPECT_GT(predictions->size(), 400U);
  for (std::size_t i = 0; i < predictions->size(); ++i) {
    EXPECT_EQ((*predictions)[i].SerializeAsString(), (*repeated)[i].SerializeAsString());
  }
}

TEST_F(TrafficLightsTest, AreLearnedFromSeeds2And3Too) {
  TIDEWHEEL_NEEDS_DATA(folder, "traffic_lights")
  ASSERT_NE(platform_, nullptr);
  for (const char* seed : {"2", "3"}) {
    SCOPED_TRACE(seed);
    ExpectTheAgreedFigures(
        RunDemo(*platform_, {"--data", folder.string(), "--seed", seed}, kDemoLimit));
    if (HasFailure()) return;
    // Each seed has other votes and other planted pictures, so a platform of its own.
    platform_.reset();
    StartPlatform({});
    ASSERT_NE(platform_, nullptr);
  }
}

}  // namespace
}  // namespace tidewheel::tests
