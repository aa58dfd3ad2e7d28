#include "tidewheel/stats/imbalance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/classification.h"

namespace tidewheel::stats {
namespace {

using ::testing::HasSubstr;

TEST(ImbalanceTest, HasTheValuesOfTwoClassDefinitions) {
  // 90 true negatives, 5 false positives, 2 false negatives, 3 true positives.
  const std::vector<std::uint64_t> confusion = {90, 5, 2, 3};

  EXPECT_DOUBLE_EQ(*BalancedAccuracy(confusion, 2), (90.0 / 95 + 3.0 / 5) / 2);
  EXPECT_DOUBLE_EQ(*MacroF1(confusion, 2), (180.0 / 187 + 6.0 / 13) / 2);
  EXPECT_DOUBLE_EQ(*MatthewsCorrelation(confusion, 2),
                   (3.0 * 90 - 5 * 2) / std::sqrt(8.0 * 5 * 95 * 92));
  const double chance = (95.0 * 92 + 5 * 8) / 1e4;
  EXPECT_NEAR(*CohenKappa(confusion, 2), (0.93 - chance) / (1 - chance), 1e-14);
}

TEST(ImbalanceTest, WeightedKappaForgivesWhatIsNear) {
  // Cohen (1968): weights of disagreement |i - j| and (i - j)^2, from the definition.
  const std::vector<std::uint64_t> near = {10, 5, 0, 5, 10, 5, 0, 5, 10};
  const std::vector<std::uint64_t> far = {10, 0, 5, 5, 10, 5, 5, 0, 10};

  EXPECT_GT(*CohenKappa(near, 3, KappaWeights::kQuadratic), *CohenKappa(near, 3));
  EXPECT_GT(*CohenKappa(near, 3, KappaWeights::kLinear),
            *CohenKappa(far, 3, KappaWeights::kLinear));
  // Margins 15, 20, 15 both ways: expected |i - j| = 2 (15x20x2 + 15x15x2) / 50 = 42; observed 20.
  EXPECT_NEAR(*CohenKappa(near, 3, KappaWeights::kLinear), 1 - 20 / 42.0, 1e-15);
}

std::vector<std::uint64_t> RandomConfusion(Random& random, std::size_t classes) {
  std::vector<std::uint64_t> confusion(classes * classes);
  for (auto& count : confusion) count = random.Below(3) == 0 ? 0 : random.Below(50);
  confusion[0] += 1;
  confusion[classes + 1] += 1;
  return confusion;
}

TEST(ImbalanceTest, StaysWithinItsBoundsAndDoesNotDependOnTheNamesOfClasses) {
  Random random(1);
  for (int round = 0; round < 200; ++round) {
    const std::size_t classes = 2 + random.Below(5);
    const auto confusion = RandomConfusion(random, classes);
    std::vector<std::uint64_t> turned(confusion.size()), renamed(confusion.size());
    std::vector<std::size_t> name(classes);
    std::iota(name.begin(), name.end(), std::size_t{0});
    std::shuffle(name.begin(), name.end(), random);
    for (std::size_t i = 0; i < classes; ++i) {
      for (std::size_t j = 0; j < classes; ++j) {
        turned[j * classes + i] = confusion[i * classes + j];
        renamed[name[i] * classes + name[j]] = confusion[i * classes + j];
      }
    }

    const double matthews = *MatthewsCorrelation(confusion, classes);
    const double kappa = *CohenKappa(confusion, classes);

    EXPECT_LE(std::abs(matthews), 1 + 1e-12);
    EXPECT_LE(kappa, 1);
    EXPECT_GE(*BalancedAccuracy(confusion, classes), 0);
    EXPECT_LE(*MacroF1(confusion, classes), 1);
    EXPECT_NEAR(*MatthewsCorrelation(turned, classes), matthews, 1e-12);
    EXPECT_NEAR(*CohenKappa(turned, classes), kappa, 1e-12);
    EXPECT_NEAR(*MatthewsCorrelation(renamed, classes), matthews, 1e-12);
    EXPECT_NEAR(*CohenKappa(renamed, classes), kappa, 1e-12);
    EXPECT_NEAR(*MacroF1(renamed, classes), *MacroF1(confusion, classes), 1e-12);
    EXPECT_NEAR(*BalancedAccuracy(renamed, classes), *BalancedAccuracy(confusion, classes), 1e-12);
  }
}

TEST(ImbalanceTest, AgreesWithTheClassificationReport) {
  Random random(2);
  std::vector<std::uint32_t> labels;
  std::vector<float> probabilities;
  for (int i = 0; i < 300; ++i) {
    labels.push_back(random.Below(10) == 0 ? 1U : i % 3 == 0 ? 2U : 0U);
    float p[3] = {0.1F, 0.1F, 0.1F};
    p[random.Below(4) == 0 ? random.Below(3) : labels.back()] = 0.8F;
    probabilities.insert(probabilities.end(), p, p + 3);
  }
  const auto report = ReportClassification(labels, probabilities, 3, {.resamples = 2});
  ASSERT_TRUE(report.ok());

  EXPECT_NEAR(*BalancedAccuracy(report->confusion, 3), report->balanced_accuracy.value, 1e-12);
  EXPECT_NEAR(*MacroF1(report->confusion, 3), report->macro_f1.value, 1e-12);
  EXPECT_NEAR(*MatthewsCorrelation(report->confusion, 3), report->matthews.value, 1e-12);
}

TEST(ImbalanceTest, AccuracyComesWithWhatAConstantAnswerWouldHave) {
  // 97 of 100 right, by never finding the rare class.
  std::vector<std::int32_t> labels(97, 0);
  labels.insert(labels.end(), 3, 1);
  const std::vector<std::int32_t> predicted(100, 0);

  const auto report = ImbalanceReport::Of(labels, predicted, 2);

  ASSERT_TRUE(report.ok());
  EXPECT_DOUBLE_EQ(report->accuracy().accuracy, 0.97);
  EXPECT_DOUBLE_EQ(report->accuracy().constant_answer, 0.97);
  EXPECT_DOUBLE_EQ(report->accuracy().balanced_accuracy, 0.5);
  EXPECT_EQ(report->accuracy().matthews, 0);
  EXPECT_EQ(report->accuracy().kappa, 0);
  EXPECT_EQ(report->accuracy().worst_class, 1U);
  EXPECT_EQ(report->accuracy().worst_recall, 0);
  EXPECT_NEAR(report->imbalance(), 97.0 / 3, 1e-12);
  EXPECT_EQ(report->Describe(),
            "accuracy 0.970 (always the commonest class: 0.970), balanced 0.500, macro F1 0.492, "
            "Matthews 0.000; lowest recall 0.000, class 1");
}

TEST(ImbalanceTest, RocComesWithPrecisionAndPrevalence) {
  // One positive among 1,000, second in rank: ROC AUC looks perfect, precision does not.
  std::vector<std::int32_t> labels(1000, 0);
  labels[500] = 1;
  std::vector<double> scores(2000);
  for (std::size_t i = 0; i < 1000; ++i) {
    scores[2 * i + 1] = i == 500 ? 998.5 : static_cast<double>(i);
    scores[2 * i] = -scores[2 * i + 1];
  }
  const std::vector<std::int32_t> predicted(1000, 0);

  const auto report =
      ImbalanceReport::Of(labels, predicted, 2, MatrixView<double>{scores, 1000, 2});

  ASSERT_TRUE(report.ok());
  const auto rare = report->Ranking(1);
  ASSERT_TRUE(rare.ok());
  EXPECT_NEAR(rare->roc_auc, 998.0 / 999, 1e-12);
  EXPECT_NEAR(rare->pr_auc, 0.5, 1e-12);
  EXPECT_EQ(rare->prevalence, 0.001);
  EXPECT_EQ(rare->positives, 1U);
  EXPECT_GT(report->Ranking(0)->pr_auc, 0.999);
  EXPECT_FALSE(report->Ranking(2).ok());
}

TEST(ImbalanceTest, WhatCannotBeRankedSaysWhy) {
  const std::vector<std::int32_t> labels = {0, 1, 0};
  const std::vector<double> scores = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const auto without = ImbalanceReport::Of(labels, labels, 3);
  const auto with = ImbalanceReport::Of(labels, labels, 3, MatrixView<double>{scores, 3, 3});

  ASSERT_TRUE(without.ok() && with.ok());
  EXPECT_THAT(without->Ranking(0).error().message, HasSubstr("because no scores were given"));
  EXPECT_THAT(with->Ranking(2).error().message, HasSubstr("because class 2 has no rows"));
  EXPECT_TRUE(std::isinf(with->imbalance()));
  const std::vector<std::int32_t> one(3, 1);
  const auto constant = ImbalanceReport::Of(one, one, 2);
  ASSERT_TRUE(constant.ok());
  EXPECT_FALSE(constant->accuracy().kappa.has_value());
}

TEST(ImbalanceTest, RefusesMatricesAndRowsThatDoNotFit) {
  EXPECT_FALSE(BalancedAccuracy(std::vector<std::uint64_t>{1, 2, 3}, 2).ok());
  EXPECT_FALSE(MacroF1(std::vector<std::uint64_t>{1}, 1).ok());
  EXPECT_FALSE(MatthewsCorrelation(std::vector<std::uint64_t>(4, 0), 2).ok());
  EXPECT_EQ(CohenKappa(std::vector<std::uint64_t>{5, 0, 0, 0}, 2).error().code,
            ErrorCode::kFailedPrecondition);
  const std::vector<std::int32_t> labels = {0, 1};
  const std::vector<std::int32_t> wrong = {0, 2};
  const std::vector<double> scores = {1, 2, 3, std::numeric_limits<double>::quiet_NaN()};
  EXPECT_THAT(ImbalanceReport::Of(wrong, labels, 2).error().message, HasSubstr("row 1: label 2"));
  EXPECT_THAT(ImbalanceReport::Of(labels, wrong, 2).error().message,
              HasSubstr("row 1: prediction 2"));
  EXPECT_THAT(
      ImbalanceReport::Of(labels, labels, 2, MatrixView<double>{scores, 2, 2}).error().message,
      HasSubstr("row 1, class 1"));
  EXPECT_FALSE(ImbalanceReport::Of(labels, labels, 2, MatrixView<double>{scores, 4, 1}).ok());
  EXPECT_FALSE(ImbalanceReport::Of(labels, std::vector<std::int32_t>{0}, 2).ok());
  EXPECT_FALSE(ImbalanceReport::Of({}, {}, 2).ok());
  EXPECT_FALSE(ImbalanceReport::Of(labels, labels, 1).ok());
  EXPECT_FALSE(ImbalanceReport::Of(labels, labels, 100'000).ok());
}

}  // namespace
}  // namespace tidewheel::stats
