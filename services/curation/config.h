#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "tidewheel/config/reader.h"
#include "tidewheel/service/endpoints.h"
#include "tidewheel/service/service_config.h"

namespace tidewheel::curation {

/// All settings of the service.
struct Config {
  service::Endpoints::Options endpoints;
  service::StorageConfig storage;
  service::BusConfig bus;
  std::string payloads_root = "var/payloads";
  std::string registry_address;
  std::string training_address;                 // Empty: lineage cannot ask it and says so.
  std::string monitoring_address;               // The same.
  std::chrono::milliseconds call_limit{5'000};  // Of one question to another service.

  void Read(config::Reader& reader);
};

}  // namespace tidewheel::curation
