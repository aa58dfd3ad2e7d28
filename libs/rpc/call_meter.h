#pragma once

#include <grpcpp/support/status.h>

#include <chrono>
#include <memory>
#include <string>

#include "tidewheel/metrics/registry.h"

namespace tidewheel::rpc {

/// Counts and times the calls of a method that the server leaves to its handler
/// (ServerOptions::lean_methods), under the names that the server itself would use. While the
/// server observes them after all, it does nothing. Thread-safe.
class CallMeter {
 public:
  /// `service` in full, as "inference.GRPCInferenceService". The registry must outlive it.
  CallMeter(metrics::Registry& registry, const std::string& service, const std::string& method);
  ~CallMeter();
  CallMeter(const CallMeter&) = delete;
  CallMeter& operator=(const CallMeter&) = delete;

  void Began();
  void Ended(grpc::StatusCode code, std::chrono::duration<double> took);

 private:
  struct Method;
  metrics::Registry& registry_;
  const std::unique_ptr<Method> method_;
};

}  // namespace tidewheel::rpc
