#include "tidewheel/stats/boosted_trees.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using testing::HasSubstr;

struct Rows {
  std::vector<double> features;
  std::vector<double> targets;
  std::size_t columns = 3;

  MatrixView<double> view() const { return {features, targets.size(), columns}; }
};

template <typename Truth>
Rows Random3(std::size_t n, double noise, std::uint64_t seed, const Truth& truth) {
  Random random(seed);
  Rows rows;
  for (std::size_t i = 0; i < n; ++i) {
    double x[3];
    for (double& value : x) rows.features.push_back(value = random.Uniform());
    rows.targets.push_back(truth(x) + noise * random.Normal());
  }
  return rows;
}

double SquaredError(const BoostedTrees& trees, const Rows& rows) {
  double sum = 0;
  for (std::size_t i = 0; i < rows.targets.size(); ++i) {
    const double error = trees(rows.view().Row(i)) - rows.targets[i];
    sum += error * error;
  }
  return sum / static_cast<double>(rows.targets.size());
}

TEST(BoostedTreesTest, LearnsACurveAndAnInteraction) {
  const auto truth = [](const double* x) {
    return std::sin(6 * x[0]) + (x[1] > 0.5 ? 2 * x[2] : 0);
  };
  const Rows train = Random3(4'000, 0.1, 1, truth);
  const Rows fresh = Random3(2'000, 0, 2, truth);
  const auto trees = BoostedTrees::Fit(train.view(), train.targets);

  ASSERT_TRUE(trees.ok()) << trees.error().message;
  EXPECT_LT(SquaredError(*trees, fresh), 0.02);  // The mean alone has about 1.
}

TEST(BoostedTreesTest, LearnsNextToNothingFromNoise) {
  const auto truth = [](const double*) { return 3.0; };
  const Rows train = Random3(2'000, 1, 3, truth);
  const Rows fresh = Random3(2'000, 0, 4, truth);
  const auto trees = BoostedTrees::Fit(train.view(), train.targets);
  EXPECT_LT(SquaredError(*trees, fresh), 0.02);
  EXPECT_LT(trees->trees(), 60U);
}

TEST(BoostedTreesTest, OneStumpIsTheBestSplit) {
  Rows rows;
  rows.columns = 1;
  for (int i = 0; i < 100; ++i) {
    rows.features.push_back(i);
    rows.targets.push_back(i < 40 ? 1 : 5);
  }
  const auto trees = BoostedTrees::Fit(
      rows.view(), rows.targets,
      {.rounds = 1, .depth = 1, .learning_rate = 1, .min_leaf = 1, .bins = 128, .held_out = 0});
  const double left[] = {39};
  const double right[] = {40};
  EXPECT_NEAR((*trees)(left), 1, 1e-12);
  EXPECT_NEAR((*trees)(right), 5, 1e-12);
}

TEST(BoostedTreesTest, AMonotoneChangeOfAColumnChangesNoAnswerAtItsRows) {
  const auto truth = [](const double* x) { return x[0] * x[1] - x[2]; };
  const Rows train = Random3(1'000, 0.1, 5, truth);
  Rows cubed = train;
  for (double& value : cubed.features) value = 7 * value * value * value;
  const auto trees = BoostedTrees::Fit(train.view(), train.targets);
  const auto other = BoostedTrees::Fit(cubed.view(), cubed.targets);
  for (std::size_t i = 0; i < 1'000; ++i) {
    EXPECT_NEAR((*trees)(train.view().Row(i)), (*other)(cubed.view().Row(i)), 1e-12);
  }
}

TEST(BoostedTreesTest, ConstantColumnsAndFewRowsGiveTheMean) {
  const Rows rows = {{1, 1, 1, 1}, {1, 2, 3, 6}, 1};
  const auto trees = BoostedTrees::Fit(rows.view(), rows.targets);
  EXPECT_EQ(trees->trees(), 0U);
  EXPECT_DOUBLE_EQ((*trees)(std::vector<double>{9}), 3);
}

TEST(BoostedTreesTest, TheMeanOfItsAnswersIsTheMeanOfTheTargets) {
  const Rows train = Random3(999, 1, 6, [](const double* x) { return 10 * x[0]; });
  const auto trees = BoostedTrees::Fit(train.view(), train.targets);
  double answers = 0;
  double targets = 0;
  for (std::size_t i = 0; i < 999; ++i) {
    answers += (*trees)(train.view().Row(i));
    targets += train.targets[i];
  }
  EXPECT_NEAR(answers, targets, 1e-8);
}

TEST(BoostedTreesTest, BadInputIsNamed) {
  const auto problem = [](Rows rows, BoostedTreesOptions options = {}) {
    const auto trees = BoostedTrees::Fit(rows.view(), rows.targets, options);
    return trees.ok() ? std::string("taken") : trees.error().message;
  };
  EXPECT_THAT(problem({}), HasSubstr("rows and columns"));
  EXPECT_THAT(problem({{1, 2, NAN}, {1}, 3}), HasSubstr("row 0, column 2"));
  EXPECT_THAT(problem({{1, 2, 3}, {INFINITY}, 3}), HasSubstr("row 0: the target"));
  EXPECT_THAT(problem({{1, 2, 3, 4}, {1}, 3}), HasSubstr("not a matrix"));
  const Rows good = {{1, 2, 3}, {1}, 3};
  EXPECT_THAT(problem(good, {.depth = 11}), HasSubstr("depth"));
  EXPECT_THAT(problem(good, {.learning_rate = 0}), HasSubstr("learning rate"));
  EXPECT_THAT(problem(good, {.bins = 1}), HasSubstr("bins"));
  EXPECT_THAT(problem(good, {.held_out = 1}), HasSubstr("held-out"));
  const std::vector<double> two = {1, 2};
  EXPECT_THAT(BoostedTrees::Fit(good.view(), two).error().message, HasSubstr("2 targets for 1"));
}

}  // namespace
}  // namespace tidewheel::stats
