#include "tidewheel/monitoring/config.h"

#include <cstdlib>

namespace tidewheel::monitoring {

void Config::Read(config::Reader& reader) {
  server.Read(reader);
  reader.Read("metrics_listen", &metrics_listen);
  reader.ReadSecret("postgres.dsn", &postgres_dsn);
  reader.Read("postgres.connections", &postgres_connections, std::size_t{2}, std::size_t{64});
  reader.Read("bus.driver", &bus_driver);
  reader.ReadSecret("bus.dsn", &bus_dsn);
  reader.Read("bus.brokers", &bus_brokers);
  reader.Read("registry.address", &registry_address);
  reader.Read("retention", &retention, std::chrono::milliseconds(std::chrono::hours(1)));
  reader.Read("export_interval", &export_interval, std::chrono::milliseconds{100},
              std::chrono::milliseconds{60'000});
  if (const char* dsn = std::getenv("TIDEWHEEL_ADMIN_DSN")) admin_dsn = dsn;
  // A migration needs nothing but the administrator.
  if (!admin_dsn.empty()) return;
  reader.Require("postgres.dsn", postgres_dsn);
  reader.Require("registry.address", registry_address);
  if (bus_dsn.empty()) bus_dsn = postgres_dsn;
  if (bus_driver == "kafka") reader.Require("bus.brokers", bus_brokers);
}

}  // namespace tidewheel::monitoring
