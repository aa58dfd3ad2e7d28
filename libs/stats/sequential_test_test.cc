#include "tidewheel/stats/sequential_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/special.h"

namespace tidewheel::stats {
namespace {

using testing::HasSubstr;

constexpr int kCanaries = 200;
constexpr std::uint64_t kOutcomes = 10'000;  // Of the candidate, in one canary.

struct Outcome {
  Answer answer = Answer::kInconclusive;
  std::uint64_t after = 0;  // Outcomes of the candidate.
};

/// A canary that is looked at after every outcome until it decides.
Outcome RunCanary(double baseline, double candidate, std::uint32_t split, double margin,
                  std::uint64_t seed) {
  auto test = *CanaryTest::Make({.test = {.margin = margin}, .baseline_per_candidate = split});
  Random random(seed);
  for (std::uint64_t i = 1; i <= kOutcomes; ++i) {
    for (std::uint32_t j = 0; j < split; ++j) test.AddBaseline(random.Uniform() < baseline);
    test.AddCandidate(random.Uniform() < candidate);
    if (test.decision() != Answer::kInconclusive) return {test.decision(), i};
  }
  return {};
}

double Median(std::vector<std::uint64_t> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  const auto upper = static_cast<double>(values[half]);
  return values.size() % 2 == 1 ? upper : (static_cast<double>(values[half - 1]) + upper) / 2;
}

TEST(CanaryRunTest, EqualModelsGetAtMostAlphaWrongDecisions) {
  for (const double accuracy : {0.9, 0.6}) {
    int wrong = 0;
    for (int run = 0; run < kCanaries; ++run) {
      const Outcome outcome =
          RunCanary(accuracy, accuracy, 1, 0, 10'000 + static_cast<std::uint64_t>(run));
      wrong += outcome.answer != Answer::kInconclusive ? 1 : 0;
    }
    EXPECT_LE(wrong, kCanaries * 5 / 100) << accuracy;  // Either decision is wrong with margin 0.
  }
}

TEST(CanaryRunTest, EqualModelsOfAnUnevenSplitGetAtMostAlphaWrongDecisions) {
  int wrong = 0;
  for (int run = 0; run < kCanaries; ++run) {
    const Outcome outcome = RunCanary(0.9, 0.9, 9, 0, 20'000 + static_cast<std::uint64_t>(run));
    wrong += outcome.answer != Answer::kInconclusive ? 1 : 0;
  }
  EXPECT_LE(wrong, kCanaries * 5 / 100);
}

TEST(CanaryRunTest, ACandidateFivePointsWorseIsCaught) {
  std::vector<std::uint64_t> after;  // The seeds of bench/comparison_bench.cc: the same median.
  for (int run = 0; run < kCanaries; ++run) {
    const Outcome outcome = RunCanary(0.9, 0.85, 1, 0, 1'000 + static_cast<std::uint64_t>(run));
    ASSERT_EQ(outcome.answer, Answer::kFail) << "run " << run;
    after.push_back(outcome.after);
  }
  RecordProperty("median_samples", std::to_string(Median(after)));
  EXPECT_LT(Median(after), 3'000);
}

TEST(CanaryRunTest, MoreOfTheBaselineNeedsFewerOfTheCandidate) {
  std::vector<std::uint64_t> one;
  std::vector<std::uint64_t> nine;
  for (std::uint64_t run = 0; run < 60; ++run) {
    one.push_back(RunCanary(0.9, 0.85, 1, 0, 40'000 + run).after);
    nine.push_back(RunCanary(0.9, 0.85, 9, 0, 40'000 + run).after);
  }
  EXPECT_LT(Median(nine), Median(one));
}

TEST(CanaryRunTest, AnEqualCandidatePassesAMarginAndAWorseOneDoesNot) {
  int passed = 0;
  int failed = 0;
  for (std::uint64_t run = 0; run < 60; ++run) {
    passed += RunCanary(0.9, 0.9, 1, 0.03, 50'000 + run).answer == Answer::kPass ? 1 : 0;
    failed += RunCanary(0.9, 0.82, 1, 0.03, 50'000 + run).answer == Answer::kFail ? 1 : 0;
  }
  EXPECT_GE(passed, 57);
  EXPECT_GE(failed, 57);
}

TEST(CanaryRunTest, OutcomesWaitForTheirPartnersAndAreDroppedBeyondTheLimit) {
  auto test = *CanaryTest::Make({.baseline_per_candidate = 3, .max_waiting = 5});
  EXPECT_EQ(test.Look().verdict.answer, Answer::kNotEvaluated);
  for (int i = 0; i < 7; ++i) test.AddBaseline(i != 1);
  EXPECT_EQ(test.waiting_baseline(), 5U);
  EXPECT_EQ(test.dropped(), 2U);
  EXPECT_EQ(test.Look().pairs, 0U);
  test.AddCandidate(true);
  EXPECT_EQ(test.Look().pairs, 1U);
  EXPECT_NEAR(test.Look().difference, 1.0 / 3, 1e-15);
  EXPECT_EQ(test.waiting_baseline(), 2U);
  for (int i = 0; i < 7; ++i) test.AddCandidate(false);
  EXPECT_EQ(test.waiting_candidate(), 5U);
  EXPECT_EQ(test.dropped(), 4U);
  test.AddBaseline(true);
  EXPECT_EQ(test.Look().pairs, 2U);
}

/// Answers of two models on the same samples: wrong together, apart only in `worse` and `better`.
Outcome RunPaired(double worse, double better, std::uint64_t seed) {
  auto test = *PairedSequentialTest::Make();
  Random random(seed);
  for (std::uint64_t i = 1; i <= kOutcomes; ++i) {
    const double at = random.Uniform();
    test.Add(at >= better, at < better || at >= better + worse);
    if (test.decision() != Answer::kInconclusive) return {test.decision(), i};
  }
  return {};
}

TEST(PairedRunTest, EqualModelsGetAtMostAlphaWrongDecisions) {
  int wrong = 0;
  for (std::uint64_t run = 0; run < kCanaries; ++run) {
    wrong += RunPaired(0.04, 0.04, 60'000 + run).answer != Answer::kInconclusive ? 1 : 0;
  }
  EXPECT_LE(wrong, kCanaries * 5 / 100);
}

TEST(PairedRunTest, TheSameSamplesTellSoonerThanTwoStreams) {
  std::vector<std::uint64_t> paired;
  std::vector<std::uint64_t> canary;
  for (std::uint64_t run = 0; run < 60; ++run) {
    const Outcome outcome = RunPaired(0.08, 0.03, 70'000 + run);
    EXPECT_EQ(outcome.answer, Answer::kFail);
    paired.push_back(outcome.after);
    canary.push_back(RunCanary(0.9, 0.85, 1, 0, 70'000 + run).after);
  }
  EXPECT_LT(Median(paired), Median(canary));
}

TEST(PairedRunTest, TheIntervalHoldsTheTruthAtEveryLook) {
  int ever_lost = 0;
  for (std::uint64_t run = 0; run < kCanaries; ++run) {
    auto test = *PairedSequentialTest::Make();
    Random random(80'000 + run);
    bool lost = false;
    for (int i = 1; i <= 3'000 && !lost; ++i) {
      const double at = random.Uniform();
      test.Add(at >= 0.02, at < 0.02 || at >= 0.08);  // 2 % better, 6 % worse: -.04.
      if (i % 50 != 0 && i > 30) continue;
      const Interval interval = test.Look().interval;
      lost = interval.low > -0.04 || interval.high < -0.04;
    }
    ever_lost += lost ? 1 : 0;
  }
  EXPECT_LE(ever_lost, kCanaries * 5 / 100);
}

TEST(PairedRunTest, TheDecisionIsThatOfTheInterval) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    for (const double margin : {0.0, 0.02, -0.01}) {
      auto test = *PairedSequentialTest::Make({.margin = margin});
      Random random(seed);
      for (int i = 0; i < 400 && test.decision() == Answer::kInconclusive; ++i) {
        const double at = random.Uniform();
        test.Add(at < 0.7, at < 0.5 || at > 0.85);
        const SequentialLook look = test.Look();
        EXPECT_EQ(look.interval.low >= -margin, test.decision() == Answer::kPass);
        EXPECT_EQ(look.interval.high <= -margin, test.decision() == Answer::kFail);
        EXPECT_EQ(look.p_value <= 0.05, test.decision() != Answer::kInconclusive);
        EXPECT_LE(look.interval.low, look.difference);
        EXPECT_GE(look.interval.high, look.difference);
      }
    }
  }
}

TEST(PairedRunTest, SwappingTheModelsTurnsTheSign) {
  auto test = *PairedSequentialTest::Make();
  auto swapped = *PairedSequentialTest::Make();
  Random random(3);
  for (int i = 0; i < 500; ++i) {
    const bool baseline = random.Uniform() < 0.9;
    const bool candidate = random.Uniform() < 0.8;
    test.Add(baseline, candidate);
    swapped.Add(candidate, baseline);
  }
  EXPECT_NEAR(test.Look().interval.low, -swapped.Look().interval.high, 1e-12);
  EXPECT_EQ(test.Look().p_value, swapped.Look().p_value);
  EXPECT_EQ(test.decision(), Answer::kFail);
  EXPECT_EQ(swapped.decision(), Answer::kPass);
}

TEST(PairedRunTest, CountsAtOnceAreAsGoodAsOneByOne) {
  auto one_by_one = *PairedSequentialTest::Make();
  auto at_once = *PairedSequentialTest::Make();
  PairedCounts counts;
  Random random(5);
  for (int i = 0; i < 300; ++i) {
    const bool baseline = random.Uniform() < 0.9;
    const bool candidate = random.Uniform() < 0.9;
    one_by_one.Add(baseline, candidate);
    (baseline    ? candidate ? counts.both_right : counts.only_baseline_right
     : candidate ? counts.only_candidate_right
                 : counts.neither_right)++;
  }
  at_once.Add(counts);
  EXPECT_EQ(one_by_one.Look().interval.low, at_once.Look().interval.low);
  EXPECT_EQ(one_by_one.Look().interval.high, at_once.Look().interval.high);
  EXPECT_EQ(one_by_one.Look().pairs, at_once.Look().pairs);
}

TEST(PairedRunTest, ADecisionStaysAndSaysSinceWhen) {
  auto test = *PairedSequentialTest::Make();
  EXPECT_EQ(test.Look().verdict.answer, Answer::kNotEvaluated);
  for (int i = 0; i < 100; ++i) test.Add(true, false);
  const std::uint64_t at = test.Look().decided_at;
  EXPECT_EQ(test.decision(), Answer::kFail);
  EXPECT_GT(at, 0U);
  EXPECT_LT(at, 100U);
  for (int i = 0; i < 300; ++i) test.Add(false, true);
  EXPECT_EQ(test.decision(), Answer::kFail);
  EXPECT_EQ(test.Look().decided_at, at);
  EXPECT_THAT(test.Look().verdict.reason, HasSubstr("since pair " + std::to_string(at)));
}

TEST(PairedRunTest, OneBetIsTheProductOfItsFactors) {
  // Twenty shares from .95 down, each smaller by the root of 2; evidence is the mean of products.
  auto test = *PairedSequentialTest::Make();
  for (int i = 0; i < 6; ++i) test.Add(false, true);
  test.Add(true, false);
  double evidence = 0;
  double share = 0.95;
  for (int i = 0; i < 20; ++i) {
    evidence += std::pow(1 + share, 6) * (1 - share) / 20;
    share /= std::sqrt(2.0);
  }
  double before = 0;  // After the sixth, which is stronger.
  share = 0.95;
  for (int i = 0; i < 20; ++i) {
    before += std::pow(1 + share, 6) / 20;
    share /= std::sqrt(2.0);
  }
  EXPECT_GT(before, evidence);
  EXPECT_NEAR(test.Look().p_value, std::min(1.0, 2 / before), 1e-12);
}

TEST(SequentialTest, BadOptionsAreNamed) {
  const auto problem = [](CanaryOptions options) {
    const auto test = CanaryTest::Make(options);
    return test.ok() ? std::string("taken") : test.error().message;
  };
  EXPECT_THAT(problem({.test = {.alpha = 0}}), HasSubstr("alpha"));
  EXPECT_THAT(problem({.test = {.margin = 1}}), HasSubstr("margin"));
  EXPECT_THAT(problem({.test = {.margin = std::nan("")}}), HasSubstr("margin"));
  EXPECT_THAT(problem({.baseline_per_candidate = 0}), HasSubstr("1 to 1000"));
  EXPECT_THAT(problem({.baseline_per_candidate = 9, .max_waiting = 8}), HasSubstr("waiting"));
  EXPECT_FALSE(PairedSequentialTest::Make({.alpha = 1}).ok());
  EXPECT_FALSE(SequentialMeanTest::Make({}).ok());
  EXPECT_FALSE(SequentialMeanTest::Make({0, 1.5}).ok());
}

}  // namespace
}  // namespace tidewheel::stats
