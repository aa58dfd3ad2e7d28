#include "tidewheel/stats/moments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tidewheel/stats/testing/hostile_bytes.h"
#include "tidewheel/stats/testing/test_columns.h"

namespace tidewheel::stats {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Moments Of(std::span<const double> values) {
  Moments moments;
  EXPECT_TRUE(moments.Add(values).ok());
  return moments;
}

struct Exact {
  long double mean = 0;
  long double variance = 0;
  long double third = 0;
  long double fourth = 0;
};

/// Two passes in 64 bits of mantissa, about the first value.
Exact ExactOf(std::span<const double> values) {
  Exact exact;
  const auto n = static_cast<long double>(values.size());
  const long double first = values[0];
  long double mean = 0;
  for (const double value : values) mean += value - first;
  mean /= n;
  for (const double value : values) {
    const long double d = value - first - mean;
    exact.variance += d * d;
    exact.third += d * d * d;
    exact.fourth += d * d * d * d;
  }
  exact.mean = first + mean;
  exact.variance /= n;
  exact.third /= n;
  exact.fourth /= n;
  return exact;
}

void ExpectNear(const Moments& moments, const Exact& exact) {
  const auto spread = std::sqrt(static_cast<double>(exact.variance));
  const auto mean = static_cast<double>(exact.mean);
  EXPECT_NEAR(*moments.Mean(), mean, 1e-12 * spread + 1e-15 * std::abs(mean));
  EXPECT_NEAR(*moments.Variance(), static_cast<double>(exact.variance), 1e-11 * spread * spread);
  if (spread < 1e-70 || *moments.Min() == *moments.Max()) return;
  const auto skewness = static_cast<double>(exact.third) / std::pow(spread, 3);
  const auto kurtosis = static_cast<double>(exact.fourth) / std::pow(spread, 4) - 3;
  EXPECT_NEAR(*moments.Skewness(), skewness, 1e-11 * (1 + std::abs(skewness)));
  EXPECT_NEAR(*moments.ExcessKurtosis(), kurtosis, 1e-11 * (1 + std::abs(kurtosis)));
}

void ExpectAlike(const Moments& a, const Moments& b, double tolerance) {
  ASSERT_EQ(a.count(), b.count());
  ASSERT_EQ(a.missing(), b.missing());
  if (a.count() == 0) return;
  EXPECT_EQ(*a.Min(), *b.Min());
  EXPECT_EQ(*a.Max(), *b.Max());
  const double spread = *b.StandardDeviation();
  EXPECT_NEAR(*a.Mean(), *b.Mean(), tolerance * spread + 1e-15 * std::abs(*b.Mean()));
  EXPECT_NEAR(*a.Variance(), *b.Variance(), tolerance * spread * spread);
  if (!b.Skewness().ok()) return;
  EXPECT_NEAR(*a.Skewness(), *b.Skewness(), tolerance * (1 + std::abs(*b.Skewness())));
  EXPECT_NEAR(*a.ExcessKurtosis(), *b.ExcessKurtosis(),
              tolerance * (1 + std::abs(*b.ExcessKurtosis())));
}

TEST(MomentsTest, ClosedForms) {
  const auto moments = Of(std::vector<double>{1, 2, 3, 4, kNan});

  EXPECT_EQ(moments.count(), 4);
  EXPECT_EQ(moments.missing(), 1);
  EXPECT_EQ(*moments.Min(), 1);
  EXPECT_EQ(*moments.Max(), 4);
  EXPECT_EQ(*moments.Mean(), 2.5);
  EXPECT_EQ(*moments.Variance(), 1.25);
  EXPECT_DOUBLE_EQ(*moments.Variance(1), 5.0 / 3);
  EXPECT_EQ(*moments.Skewness(), 0);
  EXPECT_DOUBLE_EQ(*moments.ExcessKurtosis(), -1.36);
}

TEST(MomentsTest, OfManyColumnsAreThoseOfALongerMantissa) {
  for (const std::size_t rows : {3, 17, 1'000, 200'000}) {
    for (const auto& column : ColumnsOfManyKinds(rows, rows)) {
      SCOPED_TRACE(column.name + " x " + std::to_string(rows));
      ExpectNear(Of(column.values), ExactOf(column.values));
    }
  }
}

TEST(MomentsTest, MergedEqualsWholeInAnyTree) {
  Random random(3);
  for (const auto& column : ColumnsOfManyKinds(5'000, 5)) {
    SCOPED_TRACE(column.name);
    const auto values = WithMissing(column.values, 0.1, 9);
    const auto whole = Of(values);
    for (int round = 0; round < 5; ++round) {
      std::vector<Moments> parts;
      for (std::size_t begin = 0; begin < values.size();) {
        const std::size_t size =
            std::min<std::size_t>(values.size() - begin, 1 + random.Below(1'500));
        parts.push_back(Of(std::span(values).subspan(begin, size)));
        begin += size;
      }
      parts.emplace_back();  // One that has seen nothing.
      while (parts.size() > 1) {
        const std::size_t a = random.Below(parts.size());
        const Moments taken = parts[a];
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(a));
        ASSERT_TRUE(parts[random.Below(parts.size())].Merge(taken).ok());
      }
      ExpectAlike(parts[0], whole, 1e-10);
    }
  }
}

TEST(MomentsTest, OneByOneEqualsAllAtOnce) {
  for (const auto& column : ColumnsOfManyKinds(2'000, 8)) {
    SCOPED_TRACE(column.name);
    Moments moments;
    for (const double value : column.values) ASSERT_TRUE(moments.Add(value).ok());
    ExpectAlike(moments, Of(column.values), 1e-10);
  }
}

TEST(MomentsTest, FloatsGiveWhatTheSameDoublesGive) {
  for (const auto& column : ColumnsOfManyKinds(70'000, 4)) {
    const auto values = WithMissing(column.values, 0.05, 2);
    const std::vector<float> narrow(values.begin(), values.end());
    Moments of_floats;
    ASSERT_TRUE(of_floats.Add(std::span<const float>(narrow)).ok());
    EXPECT_EQ(of_floats, Of(std::vector<double>(narrow.begin(), narrow.end()))) << column.name;
  }
}

TEST(MomentsTest, AConstantHasNoVarianceAtAllAndNoShape) {
  const auto moments = Of(std::vector<double>(100'000, 0.1));

  EXPECT_EQ(*moments.Mean(), 0.1);
  EXPECT_EQ(*moments.Variance(), 0);
  EXPECT_EQ(moments.Skewness().error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(moments.ExcessKurtosis().error().code, ErrorCode::kFailedPrecondition);
}

TEST(MomentsTest, WithoutValuesTellWhy) {
  const auto moments = Of(std::vector<double>(7, kNan));

  EXPECT_EQ(moments.missing(), 7);
  EXPECT_EQ(moments.Mean().error(),
            (Error{ErrorCode::kFailedPrecondition, "not applicable, because there is no value"}));
  EXPECT_FALSE(moments.Min().ok());
  EXPECT_FALSE(moments.Max().ok());
  EXPECT_FALSE(moments.Skewness().ok());
  EXPECT_THAT(Of(std::vector<double>{1}).Variance(1).error().message,
              testing::HasSubstr("1 values are not more than ddof 1"));
}

TEST(MomentsTest, RefuseWhatIsNoFiniteNumberAndKeepWhatTheyHad) {
  std::vector<double> values(70'000, 1.0);
  Moments moments = Of(std::vector<double>{5});
  values[66'000] = -kInfinity;
  EXPECT_EQ(moments.Add(values).error(),
            (Error{ErrorCode::kInvalidArgument, "value 66000 is infinite"}));
  values[66'000] = 2e70;
  EXPECT_EQ(moments.Add(values).error(),
            (Error{ErrorCode::kOutOfRange, "value 66000 is above 1e70 in size"}));
  EXPECT_EQ(moments.Add(kInfinity).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(moments, Of(std::vector<double>{5}));
}

TEST(MomentsTest, HoldTheLargestValuesTheyTake) {
  const auto moments = Of(std::vector<double>{-1e70, 1e70, 1e70, -1e70});

  EXPECT_DOUBLE_EQ(*moments.Variance(), 1e140);
  EXPECT_DOUBLE_EQ(*moments.ExcessKurtosis(), -2);
}

TEST(MomentsTest, BytesHold) {
  const auto use = [](Moments& moments) {
    (void)moments.Variance();
    (void)moments.Skewness();
    (void)moments.Merge(moments);
  };
  ExpectBytesHold(Moments{}, "moments", use);
  ExpectBytesHold(Of(std::vector<double>(3, kNan)), "moments", use);
  ExpectBytesHold(Of(ColumnsOfManyKinds(1'000, 1)[0].values), "moments", use);
}

TEST(MomentsTest, BytesAreTheSameOnEveryMachine) {
  const std::string bytes = Of(std::vector<double>{1, 2, 3, 4, kNan}).ToBytes();

  ASSERT_EQ(bytes.size(), 85);
  EXPECT_EQ(bytes.substr(0, 5), std::string("TWMO\x01", 5));
  EXPECT_EQ(bytes.substr(5, 8), std::string("\x04\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(bytes.substr(21, 8), std::string("\0\0\0\0\0\0\x04\x40", 8));  // The mean, 2.5.
}

}  // namespace
}  // namespace tidewheel::stats
