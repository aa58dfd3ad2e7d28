#include "tidewheel/stats/label_shift.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using testing::HasSubstr;

std::size_t Draw(Random& random, std::span<const double> shares) {
  double at = random.Uniform();
  std::size_t k = 0;
  while (k + 1 < shares.size() && at >= shares[k]) at -= shares[k++];
  return k;
}

TEST(LabelShiftTest, SolvesTheEquationExactly) {
  // Given 0: 80 of 100 right; given 1: 30 of 40 right. A target of 1/4 class 0 gives these answers.
  const std::vector<std::uint64_t> confusion = {80, 20, 10, 30};
  const std::vector<std::uint64_t> predicted = {200 + 188, 50 + 562};
  const auto shift = EstimateLabelShift(confusion, predicted);
  ASSERT_TRUE(shift.ok()) << shift.error().message;
  const double answer = 0.388;
  const double share = (answer - 0.25) / (0.8 - 0.25);
  EXPECT_NEAR(shift->shares[0], share, 1e-12);
  EXPECT_NEAR(shift->shares[1], 1 - share, 1e-12);
  EXPECT_NEAR(shift->weights[0], share / (100.0 / 140), 1e-12);
  EXPECT_NEAR(shift->condition, (0.25 + 0.8) / 0.55, 1e-9);
}

TEST(LabelShiftTest, WithoutAShiftEveryWeightIsOne) {
  const std::vector<std::uint64_t> confusion = {50, 5, 5, 2, 30, 8, 1, 1, 18};
  const std::vector<std::uint64_t> predicted = {53, 36, 31};
  const auto shift = EstimateLabelShift(confusion, predicted);
  for (const double weight : shift->weights) EXPECT_NEAR(weight, 1, 1e-12);
  for (const Interval& interval : shift->weight_intervals) {
    EXPECT_LT(interval.low, 1);
    EXPECT_GT(interval.high, 1);
  }
}

/// A classifier that is right with .75, over shares of the source and of the target.
struct Simulated {
  std::vector<std::uint64_t> confusion;
  std::vector<std::uint64_t> predicted;
};

Simulated Simulate(std::span<const double> source, std::span<const double> target, std::size_t n,
                   std::uint64_t seed) {
  const std::size_t k = source.size();
  Random random(seed);
  const auto answer = [&](std::size_t truth) {
    if (random.Uniform() < 0.75) return truth;
    return (truth + 1 + random.Below(k - 1)) % k;
  };
  Simulated made = {std::vector<std::uint64_t>(k * k), std::vector<std::uint64_t>(k)};
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t truth = Draw(random, source);
    ++made.confusion[truth * k + answer(truth)];
    ++made.predicted[answer(Draw(random, target))];
  }
  return made;
}

TEST(LabelShiftTest, IntervalsHoldTheTruthAsOftenAsTheySay) {
  const std::vector<double> source = {0.5, 0.3, 0.2};
  const std::vector<double> target = {0.2, 0.3, 0.5};
  int weights_held = 0;
  int shares_held = 0;
  constexpr int kRuns = 400;
  for (std::uint64_t seed = 1; seed <= kRuns; ++seed) {
    const Simulated made = Simulate(source, target, 1'500, seed);
    const auto shift = EstimateLabelShift(made.confusion, made.predicted);
    ASSERT_TRUE(shift.ok());
    for (std::size_t c = 0; c < 3; ++c) {
      const double weight = target[c] / source[c];
      weights_held +=
          shift->weight_intervals[c].low <= weight && weight <= shift->weight_intervals[c].high ? 1
                                                                                                : 0;
      shares_held +=
          shift->share_intervals[c].low <= target[c] && target[c] <= shift->share_intervals[c].high
              ? 1
              : 0;
    }
  }
  EXPECT_NEAR(weights_held / (3.0 * kRuns), 0.95, 0.025);
  EXPECT_NEAR(shares_held / (3.0 * kRuns), 0.95, 0.025);
}

TEST(LabelShiftTest, RelabelingTheClassesRelabelsTheAnswer) {
  const Simulated made =
      Simulate(std::vector<double>{.5, .3, .2}, std::vector<double>{.2, .3, .5}, 900, 3);
  Simulated turned = made;
  for (std::size_t i = 0; i < 3; ++i) {
    turned.predicted[(i + 1) % 3] = made.predicted[i];
    for (std::size_t j = 0; j < 3; ++j) {
      turned.confusion[(i + 1) % 3 * 3 + (j + 1) % 3] = made.confusion[i * 3 + j];
    }
  }
  const auto a = EstimateLabelShift(made.confusion, made.predicted);
  const auto b = EstimateLabelShift(turned.confusion, turned.predicted);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(a->weights[i], b->weights[(i + 1) % 3], 1e-10);
    EXPECT_NEAR(a->share_intervals[i].high, b->share_intervals[(i + 1) % 3].high, 1e-10);
  }
  EXPECT_NEAR(a->condition, b->condition, 1e-9);
}

