#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "tidewheel/config/reader.h"
#include "tidewheel/service/endpoints.h"
#include "tidewheel/service/service_config.h"

namespace tidewheel::labeling {

/// All settings of the service.
struct Config {
  service::Endpoints::Options endpoints;
  service::StorageConfig storage;
  service::BusConfig bus;
  std::string registry_address;
  std::chrono::milliseconds remember_tasks{1'000};
  std::size_t labels_per_transaction = 2'000;

  void Read(config::Reader& reader);
};

}  // namespace tidewheel::labeling
