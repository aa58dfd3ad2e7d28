#include "tidewheel/inference/core/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <thread>
#include <utility>

#include "tidewheel/base/random.h"
#include "tidewheel/inference/core/testing/fake_executor.h"

namespace tidewheel::inference {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::Answers;
using ::testing::Each;
using ::testing::ElementsAre;
using testing::FakeExecutor;
using testing::Floats;
using testing::Gate;
using ::testing::HasSubstr;
using testing::Row;

InferRequest Asking(float value) {
  InferRequest request;
  request.id = std::to_string(static_cast<int>(value));
  request.inputs.push_back(Row("x", {value, -value}));
  return request;
}

/// A scheduler over a fake, and what the fake saw.
struct Running {
  explicit Running(FakeExecutor::Behaviour behaviour = {},
                   SchedulerOptions options = {.max_batch_size = 8},
                   ModelSpec spec = FakeExecutor::Spec()) {
    auto made = std::make_unique<FakeExecutor>(std::move(spec), std::move(behaviour));
    executor = made.get();
    scheduler = std::make_unique<Scheduler>(std::move(made), std::move(options));
  }
  bool Submit(InferRequest request, ModelServer::Answered answered) {
    return scheduler->Submit(request, answered);
  }

  FakeExecutor* executor;
  std::unique_ptr<Scheduler> scheduler;
};

TEST(SchedulerTest, ARequestIsAnsweredWithTheModelsNameAndItsOwnId) {
  Running running;
  Answers answers;

  ASSERT_TRUE(running.Submit(Asking(4), answers.At(0)));
  answers.Await(1);

  const auto answer = answers.Only(0);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->model_name, "plus");
  EXPECT_EQ(answer->model_version, "1");
  EXPECT_EQ(answer->id, "4");
  EXPECT_EQ(answer->batch_size, 1U);
  ASSERT_EQ(answer->outputs.size(), 1U);
  EXPECT_THAT(Floats(answer->outputs[0]), ElementsAre(5, -3));
}

TEST(SchedulerTest, WhatQueuedUpWhileAnotherRanGoesTogetherAndEachGetsItsOwnRows) {
  Gate gate;
  gate.Shut();
  Running running({.gate = &gate});
  Answers answers;
  ASSERT_TRUE(running.Submit(Asking(0), answers.At(0)));
  gate.AwaitArrivals(1);
  for (int i = 1; i <= 5; ++i) {
    ASSERT_TRUE(
        running.Submit(Asking(static_cast<float>(i)), answers.At(static_cast<std::size_t>(i))));
  }

  gate.Open();
  answers.Await(6);

  EXPECT_THAT(running.executor->batches(), ElementsAre(1, 5));
  for (std::size_t i = 0; i <= 5; ++i) {
    const auto answer = answers.Only(i);
    ASSERT_TRUE(answer.ok());
    const auto value = static_cast<float>(i);
    EXPECT_THAT(Floats(answer->outputs[0]), ElementsAre(value + 1, -value + 1));
    EXPECT_THAT(answer->outputs[0].shape, ElementsAre(1, 2));
    EXPECT_EQ(answer->batch_size, i == 0 ? 1U : 5U);
  }
  // The rows of a batch are parts of one buffer, not copies.
  EXPECT_EQ(answers.Only(2)->outputs[0].data.data(),
            answers.Only(1)->outputs[0].data.data() + 2 * sizeof(float));
  EXPECT_EQ(answers.Only(1)->outputs[0].owner, answers.Only(5)->outputs[0].owner);
}

