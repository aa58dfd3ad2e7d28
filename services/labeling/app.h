#pragma once

#include <memory>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/bus/broker.h"
#include "tidewheel/bus/consumer.h"
#include "tidewheel/bus/outbox_relay.h"
#include "tidewheel/labeling/api/labeling_handler.h"
#include "tidewheel/labeling/api/queue_handler.h"
#include "tidewheel/labeling/clients/registry_task_catalogue.h"
#include "tidewheel/labeling/config.h"
#include "tidewheel/labeling/domain/label_maker.h"
#include "tidewheel/labeling/domain/labeling_queue.h"
#include "tidewheel/labeling/domain/vote_taker.h"
#include "tidewheel/labeling/label_worker.h"
#include "tidewheel/labeling/storage/postgres_label_store.h"
#include "tidewheel/labeling/storage/postgres_queue_store.h"
#include "tidewheel/labeling/storage/postgres_vote_store.h"
#include "tidewheel/labeling/stream/fact_consumer.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/postgres/pool.h"
#include "tidewheel/rpc/service_main.h"
#include "tidewheel/service/endpoints.h"

namespace tidewheel::labeling {

/// Brings the schema `labeling` up to date. kInvalidArgument: no TIDEWHEEL_ADMIN_DSN.
Result<void> Migrate(const Config& config);

/// Owns every long-lived object of the service, declared in the order they start.
class App {
 public:
  explicit App(const Config& config);

  /// Checks the schema, then opens the ports. kUnavailable: PostgreSQL, the bus or an address.
  Result<void> Start();

  rpc::Addresses addresses() const;

 private:
  const Config config_;
  const SystemClock clock_;
  metrics::Registry metrics_{"labeling"};
  postgres::Pool pool_;
  RegistryTaskCatalogue tasks_;
  PostgresVoteStore votes_{pool_};
  PostgresLabelStore labels_{pool_};
  PostgresQueueStore queue_store_;
  VoteTaker taker_;
  LabelMaker maker_;
  LabelingQueue queue_;
  FactConsumer facts_;
  LabelingHandler handler_{taker_, maker_, votes_, labels_};
  QueueHandler queue_handler_{queue_};
  std::unique_ptr<bus::Broker> broker_;
  std::unique_ptr<LabelWorker> worker_;  // Stops before what it uses, as the next two.
  std::unique_ptr<bus::Consumer> consumer_;
  std::unique_ptr<bus::OutboxRelay> relay_;
  service::Endpoints endpoints_{metrics_};  // Last up, first down.
};

}  // namespace tidewheel::labeling
