#include "tidewheel/training/app.h"

#include <unistd.h>

#include <array>
#include <string>

#include "tidewheel/base/ids.h"
#include "tidewheel/log/log.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/training/migrations.h"

namespace tidewheel::training {
namespace {

constexpr char kSchema[] = "training";
constexpr int kPartitions = 4;
constexpr std::chrono::milliseconds kIdlePause{500};

bus::BrokerOptions BrokerOptionsOf(const Config& config) {
  bus::BrokerOptions options;
  options.driver = config.bus_driver;
  options.address = config.bus_driver == "kafka" ? config.bus_brokers : config.bus_dsn;
  options.source = "training";
  return options;
}

}  // namespace

Result<void> Migrate(const Config& config) {
  if (config.admin_dsn.empty()) {
    return Error{ErrorCode::kInvalidArgument, "TIDEWHEEL_ADMIN_DSN is not set"};
  }
  const auto applied =
      postgres::Migrate(config.admin_dsn, kSchema, "tidewheel_training", Migrations());
  if (!applied) return applied.error();
  return {};
}

App::App(const Config& config)
    : config_(config),
      pool_({.dsn = config.postgres_dsn,
             .search_path = kSchema,
             .connections = config.postgres_connections,
             .application_name = "tidewheel-training"}),
      registry_(OpenRegistry(config.registry_address)) {}

Result<void> App::Start() {
  if (auto checked = postgres::CheckSchema(pool_, kSchema, Migrations()); !checked) return checked;
  if (access(config_.worker_program.c_str(), X_OK) != 0) {
    return Error{ErrorCode::kFailedPrecondition,
                 "worker.program: " + config_.worker_program + " cannot be run"};
  }
  auto payloads = blob::OpenFileStore(config_.payloads_root);
  if (!payloads) return payloads.error();
  payloads_ = *std::move(payloads);
  auto broker = bus::OpenBroker(BrokerOptionsOf(config_));
  if (!broker) return broker.error();
  broker_ = *std::move(broker);
  const std::array<std::string, 1> topics{"tidewheel.runs"};
  if (auto ensured = broker_->EnsureTopics(topics, kPartitions); !ensured) return ensured;

  queue_.emplace(store_, clock_, RunQueue::Policy{.recipes = {"image-linear", "image-cnn"}});
  preprocessing_.emplace(*registry_);
  registrar_.emplace(*registry_, *payloads_);
  launcher_.emplace(store_, *preprocessing_,
                    ProcessOptions{.program = config_.worker_program,
                                   .work_folder = config_.work_folder,
                                   .payloads_root = config_.payloads_root,
                                   .threads = config_.worker_threads});
  handler_.emplace(*queue_, store_);
  relay_ = std::make_unique<bus::OutboxRelay>(
      pool_, *broker_,
      bus::OutboxRelayOptions{
          .schema = kSchema,
          .relayed = metrics_.Counter("tidewheel_training_events_relayed_total",
                                      "Events moved from the outbox to the bus."),
          .refused = metrics_.Counter("tidewheel_training_events_refused_total",
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
  for (std::uint32_t i = 0; i < config_.concurrent_runs; ++i) {
    executors_.push_back(
        std::make_unique<Worker>("runs-" + std::to_string(i),
                                 [this](std::stop_token stop) { ExecuteRuns(std::move(stop)); }));
  }
  probe_ = std::make_unique<rpc::HealthProbe>(
      *server_, std::vector<rpc::Dependency>{{"postgres", [this] { return pool_.Ping(); }}});
  return {};
}

void App::ExecuteRuns(std::stop_token stop) {
  Counter& seen = metrics_.Counter("tidewheel_training_runs_executed_total",
                                   "Runs this process saw to an end or left to be resumed.");
  RunExecutor executor(store_, *launcher_, *registrar_, clock_,
                       {.owner = NewUuid(), .lease = config_.lease});
  Pause pause;
  while (!stop.stop_requested()) {
    const auto ran = executor.RunNext(stop);
    if (!ran) log::Warning("run not executed", {{"error", ran.error()}});
    if (ran && *ran) {
      seen.Add();
      continue;
    }
    pause.Wait(stop, kIdlePause);
  }
}

rpc::Addresses App::addresses() const {
  return {{"grpc", server_->address()}, {"metrics", exposer_->address()}};
}

}  // namespace tidewheel::training
