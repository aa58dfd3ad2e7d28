#include "tidewheel/ingestion/stream/capture_consumer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/blob/store.h"
#include "tidewheel/bus/consumer.h"
#include "tidewheel/bus/postgres_broker.h"
#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/ingestion/domain/fakes.h"
#include "tidewheel/ingestion/migrations.h"
#include "tidewheel/ingestion/payloads/blob_payload_store.h"
#include "tidewheel/ingestion/storage/postgres_sample_store.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/postgres_server.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::ingestion {
namespace {

using std::chrono::seconds;
using ::testing::IsSupersetOf;
using ::testing::Pair;

const std::array<std::string, 1> kTopics{"tidewheel.captures"};

class CountingCounter final : public Counter {
 public:
  void Add(double amount) override { count += static_cast<int>(amount); }
  std::atomic<int> count = 0;
};

/// Breaks off once, between what was stored and the position's commit.
class StoreThatIsKilled final : public SampleStore {
 public:
  explicit StoreThatIsKilled(SampleStore& store) : store_(store) {}
  Result<KnownPushes> FindKnown(const std::string& task,
                                std::span<const PushedName> names) override {
    return store_.FindKnown(task, names);
  }
  Result<bool> Save(const BatchToStore& batch) override {
    if (before_save-- == 0) return Error{ErrorCode::kUnavailable, "killed before the commit"};
    const auto saved = store_.Save(batch);
    if (after_save-- == 0) return Error{ErrorCode::kUnavailable, "killed after the commit"};
    return saved;
  }
  Result<std::optional<Sample>> Find(const std::string& id) override { return store_.Find(id); }
  Result<Page<Sample>> List(const SampleFilter& filter, const PageRequest& page) override {
    return store_.List(filter, page);
  }
  Result<Sample> Deactivate(const std::string& id, const std::string& reason,
                            Timestamp now) override {
    return store_.Deactivate(id, reason, now);
  }
  Result<Page<QuarantinedSample>> ListQuarantine(const std::string& task,
                                                 std::optional<ReasonCode> reason,
                                                 const PageRequest& page) override {
    return store_.ListQuarantine(task, reason, page);
  }
  Result<SampleCounts> Count(const std::string& task) override { return store_.Count(task); }

  std::atomic<int> before_save = -1;
  std::atomic<int> after_save = -1;

 private:
  SampleStore& store_;
};

/// The consumer on a real bus, a real store and real files; pictures are words.
class CaptureConsumerTest : public tidewheel::testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const auto bus_made = bus::MigratePostgresBus(database_.admin_dsn);
    ASSERT_TRUE(bus_made.ok()) << bus_made.error().message;
    const auto migrated =
        postgres::Migrate(database_.admin_dsn, "ingestion", "tidewheel_ingestion", Migrations());
    ASSERT_TRUE(migrated.ok()) << migrated.error().message;
    postgres::PoolOptions options;
    options.dsn = database_.DsnOf("tidewheel_ingestion");
    options.search_path = "ingestion";
    pool_.emplace(options);
    store_.emplace(*pool_);
    killed_.emplace(*store_);
    blobs_ = blob::OpenFileStore(folder_.path()).value();
    payloads_.emplace(*blobs_);
    ingestor_.emplace(tasks_, examiner_, near_, *payloads_, *killed_, clock_, IngestorCounters{});
    captures_.emplace(*ingestor_, *payloads_, CaptureConsumer::Limits{.samples = 7});

