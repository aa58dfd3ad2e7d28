#include "tidewheel/monitoring/domain/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tidewheel/base/random.h"

namespace tidewheel::monitoring {
namespace {

using ::testing::HasSubstr;

ComparisonPlan Plan(const std::string& stage = "canary") {
  ComparisonPlan plan;
  plan.id = "018f3f6e-0000-7000-8000-000000000001";
  plan.task = "lights";
  plan.candidate = "b";
  plan.baseline = "a";
  plan.stage = stage;
  return plan;
}

/// Requests of which the candidate gets a share; the look after each block.
struct Race {
  explicit Race(std::uint64_t seed) : random(seed) {}

  void Run(std::uint64_t requests, double candidate_accuracy, double baseline_accuracy,
           double slower = 1, double candidate_errors = 0.002) {
    for (std::uint64_t i = 0; i < requests; ++i) {
      const bool to_candidate = random.Uniform() < share;
      ArmCounts& arm = to_candidate ? counts.candidate : counts.baseline;
      ++sent;
      if (random.Uniform() < (to_candidate ? candidate_errors : 0.002)) {
        ++arm.errors;
        continue;
      }
      ++arm.requests;
      ++arm.predictions;
      arm.seconds.Add((to_candidate ? slower : 1) * 0.005 * std::exp(0.5 * random.Normal()));
      ++arm.outcomes;
      arm.correct +=
          random.Uniform() < (to_candidate ? candidate_accuracy : baseline_accuracy) ? 1 : 0;
    }
  }
  Random random;
  double share = 0.2;
  ComparisonCounts counts;
  std::uint64_t sent = 0;
};

TEST(ComparisonTest, EqualModelsAreNeverCalledHarmfulHoweverOftenOneLooks) {
  int wrong = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Race race(seed);
    for (int look = 0; look < 20; ++look) {
      race.Run(100, 0.9, 0.9);
      if (JudgeComparison(Plan(), race.counts).verdict == "harmful") {
        ++wrong;
        break;
      }
    }
  }

  // Alpha is 5 %; intervals of two arms are on the safe side of it.
  EXPECT_LE(wrong, 10);
  RecordProperty("wrong_of_200", wrong);
}

TEST(ComparisonTest, AClearlyWorseCandidateIsCaughtFast) {
  std::uint64_t harmed = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Race race(seed);
    Comparison comparison;
    while (comparison.verdict == "undecided" && race.sent < 3'000) {
      race.Run(10, 0.4, 0.98);
      comparison = JudgeComparison(Plan(), race.counts);
    }
    EXPECT_EQ(comparison.verdict, "harmful");
    EXPECT_THAT(comparison.reason, HasSubstr("accuracy differs by -0."));
    harmed += race.counts.candidate.predictions;
  }

  EXPECT_LT(harmed / 20, 60U);
  RecordProperty("harmed_requests", static_cast<int>(harmed / 20));
}

TEST(ComparisonTest, AGoodCandidateIsHarmlessInTheEnd) {
  Race race(3);
  race.share = 0.5;
  race.Run(30'000, 0.985, 0.98);

  const auto comparison = JudgeComparison(Plan(), race.counts);

  EXPECT_EQ(comparison.verdict, "harmless") << comparison.reason;
  EXPECT_LT(comparison.accuracy_low, *comparison.accuracy_difference);
  EXPECT_GT(comparison.accuracy_high, *comparison.accuracy_difference);
}

TEST(ComparisonTest, ASlowCandidateAndOneThatFailsAreHarmful) {
  Race slow(4);
  slow.Run(2'000, 0.98, 0.98, 6);
  EXPECT_THAT(JudgeComparison(Plan(), slow.counts).reason, HasSubstr("latency"));
  EXPECT_EQ(JudgeComparison(Plan(), slow.counts).verdict, "harmful");
  Race failing(5);
  failing.Run(2'000, 0.98, 0.98, 1, 0.2);
  EXPECT_EQ(JudgeComparison(Plan(), failing.counts).verdict, "harmful");
  EXPECT_THAT(JudgeComparison(Plan(), failing.counts).reason, HasSubstr("failed requests"));
}

TEST(ComparisonTest, AShadowIsHeldAgainstWhatClientsWereAnswered) {
  Race race(6);
  race.Run(1'000, 0.98, 0.98);
  race.counts.candidate.predictions = 300;
  race.counts.disagreements = 20;
  race.counts.candidate.outcomes = 0;
  EXPECT_EQ(JudgeComparison(Plan("shadow"), race.counts).verdict, "undecided");
  ComparisonPlan lenient = Plan("shadow");
  lenient.max_error_increase = 0.2;
  EXPECT_EQ(JudgeComparison(lenient, race.counts).verdict, "harmless")
      << JudgeComparison(lenient, race.counts).reason;

  race.counts.disagreements = 250;

  EXPECT_EQ(JudgeComparison(lenient, race.counts).verdict, "harmful");
  EXPECT_THAT(JudgeComparison(lenient, race.counts).reason, HasSubstr("250 of 300"));
}

TEST(ComparisonTest, NothingKnownIsUndecided) {
  const auto comparison = JudgeComparison(Plan(), {});
  EXPECT_EQ(comparison.verdict, "undecided");
  EXPECT_THAT(comparison.reason, HasSubstr("no outcomes of both yet"));
  EXPECT_FALSE(comparison.accuracy_difference.has_value());
}

TEST(ComparisonTest, PlansAreChecked) {
  ComparisonPlan plan = Plan();
  plan.alpha = 0;
  EXPECT_TRUE(CheckPlan(&plan).ok());
  EXPECT_EQ(plan.alpha, 0.05);
  const auto refused = [](auto&& change) {
    ComparisonPlan bad = Plan();
    change(&bad);
    const auto checked = CheckPlan(&bad);
    return !checked.ok() && checked.error().code == ErrorCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](ComparisonPlan* p) { p->id = "x"; }));
  EXPECT_TRUE(refused([](ComparisonPlan* p) { p->task.clear(); }));
  EXPECT_TRUE(refused([](ComparisonPlan* p) { p->baseline = p->candidate; }));
  EXPECT_TRUE(refused([](ComparisonPlan* p) { p->stage = "live"; }));
  EXPECT_TRUE(refused([](ComparisonPlan* p) { p->alpha = std::nan(""); }));
  EXPECT_TRUE(refused([](ComparisonPlan* p) { p->max_accuracy_loss = 2; }));
  EXPECT_TRUE(refused([](ComparisonPlan* p) { p->max_latency_ratio = -1; }));
}

}  // namespace
}  // namespace tidewheel::monitoring
