#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "tidewheel/inference/domain/deployment.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"

namespace tidewheel::inference {

/// Asks model-registry for its deployments. Thread-safe.
class RegistryDeploymentSource final : public DeploymentSource {
 public:
  RegistryDeploymentSource(const std::string& address, std::chrono::milliseconds deadline);

  Result<DeploymentList> List() override;

 private:
  const std::unique_ptr<model_registry::v1::ModelRegistryService::Stub> stub_;
  const std::chrono::milliseconds deadline_;
};

}  // namespace tidewheel::inference
