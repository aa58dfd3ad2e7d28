#pragma once

#include <chrono>

#include "tidewheel/console/clients/backends.h"
#include "tidewheel/console/v1/console_service.grpc.pb.h"

namespace tidewheel::console {

/// ConsoleService over gRPC.
class ConsoleHandler final : public v1::ConsoleService::Service {
 public:
  ConsoleHandler(const Backends& backends, std::chrono::milliseconds health_deadline)
      : backends_(backends), health_deadline_(health_deadline) {}

  grpc::Status GetPlatformStatus(grpc::ServerContext* context,
                                 const v1::GetPlatformStatusRequest* request,
                                 v1::GetPlatformStatusResponse* response) override;

 private:
  const Backends& backends_;
  const std::chrono::milliseconds health_deadline_;
};

}  // namespace tidewheel::console
