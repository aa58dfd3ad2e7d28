// How many messages a second each driver moves on this machine: `bus_rates postgres` or `bus_rates
// kafka`.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <string>
#include <vector>

#include "tidewheel/base/ids.h"
#include "tidewheel/bus/broker.h"
#include "tidewheel/bus/outbox_relay.h"
#include "tidewheel/bus/postgres_broker.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/postgres/outbox.h"
#include "tidewheel/postgres/pool.h"
#include "tidewheel/testing/kafka_broker.h"
#include "tidewheel/testing/postgres_server.h"

namespace tidewheel::bus {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kPartitions = 4;
constexpr double kSecondsEach = 3;

double SecondsSince(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

std::vector<Message> MakeBatch(const std::string& topic, std::size_t count, std::size_t bytes) {
  std::vector<Message> messages(count);
  for (Message& message : messages) {
    message.topic = topic;
    message.event_id = NewUuid();
    message.key = message.event_id;
    message.type = "tidewheel.test.Rate";
    message.payload.assign(bytes, 'x');
  }
  return messages;
}

Result<void> MeasureSize(Broker& broker, std::size_t bytes, std::size_t batch) {
  const std::string topic = "rates." + NewUuid();
  if (auto made = broker.EnsureTopics({&topic, 1}, kPartitions); !made) return made;
  auto publisher = broker.NewPublisher();
  if (!publisher) return publisher.error();
  const auto messages = MakeBatch(topic, batch, bytes);
  if (auto warm = (*publisher)->Publish(messages); !warm) return warm;

  std::vector<double> times;
  auto start = steady_clock::now();
  while (SecondsSince(start) < kSecondsEach) {
    const auto before = steady_clock::now();
    if (auto published = (*publisher)->Publish(messages); !published) return published;
    times.push_back(SecondsSince(before));
  }
  const double published = static_cast<double>(times.size() * batch) / SecondsSince(start);
  std::sort(times.begin(), times.end());

  auto subscription = broker.Subscribe("rates." + topic, {&topic, 1});
  if (!subscription) return subscription.error();
  const std::size_t all = (times.size() + 1) * batch;
  std::size_t got = 0;
  while (got == 0) {
    const auto first = (*subscription)->Poll(1, milliseconds{1'000});
    if (!first) return first.error();
    got += first->size();
  }
  start = steady_clock::now();
  const std::size_t first = got;
  while (got < all) {
    const auto polled = (*subscription)->Poll(1'000, milliseconds{1'000});
    if (!polled) return polled.error();
    if (auto committed = (*subscription)->CommitAfter(*polled); !committed) return committed;
    got += polled->size();
  }
  const double consumed = static_cast<double>(got - first) / SecondsSince(start);
  std::printf("%6zu B, %5zu a call: publish %8.0f/s (call p50 %.2f ms, p99 %.2f ms), ", bytes,
              batch, published, 1e3 * times[times.size() / 2],
              1e3 * times[times.size() * 99 / 100]);
  std::printf("consume and commit %8.0f/s\n", consumed);
  return {};
}

/// From Publish to Poll with one message on its way.
Result<void> MeasureDelay(Broker& broker) {
  const std::string topic = "rates." + NewUuid();
  if (auto made = broker.EnsureTopics({&topic, 1}, 1); !made) return made;
  auto publisher = broker.NewPublisher();
  auto subscription = broker.Subscribe("rates." + topic, {&topic, 1});
  if (!publisher || !subscription) return Error{ErrorCode::kUnavailable, "no bus"};
  std::vector<double> times;
  for (int i = 0; i < 400; ++i) {
    const auto message = MakeBatch(topic, 1, 1'000);
    const auto start = steady_clock::now();
    if (auto published = (*publisher)->Publish(message); !published) return published;
    while (true) {
      const auto polled = (*subscription)->Poll(1, milliseconds{1'000});
      if (!polled) return polled.error();
      if (!polled->empty()) break;
    }
    if (i >= 50) times.push_back(SecondsSince(start));
  }
  std::sort(times.begin(), times.end());
  std::printf("one message there and polled: p50 %.2f ms, p99 %.2f ms\n",
              1e3 * times[times.size() / 2], 1e3 * times[times.size() * 99 / 100]);
  return {};
}

class Tally final : public Counter {
 public:
  void Add(double amount) override { total_ = total_ + static_cast<long>(amount); }
  long total() const { return total_; }

 private:
  std::atomic<long> total_ = 0;
};

Result<void> MeasureRelay(Broker& broker, testing::PostgresServer& server) {
  constexpr long kMessages = 30'000;
  const std::string topic = "rates." + NewUuid();
  if (auto made = broker.EnsureTopics({&topic, 1}, kPartitions); !made) return made;
  const auto database = server.CreateDatabase();
  if (!database) return database.error();
  if (auto migrated =
          postgres::Migrate(database->admin_dsn, "ingestion", "tidewheel_ingestion", {});
      !migrated) {
    return migrated.error();
  }
  postgres::Pool pool({.dsn = database->DsnOf("tidewheel_ingestion"), .search_path = "ingestion"});
  const postgres::Outbox outbox("ingestion");
  for (long sent = 0; sent < kMessages; sent += 1'000) {
    std::vector<postgres::OutboxMessage> rows;
    for (const Message& message : MakeBatch(topic, 1'000, 300)) {
      rows.push_back({.event_id = message.event_id,
                      .topic = message.topic,
                      .key = message.key,
                      .type = message.type,
                      .headers = {},
                      .payload = message.payload,
                      .traceparent = ""});
    }
    if (auto queued = pool.InTransaction([&](pqxx::work& tx) { return outbox.Enqueue(tx, rows); });
        !queued) {
      return queued;
    }
  }
  Tally relayed;
  const auto start = steady_clock::now();
  const OutboxRelay relay(pool, broker, {.schema = "ingestion", .relayed = relayed});
  while (relayed.total() < kMessages) Pause().Wait({}, milliseconds{5});
  std::printf("outbox relay, 300 B: %8.0f/s\n",
              static_cast<double>(kMessages) / SecondsSince(start));
  return {};
}

Result<void> Run(const std::string& driver) {
  // As durable as in production: every acknowledgement is on disk.
  auto server = testing::PostgresServer::Start({.durable = true});
  if (!server) return server.error();
  BrokerOptions options;
  options.driver = driver;
  std::unique_ptr<testing::KafkaBroker> kafka;
  if (driver == "kafka") {
    auto started = testing::KafkaBroker::Start();
    if (!started) return started.error();
    kafka = std::move(*started);
    options.address = kafka->bootstrap_servers();
  } else {
    const auto database = (*server)->CreateDatabase();
    if (!database) return database.error();
    if (auto migrated = MigratePostgresBus(database->admin_dsn); !migrated) return migrated;
    options.address = database->DsnOf("tidewheel_ingestion");
  }
  auto broker = OpenBroker(options);
  if (!broker) return broker.error();
  for (const std::size_t bytes : {300u, 1'000u, 3'136u}) {
    for (const std::size_t batch : {1u, 100u, 1'000u}) {
      if (auto measured = MeasureSize(**broker, bytes, batch); !measured) return measured;
    }
  }
  if (auto measured = MeasureDelay(**broker); !measured) return measured;
  return MeasureRelay(**broker, **server);
}

}  // namespace
}  // namespace tidewheel::bus

int main(int count, char** words) {
  const auto run = tidewheel::bus::Run(count > 1 ? words[1] : "postgres");
  if (run.ok()) return 0;
  std::fprintf(stderr, "%s\n", run.error().message.c_str());
  return 1;
}
