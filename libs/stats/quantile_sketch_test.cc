#include "tidewheel/stats/quantile_sketch.h"

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

QuantileSketch Sketch(std::uint32_t k = 512, std::uint64_t seed = 1) {
  return *QuantileSketch::Create({.k = k, .seed = seed});
}

QuantileSketch Of(std::span<const double> values, std::uint32_t k = 512, std::uint64_t seed = 1) {
  auto sketch = Sketch(k, seed);
  EXPECT_TRUE(sketch.Add(values).ok());
  return sketch;
}

double TrueRank(const std::vector<double>& sorted, double x) {
  return static_cast<double>(std::upper_bound(sorted.begin(), sorted.end(), x) - sorted.begin()) /
         static_cast<double>(sorted.size());
}

double TrueRankBelow(const std::vector<double>& sorted, double x) {
  return static_cast<double>(std::lower_bound(sorted.begin(), sorted.end(), x) - sorted.begin()) /
         static_cast<double>(sorted.size());
}

/// Ranks and quantiles at 200 points are within what the sketch says of itself.
void ExpectWithinStatedError(const QuantileSketch& sketch, std::vector<double> values) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  std::sort(values.begin(), values.end());
  ASSERT_EQ(sketch.count(), values.size());
  EXPECT_EQ(*sketch.Min(), values.front());
  EXPECT_EQ(*sketch.Max(), values.back());
  const double error = sketch.RankError(0.9999, 400);
  std::vector<double> points;
  std::vector<double> shares;
  for (std::size_t i = 0; i < 200; ++i) {
    points.push_back(values[i * (values.size() - 1) / 199]);
    shares.push_back(static_cast<double>(i) / 199);
  }
  const auto ranks = sketch.Cdf(points);
  const auto quantiles = sketch.Quantiles(shares);
  ASSERT_TRUE(ranks.ok());
  ASSERT_TRUE(quantiles.ok());
  for (std::size_t i = 0; i < 200; ++i) {
    EXPECT_NEAR((*ranks)[i], TrueRank(values, points[i]), error + 1e-12);
    EXPECT_EQ((*ranks)[i], *sketch.Rank(points[i]));
    EXPECT_GE(TrueRank(values, (*quantiles)[i]), shares[i] - error - 1e-12);
    EXPECT_LE(TrueRankBelow(values, (*quantiles)[i]), shares[i] + error + 1e-12);
  }
}

TEST(QuantileSketchTest, IsExactWhileEverythingFits) {
  std::vector<double> values;
  for (int i = 512; i > 0; --i) values.push_back(i);
  const auto sketch = Of(values);

  EXPECT_EQ(sketch.RankError(), 0);
  EXPECT_EQ(*sketch.Rank(0.5), 0);
  EXPECT_EQ(*sketch.Rank(1), 1.0 / 512);
  EXPECT_EQ(*sketch.Rank(256.5), 0.5);
  EXPECT_EQ(*sketch.Rank(512), 1);
  EXPECT_EQ(*sketch.Quantile(0), 1);
  EXPECT_EQ(*sketch.Quantile(0.5), 256);
  EXPECT_EQ(*sketch.Quantile(1), 512);
}

TEST(QuantileSketchTest, KeepsTheStatedErrorForManyKindsOfColumns) {
  for (const std::uint32_t k : {16U, 100U, 512U}) {
    for (const std::size_t rows : {600, 5'000, 100'000}) {
      for (const auto& column : ColumnsOfManyKinds(rows, k + rows)) {
        SCOPED_TRACE(column.name + " x " + std::to_string(rows) + ", k " + std::to_string(k));
        const auto values = WithMissing(column.values, 0.1, rows);
        const auto sketch = Of(values, k, rows);
        EXPECT_EQ(sketch.count() + sketch.missing(), rows);
        ExpectWithinStatedError(sketch, values);
        EXPECT_LE(sketch.RankError(), std::sqrt(12 * std::log(200)) / k);
        EXPECT_LE(static_cast<double>(sketch.size()), 3.5 * k + 8 * 20);
      }
    }
  }
}

