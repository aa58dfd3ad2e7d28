#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/curation/domain/lineage.h"

namespace grpc {
class Channel;
}

namespace tidewheel::curation {

/// Predictions as monitoring has them. Thread-safe.
class MonitoringClient final : public PredictionLog {
 public:
  /// A null channel: no address is known, and every call is kUnavailable.
  explicit MonitoringClient(std::shared_ptr<grpc::Channel> channel,
                            std::chrono::milliseconds call_limit = std::chrono::milliseconds{
                                5'000});

  /// The first picture of the request.
  Result<PredictionFacts> FindPrediction(const std::string& request_id) override;

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const std::chrono::milliseconds call_limit_;
};

}  // namespace tidewheel::curation
