#include "tidewheel/stats/isotonic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(IsotonicTest, FollowsMonotonePointsAndIsConstantOutside) {
  const auto fit =
      FitIsotonic(std::vector<double>{3, 1, 2, 7}, std::vector<double>{0.5, 0.1, 0.2, 0.9});

  ASSERT_TRUE(fit.ok()) << fit.error().message;
  EXPECT_THAT(fit->at, ElementsAre(1, 2, 3, 7));
  EXPECT_EQ((*fit)(1), 0.1);
  EXPECT_EQ((*fit)(-5), 0.1);
  EXPECT_EQ((*fit)(9), 0.9);
  EXPECT_THAT((*fit)(5), DoubleEq(0.7));
  EXPECT_TRUE(std::isnan((*fit)(std::numeric_limits<double>::quiet_NaN())));
}

TEST(IsotonicTest, PoolsWhatFallsAndKeepsTheEndsOfAStretch) {
  const auto fit =
      FitIsotonic(std::vector<double>{1, 2, 3, 4, 5}, std::vector<double>{1, 3, 2, 1, 5});

  EXPECT_THAT(fit->at, ElementsAre(1, 2, 4, 5));
  EXPECT_THAT(fit->value, ElementsAre(1, 2, 2, 5));
}

TEST(IsotonicTest, TiesAreOneRowWithTheirWeightedMean) {
  const auto fit = FitIsotonic(std::vector<double>{1, 1, 2}, std::vector<double>{0, 1, 2},
                               std::vector<double>{3, 1, 1});
  EXPECT_THAT(fit->value, ElementsAre(0.25, 2));

  const auto constant = FitIsotonic(std::vector<double>{4, 4}, std::vector<double>{0, 1});
  EXPECT_EQ((*constant)(-1), 0.5);
  EXPECT_EQ((*constant)(8), 0.5);
}

TEST(IsotonicTest, RowsWithoutWeightAreLeftOut) {
  const auto fit = FitIsotonic(std::vector<double>{1, 2, 3}, std::vector<double>{9, 0, 1},
                               std::vector<double>{0, 1, 1});
  EXPECT_THAT(fit->at, ElementsAre(2, 3));
}

/// The closed form: at i the largest over starts of the least over ends of the mean between.
std::vector<double> MaxMin(const std::vector<double>& y, const std::vector<double>& w) {
  std::vector<double> fit(y.size());
  for (std::size_t i = 0; i < y.size(); ++i) {
    double best = -1e300;
    for (std::size_t j = 0; j <= i; ++j) {
      double least = 1e300;
      double sum = 0;
      double weight = 0;
      for (std::size_t k = j; k < y.size(); ++k) {
        sum += w[k] * y[k];
        weight += w[k];
        if (k >= i) least = std::min(least, sum / weight);
      }
      best = std::max(best, least);
    }
    fit[i] = best;
  }
  return fit;
}

TEST(IsotonicTest, AgreesWithTheMaxMinFormulaOnRandomRows) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Random random(seed);
    const std::size_t n = 1 + random.Below(40);
    std::vector<double> x(n), y(n), w(n);
    for (std::size_t i = 0; i < n; ++i) {
      x[i] = static_cast<double>(i);
      y[i] = seed % 2 == 0 ? static_cast<double>(random.Below(3)) : random.Normal();
      w[i] = seed % 3 == 0 ? 0.1 + random.Uniform() : 1;
    }
    const auto fit = FitIsotonic(x, y, w);
    const auto expected = MaxMin(y, w);
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_NEAR((*fit)(x[i]), expected[i], 1e-12) << "seed " << seed << " row " << i;
      sum += w[i] * ((*fit)(x[i]) - y[i]);
    }
    EXPECT_NEAR(sum, 0, 1e-10);  // Pooling keeps the weighted mean.
    EXPECT_TRUE(std::is_sorted(fit->value.begin(), fit->value.end()));
    EXPECT_TRUE(std::adjacent_find(fit->at.begin(), fit->at.end(), std::greater_equal<>()) ==
                fit->at.end());
  }
}

TEST(IsotonicTest, DoesNotDependOnTheOrderOfRows) {
  Random random(5);
  std::vector<double> x, y, w;
  for (int i = 0; i < 200; ++i) {
    x.push_back(static_cast<double>(random.Below(30)) / 30);
    y.push_back(random.Uniform());
    w.push_back(random.Uniform());
  }
  const auto fit = FitIsotonic(x, y, w);
  for (auto* column : {&x, &y, &w})
    std::rotate(column->begin(), column->begin() + 77, column->end());
  const auto again = FitIsotonic(x, y, w);
  EXPECT_EQ(fit->at, again->at);
  EXPECT_EQ(fit->value, again->value);
}

TEST(IsotonicTest, BadInputIsNamed) {
  const auto problem = [](std::vector<double> x, std::vector<double> y, std::vector<double> w) {
    const auto fit = FitIsotonic(x, y, w);
    return fit.ok() ? std::string("taken") : fit.error().message;
  };
  EXPECT_THAT(problem({}, {}, {}), HasSubstr("needs rows"));
  EXPECT_THAT(problem({1}, {1, 2}, {}), HasSubstr("1 places and 2 values"));
  EXPECT_THAT(problem({1, 2}, {1, 2}, {1}), HasSubstr("1 weights for 2 rows"));
  EXPECT_THAT(problem({1, NAN}, {1, 2}, {}), HasSubstr("row 1"));
  EXPECT_THAT(problem({1, 2}, {INFINITY, 2}, {}), HasSubstr("row 0"));
  EXPECT_THAT(problem({1, 2}, {1, 2}, {1, -1}), HasSubstr("row 1: a weight"));
  EXPECT_THAT(problem({1, 2}, {1, 2}, {0, 0}), HasSubstr("weight 0"));
}

}  // namespace
}  // namespace tidewheel::stats