TEST(QuantileSketchTest, StatedConfidenceIsKept) {
  // One question, 400 seeds: at 95 % about 20 may miss; Hoeffding leaves far fewer.
  const auto values = ColumnsOfManyKinds(20'000, 3)[0].values;
  auto sorted = values;
  std::sort(sorted.begin(), sorted.end());
  int missed = 0;
  double squares = 0;
  double stated = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const auto sketch = Of(values, 32, seed);
    const double error = *sketch.Rank(0.3) - TrueRank(sorted, 0.3);
    stated = sketch.RankError(0.95);
    missed += std::abs(error) > stated ? 1 : 0;
    squares += error * error;
  }
  EXPECT_LE(missed, 20);
  // Nor is the bound empty: the typical error is within a factor of four of it.
  EXPECT_GE(std::sqrt(squares / 400), stated / 2.72 / 4);
}

TEST(QuantileSketchTest, MergedKeepsTheStatedErrorInAnyTree) {
  Random random(4);
  for (const auto& column : ColumnsOfManyKinds(30'000, 6)) {
    SCOPED_TRACE(column.name);
    const auto values = WithMissing(column.values, 0.02, 5);
    std::vector<QuantileSketch> parts;
    for (std::size_t begin = 0; begin < values.size();) {
      const std::size_t size =
          std::min<std::size_t>(values.size() - begin, 1 + random.Below(3'000));
      parts.push_back(Of(std::span(values).subspan(begin, size), 128, begin));
      begin += size;
    }
    while (parts.size() > 1) {
      const std::size_t a = random.Below(parts.size());
      const QuantileSketch taken = parts[a];
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(a));
      ASSERT_TRUE(parts[random.Below(parts.size())].Merge(taken).ok());
    }
    ExpectWithinStatedError(parts[0], values);
    EXPECT_LE(parts[0].RankError(), std::sqrt(12 * std::log(200)) / 128);
  }
}

TEST(QuantileSketchTest, AWeightIsThatManyValues) {
  Random random(9);
  std::vector<double> repeated;
  auto weighted = Sketch(64, 3);
  for (int i = 0; i < 3'000; ++i) {
    const double value = random.Normal();
    const std::uint64_t weight = 1 + random.Below(13);
    ASSERT_TRUE(weighted.Add(value, weight).ok());
    repeated.insert(repeated.end(), weight, value);
  }
  ExpectWithinStatedError(weighted, repeated);

  auto half = Of(std::span(repeated).first(repeated.size() / 2), 64, 5);
  auto merged = Sketch(64, 6);
  ASSERT_TRUE(merged.Merge(half, 5).ok());
  EXPECT_EQ(merged.count(), 5 * half.count());
  EXPECT_NEAR(*merged.Rank(0.1), *half.Rank(0.1), merged.RankError(0.9999));
}

TEST(QuantileSketchTest, AHeavyWeightDoesNotDrownTheOthers) {
  auto sketch = Sketch(64, 2);
  ASSERT_TRUE(sketch.Add(1'000, std::uint64_t{1} << 40).ok());
  for (int i = 0; i < 100'000; ++i) ASSERT_TRUE(sketch.Add(i % 100).ok());

  EXPECT_LT(*sketch.Rank(999), 1e-6);
  EXPECT_EQ(*sketch.Quantile(0.5), 1'000);
  EXPECT_LE(static_cast<double>(sketch.size()), 3.5 * 64 + 8 * 42);
}

TEST(QuantileSketchTest, TheSmallerKHoldsAfterAMerge) {
  auto coarse = Of(ColumnsOfManyKinds(10'000, 1)[0].values, 32);
  const auto fine = Of(ColumnsOfManyKinds(10'000, 2)[0].values, 512, 2);
  ASSERT_TRUE(coarse.Merge(fine).ok());
  EXPECT_EQ(coarse.k(), 32);
  EXPECT_LE(static_cast<double>(coarse.size()), 3.5 * 32 + 8 * 20);
}

TEST(QuantileSketchTest, TheSameCallsGiveTheSameSketch) {
  const auto values = ColumnsOfManyKinds(50'000, 1)[0].values;
  EXPECT_EQ(Of(values).ToBytes(), Of(values).ToBytes());
  EXPECT_NE(Of(values, 512, 1).ToBytes(), Of(values, 512, 2).ToBytes());

  // Bytes carry the coins: what was written down and read goes on as if it had not been.
  auto first = Of(std::span(values).first(20'000));
  auto back = *QuantileSketch::FromBytes(first.ToBytes());
  ASSERT_TRUE(first.Add(std::span(values).subspan(20'000)).ok());
  ASSERT_TRUE(back.Add(std::span(values).subspan(20'000)).ok());
  EXPECT_EQ(first, back);

  const std::vector<float> floats(values.begin(), values.end());
  auto of_floats = Sketch();
  ASSERT_TRUE(of_floats.Add(std::span<const float>(floats)).ok());
  EXPECT_EQ(of_floats, Of(std::vector<double>(floats.begin(), floats.end())));
}

TEST(QuantileSketchTest, KForAnErrorKeepsIt) {
  const auto k = QuantileSketch::KFor(0.01);
  ASSERT_TRUE(k.ok());
  EXPECT_EQ(*k, 798);  // sqrt(12 ln 200) / 0.01.
  EXPECT_LE(Of(ColumnsOfManyKinds(300'000, 1)[0].values, *k).RankError(), 0.01);
  EXPECT_GT(*QuantileSketch::KFor(0.01, 0.99, 1'000), *k);
  EXPECT_EQ(*QuantileSketch::KFor(0.99), QuantileSketch::kLeastK + 1);
}

TEST(QuantileSketchTest, BadInputIsNamed) {
  EXPECT_EQ(QuantileSketch::Create({.k = 7}).error().message,
            "k of a quantile sketch is 8 to 65536, not 7");
  EXPECT_FALSE(QuantileSketch::Create({.k = 65'537}).ok());
  EXPECT_EQ(QuantileSketch::KFor(1e-6).error().code, ErrorCode::kOutOfRange);
  EXPECT_FALSE(QuantileSketch::KFor(0).ok());
  EXPECT_FALSE(QuantileSketch::KFor(0.1, 1).ok());

  auto sketch = Sketch();
  EXPECT_EQ(sketch.Rank(1).error(), (Error{ErrorCode::kFailedPrecondition,
                                           "not applicable, because the sketch has no value"}));
  EXPECT_FALSE(sketch.Quantile(0.5).ok());
  EXPECT_FALSE(sketch.Min().ok());
  EXPECT_EQ(sketch.Add(std::vector<double>{1, kInfinity}).error().message, "value 1 is infinite");
  EXPECT_FALSE(sketch.Add(-kInfinity).ok());
  EXPECT_FALSE(sketch.Add(1, 0).ok());
  EXPECT_EQ(sketch.count(), 0);
  ASSERT_TRUE(sketch.Add(kNan, 3).ok());
  EXPECT_EQ(sketch.missing(), 3);
  EXPECT_FALSE(sketch.Rank(1).ok());

  ASSERT_TRUE(sketch.Add(1).ok());
  EXPECT_EQ(sketch.Rank(kNan).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(sketch.Cdf(std::vector<double>{1, kNan}).error().message, "point 1 is NaN");
  EXPECT_EQ(sketch.Quantiles(std::vector<double>{0, 1.01}).error().message,
            "share 1 is outside 0 to 1");
  EXPECT_FALSE(sketch.Quantile(kNan).ok());
  EXPECT_FALSE(sketch.Merge(sketch, 0).ok());
  EXPECT_EQ(sketch.Add(1, (std::uint64_t{1} << 62) + 1).error().code, ErrorCode::kOutOfRange);
  EXPECT_EQ(sketch.Merge(sketch, std::uint64_t{1} << 62).error().code, ErrorCode::kOutOfRange);
}

TEST(QuantileSketchTest, BytesHold) {
  const auto use = [](QuantileSketch& sketch) {
    (void)sketch.Rank(0.1);
    (void)sketch.Quantile(0.5);
    (void)sketch.RankError();
    for (int i = 0; i < 300; ++i) (void)sketch.Add(i);
    (void)sketch.Merge(sketch, 3);
    (void)sketch.Quantile(0.9);
  };
  ExpectBytesHold(Sketch(16), "quantile sketch", use);
  ExpectBytesHold(Of(ColumnsOfManyKinds(2'000, 1)[0].values, 16), "quantile sketch", use);
}

}  // namespace
}  // namespace tidewheel::stats
