#include "tidewheel/monitoring/domain/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

#include "tidewheel/monitoring/domain/cause.h"
#include "tidewheel/monitoring/domain/testing/made_up_traffic.h"
#include "tidewheel/stats/special.h"

namespace tidewheel::monitoring {
namespace {

using Change = MadeUpTraffic::Change;

TEST(PredictiveTailTest, IsThatOfTheBetaBinomialDistribution) {
  EXPECT_DOUBLE_EQ(PredictiveTail(0, 50, 3, 100), 1);
  // With hardly any reference one hit says nothing, with a large one it is the binomial's.
  EXPECT_NEAR(PredictiveTail(5, 50, 20'000, 1'000'000), 1 - stats::BinomialCdf(4, 50, 0.02), 1e-4);
  double before = 1;
  for (std::uint64_t hits = 1; hits <= 50; ++hits) {
    const double p = PredictiveTail(hits, 50, 0, 300);
    EXPECT_LT(p, before);
    before = p;
  }
}

TEST(GroupedTailTest, LevelsAreExceededAsOftenAsTheySay) {
  Random random(5);
  std::vector<double> values;
  for (int i = 0; i < 64 * 40; ++i) values.push_back(-std::log(1 - random.Uniform()));
  const GroupedTail tail(values, 40);

  // Of exponential numbers the tail is known.
  EXPECT_NEAR(tail.Level(1e-4, 1), -std::log(1e-4), 1.5);
  EXPECT_NEAR(tail.Exceeded(tail.Level(1e-6, 2), 2), 1e-6, 1e-9);
  EXPECT_GT(tail.Level(1e-6, 2), -std::log(1e-3) - 1);
  EXPECT_LT(tail.Level(1e-3, 1), tail.Level(1e-4, 1));
}

TEST(ChangePointTest, IsWhereTheEvidenceBegins) {
  std::vector<double> scores(100, -0.5);
  for (std::size_t i = 63; i < 100; ++i) scores[i] = 0.5;
  EXPECT_EQ(ChangePoint(scores), 63U);
  EXPECT_EQ(ChangePoint(std::vector<double>(10, 1.0)), 0U);
}

TEST(WindowJudgeTest, TheBudgetIsKeptOnCalmTrafficFromAnotherSample) {
  // 20 worlds, each a reference of its own and a pool of traffic of its own; 150 windows each.
  MonitoringPolicy policy;
  policy.window_predictions = 50;
  // A budget that can be seen: one in 1,000 predictions, 1 in 20 windows.
  policy.max_false_alarms = 300;
  int windows = 0;
  int alarms = 0;
  for (std::uint64_t world = 0; world < 20; ++world) {
    MadeUpTraffic traffic(500 + world);
    WindowJudge judge;
    double before = 0;
    for (std::uint64_t number = 1; number <= 150; ++number) {
      const auto judgement = judge.Judge(traffic.Window(number, 50), &traffic.profile(), policy);
      ASSERT_EQ(judgement.not_applicable, "");
      bool alarm = judgement.SingleShare() > 1 || (judgement.PairShare() > 1 && before > 1);
      for (std::size_t i = 0; i < judgement.rare.size(); ++i) {
        alarm = alarm || judgement.findings[i].fires;
      }
      alarms += alarm ? 1 : 0;
      before = judgement.PairShare();
      ++windows;
    }
  }

  const double allowed = windows * AllowedPerWindow(policy, 50);
  // Two deviations above what is allowed; resampling by halves is on the safe side.
  EXPECT_LE(alarms, allowed + 2 * std::sqrt(allowed)) << "of " << windows << " windows";
  RecordProperty("false_alarms", alarms);
  RecordProperty("allowed", static_cast<int>(allowed));
  std::printf("%d false alarms in %d windows, %.0f allowed\n", alarms, windows, allowed);
}

TEST(WindowJudgeTest, TheDefaultBudgetLetsThousandsOfCalmWindowsPass) {
  MonitoringPolicy policy;
  int alarms = 0;
  for (std::uint64_t world = 0; world < 10; ++world) {
    MadeUpTraffic traffic(700 + world, 300, 300);
    WindowJudge judge;
    double before = 0;
    for (std::uint64_t number = 1; number <= 200; ++number) {
      const auto judgement = judge.Judge(traffic.Window(number, 50), &traffic.profile(), policy);
      alarms += judgement.SingleShare() > 1 || (judgement.PairShare() > 1 && before > 1) ? 1 : 0;
      before = judgement.PairShare();
    }
  }

  // 100,000 predictions of a budget of one in 300,000: the 95 % interval ends at 2.
  EXPECT_LE(alarms, 2);
}

struct SmallReferenceCase {
  std::size_t reference_rows;
  double separation;  // At 3.2 one answer of 20 is wrong, at 6 and 8 hardly any row is doubtful.
  double stray_share;
};

class SmallReferenceTest : public ::testing::TestWithParam<SmallReferenceCase> {};

TEST_P(SmallReferenceTest, KeepsTheBudgetAndSeesALargeChange) {
  const auto& [reference_rows, separation, stray_share] = GetParam();
  MonitoringPolicy policy;
  constexpr std::uint64_t kWorlds = 8;
  constexpr std::uint64_t kWindows = 60;
  int alarms = 0;
  int found = 0;
  for (std::uint64_t world = 0; world < kWorlds; ++world) {
    // Traffic is far from being as small a sample as the reference.
    MadeUpTraffic traffic(10'000 * reference_rows + world, reference_rows, 2'000,
                          {separation, stray_share});
    WindowJudge judge;
    double before = 0;
    for (std::uint64_t number = 1; number <= kWindows; ++number) {
      const auto judgement = judge.Judge(traffic.Window(number, 50), &traffic.profile(), policy);
      ASSERT_EQ(judgement.not_applicable, "");
      alarms += judgement.SingleShare() > 1 || (judgement.PairShare() > 1 && before > 1) ? 1 : 0;
      before = judgement.PairShare();
    }
    bool seen = false;
    before = 0;
    for (std::uint64_t number = 1; number <= 4; ++number) {
      const auto judgement = judge.Judge(traffic.Window(kWindows + number, 50, Change::kTurned),
                                         &traffic.profile(), policy);
      seen = seen || judgement.SingleShare() > 1 || (judgement.PairShare() > 1 && before > 1);
      before = judgement.PairShare();
    }
    found += seen ? 1 : 0;
  }

  // 24,000 predictions of a budget of one in 300,000: 0.08 are expected, the 95 % interval ends at
  // 1.
  EXPECT_LE(alarms, 1);
  // Below 60 rows not even a large change is certain to be seen in 200 predictions.
  EXPECT_GE(found, static_cast<int>(reference_rows < 60 ? kWorlds / 4 : kWorlds));
  std::printf("%zu rows: %d false alarms in %llu windows, the change found in %d of %llu worlds\n",
              reference_rows, alarms, static_cast<unsigned long long>(kWorlds * kWindows), found,
              static_cast<unsigned long long>(kWorlds));
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, SmallReferenceTest,
    ::testing::Values(SmallReferenceCase{30, 3.2, 0}, SmallReferenceCase{30, 6, 0.01},
                      SmallReferenceCase{60, 3.2, 0}, SmallReferenceCase{60, 6, 0},
                      SmallReferenceCase{60, 8, 0.01}, SmallReferenceCase{180, 6, 0.03},
                      SmallReferenceCase{180, 8, 0}, SmallReferenceCase{1'000, 3.2, 0.01},
                      SmallReferenceCase{1'000, 6, 0}),
    [](const auto& test) {
      return "Rows" + std::to_string(test.param.reference_rows) + "Apart" +
             std::to_string(static_cast<int>(10 * test.param.separation));
    });

TEST(WindowJudgeTest, ASevereChangeIsFoundInTheWindowThatItBeginsInOrTheNext) {
  MonitoringPolicy policy;
  int known = 0;
  for (std::uint64_t world = 0; world < 10; ++world) {
    MadeUpTraffic traffic(900 + world, 300, 300);
    WindowJudge judge;
    const std::size_t from = 5 * world;
    const auto straddling =
        judge.Judge(traffic.Window(1, 50, Change::kTurned, from), &traffic.profile(), policy);
    const auto next =
        judge.Judge(traffic.Window(2, 50, Change::kTurned), &traffic.profile(), policy);
    EXPECT_TRUE(straddling.SingleShare() > 1 || next.SingleShare() > 1) << from;
    known += next.SurelyKnown() ? 1 : 0;
  }
  // A window may look known by luck; three in a row hardly do.
  EXPECT_LE(known, 2);
}

TEST(WindowJudgeTest, JudgingAgainGivesTheSame) {
  MadeUpTraffic traffic(3);
  const auto window = traffic.Window(1, 50, Change::kTurned);
  WindowJudge one;
  WindowJudge other;

  const auto a = one.Judge(window, &traffic.profile(), {});
  const auto b = other.Judge(window, &traffic.profile(), {});

  EXPECT_EQ(a.strongest, b.strongest);
  EXPECT_EQ(a.pair_level, b.pair_level);
  EXPECT_EQ(a.single_level, b.single_level);
}

TEST(WindowJudgeTest, WhatCannotBeJudgedSaysWhy) {
  MadeUpTraffic traffic(4);
  WindowJudge judge;
  const auto window = traffic.Window(1, 50);
  const auto without = judge.Judge(window, nullptr, {});
  EXPECT_NE(without.not_applicable.find("no profile"), std::string::npos);
  EXPECT_EQ(without.findings.back().method, kNotApplicable);
  EXPECT_EQ(without.findings.back().subject, without.not_applicable);

  Profile small = traffic.profile();
  small.rows.resize(20);
  EXPECT_NE(judge.Judge(window, &small, {}).not_applicable.find("20 held-out rows"),
            std::string::npos);

  WindowJudge again;
  EXPECT_NE(
      again.Judge(traffic.Window(1, 10), &traffic.profile(), {}).not_applicable.find("10 rows"),
      std::string::npos);
  Profile plain = traffic.profile();  // Without embeddings the rest is judged.
  plain.embedding = {};
  for (auto& row : plain.rows) row.embedding.clear();
  WindowJudge third;
  EXPECT_EQ(third.Judge(window, &plain, {}).not_applicable, "");
}

TEST(WindowJudgeTest, AWindowOf200RowsIsJudgedInMilliseconds) {
  MadeUpTraffic traffic(5, 1000, 400);
  WindowJudge judge;
  const auto window = traffic.Window(1, 200);
  (void)judge.Judge(window, &traffic.profile(), {});  // Makes the thresholds.

  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 10; ++i) (void)judge.Judge(window, &traffic.profile(), {});
  const double each =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count() /
      10;

  RecordProperty("microseconds", static_cast<int>(1000 * each));
  std::printf("%.2f ms for 200 rows of 8 features and 16 numbers\n", each);
  EXPECT_LT(each, 200);  // Far from the 20 ms of a quiet machine, so that a busy one passes.
}

}  // namespace
}  // namespace tidewheel::monitoring
