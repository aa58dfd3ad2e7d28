#include "tidewheel/console/api/console_handler.h"

#include "tidewheel/console/api/platform_status.h"

namespace tidewheel::console {

grpc::Status ConsoleHandler::GetPlatformStatus(grpc::ServerContext* /*context*/,
                                               const v1::GetPlatformStatusRequest* /*request*/,
                                               v1::GetPlatformStatusResponse* response) {
  *response = CheckPlatform(backends_, health_deadline_);
  return grpc::Status::OK;
}

}  // namespace tidewheel::console
