#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "tidewheel/config/reader.h"
#include "tidewheel/rpc/server.h"

namespace tidewheel::ingestion {

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
  std::chrono::milliseconds remember_tasks{1'000};   // A changed task is in force after that.
  std::chrono::milliseconds follow_interval{1'000};  // Between two looks for other copies' samples.
  std::size_t workers = 4;
  std::size_t queue = 256;                           // Calls that may wait.
  config::ByteCount queue_bytes = config::MiB(512);  // Of calls that wait or are at work.
  std::string admin_dsn;                             // TIDEWHEEL_ADMIN_DSN; for --migrate alone.

  void Read(config::Reader& reader);
};

}  // namespace tidewheel::ingestion
