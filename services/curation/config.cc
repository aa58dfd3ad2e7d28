#include "tidewheel/curation/config.h"

namespace tidewheel::curation {

void Config::Read(config::Reader& reader) {
  endpoints.server.Read(reader);
  reader.Read("metrics_listen", &endpoints.metrics_listen);
  storage.Read(reader);
  bus.Read(reader, storage.dsn);
  reader.Read("payloads.root", &payloads_root);
  reader.Read("registry.address", &registry_address);
  reader.Read("training.address", &training_address);
  reader.Read("monitoring.address", &monitoring_address);
  reader.Read("call_limit", &call_limit, std::chrono::milliseconds{100},
              std::chrono::milliseconds{60'000});
  if (storage.migrating()) return;  // A migration needs nothing but the administrator.
  reader.Require("registry.address", registry_address);
  reader.Require("payloads.root", payloads_root);
  bus.RequireAddress(reader);
}

}  // namespace tidewheel::curation