TEST(LabelShiftTest, AClassThatVanishedHasNoNegativeWeight) {
  const auto shift = EstimateLabelShift(std::vector<std::uint64_t>{80, 20, 20, 80},
                                        std::vector<std::uint64_t>{10, 190});
  EXPECT_EQ(shift->weights[0], 0);
  EXPECT_EQ(shift->shares[1], 1);
  EXPECT_EQ(shift->weight_intervals[0].low, 0);
}

TEST(LabelShiftTest, AClassifierThatCannotTellClassesApartIsRefused) {
  const auto problem = [](std::vector<std::uint64_t> confusion, std::vector<std::uint64_t> answers,
                          LabelShiftOptions options = {}) {
    const auto shift = EstimateLabelShift(confusion, answers, options);
    return shift.ok() ? Error{ErrorCode::kInternal, "taken"} : shift.error();
  };
  EXPECT_THAT(problem({50, 50, 50, 50}, {10, 10}).message, HasSubstr("singular"));
  EXPECT_THAT(problem({5'001, 5'000, 5'000, 5'000}, {10, 10}).message, HasSubstr("condition"));
  EXPECT_EQ(problem({5'001, 5'000, 5'000, 5'000}, {10, 10}).code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(problem({5'001, 5'000, 5'000, 5'000}, {10, 10}, {.max_condition = 1e6}).message,
            "taken");
  EXPECT_THAT(problem({5, 5, 0, 0}, {10, 10}).message, HasSubstr("class 1 has no labeled rows"));
  EXPECT_THAT(problem({5}, {10}).message, HasSubstr("at least 2"));
  EXPECT_THAT(problem({5, 1, 1}, {10, 10}).message, HasSubstr("3 counts"));
  EXPECT_THAT(problem({5, 1, 1, 5}, {0, 0}).message, HasSubstr("no rows"));
  EXPECT_THAT(problem({5, 1, 1, 5}, {1, 0}, {.confidence = 0}).message, HasSubstr("confidence"));
}

/// Rows of two normal classes at -1 and 1, with their probabilities under the source's shares.
std::vector<double> Posterior(std::size_t n, double source_share, double target_share,
                              std::uint64_t seed) {
  Random random(seed);
  std::vector<double> probabilities;
  for (std::size_t i = 0; i < n; ++i) {
    const double x = (random.Uniform() < target_share ? 1 : -1) + random.Normal();
    const double odds = source_share / (1 - source_share) * std::exp(2 * x);
    probabilities.push_back(1 / (1 + odds));
    probabilities.push_back(odds / (1 + odds));
  }
  return probabilities;
}

TEST(PriorsTest, FindsTheSharesOfCalibratedProbabilities) {
  for (const double share : {0.1, 0.4, 0.9}) {
    const auto p = Posterior(20'000, 0.4, share, 8);
    const auto priors = EstimatePriors({p, 20'000, 2}, std::vector<double>{0.6, 0.4});
    ASSERT_TRUE(priors.ok()) << priors.error().message;
    EXPECT_TRUE(priors->converged);
    EXPECT_NEAR(priors->shares[1], share, 0.015);
    EXPECT_NEAR(priors->shares[0] + priors->shares[1], 1, 1e-12);
  }
}

TEST(PriorsTest, BadInputIsNamed) {
  const auto problem = [](std::vector<double> p, std::size_t rows, std::vector<double> shares) {
    const auto priors = EstimatePriors({p, rows, 2}, shares);
    return priors.ok() ? std::string("taken") : priors.error().message;
  };
  EXPECT_THAT(problem({.5, .5}, 1, {1}), HasSubstr("at least 2"));
  EXPECT_THAT(problem({.5, .5}, 2, {.5, .5}), HasSubstr("2 x 2"));
  EXPECT_THAT(problem({.5, .5}, 1, {1, 0}), HasSubstr("class 1"));
  EXPECT_THAT(problem({.5, .5}, 1, {.5, .4}), HasSubstr("sum to"));
  EXPECT_THAT(problem({.5, .5, NAN, .5}, 2, {.5, .5}), HasSubstr("row 1: a probability"));
  EXPECT_THAT(problem({.5, .5, .1, .5}, 2, {.5, .5}), HasSubstr("row 1: probabilities sum"));
}

}  // namespace
}  // namespace tidewheel::stats
