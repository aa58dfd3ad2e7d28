#pragma once

#include <memory>
#include <optional>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/blob/store.h"
#include "tidewheel/bus/broker.h"
#include "tidewheel/bus/outbox_relay.h"
#include "tidewheel/curation/api/curation_handler.h"
#include "tidewheel/curation/api/lineage_handler.h"
#include "tidewheel/curation/clients/monitoring_client.h"
#include "tidewheel/curation/clients/registry_client.h"
#include "tidewheel/curation/clients/training_client.h"
#include "tidewheel/curation/config.h"
#include "tidewheel/curation/domain/dataset_builder.h"
#include "tidewheel/curation/domain/lineage_tracer.h"
#include "tidewheel/curation/storage/blob_manifest_archive.h"
#include "tidewheel/curation/storage/postgres_dataset_store.h"
#include "tidewheel/curation/storage/postgres_lineage_store.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/postgres/pool.h"
#include "tidewheel/rpc/service_main.h"
#include "tidewheel/service/endpoints.h"

namespace tidewheel::curation {

/// Brings the schema `curation` up to date. kInvalidArgument: no TIDEWHEEL_ADMIN_DSN.
Result<void> Migrate(const Config& config);

/// Owns every long-lived object of the service, declared in the order they start.
class App {
 public:
  explicit App(const Config& config);

  /// Checks the schema, then opens the ports. kUnavailable: PostgreSQL, the bus, the payload store
  /// or an address.
  Result<void> Start();

  rpc::Addresses addresses() const;

 private:
  const Config config_;
  const SystemClock clock_;
  metrics::Registry metrics_{"curation"};
  postgres::Pool pool_;
  std::unique_ptr<blob::Store> payloads_;
  RegistryClient registry_;
  TrainingClient training_;
  MonitoringClient monitoring_;
  PostgresDatasetStore datasets_{pool_};
  PostgresLineageStore lineage_{pool_};
  std::optional<BlobManifestArchive> archive_;
  std::optional<DatasetBuilder> builder_;
  LineageTracer tracer_{monitoring_, registry_, training_, datasets_, lineage_};
  std::optional<CurationHandler> curation_handler_;
  LineageHandler lineage_handler_{tracer_};
  std::unique_ptr<bus::Broker> broker_;
  std::unique_ptr<bus::OutboxRelay> relay_;  // A worker: stops before what it uses.
  service::Endpoints endpoints_{metrics_};   // Last up, first down.
};

}  // namespace tidewheel::curation
