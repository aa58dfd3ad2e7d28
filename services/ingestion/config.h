#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "tidewheel/config/reader.h"
#include "tidewheel/service/endpoints.h"
#include "tidewheel/service/service_config.h"

namespace tidewheel::ingestion {

/// All settings of the service.
struct Config {
  service::Endpoints::Options endpoints;
  service::StorageConfig storage;
  service::BusConfig bus;
  std::string payloads_root = "var/payloads";
  std::string registry_address;
  std::chrono::milliseconds remember_tasks{1'000};   // A changed task is in force after that.
  std::chrono::milliseconds follow_interval{1'000};  // Between two looks for other copies' samples.
  std::size_t workers = 4;
  std::size_t queue = 256;                           // Calls that may wait.
  config::ByteCount queue_bytes = config::MiB(512);  // Of calls that wait or are at work.

  void Read(config::Reader& reader);
};

}  // namespace tidewheel::ingestion
