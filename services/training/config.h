#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "tidewheel/config/reader.h"
#include "tidewheel/rpc/server.h"

namespace tidewheel::training {

/// All settings of the service.
struct Config {
  rpc::ServerOptions server;
  std::string metrics_listen = "127.0.0.1:0";
  std::string postgres_dsn;
  std::size_t postgres_connections = 8;
  std::string bus_driver = "postgres";
  std::string bus_dsn;      // Of the postgres driver; empty: postgres_dsn.
  std::string bus_brokers;  // Of the kafka driver.
  std::string payloads_root = "var/payloads";
  std::string registry_address;
  std::string worker_program;  // Empty: tidewheel-train-worker beside this program.
  std::string work_folder = "var/work/training";
  std::uint32_t worker_threads = 1;
  std::uint32_t concurrent_runs = 1;
  std::chrono::milliseconds lease{10'000};
  std::string admin_dsn;  // TIDEWHEEL_ADMIN_DSN; for --migrate alone.

  void Read(config::Reader& reader);
};

}  // namespace tidewheel::training
