#include "tidewheel/labeling/app.h"

#include <array>
#include <string>
#include <utility>

#include "tidewheel/labeling/migrations.h"
#include "tidewheel/log/log.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/rpc/client.h"

namespace tidewheel::labeling {
namespace {

constexpr char kSchema[] = "labeling";
constexpr int kPartitions = 4;

VoteCounters VoteCountersOf(metrics::Registry& metrics) {
  const auto counter = [&](const std::string& outcome, const std::string& help) -> Counter& {
    return metrics.Counter("tidewheel_labeling_votes_" + outcome + "_total", help);
  };
  return {.accepted = counter("accepted", "Votes stored."),
          .unchanged = counter("unchanged", "Votes that were there already."),
          .rejected = counter("rejected", "Votes that could not be taken.")};
}

LabelCounters LabelCountersOf(metrics::Registry& metrics) {
  return {.changed = metrics.Counter("tidewheel_labeling_labels_changed_total",
                                     "Versions of labels that were added."),
          .ties = metrics.Counter("tidewheel_labeling_ties_total",
                                  "Samples whose best classes had equal support."),
          .seconds = metrics.Histogram("tidewheel_labeling_consensus_seconds",
                                       "Time to make the labels of a task.", {},
                                       metrics::ExponentialBuckets(0.01, 2, 16))};
}

}  // namespace

Result<void> Migrate(const Config& config) {
  if (config.admin_dsn.empty()) {
    return Error{ErrorCode::kInvalidArgument, "TIDEWHEEL_ADMIN_DSN is not set"};
  }
  const auto applied =
      postgres::Migrate(config.admin_dsn, kSchema, "tidewheel_labeling", Migrations());
  if (!applied) return applied.error();
  return {};
}

App::App(const Config& config)
    : config_(config),
      pool_({.dsn = config.postgres_dsn,
             .search_path = kSchema,
             .connections = config.postgres_connections,
             .application_name = "tidewheel-labeling"}),
      tasks_(rpc::OpenChannel(config.registry_address), {.remember = config.remember_tasks}),
      taker_(tasks_, votes_, clock_, {}, VoteCountersOf(metrics_)),
      maker_(tasks_, labels_, clock_, LabelCountersOf(metrics_), config.labels_per_transaction) {}

Result<void> App::Start() {
  if (auto checked = postgres::CheckSchema(pool_, kSchema, Migrations()); !checked) return checked;

  const bool kafka = config_.bus_driver == "kafka";
  const std::string& bus_dsn = config_.bus_dsn.empty() ? config_.postgres_dsn : config_.bus_dsn;
  bus::BrokerOptions broker_options;
  broker_options.driver = config_.bus_driver;
  broker_options.address = kafka ? config_.bus_brokers : bus_dsn;
  broker_options.source = "labeling";
  auto broker = bus::OpenBroker(broker_options);
  if (!broker) return broker.error();
  broker_ = std::move(*broker);
  const std::array<std::string, 1> topics{"tidewheel.labels"};
  if (auto ensured = broker_->EnsureTopics(topics, kPartitions); !ensured) return ensured;
  bus::OutboxRelayOptions relay_options{
      .schema = kSchema,
      .relayed = metrics_.Counter("tidewheel_labeling_events_relayed_total",
                                  "Events moved from the outbox to the bus."),
      .refused = metrics_.Counter("tidewheel_labeling_events_refused_total",
                                  "Events the bus refuses for good."),
      .on_problem = [](const Error& error) {
        log::Warning("the outbox waits", {{"problem", error}});
      }};
  relay_ = std::make_unique<bus::OutboxRelay>(pool_, *broker_, std::move(relay_options));

  auto exposer = metrics::Exposer::Start(config_.metrics_listen, metrics_);
  if (!exposer) return exposer.error();
  exposer_ = std::move(*exposer);

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

}  // namespace tidewheel::labeling
