#include "tidewheel/curation/app.h"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/curation/migrations.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/service/events.h"
#include "tidewheel/service/storage.h"

namespace tidewheel::curation {
namespace {

constexpr char kSchema[] = "curation";

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
  return service::Migrate(config.storage, {kSchema, Migrations()});
}

App::App(const Config& config)
    : config_(config),
      pool_(service::PoolOptionsOf(config.storage, kSchema, "curation")),
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

  const std::array<std::string, 1> topics{"tidewheel.datasets"};
  auto broker = service::OpenBus(config_.bus, "curation", topics);
  if (!broker) return broker.error();
  broker_ = *std::move(broker);
  relay_ = service::RelayOutbox(pool_, *broker_, metrics_, kSchema, "curation");

  return endpoints_.Open(config_.endpoints, {&*curation_handler_, &lineage_handler_},
                         {{"postgres", [this] { return pool_.Ping(); }}});
}

rpc::Addresses App::addresses() const { return endpoints_.addresses(); }

}  // namespace tidewheel::curation
