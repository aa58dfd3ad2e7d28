#include "tidewheel/stats/internal/drift_kernel.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tidewheel/stats/internal/power_sums.h"
#include "tidewheel/stats/testing/test_columns.h"

namespace tidewheel::stats::internal {
namespace {

struct Passed {
  BlockSums sums;
  std::vector<std::uint64_t> slots = std::vector<std::uint64_t>(kGridSlots);
};

template <typename T>
Passed Pass(const std::vector<T>& block, const GridLine& grid, Width width) {
  Passed passed;
  SlotCounts counters;
  PassOver(std::span<const T>(block), grid, counters, passed.sums, width);
  counters.Take(passed.slots.data());
  return passed;
}

std::vector<Width> WidthsHere() {
  std::vector<Width> widths{Width::kPortable};
  if (WidestWidth() != Width::kPortable) widths.push_back(Width::kAvx2);
  if (WidestWidth() == Width::kAvx512) widths.push_back(Width::kAvx512);
  return widths;
}

template <typename T>
void ExpectAllWidthsAgree(const std::vector<double>& values, const GridLine& grid) {
  const std::vector<T> block(values.begin(), values.end());
  // What the comments say, value by value.
  Passed expected;
  std::uint64_t missing = 0;
  for (const T value : block) {
    if (std::isnan(value)) ++missing;
    const double place = (static_cast<double>(value) - grid.low) * grid.bins_per_unit + 1;
    const std::size_t slot = !(place > 0)                      ? 0
                             : place >= double{kGridSlots - 1} ? kGridSlots - 1
                                                               : static_cast<std::size_t>(place);
    ++expected.slots[slot];
  }
  Moments moments;
  ASSERT_TRUE(moments.Add(std::span<const T>(block)).ok());
  const auto first = Pass(block, grid, Width::kPortable);
  EXPECT_EQ(first.sums.powers.missing, missing);
  for (const Width width : WidthsHere()) {
    const auto passed = Pass(block, grid, width);
    EXPECT_EQ(passed.slots, expected.slots);
    EXPECT_EQ(Moments::FromPowerSums(passed.sums.powers), moments);
    EXPECT_EQ(passed.sums.powers.fourth, first.sums.powers.fourth);
    EXPECT_EQ(std::signbit(passed.sums.powers.min), std::signbit(first.sums.powers.min));
    EXPECT_EQ(passed.sums.below, first.sums.below);
    EXPECT_EQ(passed.sums.above, first.sums.above);
  }
}

GridLine Grid(double low, double high) {
  return {low, static_cast<double>(kGridBins) / (high - low), high};
}

TEST(DriftKernelTest, AllWidthsGiveTheSameToTheLastBit) {
  for (const std::size_t rows : {1, 7, 8, 15, 16, 17, 127, 128, 129, 144, 200, 4'099, 65'536}) {
    for (const auto& column : ColumnsOfManyKinds(rows, rows)) {
      SCOPED_TRACE(column.name + " x " + std::to_string(rows));
      const auto values = WithMissing(column.values, 0.2, rows + 1);
      ExpectAllWidthsAgree<double>(values, Grid(-2, 3));
      ExpectAllWidthsAgree<float>(values, Grid(-2, 3));
    }
  }
}

TEST(DriftKernelTest, NegativeZeroIsZero) {
  const std::vector<double> zeros{0.0, -0.0, 0.0, -0.0, -0.0};
  ExpectAllWidthsAgree<double>(zeros, Grid(-1, 1));
  ExpectAllWidthsAgree<float>(std::vector<double>(40, -0.0), Grid(-1, 1));
}

TEST(DriftKernelTest, SumsWhatLiesOutside) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto passed = Pass<double>({-3, 0.5, nan, 2, 2.25, -1.5, 1}, Grid(-1, 1), WidestWidth());

  EXPECT_EQ(passed.sums.below, 2.5);
  EXPECT_EQ(passed.sums.above, 2.25);
  EXPECT_EQ(passed.slots[0], 3);               // With the missing one.
  EXPECT_EQ(passed.slots[kGridSlots - 1], 3);  // The upper end is outside.
}

TEST(DriftKernelTest, CountersHoldWhatTheyPromise) {
  const std::vector<float> block(kBlockValues, 0.0F);
  SlotCounts counters;
  BlockSums sums;
  const std::size_t blocks = SlotCounts::kMostValues / kBlockValues;
  for (std::size_t i = 0; i < blocks; ++i) {
    PassOver(std::span<const float>(block), Grid(-1, 1), counters, sums, WidestWidth());
  }
  std::vector<std::uint64_t> slots(kGridSlots);
  counters.Take(slots.data());

  EXPECT_EQ(slots[kGridBins / 2 + 1], blocks * kBlockValues);
}

}  // namespace
}  // namespace tidewheel::stats::internal
