#include "tidewheel/explain/integrated_gradients.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tidewheel/base/random.h"

namespace tidewheel::explain {
namespace {

using testing::HasSubstr;

/// A little network: the logistic of a sum of tanh, with its derivative.
AnswerGradients Network(std::size_t columns, std::uint64_t seed) {
  Random random(seed);
  std::vector<double> inner(columns * 4);
  std::vector<double> outer(4);
  for (double& weight : inner) weight = random.Normal();
  for (double& weight : outer) weight = 2 * random.Normal();
  return [columns, inner, outer](std::span<const float> rows, std::size_t count,
                                 std::span<double> answers,
                                 std::span<float> gradients) -> Result<void> {
    for (std::size_t i = 0; i < count; ++i) {
      double sum = 0;
      std::vector<double> hidden(4);
      for (std::size_t k = 0; k < 4; ++k) {
        double at = 0;
        for (std::size_t j = 0; j < columns; ++j) {
          at += inner[k * columns + j] * static_cast<double>(rows[i * columns + j]);
        }
        hidden[k] = std::tanh(at);
        sum += outer[k] * hidden[k];
      }
      answers[i] = 1 / (1 + std::exp(-sum));
      for (std::size_t j = 0; j < columns; ++j) {
        double slope = 0;
        for (std::size_t k = 0; k < 4; ++k) {
          slope += outer[k] * (1 - hidden[k] * hidden[k]) * inner[k * columns + j];
        }
        gradients[i * columns + j] = static_cast<float>(slope * answers[i] * (1 - answers[i]));
      }
    }
    return {};
  };
}

TEST(IntegratedGradientsTest, AttributionsSumToTheDifferenceOfAnswers) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Random random(seed + 100);
    std::vector<float> row(6);
    for (float& value : row) value = static_cast<float>(random.Normal());
    const std::vector<float> baseline(6, 0);
    const auto explained =
        IntegrateGradients(row, baseline, Network(6, seed), {.tolerance = 1e-5}, {});
    ASSERT_TRUE(explained.ok()) << explained.error().message;
    const double sum =
        std::accumulate(explained->attributions.begin(), explained->attributions.end(), 0.0);
    EXPECT_NEAR(sum, explained->answer - explained->baseline_answer, 1e-5) << "seed " << seed;
    EXPECT_TRUE(explained->complete);
  }
}

TEST(IntegratedGradientsTest, ALinearModelGivesWeightTimesDistanceAtOnce) {
  const AnswerGradients linear = [](std::span<const float> rows, std::size_t count,
                                    std::span<double> answers,
                                    std::span<float> gradients) -> Result<void> {
    for (std::size_t i = 0; i < count; ++i) {
      answers[i] = 2 * static_cast<double>(rows[2 * i]) - static_cast<double>(rows[2 * i + 1]);
      gradients[2 * i] = 2;
      gradients[2 * i + 1] = -1;
    }
    return {};
  };
  const auto explained = IntegrateGradients(std::vector<float>{3, 4}, std::vector<float>{1, 1},
                                            linear, {.first_steps = 1}, {});
  ASSERT_TRUE(explained.ok());
  EXPECT_NEAR(explained->attributions[0], 4, 1e-12);
  EXPECT_NEAR(explained->attributions[1], -3, 1e-12);
  EXPECT_NEAR(explained->gap, 0, 1e-12);
  EXPECT_EQ(explained->steps, 1U);
}

TEST(IntegratedGradientsTest, TheGapIsToldWhenStepsRunOut) {
  const std::vector<float> row = {40, -30, 20};
  const std::vector<float> baseline(3, 0);
  const auto explained = IntegrateGradients(
      row, baseline, Network(3, 5), {.first_steps = 1, .most_steps = 2, .tolerance = 0}, {});
  ASSERT_TRUE(explained.ok());
  EXPECT_FALSE(explained->complete);
  EXPECT_EQ(explained->steps, 2U);
  EXPECT_GT(std::abs(explained->gap), 0);
}

TEST(IntegratedGradientsTest, WithoutTimeThereIsNoAnswer) {
  const auto explained =
      IntegrateGradients(std::vector<float>{1}, std::vector<float>{0}, Network(1, 1), {},
                         {.deadline = std::chrono::steady_clock::now()});
  ASSERT_FALSE(explained.ok());
  EXPECT_EQ(explained.error().code, ErrorCode::kDeadlineExceeded);
}

TEST(IntegratedGradientsTest, QuadratureIsExactForPolynomials) {
  for (const std::size_t points : {1U, 2U, 5U, 16U, 101U}) {
    const Quadrature quadrature = GaussLegendre(points);
    for (const std::size_t power : {std::size_t{0}, std::size_t{1}, 2 * points - 1}) {
      double sum = 0;
      for (std::size_t i = 0; i < points; ++i) {
        sum += quadrature.weights[i] * std::pow(quadrature.points[i], static_cast<double>(power));
      }
      EXPECT_NEAR(sum, 1 / (static_cast<double>(power) + 1), 1e-12) << points << " " << power;
    }
  }
}

TEST(IntegratedGradientsTest, NamesWhatIsWrong) {
  const std::vector<float> row = {1, NAN};
  EXPECT_THAT(IntegrateGradients(row, row, Network(2, 1), {}, {}).error().message,
              HasSubstr("number 1"));
  EXPECT_THAT(
      IntegrateGradients(row, std::span(row).first(1), Network(2, 1), {}, {}).error().message,
      HasSubstr("not 1"));
  EXPECT_THAT(IntegrateGradients({}, {}, Network(1, 1), {}, {}).error().message,
              HasSubstr("empty"));
  const auto one = std::span(row).first(1);
  EXPECT_THAT(IntegrateGradients(one, one, Network(1, 1), {.first_steps = 0}, {}).error().message,
              HasSubstr("4096"));
}

}  // namespace
}  // namespace tidewheel::explain
