#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/blob/store.h"
#include "tidewheel/bus/broker.h"
#include "tidewheel/bus/outbox_relay.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/postgres/pool.h"
#include "tidewheel/rpc/service_main.h"
#include "tidewheel/service/endpoints.h"
#include "tidewheel/training/api/training_handler.h"
#include "tidewheel/training/clients/registry_clients.h"
#include "tidewheel/training/config.h"
#include "tidewheel/training/domain/run_executor.h"
#include "tidewheel/training/domain/run_queue.h"
#include "tidewheel/training/execution/process_launcher.h"
#include "tidewheel/training/storage/postgres_run_store.h"

namespace tidewheel::training {

/// Owns every long-lived object of the service, declared in the order they start.
class App {
 public:
  explicit App(const Config& config);

  /// Checks the schema, then opens the ports. kFailedPrecondition: migrate first, or there is no
  /// worker program; kUnavailable: a dependency or an address.
  Result<void> Start();

  rpc::Addresses addresses() const;

 private:
  void ExecuteRuns(std::stop_token stop);
  void CountRuns(std::stop_token stop);

  const Config config_;
  const SystemClock clock_;
  metrics::Registry metrics_{"training"};
  postgres::Pool pool_;
  std::unique_ptr<blob::Store> payloads_;
  std::unique_ptr<bus::Broker> broker_;
  std::unique_ptr<RegistryStub> registry_;
  PostgresRunStore store_{pool_};
  std::optional<RunQueue> queue_;
  std::optional<RegistryPreprocessingSource> preprocessing_;
  std::optional<RegistryPackageRegistrar> registrar_;
  std::optional<ProcessLauncher> launcher_;
  std::optional<TrainingHandler> handler_;
  std::unique_ptr<bus::OutboxRelay> relay_;  // A worker: stops before what it uses.
  std::vector<std::unique_ptr<Worker>> executors_;
  std::unique_ptr<Worker> counting_;
  service::Endpoints endpoints_{metrics_};  // Last up, first down.
};

/// Makes the service's schema. Needs TIDEWHEEL_ADMIN_DSN.
Result<void> Migrate(const Config& config);

}  // namespace tidewheel::training
