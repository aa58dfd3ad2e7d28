#pragma once

#include <memory>
#include <optional>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/blob/store.h"
#include "tidewheel/bus/broker.h"
#include "tidewheel/bus/outbox_relay.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/model_registry/api/model_registry_handler.h"
#include "tidewheel/model_registry/config.h"
#include "tidewheel/model_registry/domain/model_catalog.h"
#include "tidewheel/model_registry/domain/review_catalog.h"
#include "tidewheel/model_registry/domain/task_catalog.h"
#include "tidewheel/model_registry/packages/blob_package_reader.h"
#include "tidewheel/model_registry/storage/postgres_audit_log.h"
#include "tidewheel/model_registry/storage/postgres_model_store.h"
#include "tidewheel/model_registry/storage/postgres_review_store.h"
#include "tidewheel/model_registry/storage/postgres_task_store.h"
#include "tidewheel/postgres/pool.h"
#include "tidewheel/rpc/service_main.h"
#include "tidewheel/service/endpoints.h"

namespace tidewheel::model_registry {

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
  metrics::Registry metrics_{"model_registry"};
  postgres::Pool pool_;
  std::unique_ptr<blob::Store> payloads_;
  std::unique_ptr<bus::Broker> broker_;
  PostgresTaskStore tasks_{pool_};
  PostgresModelStore models_{pool_, clock_};
  PostgresReviewStore reviews_{pool_};
  PostgresAuditLog audit_{pool_};
  TaskCatalog task_catalog_{tasks_, clock_};
  ReviewCatalog review_catalog_{reviews_, models_, tasks_, clock_};
  std::optional<BlobPackageReader> packages_;
  std::optional<ModelCatalog> model_catalog_;
  std::optional<ModelRegistryHandler> handler_;
  std::unique_ptr<bus::OutboxRelay> relay_;  // A worker: stops before what it uses.
  service::Endpoints endpoints_{metrics_};   // Last up, first down.
};

/// First of all services: makes the roles, the bus's schema and its own. Needs TIDEWHEEL_ADMIN_DSN.
Result<void> Migrate(const Config& config);

}  // namespace tidewheel::model_registry
