#include "tidewheel/stats/stream_calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/adwin.h"
#include "tidewheel/stats/cusum.h"
#include "tidewheel/stats/error_rate_detectors.h"

namespace tidewheel::stats {
namespace {

std::vector<double> Errors(Random& random, std::size_t size, double rate) {
  std::vector<double> values(size);
  for (double& value : values) value = random.Uniform() < rate ? 1 : 0;
  return values;
}

std::vector<double> Numbers(Random& random, std::size_t size) {
  std::vector<double> values(size);
  for (double& value : values) value = random.Normal();
  return values;
}

/// Errors that come in runs: the next equals the last one with probability `stay`.
std::vector<double> Runs(Random& random, std::size_t size, double rate, double stay) {
  std::vector<double> values(size);
  double last = 0;
  for (double& value : values) {
    if (random.Uniform() >= stay) last = random.Uniform() < rate ? 1 : 0;
    value = last;
  }
  return values;
}

std::uint64_t CountAlarms(const StreamDetector& detector, const std::vector<double>& values) {
  const auto copy = detector.Clone();
  std::uint64_t alarms = 0;
  for (const double value : values) alarms += *copy->Update(value) == StreamState::kDrift ? 1 : 0;
  return alarms;
}

struct Budget {
  DetectorKind kind;
  double values_per_alarm;
  double expected_alarms;
};

class FalseAlarmBudgetTest : public testing::TestWithParam<Budget> {};

/// The promise of the calibration: the threshold comes from one reference, the replays from the
/// distribution behind it. A replay is 20 streams of one budget each, so that 20 alarms are due; 95
/// % of Poisson counts of mean 20 lie in 12..29, wider by the root of the dispersion where alarms
/// cluster. Of 20 replays at most 3 may lie outside (which 2 % of perfect calibrations exceed).
TEST_P(FalseAlarmBudgetTest, ReplaysWithoutAChangeStayInItsInterval) {
  const Budget& budget = GetParam();
  Random random(21);
  const auto values = [&](std::size_t size) {
    return budget.kind == DetectorKind::kKswin ? Numbers(random, size) : Errors(random, size, 0.2);
  };
  const auto family = OpenThreshold(budget.kind);
  const auto calibration = CalibrateThreshold(
      values(4'000), family,
      {.values_per_alarm = budget.values_per_alarm, .expected_alarms = budget.expected_alarms});
  ASSERT_TRUE(calibration.ok()) << calibration.error().message;
  const FalseAlarmRate& rate = calibration->rate;
  EXPECT_LE(rate.per_budget, 1);
  EXPECT_GE(rate.per_budget, rate.per_budget_interval.low);
  EXPECT_LE(rate.per_budget, rate.per_budget_interval.high);

  const auto detector = *family.make(calibration->threshold);
  const double widened = std::sqrt(rate.dispersion);
  int loud = 0, outside = 0;
  for (int replay = 0; replay < 20; ++replay) {
    double alarms = 0;
    for (int stream = 0; stream < 20; ++stream) {
      alarms += static_cast<double>(
          CountAlarms(*detector, values(static_cast<std::size_t>(budget.values_per_alarm))));
    }
    loud += alarms > 20 + 9 * widened ? 1 : 0;
    outside += alarms < 20 - 8 * widened || alarms > 20 + 9 * widened ? 1 : 0;
  }
  EXPECT_LE(loud, 3);
  // Where the steps of the detector allow the budget to be used up, it is.
  if (rate.per_budget > 0.9) {
    EXPECT_LE(outside, 3);
  }
  RecordProperty("threshold", std::to_string(calibration->threshold));
  RecordProperty("alarms_per_budget", std::to_string(rate.per_budget));
}

INSTANTIATE_TEST_SUITE_P(All, FalseAlarmBudgetTest,
                         testing::Values(Budget{DetectorKind::kAdwin, 5'000, 100},
                                         Budget{DetectorKind::kDdm, 1'000, 200},
                                         Budget{DetectorKind::kEddm, 1'000, 200},
                                         Budget{DetectorKind::kHddmA, 1'000, 200},
                                         Budget{DetectorKind::kHddmW, 1'000, 200},
                                         Budget{DetectorKind::kPageHinkley, 1'000, 200},
                                         Budget{DetectorKind::kKswin, 300, 60},
                                         Budget{DetectorKind::kCusum, 1'000, 200},
                                         Budget{DetectorKind::kEwma, 1'000, 200}),
                         [](const auto& budget) { return std::string(Name(budget.param.kind)); });

TEST(CalibrateThresholdTest, DependsOnTheSeedButNotOnTheThreads) {
  Random random(1);
  const auto reference = Errors(random, 1'000, 0.3);
  const auto family = OpenThreshold(DetectorKind::kCusum);
  CalibrationOptions options{.values_per_alarm = 500, .expected_alarms = 50};

  const auto one = CalibrateThreshold(reference, family, options);
  options.threads = 3;
  const auto three = CalibrateThreshold(reference, family, options);
  options.seed = 2;
  const auto reseeded = CalibrateThreshold(reference, family, options);

  ASSERT_TRUE(one.ok() && three.ok() && reseeded.ok());
  EXPECT_EQ(one->threshold, three->threshold);
  EXPECT_EQ(one->rate.alarms, three->rate.alarms);
  EXPECT_EQ(one->rate.per_budget_interval.high, three->rate.per_budget_interval.high);
  EXPECT_NE(one->threshold, reseeded->threshold);
}

TEST(CalibrateThresholdTest, AsksForMoreWhereFewerAlarmsAreAllowed) {
  Random random(2);
  const auto reference = Errors(random, 2'000, 0.2);
  double last = 0;
  for (const double budget : {200.0, 1'000.0, 5'000.0}) {
    const auto calibration =
        CalibrateThreshold(reference, OpenThreshold(DetectorKind::kPageHinkley),
                           {.values_per_alarm = budget, .expected_alarms = 50});
    ASSERT_TRUE(calibration.ok());
    EXPECT_GT(calibration->threshold, last);
    last = calibration->threshold;
  }
}

TEST(CalibrateThresholdTest, SaysWhenABudgetCannotBeReached) {
  Random random(3);
  auto family = OpenThreshold(DetectorKind::kEwma);
  family.high = 0.5;

  const auto calibration =
      CalibrateThreshold(Errors(random, 1'000, 0.2), family, {.values_per_alarm = 1'000});

  ASSERT_FALSE(calibration.ok());
  EXPECT_EQ(calibration.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(calibration.error().message.find("not reachable"), std::string::npos);
}

TEST(CalibrateThresholdTest, TakesTheLowestThresholdWhereEvenThatIsQuiet) {
  Random random(4);
  auto family = OpenThreshold(DetectorKind::kCusum);
  family.low = 1e6;

  const auto calibration =
      CalibrateThreshold(Errors(random, 1'000, 0.2), family, {.values_per_alarm = 200});

  ASSERT_TRUE(calibration.ok());
  EXPECT_EQ(calibration->threshold, 1e6);
  EXPECT_EQ(calibration->rate.alarms, 0U);
  // No alarm in 100 budgets: at most 3.69 by the exact interval.
  EXPECT_NEAR(calibration->rate.per_budget_interval.high, 0.0368887945411394, 1e-9);
  EXPECT_EQ(calibration->rate.per_budget_interval.low, 0);
}

TEST(CalibrateThresholdTest, BlocksKeepTheBudgetWhereErrorsComeInRuns) {
  Random random(5);
  const auto reference = Runs(random, 20'000, 0.2, 0.9);
  const auto family = OpenThreshold(DetectorKind::kCusum);
  CalibrationOptions options{.values_per_alarm = 2'000};

  const auto independent = CalibrateThreshold(reference, family, options);
  options.block_length = 0;
  const auto blocks = CalibrateThreshold(reference, family, options);

  ASSERT_TRUE(independent.ok() && blocks.ok());
  EXPECT_GT(blocks->rate.block_length, 20);
  const auto alarms_per_budget = [&](double threshold) {
    const auto detector = *family.make(threshold);
    double alarms = 0;
    for (int stream = 0; stream < 200; ++stream) {
      alarms += static_cast<double>(CountAlarms(*detector, Runs(random, 2'000, 0.2, 0.9)));
    }
    return alarms / 200;
  };
  EXPECT_GT(alarms_per_budget(independent->threshold), 2);
  EXPECT_NEAR(alarms_per_budget(blocks->threshold), 1, 0.35);
  // And the reference itself tells that its values are not independent.
  EXPECT_GT(independent->rate.reference_alarms, 20U);
}

/// Alarms at each 1: as often as the reference has one.
class OneSpotter final : public StreamDetector {
 public:
  DetectorKind kind() const override { return DetectorKind::kCusum; }
  std::unique_ptr<StreamDetector> Clone() const override {
    return std::make_unique<OneSpotter>(*this);
  }
  std::string SaveState() const override { return {}; }

 private:
  StreamState Step(double value) override {
    return value == 1 ? StreamState::kDrift : StreamState::kStable;
  }
  void Clear() override {}
};

TEST(EstimateFalseAlarmsTest, CoversAKnownRateAsOftenAsItSays) {
  std::vector<double> reference(1'000, 0.0);
  for (std::size_t i = 0; i < reference.size(); i += 100) reference[i] = 1;  // One in 100.
  int covered = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto rate = EstimateFalseAlarms(
        reference, OneSpotter(), {.values_per_alarm = 100, .expected_alarms = 50, .seed = seed});
    ASSERT_TRUE(rate.ok());
    EXPECT_EQ(rate->values, 5'000U);
    EXPECT_EQ(rate->reference_alarms, 10U);
    covered += rate->per_budget_interval.low <= 1 && 1 <= rate->per_budget_interval.high ? 1 : 0;
  }
  EXPECT_GE(covered, 183);  // 95 % of 200 less two standard errors.
}

TEST(EstimateFalseAlarmsTest, GivesGarwoodsInterval) {
  std::vector<double> reference(100, 0.0);
  reference[0] = 1;
  const auto rate =
      EstimateFalseAlarms(reference, OneSpotter(), {.values_per_alarm = 100, .seed = 3});
  ASSERT_TRUE(rate.ok());
  if (rate->dispersion == 1) {
    // Of a count: gamma quantiles; here by their Wilson-Hilferty approximation.
    const auto quantile = [](double shape, double z) {
      return shape * std::pow(1 - 1 / (9 * shape) + z / (3 * std::sqrt(shape)), 3);
    };
    const auto count = static_cast<double>(rate->alarms);
    EXPECT_NEAR(rate->per_budget_interval.low, quantile(count, -1.959964) / 100, 1e-3);
    EXPECT_NEAR(rate->per_budget_interval.high, quantile(count + 1, 1.959964) / 100, 1e-3);
  }
  EXPECT_NEAR(rate->per_budget, static_cast<double>(rate->alarms) / 100, 1e-12);
}

TEST(StreamCalibrationTest, NamesWhatItCannotUse) {
  Random random(6);
  const auto good = Errors(random, 500, 0.2);
  const auto ddm = *Ddm::Make();
  const CalibrationOptions options{.values_per_alarm = 100};
  const auto message = [&](const std::vector<double>& reference, const CalibrationOptions& with) {
    const auto rate = EstimateFalseAlarms(reference, ddm, with);
    return rate.ok() ? std::string() : rate.error().message;
  };
  ASSERT_EQ(message(good, options), "");
  EXPECT_NE(message(std::vector<double>(49, 1), options).find("49 values"), std::string::npos);
  EXPECT_NE(message(std::vector<double>(100, 0), options).find("constant"), std::string::npos);
  auto bad = good;
  bad[17] = std::nan("");
  EXPECT_NE(message(bad, options).find("row 17"), std::string::npos);
  bad[17] = 3;  // A number, but no error rate.
  EXPECT_NE(message(bad, options).find("row 17"), std::string::npos);
  const auto refused = CalibrateThreshold(bad, OpenThreshold(DetectorKind::kDdm), options);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("row 17"), std::string::npos);

  const auto with = [&](auto change) {
    CalibrationOptions changed = options;
    change(changed);
    return message(good, changed);
  };
  EXPECT_NE(with([](auto& o) { o.values_per_alarm = 0; }), "");
  EXPECT_NE(with([](auto& o) { o.values_per_alarm = std::nan(""); }), "");
  EXPECT_NE(with([](auto& o) { o.expected_alarms = 5; }), "");
  EXPECT_NE(with([](auto& o) { o.block_length = 0.5; }), "");
  EXPECT_NE(with([](auto& o) { o.block_length = -1; }), "");
  EXPECT_NE(with([](auto& o) { o.confidence = 1; }), "");
  EXPECT_NE(with([](auto& o) { o.tolerance = 0; }), "");
  EXPECT_NE(with([](auto& o) { o.threads = 0; }), "");
  EXPECT_NE(with([](auto& o) { o.max_values = 1'000; }).find("max_values"), std::string::npos);
  EXPECT_FALSE(CalibrateThreshold(good, {}, options).ok());
  EXPECT_FALSE(
      CalibrateThreshold(good, {OpenThreshold(DetectorKind::kDdm).make, 2, 1}, options).ok());
}

TEST(ValuesPerAlarmTest, IsDaysTimesTraffic) {
  EXPECT_EQ(*ValuesPerAlarm(30, 2'000), 60'000);
  EXPECT_FALSE(ValuesPerAlarm(0, 10).ok());
  EXPECT_FALSE(ValuesPerAlarm(10, -1).ok());
  EXPECT_FALSE(ValuesPerAlarm(1e308, 1e308).ok());
}

TEST(ChooseBlockLengthTest, GrowsWithTheMemoryOfTheSeries) {
  Random random(7);
  const auto autoregressive = [&](double weight) {
    std::vector<double> series(5'000);
    double last = 0;
    for (double& value : series) value = last = weight * last + random.Normal();
    return series;
  };
  EXPECT_LT(*ChooseBlockLength(autoregressive(0)), 3);
  // The closed form for this process: (2 (2 w / (1 - w^2))^2 / 2 * n)^(1/3) with the spectrum at 0.
  for (const double weight : {0.3, 0.6, 0.9}) {
    const double exact = std::cbrt(std::pow(2 * weight / ((1 - weight) * (1 + weight)), 2) * 5'000);
    EXPECT_NEAR(*ChooseBlockLength(autoregressive(weight)), exact, exact / 3) << weight;
  }
  EXPECT_FALSE(ChooseBlockLength(std::vector<double>(20, 1)).ok());
  EXPECT_FALSE(ChooseBlockLength(std::vector<double>(60, 1)).ok());
}

}  // namespace
}  // namespace tidewheel::stats
