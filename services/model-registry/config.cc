#include "tidewheel/model_registry/config.h"

#include <cstdlib>

namespace tidewheel::model_registry {

void Config::Read(config::Reader& reader) {
  server.hot_methods = {"GetTask",
                        "ListDeployments"};  // Asked again and again by the other services.
  server.Read(reader);
  reader.Read("metrics_listen", &metrics_listen);
  reader.ReadSecret("postgres.dsn", &postgres_dsn);
  reader.Read("postgres.connections", &postgres_connections, std::size_t{1}, std::size_t{64});
  reader.Read("bus.driver", &bus_driver);
  reader.ReadSecret("bus.dsn", &bus_dsn);
  reader.Read("bus.brokers", &bus_brokers);
  reader.Read("payloads.root", &payloads_root);
  if (const char* dsn = std::getenv("TIDEWHEEL_ADMIN_DSN")) admin_dsn = dsn;
  // A migration needs nothing but the administrator.
  if (!admin_dsn.empty()) return;
  reader.Require("postgres.dsn", postgres_dsn);
  if (bus_dsn.empty()) bus_dsn = postgres_dsn;
  if (bus_driver == "kafka") reader.Require("bus.brokers", bus_brokers);
}

}  // namespace tidewheel::model_registry
