#include "tidewheel/inference/stream/bus_fact_sink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::inference {
namespace {

using bus::Message;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// A bus that keeps what is published.
class FakeBroker final : public bus::Broker {
 public:
  Result<std::unique_ptr<bus::Publisher>> NewPublisher(
      std::optional<std::chrono::milliseconds>) override {
    class FakePublisher final : public bus::Publisher {
     public:
      explicit FakePublisher(FakeBroker& broker) : broker_(broker) {}
      Result<void> Publish(std::span<const Message> messages) override {
        const std::lock_guard lock(broker_.mutex_);
        broker_.published_.insert(broker_.published_.end(), messages.begin(), messages.end());
        return {};
      }

     private:
      FakeBroker& broker_;
    };
    return std::unique_ptr<bus::Publisher>(std::make_unique<FakePublisher>(*this));
  }
  std::vector<Message> published() const {
    const std::lock_guard lock(mutex_);
    return published_;
  }

  Result<void> EnsureTopics(std::span<const std::string>, int) override { return None(); }
  Result<std::unique_ptr<bus::Subscription>> Subscribe(const std::string&,
                                                       std::span<const std::string>) override {
    return None();
  }
  Result<void> Ping() override { return None(); }
  Result<std::vector<bus::PartitionExtent>> Extent(const std::string&) override { return None(); }
  Result<std::vector<bus::PartitionLag>> Lag(const std::string&) override { return None(); }
  Result<void> Replay(const std::string&, const std::string&, bus::StartFrom) override {
    return None();
  }
  Result<std::int64_t> RemoveBefore(const std::string&, Timestamp, bool) override { return None(); }

 private:
  static Error None() { return {ErrorCode::kUnimplemented, "only publishes"}; }

  mutable std::mutex mutex_;  // Guards published_.
  std::vector<Message> published_;
};

class BusFactSinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    publisher_ = bus::BufferedPublisher::Open(broker_, {.folder = folder_.path()}).value();
    sink_.emplace(*publisher_);
    fact_.request_id = "r-1";
    fact_.at = Timestamp(std::chrono::seconds(1'700'000'000));
    fact_.model = &model_;
    fact_.metadata = &metadata_;
    fact_.variant = "int8";
  }

  /// The only message so far.
  Message Published() {
    EXPECT_TRUE(publisher_->Drain(std::chrono::seconds(20)));
    const auto all = broker_.published();
    EXPECT_THAT(all, SizeIs(1));
    return all.empty() ? Message{} : all.front();
  }
  events::v1::PredictionEvent PublishedPrediction(const std::string& type) {
    const auto message = Published();
    EXPECT_EQ(message.topic, "tidewheel.predictions");
    EXPECT_EQ(message.type, type);
    EXPECT_EQ(message.key, "r-1");
    events::v1::PredictionEvent event;
    EXPECT_TRUE(event.ParseFromString(message.payload));
    return event;
  }

  testing::TempFolder folder_;
  FakeBroker broker_;
  std::unique_ptr<bus::BufferedPublisher> publisher_;
  std::optional<BusFactSink> sink_;
  ModelIdentity model_{"lights", "id-2", 2, "digest", {"red", "green"}};
  std::map<std::string, std::string> metadata_{{"group", "crossing-4"}};
  PredictionFact fact_;
};

TEST_F(BusFactSinkTest, TellsAllOfAPrediction) {
  const std::vector<Answer> answers = {
      {1, {0.25F, 0.75F}, "sha", {{"contrast", 0.5}}, {1.5F, -2}, {"blurred"}}};
  fact_.role = Role::kCanary;
  fact_.seconds = 0.125;
  fact_.answers = answers;
  sink_->Tell(fact_);

  const auto event = PublishedPrediction("prediction.made");
  EXPECT_EQ(event.role(), "canary");
  EXPECT_EQ(event.variant(), "int8");
  EXPECT_EQ(event.seconds(), 0.125);
  EXPECT_EQ(event.model_version_id(), "id-2");
  EXPECT_EQ(event.predicted_at().seconds(), 1'700'000'000);
  EXPECT_EQ(event.metadata().at("group"), "crossing-4");
  EXPECT_EQ(event.error(), "");
  ASSERT_THAT(event.items(), SizeIs(1));
  EXPECT_EQ(event.items(0).measures().at("contrast"), 0.5);
  EXPECT_THAT(event.items(0).embedding(), ElementsAre(1.5F, -2));
  EXPECT_THAT(event.items(0).quality_problems(), ElementsAre("blurred"));
  EXPECT_FALSE(event.items(0).has_answered_class_index());
}

TEST_F(BusFactSinkTest, TellsOfAShadowWhatWasAnswered) {
  const std::vector<Answer> answers(2, Answer{1, {0, 1}, "", {}, {}, {}});
  const std::vector<std::optional<std::uint32_t>> answered = {0, std::nullopt};
  fact_.role = Role::kShadow;
  fact_.answers = answers;
  fact_.answered = answered;
  sink_->Tell(fact_);

  const auto event = PublishedPrediction("prediction.shadowed");
  EXPECT_EQ(event.role(), "shadow");
  ASSERT_THAT(event.items(), SizeIs(2));
  ASSERT_TRUE(event.items(0).has_answered_class_index());
  EXPECT_EQ(event.items(0).answered_class_index(), 0U);
  EXPECT_FALSE(event.items(1).has_answered_class_index());
}

TEST_F(BusFactSinkTest, TellsWhyAPredictionFailed) {
  fact_.role = Role::kShadow;
  fact_.error = ErrorCode::kInternal;
  sink_->Tell(fact_);

  const auto event = PublishedPrediction("prediction.failed");
  EXPECT_EQ(event.error(), "INTERNAL");
  EXPECT_EQ(event.role(), "shadow");
  EXPECT_THAT(event.items(), IsEmpty());
}

TEST_F(BusFactSinkTest, TellsAllOfACapture) {
  CapturedPayload captured;
  captured.request_id = "r-1";
  captured.index = 3;
  captured.task = "lights";
  captured.model_version_id = "id-2";
  captured.at = fact_.at;
  captured.payload = "payload";
  captured.sha256 = "sha";
  captured.decision = {CaptureReason::kRandom, 0.05};
  captured.class_name = "green";
  captured.confidence = 0.75;
  captured.metadata = metadata_;
  EXPECT_TRUE(sink_->Tell(CaptureFact{&captured, "obj:sha"}));

  const auto message = Published();
  EXPECT_EQ(message.topic, "tidewheel.captures");
  EXPECT_EQ(message.type, "payload.captured");
  EXPECT_EQ(message.key, "r-1");
  events::v1::CaptureEvent event;
  ASSERT_TRUE(event.ParseFromString(message.payload));
  EXPECT_EQ(event.index(), 3U);
  EXPECT_EQ(event.task(), "lights");
  EXPECT_EQ(event.payload_ref(), "obj:sha");
  EXPECT_EQ(event.payload_sha256(), "sha");
  EXPECT_EQ(event.size_bytes(), 7U);
  EXPECT_EQ(event.because(), "random");
  EXPECT_EQ(event.inclusion_probability(), 0.05);
  EXPECT_EQ(event.class_name(), "green");
  EXPECT_EQ(event.confidence(), 0.75);
  EXPECT_EQ(event.metadata().at("group"), "crossing-4");
  EXPECT_EQ(event.captured_at().seconds(), 1'700'000'000);
}

}  // namespace
}  // namespace tidewheel::inference
