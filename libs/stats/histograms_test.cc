#include "tidewheel/stats/histograms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using Counts = std::vector<std::uint64_t>;
using testing::HasSubstr;

TEST(TotalVariationTest, KnownValues) {
  EXPECT_EQ(*TotalVariation(Counts{1, 1}, Counts{50, 50}), 0);
  EXPECT_DOUBLE_EQ(*TotalVariation(Counts{3, 1}, Counts{1, 1}), 0.25);
  EXPECT_DOUBLE_EQ(*TotalVariation(Counts{7, 0}, Counts{0, 2}), 1);
}

TEST(PopulationStabilityIndexTest, KnownValues) {
  EXPECT_EQ(*PopulationStabilityIndex(Counts{10, 30}, Counts{10, 30}), 0);
  // Shares 1/2, 1/2 and 3/4, 1/4: ln(1.5)/4 + ln(2)/4.
  EXPECT_DOUBLE_EQ(*PopulationStabilityIndex(Counts{2, 2}, Counts{3, 1}, 0), std::log(3.0) / 4);
}

TEST(PopulationStabilityIndexTest, AnEmptyBinIsRareUnlessSmoothingIsOff) {
  const auto smoothed = PopulationStabilityIndex(Counts{100, 0}, Counts{100, 100});
  ASSERT_TRUE(smoothed.ok());
  EXPECT_GT(*smoothed, 1);
  EXPECT_TRUE(std::isfinite(*smoothed));
  EXPECT_THAT(PopulationStabilityIndex(Counts{100, 0}, Counts{100, 100}, 0).error().message,
              HasSubstr("bin 1"));
  EXPECT_EQ(*PopulationStabilityIndex(Counts{5, 0}, Counts{9, 0}, 0), 0);
}

TEST(HistogramDistanceTest, AreSymmetricAndBounded) {
  Random random(11);
  for (int round = 0; round < 300; ++round) {
    Counts a(1 + random.Below(12));
    Counts b(a.size());
    for (auto& count : a) count = random.Below(40);
    for (auto& count : b) count = random.Below(40);
    ++a[0];
    ++b[0];
    const double variation = *TotalVariation(a, b);
    EXPECT_DOUBLE_EQ(variation, *TotalVariation(b, a));
    EXPECT_GE(variation, 0);
    EXPECT_LE(variation, 1 + 1e-12);
    const double index = *PopulationStabilityIndex(a, b);
    EXPECT_NEAR(index, *PopulationStabilityIndex(b, a), 1e-12);
    EXPECT_GE(index, -1e-15);
  }
}

TEST(HistogramDistanceTest, BadInputIsNamed) {
  EXPECT_EQ(TotalVariation({}, {}).error().message, "histograms have no bins");
  EXPECT_EQ(TotalVariation(Counts{1}, Counts{1, 2}).error().message,
            "histograms of 1 and 2 bins cannot be compared");
  EXPECT_EQ(PopulationStabilityIndex(Counts{0, 0}, Counts{1, 2}).error().message,
            "the reference histogram is empty");
  EXPECT_EQ(TotalVariation(Counts{1, 0}, Counts{0, 0}).error().message,
            "the current histogram is empty");
  EXPECT_FALSE(PopulationStabilityIndex(Counts{1}, Counts{1}, -1).ok());
}

}  // namespace
}  // namespace tidewheel::stats
