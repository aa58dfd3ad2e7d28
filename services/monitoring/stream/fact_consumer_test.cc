#include "tidewheel/monitoring/stream/fact_consumer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/bus/consumer.h"
#include "tidewheel/bus/postgres_broker.h"
#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/monitoring/migrations.h"
#include "tidewheel/monitoring/storage/postgres_monitoring_store.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/postgres_server.h"

namespace tidewheel::monitoring {
namespace {

using std::chrono::seconds;

const std::array<std::string, 2> kTopics{"tidewheel.predictions", "tidewheel.outcomes"};

class FakePolicies final : public PolicySource {
 public:
  Result<MonitoringPolicy> Policy(const std::string& task) override {
    if (away) return Error{ErrorCode::kUnavailable, "registry is away"};
    if (task != "lights") return Error{ErrorCode::kNotFound, "no task " + task};
    MonitoringPolicy policy;
    policy.window_predictions = 10;
    policy.slice_keys = {"camera"};
    return policy;
  }
  std::atomic<bool> away = false;
};

class CountingCounter final : public Counter {
 public:
  void Add(double amount) override { count += static_cast<int>(amount); }
  std::atomic<int> count = 0;
};

/// The consumer on a real bus and a real store.
class FactConsumerTest : public tidewheel::testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const auto bus_made = bus::MigratePostgresBus(database_.admin_dsn);
    ASSERT_TRUE(bus_made.ok()) << bus_made.error().message;
    const auto migrated =
        postgres::Migrate(database_.admin_dsn, "monitoring", "tidewheel_monitoring", Migrations());
    ASSERT_TRUE(migrated.ok()) << migrated.error().message;
    postgres::PoolOptions options;
    options.dsn = database_.DsnOf("tidewheel_monitoring");
    options.search_path = "monitoring";
    pool_.emplace(options);
    models_.emplace(*pool_);
    store_.emplace(*pool_, *models_);
    observer_.emplace(*store_, policies_, ObserverCounters{});
    facts_.emplace(*observer_);

    bus::BrokerOptions broker_options;
    broker_options.address = options.dsn;
    broker_options.poll_interval = std::chrono::milliseconds{50};
    broker_ = bus::OpenPostgresBroker(broker_options).value();
    ASSERT_TRUE(broker_->EnsureTopics(kTopics, 2).ok());
    publisher_ = broker_->NewPublisher().value();
  }

  void Consume() {
    bus::ConsumerCounters counters{
        .handled = handled_, .dead_lettered = dead_, .retried = retried_};
    bus::ConsumerOptions options{.group = "monitoring.facts",
                                 .topics = {kTopics.begin(), kTopics.end()},
                                 .counters = counters};
    consumer_ = std::make_unique<bus::Consumer>(
        *broker_, std::move(options),
        bus::Consumer::Handler([this](std::span<const bus::Delivery> deliveries) {
          return facts_->Handle(deliveries);
        }));
  }

