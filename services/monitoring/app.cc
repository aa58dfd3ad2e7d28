#include "tidewheel/monitoring/app.h"

#include <array>
#include <chrono>
#include <string>
#include <utility>

#include "tidewheel/log/log.h"
#include "tidewheel/monitoring/migrations.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/service/events.h"
#include "tidewheel/service/storage.h"

namespace tidewheel::monitoring {
namespace {

constexpr char kSchema[] = "monitoring";
constexpr char kGroup[] = "monitoring.facts";
constexpr std::size_t kBatch = 1'000;  // Deliveries stored in one transaction.
constexpr std::chrono::milliseconds kLook{250};

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
  return service::Migrate(config.storage, {kSchema, Migrations()});
}

App::App(const Config& config)
    : config_(config),
      pool_(service::PoolOptionsOf(config.storage, kSchema, "monitoring")),
      policies_(config.registry_address) {}

Result<void> App::Start() {
  if (auto checked = postgres::CheckSchema(pool_, kSchema, Migrations()); !checked) return checked;
  const std::array<std::string, 2> topics{"tidewheel.predictions", "tidewheel.outcomes"};
  const std::array<std::string, 5> all_topics{topics[0], topics[1], "tidewheel.labels",
                                              "tidewheel.samples", "tidewheel.alerts"};
  auto broker = service::OpenBus(config_.bus, "monitoring", all_topics);
  if (!broker) return broker.error();
  broker_ = *std::move(broker);

  if (!config_.payloads_root.empty()) {
    auto payloads = blob::OpenFileStore(config_.payloads_root);
    if (!payloads) return payloads.error();
    payloads_ = *std::move(payloads);
  }
  profiles_.emplace(config_.registry_address, payloads_.get());

  ObserverCounters counters{
      .predictions = metrics_.Counter("tidewheel_monitoring_predictions_total",
                                      "Predictions stored by this process."),
      .failures = metrics_.Counter("tidewheel_monitoring_failures_total",
                                   "Failed requests stored by this process."),
      .outcomes = metrics_.Counter("tidewheel_monitoring_outcomes_total",
                                   "Outcomes stored by this process.")};
  observer_.emplace(store_, policies_, counters);
  facts_.emplace(*observer_);
  alerting_.emplace(pool_, store_, policies_, clock_, metrics_,
                    Alerting::Options{.alertmanager_url = config_.alertmanager_url,
                                      .look = config_.export_interval,
                                      .retention = config_.retention});
  pump_.emplace(
      windows_, policies_, *profiles_, &alerting_->listener(),
      PumpCounters{.windows = metrics_.Counter("tidewheel_monitoring_windows_judged_total",
                                               "Windows judged by this process."),
                   .outcomes = metrics_.Counter("tidewheel_monitoring_outcomes_judged_total",
                                                "Joined outcomes judged by this process.")});
  window_worker_.emplace(*pump_, kLook);
  handler_.emplace(store_, *profiles_, alerting_->parts());
  alerting_->Start(*broker_);
  const bus::ConsumerCounters consumer_counters = ConsumerCountersOf(metrics_);
  for (auto& consumer : consumers_) {
    bus::ConsumerOptions consumer_options{
        .group = kGroup,
        .topics = {topics.begin(), topics.end()},
        .at_most = kBatch,
        .counters = consumer_counters,
        .on_problem = [](const Error& error) {
          log::Warning("events wait or are set aside", {{"problem", error}});
        }};
    consumer = std::make_unique<bus::Consumer>(
        *broker_, std::move(consumer_options),
        bus::Consumer::Handler([this](std::span<const bus::Delivery> deliveries) {
          const auto handled = facts_->Handle(deliveries);
          if (handled) window_worker_->Wake();
          return handled;
        }));
  }
  exporter_ = std::make_unique<SummaryExporter>(
      store_, metrics_, clock_,
      SummaryExporter::Options{config_.export_interval, config_.retention});

  return endpoints_.Open(config_.endpoints, {&*handler_},
                         {{"postgres", [this] { return pool_.Ping(); }}});
}

rpc::Addresses App::addresses() const { return endpoints_.addresses(); }

}  // namespace tidewheel::monitoring
