#pragma once

#include <memory>
#include <optional>

#include "tidewheel/base/result.h"
#include "tidewheel/config/reader.h"
#include "tidewheel/inference/repository/oip_service.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/rpc/service_main.h"
#include "tidewheel/service/endpoints.h"
#include "tidewheel/serving/engine.h"

namespace tidewheel::inference {

/// Settings of a process that serves a folder of models and knows nothing of the platform: no
/// registry, no bus, no database.
struct RepositoryConfig {
  service::Endpoints::Options endpoints;
  OipSettings oip;

  RepositoryConfig();
  void Read(config::Reader& reader);
};

/// `tidewheel-inference --model-repository DIR`.
class RepositoryApp {
 public:
  explicit RepositoryApp(const RepositoryConfig& config) : config_(config) {}

  /// Loads the models, then opens the ports. kNotFound: no such folder; kUnavailable: an address is
  /// taken.
  Result<void> Start();
  rpc::Addresses addresses() const;

 private:
  RepositoryConfig config_;
  metrics::Registry metrics_{"inference"};
  std::unique_ptr<serving::Engine> engine_;
  std::optional<OipModels> models_;
  std::optional<OipDoors> doors_;
  service::Endpoints endpoints_{metrics_};  // Last up, first down.
};

}  // namespace tidewheel::inference
