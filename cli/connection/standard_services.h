#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"

/// Clients of the two services that every gRPC server of the platform has beside its own. Their
/// messages are read field by field (numbers are part of the published contracts), so that no copy
/// of foreign protos lives here.
namespace tidewheel::cli {

/// What grpc.health.v1.Health/Check says of the whole server.
struct HealthAnswer {
  enum class State { kServing, kNotServing, kUnreachable } state = State::kUnreachable;
  std::string problem;  // Empty when it serves.
  double seconds = 0;   // Until the answer.
};

HealthAnswer CheckHealth(const std::string& address, std::chrono::milliseconds deadline);

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
