#include "tidewheel/model_registry/app.h"

#include <array>
#include <string>

#include "tidewheel/blob/sha256.h"
#include "tidewheel/bus/postgres_broker.h"
#include "tidewheel/log/log.h"
#include "tidewheel/model_registry/declaration/declare.h"
#include "tidewheel/model_registry/migrations.h"
#include "tidewheel/postgres/bootstrap.h"
#include "tidewheel/postgres/migrator.h"

namespace tidewheel::model_registry {
namespace {

constexpr char kSchema[] = "registry";
constexpr int kPartitions = 4;

bus::BrokerOptions BrokerOptionsOf(const Config& config) {
  bus::BrokerOptions options;
  options.driver = config.bus_driver;
  options.address = config.bus_driver == "kafka" ? config.bus_brokers : config.bus_dsn;
  options.source = "model-registry";
  return options;
}

}  // namespace

Result<void> Migrate(const Config& config) {
  if (config.admin_dsn.empty()) {
    return Error{ErrorCode::kInvalidArgument, "TIDEWHEEL_ADMIN_DSN is not set"};
  }
  if (const auto made = postgres::Bootstrap(config.admin_dsn); !made) return made;
  if (const auto made = bus::MigratePostgresBus(config.admin_dsn); !made) return made;
  const auto applied =
      postgres::Migrate(config.admin_dsn, kSchema, "tidewheel_registry", Migrations());
  if (!applied) return applied.error();
  return {};
}

App::App(const Config& config)
    : config_(config),
      pool_({.dsn = config.postgres_dsn,
             .search_path = kSchema,
             .connections = config.postgres_connections,
             .application_name = "tidewheel-model-registry"}) {}

Result<void> App::Start() {
  if (auto checked = postgres::CheckSchema(pool_, kSchema, Migrations()); !checked) return checked;
  auto payloads = blob::OpenFileStore(config_.payloads_root);
  if (!payloads) return payloads.error();
  payloads_ = *std::move(payloads);
  auto broker = bus::OpenBroker(BrokerOptionsOf(config_));
  if (!broker) return broker.error();
  broker_ = *std::move(broker);
  const std::array<std::string, 1> topics{"tidewheel.models"};
  if (auto ensured = broker_->EnsureTopics(topics, kPartitions); !ensured) return ensured;

  packages_.emplace(*payloads_);
  model_catalog_.emplace(models_, tasks_, *packages_, clock_, &blob::Sha256);
  handler_.emplace(task_catalog_, *model_catalog_, models_, audit_, &Declare);
  relay_ = std::make_unique<bus::OutboxRelay>(
      pool_, *broker_,
      bus::OutboxRelayOptions{
          .schema = kSchema,
          .relayed = metrics_.Counter("tidewheel_model_registry_events_relayed_total",
                                      "Events moved from the outbox to the bus."),
          .refused = metrics_.Counter("tidewheel_model_registry_events_refused_total",
                                      "Events the bus refuses for good."),
          .on_problem = [](const Error& error) {
            log::Warning("the outbox waits", {{"problem", error}});
          }});

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

}  // namespace tidewheel::model_registry
