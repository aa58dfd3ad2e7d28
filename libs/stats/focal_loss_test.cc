#include "tidewheel/stats/focal_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using ::testing::HasSubstr;

TEST(FocalLossTest, GammaZeroIsCrossEntropy) {
  const std::vector<double> logits = {std::log(0.2), std::log(0.5), std::log(0.3)};
  const std::vector<std::int32_t> labels = {1};

  const auto report = FocalLoss(MatrixView<double>{logits, 1, 3}, labels, {.gamma = 0});

  ASSERT_TRUE(report.ok());
  EXPECT_NEAR(report->mean, -std::log(0.5), 1e-15);
  EXPECT_NEAR(report->gradient[0], 0.2, 1e-15);
  EXPECT_NEAR(report->gradient[1], -0.5, 1e-15);
  EXPECT_NEAR(report->gradient[2], 0.3, 1e-15);
}

TEST(FocalLossTest, HasTheValuesOfItsDefinition) {
  // Lin et al.: gamma 2 makes the loss of an example of p = 0.9 a hundredth, of p = 0.968 about a
  // thousandth of cross-entropy.
  const std::vector<double> logits = {0, std::log(9.0)};
  const std::vector<double> weights = {3, 0.25};

  const auto report = FocalLoss(MatrixView<double>{logits, 1, 2}, std::vector<std::int32_t>{1});
  const auto weighted = FocalLoss(MatrixView<double>{logits, 1, 2}, std::vector<std::int32_t>{1},
                                  {.class_weights = weights});

  ASSERT_TRUE(report.ok() && weighted.ok());
  EXPECT_NEAR(report->mean, 0.01 * -std::log(0.9), 1e-16);
  EXPECT_NEAR(weighted->mean, 0.25 * 0.01 * -std::log(0.9), 1e-16);
}

TEST(FocalLossTest, GradientIsThatOfTheLoss) {
  Random random(1);
  for (int round = 0; round < 40; ++round) {
    const std::size_t rows = 1 + random.Below(5);
    const std::size_t classes = 2 + random.Below(5);
    const double gamma = round % 4 == 0 ? 0.5 : 4 * random.Uniform();
    std::vector<double> logits(rows * classes), weights(classes);
    for (double& logit : logits) logit = 2 * random.Normal();
    for (double& weight : weights) weight = random.Uniform();
    std::vector<std::int32_t> labels;
    for (std::size_t i = 0; i < rows; ++i) {
      labels.push_back(static_cast<std::int32_t>(random.Below(classes)));
    }
    const FocalLossOptions options{.gamma = gamma, .class_weights = weights};
    const auto mean = [&](const std::vector<double>& z) {
      return FocalLoss(MatrixView<double>{z, rows, classes}, labels, options)->mean;
    };

    const auto report = FocalLoss(MatrixView<double>{logits, rows, classes}, labels, options);

    ASSERT_TRUE(report.ok());
    for (std::size_t i = 0; i < logits.size(); ++i) {
      auto up = logits;
      auto down = logits;
      up[i] += 1e-5;
      down[i] -= 1e-5;
      EXPECT_NEAR(report->gradient[i], (mean(up) - mean(down)) / 2e-5, 1e-8);
    }
    for (std::size_t row = 0; row < rows; ++row) {
      double sum = 0;  // A constant added to all logits changes nothing.
      for (std::size_t k = 0; k < classes; ++k) sum += report->gradient[row * classes + k];
      EXPECT_NEAR(sum, 0, 1e-15);
      EXPECT_GE(report->loss[row], 0);
    }
  }
}

TEST(FocalLossTest, StaysRightWhereTheProbabilityIsAllButZeroOrOne) {
  const std::vector<double> logits = {0, 40, 0, -1000, 0, 800};
  const std::vector<std::int32_t> labels = {1, 1, 1};

  const auto report = FocalLoss(MatrixView<double>{logits, 3, 2}, labels, {.gamma = 2});

  ASSERT_TRUE(report.ok());
  const double rest = std::exp(-40.0);  // 1 - p, 4e-18: lost if it were a difference.
  EXPECT_NEAR(report->loss[0] / (rest * rest * rest), 1, 1e-12);
  EXPECT_NEAR(report->gradient[1] * 3 / (-3 * rest * rest * rest), 1, 1e-12);
  EXPECT_EQ(report->loss[1], 1000);
  EXPECT_NEAR(report->gradient[3] * 3, -1, 1e-12);
  EXPECT_EQ(report->loss[2], 0);
  EXPECT_EQ(report->gradient[5], 0);
}

TEST(FocalLossTest, RefusesWhatIsNoLogitLabelOrWeight) {
  const std::vector<double> logits = {0, 1, 2, std::numeric_limits<double>::infinity()};
  const std::vector<double> good = {0, 1, 2, 3};
  const std::vector<std::int32_t> labels = {0, 1};
  const std::vector<double> negative = {1, -1};
  const auto message = [](const auto& result) { return result.ok() ? "" : result.error().message; };
  const MatrixView<double> view{good, 2, 2};

  EXPECT_THAT(message(FocalLoss(MatrixView<double>{logits, 2, 2}, labels)),
              HasSubstr("row 1, column 1"));
  EXPECT_THAT(message(FocalLoss(view, std::vector<std::int32_t>{0, 2})),
              HasSubstr("row 1: label 2"));
  EXPECT_THAT(message(FocalLoss(view, labels, {.gamma = -1})), HasSubstr("gamma"));
  EXPECT_THAT(message(FocalLoss(view, labels, {.class_weights = negative})), HasSubstr("class 1"));
  EXPECT_FALSE(FocalLoss(view, std::vector<std::int32_t>{0}).ok());
  EXPECT_FALSE(FocalLoss(MatrixView<double>{good, 4, 1}, std::vector<std::int32_t>(4, 0)).ok());
  EXPECT_FALSE(FocalLoss({}, {}).ok());
}

}  // namespace
}  // namespace tidewheel::stats