    bus::BrokerOptions broker_options;
    broker_options.address = options.dsn;
    broker_options.poll_interval = std::chrono::milliseconds{50};
    broker_ = bus::OpenPostgresBroker(broker_options).value();
    ASSERT_TRUE(broker_->EnsureTopics(kTopics, 2).ok());
    publisher_ = broker_->NewPublisher().value();
  }

  void Consume() {
    bus::ConsumerOptions options{
        .group = "ingestion.captures",
        .topics = {kTopics.begin(), kTopics.end()},
        .first_backoff = std::chrono::milliseconds{5},
        .counters = {.handled = handled_, .dead_lettered = dead_, .retried = retried_}};
    consumer_ = std::make_unique<bus::Consumer>(
        *broker_, std::move(options),
        bus::Consumer::Handler([this](std::span<const bus::Delivery> deliveries) {
          return captures_->Handle(deliveries);
        }));
  }

  bus::Message CaptureOf(const std::string& request, const std::string& payload,
                         std::uint32_t index = 0) {
    events::v1::CaptureEvent event;
    event.set_request_id(request);
    event.set_index(index);
    event.set_task("lights");
    event.set_model_version_id("model-1");
    event.mutable_captured_at()->set_seconds(1'700'000'000);
    const auto stored = blobs_->Put(payload);
    EXPECT_TRUE(stored.ok()) << stored.error().message;
    event.set_payload_ref(stored.ok() ? stored->text() : "");
    event.set_because("random");
    event.set_inclusion_probability(0.1);
    event.set_class_name("red");
    event.set_confidence(0.75);
    (*event.mutable_metadata())["camera"] = "7";
    (*event.mutable_metadata())["confidence"] = "what the client says";
    return Wrap(event);
  }
  static bus::Message Wrap(const events::v1::CaptureEvent& event) {
    bus::Message message;
    message.topic = kTopics[0];
    message.type = "payload.captured";
    message.key = event.request_id();
    message.payload = event.SerializeAsString();
    return message;
  }
  void Publish(const std::vector<bus::Message>& messages) {
    const auto published = publisher_->Publish(messages);
    ASSERT_TRUE(published.ok()) << published.error().message;
  }
  bool Handled(int count) {
    return tidewheel::testing::Eventually(seconds(30), [&] { return handled_.count >= count; });
  }
  std::vector<Sample> SamplesOf(const std::string& request) {
    SampleFilter filter;
    filter.task = "lights";
    filter.request_id = request;
    const auto page = store_->List(filter, {});
    EXPECT_TRUE(page.ok()) << page.error().message;
    return page.ok() ? page->items : std::vector<Sample>();
  }
  long Number(const std::string& query) {
    const auto number = pool_->ReadOnly(
        [&](pqxx::transaction_base& tx) -> Result<long> { return tx.exec1(query)[0].as<long>(); });
    EXPECT_TRUE(number.ok()) << number.error().message;
    return number ? *number : -1;
  }

  tidewheel::testing::TempFolder folder_;
  FakeTasks tasks_;
  FakeExaminer examiner_;
  FakeNear near_;
  SystemClock clock_;
  CountingCounter handled_;
  CountingCounter dead_;
  CountingCounter retried_;
  std::optional<postgres::Pool> pool_;
  std::optional<PostgresSampleStore> store_;
  std::optional<StoreThatIsKilled> killed_;
  std::unique_ptr<blob::Store> blobs_;
  std::optional<BlobPayloadStore> payloads_;
  std::optional<BatchIngestor> ingestor_;
  std::optional<CaptureConsumer> captures_;
  std::unique_ptr<bus::Broker> broker_;
  std::unique_ptr<bus::Publisher> publisher_;
  std::unique_ptr<bus::Consumer> consumer_;  // Last: it uses the rest.
};

