#include "tidewheel/training/app.h"

#include <unistd.h>

#include <array>
#include <string>

#include "tidewheel/base/ids.h"
#include "tidewheel/log/log.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/service/events.h"
#include "tidewheel/service/storage.h"
#include "tidewheel/training/migrations.h"

namespace tidewheel::training {
namespace {

constexpr char kSchema[] = "training";
constexpr std::chrono::milliseconds kIdlePause{500};
constexpr std::chrono::milliseconds kCountInterval{2'000};

}  // namespace

Result<void> Migrate(const Config& config) {
  return service::Migrate(config.storage, {kSchema, Migrations()});
}

App::App(const Config& config)
    : config_(config),
      pool_(service::PoolOptionsOf(config.storage, kSchema, "training")),
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
  const std::array<std::string, 1> topics{"tidewheel.runs"};
  auto broker = service::OpenBus(config_.bus, "training", topics);
  if (!broker) return broker.error();
  broker_ = *std::move(broker);

  queue_.emplace(store_, clock_, RunQueue::Policy{.recipes = {"image-linear", "image-cnn"}});
  preprocessing_.emplace(*registry_);
  registrar_.emplace(*registry_, *payloads_);
  launcher_.emplace(store_, *preprocessing_,
                    ProcessOptions{.program = config_.worker_program,
                                   .work_folder = config_.work_folder,
                                   .payloads_root = config_.payloads_root,
                                   .threads = config_.worker_threads});
  handler_.emplace(*queue_, store_);
  relay_ = service::RelayOutbox(pool_, *broker_, metrics_, kSchema, "training");

  for (std::uint32_t i = 0; i < config_.concurrent_runs; ++i) {
    executors_.push_back(
        std::make_unique<Worker>("runs-" + std::to_string(i),
                                 [this](std::stop_token stop) { ExecuteRuns(std::move(stop)); }));
  }
  counting_ = std::make_unique<Worker>(
      "runs-open", [this](std::stop_token stop) { CountRuns(std::move(stop)); });
  return endpoints_.Open(config_.endpoints, {&*handler_},
                         {{"postgres", [this] { return pool_.Ping(); }}});
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

void App::CountRuns(std::stop_token stop) {
  const auto gauge = [this](const std::string& state) -> Gauge& {
    return metrics_.Gauge("tidewheel_training_open_runs", "Runs that have not ended.",
                          {{"state", state}});
  };
  Gauge& queued = gauge("queued");
  Gauge& running = gauge("running");
  Pause pause;
  do {
    const auto open = store_.CountOpen();
    if (!open) continue;  // The health says what is wrong with the database.
    queued.Set(static_cast<double>(open->queued));
    running.Set(static_cast<double>(open->running));
  } while (pause.Wait(stop, kCountInterval));
}

rpc::Addresses App::addresses() const { return endpoints_.addresses(); }

}  // namespace tidewheel::training
