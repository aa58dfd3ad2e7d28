#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tidewheel/cli/connection/platform.h"
#include "tidewheel/cli/demo/account.h"
#include "tidewheel/cli/demo/annotators.h"
#include "tidewheel/cli/demo/picture_supply.h"
#include "tidewheel/cli/demo/report.h"
#include "tidewheel/curation/v1/curation_service.pb.h"
#include "tidewheel/ingestion/v1/ingestion_service.pb.h"
#include "tidewheel/model_registry/v1/task.pb.h"
#include "tidewheel/training/v1/training_service.pb.h"

namespace tidewheel::cli::demo {

/// A sample that ingestion took, with what is known of it.
struct KnownSample {
  std::string name;
  std::string sample_id;
  std::size_t class_index = 0;
  ingestion::v1::Split split = ingestion::v1::SPLIT_UNSPECIFIED;
};

/// A test picture that is kept for the predictions.
struct TestPicture {
  KnownSample sample;
  std::string payload;
};

/// All that the demo's stages share, filled from the first to the last. For one thread, except
/// where a stage says otherwise.
struct Story {
  Platform& platform;
  Account& account;
  Report& report;
  PictureSupply& pictures;
  std::uint64_t seed = 1;
  std::uint32_t predictions = 1'000;

  model_registry::v1::TaskSpec task{};
  std::vector<KnownSample> samples{};  // In the order of their names.
  std::vector<TestPicture> test_pictures{};
  curation::v1::DatasetVersion dataset{};
  training::v1::Run linear{};
  training::v1::Run cnn{};
  training::v1::Run promoted{};
  std::string traced_request_id{};

  const std::string& ClassName(std::size_t index) const { return pictures.traits().classes[index]; }
};

// The stages, in the order in which the story is told. Each says what it did and notes its figures.
Result<void> ApplyTask(Story& story);
Result<void> PushPictures(Story& story);
Result<void> LabelPictures(Story& story);
Result<void> BuildDataset(Story& story);
Result<void> TrainModels(Story& story);
Result<void> PromoteModel(Story& story);
Result<void> PredictPictures(Story& story);
Result<void> TracePrediction(Story& story);

/// Names the figures that every demo's report has, so that one that ends early shows what is
/// missing.
void ExpectFigures(Report& report, const SupplyTraits& traits);

}  // namespace tidewheel::cli::demo
