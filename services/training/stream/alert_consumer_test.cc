#include "tidewheel/training/stream/alert_consumer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <optional>

#include "tidewheel/base/ids.h"
#include "tidewheel/bus/consumer.h"
#include "tidewheel/bus/postgres_broker.h"
#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/postgres_server.h"
#include "tidewheel/training/domain/fake_callees.h"
#include "tidewheel/training/migrations.h"
#include "tidewheel/training/storage/postgres_cycle_store.h"

namespace tidewheel::training {
namespace {

using std::chrono::seconds;

const std::array<std::string, 1> kTopics{"tidewheel.alerts"};

class CountingCounter final : public Counter {
 public:
  void Add(double amount) override { count += static_cast<int>(amount); }
  std::atomic<int> count = 0;
};

/// The consumer on a real bus and a real store.
class AlertConsumerTest : public tidewheel::testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const auto bus_made = bus::MigratePostgresBus(database_.admin_dsn);
    ASSERT_TRUE(bus_made.ok()) << bus_made.error().message;
    const auto migrated =
        postgres::Migrate(database_.admin_dsn, "training", "tidewheel_training", Migrations());
    ASSERT_TRUE(migrated.ok()) << migrated.error().message;
    postgres::PoolOptions options;
    options.dsn = database_.DsnOf("tidewheel_training");
    options.search_path = "training";
    pool_.emplace(options);
    store_.emplace(*pool_);
    starter_.emplace(*store_, platform_, platform_, clock_);
    alerts_.emplace(*starter_);

    bus::BrokerOptions broker_options;
    broker_options.address = options.dsn;
    broker_options.poll_interval = std::chrono::milliseconds{50};
    broker_ = bus::OpenPostgresBroker(broker_options).value();
    ASSERT_TRUE(broker_->EnsureTopics(kTopics, 2).ok());
    publisher_ = broker_->NewPublisher().value();
    bus::ConsumerCounters counters{.handled = handled_, .dead_lettered = dead_};
    bus::ConsumerOptions consumer_options{.group = "training.alerts",
                                          .topics = {kTopics.begin(), kTopics.end()},
                                          .counters = counters};
    consumer_ = std::make_unique<bus::Consumer>(
        *broker_, std::move(consumer_options),
        bus::Consumer::OneByOne(
            [this](const bus::Delivery& delivery) { return alerts_->Handle(delivery); }));
  }

  static bus::Message AlertOf(const std::string& alert, const std::string& cause,
                              const std::string& type = "alert.raised") {
    events::v1::AlertEvent event;
    event.set_alert_id(alert);
    event.set_task("lights");
    event.set_model_version_id("model-1");
    event.set_cause(cause);
    event.set_damage(0.25);
    event.mutable_since()->set_seconds(1'700'000'000);
    bus::Message message;
    message.topic = "tidewheel.alerts";
    message.key = alert;
    message.event_id = NewUuid();
    message.type = type;
    message.payload = event.SerializeAsString();
    return message;
  }
  void Publish(const std::vector<bus::Message>& messages) {
    const auto published = publisher_->Publish(messages);
    ASSERT_TRUE(published.ok()) << published.error().message;
  }
  bool HandledAreAtLeast(int count) {
    return tidewheel::testing::Eventually(seconds(30),
                                          [this, count] { return handled_.count >= count; });
  }

  SystemClock clock_;
  FakePlatform platform_;
  CountingCounter handled_;
  CountingCounter dead_;
  std::optional<postgres::Pool> pool_;
  std::optional<PostgresCycleStore> store_;
  std::optional<CycleStarter> starter_;
  std::optional<AlertConsumer> alerts_;
  std::unique_ptr<bus::Broker> broker_;
  std::unique_ptr<bus::Publisher> publisher_;
  std::unique_ptr<bus::Consumer> consumer_;  // Last: it uses the rest.
};

TEST_F(AlertConsumerTest, AStormOfAlertsStartsOneCycleAndEveryDecisionIsARow) {
  std::vector<bus::Message> storm;
  for (int i = 0; i < 20; ++i) storm.push_back(AlertOf("alert-" + std::to_string(i), "data_drift"));
  Publish(storm);
  Publish(storm);  // A publisher that got no answer sends again.
  ASSERT_TRUE(HandledAreAtLeast(40));
  const auto cycles = store_->List("lights", {}, {});
  ASSERT_EQ(cycles->items.size(), 1U);
  EXPECT_EQ(cycles->items[0].trigger.alert_cause, "data_drift");
  EXPECT_EQ(cycles->items[0].trigger.since, Timestamp(seconds(1'700'000'000)));
  EXPECT_EQ(store_->ListDecisions("lights", {})->items.size(), 20U);
  EXPECT_EQ(store_->ListWaitingAlerts()->size(), 19U);
}

TEST_F(AlertConsumerTest, ASensorFaultStartsNoneAndTheDecisionSaysWhy) {
  Publish({AlertOf("alert-1", "sensor_fault"), AlertOf("alert-1", "sensor_fault", "alert.muted")});
  ASSERT_TRUE(HandledAreAtLeast(2));
  EXPECT_TRUE(store_->List("lights", {}, {})->items.empty());
  const auto decisions = store_->ListDecisions("lights", {});
  ASSERT_EQ(decisions->items.size(), 1U);
  EXPECT_FALSE(decisions->items[0].Started());
  EXPECT_EQ(decisions->items[0].because, "sensor_fault");
}

TEST_F(AlertConsumerTest, WhatIsNoAlertIsSetAside) {
  auto broken = AlertOf("alert-1", "data_drift");
  broken.payload = "\xFF\xFF\xFF";
  Publish({broken, AlertOf("", "data_drift"), AlertOf("alert-2", "data_drift")});
  EXPECT_TRUE(tidewheel::testing::Eventually(seconds(30), [this] { return dead_.count == 2; }));
  EXPECT_TRUE(HandledAreAtLeast(1));
}

}  // namespace
}  // namespace tidewheel::training
