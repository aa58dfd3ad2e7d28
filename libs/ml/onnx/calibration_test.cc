#include "tidewheel/ml/onnx/calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tidewheel/base/random.h"

namespace tidewheel::ml {
namespace {

std::vector<float> Normal(std::size_t count, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> numbers(count);
  for (float& number : numbers) {
    const double radius = std::sqrt(-2 * std::log(1 - random.Uniform()));
    number = static_cast<float>(radius * std::cos(2 * 3.14159265358979 * random.Uniform()));
  }
  return numbers;
}

/// The mean squared error of rounding to 255 steps between the ends.
double ErrorOf(const ActivationRange& range, std::span<const float> numbers) {
  const float scale = (range.high - range.low) / 255;
  const float zero = std::nearbyint(-range.low / scale);
  double sum = 0;
  for (const float number : numbers) {
    const float level = std::clamp(std::nearbyint(number / scale) + zero, 0.0F, 255.0F);
    const double away = double{number} - double{(level - zero) * scale};
    sum += away * away;
  }
  return sum / static_cast<double>(numbers.size());
}

TEST(ObservedNumbersTest, NothingSeenIsZero) {
  const ObservedNumbers none;
  for (const auto rule : {RangeRule::kMinMax, RangeRule::kPercentile, RangeRule::kLeastError}) {
    EXPECT_EQ(none.Range(rule).low, 0);
    EXPECT_EQ(none.Range(rule).high, 0);
  }
}

TEST(ObservedNumbersTest, AllThatWasSeenAndZeroLieInside) {
  ObservedNumbers seen;
  seen.Add(std::vector<float>{3, 5});
  EXPECT_EQ(seen.Range(RangeRule::kMinMax).low, 0);
  EXPECT_EQ(seen.Range(RangeRule::kMinMax).high, 5);
  seen.Add(std::vector<float>{-0.25F, std::numeric_limits<float>::quiet_NaN(),
                              std::numeric_limits<float>::infinity()});
  EXPECT_EQ(seen.Range(RangeRule::kMinMax).low, -0.25F);
  EXPECT_EQ(seen.Range(RangeRule::kMinMax).high, 5);
  EXPECT_EQ(seen.count(), 3u);
}

TEST(ObservedNumbersTest, TheOrderOfBatchesDoesNotMatterMuch) {
  const auto numbers = Normal(20'000, 1);
  ObservedNumbers forwards;
  ObservedNumbers backwards;
  forwards.Add(numbers);
  for (std::size_t i = numbers.size(); i-- > 0;) backwards.Add(std::span(numbers).subspan(i, 1));
  for (const auto rule : {RangeRule::kMinMax, RangeRule::kPercentile, RangeRule::kLeastError}) {
    EXPECT_NEAR(double{forwards.Range(rule).low}, double{backwards.Range(rule).low}, 0.05);
    EXPECT_NEAR(double{forwards.Range(rule).high}, double{backwards.Range(rule).high}, 0.05);
  }
}

TEST(ObservedNumbersTest, FewLargeNumbersAreCutOff) {
  auto numbers = Normal(100'000, 2);
  numbers[7] = 400;
  ObservedNumbers seen;
  seen.Add(numbers);

  EXPECT_EQ(seen.Range(RangeRule::kMinMax).high, 400);
  EXPECT_LT(seen.Range(RangeRule::kPercentile).high, 6);
}

TEST(ObservedNumbersTest, TheLeastErrorIsNoLargerThanThatOfAll) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    const auto numbers = Normal(50'000, seed);
    ObservedNumbers seen;
    seen.Add(numbers);
    EXPECT_LE(ErrorOf(seen.Range(RangeRule::kLeastError), numbers),
              ErrorOf(seen.Range(RangeRule::kMinMax), numbers) * 1.001);
  }
}

}  // namespace
}  // namespace tidewheel::ml
