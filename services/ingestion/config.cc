#include "tidewheel/ingestion/config.h"

#include <cstdlib>

namespace tidewheel::ingestion {

void Config::Read(config::Reader& reader) {
  server.hot_methods = {"PushSample", "PushSamples", "GetSample", "GetSamplePayload"};
  server.Read(reader);
  reader.Read("metrics_listen", &metrics_listen);
  reader.ReadSecret("postgres.dsn", &postgres_dsn);
  reader.Read("postgres.connections", &postgres_connections, std::size_t{2}, std::size_t{40});
  reader.Read("bus.driver", &bus_driver);
  reader.ReadSecret("bus.dsn", &bus_dsn);
  reader.Read("bus.brokers", &bus_brokers);
  reader.Read("payloads.root", &payloads_root);
  reader.Read("registry.address", &registry_address);
  reader.Read("tasks.remember", &remember_tasks, std::chrono::milliseconds{0},
              std::chrono::milliseconds{60'000});
  reader.Read("near_duplicates.follow_interval", &follow_interval, std::chrono::milliseconds{10},
              std::chrono::milliseconds{60'000});
  reader.Read("workers", &workers, std::size_t{1}, std::size_t{256});
  reader.Read("queue", &queue, std::size_t{1}, std::size_t{100'000});
  reader.Read("queue_bytes", &queue_bytes, config::MiB(1), config::GiB(64));

  if (const char* dsn = std::getenv("TIDEWHEEL_ADMIN_DSN")) admin_dsn = dsn;
  // A migration needs nothing but the administrator.
  if (!admin_dsn.empty()) return;
  reader.Require("postgres.dsn", postgres_dsn);
  reader.Require("registry.address", registry_address);
  if (bus_dsn.empty()) bus_dsn = postgres_dsn;
  if (bus_driver == "kafka") reader.Require("bus.brokers", bus_brokers);
}

}  // namespace tidewheel::ingestion
