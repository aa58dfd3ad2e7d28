#include "tidewheel/stats/drift_verdict.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/distances.h"
#include "tidewheel/stats/histograms.h"
#include "tidewheel/stats/special.h"
#include "tidewheel/stats/two_sample.h"

namespace tidewheel::stats {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

std::vector<double> Normals(std::size_t size, Random& random, double shift = 0) {
  std::vector<double> values(size);
  for (double& value : values) value = random.Normal() + shift;
  return values;
}

std::vector<std::int32_t> Categories(std::size_t size, Random& random,
                                     const std::vector<double>& shares) {
  std::vector<std::int32_t> values(size);
  for (auto& value : values) {
    double left = random.Uniform();
    while (value + 1 < static_cast<std::int32_t>(shares.size()) &&
           left >= shares[static_cast<std::size_t>(value)]) {
      left -= shares[static_cast<std::size_t>(value)];
      ++value;
    }
  }
  return values;
}

const std::vector<double> kShares = {0.5, 0.3, 0.15, 0.05};

TEST(NumericDriftTest, EffectIsTheMeasureOfAllRows) {
  Random random(1);
  for (const std::size_t n : {200U, 9'000U}) {
    auto a = Normals(n, random);
    auto b = Normals(n / 2, random, 0.2);
    for (std::size_t i = 0; i < n; i += 3) a[i] = std::round(a[i]);
    for (std::size_t i = 0; i < b.size(); i += 2) b[i] = std::round(b[i]);

    const auto by_height = NumericDrift(a, b);
    const auto by_area = NumericDrift(a, b, {.numeric = NumericMeasure::kWasserstein});

    EXPECT_NEAR(by_height->effect, KolmogorovSmirnov(a, b)->statistic, 1e-14);
    EXPECT_NEAR(by_area->effect, *ScaledWasserstein(a, b), 1e-12);
  }
}

TEST(NumericDriftTest, AlarmsKeepTheBudgetWithoutDrift) {
  constexpr int kTrials = 300;
  for (const auto measure : {NumericMeasure::kKolmogorovSmirnov, NumericMeasure::kWasserstein}) {
    for (const bool whole : {false, true}) {
      Random random(2);
      int alarms = 0;
      for (int trial = 0; trial < kTrials; ++trial) {
        auto a = Normals(300, random);
        auto b = Normals(150, random);
        if (whole) {
          for (double& value : a) value = std::round(2 * value);
          for (double& value : b) value = std::round(2 * value);
        }
        const auto verdict = NumericDrift(a, b,
                                          {.false_alarm_rate = 0.05,
                                           .numeric = measure,
                                           .resamples = 199,
                                           .seed = static_cast<std::uint64_t>(trial)});
        alarms += verdict->drifted;
      }
      EXPECT_GT(1 - BinomialCdf(alarms - 1, kTrials, 0.05), 0.001) << alarms;
      // Whole numbers reach a level only nearly.
      EXPECT_GT(BinomialCdf(alarms, kTrials, whole ? 0.025 : 0.05), 0.001) << alarms;
    }
  }
}

TEST(NumericDriftTest, IntervalHoldsTheTrueEffect) {
  constexpr int kTrials = 200;
  // Of normal distributions half a deviation apart.
  const double true_height = 2 * NormalCdf(0.25) - 1;
  int by_height = 0;
  int by_area = 0;
  int without_drift = 0;
  Random random(3);
  for (int trial = 0; trial < kTrials; ++trial) {
    const auto a = Normals(400, random);
    const auto b = Normals(300, random, 0.5);
    const auto same = Normals(300, random);
    DriftPolicy policy{.resamples = 300, .seed = static_cast<std::uint64_t>(trial)};
    const auto height = NumericDrift(a, b, policy);
    const auto nothing = NumericDrift(a, same, policy);
    policy.numeric = NumericMeasure::kWasserstein;
    const auto area = NumericDrift(a, b, policy);
    by_height += height->interval.low <= true_height && true_height <= height->interval.high;
    by_area += area->interval.low <= 0.5 && 0.5 <= area->interval.high;
    without_drift += nothing->interval.low == 0;
  }
  // 95 % but for what a bootstrap of 300 rows misses.
  EXPECT_GE(by_height, 0.92 * kTrials);
  EXPECT_GE(by_area, 0.92 * kTrials);
  EXPECT_GE(without_drift, 0.92 * kTrials);
}

TEST(NumericDriftTest, SeesADriftAndTellsHowLargeItIs) {
  Random random(4);
  const auto a = Normals(2'000, random);
  const auto b = Normals(500, random, 0.4);

  const auto verdict = NumericDrift(a, b, {.numeric = NumericMeasure::kWasserstein});

  ASSERT_TRUE(verdict.ok());
  EXPECT_TRUE(verdict->drifted);
  EXPECT_GT(verdict->interval.low, 0.2);
  EXPECT_LT(verdict->interval.high, 0.6);
  EXPECT_LT(verdict->threshold, verdict->effect);
  EXPECT_LE(verdict->p_value, 0.002);
  EXPECT_FALSE(NumericDrift(a, b, {.smallest_effect = 0.9})->drifted);
}

TEST(NumericDriftTest, ThresholdFallsWithTheRowsWithoutACliff) {
  Random random(5);
  const auto all = Normals(64'000, random);
  std::vector<double> scaled;
  for (const std::size_t n : {400U, 900U, 1'000U, 1'100U, 1'900U, 2'100U, 8'000U, 64'000U}) {
    const std::vector<double> part(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n));
    const auto verdict = NumericDrift(part, part, {.false_alarm_rate = 0.05});
    scaled.push_back(verdict->threshold * std::sqrt(static_cast<double>(n) / 2));
  }
  // Kolmogorov's limit has 5 % above 1.358.
  for (const double threshold : scaled) EXPECT_NEAR(threshold, 1.358, 0.1);
}

TEST(NumericDriftTest, OrderOfRowsAndGrowingTransformationsChangeNothing) {
  Random random(6);
  auto a = Normals(500, random);
  auto b = Normals(300, random, 0.1);
  const auto first = NumericDrift(a, b);
  for (auto* values : {&a, &b}) {
    for (double& value : *values) value = std::exp(value);
    std::reverse(values->begin(), values->end());
  }
  const auto second = NumericDrift(a, b);

  EXPECT_EQ(first->effect, second->effect);
  EXPECT_EQ(first->threshold, second->threshold);
  EXPECT_EQ(first->p_value, second->p_value);
  EXPECT_EQ(first->interval.low, second->interval.low);
}

TEST(NumericDriftTest, MissingRowsAreLeftOutAndReported) {
  Random random(7);
  auto a = Normals(500, random);
  auto b = Normals(400, random);
  const auto whole = NumericDrift(a, b);
  a.insert(a.begin() + 10, kMissing);
  b.insert(b.end(), 100, kMissing);
  const auto with_holes = NumericDrift(a, b);

  EXPECT_EQ(with_holes->effect, whole->effect);
  EXPECT_EQ(with_holes->threshold, whole->threshold);
  EXPECT_EQ(with_holes->reference_rows, 500U);
  EXPECT_EQ(with_holes->current_rows, 400U);
  EXPECT_NEAR(with_holes->missing.difference, 0.2 - 1.0 / 501, 1e-12);
  EXPECT_LT(with_holes->missing.p_value, 1e-10);
  EXPECT_EQ(whole->missing.p_value, 1);
}

TEST(NumericDriftTest, SaysWhyItIsNotApplicable) {
  Random random(8);
  const auto good = Normals(100, random);
  const std::vector<double> constant(100, 3.5);
  const std::vector<double> missing(100, kMissing);
  const auto few = Normals(19, random);
  const auto reason = [](const Result<DriftVerdict>& verdict) {
    EXPECT_EQ(verdict.error().code, ErrorCode::kFailedPrecondition);
    EXPECT_EQ(verdict.error().message.rfind("not applicable, because ", 0), 0U);
    return verdict.error().message.substr(24);
  };

  EXPECT_EQ(reason(NumericDrift(constant, good)),
            "the reference has one value only (3.500000), so nothing is known of chance");
  EXPECT_EQ(reason(NumericDrift(missing, good)), "all rows of the reference sample are missing");
  EXPECT_EQ(reason(NumericDrift(good, missing)), "all rows of the current sample are missing");
  EXPECT_EQ(
      reason(NumericDrift(good, few)),
      "the current sample has 19 rows that are not missing, below the 20 that a verdict needs");
  // A current sample that has become constant is a drift like any other.
  EXPECT_TRUE(NumericDrift(good, constant)->drifted);
}

TEST(NumericDriftTest, RefusesWhatIsNoSampleAndNoPolicy) {
  Random random(9);
  const auto good = Normals(100, random);
  auto infinite = good;
  infinite[7] = std::numeric_limits<double>::infinity();
  const auto code = [](const Result<DriftVerdict>& verdict) { return verdict.error().code; };

  EXPECT_EQ(NumericDrift(good, infinite).error().message,
            "value 7 of the current sample is infinite");
  EXPECT_EQ(code(NumericDrift({}, good)), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(NumericDrift(good, good, {.false_alarm_rate = 0})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(NumericDrift(good, good, {.smallest_effect = -1})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(NumericDrift(good, good, {.confidence = 1})), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code(NumericDrift(good, good, {.min_rows = 0})), ErrorCode::kInvalidArgument);
  const auto rare = NumericDrift(good, good, {.false_alarm_rate = 0.0002});
  EXPECT_NE(rare.error().message.find("at least 4999 resamples"), std::string::npos);
  EXPECT_TRUE(NumericDrift(good, good, {.false_alarm_rate = 0.001, .resamples = 999}).ok());
}

TEST(NumericDriftTest, SameSeedSameVerdict) {
  Random random(10);
  const auto a = Normals(300, random);
  const auto b = Normals(200, random);

  EXPECT_EQ(NumericDrift(a, b, {.seed = 5})->threshold, NumericDrift(a, b, {.seed = 5})->threshold);
  EXPECT_NE(NumericDrift(a, b, {.seed = 5})->threshold, NumericDrift(a, b, {.seed = 6})->threshold);
}

TEST(CategoricalDriftTest, EffectIsTheDistanceOfTheCounts) {
  const std::vector<std::int32_t> a = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2};
  const std::vector<std::int32_t> b = {0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3};
  const std::vector<std::uint64_t> a_counts = {12, 6, 2, 0};
  const std::vector<std::uint64_t> b_counts = {5, 9, 0, 6};
  const auto effect = [&](CategoricalMeasure measure) {
    return CategoricalDrift(a, b, 4, {.categorical = measure})->effect;
  };

  EXPECT_DOUBLE_EQ(effect(CategoricalMeasure::kTotalVariation), 0.45);
  EXPECT_DOUBLE_EQ(effect(CategoricalMeasure::kJensenShannon),
                   *JensenShannonDistance(a_counts, b_counts));
  EXPECT_DOUBLE_EQ(effect(CategoricalMeasure::kHellinger), *Hellinger(a_counts, b_counts));
}

TEST(CategoricalDriftTest, AlarmsKeepTheBudgetWithoutDrift) {
  constexpr int kTrials = 300;
  for (const auto measure : {CategoricalMeasure::kTotalVariation,
                             CategoricalMeasure::kJensenShannon, CategoricalMeasure::kHellinger}) {
    Random random(11);
    int alarms = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
      const auto verdict =
          CategoricalDrift(Categories(400, random, kShares), Categories(250, random, kShares), 4,
                           {.false_alarm_rate = 0.05,
                            .categorical = measure,
                            .resamples = 199,
                            .seed = static_cast<std::uint64_t>(trial)});
      alarms += verdict->drifted;
    }
    EXPECT_GT(1 - BinomialCdf(alarms - 1, kTrials, 0.05), 0.001) << alarms;
    EXPECT_GT(BinomialCdf(alarms, kTrials, 0.05), 0.001) << alarms;
  }
}

TEST(CategoricalDriftTest, IntervalHoldsTheTrueEffect) {
  constexpr int kTrials = 200;
  const std::vector<double> other = {0.35, 0.35, 0.2, 0.1};
  int covered = 0;
  Random random(12);
  for (int trial = 0; trial < kTrials; ++trial) {
    const auto verdict =
        CategoricalDrift(Categories(600, random, kShares), Categories(500, random, other), 4,
                         {.resamples = 300, .seed = static_cast<std::uint64_t>(trial)});
    covered += verdict->interval.low <= 0.15 && 0.15 <= verdict->interval.high;
  }
  EXPECT_GE(covered, 0.92 * kTrials);
}

TEST(CategoricalDriftTest, NamesOfCategoriesAndOrderOfRowsDoNotMatter) {
  Random random(13);
  auto a = Categories(500, random, kShares);
  auto b = Categories(300, random, {0.4, 0.3, 0.2, 0.1});
  const auto first = CategoricalDrift(a, b, 4);
  for (auto* values : {&a, &b}) {
    for (auto& value : *values) value = 3 - value;
  }
  const auto second = CategoricalDrift(a, b, 9);

  EXPECT_NEAR(first->effect, second->effect, 1e-14);
  EXPECT_NEAR(first->threshold, second->threshold, 1e-14);
  EXPECT_EQ(first->p_value, second->p_value);
}

TEST(CategoricalDriftTest, ANewCategoryIsSeen) {
  Random random(14);
  const auto a = Categories(1'000, random, kShares);
  auto b = Categories(500, random, kShares);
  for (std::size_t i = 0; i < 100; ++i) b[i] = 4;

  EXPECT_TRUE(CategoricalDrift(a, b, 5)->drifted);
}

TEST(CategoricalDriftTest, SaysWhyItIsNotApplicableAndRefusesWhatIsNoCategory) {
  Random random(15);
  const auto good = Categories(100, random, kShares);
  const std::vector<std::int32_t> constant(100, 2);
  const std::vector<std::int32_t> missing(100, -1);
  auto outside = good;
  outside[3] = 4;
  auto negative = good;
  negative[5] = -2;

  EXPECT_EQ(CategoricalDrift(constant, good, 4).error().message,
            "not applicable, because the reference has one category only (2), so nothing is known "
            "of chance");
  EXPECT_EQ(CategoricalDrift(good, missing, 4).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(CategoricalDrift(good, outside, 4).error().message,
            "row 3 of the current sample has category 4, not 0 to 3 or -1 for missing");
  EXPECT_EQ(CategoricalDrift(negative, good, 4).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(CategoricalDrift(good, good, 0).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(CategoricalDrift(good, good, 10'001).error().message,
            "10001 categories are not 1 to 10000");
  EXPECT_EQ(CategoricalDrift({}, good, 4).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(CategoricalDrift(good, constant, 4)->missing.p_value, 1);
}

TEST(FalseAlarmRateTest, OfEachMakesUpTheRateOfAll) {
  const double each = *FalseAlarmRateEach(0.05, 20);

  EXPECT_NEAR(1 - std::pow(1 - each, 20), 0.05, 1e-15);
  EXPECT_EQ(*FalseAlarmRateEach(0.05, 1), 0.05);
  EXPECT_FALSE(FalseAlarmRateEach(0, 3).ok());
  EXPECT_FALSE(FalseAlarmRateEach(0.1, 0).ok());
}

}  // namespace
}  // namespace tidewheel::stats