TEST_F(CaptureConsumerTest, ACaptureBecomesASampleThatKnowsItsRequest) {
  auto message = CaptureOf("r-1", "a picture", 2);
  events::v1::CaptureEvent event;
  ASSERT_TRUE(event.ParseFromString(message.payload));
  (*event.mutable_metadata())["group"] = "pass 12";
  Publish({Wrap(event)});
  Consume();
  ASSERT_TRUE(Handled(1));

  const auto samples = SamplesOf("r-1");
  ASSERT_EQ(samples.size(), 1U);
  const Sample& sample = samples[0];
  EXPECT_EQ(sample.name, "r-1#2");
  EXPECT_EQ(sample.source, "production");
  EXPECT_EQ(sample.group, "pass 12");
  EXPECT_EQ(sample.request, (CapturedRequest{"r-1", 2}));
  EXPECT_EQ(sample.collected_at, Timestamp(seconds(1'700'000'000)));
  EXPECT_THAT(sample.metadata,
              IsSupersetOf({Pair("camera", "7"), Pair("request_id", "r-1"),
                            Pair("request_index", "2"), Pair("captured_because", "random"),
                            Pair("inclusion_probability", "0.1"), Pair("confidence", "0.75"),
                            Pair("model_version_id", "model-1"), Pair("class_name", "red")}));
  EXPECT_EQ(Number("SELECT count(*) FROM outbox WHERE type = 'sample.accepted'"), 1);
}

TEST_F(CaptureConsumerTest, ShuffledDoubledAndInterruptedEachIsStoredOnce) {
  std::vector<bus::Message> messages;
  for (int i = 0; i < 60; ++i) {
    const std::string payload = (i % 10 == 9 ? "dark " : "picture ") + std::to_string(i);
    messages.push_back(CaptureOf("r-" + std::to_string(i), payload));
    messages.push_back(messages.back());  // Under another event id.
  }
  Random random(1);
  for (std::size_t i = messages.size(); i > 1; --i) {
    std::swap(messages[i - 1], messages[random.Below(i)]);
  }
  Publish(messages);
  killed_->before_save = 2;
  killed_->after_save = 4;
  Consume();
  ASSERT_TRUE(Handled(120));

  EXPECT_GE(retried_.count, 2);
  EXPECT_EQ(dead_.count, 0);
  EXPECT_EQ(store_->Count("lights")->active, 54U);
  EXPECT_EQ(store_->Count("lights")->quarantined, 6U);
  EXPECT_EQ(Number("SELECT count(*) FROM captured_requests"), 54);
  EXPECT_EQ(Number("SELECT count(*) FROM outbox WHERE type = 'sample.accepted'"), 54);
  EXPECT_EQ(Number("SELECT count(*) FROM outbox WHERE type = 'sample.quarantined'"), 6);
}

TEST_F(CaptureConsumerTest, AKnownPayloadIsSetAsideAndItsRequestLeadsToTheSampleThatIsThere) {
  Publish({CaptureOf("r-1", "one picture")});
  Consume();
  ASSERT_TRUE(Handled(1));
  Publish({CaptureOf("r-2", "one picture"), CaptureOf("r-3", "dark picture")});
  ASSERT_TRUE(Handled(3));

  const auto first = SamplesOf("r-1");
  const auto second = SamplesOf("r-2");
  ASSERT_EQ(first.size(), 1U);
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(first[0].id, second[0].id);
  EXPECT_TRUE(SamplesOf("r-3").empty());  // No sample stands for it.
  EXPECT_EQ(store_->Count("lights")->quarantined_by_reason.at("exact_duplicate"), 1U);
}

TEST_F(CaptureConsumerTest, WhatCanNeverBeTakenIsSetAsideAndTheOthersPass) {
  events::v1::CaptureEvent gone;
  ASSERT_TRUE(gone.ParseFromString(CaptureOf("r-2", "b").payload));
  std::string ref = gone.payload_ref();
  for (char& c : ref) {
    if (c == 'a') c = 'b';  // A payload that was never stored.
  }
  ASSERT_NE(ref, gone.payload_ref());
  gone.set_payload_ref(ref);
  events::v1::CaptureEvent of_no_task;
  ASSERT_TRUE(of_no_task.ParseFromString(CaptureOf("r-4", "c").payload));
  of_no_task.set_task("none");
  bus::Message garbage = CaptureOf("r-3", "d");
  garbage.payload = "\xFF\xFF\xFF";
  Publish({CaptureOf("r-1", "a"), Wrap(gone), garbage, Wrap(of_no_task), CaptureOf("r-5", "e")});
  Consume();

  ASSERT_TRUE(tidewheel::testing::Eventually(seconds(30), [this] { return dead_.count == 3; }));
  ASSERT_TRUE(Handled(2));
  EXPECT_EQ(store_->Count("lights")->active, 2U);
}

TEST_F(CaptureConsumerTest, OtherServicesMayReadTheViews) {
  Publish({CaptureOf("r-1", "a")});
  Consume();
  ASSERT_TRUE(Handled(1));
  for (const char* role : {"tidewheel_training", "tidewheel_labeling", "tidewheel_curation"}) {
    postgres::Pool pool({.dsn = database_.DsnOf(role)});
    const auto count = pool.ReadOnly([](pqxx::transaction_base& tx) -> Result<long> {
      return tx
          .exec1(
              "SELECT count(*) FROM ingestion.samples_v1 JOIN ingestion.samples_v2 USING "
              "(sample_id) JOIN ingestion.captured_requests_v1 USING (sample_id) WHERE "
              "samples_v2.request_id = 'r-1'")[0]
          .as<long>();
    });
    ASSERT_TRUE(count.ok()) << role << ": " << count.error().message;
    EXPECT_EQ(*count, 1);
  }
}

}  // namespace
}  // namespace tidewheel::ingestion
