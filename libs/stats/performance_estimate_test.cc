#include "tidewheel/stats/performance_estimate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/ranking.h"

namespace tidewheel::stats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Table {
  std::vector<double> scores;
  std::vector<std::int32_t> predicted;
  std::vector<std::int32_t> labels;

  BinaryRows view() const { return {scores, predicted, labels}; }
  BinaryRows unlabeled() const { return {scores, predicted, {}}; }
};

/// Class 1 with probability score^power; predicted from one half on.
Table Rows(std::size_t n, double power, std::uint64_t seed, double centre = 0.5) {
  Random random(seed);
  Table table;
  for (std::size_t i = 0; i < n; ++i) {
    const double score = std::clamp(centre + 0.3 * random.Normal(), 0.0, 1.0);
    table.scores.push_back(score);
    table.predicted.push_back(score >= 0.5 ? 1 : 0);
    table.labels.push_back(random.Uniform() < std::pow(score, power) ? 1 : 0);
  }
  return table;
}

TEST(PerformanceMetricTest, RealizedAgreesWithAHandCount) {
  const Table table = {{.9, .8, .3, .6, .2}, {1, 1, 0, 1, 0}, {1, 0, 1, 1, 0}};
  const auto of = [&](PerformanceMetric metric) { return *RealizedMetric(metric, table.view()); };
  EXPECT_DOUBLE_EQ(of(PerformanceMetric::kAccuracy), 0.6);
  EXPECT_DOUBLE_EQ(of(PerformanceMetric::kPrecision), 2.0 / 3);
  EXPECT_DOUBLE_EQ(of(PerformanceMetric::kRecall), 2.0 / 3);
  EXPECT_DOUBLE_EQ(of(PerformanceMetric::kSpecificity), 0.5);
  EXPECT_DOUBLE_EQ(of(PerformanceMetric::kF1), 2.0 / 3);
  EXPECT_DOUBLE_EQ(of(PerformanceMetric::kRocAuc), 4.0 / 6);
  EXPECT_DOUBLE_EQ(of(PerformanceMetric::kAveragePrecision), (1 + 2.0 / 3 + 3.0 / 4) / 3);
}

TEST(PerformanceMetricTest, CertainProbabilitiesExpectWhatIsRealized) {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    Table table = Rows(40 + seed * 3, 1, seed);
    if (seed % 2 == 0) {
      for (double& score : table.scores) score = std::round(score * 4);  // Ties.
    }
    const std::vector<double> certain(table.labels.begin(), table.labels.end());
    for (const PerformanceMetric metric : kPerformanceMetrics) {
      EXPECT_NEAR(*ExpectedMetric(metric, table.unlabeled(), certain),
                  *RealizedMetric(metric, table.view()), 1e-12)
          << Name(metric) << ", seed " << seed;
    }
  }
}

TEST(PerformanceMetricTest, ExpectedAreaIsTheExpectedShareOfPairsInOrder) {
  // Over pairs of different rows, weighted with the chance that they are of different classes;
  // the trapezoid also pairs each row with itself, for half.
  const std::vector<double> scores = {1, 2, 2, 5, 7};
  const std::vector<double> p = {.1, .5, .3, .6, .9};
  double won = 0;
  double pairs = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    for (std::size_t j = 0; j < p.size(); ++j) {
      const double weight = p[i] * (1 - p[j]);
      pairs += weight;
      won += weight * (scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0);
    }
  }
  const std::vector<std::int32_t> predicted(5, 1);
  EXPECT_NEAR(*ExpectedMetric(PerformanceMetric::kRocAuc, {scores, predicted, {}}, p), won / pairs,
              1e-14);
}

TEST(PerformanceMetricTest, ExpectedConfusionAddsUpToTheRows) {
  const Table table = Rows(500, 1, 3);
  const auto counts = ExpectConfusion(table.predicted, table.scores);
  EXPECT_NEAR(counts->true_positives + counts->false_positives + counts->true_negatives +
                  counts->false_negatives,
              500, 1e-9);
  EXPECT_NEAR(counts->true_positives + counts->false_positives,
              static_cast<double>(std::count(table.predicted.begin(), table.predicted.end(), 1)),
              1e-9);
}

