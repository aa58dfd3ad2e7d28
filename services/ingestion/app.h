#pragma once

#include <memory>
#include <optional>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/blob/store.h"
#include "tidewheel/bus/broker.h"
#include "tidewheel/bus/consumer.h"
#include "tidewheel/bus/outbox_relay.h"
#include "tidewheel/ingestion/api/ingestion_handler.h"
#include "tidewheel/ingestion/clients/registry_task_source.h"
#include "tidewheel/ingestion/config.h"
#include "tidewheel/ingestion/domain/batch_ingestor.h"
#include "tidewheel/ingestion/payloads/blob_payload_store.h"
#include "tidewheel/ingestion/pictures/indexed_near_duplicates.h"
#include "tidewheel/ingestion/pictures/picture_examiner.h"
#include "tidewheel/ingestion/storage/postgres_hash_feed.h"
#include "tidewheel/ingestion/storage/postgres_sample_store.h"
#include "tidewheel/ingestion/stream/capture_consumer.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/postgres/pool.h"
#include "tidewheel/rpc/service_main.h"
#include "tidewheel/service/endpoints.h"

namespace tidewheel::ingestion {

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
  metrics::Registry metrics_{"ingestion"};
  postgres::Pool pool_;
  std::unique_ptr<blob::Store> blobs_;
  std::unique_ptr<bus::Broker> broker_;
  RegistryTaskSource tasks_;
  PostgresSampleStore store_{pool_};
  PostgresHashFeed hashes_{pool_};
  PictureExaminer examiner_;
  IndexedNearDuplicates near_duplicates_;
  std::optional<BlobPayloadStore> payloads_;
  std::optional<BatchIngestor> ingestor_;
  std::optional<IngestionHandler> handler_;
  std::optional<CaptureConsumer> captures_;
  std::unique_ptr<bus::Consumer> consumer_;  // A worker, as the next.
  std::unique_ptr<bus::OutboxRelay> relay_;  // A worker: stops before what it uses.
  service::Endpoints endpoints_{metrics_};   // Last up, first down.
};

/// Makes the service's schema. Needs TIDEWHEEL_ADMIN_DSN.
Result<void> Migrate(const Config& config);

}  // namespace tidewheel::ingestion
