#include "tidewheel/inference/core/batch_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "tidewheel/base/random.h"
#include "tidewheel/inference/core/cost_model.h"

namespace tidewheel::inference {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = BatchQueue::Turn::Kind;

/// A queue whose time is what the test says.
class Bench {
 public:
  explicit Bench(BatchPolicy policy = {}, BatchQueue::Limits limits = {.most_rows = 8})
      : queue_(std::move(policy), limits) {}

  struct Asked {
    std::uint64_t priority = 0;
    std::size_t rows = 1;
    std::optional<microseconds> timeout{};
    std::optional<microseconds> deadline{};
    std::vector<std::int64_t> shape{1, 2};
    std::size_t bytes = 8;
  };

  Result<void> Add(const std::string& id, const Asked& asked) {
    auto request = std::make_unique<QueuedRequest>();
    request->request.id = id;
    request->request.priority = asked.priority;
    request->request.timeout = asked.timeout;
    request->request.inputs = {{.name = "x", .shape = asked.shape}};
    request->rows = asked.rows;
    request->bytes = asked.bytes;
    if (asked.deadline) request->deadline = now_ + *asked.deadline;
    return queue_.Add(request, now_, refused_);
  }
  Result<void> Add(const std::string& id) { return Add(id, Asked{}); }

  BatchQueue::Turn Next() {
    batch_.clear();
    return queue_.Next(now_, cost_, batch_, refused_);
  }
  std::vector<std::string> TopUp(std::size_t keep) {
    batch_.resize(keep);
    queue_.TopUp(now_, batch_, refused_);
    return Ids();
  }
  void Pass(microseconds time) { now_ += time; }

  std::vector<std::string> Ids() const {
    std::vector<std::string> ids;
    for (const auto& request : batch_) ids.push_back(request->request.id);
    return ids;
  }
  std::vector<std::string> Refused() const {
    std::vector<std::string> ids;
    for (const auto& one : refused_) ids.push_back(one.request->request.id);
    return ids;
  }