  static bus::Message PredictionOf(int request, const std::string& task = "lights") {
    events::v1::PredictionEvent event;
    event.set_request_id("r-" + std::to_string(request));
    event.set_task(task);
    event.set_model_version_id("model-1");
    event.mutable_predicted_at()->set_seconds(1'700'000'000 + request);
    for (const char* name : {"red", "green"}) event.add_classes(name);
    for (int i = 0; i < 2; ++i) {
      auto* item = event.add_items();
      item->set_class_index(static_cast<std::uint32_t>(i));
      item->add_probabilities(i == 0 ? 0.75F : 0.25F);
      item->add_probabilities(i == 0 ? 0.25F : 0.75F);
    }
    return Wrap("tidewheel.predictions", "prediction.made", event.request_id(),
                event.SerializeAsString());
  }
  static bus::Message OutcomeOf(int request, const std::string& class_name) {
    events::v1::OutcomeEvent event;
    event.set_request_id("r-" + std::to_string(request));
    event.set_task("lights");
    event.set_class_name(class_name);
    event.set_source("person");
    event.mutable_observed_at()->set_seconds(1'700'000'100);
    return Wrap("tidewheel.outcomes", "outcome.recorded", event.request_id(),
                event.SerializeAsString());
  }
  static bus::Message Wrap(std::string topic, std::string type, std::string key,
                           std::string payload) {
    bus::Message message;
    message.topic = std::move(topic);
    message.type = std::move(type);
    message.key = std::move(key);
    message.payload = std::move(payload);
    return message;
  }
  void Publish(const std::vector<bus::Message>& messages) {
    const auto published = publisher_->Publish(messages);
    ASSERT_TRUE(published.ok()) << published.error().message;
  }
  Tally Counted(const std::string& task = "lights") {
    const auto page = store_->ListSummaries(task, {});
    return page.ok() && !page->items.empty() ? page->items[0].tally : Tally{};
  }

  FakePolicies policies_;
  CountingCounter handled_;
  CountingCounter dead_;
  CountingCounter retried_;
  std::optional<postgres::Pool> pool_;
  std::optional<ModelCatalog> models_;
  std::optional<PostgresMonitoringStore> store_;
  std::optional<Observer> observer_;
  std::optional<FactConsumer> facts_;
  std::unique_ptr<bus::Broker> broker_;
  std::unique_ptr<bus::Publisher> publisher_;
  std::unique_ptr<bus::Consumer> consumer_;  // Last: it uses the rest.
};

TEST_F(FactConsumerTest, WhatIsPublishedIsCountedOnceWhateverTheOrder) {
  std::vector<bus::Message> messages;
  for (int i = 0; i < 50; ++i) messages.push_back(OutcomeOf(i, i % 5 == 0 ? "green" : "red"));
  Publish(messages);
  Consume();
  messages.clear();
  for (int i = 0; i < 50; ++i) messages.push_back(PredictionOf(i));
  Publish(messages);
  // A publisher that got no answer sends again, here under other event ids.
  Publish(messages);

  ASSERT_TRUE(
      tidewheel::testing::Eventually(seconds(30), [this] { return handled_.count >= 150; }));
  EXPECT_EQ(Counted().predictions, 100U);  // Two answers a request.
  EXPECT_EQ(Counted().outcomes, 50U);
  EXPECT_EQ(Counted().correct, 40U);
  EXPECT_EQ(dead_.count, 0);
}

TEST_F(FactConsumerTest, AnEventThatIsNoneIsSetAsideAndTheOthersPass) {
  auto wrong_class = PredictionOf(7);
  events::v1::PredictionEvent event;
  ASSERT_TRUE(event.ParseFromString(wrong_class.payload));
  event.mutable_items(0)->set_class_index(4'000'000'000U);
  wrong_class.payload = event.SerializeAsString();
  Publish({PredictionOf(1), Wrap("tidewheel.predictions", "prediction.made", "x", "\xFF\xFF\xFF"),
           wrong_class, PredictionOf(2)});
  Consume();

  ASSERT_TRUE(tidewheel::testing::Eventually(seconds(30), [this] { return dead_.count == 2; }));
  ASSERT_TRUE(
      tidewheel::testing::Eventually(seconds(30), [this] { return Counted().predictions == 4; }));
  const auto set_aside = broker_->Extent("tidewheel.predictions.dlq").value();
  EXPECT_EQ(set_aside[0].end - set_aside[0].begin, 2);
}

TEST_F(FactConsumerTest, EventsWaitWhileNobodyKnowsTheTasksPolicy) {
  policies_.away = true;
  Publish({PredictionOf(1)});
  Consume();
  ASSERT_TRUE(tidewheel::testing::Eventually(seconds(30), [this] { return retried_.count > 0; }));
  EXPECT_EQ(Counted().predictions, 0U);

  policies_.away = false;
  EXPECT_TRUE(
      tidewheel::testing::Eventually(seconds(30), [this] { return Counted().predictions == 2; }));
  EXPECT_EQ(dead_.count, 0);
  // A task that is gone from the registry has windows of a default size.
  Publish({PredictionOf(2, "gone")});
  EXPECT_TRUE(tidewheel::testing::Eventually(seconds(30),
                                             [this] { return Counted("gone").predictions == 2; }));
}

TEST_F(FactConsumerTest, EverythingThatAnEventSaysOfAnAnswerIsKept) {
  events::v1::PredictionEvent event;
  event.set_request_id("r-1");
  event.set_task("lights");
  event.set_model_version_id("model-1");
  event.add_classes("red");
  event.add_classes("green");
  event.set_role("canary");
  event.set_seconds(0.5);
  (*event.mutable_metadata())["camera"] = "north";
  (*event.mutable_metadata())["weather"] = "rain";
  auto* item = event.add_items();
  item->set_class_index(1);
  item->add_probabilities(0.25F);
  item->add_probabilities(0.75F);
  item->add_embedding(1.5F);
  item->add_quality_problems("underexposed");
  (*item->mutable_measures())["luminance"] = 0.125;
  Publish({Wrap("tidewheel.predictions", "prediction.made", "r-1", event.SerializeAsString())});
  event.set_request_id("r-2");
  event.clear_items();
  event.set_error("INTERNAL");
  Publish({Wrap("tidewheel.predictions", "prediction.failed", "r-2", event.SerializeAsString())});
  Consume();
  ASSERT_TRUE(tidewheel::testing::Eventually(seconds(30), [this] { return handled_.count == 2; }));
  const auto found = store_->FindPrediction("r-1", 0);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->class_name(), "green");
  EXPECT_EQ((*found)->role, Role::kCanary);
  EXPECT_EQ((*found)->seconds, 0.5);
  EXPECT_EQ((*found)->slices, std::vector<std::string>{"camera=north"});
  EXPECT_EQ((*found)->embedding, std::vector<float>{1.5F});
  EXPECT_EQ((*found)->quality_problems, std::vector<std::string>{"underexposed"});
  EXPECT_EQ((*found)->measures, (std::vector<Measure>{{"luminance", 0.125}}));
  EXPECT_FALSE(store_->FindPrediction("r-2", 0)->has_value());
  EXPECT_EQ(dead_.count, 0);
}

TEST_F(FactConsumerTest, AnEventOfAnUnknownRoleIsSetAside) {
  events::v1::PredictionEvent event;
  event.set_request_id("r-1");
  event.set_task("lights");
  event.set_role("audience");
  Publish({Wrap("tidewheel.predictions", "prediction.made", "r-1", event.SerializeAsString())});
  Consume();
  EXPECT_TRUE(tidewheel::testing::Eventually(seconds(30), [this] { return dead_.count == 1; }));
}

}  // namespace
}  // namespace tidewheel::monitoring
