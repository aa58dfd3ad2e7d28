#include "tidewheel/labeling/config.h"

namespace tidewheel::labeling {

void Config::Read(config::Reader& reader) {
  endpoints.server.Read(reader);
  reader.Read("metrics_listen", &endpoints.metrics_listen);
  storage.Read(reader);
  bus.Read(reader, storage.dsn);
  reader.Read("registry.address", &registry_address);
  reader.Read("tasks.remember", &remember_tasks, std::chrono::milliseconds{0},
              std::chrono::milliseconds{60'000});
  reader.Read("labels_per_transaction", &labels_per_transaction, std::size_t{1},
              std::size_t{10'000});
  reader.Read("labels.interval", &work_interval, std::chrono::milliseconds{10},
              std::chrono::milliseconds{60'000});
  reader.Read("outcomes.compute_after", &compute_after, std::chrono::milliseconds{0},
              std::chrono::milliseconds{86'400'000});
  reader.Read("outcomes.keep", &keep_outcomes, std::chrono::milliseconds{60'000},
              std::chrono::milliseconds{31'536'000'000});
  reader.Read("queue.absent_after", &absent_after, std::chrono::milliseconds{1'000},
              std::chrono::milliseconds{604'800'000});
  if (storage.migrating()) return;  // A migration needs nothing but the administrator.
  reader.Require("registry.address", registry_address);
  bus.RequireAddress(reader);
}

}  // namespace tidewheel::labeling
