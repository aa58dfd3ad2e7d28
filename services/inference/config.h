#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "tidewheel/config/reader.h"
#include "tidewheel/inference/engine/variant.h"
#include "tidewheel/inference/repository/oip_service.h"
#include "tidewheel/service/endpoints.h"
#include "tidewheel/service/service_config.h"

namespace tidewheel::inference {

/// All settings of the service.
struct Config {
  service::Endpoints::Options endpoints;
  OipSettings oip;
  service::BusConfig bus;
  std::string payloads_root = "var/payloads";
  std::string registry_address;
  std::string spill_folder = "var/spill/inference";
  config::ByteCount spill_limit = config::GiB(1);
  // Which of a package's variants serves; "fastest" takes float32 where none is offered.
  Wanted variant = Wanted::kFloat32;
  std::size_t workers = 2;  // That decode pictures; and calls of a package at a time.
  std::size_t queue = 1'024;
  // What may wait behind the answers: copies for a shadow, and inputs to keep.
  std::size_t shadow_queue = 256;
  config::ByteCount shadow_limit = config::MiB(64);
  std::size_t capture_queue = 1'024;
  config::ByteCount capture_limit = config::MiB(64);
  std::size_t explain_queue = 16;  // Explanations that may wait; the next is refused.
  std::chrono::milliseconds follow_interval{500};  // Between two looks at the registry.

  void Read(config::Reader& reader);
};

}  // namespace tidewheel::inference
