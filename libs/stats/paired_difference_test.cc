#include "tidewheel/stats/paired_difference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/special.h"

namespace tidewheel::stats {
namespace {

// The first from Newcombe (1998), table III; the others are worked examples of Fagerland, Lydersen,
// Laake (2017), chapter 8. In these tables the first rate is the candidate's here.
TEST(PairedDifferenceTest, PublishedIntervals) {
  const auto first = PairedDifferenceInterval({36, 2, 12, 0}, 0.95);
  EXPECT_NEAR(first->low, 0.0569, 5e-5);
  EXPECT_NEAR(first->high, 0.3404, 5e-5);
  const auto second = PairedDifferenceInterval({59, 16, 6, 80}, 0.95);
  EXPECT_NEAR(second->low, -0.1186, 5e-5);
  EXPECT_NEAR(second->high, -0.0046, 5e-5);
  const auto third = PairedDifferenceInterval({1, 7, 1, 12}, 0.95);
  EXPECT_NEAR(third->low, -0.5069, 5e-5);
  EXPECT_NEAR(third->high, -0.0256, 5e-5);
}

PairedCounts RandomCounts(std::uint64_t seed) {
  Random random(seed);
  return {random.Below(60), random.Below(20), random.Below(20), 1 + random.Below(30)};
}

TEST(PairedDifferenceTest, SwappingTheModelsTurnsTheSign) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const PairedCounts counts = RandomCounts(seed);
    const PairedCounts swapped = {counts.both_right, counts.only_candidate_right,
                                  counts.only_baseline_right, counts.neither_right};
    const auto a = PairedDifferenceInterval(counts, 0.9);
    const auto b = PairedDifferenceInterval(swapped, 0.9);
    EXPECT_NEAR(a->low, -b->high, 1e-12);
    EXPECT_NEAR(a->high, -b->low, 1e-12);
    EXPECT_LE(a->low, counts.difference());
    EXPECT_GE(a->high, counts.difference());
    EXPECT_GE(a->low, -1);
    EXPECT_LE(a->high, 1);
    EXPECT_NEAR(*PairedDifferencePValue(counts, -0.05), 1 - *PairedDifferencePValue(swapped, 0.05),
                1e-9);
  }
}

TEST(PairedDifferenceTest, ThePValueIsTheLevelAtWhichTheIntervalMeetsTheBound) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const PairedCounts counts = RandomCounts(seed);
    for (const double bound : {-0.3, -0.05, 0.0, 0.1}) {
      const double p = *PairedDifferencePValue(counts, bound);
      const bool worse = counts.difference() < bound;
      const double tail = worse ? p : 1 - p;
      if (tail < 1e-9 || tail > 0.499999) continue;
      const auto interval = PairedDifferenceInterval(counts, 1 - 2 * tail);
      EXPECT_NEAR(worse ? interval->high : interval->low, bound, 1e-7)
          << "seed " << seed << ", bound " << bound;
    }
  }
}

TEST(PairedDifferenceTest, CoversAsOftenAsItSays) {
  const std::array<double, 4> shares = {0.80, 0.04, 0.08, 0.08};
  int covered = 0;
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    Random random(seed);
    std::array<std::uint64_t, 4> counts{};
    for (int i = 0; i < 300; ++i) {
      double at = random.Uniform();
      std::size_t cell = 0;
      while (cell < 3 && at >= shares[cell]) at -= shares[cell++];
      ++counts[cell];
    }
    const auto interval =
        PairedDifferenceInterval({counts[0], counts[1], counts[2], counts[3]}, 0.95);
    covered += interval->low <= 0.04 && 0.04 <= interval->high ? 1 : 0;
  }
  EXPECT_NEAR(covered / 2'000.0, 0.95, 0.02);
}

TEST(PairedDifferenceTest, EdgesStayIntervals) {
  for (const PairedCounts& counts : {PairedCounts{5, 0, 0, 0}, PairedCounts{0, 0, 0, 5},
                                     PairedCounts{0, 5, 0, 0}, PairedCounts{0, 0, 1, 0}}) {
    const auto interval = PairedDifferenceInterval(counts, 0.95);
    EXPECT_LT(interval->low, interval->high);
    EXPECT_LE(interval->low, counts.difference());
    EXPECT_GE(interval->high, counts.difference());
  }
  EXPECT_EQ(*PairedDifferencePValue({9, 0, 0, 0}, 0), 0.5);
}

TEST(PairedDifferenceTest, BadInputIsNamed) {
  EXPECT_FALSE(PairedDifferenceInterval({}, 0.95).ok());
  EXPECT_FALSE(PairedDifferenceInterval({1, 0, 0, 0}, 1).ok());
  EXPECT_FALSE(PairedDifferencePValue({}, 0).ok());
  EXPECT_FALSE(PairedDifferencePValue({1, 0, 0, 0}, 1).ok());
  EXPECT_FALSE(PairedDifferencePValue({1, 0, 0, 0}, std::nan("")).ok());
}

}  // namespace
}  // namespace tidewheel::stats
