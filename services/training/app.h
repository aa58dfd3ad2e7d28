#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/blob/store.h"
#include "tidewheel/bus/broker.h"
#include "tidewheel/bus/consumer.h"
#include "tidewheel/bus/outbox_relay.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/postgres/pool.h"
#include "tidewheel/rpc/service_main.h"
#include "tidewheel/service/endpoints.h"
#include "tidewheel/training/api/cycle_handler.h"
#include "tidewheel/training/api/training_handler.h"
#include "tidewheel/training/clients/cycle_clients.h"
#include "tidewheel/training/clients/registry_clients.h"
#include "tidewheel/training/clients/registry_model_desk.h"
#include "tidewheel/training/config.h"
#include "tidewheel/training/domain/cycle_driver.h"
#include "tidewheel/training/domain/cycle_starter.h"
#include "tidewheel/training/domain/run_executor.h"
#include "tidewheel/training/domain/run_queue.h"
#include "tidewheel/training/execution/process_launcher.h"
#include "tidewheel/training/storage/postgres_cycle_store.h"
#include "tidewheel/training/storage/postgres_run_store.h"
#include "tidewheel/training/storage/postgres_sample_catalogue.h"
#include "tidewheel/training/stream/alert_consumer.h"

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
  void DriveCycles(std::stop_token stop);
  void LookAround(std::stop_token stop);
  void CountCycles();
  void CountEnd(const Cycle& cycle);

  const Config config_;
  const SystemClock clock_;
  metrics::Registry metrics_{"training"};
  postgres::Pool pool_;
  std::unique_ptr<blob::Store> payloads_;
  std::unique_ptr<bus::Broker> broker_;
  std::unique_ptr<RegistryStub> registry_;
  PostgresRunStore store_{pool_};
  PostgresCycleStore cycles_{pool_};
  PostgresSampleCatalogue samples_{pool_};
  RegistryModelDesk models_{*registry_};
  MonitoringTrafficWatch traffic_;
  LabelingQueue labels_;
  CurationDatasetDesk datasets_;
  CycleStarter starter_{cycles_, models_, samples_, clock_};
  AlertConsumer alerts_{starter_};
  CycleHandler cycle_handler_{starter_, cycles_, clock_};
  metrics::GaugeFamily& cycle_gauges_ = metrics_.Gauges(
      "tidewheel_training_task_cycles", "Cycles by the state they are in.", {"state", "task"});
  std::vector<std::pair<std::string, std::string>> shown_cycles_;  // State and task; of one worker.
  std::optional<RunQueue> queue_;
  std::optional<RegistryPreprocessingSource> preprocessing_;
  std::optional<RegistryPackageRegistrar> registrar_;
  std::optional<ProcessLauncher> launcher_;
  std::optional<TrainingHandler> handler_;
  std::unique_ptr<bus::OutboxRelay> relay_;  // A worker: stops before what it uses.
  std::vector<std::unique_ptr<Worker>> executors_;
  std::unique_ptr<Worker> counting_;
  std::unique_ptr<Worker> driving_;
  std::unique_ptr<Worker> looking_around_;
  std::unique_ptr<bus::Consumer> consumer_;
  service::Endpoints endpoints_{metrics_};  // Last up, first down.
};

/// Makes the service's schema. Needs TIDEWHEEL_ADMIN_DSN.
Result<void> Migrate(const Config& config);

}  // namespace tidewheel::training
