#pragma once

#include <memory>
#include <string>

#include "tidewheel/curation/v1/curation_service.grpc.pb.h"
#include "tidewheel/labeling/v1/queue_service.grpc.pb.h"
#include "tidewheel/monitoring/v1/monitoring_service.grpc.pb.h"
#include "tidewheel/training/domain/cycle_callees.h"

namespace tidewheel::training {

/// What monitoring says of traffic. Thread-safe; the connection is made on the first call.
class MonitoringTrafficWatch final : public TrafficWatch {
 public:
  explicit MonitoringTrafficWatch(const std::string& address);

  Result<std::vector<RankedPrediction>> Rank(const RankQuestion& question) override;
  Result<void> StartComparison(const ComparisonWish& wish) override;
  Result<ComparisonFacts> FindComparison(const std::string& comparison_id) override;
  Result<double> ShareWithOutcome(const std::string& task,
                                  const std::string& model_version_id) override;
  Result<std::string> FindSliceOf(const std::string& alert_id) override;

 private:
  std::unique_ptr<monitoring::v1::MonitoringService::Stub> stub_;
};

/// Labeling's queue. Thread-safe.
class LabelingQueue final : public LabelQueue {
 public:
  explicit LabelingQueue(const std::string& address);

  Result<BatchFacts> Enqueue(const BatchWish& wish) override;
  Result<BatchFacts> Find(const std::string& batch_id) override;
  Result<void> Cancel(const std::string& batch_id, const std::string& reason) override;

 private:
  std::unique_ptr<labeling::v1::QueueService::Stub> stub_;
};

/// Curation's dataset versions. Thread-safe.
class CurationDatasetDesk final : public DatasetDesk {
 public:
  explicit CurationDatasetDesk(const std::string& address);

  Result<std::string> Build(const DatasetWish& wish) override;

 private:
  std::unique_ptr<curation::v1::CurationService::Stub> stub_;
};

}  // namespace tidewheel::training
