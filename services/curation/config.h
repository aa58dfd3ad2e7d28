#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "tidewheel/config/reader.h"
#include "tidewheel/rpc/server.h"

namespace tidewheel::curation {

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
  std::string training_address;                 // Empty: lineage cannot ask it and says so.
  std::string monitoring_address;               // The same.
  std::chrono::milliseconds call_limit{5'000};  // Of one question to another service.
  std::string admin_dsn;                        // TIDEWHEEL_ADMIN_DSN; for --migrate alone.

  void Read(config::Reader& reader);
};

}  // namespace tidewheel::curation
