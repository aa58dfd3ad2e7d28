#pragma once

#include <cstddef>
#include <string>

#include "tidewheel/config/reader.h"
#include "tidewheel/service/endpoints.h"
#include "tidewheel/service/service_config.h"

namespace tidewheel::model_registry {

/// All settings of the service.
struct Config {
  service::Endpoints::Options endpoints;
  service::StorageConfig storage;
  service::BusConfig bus;
  std::string payloads_root = "var/payloads";

  void Read(config::Reader& reader);
};

}  // namespace tidewheel::model_registry
