#include "tidewheel/labeling/stream/fact_consumer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/labeling/domain/fake_stores.h"
#include "tidewheel/labeling/storage/postgres_queue_store.h"
#include "tidewheel/labeling/storage/testing/storage_fixture.h"

namespace tidewheel::labeling {
namespace {

using std::chrono::seconds;

class FactConsumerTest : public StorageFixture {
 protected:
  void SetUp() override {
    StorageFixture::SetUp();
    if (IsSkipped()) return;
    store_.emplace(*pool_, clock_);
    tasks_.tasks["lights"] = {.name = "lights", .version = 1, .classes = {"red", "green"}};
    facts_.emplace(*store_, tasks_, clock_, FactConsumer::Options{});
    AddSamples(100);
  }

  static bus::Delivery OutcomeOf(const std::string& request, const std::string& class_name,
                                 int at = 0, const std::string& source = "sensor") {
    events::v1::OutcomeEvent event;
    event.set_request_id(request);
    event.set_task("lights");
    event.set_class_name(class_name);
    event.set_source(source);
    event.mutable_observed_at()->set_seconds(1'700'000'000 + at);
    return Wrap("tidewheel.outcomes", "outcome.recorded", event.SerializeAsString());
  }
  /// Also makes the row behind it, as ingestion has before it tells of it.
  bus::Delivery SampleOf(const std::string& request, int sample) {
    Admin("INSERT INTO ingestion.captured_requests_v1 VALUES ('lights', '" + request + "', 0, '" +
          SampleUuid(sample) + "', now()) ON CONFLICT DO NOTHING");
    events::v1::SampleEvent event;
    event.set_sample_id(SampleUuid(sample));
    event.set_task("lights");
    event.set_source("production");
    event.set_request_id(request);
    return Wrap("tidewheel.samples", "sample.accepted", event.SerializeAsString());
  }
  static bus::Delivery Wrap(std::string topic, std::string type, std::string payload) {
    bus::Delivery delivery;
    delivery.message.topic = std::move(topic);
    delivery.message.type = std::move(type);
    delivery.message.event_id = NewUuid();
    delivery.message.payload = std::move(payload);
    return delivery;
  }
  void Take(const std::vector<bus::Delivery>& deliveries) {
    const auto taken = facts_->Handle(deliveries);
    ASSERT_TRUE(taken.ok()) << taken.error().message;
  }
  /// "sample annotator class" of every vote in force.
  std::vector<std::string> Votes() {
    const auto votes =
        admin_->ReadOnly([](pqxx::transaction_base& tx) -> Result<std::vector<std::string>> {
          std::vector<std::string> all;
          for (const auto& row : tx.exec(
                   "SELECT right(sample_id::text, 2) || ' ' || annotator || ' ' || class_name || "
                   "' ' || annotator_kind || ' ' || source FROM labeling.votes "
                   "WHERE superseded_at IS NULL ORDER BY 1")) {
            all.push_back(row[0].as<std::string>());
          }
          return all;
        });
    EXPECT_TRUE(votes.ok()) << votes.error().message;
    return votes ? *votes : std::vector<std::string>();
  }

  SystemClock clock_;
  FakeTaskCatalogue tasks_;
  std::optional<PostgresQueueStore> store_;
  std::optional<FactConsumer> facts_;
};

TEST_F(FactConsumerTest, AnOutcomeBecomesAVoteWhicheverComesFirst) {
  const auto first = SampleOf("r-1", 1);
  Take({first, OutcomeOf("r-1", "red")});
  Take({OutcomeOf("r-2", "green")});
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.pending_outcomes"), 1);
  Take({SampleOf("r-2", 2)});
  EXPECT_THAT(Votes(), ::testing::ElementsAre("01 outcome:sensor red outcome outcome",
                                              "02 outcome:sensor green outcome outcome"));
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.pending_outcomes"), 0);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.label_work WHERE task = 'lights'"), 1);
}

TEST_F(FactConsumerTest, ShuffledAndDoubledFactsComeToTheSameVotes) {
  // Three opinions of each of two sources on each sample; the latest observed is in force, also
  // when it says what the first said.
  std::vector<bus::Delivery> facts;
  std::vector<std::string> expected;
  for (int i = 1; i <= 20; ++i) {
    const std::string request = "r-" + std::to_string(i);
    facts.push_back(SampleOf(request, i));
    for (const std::string source : {"person", "sensor"}) {
      facts.push_back(OutcomeOf(request, "red", 1, source));
      facts.push_back(OutcomeOf(request, "green", 2, source));
      facts.push_back(OutcomeOf(request, i % 2 == 0 ? "red" : "green", 3, source));
    }
  }
  const auto once = facts;
  facts.insert(facts.end(), once.begin(), once.end());
  std::vector<std::string> before;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Admin("DELETE FROM labeling.votes; DELETE FROM labeling.pending_outcomes");
    Random random(seed);
    for (std::size_t i = facts.size(); i > 1; --i) std::swap(facts[i - 1], facts[random.Below(i)]);
    for (std::size_t from = 0; from < facts.size();) {
      const std::size_t count = std::min<std::size_t>(1 + random.Below(20), facts.size() - from);
      Take({facts.begin() + static_cast<std::ptrdiff_t>(from),
            facts.begin() + static_cast<std::ptrdiff_t>(from + count)});
      from += count;
    }
    const auto votes = Votes();
    ASSERT_EQ(votes.size(), 40U);
    for (const auto& vote : votes) {
      const int sample = std::stoi(vote.substr(0, 2), nullptr, 16);
      EXPECT_NE(vote.find(sample % 2 == 0 ? " red " : " green "), std::string::npos) << vote;
    }
    if (seed > 1) {
      EXPECT_EQ(votes, before);
    }
    before = votes;
    EXPECT_EQ(Number("SELECT count(*) FROM labeling.pending_outcomes"), 0);
  }
}

