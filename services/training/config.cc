#include "tidewheel/training/config.h"

#include <cstdlib>
#include <filesystem>

namespace tidewheel::training {

void Config::Read(config::Reader& reader) {
  server.Read(reader);
  reader.Read("metrics_listen", &metrics_listen);
  reader.ReadSecret("postgres.dsn", &postgres_dsn);
  reader.Read("postgres.connections", &postgres_connections, std::size_t{2}, std::size_t{64});
  reader.Read("bus.driver", &bus_driver);
  reader.ReadSecret("bus.dsn", &bus_dsn);
  reader.Read("bus.brokers", &bus_brokers);
  reader.Read("payloads.root", &payloads_root);
  reader.Read("registry.address", &registry_address);
  reader.Read("worker.program", &worker_program);
  reader.Read("worker.folder", &work_folder);
  reader.Read("worker.threads", &worker_threads, std::uint32_t{1}, std::uint32_t{64});
  reader.Read("concurrent_runs", &concurrent_runs, std::uint32_t{1}, std::uint32_t{64});
  reader.Read("lease", &lease, std::chrono::milliseconds{2'000},
              std::chrono::milliseconds{600'000});
  if (const char* dsn = std::getenv("TIDEWHEEL_ADMIN_DSN")) admin_dsn = dsn;
  // A migration needs nothing but the administrator.
  if (!admin_dsn.empty()) return;
  reader.Require("postgres.dsn", postgres_dsn);
  reader.Require("registry.address", registry_address);
  if (bus_dsn.empty()) bus_dsn = postgres_dsn;
  if (bus_driver == "kafka") reader.Require("bus.brokers", bus_brokers);
  if (worker_program.empty()) {
    std::error_code error;
    const auto here = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
    worker_program = (here / "tidewheel-train-worker").string();
  }
}

}  // namespace tidewheel::training
