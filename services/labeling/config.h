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
  std::chrono::milliseconds work_interval{1'000};   // Between two looks for labels that are due.
  std::chrono::milliseconds compute_after{30'000};  // An outcome's vote: many make one computation.
  std::chrono::milliseconds keep_outcomes{2'592'000'000};  // That wait for their sample: 30 days.
  std::chrono::milliseconds absent_after{
      1'800'000};  // Who takes no item for so long is not waited for.

  void Read(config::Reader& reader);
};

}  // namespace tidewheel::labeling
