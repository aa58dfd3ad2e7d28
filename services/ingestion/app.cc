#include "tidewheel/ingestion/app.h"

#include <array>
#include <string>
#include <utility>

#include "tidewheel/ingestion/migrations.h"
#include "tidewheel/log/log.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/service/events.h"
#include "tidewheel/service/storage.h"

namespace tidewheel::ingestion {
namespace {

constexpr char kSchema[] = "ingestion";
constexpr char kGroup[] = "ingestion.captures";
constexpr char kCaptures[] = "tidewheel.captures";
constexpr std::chrono::seconds kRegistryDeadline{2};

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

bus::ConsumerCounters ConsumerCountersOf(metrics::Registry& metrics) {
  const auto counter = [&](const std::string& what, const std::string& help) -> Counter& {
    return metrics.Counter("tidewheel_ingestion_captures_" + what + "_total", help);
  };
  return {.handled = counter("handled", "Captured payloads that were taken."),
          .dead_lettered = counter("dead_lettered", "Captures that cannot be taken, set aside."),
          .retried = counter("retried", "Attempts that failed for the moment."),
          .lost = counter("lost", "Positions another copy of the service had taken over."),
          .lag = metrics.Gauge("tidewheel_ingestion_waiting_captures",
                               "Captures on the bus that were not taken yet.")};
}

}  // namespace

Result<void> Migrate(const Config& config) {
  return service::Migrate(config.storage, {kSchema, Migrations()});
}

App::App(const Config& config)
    : config_(config),
      pool_(service::PoolOptionsOf(config.storage, kSchema, "ingestion")),
      tasks_(config.registry_address, {kRegistryDeadline, config.remember_tasks}),
      near_duplicates_(hashes_, {.follow_interval = config.follow_interval}) {}

Result<void> App::Start() {
  if (auto checked = postgres::CheckSchema(pool_, kSchema, Migrations()); !checked) return checked;
  auto blobs = blob::OpenFileStore(config_.payloads_root);
  if (!blobs) return blobs.error();
  blobs_ = *std::move(blobs);
  const std::array<std::string, 2> topics{"tidewheel.samples", kCaptures};
  auto broker = service::OpenBus(config_.bus, "ingestion", topics);
  if (!broker) return broker.error();
  broker_ = *std::move(broker);

  payloads_.emplace(*blobs_);
  ingestor_.emplace(tasks_, examiner_, near_duplicates_, *payloads_, store_, clock_,
                    CountersOf(metrics_));
  handler_.emplace(
      *ingestor_, store_, *payloads_, clock_,
      IngestionHandler::Options{config_.workers, config_.queue, config_.queue_bytes.bytes});
  const CaptureConsumer::Limits limits;
  captures_.emplace(*ingestor_, *payloads_, limits);
  bus::ConsumerOptions consuming{
      .group = kGroup,
      .topics = {kCaptures},
      .at_most = limits.samples,
      .counters = ConsumerCountersOf(metrics_),
      .on_problem = [](const Error& error) {
        log::Warning("captures wait or are set aside", {{"problem", error}});
      }};
  consumer_ = std::make_unique<bus::Consumer>(
      *broker_, std::move(consuming),
      bus::Consumer::Handler([this](std::span<const bus::Delivery> deliveries) {
        return captures_->Handle(deliveries);
      }));
  relay_ = service::RelayOutbox(pool_, *broker_, metrics_, kSchema, "ingestion");

  return endpoints_.Open(config_.endpoints, {&*handler_},
                         {{"postgres", [this] { return pool_.Ping(); }}});
}

rpc::Addresses App::addresses() const { return endpoints_.addresses(); }

}  // namespace tidewheel::ingestion
