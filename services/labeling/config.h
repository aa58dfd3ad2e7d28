#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "tidewheel/config/reader.h"
#include "tidewheel/rpc/server.h"

namespace tidewheel::labeling {

/// All settings of the service.
struct Config {
  rpc::ServerOptions server;
  std::string metrics_listen = "127.0.0.1:0";
  std::string postgres_dsn;
  std::size_t postgres_connections = 8;
  std::string bus_driver = "postgres";
  std::string bus_dsn;      // Of the postgres driver; empty: postgres_dsn.
  std::string bus_brokers;  // Of the kafka driver.
  std::string registry_address;
  std::chrono::milliseconds remember_tasks{1'000};
  std::size_t labels_per_transaction = 2'000;
  std::string admin_dsn;  // TIDEWHEEL_ADMIN_DSN; for --migrate alone.

  void Read(config::Reader& reader);
};

}  // namespace tidewheel::labeling
