#include "tidewheel/curation/app.h"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/curation/migrations.h"
#include "tidewheel/log/log.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/rpc/client.h"

namespace tidewheel::curation {
namespace {

constexpr char kSchema[] = "curation";
constexpr int kPartitions = 4;

BuildCounters CountersOf(metrics::Registry& metrics) {
  return {.built = metrics.Counter("tidewheel_curation_datasets_built_total",
                                   "Dataset versions that were added."),
          .repeated = metrics.Counter("tidewheel_curation_datasets_repeated_total",
                                      "Builds whose content was there already."),
          .items = metrics.Counter("tidewheel_curation_items_total",
                                   "Items of the dataset versions that were added."),
          .seconds = metrics.Histogram("tidewheel_curation_build_seconds",
                                       "Time to build a dataset version.", {},
                                       metrics::ExponentialBuckets(0.01, 2, 16))};
}

std::shared_ptr<grpc::Channel> ChannelTo(const std::string& address) {
  return address.empty() ? nullptr : rpc::OpenChannel(address);
}

}  // namespace

Result<void> Migrate(const Config& config) {
  if (config.admin_dsn.empty()) {
    return Error{ErrorCode::kInvalidArgument, "TIDEWHEEL_ADMIN_DSN is not set"};
  }
  const auto applied =
      postgres::Migrate(config.admin_dsn, kSchema, "tidewheel_curation", Migrations());
  if (!applied) return applied.error();
  return {};
}

App::App(const Config& config)
    : config_(config),
      pool_({.dsn = config.postgres_dsn,
             .search_path = kSchema,
             .connections = config.postgres_connections,
             .application_name = "tidewheel-curation"}),
      registry_(ChannelTo(config.registry_address), config.call_limit),
      training_(ChannelTo(config.training_address), config.call_limit),
      monitoring_(ChannelTo(config.monitoring_address), config.call_limit) {}

Result<void> App::Start() {
  if (auto checked = postgres::CheckSchema(pool_, kSchema, Migrations()); !checked) return checked;

  auto payloads = blob::OpenFileStore(config_.payloads_root);
  if (!payloads) return payloads.error();
  payloads_ = std::move(*payloads);
  archive_.emplace(*payloads_);
  builder_.emplace(registry_, datasets_, *archive_, clock_, CountersOf(metrics_));
  curation_handler_.emplace(*builder_, datasets_);

  const bool kafka = config_.bus_driver == "kafka";
  const std::string& bus_dsn = config_.bus_dsn.empty() ? config_.postgres_dsn : config_.bus_dsn;
  bus::BrokerOptions broker_options;
  broker_options.driver = config_.bus_driver;
  broker_options.address = kafka ? config_.bus_brokers : bus_dsn;
  broker_options.source = "curation";
  auto broker = bus::OpenBroker(broker_options);
  if (!broker) return broker.error();
  broker_ = std::move(*broker);
  const std::array<std::string, 1> topics{"tidewheel.datasets"};
  if (auto ensured = broker_->EnsureTopics(topics, kPartitions); !ensured) return ensured;
  bus::OutboxRelayOptions relay_options{
      .schema = kSchema,
      .relayed = metrics_.Counter("tidewheel_curation_events_relayed_total",
                                  "Events moved from the outbox to the bus."),
      .refused = metrics_.Counter("tidewheel_curation_events_refused_total",
                                  "Events the bus refuses for good."),
      .on_problem = [](const Error& error) {
        log::Warning("the outbox waits", {{"problem", error}});
      }};
  relay_ = std::make_unique<bus::OutboxRelay>(pool_, *broker_, std::move(relay_options));

  auto exposer = metrics::Exposer::Start(config_.metrics_listen, metrics_);
  if (!exposer) return exposer.error();
  exposer_ = std::move(*exposer);

  server_ = std::make_unique<rpc::Server>(config_.server, metrics_);
  server_->Add(*curation_handler_);
  server_->Add(lineage_handler_);
  if (auto started = server_->Start(); !started) return started;
  probe_ = std::make_unique<rpc::HealthProbe>(
      *server_, std::vector<rpc::Dependency>{{"postgres", [this] { return pool_.Ping(); }}});
  return {};
}

rpc::Addresses App::addresses() const {
  return {{"grpc", server_->address()}, {"metrics", exposer_->address()}};
}

}  // namespace tidewheel::curation
