#include "tidewheel/ingestion/storage/postgres_sample_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <pqxx/pqxx>
#include <set>
#include <thread>

#include "tidewheel/base/ids.h"
#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/ingestion/migrations.h"
#include "tidewheel/ingestion/storage/postgres_hash_feed.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/postgres/outbox.h"
#include "tidewheel/postgres/values.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/postgres_server.h"

namespace tidewheel::ingestion {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class PostgresSampleStoreTest : public tidewheel::testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const auto migrated =
        postgres::Migrate(database_.admin_dsn, "ingestion", "tidewheel_ingestion", Migrations());
    ASSERT_TRUE(migrated.ok()) << migrated.error().message;
    postgres::PoolOptions options;
    options.dsn = database_.DsnOf("tidewheel_ingestion");
    options.search_path = "ingestion";
    pool_.emplace(options);
    store_.emplace(*pool_);
    feed_.emplace(*pool_);
  }

  static Digest DigestOf(int i) {
    Digest digest;
    digest.bytes[0] = static_cast<std::uint8_t>(i >> 8);
    digest.bytes[1] = static_cast<std::uint8_t>(i);
    digest.bytes[31] = 0xFF;
    return digest;
  }
  static Sample MakeSample(int i, const std::string& task = "lights") {
    Sample sample;
    sample.id = NewUuid();
    sample.task = task;
    sample.sha256 = DigestOf(i);
    sample.payload_ref = "obj:" + std::to_string(i);
    sample.name = "picture " + std::to_string(i) + ".jpg";
    sample.source = "camera \"7\", \\left";
    sample.collected_at = Timestamp(std::chrono::microseconds(1'700'000'000'123'456 + i));
    sample.added_at = Timestamp(std::chrono::microseconds(1'700'000'100'000'000));
    sample.metadata = {{"place", "Main \"street\"\n"}, {"split", "test"}};
    sample.group = "group-" + std::to_string(i);
    sample.split = i % 2 == 0 ? Split::kTraining : Split::kTest;
    sample.measures = {{"sharpness", 12.1}, {"luminance_mean", 1.0 / 3}};
    sample.hash = {~0ULL - static_cast<std::uint64_t>(i), 1ULL << 63};
    sample.width = 32;
    sample.height = 48;
    sample.size_bytes = 700;
    sample.content_type = "image/jpeg";
    return sample;
  }
  static QuarantinedSample MakeQuarantined(int i, std::vector<Reason> reasons) {
    return {NewUuid(),
            "lights",
            DigestOf(i),
            "obj:" + std::to_string(i),
            "bad " + std::to_string(i),
            "import",
            std::move(reasons),
            10,
            Timestamp(std::chrono::seconds(1'700'000'000)),
            {},
            {}};
  }
  bool Save(const BatchToStore& batch) {
    const auto saved = store_->Save(batch);
    EXPECT_TRUE(saved.ok()) << saved.error().message;
    return saved.ok() && *saved;
  }
  std::vector<postgres::OutboxMessage> Events() {
    const auto events =
        pool_->InTransaction([](pqxx::work& tx) -> Result<std::vector<postgres::OutboxMessage>> {
          std::vector<postgres::OutboxMessage> messages;
          const auto batch = postgres::Outbox("ingestion").TakeBatch(tx, 1'000);
          if (batch) {
            for (const auto& queued : *batch) messages.push_back(queued.message);
          }
          return messages;
        });
    EXPECT_TRUE(events.ok());
    return events.ok() ? *events : std::vector<postgres::OutboxMessage>();
  }
  std::vector<std::string> ReadOn(FeedPosition* position, std::size_t limit = 100) {
    const auto read = feed_->ReadOn("lights", limit, position);
    EXPECT_TRUE(read.ok()) << read.error().message;
    std::vector<std::string> ids;
    if (read.ok()) {
      for (const auto& sample : *read) ids.push_back(sample.sample_id);
    }
    return ids;
  }

  /// The next `count` ids, as soon as no transaction that began earlier (the server has its own)
  /// keeps them back.
  std::vector<std::string> Next(FeedPosition* position, std::size_t count) {
    std::vector<std::string> ids;
    tidewheel::testing::Eventually(std::chrono::seconds(20), [&] {
      for (auto& id : ReadOn(position, count)) ids.push_back(std::move(id));
      return ids.size() >= count;
    });
    return ids;
  }

  std::optional<postgres::Pool> pool_;
  std::optional<PostgresSampleStore> store_;
  std::optional<PostgresHashFeed> feed_;
};

TEST_F(PostgresSampleStoreTest, SamplesComeBackWholeAndAreToldOfOnce) {
  const Sample sample = MakeSample(1);
  ASSERT_TRUE(Save({{sample}, {}}));

  const auto found = store_->Find(sample.id);
  ASSERT_TRUE(found.ok() && found->has_value());
  const Sample& stored = **found;
  EXPECT_EQ(stored.sha256, sample.sha256);
  EXPECT_EQ(stored.name, sample.name);
  EXPECT_EQ(stored.source, sample.source);
  EXPECT_EQ(stored.collected_at, sample.collected_at);
  EXPECT_EQ(stored.metadata, sample.metadata);
  EXPECT_EQ(stored.measures, sample.measures);
  EXPECT_EQ(stored.hash, sample.hash);
  EXPECT_EQ(stored.split, sample.split);
  EXPECT_EQ(stored.content_type, sample.content_type);
  EXPECT_FALSE(store_->Find(NewUuid())->has_value());
  EXPECT_FALSE(store_->Find("no uuid'; --")->has_value());

  const auto events = Events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].topic, "tidewheel.samples");
  EXPECT_EQ(events[0].key, sample.id);
  EXPECT_EQ(events[0].type, "sample.accepted");
  events::v1::SampleEvent event;
  ASSERT_TRUE(event.ParseFromString(events[0].payload));
  EXPECT_EQ(event.split(), "test");
  EXPECT_EQ(event.sha256(), sample.sha256.Hex());
}

TEST_F(PostgresSampleStoreTest, ABatchThatSomebodyElseStoredPartOfIsNotStoredAtAll) {
  ASSERT_TRUE(Save({{MakeSample(1)}, {}}));
  EXPECT_FALSE(Save({{MakeSample(2), MakeSample(1)},
                     {MakeQuarantined(3, {{ReasonCode::kBlurred, "blurred", ""}})}}));

  EXPECT_EQ(store_->Count("lights")->active, 1U);
  EXPECT_EQ(store_->Count("lights")->quarantined, 0U);
  EXPECT_EQ(Events().size(), 1U);
  // The same bytes for another task are another sample.
  EXPECT_TRUE(Save({{MakeSample(1, "dogs")}, {}}));
}

TEST_F(PostgresSampleStoreTest, WhatIsKnownIsFoundInTheOrderAsked) {
  const Sample sample = MakeSample(1);
  const auto aside = MakeQuarantined(2, {{ReasonCode::kBlurred, "sharpness 0.01", ""},
                                         {ReasonCode::kNearDuplicate, "differs in 0", sample.id}});
  ASSERT_TRUE(Save({{sample}, {aside}}));

  const auto known =
      store_->FindKnown("lights", std::vector<PushedName>{{DigestOf(9), "new"},
                                                          {DigestOf(2), aside.name},
                                                          {DigestOf(1), "copy"},
                                                          {DigestOf(2), "other name"},
                                                          {DigestOf(1), sample.name}});
  ASSERT_TRUE(known.ok()) << known.error().message;
  EXPECT_FALSE(known->samples[0]);
  EXPECT_FALSE(known->quarantined[0]);
  EXPECT_EQ(known->quarantined[1], aside.reasons);
  ASSERT_TRUE(known->samples[2]);
  EXPECT_EQ(known->samples[2]->id, sample.id);
  EXPECT_EQ(known->samples[2]->name, sample.name);
  EXPECT_EQ(known->samples[2]->split, sample.split);
  EXPECT_FALSE(known->quarantined[3]);
  ASSERT_TRUE(known->samples[4]);
  EXPECT_FALSE(store_->FindKnown("dogs", std::vector<PushedName>{{DigestOf(1), "x"}})->samples[0]);
}

TEST_F(PostgresSampleStoreTest, ListsInPagesThatMissAndRepeatNothing) {
  BatchToStore batch;
  for (int i = 0; i < 25; ++i) batch.samples.push_back(MakeSample(i));
  ASSERT_TRUE(Save(batch));
  SampleFilter filter;
  filter.task = "lights";
  filter.split = Split::kTraining;
  std::set<std::string> seen;
  PageRequest request{4, ""};
  int pages = 0;
  do {
    const auto page = store_->List(filter, request);
    ASSERT_TRUE(page.ok()) << page.error().message;
    EXPECT_LE(page->items.size(), 4U);
    for (const auto& sample : page->items) EXPECT_TRUE(seen.insert(sample.id).second);
    request.token = page->next_token;
    ++pages;
  } while (!request.token.empty());
  EXPECT_EQ(seen.size(), 13U);
  EXPECT_EQ(pages, 4);

  const auto first = store_->List(filter, {4, ""});
  filter.split.reset();
  EXPECT_EQ(store_->List(filter, {4, first->next_token}).error().code, ErrorCode::kInvalidArgument);
  filter.name = "picture 7.jpg";
  EXPECT_EQ(store_->List(filter, {})->items.size(), 1U);
}

TEST_F(PostgresSampleStoreTest, DeactivatingIsToldOfOnceAndChangesTheCounts) {
  const Sample sample = MakeSample(1);
  ASSERT_TRUE(Save({{sample, MakeSample(2)}, {}}));
  const auto now = Timestamp(std::chrono::seconds(1'700'000'500));

  const auto first = store_->Deactivate(sample.id, "faces", now);
  const auto again = store_->Deactivate(sample.id, "faces", now + std::chrono::hours(1));

  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_EQ(first->deactivated_at, now);
  EXPECT_EQ(again->deactivated_at, now);
  EXPECT_EQ(store_->Deactivate(NewUuid(), "", now).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store_->Deactivate("x", "", now).error().code, ErrorCode::kNotFound);
  const auto events = Events();
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[2].type, "sample.deactivated");
  const auto counts = store_->Count("lights");
  EXPECT_EQ(counts->active, 1U);
  EXPECT_EQ(counts->deactivated, 1U);
  EXPECT_EQ(counts->by_split.at("training"), 1U);
  SampleFilter filter;
  filter.task = "lights";
  EXPECT_EQ(store_->List(filter, {})->items.size(), 1U);
  filter.include_deactivated = true;
  EXPECT_EQ(store_->List(filter, {})->items.size(), 2U);
}

TEST_F(PostgresSampleStoreTest, QuarantineIsListedWithItsReasonsAndARepeatChangesNothing) {
  const std::vector<Reason> reasons = {{ReasonCode::kUnderexposed, "mean luminance 0.01", ""},
                                       {ReasonCode::kTooSmall, "is 4 x 4", ""}};
  ASSERT_TRUE(Save({{}, {MakeQuarantined(1, reasons)}}));
  ASSERT_TRUE(Save({{}, {MakeQuarantined(1, reasons)}}));
  for (int i = 2; i < 8; ++i) {
    ASSERT_TRUE(Save({{}, {MakeQuarantined(i, {{ReasonCode::kBlurred, "blurred", ""}})}}));
  }

  const auto dark = store_->ListQuarantine("lights", ReasonCode::kTooSmall, {});
  ASSERT_TRUE(dark.ok()) << dark.error().message;
  ASSERT_EQ(dark->items.size(), 1U);
  EXPECT_EQ(dark->items[0].reasons, reasons);
  std::set<std::string> seen;
  PageRequest request{3, ""};
  do {
    const auto page = store_->ListQuarantine("lights", std::nullopt, request);
    ASSERT_TRUE(page.ok()) << page.error().message;
    for (const auto& sample : page->items) {
      EXPECT_FALSE(sample.reasons.empty());
      EXPECT_TRUE(seen.insert(sample.id).second);
    }
    request.token = page->next_token;
  } while (!request.token.empty());
  EXPECT_EQ(seen.size(), 7U);
  const auto counts = store_->Count("lights");
  EXPECT_EQ(counts->quarantined, 7U);
  EXPECT_EQ(counts->quarantined_by_reason.at("blurred"), 6U);
  EXPECT_EQ(counts->quarantined_by_reason.at("underexposed"), 1U);
  EXPECT_EQ(Events().size(), 7U);  // One each, whatever was repeated.
}

TEST_F(PostgresSampleStoreTest, WritersOfTheSameSamplesStoreEachOnce) {
  std::vector<std::jthread> writers;
  std::atomic<int> stored = 0;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([this, writer, &stored] {
      for (int i = 0; i < 40; ++i) {
        BatchToStore batch;
        // The same pairs in both orders.
        batch.samples = {MakeSample(2 * i), MakeSample(2 * i + 1)};
        if (writer % 2 == 1) std::swap(batch.samples[0], batch.samples[1]);
        const auto saved = store_->Save(batch);
        ASSERT_TRUE(saved.ok()) << saved.error().message;
        if (*saved) ++stored;
      }
    });
  }
  writers.clear();
  EXPECT_EQ(stored, 40);
  EXPECT_EQ(store_->Count("lights")->active, 80U);
  EXPECT_EQ(Events().size(), 80U);
}

TEST_F(PostgresSampleStoreTest, TheFeedGoesOnFromItsPosition) {
  const Sample first = MakeSample(1);
  const Sample second = MakeSample(2);
  ASSERT_TRUE(Save({{first}, {}}));
  ASSERT_TRUE(Save({{MakeSample(3, "dogs")}, {}}));
  FeedPosition position;
  EXPECT_THAT(Next(&position, 1), ElementsAre(first.id));
  EXPECT_THAT(ReadOn(&position), IsEmpty());
  ASSERT_TRUE(Save({{second}, {}}));
  std::vector<HashedSample> read;
  ASSERT_TRUE(tidewheel::testing::Eventually(std::chrono::seconds(20), [&] {
    const auto page = feed_->ReadOn("lights", 10, &position);
    if (page.ok()) read = *page;
    return !read.empty();
  }));
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0].hash, second.hash);
  EXPECT_EQ(read[0].group, second.group);

  BatchToStore batch;
  for (int i = 10; i < 33; ++i) batch.samples.push_back(MakeSample(i));
  ASSERT_TRUE(Save(batch));
  std::set<std::string> ids;
  for (const std::size_t page : {5, 5, 5, 5, 3}) {
    for (const auto& id : Next(&position, page)) EXPECT_TRUE(ids.insert(id).second);
  }
  EXPECT_EQ(ids.size(), 23U);
}

TEST_F(PostgresSampleStoreTest, TheFeedTellsOfDeactivatedSamplesOnce) {
  const Sample first = MakeSample(1);
  const Sample second = MakeSample(2);
  ASSERT_TRUE(Save({{first, second}, {}}));
  ASSERT_TRUE(store_->Deactivate(first.id, "wrong camera", first.added_at).ok());
  ASSERT_TRUE(store_->Deactivate(first.id, "again", first.added_at).ok());

  FeedPosition removed;
  std::vector<HashedSample> read;
  ASSERT_TRUE(tidewheel::testing::Eventually(std::chrono::seconds(20), [&] {
    const auto page = feed_->ReadRemoved("lights", 10, &removed);
    if (page.ok()) read = *page;
    return !read.empty();
  }));
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0].sample_id, first.id);
  EXPECT_EQ(read[0].hash, first.hash);
  EXPECT_TRUE(feed_->ReadRemoved("lights", 10, &removed)->empty());
  FeedPosition added;
  EXPECT_THAT(Next(&added, 1), ElementsAre(second.id));
}

