#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "tidewheel/config/reader.h"
#include "tidewheel/service/endpoints.h"
#include "tidewheel/service/service_config.h"

namespace tidewheel::monitoring {

/// All settings of the service.
struct Config {
  service::Endpoints::Options endpoints;
  service::StorageConfig storage;
  service::BusConfig bus;
  std::string registry_address;
  std::string alertmanager_url;  // "http://127.0.0.1:9093"; empty: it is not told.
  std::string payloads_root;     // Where profiles are; empty: no model has one.
  std::chrono::milliseconds retention{std::chrono::hours(24 * 30)};  // Of single predictions.
  std::chrono::milliseconds export_interval{2'000};  // Between two updates of the gauges.

  void Read(config::Reader& reader);
};

}  // namespace tidewheel::monitoring
