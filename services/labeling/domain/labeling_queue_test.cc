#include "tidewheel/labeling/domain/labeling_queue.h"

#include <gtest/gtest.h>

#include <limits>

#include "tidewheel/labeling/domain/fake_queue_store.h"
#include "tidewheel/labeling/domain/fake_stores.h"

namespace tidewheel::labeling {
namespace {

const std::string kSample = "018f0000-0000-7000-8000-00000000000a";

class LabelingQueueTest : public testing::Test {
 protected:
  LabelingQueueTest() {
    tasks_.tasks["lights"] = {
        .name = "lights", .version = 1, .classes = {"red", "green"}, .min_confidence = 0.9};
  }
  static NewBatch OneSample() {
    return {.batch_id = "b", .task = "lights", .items = {{SampleId(kSample), 1, "random"}}};
  }
  std::string Refused(NewBatch batch) {
    const auto outcome = queue_.Enqueue(std::move(batch));
    return outcome ? "taken" : outcome.error().message;
  }
  LeaseId LeaseOne() {
    EXPECT_TRUE(queue_.Enqueue(OneSample()).ok());
    const auto items = queue_.Lease("lights", "ann", 0, 0);
    EXPECT_TRUE(items.ok() && items->size() == 1);
    return items->front().lease_id;
  }

  FakeTaskCatalogue tasks_;
  FakeQueueStore store_;
  SystemClock clock_;
  int due_ = 0;
  LabelingQueue queue_{tasks_, store_, clock_, [this] { ++due_; }};
};

TEST_F(LabelingQueueTest, ABatchTakesItsDefaultsAndTheTasksConfidence) {
  auto batch = OneSample();
  batch.votes_wanted = 0;
  batch.items[0].sample_id = SampleId("018F0000-0000-7000-8000-00000000000A");
  const auto outcome = queue_.Enqueue(batch);
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  EXPECT_TRUE(outcome->created);
  EXPECT_EQ(outcome->batch.votes_wanted, 1U);
  EXPECT_EQ(store_.asked_min_confidence, 0.9);
  EXPECT_EQ(store_.items[0].sample_id.text(), kSample);
  EXPECT_FALSE(queue_.Enqueue(batch)->created);
}

TEST_F(LabelingQueueTest, LimitsAreNamed) {
  auto batch = OneSample();
  batch.batch_id = std::string(129, 'x');
  EXPECT_EQ(Refused(batch), "batch_id has 129 bytes, the limit is 128");
  batch = OneSample();
  batch.task = "signs";
  EXPECT_EQ(Refused(batch), "no task signs");
  batch = OneSample();
  batch.items[0].sample_id = SampleId("seven");
  EXPECT_EQ(Refused(batch), "items[0]: sample_id \"seven\" is not a UUID");
  batch = OneSample();
  batch.items[0].priority = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(Refused(batch), "items[0]: priority is not a finite number");
  batch = OneSample();
  batch.gold_share = 1.5;
  EXPECT_EQ(Refused(batch), "gold_share is 1.500000, it must be 0 to 1");
  batch = OneSample();
  batch.items.assign(10'001, batch.items[0]);
  EXPECT_EQ(Refused(batch), "the request has 10001 items, the limit is 10000");

  EXPECT_EQ(queue_.Lease("", "", 1, 0).error().message, "annotator is empty");
  EXPECT_EQ(queue_.Lease("", "ann", 101, 0).error().message, "count is 101, the limit is 100");
  EXPECT_EQ(queue_.Lease("", "ann", 1, 86'401).error().message,
            "lease_seconds is 86401, the limit is 86400");
}

TEST_F(LabelingQueueTest, ALeaseLastsTenMinutesUnlessSaidOtherwise) {
  ASSERT_TRUE(queue_.Lease("lights", "ann", 0, 0).ok());
  EXPECT_EQ(store_.asked->count, 1U);
  EXPECT_EQ(store_.asked->until - store_.asked->now, std::chrono::minutes(10));
  ASSERT_TRUE(queue_.Lease("lights", "ann", 5, 30).ok());
  EXPECT_EQ(store_.asked->until - store_.asked->now, std::chrono::seconds(30));
}

TEST_F(LabelingQueueTest, AVoteIsTakenOnceAndLabelsBecomeDue) {
  const LeaseId lease = LeaseOne();
  const auto first = queue_.Submit("ann", {}, {{lease, "red"}});
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->accepted, 1U);
  EXPECT_EQ(due_, 1);
  const auto again = queue_.Submit("ann", {}, {{lease, "red"}});
  EXPECT_EQ(again->accepted, 0U);
  EXPECT_EQ(again->unchanged, 1U);
  EXPECT_EQ(due_, 1);
}

TEST_F(LabelingQueueTest, AVoteThatCannotBeTakenIsRejectedOnItsOwn) {
  const LeaseId lease = LeaseOne();
  const auto report = queue_.Submit(
      "ann", {},
      {{LeaseId("seven"), "red"}, {lease, "red"}, {lease, "green"}, {LeaseId(NewUuid()), "red"}});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->accepted, 1U);
  ASSERT_EQ(report->rejected.size(), 3U);
  EXPECT_EQ(report->rejected[0].reason, "lease_id \"seven\" is not a UUID");
  EXPECT_EQ(report->rejected[1].index, 2U);
  EXPECT_EQ(report->rejected[1].reason, "the lease is answered twice in this request");
  EXPECT_EQ(report->rejected[2].index, 3U);
}

TEST_F(LabelingQueueTest, AClassMustBeOneOfTheTasksNewestVersion) {
  const LeaseId lease = LeaseOne();
  const auto purple = queue_.Submit("ann", {}, {{lease, "purple"}});
  ASSERT_EQ(purple->rejected.size(), 1U);
  EXPECT_EQ(purple->rejected[0].reason, "class \"purple\" is not in task lights (red, green)");

  tasks_.remembered["lights"] = tasks_.tasks["lights"];
  tasks_.tasks["lights"].classes.push_back("purple");
  EXPECT_EQ(queue_.Submit("ann", {}, {{lease, "purple"}})->accepted, 1U);
}

}  // namespace
}  // namespace tidewheel::labeling
