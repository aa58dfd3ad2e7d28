#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "tidewheel/config/reader.h"
#include "tidewheel/rpc/server.h"

namespace tidewheel::monitoring {

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
  std::chrono::milliseconds retention{std::chrono::hours(24 * 30)};  // Of single predictions.
  std::chrono::milliseconds export_interval{2'000};  // Between two updates of the gauges.
  std::string admin_dsn;                             // TIDEWHEEL_ADMIN_DSN; for --migrate alone.

  void Read(config::Reader& reader);
};

}  // namespace tidewheel::monitoring