TEST(SchedulerTest, NoMoreGoTogetherThanTheModelComputesInOnePassUnlessThatIsAskedFor) {
  const auto batches_with = [](BatchPolicy batching) {
    Gate gate;
    gate.Shut();
    Running running({.gate = &gate, .rows_of_a_pass = 2},
                    {.max_batch_size = 8, .batching = std::move(batching)});
    Answers answers;
    EXPECT_TRUE(running.Submit(Asking(0), answers.At(0)));
    gate.AwaitArrivals(1);
    InferRequest three = Asking(1);
    three.inputs[0] = Tensor::Of("x", DataType::kFp32, {3, 2}, std::string(24, '\0'));
    EXPECT_TRUE(running.Submit(std::move(three), answers.At(1)));  // One request stays whole.
    for (std::size_t i = 2; i <= 4; ++i) {
      EXPECT_TRUE(running.Submit(Asking(static_cast<float>(i)), answers.At(i)));
    }
    gate.Open();
    answers.Await(5);
    return running.executor->batches();
  };
  EXPECT_THAT(batches_with({}), ElementsAre(1, 3, 2, 1));
  EXPECT_THAT(batches_with({.preferred_batch_sizes = {6}}), ElementsAre(1, 6));
}

TEST(SchedulerTest, ABatchOfOneIsNotCopied) {
  const void* seen = nullptr;
  Running running({.seen = [&](std::span<const Tensor> inputs) { seen = inputs[0].data.data(); }});
  Answers answers;
  InferRequest request = Asking(1);
  const void* const given = request.inputs[0].data.data();

  ASSERT_TRUE(running.Submit(std::move(request), answers.At(0)));
  answers.Await(1);

  EXPECT_EQ(seen, given);
}

TEST(SchedulerTest, ACheapModelRunsOnTheCallersThreadWhenNothingWaits) {
  std::thread::id ran;
  Running running({.seen = [&](std::span<const Tensor>) { ran = std::this_thread::get_id(); }},
                  {.max_batch_size = 8, .inline_limit = std::chrono::seconds{10}});
  Answers answers;
  ASSERT_TRUE(running.Submit(Asking(1), answers.At(0)));
  answers.Await(1);
  EXPECT_NE(ran, std::this_thread::get_id());  // Its cost is not known yet.

  ASSERT_TRUE(running.scheduler->RunAlone(Asking(1).inputs).ok());
  ASSERT_TRUE(running.Submit(Asking(2), answers.At(1)));

  EXPECT_EQ(ran, std::this_thread::get_id());
  EXPECT_EQ(answers.count(), 2U);
  EXPECT_EQ(running.scheduler->Statistics().ran_inline, 1U);
}

TEST(SchedulerTest, CallsThatCameTogetherRunOnTheCallersThreadOnlyWhileAllOfThemAreCheap) {
  for (const bool cheap : {true, false}) {
    std::thread::id ran;
    Running running({.takes = microseconds{20},
                     .seen = [&](std::span<const Tensor>) { ran = std::this_thread::get_id(); }},
                    {.max_batch_size = 8,
                     .inline_limit = std::chrono::seconds{10},
                     .together_limit = cheap ? std::chrono::nanoseconds{std::chrono::seconds{10}}
                                             : std::chrono::nanoseconds{microseconds{30}}});
    ASSERT_TRUE(running.scheduler->RunAlone(Asking(1).inputs).ok());
    Answers answers;
    InferRequest request = Asking(2);
    request.came_with = 2;
    ASSERT_TRUE(running.Submit(std::move(request), answers.At(0)));
    answers.Await(1);
    EXPECT_EQ(ran == std::this_thread::get_id(), cheap);
  }
}

TEST(SchedulerTest, AModelThatIsNotCheapNeverRunsOnTheCallersThread) {
  std::thread::id ran;
  Running running({.takes = microseconds{300},
                   .seen = [&](std::span<const Tensor>) { ran = std::this_thread::get_id(); }});
  ASSERT_TRUE(running.scheduler->RunAlone(Asking(1).inputs).ok());
  Answers answers;
  ASSERT_TRUE(running.Submit(Asking(2), answers.At(0)));
  answers.Await(1);
  EXPECT_NE(ran, std::this_thread::get_id());
}

