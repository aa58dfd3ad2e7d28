#include "tidewheel/curation/config.h"

#include <cstdlib>

namespace tidewheel::curation {

void Config::Read(config::Reader& reader) {
  server.Read(reader);
  reader.Read("metrics_listen", &metrics_listen);
  reader.ReadSecret("postgres.dsn", &postgres_dsn);
  reader.Read("postgres.connections", &postgres_connections, std::size_t{2}, std::size_t{100});
  reader.Read("bus.driver", &bus_driver);
  reader.ReadSecret("bus.dsn", &bus_dsn);
  reader.Read("bus.brokers", &bus_brokers);
  reader.Read("payloads.root", &payloads_root);
  reader.Read("registry.address", &registry_address);
  reader.Read("training.address", &training_address);
  reader.Read("monitoring.address", &monitoring_address);
  reader.Read("call_limit", &call_limit, std::chrono::milliseconds{100},
              std::chrono::milliseconds{60'000});

  if (const char* dsn = std::getenv("TIDEWHEEL_ADMIN_DSN")) admin_dsn = dsn;
  // A migration needs nothing but the administrator.
  if (!admin_dsn.empty()) return;
  reader.Require("postgres.dsn", postgres_dsn);
  reader.Require("registry.address", registry_address);
  reader.Require("payloads.root", payloads_root);
  if (bus_driver == "kafka") reader.Require("bus.brokers", bus_brokers);
}

}  // namespace tidewheel::curation
