#include "tidewheel/monitoring/config.h"

namespace tidewheel::monitoring {

void Config::Read(config::Reader& reader) {
  endpoints.server.Read(reader);
  reader.Read("metrics_listen", &endpoints.metrics_listen);
  storage.Read(reader);
  bus.Read(reader, storage.dsn);
  reader.Read("registry.address", &registry_address);
  reader.Read("payloads.root", &payloads_root);
  reader.Read("alertmanager.url", &alertmanager_url);
  reader.Read("retention", &retention, std::chrono::milliseconds(std::chrono::hours(1)));
  reader.Read("export_interval", &export_interval, std::chrono::milliseconds{100},
              std::chrono::milliseconds{60'000});
  if (storage.migrating()) return;  // A migration needs nothing but the administrator.
  reader.Require("registry.address", registry_address);
  bus.RequireAddress(reader);
}

}  // namespace tidewheel::monitoring
