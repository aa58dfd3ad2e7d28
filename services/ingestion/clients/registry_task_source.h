#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "tidewheel/ingestion/domain/task_rules.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"

namespace tidewheel::ingestion {

/// Asks model-registry for tasks and remembers them for a while; while it is away, what is
/// remembered goes on. Thread-safe.
class RegistryTaskSource final : public TaskSource {
 public:
  struct Options {
    std::chrono::milliseconds deadline{2'000};
    std::chrono::milliseconds fresh_for{1'000};
  };

  RegistryTaskSource(const std::string& address, Options options);

  Result<std::shared_ptr<const TaskRules>> Find(const std::string& task) override;

 private:
  struct Entry {
    std::shared_ptr<const TaskRules> rules;
    std::chrono::steady_clock::time_point asked_at;
  };

  const std::unique_ptr<model_registry::v1::ModelRegistryService::Stub> stub_;
  const Options options_;
  std::mutex mutex_;  // Guards entries_.
  std::map<std::string, Entry> entries_;
};

}  // namespace tidewheel::ingestion
