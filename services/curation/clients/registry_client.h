#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/curation/domain/lineage.h"
#include "tidewheel/curation/domain/task_catalogue.h"

namespace grpc {
class Channel;
}

namespace tidewheel::curation {

/// Tasks and model versions as the model registry has them. Thread-safe.
class RegistryClient final : public TaskCatalogue, public ModelCatalogue {
 public:
  /// A null channel: no address is known, and every call is kUnavailable.
  explicit RegistryClient(std::shared_ptr<grpc::Channel> channel,
                          std::chrono::milliseconds call_limit = std::chrono::milliseconds{5'000});

  Result<TaskPolicy> FindNewest(const std::string& task) override;
  Result<ModelVersionFacts> FindModelVersion(const std::string& id) override;

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const std::chrono::milliseconds call_limit_;
};

}  // namespace tidewheel::curation
