#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tidewheel/curation/v1/curation_service.grpc.pb.h"
#include "tidewheel/inference/v1/inference_service.grpc.pb.h"
#include "tidewheel/ingestion/v1/ingestion_service.grpc.pb.h"
#include "tidewheel/labeling/v1/labeling_service.grpc.pb.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/monitoring/v1/monitoring_service.grpc.pb.h"
#include "tidewheel/tests/platform/platform.h"
#include "tidewheel/training/v1/training_service.grpc.pb.h"

namespace tidewheel::tests {

/// The platform's rpcs in the words of a test. Names are of pushed samples. For one thread.
class Wheel {
 public:
  Wheel(const Platform& platform, std::string task)
      : client_(platform.Client()), task_(std::move(task)) {}

  const std::string& task() const { return task_; }
  cli::Platform& client() { return client_; }

  Result<void> Apply(const std::string& yaml);

  /// Streams what `next` gives until it gives nothing; goes on through restarts for up to a minute.
  /// What was acknowledged, by name.
  using Acknowledged = std::map<std::string, ingestion::v1::Verdict>;
  Result<Acknowledged> Push(const std::function<std::optional<ingestion::v1::NewSample>()>& next,
                            std::size_t batch_samples = 64);
  /// Bar pictures of these numbers.
  Result<Acknowledged> PushBars(std::uint64_t first, std::uint64_t end);
  Result<ingestion::v1::Verdict> PushOne(const std::string& name, const std::string& payload);

  /// A vote on each bar picture, true to it, and labels of them.
  Result<void> LabelBars(std::uint64_t first, std::uint64_t end);
  Result<curation::v1::DatasetVersion> BuildDataset();

  Result<training::v1::Run> Start(const std::string& dataset_version_id, const std::string& recipe,
                                  std::uint64_t seed, std::optional<std::uint32_t> epochs = {});
  Result<training::v1::Run> Get(const std::string& run_id);
  /// Until it has ended, in whatever way, with a model version if it succeeded. Outages are sat
  /// out.
  Result<training::v1::Run> WaitForEnd(const std::string& run_id, std::chrono::seconds at_most);
  /// Every stored prediction of a run, in the order of sample ids.
  Result<std::vector<training::v1::RunPrediction>> PredictionsOf(const std::string& run_id);

  Result<void> Promote(const std::string& model_version_id);
  Result<void> WaitUntilServed(const std::string& model_version_id);

  /// Bars pushed, labeled and built: what training needs.
  Result<curation::v1::DatasetVersion> PrepareBars(std::uint64_t count);
  /// A trained and promoted baseline over bars.
  Result<training::v1::Run> ServeBars(std::uint64_t count);

 private:
  cli::Platform client_;
  const std::string task_;
};

/// A sample on its way, of a bar picture.
ingestion::v1::NewSample BarSample(std::uint64_t number);

}  // namespace tidewheel::tests
