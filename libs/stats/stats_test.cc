#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/classification.h"
#include "tidewheel/stats/intervals.h"
#include "tidewheel/stats/mcnemar.h"
#include "tidewheel/stats/special.h"

namespace tidewheel::stats {
namespace {

using testing::HasSubstr;

TEST(SpecialTest, AgreesWithClosedForms) {
  for (const double x : {0.01, 0.5, 1.0, 3.0, 20.0, 80.0}) {
    EXPECT_NEAR(RegularizedGammaQ(1, x), std::exp(-x), 1e-14);
    EXPECT_NEAR(ChiSquareTail(x, 1), std::erfc(std::sqrt(x / 2)), 1e-13);
    EXPECT_NEAR(RegularizedGammaP(2.5, x) + RegularizedGammaQ(2.5, x), 1, 1e-14);
  }
  for (const double x : {0.0, 0.1, 0.5, 0.9, 1.0}) {
    EXPECT_NEAR(RegularizedBeta(1, 1, x), x, 1e-14);
    EXPECT_NEAR(RegularizedBeta(2, 3, x), x * x * (6 - 8 * x + 3 * x * x), 1e-13);
    EXPECT_NEAR(RegularizedBeta(7, 0.5, x) + RegularizedBeta(0.5, 7, 1 - x), 1, 1e-13);
  }
  EXPECT_TRUE(std::isnan(RegularizedBeta(0, 1, 0.5)));
  EXPECT_TRUE(std::isnan(RegularizedGammaP(1, -1)));
}

TEST(SpecialTest, BinomialIsTheSumOfItsTerms) {
  for (const int n : {1, 7, 24}) {
    for (const double p : {0.1, 0.5, 0.83}) {
      double sum = 0;
      double term = std::pow(1 - p, n);
      for (int k = 0; k <= n; ++k) {
        sum += term;
        EXPECT_NEAR(BinomialCdf(k, n, p), sum, 1e-12) << n << " " << k;
        term *= (n - k) * p / ((k + 1) * (1 - p));
      }
    }
  }
}

TEST(SpecialTest, NormalQuantileInverts) {
  for (const double p : {1e-12, 1e-4, 0.02, 0.3, 0.5, 0.975, 0.99999}) {
    EXPECT_NEAR(NormalCdf(NormalQuantile(p)) / p, 1, 1e-11) << p;
  }
  EXPECT_NEAR(NormalQuantile(0.975), 1.959963984540054, 1e-12);
}

TEST(WilsonTest, KnownValuesAndEdges) {
  // Newcombe 1998, table I: 81 of 263.
  const auto interval = WilsonInterval(81, 263, 0.95);
  EXPECT_NEAR(interval->low, 0.2553, 5e-5);
  EXPECT_NEAR(interval->high, 0.3662, 5e-5);
  EXPECT_EQ(WilsonInterval(0, 20, 0.95)->low, 0);
  EXPECT_EQ(WilsonInterval(20, 20, 0.95)->high, 1);
  EXPECT_FALSE(WilsonInterval(1, 0, 0.95).ok());
  EXPECT_FALSE(WilsonInterval(3, 2, 0.95).ok());
  EXPECT_FALSE(WilsonInterval(1, 2, 1).ok());
}

TEST(McNemarTest, ExactForFewDisagreements) {
  const auto test = McNemar(1, 7);
  EXPECT_TRUE(test->exact);
  EXPECT_NEAR(test->p_value, 2 * 9.0 / 256, 1e-12);
  EXPECT_EQ(McNemar(0, 0)->p_value, 1);
  EXPECT_EQ(McNemar(4, 4)->p_value, 1);
  EXPECT_EQ(McNemar(1, 7)->p_value, McNemar(7, 1)->p_value);
}

TEST(McNemarTest, ChiSquareForMany) {
  const auto test = McNemar(121, 59);
  EXPECT_FALSE(test->exact);
  EXPECT_NEAR(test->statistic, 61.0 * 61.0 / 180, 1e-12);
  EXPECT_LT(test->p_value, 1e-5);
}

struct Sample {
  std::vector<std::uint32_t> labels;
  std::vector<float> probabilities;
};

Sample RandomSample(std::size_t n, std::size_t k, std::uint64_t seed) {
  Random random(seed);
  Sample sample;
  for (std::size_t i = 0; i < n; ++i) {
    sample.labels.push_back(static_cast<std::uint32_t>(random.Below(k)));
    std::vector<double> row;
    double sum = 0;
    for (std::size_t j = 0; j < k; ++j) {
      row.push_back(-std::log(1 - random.Uniform()) * (j == sample.labels.back() ? 3 : 1));
      sum += row.back();
    }
    for (const double value : row) sample.probabilities.push_back(static_cast<float>(value / sum));
  }
  return sample;
}

TEST(ClassificationTest, AgreesWithAHandCount) {
  const std::vector<std::uint32_t> labels = {0, 0, 1, 1, 2};
  const std::vector<float> probabilities = {.8F, .1F, .1F, .2F, .7F, .1F, .1F, .8F,
                                            .1F, .3F, .4F, .3F, .5F, .2F, .3F};
  const auto report = ReportClassification(labels, probabilities, 3);

  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_THAT(report->confusion, testing::ElementsAre(1, 1, 0, 0, 2, 0, 1, 0, 0));
  EXPECT_DOUBLE_EQ(report->accuracy.value, 0.6);
  EXPECT_DOUBLE_EQ(report->balanced_accuracy.value, 0.5);
  EXPECT_DOUBLE_EQ(report->classes[0].precision.value, 0.5);
  EXPECT_DOUBLE_EQ(report->classes[1].f1.value, 0.8);
  EXPECT_DOUBLE_EQ(report->classes[2].precision.value, 0);
  EXPECT_DOUBLE_EQ(report->macro_f1.value, (0.5 + 0.8 + 0) / 3);
  EXPECT_NEAR(report->log_loss.value,
              -(std::log(.8) + std::log(.2) + std::log(.8) + std::log(.4) + std::log(.3)) / 5,
              1e-6);
}

TEST(ClassificationTest, EstimatesLieInTheirIntervalsAndRepeatExactly) {
  const Sample sample = RandomSample(500, 4, 3);
  const auto report = ReportClassification(sample.labels, sample.probabilities, 4);
  const auto again = ReportClassification(sample.labels, sample.probabilities, 4);
  ASSERT_TRUE(report.ok());
  for (const Estimate* estimate : {&report->accuracy, &report->balanced_accuracy, &report->macro_f1,
                                   &report->matthews, &report->log_loss}) {
    EXPECT_LE(estimate->interval.low, estimate->value);
    EXPECT_GE(estimate->interval.high, estimate->value);
  }
  EXPECT_EQ(report->macro_f1.interval.low, again->macro_f1.interval.low);
  EXPECT_GE(report->calibration_error.value, 0);
  EXPECT_LE(report->calibration_error.value, 1);
}

TEST(ClassificationTest, DoesNotDependOnTheOrderOfRows) {
  const Sample sample = RandomSample(300, 3, 5);
  Sample reversed;
  for (std::size_t i = 300; i-- > 0;) {
    reversed.labels.push_back(sample.labels[i]);
    for (std::size_t j = 0; j < 3; ++j)
      reversed.probabilities.push_back(sample.probabilities[i * 3 + j]);
  }
  const auto a = ReportClassification(sample.labels, sample.probabilities, 3);
  const auto b = ReportClassification(reversed.labels, reversed.probabilities, 3);
  EXPECT_EQ(a->confusion, b->confusion);
  EXPECT_DOUBLE_EQ(a->matthews.value, b->matthews.value);
  EXPECT_NEAR(a->calibration_error.value, b->calibration_error.value, 1e-12);
}

TEST(ClassificationTest, APerfectCertainClassifierHasNoCalibrationError) {
  std::vector<std::uint32_t> labels;
  std::vector<float> probabilities;
  for (std::uint32_t i = 0; i < 100; ++i) {
    labels.push_back(i % 2);
    probabilities.push_back(i % 2 == 0 ? 1.0F : 0.0F);
    probabilities.push_back(i % 2 == 0 ? 0.0F : 1.0F);
  }
  const auto report = ReportClassification(labels, probabilities, 2);
  EXPECT_EQ(report->calibration_error.value, 0);
  EXPECT_EQ(report->matthews.value, 1);
  EXPECT_NEAR(report->log_loss.value, 0, 1e-12);
}

TEST(ClassificationTest, BadInputIsNamed) {
  const std::vector<std::uint32_t> labels = {0, 1};
  const auto problem = [&](std::vector<std::uint32_t> given, std::vector<float> p, std::size_t k) {
    const auto report = ReportClassification(given, p, k);
    return report.ok() ? std::string("taken") : report.error().message;
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(problem(labels, {.5F, .5F, nan, .5F}, 2), HasSubstr("row 1"));
  EXPECT_THAT(problem(labels, {.5F, .5F, .9F, .5F}, 2), HasSubstr("sum to"));
  EXPECT_THAT(problem(labels, {.5F, .5F, .5F}, 2), HasSubstr("need 4 probabilities"));
  EXPECT_THAT(problem({0, 2}, {.5F, .5F, .5F, .5F}, 2), HasSubstr("label 2"));
  EXPECT_THAT(problem({}, {}, 2), HasSubstr("no samples"));
  EXPECT_THAT(problem(labels, {1, 1}, 1), HasSubstr("2 classes"));
}

TEST(WeightsTest, AverageToOneOverTheSamples) {
  const std::vector<std::uint64_t> counts = {723, 35, 429, 0};
  for (const auto& weights :
       {InverseFrequencyWeights(counts), EffectiveNumberWeights(counts, 0.999)}) {
    ASSERT_TRUE(weights.ok());
    double sum = 0;
    for (std::size_t k = 0; k < counts.size(); ++k)
      sum += (*weights)[k] * static_cast<double>(counts[k]);
    EXPECT_NEAR(sum, 723 + 35 + 429, 1e-9);
    EXPECT_GT((*weights)[1], (*weights)[0]);
    EXPECT_EQ((*weights)[3], 0);
  }
  EXPECT_NEAR((*EffectiveNumberWeights(counts, 0))[0], 1, 1e-12);
  EXPECT_FALSE(InverseFrequencyWeights(std::vector<std::uint64_t>{0, 0}).ok());
  EXPECT_DOUBLE_EQ(*Imbalance(std::vector<std::uint64_t>{10, 5, 20}), 4);
  EXPECT_TRUE(std::isinf(*Imbalance(counts)));
}

TEST(NearestRankTest, TakesAValueThatIsThere) {
  const std::vector<double> values = {1, 2, 3, 4};
  EXPECT_EQ(NearestRank(values, 0), 1);
  EXPECT_EQ(NearestRank(values, 0.5), 2);
  EXPECT_EQ(NearestRank(values, 0.51), 3);
  EXPECT_EQ(NearestRank(values, 1), 4);
}

}  // namespace
}  // namespace tidewheel::stats
