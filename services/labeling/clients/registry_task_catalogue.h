#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/labeling/domain/task_catalogue.h"

namespace grpc {
class Channel;
}

namespace tidewheel::labeling {

struct RegistryTaskCatalogueOptions {
  std::chrono::milliseconds call_limit{5'000};
  std::chrono::milliseconds remember{1'000};
};

/// Tasks as the model registry has them, remembered for a moment. Thread-safe.
class RegistryTaskCatalogue final : public TaskCatalogue {
 public:
  explicit RegistryTaskCatalogue(std::shared_ptr<grpc::Channel> channel,
                                 RegistryTaskCatalogueOptions options = {});

  Result<std::shared_ptr<const TaskPolicy>> Find(const std::string& task) override;
  Result<std::shared_ptr<const TaskPolicy>> FindNewest(const std::string& task) override;

 private:
  struct Remembered {
    std::shared_ptr<const TaskPolicy> policy;
    std::chrono::steady_clock::time_point until;
  };

  const std::shared_ptr<grpc::Channel> channel_;
  const RegistryTaskCatalogueOptions options_;
  std::mutex mutex_;  // Guards remembered_.
  std::map<std::string, Remembered> remembered_;
};

}  // namespace tidewheel::labeling