  SteadyTime now_{std::chrono::hours{1}};
  std::chrono::nanoseconds cost_{0};
  std::vector<std::unique_ptr<QueuedRequest>> batch_;
  std::vector<RefusedRequest> refused_;
  BatchQueue queue_;
};

TEST(BatchQueueTest, TakesWhatIsThereWithoutWaiting) {
  Bench bench;
  EXPECT_EQ(bench.Next().kind, Kind::kEmpty);
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(bench.Add(id).ok());

  const auto turn = bench.Next();

  EXPECT_EQ(turn.kind, Kind::kBatch);
  EXPECT_EQ(turn.reason, BatchReason::kIdle);
  EXPECT_THAT(bench.Ids(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(bench.queue_.size(), 0U);
  EXPECT_EQ(bench.queue_.rows(), 0U);
}

TEST(BatchQueueTest, NeverMoreRowsThanTheModelTakes) {
  Bench bench;
  ASSERT_TRUE(bench.Add("a", {.rows = 5}).ok());
  ASSERT_TRUE(bench.Add("b", {.rows = 3}).ok());
  ASSERT_TRUE(bench.Add("c", {.rows = 2}).ok());
  ASSERT_TRUE(bench.Add("d", {.rows = 7}).ok());

  EXPECT_EQ(bench.Next().reason, BatchReason::kSize);
  EXPECT_THAT(bench.Ids(), ElementsAre("a", "b"));
  EXPECT_EQ(bench.Next().reason, BatchReason::kSize);  // d does not fit beside c.
  EXPECT_THAT(bench.Ids(), ElementsAre("c"));
  EXPECT_EQ(bench.Next().reason, BatchReason::kIdle);
  EXPECT_THAT(bench.Ids(), ElementsAre("d"));
}

TEST(BatchQueueTest, WithoutBatchingEachRequestGoesAlone) {
  Bench bench({}, {.most_rows = 1, .batches = false});
  ASSERT_TRUE(bench.Add("a").ok());
  ASSERT_TRUE(bench.Add("b").ok());

  bench.Next();
  EXPECT_THAT(bench.Ids(), ElementsAre("a"));
  bench.Next();
  EXPECT_THAT(bench.Ids(), ElementsAre("b"));
}

TEST(BatchQueueTest, AFullBatchDoesNotWaitForTheDelay) {
  Bench bench({.max_queue_delay = milliseconds{5}});
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(bench.Add(std::to_string(i)).ok());

  const auto turn = bench.Next();

  EXPECT_EQ(turn.kind, Kind::kBatch);
  EXPECT_EQ(turn.reason, BatchReason::kSize);
  EXPECT_EQ(bench.batch_.size(), 8U);
  EXPECT_EQ(bench.Next().kind, Kind::kWait);
  EXPECT_EQ(bench.queue_.size(), 1U);
}

TEST(BatchQueueTest, APartOfABatchWaitsAsLongAsTold) {
  Bench bench({.max_queue_delay = milliseconds{5}});
  ASSERT_TRUE(bench.Add("a").ok());
  bench.Pass(milliseconds{2});
  ASSERT_TRUE(bench.Add("b").ok());

  const auto waits = bench.Next();
  EXPECT_EQ(waits.kind, Kind::kWait);
  EXPECT_EQ(waits.until, bench.now_ + milliseconds{3});
  bench.Pass(milliseconds{3});
  const auto turn = bench.Next();
  EXPECT_EQ(turn.kind, Kind::kBatch);
  EXPECT_EQ(turn.reason, BatchReason::kDelay);
  EXPECT_THAT(bench.Ids(), ElementsAre("a", "b"));
}

TEST(BatchQueueTest, APreferredSizeGoesAtOnceAndLeavesTheRest) {
  Bench bench({.preferred_batch_sizes = {2, 4}, .max_queue_delay = milliseconds{5}});
  ASSERT_TRUE(bench.Add("a").ok());
  EXPECT_EQ(bench.Next().kind, Kind::kWait);
  for (const char* id : {"b", "c", "d", "e"}) ASSERT_TRUE(bench.Add(id).ok());

  EXPECT_EQ(bench.Next().reason, BatchReason::kSize);
  EXPECT_THAT(bench.Ids(), ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(bench.Next().kind, Kind::kWait);
}

TEST(BatchQueueTest, ADeadlineEndsTheDelayEarly) {
  Bench bench({.max_queue_delay = milliseconds{50}});
  bench.cost_ = milliseconds{4};
  ASSERT_TRUE(bench.Add("a").ok());
  ASSERT_TRUE(bench.Add("b", {.deadline = milliseconds{10}}).ok());

  const auto waits = bench.Next();
  EXPECT_EQ(waits.kind, Kind::kWait);
  EXPECT_EQ(waits.until, bench.now_ + milliseconds{6});
  bench.Pass(milliseconds{6});
  EXPECT_EQ(bench.Next().reason, BatchReason::kDeadline);
  EXPECT_THAT(bench.Ids(), ElementsAre("a", "b"));
}

TEST(BatchQueueTest, FirstPrioritiesGoFirstAndStayInOrder) {
  Bench bench({.priority_levels = 3, .default_priority_level = 2}, {.most_rows = 3});
  ASSERT_TRUE(bench.Add("low", {.priority = 3}).ok());
  ASSERT_TRUE(bench.Add("middle", {}).ok());
  ASSERT_TRUE(bench.Add("first", {.priority = 1}).ok());
  ASSERT_TRUE(bench.Add("second", {.priority = 1}).ok());
  ASSERT_TRUE(bench.Add("unknown", {.priority = 9}).ok());

  EXPECT_EQ(bench.queue_.RowsBefore(bench.queue_.LevelOf(1)), 2U);
  EXPECT_EQ(bench.queue_.RowsBefore(bench.queue_.LevelOf(0)), 4U);
  bench.Next();
  EXPECT_THAT(bench.Ids(), ElementsAre("first", "second", "middle"));
  bench.Next();
  EXPECT_THAT(bench.Ids(), ElementsAre("unknown", "low"));
}

TEST(BatchQueueTest, WhatIsTooLateIsNeverRun) {
  Bench bench({.default_queue_policy = {.default_timeout = milliseconds{10}}});
  ASSERT_TRUE(bench.Add("deadline", {.deadline = milliseconds{3}}).ok());
  ASSERT_TRUE(bench.Add("timeout").ok());
  bench.Pass(milliseconds{4});
  ASSERT_TRUE(bench.Add("good").ok());
  bench.Pass(milliseconds{7});

  bench.Next();

  EXPECT_THAT(bench.Ids(), ElementsAre("good"));
  EXPECT_THAT(bench.Refused(), ElementsAre("deadline", "timeout"));
  for (const auto& one : bench.refused_) EXPECT_EQ(one.error.code, ErrorCode::kDeadlineExceeded);
  EXPECT_THAT(bench.refused_[0].error.message, HasSubstr("deadline passed after 11 ms"));
  EXPECT_EQ(bench.queue_.rows(), 0U);
}

TEST(BatchQueueTest, ATimeoutMayDelayInsteadOfReject) {
  Bench bench(
      {.default_queue_policy = {.delays_on_timeout = true, .default_timeout = milliseconds{10}}},
      {.most_rows = 2});
  ASSERT_TRUE(bench.Add("late").ok());
  bench.Pass(milliseconds{11});
  for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(bench.Add(id).ok());

  bench.Next();
  EXPECT_THAT(bench.Ids(), ElementsAre("a", "b"));
  ASSERT_TRUE(bench.Add("d").ok());
  bench.Next();
  EXPECT_THAT(bench.Ids(), ElementsAre("c", "d"));
  bench.Next();
  EXPECT_THAT(bench.Ids(), ElementsAre("late"));
  EXPECT_TRUE(bench.refused_.empty());
}

TEST(BatchQueueTest, ARequestMayOnlyShortenTheTimeoutAndOnlyWhereAllowed) {
  InferRequest shorter;
  shorter.timeout = milliseconds{1};
  InferRequest longer;
  longer.timeout = milliseconds{100};
  const SteadyTime now{std::chrono::hours{1}};
  const auto with = [](bool allowed, milliseconds standard) {
    return BatchPolicy{
        .default_queue_policy = {.default_timeout = standard, .allow_timeout_override = allowed}};
  };

  const BatchQueue allows(with(true, milliseconds{10}), {});
  EXPECT_EQ(allows.TimeoutOf(shorter, 0, now), now + milliseconds{1});
  EXPECT_EQ(allows.TimeoutOf(longer, 0, now), now + milliseconds{10});
  const BatchQueue forbids(with(false, milliseconds{10}), {});
  EXPECT_EQ(forbids.TimeoutOf(shorter, 0, now), now + milliseconds{10});
  const BatchQueue none(with(true, milliseconds{0}), {});
  EXPECT_EQ(none.TimeoutOf(shorter, 0, now), now + milliseconds{1});
  EXPECT_EQ(none.TimeoutOf({}, 0, now), SteadyTime::max());
  shorter.timeout = microseconds::max();
  EXPECT_EQ(none.TimeoutOf(shorter, 0, now), SteadyTime::max());
}

TEST(BatchQueueTest, AFullQueueRefusesAndALevelMayHaveItsOwnLimit) {
  Bench bench({.priority_levels = 2,
               .default_priority_level = 2,
               .default_queue_policy = {.max_queue_size = 2},
               .priority_queue_policy = {{1, {.max_queue_size = 1}}}});
  ASSERT_TRUE(bench.Add("a").ok());
  ASSERT_TRUE(bench.Add("b").ok());

  const auto third = bench.Add("c");
  ASSERT_FALSE(third.ok());
  EXPECT_EQ(third.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(third.error().message, HasSubstr("2 requests (max_queue_size)"));
  EXPECT_TRUE(bench.Add("d", {.priority = 1}).ok());
  EXPECT_FALSE(bench.Add("e", {.priority = 1}).ok());
  bench.Next();
  EXPECT_TRUE(bench.Add("f").ok());
}

TEST(BatchQueueTest, ThoseWhoAreTooLateMakeRoomInAFullQueue) {
  Bench bench({.default_queue_policy = {.max_queue_size = 1}});
  ASSERT_TRUE(bench.Add("late", {.deadline = milliseconds{2}}).ok());
  bench.Pass(milliseconds{3});

  EXPECT_TRUE(bench.Add("good").ok());

  EXPECT_THAT(bench.Refused(), ElementsAre("late"));
}

TEST(BatchQueueTest, BytesThatWaitAreBoundedButOneRequestAlwaysFits) {
  Bench bench({}, {.most_rows = 8, .most_bytes = 100});
  ASSERT_TRUE(bench.Add("large", {.bytes = 1'000}).ok());
  const auto refused = bench.Add("small", {.bytes = 1});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("1000 bytes, its limit is 100"));
}

TEST(BatchQueueTest, OnlyEqualShapesGoTogether) {
  Bench bench({}, {.most_rows = 8, .shapes_vary = true});
  ASSERT_TRUE(bench.Add("a", {.shape = {1, 5}}).ok());
  ASSERT_TRUE(bench.Add("b", {.shape = {1, 7}}).ok());
  ASSERT_TRUE(bench.Add("c", {.rows = 2, .shape = {2, 5}}).ok());
  ASSERT_TRUE(bench.Add("d", {.shape = {1, 7}}).ok());

  bench.Next();
  EXPECT_THAT(bench.Ids(), ElementsAre("a", "c"));
  bench.Next();
  EXPECT_THAT(bench.Ids(), ElementsAre("b", "d"));
}

TEST(BatchQueueTest, PlacesThatBecameFreeAreFilled) {
  Bench bench({}, {.most_rows = 3});
  for (const char* id : {"a", "b", "c", "d", "e"}) ASSERT_TRUE(bench.Add(id).ok());
  bench.Next();

  EXPECT_THAT(bench.TopUp(1), ElementsAre("a", "d", "e"));
  EXPECT_EQ(bench.queue_.size(), 0U);
}

// Nothing is lost, doubled, run too late, or overtaken by its own level, whatever the policy.
TEST(BatchQueueTest, EveryRequestLeavesExactlyOnceUnderAnyPolicy) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    Random random(seed);
    BatchPolicy policy{.max_queue_delay = microseconds{random.Below(2) * random.Below(2'000)},
                       .priority_levels = static_cast<std::uint32_t>(random.Below(4)),
                       .default_priority_level = 1};
    if (random.Below(2) == 0) policy.preferred_batch_sizes = {2, 5};
    policy.default_queue_policy = {
        .delays_on_timeout = random.Below(2) == 0,
        .default_timeout = microseconds{random.Below(2) * 700},
        .allow_timeout_override = true,
        .max_queue_size = static_cast<std::uint32_t>(random.Below(2) * 20)};
    const bool vary = random.Below(2) == 0;
    Bench bench(policy, {.most_rows = 6, .shapes_vary = vary});
    std::map<std::string, int> left;
    std::size_t accepted = 0;
    const auto take = [&] {
      std::size_t rows = 0;
      for (const auto& request : bench.batch_) {
        ++left[request->request.id];
        rows += request->rows;
        EXPECT_GT(request->deadline, bench.now_);
        EXPECT_EQ(request->request.inputs[0].shape[1], bench.batch_[0]->request.inputs[0].shape[1]);
      }
      EXPECT_LE(rows, 6U);
    };

    for (int i = 0; i < 400; ++i) {
      const std::size_t rows = 1 + random.Below(4);
      const auto width = static_cast<std::int64_t>(vary ? 1 + random.Below(3) : 1);
      Bench::Asked asked{.priority = random.Below(5),
                         .rows = rows,
                         .shape = {static_cast<std::int64_t>(rows), width}};
      if (random.Below(3) == 0) asked.deadline = microseconds{random.Below(900)};
      if (random.Below(3) == 0) asked.timeout = microseconds{1 + random.Below(900)};
      if (bench.Add(std::to_string(i), asked)) ++accepted;
      bench.Pass(microseconds{random.Below(200)});
      if (random.Below(3) == 0) {
        bench.Next();
        take();
      }
    }
    for (int i = 0; i < 2'000 && bench.queue_.size() > 0; ++i) {
      const auto turn = bench.Next();
      take();
      if (turn.kind == Kind::kWait) bench.now_ = std::max(bench.now_, turn.until);
    }
    for (const std::string& id : bench.Refused()) ++left[id];
    EXPECT_EQ(bench.queue_.size(), 0U) << "seed " << seed;
    EXPECT_EQ(bench.queue_.rows(), 0U);
    EXPECT_EQ(left.size(), accepted);
    for (const auto& [id, times] : left) EXPECT_EQ(times, 1) << id;
  }
}

TEST(CostModelTest, LearnsWhatACallOfASizeCosts) {
  CostModel cost;
  EXPECT_EQ(cost.Of(1).count(), 0);
  for (int i = 0; i < 50; ++i) cost.Add(1, microseconds{100});
  EXPECT_NEAR(static_cast<double>(cost.Of(1).count()), 100'000, 1);
  // A larger batch was never seen: it cannot be cheaper than one row.
  EXPECT_EQ(cost.Of(8), cost.Of(1));
  cost.Add(8, microseconds{160});
  EXPECT_EQ(cost.Of(8), microseconds{160});
  EXPECT_EQ(cost.ForAll(20, 8), 2 * cost.Of(8) + cost.Of(4));
  // One call in which the machine did something else.
  cost.Add(1, milliseconds{50});
  EXPECT_LT(cost.Of(1), microseconds{150});
  for (int i = 0; i < 100; ++i) cost.Add(1, milliseconds{2});
  EXPECT_GT(cost.Of(1), microseconds{1'900});
}

TEST(CostModelTest, AsksLargerSizesWhereNoSmallerIsKnown) {
  CostModel cost;
  cost.Add(32, microseconds{320});
  EXPECT_EQ(cost.Of(2), microseconds{20});
}

}  // namespace
}  // namespace tidewheel::inference
