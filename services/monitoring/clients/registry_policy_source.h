#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/monitoring/domain/observer.h"

namespace tidewheel::monitoring {

/// Asks model-registry and remembers the answers for a while. Thread-safe.
class RegistryPolicySource final : public PolicySource {
 public:
  explicit RegistryPolicySource(const std::string& address);

  Result<MonitoringPolicy> Policy(const std::string& task) override;

 private:
  struct Entry {
    Result<MonitoringPolicy> policy;
    std::chrono::steady_clock::time_point asked_at;
  };

  const std::unique_ptr<model_registry::v1::ModelRegistryService::Stub> stub_;
  std::mutex mutex_;  // Guards entries_.
  std::map<std::string, Entry> entries_;
};

}  // namespace tidewheel::monitoring
