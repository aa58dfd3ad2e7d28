#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/metrics/exposer.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/rpc/health.h"
#include "tidewheel/rpc/server.h"
#include "tidewheel/rpc/service_main.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace tidewheel::service {

/// The doors of a service: its metrics, its gRPC server, and the health that follows what it cannot
/// work without. Declare it after everything the handlers and the checks use: last up, first down.
/// For one thread.
class Endpoints {
 public:
  /// `metrics` must outlive it.
  explicit Endpoints(metrics::Registry& metrics) : metrics_(metrics) {}

  struct Options {
    rpc::ServerOptions server;
    std::string metrics_listen = "127.0.0.1:0";
  };

  /// kUnavailable names the address that cannot be bound.
  Result<void> Open(const Options& options, const std::vector<grpc::Service*>& handlers,
                    std::vector<rpc::Dependency> dependencies);

  /// {"grpc": ..., "metrics": ...}; after Open.
  rpc::Addresses addresses() const;

 private:
  metrics::Registry& metrics_;
  std::unique_ptr<metrics::Exposer> exposer_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<rpc::HealthProbe> probe_;
};

}  // namespace tidewheel::service