TEST(SchedulerTest, ACallersThreadGoesOnWithWhatCameWhileItRan) {
  Gate gate;
  Running running({.gate = &gate}, {.max_batch_size = 8,
                                    .inline_limit = std::chrono::seconds{10},
                                    .inline_turn = std::chrono::seconds{100}});
  ASSERT_TRUE(running.scheduler->RunAlone(Asking(1).inputs).ok());
  gate.Shut();
  Answers answers;
  std::thread caller([&] { running.Submit(Asking(0), answers.At(0)); });
  gate.AwaitArrivals(2);
  for (std::size_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(running.Submit(Asking(static_cast<float>(i)), answers.At(i)));
  }

  gate.Open();
  caller.join();
  answers.Await(4);

  EXPECT_THAT(running.executor->batches(), ElementsAre(1, 1, 3));
}

TEST(SchedulerTest, AsManyCallsRunAtATimeAsThereAreInstances) {
  Gate gate;
  gate.Shut();
  Running running({.gate = &gate}, {.max_batch_size = 0, .instances = 3}, FakeExecutor::Spec(0));
  Answers answers;
  for (std::size_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(running.Submit(Asking(static_cast<float>(i)), answers.At(i)));
  }

  gate.AwaitArrivals(3);
  EXPECT_EQ(running.scheduler->Statistics().pending, 2U);
  gate.Open();
  answers.Await(5);

  EXPECT_THAT(running.executor->batches(), ElementsAre(1, 1, 1, 1, 1));
}

TEST(SchedulerTest, ACancelledRequestIsNotRunAndItsPlaceIsTaken) {
  Gate gate;
  gate.Shut();
  Running running({.gate = &gate}, {.max_batch_size = 2});
  Answers answers;
  ASSERT_TRUE(running.Submit(Asking(0), answers.At(0)));
  gate.AwaitArrivals(1);
  std::atomic<bool> cancelled{false};
  InferRequest leaves = Asking(1);
  leaves.cancelled = [&] { return cancelled.load(); };
  ASSERT_TRUE(running.Submit(std::move(leaves), answers.At(1)));
  ASSERT_TRUE(running.Submit(Asking(2), answers.At(2)));
  ASSERT_TRUE(running.Submit(Asking(3), answers.At(3)));

  cancelled = true;
  gate.Open();
  answers.Await(4);

  EXPECT_EQ(answers.Only(1).error().code, ErrorCode::kCancelled);
  EXPECT_THAT(running.executor->batches(), ElementsAre(1, 2));
  EXPECT_EQ(running.scheduler->Statistics().cancelled, 1U);
}

TEST(SchedulerTest, ARequestWhoseDeadlinePassedInTheQueueIsNotRun) {
  Gate gate;
  gate.Shut();
  Running running({.gate = &gate});
  Answers answers;
  ASSERT_TRUE(running.Submit(Asking(0), answers.At(0)));
  gate.AwaitArrivals(1);
  InferRequest hurried = Asking(1);
  const auto deadline = std::chrono::system_clock::now() + milliseconds{20};
  hurried.deadline = deadline;
  ASSERT_TRUE(running.Submit(std::move(hurried), answers.At(1)));
  InferRequest late = Asking(2);
  late.deadline = std::chrono::system_clock::now() - milliseconds{1};
  ASSERT_TRUE(running.Submit(std::move(late), answers.At(2)));
  EXPECT_EQ(answers.Only(2).error().code, ErrorCode::kDeadlineExceeded);

  std::this_thread::sleep_until(deadline + milliseconds{1});
  gate.Open();
  answers.Await(3);

  EXPECT_EQ(answers.Only(1).error().code, ErrorCode::kDeadlineExceeded);
  EXPECT_THAT(running.executor->batches(), ElementsAre(1));
  EXPECT_EQ(running.scheduler->Statistics().expired, 2U);
}

