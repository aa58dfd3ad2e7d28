#pragma once

#include <array>
#include <memory>
#include <optional>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/blob/store.h"
#include "tidewheel/bus/broker.h"
#include "tidewheel/bus/consumer.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/monitoring/alerting.h"
#include "tidewheel/monitoring/api/monitoring_handler.h"
#include "tidewheel/monitoring/clients/registry_policy_source.h"
#include "tidewheel/monitoring/clients/registry_profile_source.h"
#include "tidewheel/monitoring/config.h"
#include "tidewheel/monitoring/domain/observer.h"
#include "tidewheel/monitoring/domain/window_pump.h"
#include "tidewheel/monitoring/storage/model_catalog.h"
#include "tidewheel/monitoring/storage/postgres_monitoring_store.h"
#include "tidewheel/monitoring/storage/postgres_window_store.h"
#include "tidewheel/monitoring/stream/fact_consumer.h"
#include "tidewheel/monitoring/summary_exporter.h"
#include "tidewheel/monitoring/window_worker.h"
#include "tidewheel/postgres/pool.h"
#include "tidewheel/rpc/service_main.h"
#include "tidewheel/service/endpoints.h"

namespace tidewheel::monitoring {

/// Owns every long-lived object of the service, declared in the order they start.
class App {
 public:
  explicit App(const Config& config);

  /// Checks the schema, then opens the ports. kFailedPrecondition: migrate first; kUnavailable: a
  /// dependency or an address.
  Result<void> Start();

  rpc::Addresses addresses() const;

 private:
  const Config config_;
  const SystemClock clock_;
  metrics::Registry metrics_{"monitoring"};
  postgres::Pool pool_;
  std::unique_ptr<bus::Broker> broker_;
  ModelCatalog models_{pool_};
  PostgresMonitoringStore store_{pool_, models_};
  PostgresWindowStore windows_{pool_, models_};
  RegistryPolicySource policies_;
  std::unique_ptr<blob::Store> payloads_;
  std::optional<RegistryProfileSource> profiles_;
  std::optional<Observer> observer_;
  std::optional<FactConsumer> facts_;
  std::optional<Alerting> alerting_;
  std::optional<MonitoringHandler> handler_;
  std::optional<WindowPump> pump_;
  std::optional<WindowWorker> window_worker_;  // Workers: they stop before what they use.
  // One reads while another stores.
  std::array<std::unique_ptr<bus::Consumer>, 2> consumers_;
  std::unique_ptr<SummaryExporter> exporter_;
  service::Endpoints endpoints_{metrics_};  // Last up, first down.
};

/// Makes the service's schema. Needs TIDEWHEEL_ADMIN_DSN.
Result<void> Migrate(const Config& config);

}  // namespace tidewheel::monitoring
