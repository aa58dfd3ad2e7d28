#pragma once

#include <cstddef>
#include <string>

#include "tidewheel/bus/broker.h"
#include "tidewheel/config/reader.h"

namespace tidewheel::service {

/// A service's own schema: keys `postgres.dsn` and `postgres.connections`.
struct StorageConfig {
  std::string dsn;
  std::size_t connections = 8;
  std::string admin_dsn;  // TIDEWHEEL_ADMIN_DSN; for --migrate alone.

  void Read(config::Reader& reader);
  /// A migration needs nothing but the administrator.
  bool migrating() const { return !admin_dsn.empty(); }
};

/// The bus: keys `bus.driver`, `bus.dsn` and `bus.brokers`.
struct BusConfig {
  std::string driver = "postgres";
  std::string dsn;      // Of the postgres driver.
  std::string brokers;  // Of the kafka driver.

  /// `default_dsn` stands for a `bus.dsn` that is not given.
  void Read(config::Reader& reader, const std::string& default_dsn = "");
  /// What the driver cannot do without.
  void RequireAddress(config::Reader& reader) const;
  /// `source` is the service's name in the events it sends: "model-registry".
  bus::BrokerOptions OptionsFor(const std::string& source) const;
};

}  // namespace tidewheel::service