TEST(SchedulerTest, ARequestThatCannotBeInTimeIsRefusedAtOnce) {
  Gate gate;
  Running running({.gate = &gate, .takes = milliseconds{30}}, {.max_batch_size = 0},
                  FakeExecutor::Spec(0));
  ASSERT_TRUE(running.scheduler->RunAlone(Asking(1).inputs).ok());
  gate.Shut();
  Answers answers;
  ASSERT_TRUE(running.Submit(Asking(0), answers.At(0)));
  gate.AwaitArrivals(2);
  ASSERT_TRUE(running.Submit(Asking(1), answers.At(1)));

  InferRequest hurried = Asking(2);
  hurried.deadline = std::chrono::system_clock::now() + milliseconds{25};
  ASSERT_TRUE(running.Submit(std::move(hurried), answers.At(2)));

  EXPECT_EQ(answers.Only(2).error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(answers.Only(2).error().message, HasSubstr("1 rows wait"));
  gate.Open();
  answers.Await(3);
  EXPECT_EQ(running.scheduler->Statistics().refused, 1U);
}

TEST(SchedulerTest, ABatchWaitsForItsDelayAndSaysSo) {
  SchedulerOptions options{.max_batch_size = 4};
  options.batching.max_queue_delay = std::chrono::seconds{30};
  Running running({}, options);
  Answers answers;
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(answers.count(), 0U);
    ASSERT_TRUE(running.Submit(Asking(static_cast<float>(i)), answers.At(i)));
  }
  answers.Await(4);
  EXPECT_THAT(running.executor->batches(), ElementsAre(4));
  EXPECT_EQ(running.scheduler->Statistics().reasons[static_cast<int>(BatchReason::kSize)], 1U);

  options.batching.max_queue_delay = milliseconds{2};
  Running brief({}, options);
  Answers few;
  ASSERT_TRUE(brief.Submit(Asking(1), few.At(0)));
  few.Await(1);
  EXPECT_EQ(brief.scheduler->Statistics().reasons[static_cast<int>(BatchReason::kDelay)], 1U);
}