TEST_F(FactConsumerTest, TwoCopiesAtWorkMissNoMeeting) {
  std::vector<bus::Delivery> samples, outcomes;
  for (int i = 1; i <= 100; ++i) {
    outcomes.push_back(OutcomeOf("r-" + std::to_string(i), "red"));
  }
  std::jthread tells_outcomes([&] {
    for (const auto& outcome : outcomes) Take({outcome});
  });
  std::jthread tells_samples([&] {
    for (int i = 1; i <= 100; ++i) Take({SampleOf("r-" + std::to_string(i), i)});
  });
  tells_outcomes.join();
  tells_samples.join();
  EXPECT_EQ(Votes().size(), 100U);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.pending_outcomes"), 0);
}

TEST_F(FactConsumerTest, WhatNeverMeetsItsSampleIsForgotten) {
  Take({OutcomeOf("r-1", "red")});
  EXPECT_EQ(*store_->DropOutcomes(clock_.Now() - std::chrono::hours(1)), 0U);
  EXPECT_EQ(*store_->DropOutcomes(clock_.Now() + seconds(1)), 1U);
  Take({SampleOf("r-1", 1)});
  EXPECT_TRUE(Votes().empty());
}

TEST_F(FactConsumerTest, WhatIsNoFactIsRefusedForGoodAndWhatCannotBeAskedNowIsNot) {
  const auto code = [&](const bus::Delivery& delivery) {
    const std::vector<bus::Delivery> one{delivery};
    const auto taken = facts_->Handle(one);
    return taken ? std::string("taken") : std::string(Name(taken.error().code));
  };
  EXPECT_EQ(code(Wrap("tidewheel.outcomes", "outcome.recorded", "\xFF\xFF")), "INVALID_ARGUMENT");
  EXPECT_EQ(code(Wrap("tidewheel.samples", "sample.accepted", "\xFF\xFF")), "INVALID_ARGUMENT");
  EXPECT_EQ(code(OutcomeOf("r-1", "purple")), "INVALID_ARGUMENT");
  EXPECT_EQ(code(OutcomeOf("", "red")), "INVALID_ARGUMENT");
  events::v1::SampleEvent pushed;
  pushed.set_task("lights");
  EXPECT_EQ(code(Wrap("tidewheel.samples", "sample.accepted", pushed.SerializeAsString())),
            "taken");
  tasks_.failure = Error{ErrorCode::kUnavailable, "registry is away"};
  EXPECT_EQ(code(OutcomeOf("r-1", "red")), "UNAVAILABLE");
}

}  // namespace
}  // namespace tidewheel::labeling
