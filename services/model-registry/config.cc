#include "tidewheel/model_registry/config.h"

namespace tidewheel::model_registry {

void Config::Read(config::Reader& reader) {
  endpoints.server.hot_methods = {
      "GetTask", "ListDeployments"};  // Asked again and again by the other services.
  endpoints.server.Read(reader);
  reader.Read("metrics_listen", &endpoints.metrics_listen);
  storage.Read(reader);
  bus.Read(reader, storage.dsn);
  reader.Read("payloads.root", &payloads_root);
  if (storage.migrating()) return;  // A migration needs nothing but the administrator.
  bus.RequireAddress(reader);
}

}  // namespace tidewheel::model_registry
