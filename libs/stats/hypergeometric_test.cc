#include "tidewheel/stats/hypergeometric.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/special.h"

namespace tidewheel::stats {
namespace {

double Choose(std::uint64_t n, std::uint64_t k) {
  double value = 1;
  for (std::uint64_t i = 1; i <= k; ++i) {
    value = value * static_cast<double>(n - k + i) / static_cast<double>(i);
  }
  return value;
}

TEST(HypergeometricTest, IsTheSumOfItsDefinition) {
  Random random(1);
  for (int round = 0; round < 2000; ++round) {
    const std::uint64_t population = 1 + random.Below(60);
    const std::uint64_t marked = random.Below(population + 1);
    const std::uint64_t draws = random.Below(population + 1);
    const std::uint64_t least = random.Below(population + 2);
    double expected = 0;
    for (std::uint64_t x = least; x <= std::min(draws, marked); ++x) {
      if (draws - x > population - marked) continue;
      expected +=
          Choose(marked, x) * Choose(population - marked, draws - x) / Choose(population, draws);
    }

    const auto tail = HypergeometricTail(least, population, marked, draws);

    ASSERT_TRUE(tail.ok());
    ASSERT_NEAR(*tail, expected, 1e-12)
        << least << " of " << marked << " in " << draws << " of " << population;
    if (expected > 0) {
      ASSERT_NEAR(*tail / expected, 1, 1e-9);
    }
  }
}

TEST(HypergeometricTest, MarkedAndDrawnMayChangePlaces) {
  for (const std::uint64_t least : {1ULL, 40ULL, 55ULL, 80ULL, 200ULL}) {
    EXPECT_NEAR(*HypergeometricTail(least, 100'000, 500, 10'000) /
                    *HypergeometricTail(least, 100'000, 10'000, 500),
                1, 1e-10);
  }
}

TEST(HypergeometricTest, NearsTheBinomialInALargePopulation) {
  // 1,000 draws of 10^12, a tenth marked.
  const double tail = *HypergeometricTail(130, 1'000'000'000'000, 100'000'000'000, 1000);

  EXPECT_NEAR(tail / (1 - BinomialCdf(129, 1000, 0.1)), 1, 1e-6);
}

TEST(HypergeometricTest, FarTailsAreSmallAndNotLost) {
  // 300 marked of 1,000: all of 100 draws. C(300, 100) / C(1000, 100) through log gamma.
  const auto log_choose = [](double n, double k) {
    return std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1);
  };

  const double tail = *HypergeometricTail(100, 1000, 300, 100);

  EXPECT_NEAR(std::log(tail), log_choose(300, 100) - log_choose(1000, 100), 1e-9);
  EXPECT_EQ(*HypergeometricTail(101, 1000, 300, 100), 0);
  EXPECT_EQ(*HypergeometricTail(0, 1000, 300, 100), 1);
  EXPECT_FALSE(HypergeometricTail(1, 10, 11, 5).ok());
  EXPECT_FALSE(HypergeometricTail(1, 10, 5, 11).ok());
}

}  // namespace
}  // namespace tidewheel::stats
