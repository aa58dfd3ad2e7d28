#include "tidewheel/inference/config.h"

namespace tidewheel::inference {

void Config::Read(config::Reader& reader) {
  server.hot_methods = {"Predict", "RecordOutcomes"};
  server.Read(reader);
  reader.Read("metrics_listen", &metrics_listen);
  reader.Read("bus.driver", &bus_driver);
  reader.ReadSecret("bus.dsn", &bus_dsn);
  reader.Read("bus.brokers", &bus_brokers);
  reader.Read("payloads.root", &payloads_root);
  reader.Read("registry.address", &registry_address);
  reader.Read("spill.folder", &spill_folder);
  reader.Read("spill.limit", &spill_limit);
  reader.Read("workers", &workers, std::size_t{1}, std::size_t{256});
  reader.Read("queue", &queue, std::size_t{1}, std::size_t{1'000'000});
  reader.Read("follow_interval", &follow_interval, std::chrono::milliseconds{10},
              std::chrono::milliseconds{60'000});
  reader.Require("registry.address", registry_address);
  if (bus_driver == "kafka") {
    reader.Require("bus.brokers", bus_brokers);
  } else {
    reader.Require("bus.dsn", bus_dsn);
  }
}

}  // namespace tidewheel::inference
