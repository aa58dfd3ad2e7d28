#include "tidewheel/labels/internal/vector_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tidewheel/base/random.h"

namespace tidewheel::labels::internal {
namespace {

TEST(VectorMathTest, ExponentialIsWithinTwoUnitsInTheLastPlaceAndThoseOfItsArgument) {
  Random random(1);
  for (int n = 0; n < 300'000; ++n) {
    const double x = -std::exp(random.Uniform() * 40 - 33.4);
    if (x < -708) continue;
    const long double exact = std::exp(static_cast<long double>(x));
    ASSERT_NEAR(ExpNotAbove0(x) / static_cast<double>(exact), 1, 4.5e-16 - 1.3e-16 * x) << x;
  }
  EXPECT_EQ(ExpNotAbove0(0), 1);
  EXPECT_EQ(ExpNotAbove0(-709), 0);
  EXPECT_EQ(ExpNotAbove0(-1e300), 0);
  EXPECT_EQ(ExpNotAbove0(-std::numeric_limits<double>::infinity()), 0);
}

TEST(VectorMathTest, LogarithmIsWithinTwoUnitsInTheLastPlace) {
  Random random(2);
  for (int n = 0; n < 300'000; ++n) {
    const double x =
        n % 2 == 0 ? std::exp(1'400 * (random.Uniform() - 0.5)) : 0.5 + random.Uniform();
    const double exact = static_cast<double>(std::log(static_cast<long double>(x)));
    ASSERT_NEAR(LogOfPositive(x), exact, 4.5e-16 * std::max(1.0, std::abs(exact))) << x;
  }
  EXPECT_EQ(LogOfPositive(1), 0);
}

}  // namespace
}  // namespace tidewheel::labels::internal