TEST_F(PostgresSampleStoreTest, WhatIsSetAsideIsAnEventOfItsOwnOnce) {
  auto aside = MakeQuarantined(1, {{ReasonCode::kBlurred, "0.01 is below 0.1", ""},
                                   {ReasonCode::kUnderexposed, "0.01 is below 0.02", ""}});
  aside.collected_at = Timestamp(std::chrono::microseconds(1'700'000'000'250'000));
  aside.request = CapturedRequest{"r-1", 3};
  ASSERT_TRUE(Save({{}, {aside}}));
  const auto events = Events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].type, "sample.quarantined");
  EXPECT_EQ(events[0].key, aside.id);
  events::v1::SampleEvent event;
  ASSERT_TRUE(event.ParseFromString(events[0].payload));
  EXPECT_THAT(event.reasons(), ElementsAre("blurred", "underexposed"));
  EXPECT_EQ(event.request_id(), "r-1");
  EXPECT_EQ(event.request_index(), 3U);
  EXPECT_EQ(event.source(), "import");
  EXPECT_EQ(event.at().seconds(), 1'700'000'000);
  EXPECT_EQ(event.at().nanos(), 250'000'000);

  auto again = aside;
  again.id = NewUuid();
  ASSERT_TRUE(Save({{}, {again}}));
  EXPECT_EQ(Events().size(), 1U);
}

TEST_F(PostgresSampleStoreTest, TheFeedNeverSkipsASampleThatCommitsLate) {
  const Sample late = MakeSample(1);
  const Sample soon = MakeSample(2);
  // Begins first, is numbered first, commits last.
  pqxx::connection connection(database_.DsnOf("tidewheel_ingestion"));
  pqxx::work slow(connection);
  slow.exec("SET search_path = ingestion");
  slow.exec_params0(
      "INSERT INTO samples (sample_id, task, sha256, payload_ref, name, source, group_key, split, "
      "collected_at, added_at, metadata, measures, hash_high, hash_low, width, height, size_bytes, "
      "content_type) VALUES ($1, 'lights', $2, 'obj:1', 'late', '', 'g', 'training', now(), now(), "
      "'{}', '{}', 1, 2, 3, 4, 5, '')",
      late.id, postgres::Bytes(late.sha256));
  ASSERT_TRUE(Save({{soon}, {}}));

  FeedPosition position;
  // What was stored beside it waits, so that the position does not pass it.
  EXPECT_THAT(ReadOn(&position), IsEmpty());
  slow.commit();
  EXPECT_THAT(Next(&position, 2), ElementsAre(late.id, soon.id));
  EXPECT_THAT(ReadOn(&position), IsEmpty());
}

}  // namespace
}  // namespace tidewheel::ingestion
