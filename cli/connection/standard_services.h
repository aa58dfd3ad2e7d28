#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/rpc/client.h"

/// Clients of the two services that every gRPC server of the platform has beside its own.
/// Reflection is read field by field (numbers are part of the published contract), so that no copy
/// of its proto lives here.
namespace tidewheel::cli {

/// Asks a server of its own, on a connection of its own.
rpc::HealthAnswer CheckHealth(const std::string& address, std::chrono::milliseconds deadline);

struct ListedRpc {
  std::string name;
  std::string request;  // Full name of its message.
  std::string response;
  bool client_streaming = false;
  bool server_streaming = false;
};

struct ListedService {
  std::string name;  // In full.
  std::vector<ListedRpc> rpcs;
};

/// All services of the server with their rpcs, by grpc.reflection.v1alpha, in the order of names.
/// kUnavailable: nobody answers; kUnimplemented: no reflection.
Result<std::vector<ListedService>> ListByReflection(const std::string& address,
                                                    std::chrono::milliseconds deadline);

}  // namespace tidewheel::cli
