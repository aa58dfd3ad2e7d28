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

/// Runs as training has them. Thread-safe.
class TrainingClient final : public RunBook {
 public:
  /// A null channel: no address is known, and every call is kUnavailable.
  explicit TrainingClient(std::shared_ptr<grpc::Channel> channel,
                          std::chrono::milliseconds call_limit = std::chrono::milliseconds{5'000});

  Result<RunFacts> FindRun(const std::string& id) override;
  Result<CycleFacts> FindCycle(const std::string& id, std::size_t samples) override;

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const std::chrono::milliseconds call_limit_;
};

}  // namespace tidewheel::curation
