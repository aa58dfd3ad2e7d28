#include "tidewheel/stats/probability_calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using testing::HasSubstr;

struct Rows {
  std::vector<std::int32_t> labels;
  std::vector<double> scores;
};

/// Class 1 with probability score^power: calibrated for power 1.
Rows PowerRows(std::size_t n, double power, std::uint64_t seed) {
  Random random(seed);
  Rows rows;
  for (std::size_t i = 0; i < n; ++i) {
    rows.scores.push_back(random.Uniform());
    rows.labels.push_back(random.Uniform() < std::pow(rows.scores.back(), power) ? 1 : 0);
  }
  return rows;
}

TEST(CalibrationErrorTest, AgreesWithAHandCount) {
  // Two bins: (0.1, 0.2) with one of two, (0.6, 0.9) with two of two.
  const std::vector<std::int32_t> labels = {1, 0, 1, 1};
  const std::vector<double> probabilities = {0.9, 0.1, 0.2, 0.6};
  EXPECT_NEAR(*ExpectedCalibrationError(labels, probabilities, 2),
              std::abs(0.3 - 1) / 4 + std::abs(1.5 - 2) / 4, 1e-15);
  EXPECT_NEAR(*ExpectedCalibrationError(labels, probabilities, 1), std::abs(1.8 - 3) / 4, 1e-15);
}

TEST(CalibrationErrorTest, TiesShareTheirLabelsAcrossAnEdge) {
  const std::vector<double> probabilities(10, 0.4);
  std::vector<std::int32_t> labels = {1, 1, 1, 1, 0, 0, 0, 0, 0, 0};
  do {
    EXPECT_NEAR(*ExpectedCalibrationError(labels, probabilities, 5), 0, 1e-15);
  } while (std::prev_permutation(labels.begin(), labels.end()) && labels[0] == 1);
}

TEST(CalibrationErrorTest, IsWithinItsBounds) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Rows rows = PowerRows(1 + seed * 7, 3, seed);
    const double error = *ExpectedCalibrationError(rows.labels, rows.scores);
    EXPECT_GE(error, 0);
    EXPECT_LE(error, 1);
  }
  const std::vector<std::int32_t> labels = {1, 0};
  EXPECT_EQ(*ExpectedCalibrationError(labels, std::vector<double>{0, 1}), 1);
  EXPECT_EQ(*ExpectedCalibrationError(labels, std::vector<double>{1, 0}), 0);
}

TEST(ProbabilityCalibratorTest, MendsScoresThatPromiseTooMuch) {
  const Rows rows = PowerRows(4'000, 3, 1);
  const auto calibrator = ProbabilityCalibrator::Fit(rows.labels, rows.scores);

  ASSERT_TRUE(calibrator.ok()) << calibrator.error().message;
  EXPECT_TRUE(calibrator->decision().calibrate);
  EXPECT_LT(calibrator->decision().error_after, calibrator->decision().error_before / 4);
  for (const double score : {0.1, 0.4, 0.7, 0.9}) {
    EXPECT_NEAR((*calibrator)(score), score * score * score, 0.07) << score;
  }
}

TEST(ProbabilityCalibratorTest, UsesTheFitOnlyIfItHelpsRowsItHasNotSeen) {
  int left_alone = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Rows rows = PowerRows(300, 1, seed);
    const auto calibrator = ProbabilityCalibrator::Fit(rows.labels, rows.scores);
    const CalibrationDecision& decision = calibrator->decision();
    EXPECT_EQ(decision.calibrate, decision.error_after < decision.error_before);
    EXPECT_FALSE(decision.reason.empty());
    if (decision.calibrate) continue;
    ++left_alone;
    EXPECT_EQ((*calibrator)(0.37), 0.37);
  }
  EXPECT_GT(left_alone, 5);
  EXPECT_LT(left_alone, 20);
}

TEST(ProbabilityCalibratorTest, DoesNotDependOnTheOrderOfRows) {
  Rows rows = PowerRows(500, 2, 3);
  for (double& score : rows.scores) score = std::round(score * 50) / 50;
  const auto calibrator = ProbabilityCalibrator::Fit(rows.labels, rows.scores);
  std::rotate(rows.labels.begin(), rows.labels.begin() + 123, rows.labels.end());
  std::rotate(rows.scores.begin(), rows.scores.begin() + 123, rows.scores.end());
  const auto again = ProbabilityCalibrator::Fit(rows.labels, rows.scores);
  EXPECT_EQ(calibrator->decision().error_before, again->decision().error_before);
  EXPECT_EQ(calibrator->decision().error_after, again->decision().error_after);
  for (double score = -0.1; score < 1.1; score += 0.01) {
    EXPECT_EQ((*calibrator)(score), (*again)(score));
  }
}

TEST(ProbabilityCalibratorTest, ScoresThatAreNoProbabilitiesAreAlwaysMapped) {
  Rows rows = PowerRows(1'000, 1, 2);
  for (double& score : rows.scores) score = 20 * score - 10;
  const auto calibrator = ProbabilityCalibrator::Fit(rows.labels, rows.scores);
  EXPECT_TRUE(calibrator->decision().calibrate);
  EXPECT_THAT(calibrator->decision().reason, HasSubstr("not probabilities"));
  EXPECT_NEAR((*calibrator)(0), 0.5, 0.1);

  const auto one_class =
      ProbabilityCalibrator::Fit(std::vector<std::int32_t>{1, 1}, std::vector<double>{3, 4});
  EXPECT_EQ(one_class.error().code, ErrorCode::kFailedPrecondition);
}

TEST(ProbabilityCalibratorTest, OneClassOrNearlySoIsLeftAsItIs) {
  for (const std::vector<std::int32_t>& labels :
       {std::vector<std::int32_t>{1, 1, 1}, std::vector<std::int32_t>{1, 0, 1}}) {
    const auto calibrator = ProbabilityCalibrator::Fit(labels, std::vector<double>{.2, .3, .4});
    ASSERT_TRUE(calibrator.ok());
    EXPECT_FALSE(calibrator->decision().calibrate);
    EXPECT_THAT(calibrator->decision().reason, HasSubstr("fewer than 2 rows"));
  }
}

TEST(ProbabilityCalibratorTest, BadInputIsNamed) {
  const auto problem = [](std::vector<std::int32_t> labels, std::vector<double> scores,
                          ProbabilityCalibrationOptions options = {}) {
    const auto calibrator = ProbabilityCalibrator::Fit(labels, scores, options);
    return calibrator.ok() ? std::string("taken") : calibrator.error().message;
  };
  EXPECT_THAT(problem({}, {}), HasSubstr("needs rows"));
  EXPECT_THAT(problem({1}, {1, 0}), HasSubstr("1 labels and 2 scores"));
  EXPECT_THAT(problem({1, 5}, {1, 0}), HasSubstr("row 1: label 5"));
  EXPECT_THAT(problem({1, 0}, {1, NAN}), HasSubstr("row 1"));
  EXPECT_THAT(problem({1, 0}, {1, 0}, {.rounds = 0}), HasSubstr("rounds"));
  EXPECT_THAT(problem({1, 0}, {1, 0}, {.held_out = 1}), HasSubstr("held-out"));
  EXPECT_THAT(ExpectedCalibrationError(std::vector<std::int32_t>{1}, std::vector<double>{1.5})
                  .error()
                  .message,
              HasSubstr("row 0"));
  EXPECT_FALSE(
      ExpectedCalibrationError(std::vector<std::int32_t>{1}, std::vector<double>{1}, 0).ok());
}

}  // namespace
}  // namespace tidewheel::stats
