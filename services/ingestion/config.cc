#include "tidewheel/ingestion/config.h"

namespace tidewheel::ingestion {

void Config::Read(config::Reader& reader) {
  endpoints.server.hot_methods = {"PushSample", "PushSamples", "GetSample", "GetSamplePayload"};
  endpoints.server.Read(reader);
  reader.Read("metrics_listen", &endpoints.metrics_listen);
  storage.Read(reader);
  bus.Read(reader, storage.dsn);
  reader.Read("payloads.root", &payloads_root);
  reader.Read("registry.address", &registry_address);
  reader.Read("tasks.remember", &remember_tasks, std::chrono::milliseconds{0},
              std::chrono::milliseconds{60'000});
  reader.Read("near_duplicates.follow_interval", &follow_interval, std::chrono::milliseconds{10},
              std::chrono::milliseconds{60'000});
  reader.Read("workers", &workers, std::size_t{1}, std::size_t{256});
  reader.Read("queue", &queue, std::size_t{1}, std::size_t{100'000});
  reader.Read("queue_bytes", &queue_bytes, config::MiB(1), config::GiB(64));
  if (storage.migrating()) return;  // A migration needs nothing but the administrator.
  reader.Require("registry.address", registry_address);
  bus.RequireAddress(reader);
}

}  // namespace tidewheel::ingestion
