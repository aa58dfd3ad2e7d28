#include "tidewheel/stats/distances.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/histograms.h"

namespace tidewheel::stats {
namespace {

using Counts = std::vector<std::uint64_t>;
using Numbers = std::vector<double>;

Numbers Normals(std::size_t size, Random& random) {
  Numbers values(size);
  for (double& value : values) value = random.Normal();
  return values;
}

// Expected values without another source: scipy 1.17.1.

TEST(WassersteinTest, AgreesWithScipysDocumentedExample) {
  EXPECT_DOUBLE_EQ(*Wasserstein(Numbers{0, 1, 3}, Numbers{5, 6, 8}), 5);
  EXPECT_DOUBLE_EQ(*Wasserstein(Numbers{3.4, 3.9, 7.5, 7.8}, Numbers{4.5, 1.4}),
                   (std::abs(3.4 - 1.4) + std::abs(3.9 - 1.4) + 7.5 - 4.5 + 7.8 - 4.5) / 4);
}

TEST(WassersteinTest, OfEqualSizesIsTheMeanDifferenceInOrder) {
  Random random(1);
  for (const std::size_t size : {1U, 2U, 37U, 5'000U}) {
    auto a = Normals(size, random);
    auto b = Normals(size, random);
    for (double& value : b) value = std::round(3 * value);
    const double distance = *Wasserstein(a, b);

    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    double expected = 0;
    for (std::size_t i = 0; i < size; ++i) expected += std::abs(a[i] - b[i]);

    EXPECT_NEAR(distance, expected / static_cast<double>(size), 1e-12);
  }
}

TEST(WassersteinTest, OfAShiftedSampleIsTheShiftAndScalesWithTheUnit) {
  Random random(2);
  const auto a = Normals(10'000, random);
  auto shifted = a;
  auto doubled = a;
  const auto other = Normals(777, random);
  auto doubled_other = other;
  for (double& value : shifted) value += 0.375;
  for (double& value : doubled) value *= 2;
  for (double& value : doubled_other) value *= 2;

  EXPECT_NEAR(*Wasserstein(a, shifted), 0.375, 1e-12);
  EXPECT_NEAR(*Wasserstein(doubled, doubled_other), 2 * *Wasserstein(a, other), 1e-12);
  EXPECT_NEAR(*ScaledWasserstein(doubled, doubled_other), *ScaledWasserstein(a, other), 1e-12);
}

TEST(WassersteinTest, IsAMetric) {
  Random random(3);
  for (int round = 0; round < 50; ++round) {
    const auto a = Normals(1 + random.Below(40), random);
    const auto b = Normals(1 + random.Below(40), random);
    auto c = Normals(1 + random.Below(40), random);
    for (double& value : c) value = std::round(value);

    EXPECT_EQ(*Wasserstein(a, a), 0);
    EXPECT_NEAR(*Wasserstein(a, b), *Wasserstein(b, a), 1e-14);
    EXPECT_LE(*Wasserstein(a, c), *Wasserstein(a, b) + *Wasserstein(b, c) + 1e-14);
    const auto mean = [](const Numbers& values) {
      double sum = 0;
      for (const double value : values) sum += value;
      return sum / static_cast<double>(values.size());
    };
    EXPECT_GE(*Wasserstein(a, b) + 1e-14, std::abs(mean(a) - mean(b)));
  }
}

TEST(WassersteinTest, FloatsGiveTheSameAsTheirDoubles) {
  Random random(4);
  const auto a = Normals(3'000, random);
  const auto b = Normals(1'000, random);
  const std::vector<float> a32(a.begin(), a.end());
  const std::vector<float> b32(b.begin(), b.end());
  const Numbers wide_a(a32.begin(), a32.end());
  const Numbers wide_b(b32.begin(), b32.end());

  EXPECT_EQ(*Wasserstein(std::span<const float>(a32), b32), *Wasserstein(wide_a, wide_b));
  EXPECT_EQ(*ScaledWasserstein(std::span<const float>(a32), b32),
            *ScaledWasserstein(wide_a, wide_b));
}

TEST(WassersteinTest, ScaleIsTheReferencesDeviation) {
  // Deviation of {0, 2} with divisor n: 1; of {0, 4}: 2.
  EXPECT_DOUBLE_EQ(*ScaledWasserstein(Numbers{0, 2}, Numbers{3, 5}), 3);
  EXPECT_DOUBLE_EQ(*ScaledWasserstein(Numbers{0, 4}, Numbers{3, 5}), 2.0 / 2);
}

TEST(WassersteinTest, RefusesWhatHasNoDistance) {
  const double most = std::numeric_limits<double>::max();

  EXPECT_EQ(Wasserstein(Numbers{}, Numbers{1}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Wasserstein(Numbers{1}, Numbers{1, std::nan("")}).error().message,
            "value 1 of the current sample is not a finite number");
  EXPECT_EQ(Wasserstein(Numbers{-most}, Numbers{most}).error().code, ErrorCode::kOutOfRange);
  const auto constant = ScaledWasserstein(Numbers{2, 2}, Numbers{3, 4});
  EXPECT_EQ(constant.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(constant.error().message.rfind("not applicable, because", 0), 0U);
}

TEST(JensenShannonTest, AgreesWithScipy) {
  EXPECT_DOUBLE_EQ(*JensenShannonDistance(Counts{1, 0, 0}, Counts{0, 1, 0}), 1);
  EXPECT_NEAR(*JensenShannonDistance(Counts{3, 4, 5}, Counts{6, 1, 7}), 0.29361139139732184, 1e-14);
  EXPECT_NEAR(*JensenShannonDistance(Counts{3, 4, 5}, Counts{6, 1, 7}, std::exp(1.0)),
              0.24444751779626792, 1e-14);
}

TEST(JensenShannonTest, DistanceIsAMetricAndDivergenceItsSquare) {
  Random random(5);
  const auto counts = [&] {
    Counts made(6);
    for (auto& count : made) count = random.Below(9);
    made[random.Below(6)] += 1;
    return made;
  };
  for (int round = 0; round < 200; ++round) {
    const Counts a = counts(), b = counts(), c = counts();
    const double ab = *JensenShannonDistance(a, b);

    EXPECT_EQ(*JensenShannonDistance(a, a), 0);
    EXPECT_NEAR(ab, *JensenShannonDistance(b, a), 1e-12);
    EXPECT_LE(ab, 1);
    EXPECT_NEAR(ab * ab, *JensenShannonDivergence(a, b), 1e-14);
    EXPECT_LE(*JensenShannonDistance(a, c), ab + *JensenShannonDistance(b, c) + 1e-12);
  }
}

TEST(HellingerTest, IsAMetricBetweenTheBoundsOfTotalVariation) {
  Random random(6);
  const auto counts = [&] {
    Counts made(6);
    for (auto& count : made) count = random.Below(9);
    made[random.Below(6)] += 1;
    return made;
  };
  for (int round = 0; round < 200; ++round) {
    const Counts a = counts(), b = counts(), c = counts();
    const double h = *Hellinger(a, b);
    const double variation = *TotalVariation(a, b);

    EXPECT_EQ(*Hellinger(a, a), 0);
    EXPECT_DOUBLE_EQ(h, *Hellinger(b, a));
    EXPECT_LE(h * h, variation + 1e-12);
    EXPECT_LE(variation, std::sqrt(2.0) * h + 1e-12);
    EXPECT_LE(*Hellinger(a, c), h + *Hellinger(b, c) + 1e-12);
  }
  EXPECT_DOUBLE_EQ(*Hellinger(Counts{3, 0}, Counts{0, 9}), 1);
  // Shares 1 and 0 against 1/4 and 3/4: sqrt(1 - sqrt(1/4)).
  EXPECT_NEAR(*Hellinger(Counts{4, 0}, Counts{1, 3}), std::sqrt(0.5), 1e-15);
}

TEST(HistogramDistancesTest, RefuseWhatIsNoPair) {
  EXPECT_FALSE(JensenShannonDistance({}, {}).ok());
  EXPECT_EQ(JensenShannonDivergence(Counts{1}, Counts{1, 2}).error().message,
            "histograms of 1 and 2 bins cannot be compared");
  EXPECT_EQ(Hellinger(Counts{0}, Counts{1}).error().message, "the reference histogram is empty");
  EXPECT_EQ(Hellinger(Counts{1}, Counts{0}).error().message, "the current histogram is empty");
  EXPECT_FALSE(JensenShannonDivergence(Counts{1}, Counts{1}, 1).ok());
}

}  // namespace
}  // namespace tidewheel::stats
