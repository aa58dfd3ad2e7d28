#include "tidewheel/monitoring/app.h"

#include <array>
#include <string>
#include <utility>

#include "tidewheel/log/log.h"
#include "tidewheel/monitoring/migrations.h"
#include "tidewheel/postgres/migrator.h"

namespace tidewheel::monitoring {
namespace {

constexpr char kSchema[] = "monitoring";
constexpr char kGroup[] = "monitoring.facts";
constexpr int kPartitions = 4;
constexpr std::size_t kBatch = 500;  // Deliveries stored in one transaction.

bus::BrokerOptions BrokerOptionsOf(const Config& config) {
  bus::BrokerOptions options;
  options.driver = config.bus_driver;
  options.address = config.bus_driver == "kafka" ? config.bus_brokers : config.bus_dsn;
  options.source = "monitoring";
  return options;
}

bus::ConsumerCounters ConsumerCountersOf(metrics::Registry& metrics) {
  const auto counter = [&](const std::string& what, const std::string& help) -> Counter& {
    return metrics.Counter("tidewheel_monitoring_events_" + what + "_total", help);
  };
  return {.handled = counter("handled", "Events that were stored."),
          .dead_lettered = counter("dead_lettered", "Events that are none, set aside."),
          .retried = counter("retried", "Attempts that failed for the moment."),
          .lost = counter("lost", "Positions another copy of the service had taken over."),
          .lag = metrics.Gauge("tidewheel_monitoring_waiting_events",
                               "Events on the bus that were not stored yet.")};
}

}  // namespace

Result<void> Migrate(const Config& config) {
  if (config.admin_dsn.empty()) {
    return Error{ErrorCode::kInvalidArgument, "TIDEWHEEL_ADMIN_DSN is not set"};
  }
  const auto applied =
      postgres::Migrate(config.admin_dsn, kSchema, "tidewheel_monitoring", Migrations());
  if (!applied) return applied.error();
  return {};
}

App::App(const Config& config)
    : config_(config),
      pool_({.dsn = config.postgres_dsn,
             .search_path = kSchema,
             .connections = config.postgres_connections,
             .application_name = "tidewheel-monitoring"}),
      policies_(config.registry_address) {}

Result<void> App::Start() {
  if (auto checked = postgres::CheckSchema(pool_, kSchema, Migrations()); !checked) return checked;
  auto broker = bus::OpenBroker(BrokerOptionsOf(config_));
  if (!broker) return broker.error();
  broker_ = *std::move(broker);
  const std::array<std::string, 2> topics{"tidewheel.predictions", "tidewheel.outcomes"};
  if (auto ensured = broker_->EnsureTopics(topics, kPartitions); !ensured) return ensured;

  ObserverCounters counters{
      .predictions = metrics_.Counter("tidewheel_monitoring_predictions_total",
                                      "Predictions stored by this process."),
      .outcomes = metrics_.Counter("tidewheel_monitoring_outcomes_total",
                                   "Outcomes stored by this process.")};
  observer_.emplace(store_, policies_, counters);
  facts_.emplace(*observer_);
  bus::ConsumerOptions consumer_options{
      .group = kGroup,
      .topics = {topics.begin(), topics.end()},
      .at_most = kBatch,
      .counters = ConsumerCountersOf(metrics_),
      .on_problem = [](const Error& error) {
        log::Warning("events wait or are set aside", {{"problem", error}});
      }};
  consumer_ = std::make_unique<bus::Consumer>(
      *broker_, std::move(consumer_options),
      bus::Consumer::Handler([this](std::span<const bus::Delivery> deliveries) {
        return facts_->Handle(deliveries);
      }));
  exporter_ = std::make_unique<SummaryExporter>(
      store_, metrics_, clock_,
      SummaryExporter::Options{config_.export_interval, config_.retention});

  auto exposer = metrics::Exposer::Start(config_.metrics_listen, metrics_);
  if (!exposer) return exposer.error();
  exposer_ = *std::move(exposer);
  server_ = std::make_unique<rpc::Server>(config_.server, metrics_);
  server_->Add(handler_);
  if (auto started = server_->Start(); !started) return started;
  probe_ = std::make_unique<rpc::HealthProbe>(
      *server_, std::vector<rpc::Dependency>{{"postgres", [this] { return pool_.Ping(); }}});
  return {};
}

rpc::Addresses App::addresses() const {
  return {{"grpc", server_->address()}, {"metrics", exposer_->address()}};
}

}  // namespace tidewheel::monitoring
