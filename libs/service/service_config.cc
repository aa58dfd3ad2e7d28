#include "tidewheel/service/service_config.h"

#include <cstdlib>

namespace tidewheel::service {

void StorageConfig::Read(config::Reader& reader) {
  reader.ReadSecret("postgres.dsn", &dsn);
  reader.Read("postgres.connections", &connections, std::size_t{2}, std::size_t{100});
  if (const char* admin = std::getenv("TIDEWHEEL_ADMIN_DSN")) admin_dsn = admin;
  if (!migrating()) reader.Require("postgres.dsn", dsn);
}

void BusConfig::Read(config::Reader& reader, const std::string& default_dsn) {
  reader.Read("bus.driver", &driver);
  reader.ReadSecret("bus.dsn", &dsn);
  reader.Read("bus.brokers", &brokers);
  if (dsn.empty()) dsn = default_dsn;
}

void BusConfig::RequireAddress(config::Reader& reader) const {
  if (driver == "kafka") {
    reader.Require("bus.brokers", brokers);
  } else {
    reader.Require("bus.dsn", dsn);
  }
}

bus::BrokerOptions BusConfig::OptionsFor(const std::string& source) const {
  bus::BrokerOptions options;
  options.driver = driver;
  options.address = driver == "kafka" ? brokers : dsn;
  options.source = source;
  return options;
}

}  // namespace tidewheel::service
