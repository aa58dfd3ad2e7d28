#include "tidewheel/stats/predictive_power.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using ::testing::HasSubstr;

std::vector<std::int32_t> RandomLabels(Random& random, std::size_t rows, std::size_t classes) {
  std::vector<std::int32_t> labels;
  for (std::size_t i = 0; i < rows; ++i) {
    labels.push_back(static_cast<std::int32_t>(random.Below(classes)));
  }
  return labels;
}

TEST(PredictivePowerTest, ACopyOfTheLabelTellsEverything) {
  Random random(1);
  const auto labels = RandomLabels(random, 400, 5);
  std::vector<double> shuffled;  // The label under other names, in no order.
  for (const auto label : labels) shuffled.push_back((label * 3) % 5 - 1.5);

  const auto numeric = ScorePredictivePower({"copy", shuffled, {}}, labels, 5);
  const auto nominal = ScorePredictivePower({"copy", {}, labels}, labels, 5);

  ASSERT_TRUE(numeric.ok() && nominal.ok());
  EXPECT_EQ(numeric->score, 1);
  EXPECT_EQ(nominal->score, 1);
  EXPECT_EQ(nominal->f1, 1);
}

TEST(PredictivePowerTest, NoiseTellsNearlyNothing) {
  Random random(2);
  for (int round = 0; round < 20; ++round) {
    const std::size_t classes = 2 + random.Below(4);
    const auto labels = RandomLabels(random, 1000, classes);
    std::vector<double> noise;
    for (std::size_t i = 0; i < labels.size(); ++i) noise.push_back(random.Normal());
    const auto identifier = [&] {
      std::vector<std::int32_t> ids(labels.size());
      for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i);
      return ids;
    }();

    const auto numeric = ScorePredictivePower({"noise", noise, {}}, labels, classes);
    // An identifier tells the label of its own row alone: out of sample, nothing.
    const auto nominal = ScorePredictivePower({"id", {}, identifier}, labels, classes);

    ASSERT_TRUE(numeric.ok() && nominal.ok());
    EXPECT_LT(numeric->score, 0.12);
    EXPECT_LT(nominal->score, 0.05);
  }
}

TEST(PredictivePowerTest, SeesWhatCorrelationDoesNot) {
  Random random(3);
  std::vector<double> values;
  std::vector<std::int32_t> labels;
  for (int i = 0; i < 800; ++i) {
    values.push_back(random.Uniform() * 2 - 1);
    labels.push_back(std::abs(values.back()) > 0.5 ? 1 : 0);  // Symmetric around 0.
  }

  const auto power = ScorePredictivePower({"square", values, {}}, labels, 2);

  ASSERT_TRUE(power.ok());
  EXPECT_GT(power->score, 0.95);
}

TEST(PredictivePowerTest, BaselineIsTheBetterOfTwoThatDoNotLook) {
  // 90 and 10 rows: always the commonest has F1 0.9 * 2 * 0.9 / 1.9; drawn by share 0.82.
  std::vector<std::int32_t> labels(90, 0);
  labels.insert(labels.end(), 10, 1);
  const std::vector<double> constant(100, 1.0);

  const auto power = ScorePredictivePower({"constant", constant, {}}, labels, 2);

  ASSERT_TRUE(power.ok());
  EXPECT_NEAR(power->baseline, 0.9 * 1.8 / 1.9, 1e-12);
  EXPECT_NEAR(power->f1, power->baseline, 1e-12);
  EXPECT_EQ(power->score, 0);
  // Two equal classes: drawn by share has 0.5, always one of them 1/3.
  std::vector<std::int32_t> even(50, 0);
  even.insert(even.end(), 50, 1);
  EXPECT_NEAR(ScorePredictivePower({"constant", constant, {}}, even, 2)->baseline, 0.5, 1e-12);
}

TEST(PredictivePowerTest, DoesNotDependOnTheScaleOfANumberOrTheNamesOfCategories) {
  Random random(4);
  for (int round = 0; round < 20; ++round) {
    const auto labels = RandomLabels(random, 300, 3);
    std::vector<double> values, cubed;
    std::vector<std::int32_t> codes, renamed;
    for (const auto label : labels) {
      values.push_back(std::round(label + random.Normal() * 2));
      cubed.push_back(std::pow(values.back(), 3) + 5);
      codes.push_back(static_cast<std::int32_t>(values.back()));
      renamed.push_back(1000 - 7 * codes.back());
    }

    EXPECT_DOUBLE_EQ(ScorePredictivePower({"", values, {}}, labels, 3)->score,
                     ScorePredictivePower({"", cubed, {}}, labels, 3)->score);
    EXPECT_DOUBLE_EQ(ScorePredictivePower({"", {}, codes}, labels, 3)->score,
                     ScorePredictivePower({"", {}, renamed}, labels, 3)->score);
  }
}

TEST(PredictivePowerTest, RefusesWhatCannotBeScored) {
  const std::vector<std::int32_t> labels = {0, 1, 0, 1};
  const std::vector<double> values = {1, 2, std::numeric_limits<double>::quiet_NaN(), 4};
  const std::vector<double> good = {1, 2, 3, 4};

  const auto nan = ScorePredictivePower({"age", values, {}}, labels, 2);
  ASSERT_FALSE(nan.ok());
  EXPECT_THAT(nan.error().message, HasSubstr("column \"age\", row 2"));
  EXPECT_THAT(ScorePredictivePower({"age", good, {}}, labels, 1).error().message,
              HasSubstr("row 1: label 1"));
  EXPECT_FALSE(ScorePredictivePower({"age", good, labels}, labels, 2).ok());
  EXPECT_FALSE(ScorePredictivePower({"age", {}, {}}, labels, 2).ok());
  EXPECT_FALSE(ScorePredictivePower({"age", good, {}}, std::vector<std::int32_t>{0, 1}, 2).ok());
  EXPECT_FALSE(ScorePredictivePower({"age", good, {}}, labels, 2, {.folds = 1}).ok());
  EXPECT_FALSE(ScorePredictivePower({"age", good, {}}, labels, 2, {.min_leaf = 0}).ok());
  const auto one = ScorePredictivePower({"age", good, {}}, std::vector<std::int32_t>(4, 1), 2);
  ASSERT_FALSE(one.ok());
  EXPECT_EQ(one.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(one.error().message, HasSubstr("all labels are class 1"));
  EXPECT_EQ(ScorePredictivePower({"age", good, {}}, labels, 2, {.folds = 5}).error().code,
            ErrorCode::kFailedPrecondition);
}

}  // namespace
}  // namespace tidewheel::stats
