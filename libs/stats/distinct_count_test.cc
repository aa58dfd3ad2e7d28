#include "tidewheel/stats/distinct_count.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/testing/hostile_bytes.h"

namespace tidewheel::stats {
namespace {

DistinctCount OfIntegers(std::int64_t begin, std::int64_t end, unsigned precision = 14) {
  auto count = *DistinctCount::WithPrecision(precision);
  for (std::int64_t i = begin; i < end; ++i) count.Add(i);
  return count;
}

TEST(DistinctCountTest, StartsExactly) {
  auto count = *DistinctCount::WithPrecision(14);
  for (int round = 0; round < 3; ++round) {
    for (std::int64_t i = 0; i < 1'024; ++i) count.Add(i);
  }

  EXPECT_EQ(count.Estimate(), 1'024);
  EXPECT_EQ(count.StandardError(), 0);
  count.Add(std::int64_t{-1});
  EXPECT_NEAR(count.Estimate(), 1'025, 60);
  EXPECT_DOUBLE_EQ(count.StandardError(), 1.04 / 128);
}

TEST(DistinctCountTest, ErrorsAreAsStatedOverTheWholeRange) {
  for (const unsigned precision : {7U, 10U, 12U}) {
    for (const std::int64_t size : {50, 300, 1'000, 3'000, 10'000, 100'000}) {
      constexpr int kRounds = 120;
      double sum = 0;
      double squares = 0;
      double stated = 0;
      for (int round = 0; round < kRounds; ++round) {
        const std::int64_t begin = round * 1'000'000;
        const auto count = OfIntegers(begin, begin + size, precision);
        const double error = count.Estimate() / static_cast<double>(size) - 1;
        stated = count.StandardError();
        EXPECT_LE(std::abs(error), 5 * stated);
        sum += error;
        squares += error * error;
      }
      if (stated == 0) continue;
      // The stated error is the large-range limit; four sigma for the mean and the spread.
      EXPECT_LE(std::abs(sum / kRounds), 4 * stated / std::sqrt(kRounds))
          << precision << " " << size;
      EXPECT_LE(std::sqrt(squares / kRounds), 1.26 * stated) << precision << " " << size;
    }
  }
}

TEST(DistinctCountTest, MergedEqualsWholeBitByBitInAnyOrder) {
  Random random(5);
  for (const std::int64_t size : {10, 900, 1'500, 40'000}) {
    const auto whole = OfIntegers(0, size);
    std::vector<DistinctCount> parts(4, *DistinctCount::WithPrecision());
    for (std::int64_t i = 0; i < size; ++i) {
      parts[random.Below(4)].Add(i);
      parts[random.Below(4)].Add(i);  // Some values are met on two nodes.
    }
    auto left = parts[0];
    auto right = parts[3];
    for (const std::size_t i : {1U, 2U, 3U}) ASSERT_TRUE(left.Merge(parts[i]).ok());
    for (const std::size_t i : {2U, 0U, 1U, 0U}) ASSERT_TRUE(right.Merge(parts[i]).ok());
    EXPECT_EQ(left, whole);
    EXPECT_EQ(right, whole);
    EXPECT_EQ(left.ToBytes(), whole.ToBytes());
    ASSERT_TRUE(left.Merge(left).ok());
    EXPECT_EQ(left, whole);
  }
}

TEST(DistinctCountTest, TellsValuesApartAsStated) {
  auto count = *DistinctCount::WithPrecision();
  count.Add(0.0);
  count.Add(-0.0);
  count.Add(std::int64_t{0});
  count.Add("0");
  count.Add("");
  count.Add(std::numeric_limits<double>::infinity());
  count.Add(std::numeric_limits<double>::quiet_NaN());

  EXPECT_EQ(count.Estimate(), 5);
  EXPECT_EQ(count.missing(), 1);
}

TEST(DistinctCountTest, CountsTextAsWellAsNumbers) {
  auto count = *DistinctCount::WithPrecision();
  for (int i = 0; i < 50'000; ++i) count.Add("user-" + std::to_string(i % 20'000));

  EXPECT_NEAR(count.Estimate(), 20'000, 4 * count.StandardError() * 20'000);
}

TEST(DistinctCountTest, BadInputIsNamed) {
  EXPECT_EQ(DistinctCount::WithPrecision(6).error().message,
            "the precision of a distinct count is 7 to 18, not 6");
  EXPECT_FALSE(DistinctCount::WithPrecision(19).ok());
  auto count = *DistinctCount::WithPrecision(10);
  EXPECT_EQ(count.Merge(*DistinctCount::WithPrecision(11)).error().message,
            "distinct counts of precision 10 and 11 cannot be merged");
}

TEST(DistinctCountTest, BytesHold) {
  const auto use = [](DistinctCount& count) {
    EXPECT_TRUE(std::isfinite(count.Estimate()) || count.Estimate() > 0);
    for (std::int64_t i = 0; i < 100; ++i) count.Add(i);
    (void)count.Merge(OfIntegers(0, 3'000, count.precision()));
    (void)count.Merge(count);
  };
  ExpectBytesHold(OfIntegers(0, 0, 8), "distinct count", use);
  ExpectBytesHold(OfIntegers(0, 30, 10), "distinct count", use);
  ExpectBytesHold(OfIntegers(0, 3'000, 9), "distinct count", use);
}

TEST(DistinctCountTest, BytesAreTheSameOnEveryMachine) {
  auto count = *DistinctCount::WithPrecision(7);
  count.Add(std::int64_t{1});
  count.Add(0.5);
  count.Add("tide");
  EXPECT_EQ(StableHash(count.ToBytes()), 2'768'388'175'244'503'872ULL);
}

}  // namespace
}  // namespace tidewheel::stats
