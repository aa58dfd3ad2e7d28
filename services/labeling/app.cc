#include "tidewheel/labeling/app.h"

#include <array>
#include <string>
#include <utility>

#include "tidewheel/labeling/migrations.h"
#include "tidewheel/log/log.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/service/events.h"
#include "tidewheel/service/storage.h"

namespace tidewheel::labeling {
namespace {

constexpr char kSchema[] = "labeling";
constexpr char kGroup[] = "labeling.facts";
constexpr std::size_t kBatch = 200;  // Deliveries taken in one transaction.

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

QueueCounters QueueCountersOf(metrics::Registry& metrics) {
  const auto counter = [&](const std::string& what, const std::string& help) -> Counter& {
    return metrics.Counter("tidewheel_labeling_queue_" + what + "_total", help);
  };
  return {.queued = counter("samples", "Samples that were queued."),
          .skipped = counter("skipped", "Samples that were not asked."),
          .leased = counter("leases", "Leases that were given."),
          .released = counter("released", "Leases that were given back."),
          .votes = VoteCountersOf(metrics)};
}

FactCounters FactCountersOf(metrics::Registry& metrics) {
  return {.votes = metrics.Counter("tidewheel_labeling_outcome_votes_total",
                                   "Votes that outcomes made."),
          .pending = metrics.Counter("tidewheel_labeling_outcomes_pending_total",
                                     "Outcomes that came before their sample, if one comes.")};
}

bus::ConsumerCounters ConsumerCountersOf(metrics::Registry& metrics) {
  const auto counter = [&](const std::string& what, const std::string& help) -> Counter& {
    return metrics.Counter("tidewheel_labeling_facts_" + what + "_total", help);
  };
  return {.handled = counter("handled", "Outcomes and samples that were taken."),
          .dead_lettered = counter("dead_lettered", "Events that are none, set aside."),
          .retried = counter("retried", "Attempts that failed for the moment."),
          .lost = counter("lost", "Positions another copy of the service had taken over."),
          .lag = metrics.Gauge("tidewheel_labeling_waiting_facts",
                               "Events on the bus that were not taken yet.")};
}

}  // namespace

Result<void> Migrate(const Config& config) {
  return service::Migrate(config.storage, {kSchema, Migrations()});
}

App::App(const Config& config)
    : config_(config),
      pool_(service::PoolOptionsOf(config.storage, kSchema, "labeling")),
      tasks_(rpc::OpenChannel(config.registry_address), {.remember = config.remember_tasks}),
      queue_store_(pool_, clock_, {.absent_after = config.absent_after}),
      taker_(tasks_, votes_, clock_, {}, VoteCountersOf(metrics_)),
      maker_(tasks_, labels_, clock_, LabelCountersOf(metrics_), config.labels_per_transaction),
      // The ports open after the worker started.
      queue_(
          tasks_, queue_store_, clock_, [this] { worker_->Wake(); }, {}, QueueCountersOf(metrics_)),
      facts_(queue_store_, tasks_, clock_, {.compute_after = config.compute_after},
             FactCountersOf(metrics_)) {}

Result<void> App::Start() {
  if (auto checked = postgres::CheckSchema(pool_, kSchema, Migrations()); !checked) return checked;

  const std::array<std::string, 3> topics{"tidewheel.labels", "tidewheel.outcomes",
                                          "tidewheel.samples"};
  auto broker = service::OpenBus(config_.bus, "labeling", topics);
  if (!broker) return broker.error();
  broker_ = *std::move(broker);
  relay_ = service::RelayOutbox(pool_, *broker_, metrics_, kSchema, "labeling");
  worker_ =
      std::make_unique<LabelWorker>(queue_store_, maker_, clock_,
                                    LabelWorker::Options{.interval = config_.work_interval,
                                                         .keep_outcomes = config_.keep_outcomes},
                                    metrics_.Counter("tidewheel_labeling_batches_completed_total",
                                                     "Batches whose labels were computed."));
  bus::ConsumerOptions consuming{
      .group = kGroup,
      .topics = {"tidewheel.outcomes", "tidewheel.samples"},
      .at_most = kBatch,
      .counters = ConsumerCountersOf(metrics_),
      .on_problem = [](const Error& error) {
        log::Warning("facts wait or are set aside", {{"problem", error}});
      }};
  consumer_ = std::make_unique<bus::Consumer>(
      *broker_, std::move(consuming),
      bus::Consumer::Handler(
          [this](std::span<const bus::Delivery> deliveries) { return facts_.Handle(deliveries); }));

  return endpoints_.Open(config_.endpoints, {&handler_, &queue_handler_},
                         {{"postgres", [this] { return pool_.Ping(); }}});
}

rpc::Addresses App::addresses() const { return endpoints_.addresses(); }

}  // namespace tidewheel::labeling
