#include "tidewheel/explain/local_fit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tidewheel/base/random.h"

namespace tidewheel::explain {
namespace {

using testing::HasSubstr;

TEST(LocalFitTest, SolvesASmallCaseByHand) {
  // Two rows of weight 1, x = 0 and 2, y = 1 and 5: centred x = -1, 1 and y = -2, 2, so that the
  // slope is 4 / (2 + penalty).
  const std::vector<double> rows = {0, 2};
  const std::vector<double> answers = {1, 5};
  const std::vector<double> weights = {1, 1};
  const auto fit = FitLocally({rows, 2, 1}, answers, weights, 2);
  ASSERT_TRUE(fit.ok()) << fit.error().message;
  EXPECT_DOUBLE_EQ(fit->weights[0], 1);
  EXPECT_DOUBLE_EQ(fit->intercept, 2);
  // Residuals -1 and 1 of -2 and 2; the sandwich is sqrt(1 + 1) / (2 + 2).
  EXPECT_DOUBLE_EQ(fit->r_squared, 0.75);
  EXPECT_DOUBLE_EQ(fit->standard_errors[0], std::sqrt(2.0) / 4);
}

TEST(LocalFitTest, AWeightOfTwoIsTheRowTwice) {
  Random random(3);
  std::vector<double> rows;
  std::vector<double> answers;
  std::vector<double> weights;
  std::vector<double> doubled_rows;
  std::vector<double> doubled_answers;
  for (int i = 0; i < 40; ++i) {
    const double a = random.Normal();
    const double b = random.Normal();
    const double y = a - b + random.Normal();
    const int times = i % 3 == 0 ? 2 : 1;
    rows.insert(rows.end(), {a, b});
    answers.push_back(y);
    weights.push_back(times);
    for (int k = 0; k < times; ++k) {
      doubled_rows.insert(doubled_rows.end(), {a, b});
      doubled_answers.push_back(y);
    }
  }
  const std::vector<double> ones(doubled_answers.size(), 1);
  const auto weighed = FitLocally({rows, 40, 2}, answers, weights, 1);
  const auto doubled =
      FitLocally({doubled_rows, doubled_answers.size(), 2}, doubled_answers, ones, 1);
  ASSERT_TRUE(weighed.ok() && doubled.ok());
  for (std::size_t j = 0; j < 2; ++j) EXPECT_NEAR(weighed->weights[j], doubled->weights[j], 1e-12);
  EXPECT_NEAR(weighed->r_squared, doubled->r_squared, 1e-12);
}

TEST(LocalFitTest, StandardErrorsHoldTheTruthAsOftenAsTheySay) {
  int held = 0;
  constexpr int kRuns = 400;
  for (std::uint64_t seed = 1; seed <= kRuns; ++seed) {
    Random random(seed);
    std::vector<double> rows;
    std::vector<double> answers;
    for (int i = 0; i < 300; ++i) {
      const double x = random.Normal();
      rows.push_back(x);
      answers.push_back(2 * x + (0.5 + std::abs(x)) * random.Normal());
    }
    const std::vector<double> weights(answers.size(), 1);
    const auto fit = FitLocally({rows, answers.size(), 1}, answers, weights, 1e-9);
    ASSERT_TRUE(fit.ok());
    if (std::abs(fit->weights[0] - 2) < 1.96 * fit->standard_errors[0]) ++held;
  }
  EXPECT_GT(held, 0.92 * kRuns);
  EXPECT_LT(held, 0.98 * kRuns);
}

TEST(LocalFitTest, NamesWhatIsWrong) {
  const std::vector<double> rows = {0, 1, NAN, 2};
  const std::vector<double> answers = {1, 2};
  const std::vector<double> weights = {1, 1};
  const std::vector<double> none = {0, 0};
  EXPECT_THAT(FitLocally({rows, 2, 2}, answers, weights, 1).error().message,
              HasSubstr("no number"));
  EXPECT_THAT(FitLocally({rows, 3, 2}, answers, weights, 1).error().message, HasSubstr("fit"));
  const auto good = std::span(rows).first(2);
  EXPECT_THAT(FitLocally({good, 2, 1}, answers, none, 1).error().message, HasSubstr("sum to 0"));
  EXPECT_THAT(FitLocally({good, 2, 1}, answers, weights, 0).error().message, HasSubstr("penalty"));
  EXPECT_THAT(FitLocally({good, 1, 2}, answers, weights, 1).error().message, HasSubstr("2 rows"));
}

}  // namespace
}  // namespace tidewheel::explain
