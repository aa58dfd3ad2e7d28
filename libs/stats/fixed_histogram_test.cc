#include "tidewheel/stats/fixed_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tidewheel/stats/testing/hostile_bytes.h"
#include "tidewheel/stats/testing/test_columns.h"

namespace tidewheel::stats {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
using Counts = std::vector<std::uint64_t>;

TEST(FixedHistogramTest, CountsBelowInsideAboveAndMissing) {
  auto histogram = *FixedHistogram::WithEdges({0, 1, 2, 4});

  ASSERT_TRUE(histogram.Add(std::vector<double>{-1, 0, 0.5, 1, 2, 3.9, 4, 4.1, kNan}).ok());

  EXPECT_EQ(histogram.counts(), (Counts{2, 1, 3}));  // The last bin has its upper edge.
  EXPECT_EQ(histogram.below(), 1);
  EXPECT_EQ(histogram.above(), 1);
  EXPECT_EQ(histogram.missing(), 1);
  EXPECT_EQ(histogram.count(), 8);
}

TEST(FixedHistogramTest, UniformBinsCountAsTheirEdgesSay) {
  Random random(1);
  for (int round = 0; round < 200; ++round) {
    const double low = random.Normal() * std::pow(10, static_cast<double>(random.Below(8)));
    const double high = low + std::exp(4 * random.Normal());
    auto uniform = *FixedHistogram::Uniform(low, high, 1 + random.Below(300));
    auto by_edges = *FixedHistogram::WithEdges(uniform.edges());
    std::vector<double> values = uniform.edges();  // The edges themselves are the hard ones.
    for (const double edge : uniform.edges()) {
      values.push_back(std::nextafter(edge, -kInfinity));
      values.push_back(std::nextafter(edge, kInfinity));
      values.push_back(low + (high - low) * random.Uniform());
    }
    ASSERT_TRUE(uniform.Add(values).ok());
    ASSERT_TRUE(by_edges.Add(values).ok());
    EXPECT_EQ(uniform.counts(), by_edges.counts());
    EXPECT_EQ(uniform.below(), 1);
    EXPECT_EQ(uniform.above(), 1);
  }
}

TEST(FixedHistogramTest, MergedEqualsWhole) {
  for (const auto& column : ColumnsOfManyKinds(3'000, 2)) {
    const auto values = WithMissing(column.values, 0.2, 3);
    const auto empty = *FixedHistogram::Uniform(-2, 2, 40);
    auto whole = empty;
    auto merged = empty;
    ASSERT_TRUE(whole.Add(values).ok());
    for (std::size_t begin = 0; begin < values.size(); begin += 700) {
      auto part = empty;
      ASSERT_TRUE(part.Add(std::span(values).subspan(
                               begin, std::min<std::size_t>(700, values.size() - begin)))
                      .ok());
      ASSERT_TRUE(merged.Merge(part).ok());
    }
    EXPECT_EQ(merged, whole) << column.name;
  }
}

TEST(FixedHistogramTest, BadInputIsNamed) {
  EXPECT_EQ(FixedHistogram::WithEdges({1}).error().message, "a histogram needs at least two edges");
  EXPECT_EQ(FixedHistogram::WithEdges({1, 2, 2}).error().message,
            "edge 2 is not above the one before");
  EXPECT_EQ(FixedHistogram::WithEdges({1, kNan}).error().message, "edge 1 is not a finite number");
  EXPECT_FALSE(FixedHistogram::Uniform(0, 1, 0).ok());
  EXPECT_FALSE(FixedHistogram::Uniform(1, 1, 4).ok());
  EXPECT_FALSE(FixedHistogram::Uniform(0, kInfinity, 4).ok());
  EXPECT_FALSE(FixedHistogram::Uniform(1, std::nextafter(1, 2), 4).ok());
  EXPECT_FALSE(FixedHistogram::Uniform(0, 1, FixedHistogram::kMostBins + 1).ok());
  auto histogram = *FixedHistogram::Uniform(0, 1, 4);
  EXPECT_EQ(histogram.Add(std::vector<double>{0.5, kInfinity}).error().message,
            "value 1 is infinite");
  EXPECT_EQ(histogram.count(), 0);
  EXPECT_EQ(histogram.Merge(*FixedHistogram::Uniform(0, 2, 4)).error().message,
            "histograms with different edges cannot be merged");
}

TEST(FixedHistogramTest, BytesHold) {
  const auto use = [](FixedHistogram& histogram) {
    (void)histogram.Add(std::vector<double>{-1e300, 0, 0.25, 1e300});
    (void)histogram.Merge(histogram);
  };
  auto uniform = *FixedHistogram::Uniform(-1, 1, 20);
  ASSERT_TRUE(uniform.Add(ColumnsOfManyKinds(1'000, 1)[0].values).ok());
  ExpectBytesHold(uniform, "histogram", use);
  auto by_edges = *FixedHistogram::WithEdges({-3, 0, 0.5, 9});
  ASSERT_TRUE(by_edges.Add(ColumnsOfManyKinds(1'000, 1)[3].values).ok());
  ExpectBytesHold(by_edges, "histogram", use);
}

}  // namespace
}  // namespace tidewheel::stats
