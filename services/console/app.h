#pragma once

#include <memory>

#include "tidewheel/base/result.h"
#include "tidewheel/console/api/console_handler.h"
#include "tidewheel/console/api/http_gateway.h"
#include "tidewheel/console/clients/backends.h"
#include "tidewheel/console/config.h"
#include "tidewheel/console/gateway/rpc_catalog.h"
#include "tidewheel/console/http/http_server.h"
#include "tidewheel/metrics/exposer.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/rpc/server.h"
#include "tidewheel/rpc/service_main.h"

namespace tidewheel::console {

/// Owns every long-lived object of the service, declared in the order they start.
class App {
 public:
  explicit App(const Config& config);

  /// kUnavailable: a port cannot be opened. The console serves whether or not the others do:
  /// showing that is its work.
  Result<void> Start();

  rpc::Addresses addresses() const;

 private:
  const Config config_;
  metrics::Registry metrics_{"console"};
  RpcCatalog catalog_;
  Backends backends_;
  ConsoleHandler handler_;
  HttpGateway gateway_;
  std::unique_ptr<metrics::Exposer> exposer_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<HttpServer> http_;  // Last up, first down.
};

}  // namespace tidewheel::console