TEST(SchedulerTest, AnswersComeInTheOrderOfTheRequestsWhenToldTo) {
  Gate first;
  first.Shut();
  std::atomic<int> calls{0};
  SchedulerOptions options{.max_batch_size = 1, .instances = 4};
  options.batching.preserve_ordering = true;
  Running running({.seen =
                       [&](std::span<const Tensor> inputs) {
                         ++calls;
                         if (Floats(inputs[0])[0] == 0) first.Pass();
                       }},
                  options, FakeExecutor::Spec(1));
  Answers answers;
  for (std::size_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(running.Submit(Asking(static_cast<float>(i)), answers.At(i)));
  }
  // The others are done long before the first.
  while (calls.load() < 20) std::this_thread::yield();
  EXPECT_EQ(answers.count(), 0U);
  first.Open();
  answers.Await(20);
  const auto order = answers.order();
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(SchedulerTest, WhenTheEngineFailsAllOfTheBatchAreTold) {
  Running running({.fails = Error{ErrorCode::kInternal, "it broke"}});
  Answers answers;
  ASSERT_TRUE(running.Submit(Asking(1), answers.At(0)));
  answers.Await(1);
  EXPECT_EQ(answers.Only(0).error().message, "it broke");
  const auto statistics = running.scheduler->Statistics();
  EXPECT_EQ(statistics.fail.count, 1U);
  EXPECT_EQ(statistics.success.count, 0U);
  EXPECT_EQ(statistics.inference_count, 0U);
}

TEST(SchedulerTest, OnlyTheOutputsAskedForAreAnsweredInTheOrderAsked) {
  class Two final : public Executor {
   public:
    const ModelSpec& spec() const override { return spec_; }
    Result<std::vector<Tensor>> Execute(std::span<const Tensor> inputs) override {
      return std::vector<Tensor>{Tensor::Of("", DataType::kInt8, {inputs[0].shape[0], 1}, "a"),
                                 Tensor::Of("", DataType::kInt8, {inputs[0].shape[0], 1}, "b")};
    }
    ModelSpec spec_{.name = "two",
                    .version = "3",
                    .max_batch_size = 4,
                    .inputs = {{"x", DataType::kFp32, {-1, 2}}},
                    .outputs = {{"p", DataType::kInt8, {-1, 1}}, {"q", DataType::kInt8, {-1, 1}}},
                    .properties = {{"variant", "int8"}}};
  };
  Scheduler scheduler(std::make_unique<Two>(), {.max_batch_size = 4});
  Answers answers;
  InferRequest request = Asking(1);
  request.outputs = {"q"};
  ModelServer::Answered answered = answers.At(0);
  ASSERT_TRUE(scheduler.Submit(request, answered));
  answers.Await(1);
  const auto answer = answers.Only(0);
  ASSERT_TRUE(answer.ok());
  ASSERT_EQ(answer->outputs.size(), 1U);
  EXPECT_EQ(answer->outputs[0].name, "q");
  EXPECT_EQ(answer->outputs[0].data, "b");
  EXPECT_EQ(std::get<std::string>(answer->parameters.at("variant")), "int8");
}

TEST(SchedulerTest, StatisticsCountRequestsRowsBatchesAndPhases) {
  Gate gate;
  gate.Shut();
  Running running({.gate = &gate, .takes = microseconds{500}});
  Answers answers;
  ASSERT_TRUE(running.Submit(Asking(0), answers.At(0)));
  gate.AwaitArrivals(1);
  for (std::size_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(running.Submit(Asking(static_cast<float>(i)), answers.At(i)));
  }
  gate.Open();
  answers.Await(4);
  running.scheduler->Drain();

  const auto statistics = running.scheduler->Statistics();
  EXPECT_EQ(statistics.inference_count, 4U);
  EXPECT_EQ(statistics.execution_count, 2U);
  EXPECT_EQ(statistics.success.count, 4U);
  EXPECT_EQ(statistics.infer.count, 4U);
  EXPECT_GE(statistics.infer.nanoseconds, 4 * 500'000U);
  EXPECT_GE(statistics.success.nanoseconds, statistics.infer.nanoseconds);
  ASSERT_EQ(statistics.batches.size(), 2U);
  EXPECT_EQ(statistics.batches[0].batch_size, 1U);
  EXPECT_EQ(statistics.batches[1].batch_size, 3U);
  EXPECT_EQ(statistics.batches[1].infer.count, 1U);
  EXPECT_EQ(statistics.reasons[static_cast<int>(BatchReason::kIdle)], 2U);
  std::uint64_t counted = 0;
  for (const std::uint64_t bucket : statistics.infer_seconds.counts) counted += bucket;
  EXPECT_EQ(counted, 4U);
  EXPECT_GE(statistics.infer_seconds.sum_seconds, 4 * 500e-6);
  EXPECT_GT(statistics.last_inference_ms, 1'600'000'000'000U);
}

TEST(SchedulerTest, WhoDrainsAnswersAllAndTakesNoMore) {
  Gate gate;
  gate.Shut();
  Running running({.gate = &gate}, {.max_batch_size = 2});
  Answers answers;
  for (std::size_t i = 0; i < 9; ++i) {
    ASSERT_TRUE(running.Submit(Asking(static_cast<float>(i)), answers.At(i)));
  }
  gate.AwaitArrivals(1);
  std::thread drains([&] { running.scheduler->Drain(); });
  // Those who come while it drains are given back untouched.
  Answers others;
  std::size_t taken = 0;
  while (true) {
    InferRequest request = Asking(5);
    ModelServer::Answered answered = others.At(taken);
    if (!running.scheduler->Submit(request, answered)) {
      EXPECT_EQ(request.inputs.size(), 1U);
      EXPECT_TRUE(answered);
      break;
    }
    ++taken;
    std::this_thread::yield();
  }
  gate.Open();
  drains.join();
  EXPECT_EQ(answers.count(), 9U);
  EXPECT_EQ(others.count(), taken);
}

// Whatever the policy, and whoever cancels, is late or drains: one answer each, and the right one.
TEST(SchedulerTest, EveryRequestIsAnsweredExactlyOnce) {
  for (std::uint64_t seed = 0; seed < 24; ++seed) {
    Random random(seed);
    SchedulerOptions options{.max_batch_size = random.Below(2) == 0 ? 0U : 5U,
                             .instances = static_cast<std::uint32_t>(1 + random.Below(3)),
                             .most_queued = random.Below(2) == 0 ? 30U : 10'000U,
                             .queue_budget = milliseconds{random.Below(2)},
                             .inline_limit = microseconds{random.Below(2) * 500}};
    options.batching.preserve_ordering = random.Below(3) == 0;
    options.batching.max_queue_delay = microseconds{random.Below(2) * 300};
    options.batching.priority_levels = static_cast<std::uint32_t>(random.Below(3));
    options.batching.default_queue_policy.allow_timeout_override = true;
    options.batching.default_queue_policy.delays_on_timeout = random.Below(2) == 0;
    Running running({.takes = microseconds{random.Below(60)}}, options,
                    FakeExecutor::Spec(options.max_batch_size));

    constexpr std::size_t kCallers = 3;
    constexpr std::size_t kEach = 300;
    struct Fate {
      std::atomic<int> answers{0};
      std::atomic<bool> right{true};
      std::atomic<bool> cancelled{false};
      bool taken = false;
    };
    std::deque<Fate> fates(kCallers * kEach);
    std::vector<std::thread> callers;
    for (std::size_t caller = 0; caller < kCallers; ++caller) {
      callers.emplace_back([&, caller, own = Random(seed * 100 + caller)]() mutable {
        for (std::size_t i = 0; i < kEach; ++i) {
          Fate& fate = fates[caller * kEach + i];
          const auto value = static_cast<float>(caller * kEach + i);
          InferRequest request = Asking(value);
          request.priority = own.Below(4);
          if (own.Below(4) == 0) request.timeout = microseconds{1 + own.Below(2'000)};
          if (own.Below(4) == 0) {
            request.deadline = std::chrono::system_clock::now() + microseconds{own.Below(2'000)};
          }
          if (own.Below(3) == 0) request.cancelled = [&fate] { return fate.cancelled.load(); };
          if (own.Below(6) == 0) fate.cancelled = true;
          ModelServer::Answered answered = [&fate, value](Result<InferResponse> answer) {
            if (answer && Floats(answer->outputs[0]) != std::vector<float>{value + 1, -value + 1}) {
              fate.right = false;
            }
            ++fate.answers;
          };
          fate.taken = running.scheduler->Submit(request, answered);
          if (own.Below(5) == 0) fates[own.Below(fates.size())].cancelled = true;
        }
      });
    }
    if (seed % 2 == 0) {
      std::this_thread::yield();
      running.scheduler->Drain();
    }
    for (std::thread& caller : callers) caller.join();
    running.scheduler->Drain();
    for (std::size_t i = 0; i < fates.size(); ++i) {
      EXPECT_EQ(fates[i].answers.load(), fates[i].taken ? 1 : 0) << "seed " << seed << ", " << i;
      EXPECT_TRUE(fates[i].right.load()) << "seed " << seed << ", " << i;
    }
    const auto statistics = running.scheduler->Statistics();
    EXPECT_EQ(statistics.pending, 0U);
    const auto taken = static_cast<std::uint64_t>(
        std::count_if(fates.begin(), fates.end(), [](const Fate& fate) { return fate.taken; }));
    EXPECT_EQ(statistics.success.count + statistics.fail.count, taken);
  }
}

}  // namespace
}  // namespace tidewheel::inference
