#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "tidewheel/config/reader.h"
#include "tidewheel/service/endpoints.h"
#include "tidewheel/service/service_config.h"

namespace tidewheel::training {

/// All settings of the service.
struct Config {
  service::Endpoints::Options endpoints;
  service::StorageConfig storage;
  service::BusConfig bus;
  std::string payloads_root = "var/payloads";
  std::string registry_address;
  std::string monitoring_address;  // Cycles ask these three; empty: cycles wait.
  std::string labeling_address;
  std::string curation_address;
  std::string worker_program;  // Empty: tidewheel-train-worker beside this program.
  std::string work_folder = "var/work/training";
  std::uint32_t worker_threads = 1;
  std::uint32_t concurrent_runs = 1;
  std::chrono::milliseconds lease{10'000};
  std::uint32_t attempts = 3;                          // Of a run that was interrupted.
  std::chrono::milliseconds cycle_poll{1'000};         // Between looks at what a cycle waits for.
  std::chrono::milliseconds cycle_lease{120'000};      // Of one step, with all the calls it makes.
  std::chrono::milliseconds cycle_look_around{5'000};  // For labels, hours and waiting alerts.

  // Of decisions against a cycle, and of alerts that waited for one.
  std::chrono::milliseconds decision_retention{std::chrono::hours(90 * 24)};

  void Read(config::Reader& reader);
};

}  // namespace tidewheel::training
