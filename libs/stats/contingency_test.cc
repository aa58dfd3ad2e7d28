#include "tidewheel/stats/contingency.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/special.h"

namespace tidewheel::stats {
namespace {

using Counts = std::vector<std::uint64_t>;
constexpr auto kG = ChiSquareOptions::Statistic::kLikelihoodRatio;

// Expected values without another source: scipy 1.17.1.

TEST(ChiSquareTest, AgreesWithScipy) {
  const Counts a = {10, 10, 20};
  const Counts b = {20, 20, 20};

  const auto plain = ChiSquare(a, b);
  const auto ratio = ChiSquare(a, b, {.statistic = kG});

  ASSERT_TRUE(plain.ok());
  EXPECT_NEAR(plain->statistic, 2.7777777777777777, 1e-13);
  EXPECT_EQ(plain->degrees, 2);
  EXPECT_NEAR(plain->p_value, 0.24935220877729622, 1e-13);
  EXPECT_DOUBLE_EQ(plain->smallest_expected, 12);
  EXPECT_NEAR(plain->cramers_v, std::sqrt(2.7777777777777777 / 100), 1e-13);
  EXPECT_NEAR(ratio->statistic, 2.768858761678132, 1e-13);
  EXPECT_NEAR(ratio->p_value, 0.25046668010954165, 1e-13);
}

TEST(ChiSquareTest, YatesCorrectionWorksOnTwoCategoriesOnly) {
  const Counts a = {12, 5};
  const Counts b = {29, 2};

  EXPECT_NEAR(ChiSquare(a, b)->statistic, 4.646430720203109, 1e-12);
  EXPECT_NEAR(ChiSquare(a, b)->p_value, 0.03111818732925684, 1e-13);
  EXPECT_NEAR(ChiSquare(a, b, {.continuity = true})->statistic, 2.9860164364723074, 1e-12);
  EXPECT_NEAR(ChiSquare(a, b, {.continuity = true})->p_value, 0.08398654171499235, 1e-13);
  EXPECT_NEAR(ChiSquare(a, b, {.statistic = kG, .continuity = true})->statistic, 2.8490844273555873,
              1e-12);
  const Counts c = {4, 5, 6};
  const Counts d = {7, 1, 9};
  EXPECT_EQ(ChiSquare(c, d, {.continuity = true})->statistic, ChiSquare(c, d)->statistic);
}

TEST(ChiSquareTest, TwoCategoriesAreTheSquareOfTheZTest) {
  Random random(1);
  for (int round = 0; round < 50; ++round) {
    const Counts a = {1 + random.Below(40), 1 + random.Below(40)};
    const Counts b = {1 + random.Below(40), 1 + random.Below(40)};

    const auto chi = ChiSquare(a, b);
    const auto z = CompareProportions(a[0], a[0] + a[1], b[0], b[0] + b[1]);

    EXPECT_NEAR(chi->statistic, z->z * z->z, 1e-11);
    EXPECT_NEAR(chi->p_value, z->p_value, 1e-12);
  }
}

TEST(ChiSquareTest, SymmetricFreeOfOrderAndOfEmptyCategories) {
  Random random(2);
  for (int round = 0; round < 50; ++round) {
    Counts a, b;
    for (int k = 0; k < 7; ++k) {
      a.push_back(random.Below(6));
      b.push_back(1 + random.Below(6));
    }
    a[0] = 3;
    for (const auto statistic : {ChiSquareOptions::Statistic::kPearson, kG}) {
      const auto first = ChiSquare(a, b, {.statistic = statistic});
      Counts reversed_a(a.rbegin(), a.rend());
      Counts reversed_b(b.rbegin(), b.rend());
      reversed_a.push_back(0);
      reversed_b.push_back(0);
      const auto second = ChiSquare(reversed_b, reversed_a, {.statistic = statistic});

      EXPECT_NEAR(first->statistic, second->statistic, 1e-12);
      EXPECT_EQ(first->degrees, second->degrees);
      EXPECT_GE(first->cramers_v, 0);
      EXPECT_LE(first->cramers_v, 1);
    }
  }
}

TEST(ChiSquareTest, EffectIsOneForCategoriesWithoutOverlap) {
  EXPECT_NEAR(ChiSquare(Counts{10, 0}, Counts{0, 25})->cramers_v, 1, 1e-12);
  EXPECT_NEAR(ChiSquare(Counts{10, 30}, Counts{20, 60})->statistic, 0, 1e-12);
}

TEST(ChiSquareTest, RefusesWhatIsNotATable) {
  EXPECT_EQ(ChiSquare({}, {}).error().message, "there are no categories");
  EXPECT_EQ(ChiSquare(Counts{1, 2}, Counts{1}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(ChiSquare(Counts{0, 0}, Counts{1, 1}).error().message, "the reference has no counts");
  EXPECT_EQ(ChiSquare(Counts{1, 0}, Counts{0, 0}).error().message,
            "the current sample has no counts");
  const auto one = ChiSquare(Counts{5, 0}, Counts{7, 0});
  EXPECT_EQ(one.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(one.error().message, "not applicable, because all counts are in one category");
}

TEST(FisherExactTest, AgreesWithScipy) {
  EXPECT_NEAR(FisherExact(8, 2, 1, 5)->p_value, 0.034965034965034975, 1e-14);
  EXPECT_DOUBLE_EQ(FisherExact(8, 2, 1, 5)->odds_ratio, 20);
  EXPECT_NEAR(FisherExact(6, 2, 1, 4)->p_value, 0.10256410256410256, 1e-14);
  EXPECT_NEAR(FisherExact(100, 200, 150, 150)->p_value, 4.753852139289002e-05, 1e-15);
  EXPECT_NEAR(FisherExact(190, 800, 200, 900)->p_value, 0.5741118581260882, 1e-11);
}

TEST(FisherExactTest, IsTheTeaTastingExperiment) {
  // Fisher (1935): 3 of 4 cups right, two-sided 34 of 70 tables.
  EXPECT_NEAR(FisherExact(3, 1, 1, 3)->p_value, 34.0 / 70, 1e-15);
  EXPECT_NEAR(FisherExact(4, 0, 0, 4)->p_value, 2.0 / 70, 1e-15);
  EXPECT_TRUE(std::isinf(FisherExact(4, 0, 0, 4)->odds_ratio));
}

TEST(FisherExactTest, TurningTheTableChangesNothing) {
  Random random(3);
  for (int round = 0; round < 100; ++round) {
    const std::uint64_t a = random.Below(30), b = 1 + random.Below(30);
    const std::uint64_t c = 1 + random.Below(30), d = random.Below(30);
    const double p = FisherExact(a, b, c, d)->p_value;

    EXPECT_NEAR(FisherExact(c, d, a, b)->p_value, p, 1e-14);
    EXPECT_NEAR(FisherExact(b, a, d, c)->p_value, p, 1e-14);
    EXPECT_NEAR(FisherExact(a, c, b, d)->p_value, p, 1e-14);
    EXPECT_GT(p, 0);
    EXPECT_LE(p, 1);
  }
}

TEST(FisherExactTest, AgreesWithTheZTestOnLargeCounts) {
  const auto exact = FisherExact(500'100'000, 499'900'000, 500'000'000, 500'000'000);
  const auto limit = CompareProportions(500'100'000, 1'000'000'000, 500'000'000, 1'000'000'000);

  EXPECT_NEAR(exact->p_value / limit->p_value, 1, 1e-3);
  EXPECT_EQ(FisherExact(1'000'000'000, 1, 1, 1'000'000'000)->p_value, 0);
}

TEST(FisherExactTest, RefusesMarginsOfZeroAndTooManyCounts) {
  EXPECT_EQ(FisherExact(0, 0, 1, 2).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(FisherExact(0, 3, 0, 2).error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(FisherExact(1ULL << 32, 1, 1, 1).error().message.find("2147483648"), std::string::npos);
}

TEST(CompareProportionsTest, IsNewcombesExample) {
  // Newcombe (1998), table II, method 10, the example 56/70 - 48/80.
  const auto result = CompareProportions(48, 80, 56, 70);

  ASSERT_TRUE(result.ok());
  EXPECT_NEAR(result->difference, 0.2, 1e-15);
  EXPECT_NEAR(result->interval.low, 0.0524, 5e-5);
  EXPECT_NEAR(result->interval.high, 0.3339, 5e-5);
}

TEST(CompareProportionsTest, MirrorsWhenTheSamplesAreSwapped) {
  Random random(4);
  for (int round = 0; round < 100; ++round) {
    const std::uint64_t n = 1 + random.Below(60), m = 1 + random.Below(60);
    const std::uint64_t x = random.Below(n + 1), y = random.Below(m + 1);
    const auto forward = CompareProportions(x, n, y, m);
    const auto back = CompareProportions(y, m, x, n);

    EXPECT_NEAR(forward->interval.low, -back->interval.high, 1e-14);
    EXPECT_NEAR(forward->z, -back->z, 1e-13);
    EXPECT_LE(forward->interval.low, forward->difference);
    EXPECT_GE(forward->interval.high, forward->difference);
    EXPECT_GE(forward->interval.low, -1);
    EXPECT_LE(forward->interval.high, 1);
  }
}

TEST(CompareProportionsTest, IntervalCoversAsOftenAsItSays) {
  Random random(5);
  constexpr int kTrials = 4000;
  int covered = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::uint64_t x = 0, y = 0;
    for (int i = 0; i < 80; ++i) x += random.Uniform() < 0.3;
    for (int i = 0; i < 60; ++i) y += random.Uniform() < 0.45;
    const auto result = CompareProportions(x, 80, y, 60);
    covered += result->interval.low <= 0.15 && result->interval.high >= 0.15;
  }
  EXPECT_GT(BinomialCdf(covered, kTrials, 0.945), 0.001);
  EXPECT_LT(BinomialCdf(covered, kTrials, 0.96), 0.999);
}

TEST(CompareProportionsTest, RefusesRatesThatAreNone) {
  EXPECT_NE(CompareProportions(1, 0, 1, 2).error().message.find("reference"), std::string::npos);
  EXPECT_NE(CompareProportions(1, 2, 3, 2).error().message.find("current"), std::string::npos);
  EXPECT_FALSE(CompareProportions(1, 2, 1, 2, 1.0).ok());
  EXPECT_EQ(CompareProportions(0, 5, 0, 9)->p_value, 1);
}

}  // namespace
}  // namespace tidewheel::stats
