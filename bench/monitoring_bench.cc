// Prediction events of 64 features, from the bus into windows by all of monitoring but its
// judgement, beside reading the same events from the same bus and dropping them.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tidewheel/base/ids.h"
#include "tidewheel/base/random.h"
#include "tidewheel/bus/consumer.h"
#include "tidewheel/bus/postgres_broker.h"
#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/monitoring/domain/observer.h"
#include "tidewheel/monitoring/domain/window_pump.h"
#include "tidewheel/monitoring/migrations.h"
#include "tidewheel/monitoring/storage/model_catalog.h"
#include "tidewheel/monitoring/storage/postgres_monitoring_store.h"
#include "tidewheel/monitoring/storage/postgres_window_store.h"
#include "tidewheel/monitoring/stream/fact_consumer.h"
#include "tidewheel/monitoring/window_worker.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/testing/kafka_broker.h"
#include "tidewheel/testing/postgres_server.h"

namespace tidewheel {
namespace {

using std::chrono::steady_clock;

constexpr int kEvents = 120'000;  // So many that connecting and joining count little.
constexpr int kFeatures = 64;
constexpr int kEmbedding = 16;
constexpr std::size_t kBatch = 1'000;  // As the service takes them.
constexpr int kMembers = 2;            // Consumers of one copy of the service.
constexpr int kPartitions = 4;         // As the platform makes them.
constexpr int kMicrosecondsBetween = 500;
constexpr std::uint32_t kWindow = 200;
constexpr double kLateness = 2;
constexpr std::chrono::seconds kLimit{120};
constexpr std::chrono::milliseconds kSettling{300};  // For the last commit, before the group ends.
const std::array<std::string, 1> kTopics{"tidewheel.predictions"};

[[noreturn]] void Die(const std::string& message) {
  std::cerr << "monitoring_bench: " << message << "\n";
  std::_Exit(1);
}

template <typename T>
T OrDie(Result<T> result, const std::string& what) {
  if (!result) Die(what + ": " + result.error().message);
  return std::move(*result);
}

void OrDie(const Result<void>& result, const std::string& what) {
  if (!result) Die(what + ": " + result.error().message);
}

/// Windows that must be closed once everything has come: those that the watermark has passed.
constexpr std::uint64_t ClosedWindows() {
  const auto late = static_cast<int>(kLateness * 1e6) / kMicrosecondsBetween;
  return static_cast<std::uint64_t>(kEvents - late) / kWindow;
}

std::vector<bus::Message> MakeUpEvents() {
  Random random(1);
  std::vector<bus::Message> messages;
  for (int i = 0; i < kEvents; ++i) {
    events::v1::PredictionEvent event;
    event.set_request_id(NewUuid());
    event.set_task("bench");
    event.set_model_version_id("0192f000-0000-7000-8000-000000000001");
    const std::int64_t micros = 1'790'000'000'000'000 + std::int64_t{i} * kMicrosecondsBetween;
    event.mutable_predicted_at()->set_seconds(micros / 1'000'000);
    event.mutable_predicted_at()->set_nanos(static_cast<int>(micros % 1'000'000) * 1'000);
    for (const char* name : {"red", "yellow", "green"}) event.add_classes(name);
    event.set_role("production");
    event.set_seconds(0.004);
    auto* item = event.add_items();
    const auto answered = random.Below(3);
    item->set_class_index(static_cast<std::uint32_t>(answered));
    for (std::uint64_t k = 0; k < 3; ++k) item->add_probabilities(k == answered ? 0.8F : 0.1F);
    for (int k = 0; k < kFeatures; ++k) {
      (*item->mutable_measures())["feature_" + std::to_string(k)] = random.Normal();
    }
    for (int k = 0; k < kEmbedding; ++k) item->add_embedding(static_cast<float>(random.Normal()));
    bus::Message message;
    message.topic = kTopics[0];
    message.type = "prediction.made";
    message.key = event.request_id();
    message.payload = event.SerializeAsString();
    messages.push_back(std::move(message));
  }
  return messages;
}

class FixedPolicies final : public monitoring::PolicySource {
 public:
  Result<monitoring::MonitoringPolicy> Policy(const std::string& /*task*/) override {
    monitoring::MonitoringPolicy policy;
    policy.window_predictions = kWindow;
    policy.lateness_seconds = kLateness;
    return policy;
  }
};

class NoProfiles final : public monitoring::ProfileSource {
 public:
  Result<std::shared_ptr<const monitoring::Profile>> ProfileOf(
      const monitoring::ModelKey& /*model*/) override {
    return std::shared_ptr<const monitoring::Profile>();
  }
};

/// A listener that has nothing to say.
class Deaf final : public monitoring::WindowListener {
 public:
  Result<void> OnWindow(const monitoring::WindowRows& window, const monitoring::Profile* /*none*/,
                        const monitoring::MonitoringPolicy& /*policy*/) override {
    rows += window.rows.size();
    return {};
  }
  Result<void> OnOutcomes(const monitoring::ModelKey& /*model*/,
                          const std::vector<std::string>& /*classes*/,
                          std::span<const monitoring::ObservedRow> /*rows*/,
                          std::uint64_t /*first*/, const monitoring::Profile* /*none*/,
                          const monitoring::MonitoringPolicy& /*policy*/) override {
    return {};
  }
  std::atomic<std::uint64_t> rows = 0;
};

testing::PostgresServer& Server() {
  static const auto server = OrDie(testing::PostgresServer::Start({.durable = true}), "PostgreSQL");
  return *server;
}

/// The bus with all events on it. Made once.
bus::Broker& PostgresBus() {
  static const auto broker = [] {
    const auto database = OrDie(Server().CreateDatabase(), "database");
    OrDie(bus::MigratePostgresBus(database.admin_dsn), "bus");
    bus::BrokerOptions options;
    options.address = database.DsnOf("tidewheel_monitoring");
    auto made = OrDie(bus::OpenPostgresBroker(options), "bus");
    OrDie(made->EnsureTopics(kTopics, kPartitions), "topics");
    OrDie(OrDie(made->NewPublisher(), "publisher")->Publish(MakeUpEvents()), "publish");
    return made;
  }();
  return *broker;
}

/// The same on a private Kafka; null where there is none.
bus::Broker* KafkaBus() {
  static auto server = testing::KafkaBroker::Start();
  if (!server) return nullptr;
  static const auto broker = [] {
    bus::BrokerOptions options;
    options.driver = "kafka";
    options.address = (*server)->bootstrap_servers();
    auto made = OrDie(bus::OpenBroker(options), "Kafka");
    OrDie(made->EnsureTopics(kTopics, kPartitions), "topics");
    OrDie(OrDie(made->NewPublisher(), "publisher")->Publish(MakeUpEvents()), "publish");
    return made;
  }();
  return broker.get();
}

double ResidentBytes() {
  std::ifstream status("/proc/self/statm");
  double total = 0;
  double resident = 0;
  status >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

template <typename Condition>
void WaitFor(const Condition& condition) {
  const auto deadline = steady_clock::now() + kLimit;
  while (!condition()) {
    if (steady_clock::now() > deadline) Die("events were not handled in time");
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

using Consumers = std::vector<std::unique_ptr<bus::Consumer>>;

/// Reads everything as a group of its own and hands it to `handle`.
Consumers ReadAll(bus::Broker& broker, int members, const bus::Consumer::Handler& handle) {
  const std::string group = "bench." + NewUuid();
  Consumers consumers;
  for (int i = 0; i < members; ++i) {
    bus::ConsumerOptions options;
    options.group = group;
    options.topics = {kTopics.begin(), kTopics.end()};
    options.at_most = kBatch;
    options.wait = std::chrono::milliseconds(50);
    options.on_problem = [](const Error& error) { std::cerr << error.message << "\n"; };
    consumers.push_back(std::make_unique<bus::Consumer>(broker, std::move(options), handle));
  }
  return consumers;
}

void Drop(benchmark::State& state, bus::Broker* broker, int members) {
  if (broker == nullptr) {
    state.SkipWithError("this bus is not installed");
    return;
  }
  double seconds = 0;
  for (auto _ : state) {
    std::atomic<int> dropped = 0;
    const auto started = steady_clock::now();
    const auto consumers =
        ReadAll(*broker, members, [&](std::span<const bus::Delivery> deliveries) -> Result<void> {
          dropped += static_cast<int>(deliveries.size());
          return {};
        });
    WaitFor([&] { return dropped >= kEvents; });
    const double took = std::chrono::duration<double>(steady_clock::now() - started).count();
    seconds += took;
    state.SetIterationTime(took);
    std::this_thread::sleep_for(kSettling);
  }
  state.counters["per_second"] = static_cast<double>(state.iterations()) * kEvents / seconds;
}

/// All of monitoring's way from the bus to closed windows, on an empty schema.
struct Pipeline {
  Pipeline() {
    const auto database = OrDie(Server().CreateDatabase(), "database");
    OrDie(postgres::Migrate(database.admin_dsn, "monitoring", "tidewheel_monitoring",
                            monitoring::Migrations()),
          "migrations");
    postgres::PoolOptions options;
    options.dsn = database.DsnOf("tidewheel_monitoring");
    options.search_path = "monitoring";
    pool = std::make_unique<postgres::Pool>(options);
    models = std::make_unique<monitoring::ModelCatalog>(*pool);
    store = std::make_unique<monitoring::PostgresMonitoringStore>(*pool, *models);
    windows = std::make_unique<monitoring::PostgresWindowStore>(*pool, *models);
    observer =
        std::make_unique<monitoring::Observer>(*store, policies, monitoring::ObserverCounters{});
    facts = std::make_unique<monitoring::FactConsumer>(*observer);
  }

  std::uint64_t Closed() const {
    const auto newest = store->ListWindows({{"bench", ""}, "", "count"}, {1, ""});
    if (!newest || newest->items.empty()) return 0;
    const auto& window = newest->items.front();
    return window.closed ? window.number : window.number - 1;
  }

  FixedPolicies policies;
  NoProfiles profiles;
  std::unique_ptr<postgres::Pool> pool;
  std::unique_ptr<monitoring::ModelCatalog> models;
  std::unique_ptr<monitoring::PostgresMonitoringStore> store;
  std::unique_ptr<monitoring::PostgresWindowStore> windows;
  std::unique_ptr<monitoring::Observer> observer;
  std::unique_ptr<monitoring::FactConsumer> facts;
};

void Consume(benchmark::State& state, bus::Broker* broker) {
  if (broker == nullptr) {
    state.SkipWithError("this bus is not installed");
    return;
  }
  double seconds = 0;
  int passes = 0;
  double settled_resident = 0;
  for (auto _ : state) {
    Pipeline pipeline;
    monitoring::WindowPump pump(*pipeline.windows, pipeline.policies, pipeline.profiles, nullptr,
                                monitoring::PumpCounters{});
    std::atomic<int> handled = 0;
    const auto started = steady_clock::now();
    monitoring::WindowWorker worker(pump, std::chrono::milliseconds(250));
    const auto consumers =
        ReadAll(*broker, kMembers, [&](std::span<const bus::Delivery> deliveries) -> Result<void> {
          const auto stored = pipeline.facts->Handle(deliveries);
          if (stored) handled += static_cast<int>(deliveries.size());
          worker.Wake();
          return stored;
        });
    WaitFor([&] { return handled >= kEvents; });
    WaitFor([&] { return pipeline.Closed() >= ClosedWindows(); });
    const double took = std::chrono::duration<double>(steady_clock::now() - started).count();
    seconds += took;
    state.SetIterationTime(took);
    std::this_thread::sleep_for(kSettling);
    if (++passes == 2) settled_resident = ResidentBytes();
  }
  state.counters["per_second"] = static_cast<double>(state.iterations()) * kEvents / seconds;
  state.counters["resident_bytes"] = ResidentBytes();
  state.counters["resident_growth"] = ResidentBytes() / settled_resident;
}

/// Rows read back and handed over, window by window.
void Tell(benchmark::State& state) {
  Pipeline pipeline;
  std::atomic<int> handled = 0;
  {
    const auto consumers = ReadAll(PostgresBus(), kMembers,
                                   [&](std::span<const bus::Delivery> deliveries) -> Result<void> {
                                     const auto stored = pipeline.facts->Handle(deliveries);
                                     if (stored) handled += static_cast<int>(deliveries.size());
                                     return stored;
                                   });
    WaitFor([&] { return handled >= kEvents; });
  }
  while (OrDie(pipeline.windows->Cut(), "cut") > 0) {
  }
  double seconds = 0;
  Deaf deaf;
  for (auto _ : state) {
    monitoring::WindowPump pump(*pipeline.windows, pipeline.policies, pipeline.profiles, &deaf,
                                monitoring::PumpCounters{});
    const auto started = steady_clock::now();
    while (OrDie(pump.TellOnce(), "tell")) {
    }
    const double took = std::chrono::duration<double>(steady_clock::now() - started).count();
    seconds += took;
    state.SetIterationTime(took);
  }
  state.counters["per_second"] = static_cast<double>(deaf.rows) / seconds;
}

void RegisterAll() {
  const auto add = [](const std::string& name, auto body, int passes) {
    benchmark::RegisterBenchmark(name.c_str(), body)
        ->Iterations(passes)
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
  };
  add(
      "postgres/drop", [](benchmark::State& state) { Drop(state, &PostgresBus(), 1); }, 3);
  add(
      "postgres/drop_by_two",
      [](benchmark::State& state) { Drop(state, &PostgresBus(), kMembers); }, 3);
  add(
      "postgres/consume", [](benchmark::State& state) { Consume(state, &PostgresBus()); }, 4);
  add("tell", Tell, 1);
  // By request: starting a broker takes longer than all the rest.
  if (std::getenv("TIDEWHEEL_BENCH_KAFKA") == nullptr) return;
  add(
      "kafka/drop", [](benchmark::State& state) { Drop(state, KafkaBus(), 1); }, 3);
  add(
      "kafka/consume", [](benchmark::State& state) { Consume(state, KafkaBus()); }, 4);
}

}  // namespace
}  // namespace tidewheel

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  tidewheel::RegisterAll();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