TEST(PerformanceMetricTest, SamplingDeviationIsThatOfManySamples) {
  const Table all = Rows(20'000, 1, 9);
  constexpr std::size_t kRows = 500;
  Random random(4);
  for (const PerformanceMetric metric : kPerformanceMetrics) {
    double sum = 0;
    double squares = 0;
    constexpr int kSamples = 400;
    for (int round = 0; round < kSamples; ++round) {
      Table sample;
      for (std::size_t i = 0; i < kRows; ++i) {
        const std::size_t row = random.Below(all.scores.size());
        sample.scores.push_back(all.scores[row]);
        sample.predicted.push_back(all.predicted[row]);
        sample.labels.push_back(all.labels[row]);
      }
      const double value = *RealizedMetric(metric, sample.view());
      sum += value;
      squares += value * value;
    }
    const double deviation = std::sqrt(squares / kSamples - (sum / kSamples) * (sum / kSamples));
    const double stated = *SamplingDeviation(metric, all.view()) / std::sqrt(double{kRows});
    // The area's leaves one class out, so it may be down to 1/sqrt(2) of the truth.
    const double least = metric == PerformanceMetric::kRocAuc ? 0.6 : 0.87;
    EXPECT_GT(stated / deviation, least) << Name(metric);
    EXPECT_LT(stated / deviation, 1.15) << Name(metric);
  }
}

TEST(PerformanceMetricTest, ARateWithoutAMistakeStillHasADeviation) {
  const Table table = {{.9, .8, .1}, {1, 1, 0}, {1, 1, 0}};
  EXPECT_GT(*SamplingDeviation(PerformanceMetric::kAccuracy, table.view()), 0);
  EXPECT_GT(*SamplingDeviation(PerformanceMetric::kPrecision, table.view()), 0);
}

TEST(PerformanceMetricTest, WhatIsNotDefinedSaysWhy) {
  const Table none = {{.1, .2}, {0, 0}, {0, 0}};
  for (const PerformanceMetric metric :
       {PerformanceMetric::kPrecision, PerformanceMetric::kRecall, PerformanceMetric::kF1,
        PerformanceMetric::kRocAuc, PerformanceMetric::kAveragePrecision}) {
    for (const auto& value :
         {RealizedMetric(metric, none.view()), SamplingDeviation(metric, none.view()),
          ExpectedMetric(metric, none.view(), std::vector<double>{0, 0})}) {
      ASSERT_FALSE(value.ok()) << Name(metric);
      EXPECT_EQ(value.error().code, ErrorCode::kFailedPrecondition) << Name(metric);
      EXPECT_THAT(value.error().message, HasSubstr(std::string(Name(metric))));
      EXPECT_THAT(value.error().message, HasSubstr("not applicable, because no row is"));
    }
  }
  EXPECT_EQ(*RealizedMetric(PerformanceMetric::kSpecificity, none.view()), 1);
}

TEST(PerformanceMetricTest, BadInputIsNamed) {
  const auto problem = [](Table table, std::vector<double> p) {
    const auto value = ExpectedMetric(PerformanceMetric::kAccuracy, table.view(), p);
    return value.ok() ? std::string("taken") : value.error().message;
  };
  EXPECT_THAT(problem({}, {}), HasSubstr("no rows"));
  EXPECT_THAT(problem({{NAN}, {1}, {}}, {1}), HasSubstr("row 0: the score"));
  EXPECT_THAT(problem({{1, 1}, {1}, {}}, {1, 1}), HasSubstr("1 predictions for 2 rows"));
  EXPECT_THAT(problem({{1, 1}, {1, 7}, {}}, {1, 1}), HasSubstr("row 1: 7"));
  EXPECT_THAT(problem({{1, 1}, {1, 1}, {}}, {1}), HasSubstr("1 probabilities for 2 rows"));
  EXPECT_THAT(problem({{1, 1}, {1, 1}, {}}, {1, -.1}), HasSubstr("row 1: a probability"));
  const Table labels = {{1, 1}, {1, 1}, {1}};
  EXPECT_THAT(RealizedMetric(PerformanceMetric::kRecall, labels.view()).error().message,
              HasSubstr("1 labels for 2 rows"));
}

/// Eight labeled months of a model that promises too much.
struct Reference {
  explicit Reference(double power = 2) {
    for (std::uint64_t month = 0; month < 8; ++month)
      tables.push_back(Rows(700, power, 50 + month));
    for (const Table& table : tables) chunks.push_back(table.view());
  }
  std::vector<Table> tables;
  std::vector<BinaryRows> chunks;
};

TEST(BinaryEstimatorTest, EstimatesWhatLabelsLaterShowWhenOnlyTheInputsMove) {
  const Reference reference;
  const auto estimator = BinaryEstimator::Fit(reference.chunks);
  ASSERT_TRUE(estimator.ok()) << estimator.error().message;
  EXPECT_TRUE(estimator->calibration().calibrate);

  const Table moved = Rows(8'000, 2, 99, 0.35);
  for (const PerformanceMetric metric : kPerformanceMetrics) {
    const auto estimate = estimator->Estimate(metric, moved.unlabeled());
    ASSERT_TRUE(estimate.ok()) << estimate.error().message;
    EXPECT_NEAR(estimate->value, *RealizedMetric(metric, moved.view()), 0.04) << Name(metric);
    EXPECT_LE(estimate->band.low, estimate->value);
    EXPECT_GE(estimate->band.high, estimate->value);
    EXPECT_EQ(estimate->rows, 8'000U);
    EXPECT_EQ(estimate->alert,
              estimate->value < estimate->limits.low || estimate->value > estimate->limits.high);
  }
}

TEST(BinaryEstimatorTest, LimitsAreThreeDeviationsOfTheChunks) {
  const Reference reference;
  const auto estimator = BinaryEstimator::Fit(reference.chunks);
  double sum = 0;
  double squares = 0;
  for (const BinaryRows& chunk : reference.chunks) {
    const double value = *RealizedMetric(PerformanceMetric::kRecall, chunk);
    sum += value / 8;
    squares += value * value / 8;
  }
  const auto estimate =
      estimator->Estimate(PerformanceMetric::kRecall, reference.tables[0].unlabeled());
  EXPECT_NEAR(estimate->limits.low, sum - 3 * std::sqrt(squares - sum * sum), 1e-9);
  EXPECT_NEAR(estimate->limits.high, std::min(1.0, sum + 3 * std::sqrt(squares - sum * sum)), 1e-9);
}

TEST(BinaryEstimatorTest, WorseInputsRaiseAnAlert) {
  const Reference reference;
  const auto estimator = BinaryEstimator::Fit(reference.chunks);
  Table unsure = Rows(2'000, 1, 7);
  for (std::size_t i = 0; i < unsure.scores.size(); ++i) {
    unsure.scores[i] = 0.68 + 0.05 * (unsure.scores[i] - 0.5);
    unsure.predicted[i] = 1;
  }
  EXPECT_TRUE(estimator->Estimate(PerformanceMetric::kAccuracy, unsure.unlabeled())->alert);
  EXPECT_FALSE(estimator->Estimate(PerformanceMetric::kAccuracy, Rows(700, 2, 77).view())->alert);
}

TEST(BinaryEstimatorTest, DoesNotDependOnTheOrderOfRowsOrChunks) {
  Reference reference;
  const auto estimator = BinaryEstimator::Fit(reference.chunks);
  std::reverse(reference.chunks.begin(), reference.chunks.end());
  const auto again = BinaryEstimator::Fit(reference.chunks);
  Table chunk = Rows(300, 2, 5);
  Table turned = chunk;
  std::reverse(turned.scores.begin(), turned.scores.end());
  std::reverse(turned.predicted.begin(), turned.predicted.end());
  for (const PerformanceMetric metric : kPerformanceMetrics) {
    const auto a = estimator->Estimate(metric, chunk.unlabeled());
    const auto b = again->Estimate(metric, {turned.scores, turned.predicted, {}});
    EXPECT_NEAR(a->value, b->value, 1e-12) << Name(metric);
    EXPECT_NEAR(a->sampling_error, b->sampling_error, 1e-12) << Name(metric);
    EXPECT_NEAR(a->limits.low, b->limits.low, 1e-12) << Name(metric);
  }
}

TEST(BinaryEstimatorTest, AMonotoneChangeOfTheScoresChangesNoArea) {
  Reference reference;
  Reference cubed;
  for (std::size_t month = 0; month < 8; ++month) {
    for (double& score : cubed.tables[month].scores) score = 10 * score * score * score;
    cubed.chunks[month] = cubed.tables[month].view();
  }
  const auto estimator = BinaryEstimator::Fit(reference.chunks);
  const auto other = BinaryEstimator::Fit(cubed.chunks);
  const Table& chunk = reference.tables[3];
  const auto a = estimator->Estimate(PerformanceMetric::kRocAuc, chunk.view());
  const auto b = other->Estimate(PerformanceMetric::kRocAuc, cubed.tables[3].view());
  EXPECT_NEAR(a->value, b->value, 1e-12);
  EXPECT_NEAR(a->sampling_error, b->sampling_error, 1e-12);
}

TEST(BinaryEstimatorTest, AMetricThatIsNotDefinedSaysWhyAndTheOthersStay) {
  const Reference reference;
  const auto estimator = BinaryEstimator::Fit(reference.chunks);
  const Table low = {{.1, .2, .3}, {0, 0, 0}, {}};
  const auto precision = estimator->Estimate(PerformanceMetric::kPrecision, low.view());
  EXPECT_EQ(precision.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(precision.error().message, HasSubstr("no row is predicted 1"));
  EXPECT_TRUE(estimator->Estimate(PerformanceMetric::kAccuracy, low.view()).ok());

  const auto single = BinaryEstimator::Fit(std::span(reference.chunks).first(1));
  EXPECT_THAT(single->Estimate(PerformanceMetric::kAccuracy, low.view()).error().message,
              HasSubstr("alert limits need 2"));
}

TEST(BinaryEstimatorTest, BadInputIsNamed) {
  Reference reference;
  const auto problem = [&] {
    const auto estimator = BinaryEstimator::Fit(reference.chunks);
    return estimator.ok() ? std::string("taken") : estimator.error().message;
  };
  reference.tables[2].scores[5] = NAN;
  EXPECT_THAT(problem(), HasSubstr("reference chunk 2: row 5"));
  reference.tables[2].scores[5] = 0.5;
  reference.chunks[1].labels = {};
  EXPECT_THAT(problem(), HasSubstr("reference chunk 1: 0 labels"));
  const Table ones = {{.1, .2}, {0, 1}, {1, 1}};
  reference.chunks = {ones.view(), ones.view()};
  EXPECT_THAT(problem(), HasSubstr("no row of class 0"));
  reference.chunks.clear();
  EXPECT_THAT(problem(), HasSubstr("no chunks"));
  const Reference good(1);
  EXPECT_FALSE(BinaryEstimator::Fit(good.chunks, {.band_deviations = 0}).ok());
  const auto estimator = BinaryEstimator::Fit(good.chunks);
  const Table nan = {{.1, NAN}, {0, 1}, {}};
  EXPECT_THAT(estimator->Estimate(PerformanceMetric::kAccuracy, nan.view()).error().message,
              HasSubstr("row 1"));
}

struct MulticlassTable {
  std::vector<double> probabilities;
  std::vector<std::int32_t> predicted;
  std::vector<std::int32_t> labels;
  std::size_t classes = 3;

  MulticlassRows view() const {
    return {{probabilities, predicted.size(), classes}, predicted, labels};
  }
};

/// Softmax of noisy logits, too sure of itself for `heat` above 1.
MulticlassTable Softmax(std::size_t n, std::size_t classes, double heat, std::uint64_t seed) {
  Random random(seed);
  MulticlassTable table;
  table.classes = classes;
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<double> logits(classes);
    for (double& logit : logits) logit = 1.5 * random.Normal();
    const auto softmax = [&](double factor) {
      std::vector<double> p(classes);
      double sum = 0;
      for (std::size_t k = 0; k < classes; ++k) sum += p[k] = std::exp(factor * logits[k]);
      for (double& value : p) value /= sum;
      return p;
    };
    const auto truth = softmax(1);
    double at = random.Uniform();
    std::size_t label = 0;
    while (label + 1 < classes && at >= truth[label]) at -= truth[label++];
    const auto said = softmax(heat);
    table.probabilities.insert(table.probabilities.end(), said.begin(), said.end());
    table.predicted.push_back(
        static_cast<std::int32_t>(std::max_element(said.begin(), said.end()) - said.begin()));
    table.labels.push_back(static_cast<std::int32_t>(label));
  }
  return table;
}

TEST(MulticlassEstimatorTest, EstimatesWhatLabelsLaterShow) {
  std::vector<MulticlassTable> tables;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) tables.push_back(Softmax(1'000, 4, 3, seed));
  std::vector<MulticlassRows> chunks;
  for (const auto& table : tables) chunks.push_back(table.view());
  const auto estimator = MulticlassEstimator::Fit(chunks);
  ASSERT_TRUE(estimator.ok()) << estimator.error().message;
  EXPECT_EQ(estimator->classes(), 4U);

  const auto fresh = Softmax(10'000, 4, 3, 77);
  MulticlassRows unlabeled = fresh.view();
  unlabeled.labels = {};
  for (const PerformanceMetric metric : kPerformanceMetrics) {
    const auto estimate = estimator->Estimate(metric, unlabeled);
    ASSERT_TRUE(estimate.ok()) << estimate.error().message;
    EXPECT_NEAR(estimate->value, *RealizedMetric(metric, fresh.view()), 0.04) << Name(metric);
    EXPECT_GT(estimate->sampling_error, 0) << Name(metric);
  }
  const auto confusion = estimator->Confusion(unlabeled);
  double sum = 0;
  for (const double count : *confusion) sum += count;
  EXPECT_NEAR(sum, 10'000, 1e-6);
}

TEST(MulticlassEstimatorTest, RealizedAgreesWithTheMeanOverTheClasses) {
  const auto table = Softmax(400, 3, 1, 5);
  EXPECT_NEAR(*RealizedMetric(PerformanceMetric::kRocAuc, table.view()),
              *MacroRocAuc(table.labels, table.view().probabilities), 1e-14);
  double right = 0;
  for (std::size_t i = 0; i < 400; ++i) right += table.labels[i] == table.predicted[i] ? 1 : 0;
  EXPECT_DOUBLE_EQ(*RealizedMetric(PerformanceMetric::kAccuracy, table.view()), right / 400);
}

TEST(MulticlassEstimatorTest, RelabelingTheClassesChangesNothing) {
  const auto table = Softmax(900, 3, 2, 8);
  auto turned = table;
  constexpr std::int32_t kTo[] = {2, 0, 1};
  for (std::size_t i = 0; i < 900; ++i) {
    for (std::size_t k = 0; k < 3; ++k) {
      turned.probabilities[i * 3 + static_cast<std::size_t>(kTo[k])] =
          table.probabilities[i * 3 + k];
    }
    turned.labels[i] = kTo[table.labels[i]];
    turned.predicted[i] = kTo[table.predicted[i]];
  }
  const std::vector<MulticlassRows> one = {table.view(), table.view()};
  const std::vector<MulticlassRows> two = {turned.view(), turned.view()};
  const auto a = MulticlassEstimator::Fit(one);
  const auto b = MulticlassEstimator::Fit(two);
  for (const PerformanceMetric metric : kPerformanceMetrics) {
    EXPECT_NEAR(a->Estimate(metric, table.view())->value, b->Estimate(metric, turned.view())->value,
                1e-12)
        << Name(metric);
  }
}

TEST(MulticlassEstimatorTest, BadInputIsNamed) {
  auto table = Softmax(50, 3, 1, 5);
  const auto problem = [&] {
    const std::vector<MulticlassRows> chunks = {table.view(), table.view()};
    const auto estimator = MulticlassEstimator::Fit(chunks);
    return estimator.ok() ? std::string("taken") : estimator.error().message;
  };
  EXPECT_EQ(problem(), "taken");
  table.probabilities[4] += 0.2;
  EXPECT_THAT(problem(), HasSubstr("chunk 0: row 1"));
  table.probabilities[4] = -1;
  EXPECT_THAT(problem(), HasSubstr("row 1: a probability"));
  table = Softmax(50, 3, 1, 5);
  table.labels[7] = 3;
  EXPECT_THAT(problem(), HasSubstr("row 7: 3 among the labels"));
  table.labels[7] = 0;
  table.predicted[9] = -1;
  EXPECT_THAT(problem(), HasSubstr("row 9: -1 among the predictions"));
  table.predicted[9] = 0;
  const std::vector<MulticlassRows> chunks = {table.view(), table.view()};
  const auto estimator = MulticlassEstimator::Fit(chunks);
  const auto other = Softmax(10, 4, 1, 1);
  EXPECT_THAT(estimator->Estimate(PerformanceMetric::kAccuracy, other.view()).error().message,
              HasSubstr("4 classes"));
}

}  // namespace
}  // namespace tidewheel::stats
