#include "tidewheel/training/config.h"

#include <filesystem>

namespace tidewheel::training {

void Config::Read(config::Reader& reader) {
  endpoints.server.Read(reader);
  reader.Read("metrics_listen", &endpoints.metrics_listen);
  storage.Read(reader);
  bus.Read(reader, storage.dsn);
  reader.Read("payloads.root", &payloads_root);
  reader.Read("registry.address", &registry_address);
  reader.Read("monitoring.address", &monitoring_address);
  reader.Read("labeling.address", &labeling_address);
  reader.Read("curation.address", &curation_address);
  reader.Read("cycles.poll", &cycle_poll, std::chrono::milliseconds{50},
              std::chrono::milliseconds{600'000});
  reader.Read("cycles.lease", &cycle_lease, std::chrono::milliseconds{2'000},
              std::chrono::milliseconds{3'600'000});
  reader.Read("cycles.look_around", &cycle_look_around, std::chrono::milliseconds{100},
              std::chrono::milliseconds{3'600'000});
  reader.Read("cycles.decision_retention", &decision_retention, std::chrono::hours{1},
              std::chrono::hours{20 * 366 * 24});
  reader.Read("worker.program", &worker_program);
  reader.Read("worker.folder", &work_folder);
  reader.Read("worker.threads", &worker_threads, std::uint32_t{1}, std::uint32_t{64});
  reader.Read("concurrent_runs", &concurrent_runs, std::uint32_t{1}, std::uint32_t{64});
  reader.Read("lease", &lease, std::chrono::milliseconds{2'000},
              std::chrono::milliseconds{600'000});
  reader.Read("attempts", &attempts, std::uint32_t{1}, std::uint32_t{1'000});
  if (storage.migrating()) return;  // A migration needs nothing but the administrator.
  reader.Require("registry.address", registry_address);
  bus.RequireAddress(reader);
  if (worker_program.empty()) {
    std::error_code error;
    const auto here = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
    worker_program = (here / "tidewheel-train-worker").string();
  }
}

}  // namespace tidewheel::training
