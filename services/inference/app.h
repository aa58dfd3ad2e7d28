#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/blob/store.h"
#include "tidewheel/bus/broker.h"
#include "tidewheel/bus/buffered_publisher.h"
#include "tidewheel/inference/api/inference_handler.h"
#include "tidewheel/inference/background/capture_keeper.h"
#include "tidewheel/inference/background/shadow_runner.h"
#include "tidewheel/inference/clients/own_rpcs.h"
#include "tidewheel/inference/clients/registry_deployment_source.h"
#include "tidewheel/inference/config.h"
#include "tidewheel/inference/domain/deployment_follower.h"
#include "tidewheel/inference/engine/package_loader.h"
#include "tidewheel/inference/engine/scheduled_packages.h"
#include "tidewheel/inference/explaining/deployed_models.h"
#include "tidewheel/inference/explaining/explain_queue.h"
#include "tidewheel/inference/repository/oip_service.h"
#include "tidewheel/inference/rollout/rollout_models.h"
#include "tidewheel/inference/stream/bus_fact_sink.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/rpc/service_main.h"
#include "tidewheel/service/endpoints.h"

namespace tidewheel::inference {

/// Owns every long-lived object of the service, declared in the order they start.
class App {
 public:
  explicit App(const Config& config);

  /// Opens the spill and the ports. kUnavailable: an address is taken; kFailedPrecondition: the
  /// spill folder is.
  Result<void> Start();

  rpc::Addresses addresses() const;

 private:
  Result<void> OpenPublisher();
  void StartBackground();
  Result<void> StartExplanations();
  PredictorCounters MakePredictorCounters();
  void FollowDeployments(std::stop_token stop);
  /// What is asked of a task without a version and without a rollout (metadata, statistics) is
  /// asked of production.
  void PreferProduction();

  const Config config_;
  const SystemClock clock_;
  metrics::Registry metrics_{"inference"};
  std::unique_ptr<blob::Store> payloads_;
  std::unique_ptr<serving::Engine> engine_;
  OwnRpcs own_rpcs_;
  // Before all that holds a loaded version: its rows run there.
  std::optional<OipModels> models_;
  std::optional<ScheduledPackages> packages_;
  std::unique_ptr<bus::Broker> broker_;
  std::unique_ptr<bus::BufferedPublisher> publisher_;
  std::optional<BusFactSink> sink_;
  std::optional<ShadowRunner> shadows_;
  std::optional<CaptureKeeper> captures_;
  RegistryDeploymentSource deployments_;
  std::optional<PackageLoader> loader_;
  ModelTable table_;
  std::optional<DeploymentFollower> follower_;
  std::optional<Predictor> predictor_;
  // What explanations ask is theirs alone: an engine of one place, and copies of the models.
  std::unique_ptr<serving::Engine> explain_engine_;
  std::optional<PackageLoader> explain_loader_;
  std::optional<DeployedModels> explain_models_;
  std::optional<ExplainQueue> explanations_;
  std::optional<InferenceHandler> handler_;
  // The open protocol: what is deployed is asked through the same rollout.
  std::optional<RolloutModels> rollout_;
  std::optional<OipDoors> doors_;
  std::atomic<bool> settled_ = false;  // The registry has been heard.
  Pause pause_;
  std::unique_ptr<Worker> following_;
  service::Endpoints endpoints_{metrics_};  // Last up, first down.
};

}  // namespace tidewheel::inference
