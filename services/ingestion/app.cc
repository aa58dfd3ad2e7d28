#include "tidewheel/ingestion/app.h"

#include <array>
#include <string>
#include <utility>

#include "tidewheel/ingestion/migrations.h"
#include "tidewheel/log/log.h"
#include "tidewheel/postgres/migrator.h"

namespace tidewheel::ingestion {
namespace {

constexpr char kSchema[] = "ingestion";
constexpr int kPartitions = 4;
constexpr std::chrono::seconds kRegistryDeadline{2};

bus::BrokerOptions BrokerOptionsOf(const Config& config) {
  bus::BrokerOptions options;
  options.driver = config.bus_driver;
  options.address = config.bus_driver == "kafka" ? config.bus_brokers : config.bus_dsn;
  options.source = "ingestion";
  return options;
}

IngestorCounters CountersOf(metrics::Registry& metrics) {
  const auto counter = [&](const std::string& outcome, const std::string& help) -> Counter& {
    return metrics.Counter("tidewheel_ingestion_samples_" + outcome + "_total", help);
  };
  IngestorCounters counters{.accepted = counter("accepted", "Samples stored."),
                            .unchanged = counter("unchanged", "Samples that were pushed before."),
                            .quarantined = counter("quarantined", "Samples set aside."),
                            .reasons = {}};
  for (const ReasonCode code : kReasonCodes) {
    counters.reasons[code] = &metrics.Counter("tidewheel_ingestion_quarantine_reasons_total",
                                              "Why samples were set aside; one may have several.",
                                              {{"reason", std::string(Name(code))}});
  }
  return counters;
}

}  // namespace

Result<void> Migrate(const Config& config) {
  if (config.admin_dsn.empty()) {
    return Error{ErrorCode::kInvalidArgument, "TIDEWHEEL_ADMIN_DSN is not set"};
  }
  const auto applied =
      postgres::Migrate(config.admin_dsn, kSchema, "tidewheel_ingestion", Migrations());
  if (!applied) return applied.error();
  return {};
}

App::App(const Config& config)
    : config_(config),
      pool_({.dsn = config.postgres_dsn,
             .search_path = kSchema,
             .connections = config.postgres_connections,
             .application_name = "tidewheel-ingestion"}),
      tasks_(config.registry_address, {kRegistryDeadline, config.remember_tasks}),
      near_duplicates_(hashes_, {.follow_interval = config.follow_interval}) {}

Result<void> App::Start() {
  if (auto checked = postgres::CheckSchema(pool_, kSchema, Migrations()); !checked) return checked;
  auto blobs = blob::OpenFileStore(config_.payloads_root);
  if (!blobs) return blobs.error();
  blobs_ = *std::move(blobs);
  auto broker = bus::OpenBroker(BrokerOptionsOf(config_));
  if (!broker) return broker.error();
  broker_ = *std::move(broker);
  const std::array<std::string, 1> topics{"tidewheel.samples"};
  if (auto ensured = broker_->EnsureTopics(topics, kPartitions); !ensured) return ensured;

  payloads_.emplace(*blobs_);
  ingestor_.emplace(tasks_, examiner_, near_duplicates_, *payloads_, store_, clock_,
                    CountersOf(metrics_));
  handler_.emplace(
      *ingestor_, store_, *payloads_, clock_,
      IngestionHandler::Options{config_.workers, config_.queue, config_.queue_bytes.bytes});
  bus::OutboxRelayOptions relay_options{
      .schema = kSchema,
      .relayed = metrics_.Counter("tidewheel_ingestion_events_relayed_total",
                                  "Events moved from the outbox to the bus."),
      .refused = metrics_.Counter("tidewheel_ingestion_events_refused_total",
                                  "Events the bus refuses for good."),
      .on_problem = [](const Error& error) {
        log::Warning("the outbox waits", {{"problem", error}});
      }};
  relay_ = std::make_unique<bus::OutboxRelay>(pool_, *broker_, std::move(relay_options));

  auto exposer = metrics::Exposer::Start(config_.metrics_listen, metrics_);
  if (!exposer) return exposer.error();
  exposer_ = *std::move(exposer);
  server_ = std::make_unique<rpc::Server>(config_.server, metrics_);
  server_->Add(*handler_);
  if (auto started = server_->Start(); !started) return started;
  probe_ = std::make_unique<rpc::HealthProbe>(
      *server_, std::vector<rpc::Dependency>{{"postgres", [this] { return pool_.Ping(); }}});
  return {};
}

rpc::Addresses App::addresses() const {
  return {{"grpc", server_->address()}, {"metrics", exposer_->address()}};
}

}  // namespace tidewheel::ingestion
