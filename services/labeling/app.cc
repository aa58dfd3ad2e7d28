#include "tidewheel/labeling/app.h"

#include <array>
#include <string>
#include <utility>

#include "tidewheel/labeling/migrations.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/service/events.h"
#include "tidewheel/service/storage.h"

namespace tidewheel::labeling {
namespace {

constexpr char kSchema[] = "labeling";

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
  return service::Migrate(config.storage, {kSchema, Migrations()});
}

App::App(const Config& config)
    : config_(config),
      pool_(service::PoolOptionsOf(config.storage, kSchema, "labeling")),
      tasks_(rpc::OpenChannel(config.registry_address), {.remember = config.remember_tasks}),
      taker_(tasks_, votes_, clock_, {}, VoteCountersOf(metrics_)),
      maker_(tasks_, labels_, clock_, LabelCountersOf(metrics_), config.labels_per_transaction) {}

Result<void> App::Start() {
  if (auto checked = postgres::CheckSchema(pool_, kSchema, Migrations()); !checked) return checked;

  const std::array<std::string, 1> topics{"tidewheel.labels"};
  auto broker = service::OpenBus(config_.bus, "labeling", topics);
  if (!broker) return broker.error();
  broker_ = *std::move(broker);
  relay_ = service::RelayOutbox(pool_, *broker_, metrics_, kSchema, "labeling");

  return endpoints_.Open(config_.endpoints, {&handler_},
                         {{"postgres", [this] { return pool_.Ping(); }}});
}

rpc::Addresses App::addresses() const { return endpoints_.addresses(); }

}  // namespace tidewheel::labeling
