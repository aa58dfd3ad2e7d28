#include "tidewheel/ingestion/app.h"

#include <array>
#include <string>
#include <utility>

#include "tidewheel/ingestion/migrations.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/service/events.h"
#include "tidewheel/service/storage.h"

namespace tidewheel::ingestion {
namespace {

constexpr char kSchema[] = "ingestion";
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
  const std::array<std::string, 1> topics{"tidewheel.samples"};
  auto broker = service::OpenBus(config_.bus, "ingestion", topics);
  if (!broker) return broker.error();
  broker_ = *std::move(broker);

  payloads_.emplace(*blobs_);
  ingestor_.emplace(tasks_, examiner_, near_duplicates_, *payloads_, store_, clock_,
                    CountersOf(metrics_));
  handler_.emplace(
      *ingestor_, store_, *payloads_, clock_,
      IngestionHandler::Options{config_.workers, config_.queue, config_.queue_bytes.bytes});
  relay_ = service::RelayOutbox(pool_, *broker_, metrics_, kSchema, "ingestion");

  return endpoints_.Open(config_.endpoints, {&*handler_},
                         {{"postgres", [this] { return pool_.Ping(); }}});
}

rpc::Addresses App::addresses() const { return endpoints_.addresses(); }

}  // namespace tidewheel::ingestion
