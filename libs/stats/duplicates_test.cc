#include "tidewheel/stats/duplicates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <set>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Split kTrain = Split::kTraining;
constexpr Split kVal = Split::kValidation;
constexpr Split kTest = Split::kTest;

Digest Content(std::uint8_t number) {
  Digest digest;
  digest.bytes[0] = number;
  return digest;
}

int Distance(const Bits128& a, const Bits128& b) {
  return std::popcount(a[0] ^ b[0]) + std::popcount(a[1] ^ b[1]);
}

TEST(DuplicatesTest, ExactCopiesAreCountedWithinAndAcrossSplits) {
  const std::vector<Digest> digests = {Content(1), Content(2), Content(1),
                                       Content(1), Content(2), Content(3)};
  const std::vector<Split> splits = {kTrain, kVal, kTest, kTrain, kVal, kTest};

  const auto report = FindExactDuplicates(digests, splits);

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->pairs, 3U + 1U);
  EXPECT_EQ(report->pairs_across, 2U);
  EXPECT_EQ(report->repeated_rows, 3U);
  EXPECT_THAT(report->leaked, ElementsAre(2));
  EXPECT_THAT(report->examples, ElementsAre(RowPair{0, 2, 0}));
}

TEST(DuplicatesTest, ATwinInValidationIsAcrossButNotLeakedFromTraining) {
  const auto report = FindExactDuplicates(std::vector<Digest>{Content(1), Content(1)},
                                          std::vector<Split>{kVal, kTest});

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->pairs_across, 1U);
  EXPECT_THAT(report->leaked, IsEmpty());
}

TEST(DuplicatesTest, AThousandCopiesAreCountedAndNotListed) {
  const std::vector<Digest> digests(1000, Content(7));
  std::vector<Split> splits(1000, kTrain);
  std::fill_n(splits.begin() + 600, 400, kTest);

  const auto report = FindExactDuplicates(digests, splits);

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->pairs, 499'500U);
  EXPECT_EQ(report->pairs_across, 240'000U);
  EXPECT_EQ(report->leaked.size(), 400U);
  EXPECT_THAT(report->examples, ElementsAre(RowPair{0, 600, 0}));
}

/// Hashes in families that differ in few bits, so that every distance occurs.
std::vector<Bits128> Families(Random& random, std::size_t rows) {
  std::vector<Bits128> hashes;
  while (hashes.size() < rows) {
    Bits128 hash = {random.Next(), random.Next()};
    if (!hashes.empty() && random.Below(3) > 0) hash = hashes[random.Below(hashes.size())];
    for (std::uint64_t flips = random.Below(9); flips > 0; --flips) {
      hash[random.Below(2)] ^= std::uint64_t{1} << random.Below(64);
    }
    hashes.push_back(hash);
  }
  return hashes;
}

TEST(DuplicatesTest, NearDuplicatesAreThoseOfComparingEveryPair) {
  Random random(13);
  for (int round = 0; round < 40; ++round) {
    const std::size_t rows = 2 + random.Below(250);
    const int distance = static_cast<int>(random.Below(17));
    const auto hashes = Families(random, rows);
    std::vector<Split> splits;
    for (std::size_t i = 0; i < rows; ++i) splits.push_back(static_cast<Split>(random.Below(3)));

    const auto report = FindNearDuplicates(hashes, splits, distance, {.examples = 100'000});

    ASSERT_TRUE(report.ok());
    std::uint64_t pairs = 0;
    std::uint64_t across = 0;
    std::set<std::uint32_t> leaked;
    for (std::uint32_t i = 0; i < rows; ++i) {
      for (std::uint32_t j = i + 1; j < rows; ++j) {
        if (Distance(hashes[i], hashes[j]) > distance) continue;
        ++pairs;
        if (splits[i] == splits[j]) continue;
        ++across;
        if (splits[i] == kTrain) leaked.insert(j);
        if (splits[j] == kTrain) leaked.insert(i);
      }
    }
    EXPECT_EQ(report->pairs, pairs);
    EXPECT_EQ(report->pairs_across, across);
    EXPECT_EQ(std::set(report->leaked.begin(), report->leaked.end()), leaked);
    EXPECT_EQ(report->examples.empty(), across == 0);
    EXPECT_LE(report->examples.size(), across);
    for (const RowPair& pair : report->examples) {
      EXPECT_LT(pair.first, pair.second);
      EXPECT_NE(splits[pair.first], splits[pair.second]);
      EXPECT_EQ(pair.distance, Distance(hashes[pair.first], hashes[pair.second]));
      // The first such pair of these two contents.
      for (std::uint32_t i = 0; i < pair.first; ++i) {
        for (std::uint32_t j = i + 1; j < rows; ++j) {
          const bool same = (hashes[i] == hashes[pair.first] && hashes[j] == hashes[pair.second]) ||
                            (hashes[j] == hashes[pair.first] && hashes[i] == hashes[pair.second]);
          ASSERT_FALSE(same && splits[i] != splits[j]);
        }
      }
    }
    // Fewer examples are the first of all.
    const auto few = FindNearDuplicates(hashes, splits, distance, {.examples = 3});
    ASSERT_TRUE(few.ok());
    const auto count =
        static_cast<std::ptrdiff_t>(std::min<std::size_t>(3, report->examples.size()));
    EXPECT_EQ(few->examples,
              std::vector(report->examples.begin(), report->examples.begin() + count));
  }
}

TEST(DuplicatesTest, DistanceZeroIsEquality) {
  const std::vector<Bits128> hashes = {{1, 2}, {1, 3}, {1, 2}};
  const std::vector<Split> splits = {kTrain, kTest, kTest};

  const auto equal = FindNearDuplicates(hashes, splits, 0);
  const auto near = FindNearDuplicates(hashes, splits, 1);

  ASSERT_TRUE(equal.ok() && near.ok());
  EXPECT_EQ(equal->pairs, 1U);
  EXPECT_EQ(near->pairs, 3U);
  EXPECT_EQ(near->pairs_across, 2U);
  EXPECT_THAT(near->leaked, ElementsAre(1, 2));
}

TEST(DuplicatesTest, RefusesRowsWithoutASplitAndAWideDistance) {
  const std::vector<Bits128> hashes = {{1, 2}, {1, 3}};
  const std::vector<Split> splits = {kTrain, static_cast<Split>(5)};

  const auto none = FindNearDuplicates(hashes, splits, 6);
  ASSERT_FALSE(none.ok());
  EXPECT_THAT(none.error().message, HasSubstr("row 1: 5 is no split"));
  EXPECT_FALSE(FindNearDuplicates(hashes, std::vector<Split>{kTrain}, 6).ok());
  EXPECT_FALSE(FindNearDuplicates({}, {}, 6).ok());
  EXPECT_FALSE(FindExactDuplicates({}, {}).ok());
  const std::vector<Split> good = {kTrain, kTest};
  EXPECT_FALSE(FindNearDuplicates(hashes, good, 17).ok());
  EXPECT_FALSE(FindNearDuplicates(hashes, good, -1).ok());
}

TEST(DuplicatesTest, HashesThatCrowdAreNotComparedWithoutEnd) {
  std::vector<Bits128> hashes;
  for (std::uint64_t i = 0; i < 100; ++i) hashes.push_back({i, 0});
  const std::vector<Split> splits(100, kTrain);

  const auto report = FindNearDuplicates(hashes, splits, 6, {.comparisons = 1000});

  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(report.error().message, HasSubstr("more than 1000 comparisons"));
}

}  // namespace
}  // namespace tidewheel::stats
