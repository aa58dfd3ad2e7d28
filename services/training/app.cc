#include "tidewheel/training/app.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

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
constexpr std::chrono::milliseconds kCycleIdlePause{200};
constexpr std::chrono::minutes kForgetInterval{10};
constexpr char kAlertsGroup[] = "training.alerts";

bus::ConsumerCounters ConsumerCountersOf(metrics::Registry& metrics) {
  const auto counter = [&](const std::string& what, const std::string& help) -> Counter& {
    return metrics.Counter("tidewheel_training_events_" + what + "_total", help);
  };
  return {.handled = counter("handled", "Events of alerts that were decided on."),
          .dead_lettered = counter("dead_lettered", "Events that are none, set aside."),
          .retried = counter("retried", "Attempts that failed for the moment."),
          .lost = counter("lost", "Positions another copy of the service had taken over."),
          .lag = metrics.Gauge("tidewheel_training_waiting_events",
                               "Events of alerts that were not decided on yet.")};
}

}  // namespace

Result<void> Migrate(const Config& config) {
  return service::Migrate(config.storage, {kSchema, Migrations()});
}

App::App(const Config& config)
    : config_(config),
      pool_(service::PoolOptionsOf(config.storage, kSchema, "training")),
      registry_(OpenRegistry(config.registry_address)),
      traffic_(config.monitoring_address),
      labels_(config.labeling_address),
      datasets_(config.curation_address) {}

Result<void> App::Start() {
  if (auto checked = postgres::CheckSchema(pool_, kSchema, Migrations()); !checked) return checked;
  if (access(config_.worker_program.c_str(), X_OK) != 0) {
    return Error{ErrorCode::kFailedPrecondition,
                 "worker.program: " + config_.worker_program + " cannot be run"};
  }
  auto payloads = blob::OpenFileStore(config_.payloads_root);
  if (!payloads) return payloads.error();
  payloads_ = *std::move(payloads);
  const std::array<std::string, 3> topics{"tidewheel.runs", "tidewheel.cycles", "tidewheel.alerts"};
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
  driving_ = std::make_unique<Worker>(
      "cycles", [this](std::stop_token stop) { DriveCycles(std::move(stop)); });
  looking_around_ = std::make_unique<Worker>(
      "cycles-start", [this](std::stop_token stop) { LookAround(std::move(stop)); });
  bus::ConsumerOptions consumer_options{
      .group = kAlertsGroup,
      .topics = {"tidewheel.alerts"},
      .counters = ConsumerCountersOf(metrics_),
      .on_problem = [](const Error& error) {
        log::Warning("alerts wait or are set aside", {{"problem", error}});
      }};
  consumer_ = std::make_unique<bus::Consumer>(
      *broker_, std::move(consumer_options),
      bus::Consumer::OneByOne(
          [this](const bus::Delivery& delivery) { return alerts_.Handle(delivery); }));
  return endpoints_.Open(config_.endpoints, {&*handler_, &cycle_handler_},
                         {{"postgres", [this] { return pool_.Ping(); }}});
}

void App::ExecuteRuns(std::stop_token stop) {
  Counter& seen = metrics_.Counter("tidewheel_training_runs_executed_total",
                                   "Runs this process saw to an end or left to be resumed.");
  RunExecutor executor(store_, *launcher_, *registrar_, clock_,
                       {.owner = NewUuid(), .lease = config_.lease, .attempts = config_.attempts});
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

void App::DriveCycles(std::stop_token stop) {
  CycleDriver driver(cycles_, {models_, traffic_, labels_, datasets_, samples_, *queue_}, clock_,
                     {.owner = NewUuid(),
                      .lease = config_.cycle_lease,
                      .poll = config_.cycle_poll,
                      .run_threads = config_.worker_threads,
                      .on_end = [this](const Cycle& cycle) { CountEnd(cycle); }});
  Pause pause;
  while (!stop.stop_requested()) {
    const auto stepped = driver.StepNext();
    if (!stepped) log::Warning("cycle not taken further", {{"error", stepped.error()}});
    if (stepped && *stepped) continue;
    pause.Wait(stop, kCycleIdlePause);
  }
}

void App::LookAround(std::stop_token stop) {
  Pause pause;
  std::string told;
  std::optional<std::chrono::steady_clock::time_point> forgot;
  do {
    const auto now = std::chrono::steady_clock::now();
    if (!forgot || now - *forgot >= kForgetInterval) {
      forgot = now;
      const auto age = std::chrono::duration_cast<std::chrono::seconds>(config_.decision_retention);
      if (const auto rows = cycles_.Forget(age); !rows) {
        log::Warning("old decisions were not forgotten", {{"error", rows.error()}});
      }
    }
    const auto looked = starter_.LookAround();
    // Once for each reason: it may last.
    if (!looked && looked.error().message != told) {
      log::Warning("labels, schedules and alerts were not looked at", {{"error", looked.error()}});
    }
    told = looked ? "" : looked.error().message;
    CountCycles();
  } while (pause.Wait(stop, config_.cycle_look_around));
}

void App::CountCycles() {
  const auto counts = cycles_.CountByState();
  if (!counts) return;  // The health says what is wrong with the database.
  for (const auto& shown : std::exchange(shown_cycles_, {})) {
    const bool there = std::any_of(counts->begin(), counts->end(), [&](const auto& count) {
      return count.task == shown.second && Name(count.state) == shown.first;
    });
    if (!there) cycle_gauges_.Set({shown.first, shown.second}, 0);
  }
  for (const auto& count : *counts) {
    const std::string state(Name(count.state));
    cycle_gauges_.Set({state, count.task}, static_cast<double>(count.cycles));
    shown_cycles_.emplace_back(state, count.task);
  }
}

void App::CountEnd(const Cycle& cycle) {
  metrics_
      .Counter("tidewheel_training_cycles_ended_total", "Cycles that this process saw to an end.",
               {{"outcome", std::string(Name(cycle.state))}})
      .Add();
  metrics_
      .Counter("tidewheel_training_cycle_labels_total",
               "Votes that cycles asked annotators for, of those that ended.")
      .Add(static_cast<double>(cycle.labels));
  metrics_
      .Counter("tidewheel_training_cycle_cpu_seconds_total",
               "CPU time that cycles spent on training, of those that ended.")
      .Add(cycle.cpu_seconds);
}

rpc::Addresses App::addresses() const { return endpoints_.addresses(); }

}  // namespace tidewheel::training
