#include "tidewheel/stats/splits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr Split kTrain = Split::kTraining;
constexpr Split kVal = Split::kValidation;
constexpr Split kTest = Split::kTest;

std::vector<std::string> Numbered(std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back("group " + std::to_string(i));
  return names;
}

TEST(SplitsTest, PlaceOfAGroupNeverChanges) {
  // Splits of stored samples hang on this rule; ingestion has the same.
  EXPECT_EQ(PlaceOfGroup("tidewheel", 0),
            static_cast<double>(15153146599777278155ULL >> 11) * 0x1.0p-53);
  EXPECT_NE(PlaceOfGroup("tidewheel", 0), PlaceOfGroup("tidewheel", 1));
}

TEST(SplitsTest, SharesOfGroupsAreThoseAskedForWithinChance) {
  const auto groups = Numbered(40'000);
  for (const std::uint64_t seed : {1ULL, 2ULL, 77ULL}) {
    const auto splits = SplitByGroup(groups, {.validation = 0.15, .test = 0.05}, seed);

    ASSERT_TRUE(splits.ok());
    for (const auto& [split, share] :
         std::map<Split, double>{{kTrain, 0.8}, {kVal, 0.15}, {kTest, 0.05}}) {
      const auto count = static_cast<double>(std::count(splits->begin(), splits->end(), split));
      EXPECT_NEAR(count, 40'000 * share, 4 * std::sqrt(40'000 * share * (1 - share)));
    }
  }
}

TEST(SplitsTest, AGroupNeverPartsAndOthersDoNotMoveIt) {
  const std::vector<std::string> groups = {"a", "b", "a", "c", "b", "a"};
  const auto all = SplitByGroup(groups, {.validation = 0.3, .test = 0.3}, 9);
  const auto alone =
      SplitByGroup(std::vector<std::string>{"c"}, {.validation = 0.3, .test = 0.3}, 9);

  ASSERT_TRUE(all.ok() && alone.ok());
  EXPECT_EQ((*all)[0], (*all)[2]);
  EXPECT_EQ((*all)[0], (*all)[5]);
  EXPECT_EQ((*all)[1], (*all)[4]);
  EXPECT_EQ((*all)[3], (*alone)[0]);
}

TEST(SplitsTest, ALargerTestShareOnlyAddsToTheTestSplit) {
  const auto groups = Numbered(500);
  const auto small = SplitByGroup(groups, {.validation = 0, .test = 0.1}, 3);
  const auto large = SplitByGroup(groups, {.validation = 0, .test = 0.3}, 3);

  ASSERT_TRUE(small.ok() && large.ok());
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if ((*small)[i] == kTest) {
      EXPECT_EQ((*large)[i], kTest);
    }
  }
}

TEST(SplitsTest, StratifiedCountsAreExactForEachClass) {
  // The traffic lights: 904 red, 44 yellow, 536 green.
  std::vector<std::int32_t> labels(904, 0);
  labels.insert(labels.end(), 44, 1);
  labels.insert(labels.end(), 536, 2);
  const auto groups = Numbered(labels.size());

  const auto split = SplitStratified(groups, labels, 3, {.validation = 0.15, .test = 0.2}, 1);

  ASSERT_TRUE(split.ok());
  // 904: 587.6, 135.6, 180.8; 44: 28.6, 6.6, 8.8; 536: 348.4, 80.4, 107.2: of equal remainders
  // that of training is rounded up.
  EXPECT_THAT(split->groups, ElementsAre(588, 135, 181, 29, 6, 9, 349, 80, 107));
  EXPECT_EQ(split->groups, split->rows);
}

TEST(SplitsTest, StratifiedSplitDoesNotDependOnTheOrderOfRows) {
  Random random(8);
  for (int round = 0; round < 20; ++round) {
    const std::size_t rows = 20 + random.Below(200);
    std::vector<std::string> groups;
    std::vector<std::int32_t> labels;
    for (std::size_t i = 0; i < rows; ++i) {
      groups.push_back(std::to_string(random.Below(40)));
      labels.push_back(static_cast<std::int32_t>(random.Below(3)));
    }
    const SplitShares shares{.validation = 0.2, .test = 0.25};
    const auto split = SplitStratified(groups, labels, 3, shares, 5);
    ASSERT_TRUE(split.ok());
    std::map<std::string, Split> of_group;
    for (std::size_t i = 0; i < rows; ++i) {
      const auto [at, fresh] = of_group.emplace(groups[i], split->splits[i]);
      ASSERT_EQ(at->second, split->splits[i]) << "a group parted";
    }
    EXPECT_EQ(std::accumulate(split->rows.begin(), split->rows.end(), std::uint64_t{0}), rows);
    EXPECT_EQ(std::accumulate(split->groups.begin(), split->groups.end(), std::uint64_t{0}),
              of_group.size());

    std::reverse(groups.begin(), groups.end());
    std::reverse(labels.begin(), labels.end());
    const auto reversed = SplitStratified(groups, labels, 3, shares, 5);

    ASSERT_TRUE(reversed.ok());
    EXPECT_TRUE(std::equal(split->splits.begin(), split->splits.end(), reversed->splits.rbegin()));
  }
}

TEST(SplitsTest, StratifiedSplitMovesFewGroupsAgainstTheHashAlone) {
  const auto groups = Numbered(2000);
  const std::vector<std::int32_t> labels(2000, 0);
  const SplitShares shares{.validation = 0.15, .test = 0.15};

  const auto hashed = SplitByGroup(groups, shares, 4);
  const auto exact = SplitStratified(groups, labels, 1, shares, 4);

  ASSERT_TRUE(hashed.ok() && exact.ok());
  int moved = 0;
  for (std::size_t i = 0; i < 2000; ++i) moved += (*hashed)[i] != exact->splits[i] ? 1 : 0;
  EXPECT_LT(moved, 120);
  EXPECT_THAT(exact->groups, ElementsAre(1400, 300, 300));
}

TEST(SplitsTest, ARareClassStaysInTraining) {
  const auto split =
      SplitStratified(Numbered(2), std::vector<std::int32_t>{0, 1}, 2, SplitShares{}, 1);

  ASSERT_TRUE(split.ok());
  EXPECT_THAT(split->splits, ElementsAre(kTrain, kTrain));
}

TEST(SplitsTest, ByTimeTheLatestAreTheTest) {
  const std::vector<std::int64_t> times = {50, 10, 40, 20, 30, 60, 70, 80, 90, 100};

  const auto split = SplitByTime(times, {.validation = 0.2, .test = 0.3});

  ASSERT_TRUE(split.ok());
  EXPECT_EQ(split->validation_from, 60);
  EXPECT_EQ(split->test_from, 80);
  EXPECT_THAT(split->splits,
              ElementsAre(kTrain, kTrain, kTrain, kTrain, kTrain, kVal, kVal, kTest, kTest, kTest));
}

TEST(SplitsTest, ByTimeRowsOfOneTimeStayTogether) {
  const std::vector<std::int64_t> times = {1, 2, 3, 3, 3, 3, 3, 4, 5, 6};

  const auto split = SplitByTime(times, {.validation = 0, .test = 0.5});

  ASSERT_TRUE(split.ok());
  EXPECT_EQ(split->test_from, 3);
  EXPECT_FALSE(split->validation_from.has_value());
  EXPECT_EQ(std::count(split->splits.begin(), split->splits.end(), kTrain), 2);
  const auto none = SplitByTime(std::vector<std::int64_t>(10, 7), {.validation = 0, .test = 0.5});
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(none.error().message, HasSubstr("no row is left for training"));
}

TEST(SplitsTest, LargestRemainderSumsToTheTotalAndIsWithinOneOfTheQuota) {
  Random random(6);
  for (int round = 0; round < 500; ++round) {
    std::vector<double> weights(1 + random.Below(8));
    for (double& weight : weights) weight = random.Below(4) == 0 ? 0 : random.Uniform();
    weights[0] += 0.1;
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    const std::uint64_t total = random.Below(1000);

    const auto counts = LargestRemainder(total, weights);

    EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}), total);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const double quota = static_cast<double>(total) * weights[i] / sum;
      EXPECT_LT(std::abs(static_cast<double>(counts[i]) - quota), 1 + 1e-6);
      if (weights[i] == 0) {
        EXPECT_EQ(counts[i], 0U);
      }
    }
  }
  EXPECT_THAT(LargestRemainder(10, std::vector<double>{0.7, 0.15, 0.15}), ElementsAre(7, 2, 1));
  EXPECT_THAT(LargestRemainder(3, std::vector<double>{0.1, 0.1, 0.1}), ElementsAre(1, 1, 1));
  EXPECT_THAT(LargestRemainder(5, std::vector<double>{0, 0}), ElementsAre(0, 0));
}

TEST(SplitsTest, RefusesSharesAndRowsThatMakeNoSplit) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto groups = Numbered(3);
  const std::vector<std::int32_t> labels = {0, 1, 2};
  for (const SplitShares shares :
       {SplitShares{-0.1, 0.2}, SplitShares{0.6, 0.5}, SplitShares{nan, 0.1}}) {
    EXPECT_FALSE(SplitByGroup(groups, shares, 1).ok());
    EXPECT_FALSE(SplitStratified(groups, labels, 3, shares, 1).ok());
    EXPECT_FALSE(SplitByTime(std::vector<std::int64_t>{1, 2}, shares).ok());
  }
  const auto label = SplitStratified(groups, labels, 2, {}, 1);
  ASSERT_FALSE(label.ok());
  EXPECT_THAT(label.error().message, HasSubstr("row 2: label 2"));
  EXPECT_FALSE(SplitStratified(Numbered(2), labels, 3, {}, 1).ok());
  EXPECT_FALSE(SplitStratified({}, {}, 3, {}, 1).ok());
  EXPECT_FALSE(SplitByTime({}, {}).ok());
  EXPECT_EQ(Name(static_cast<Split>(7)), "no split");
  EXPECT_THAT(RowsOf(std::vector<Split>{kTest, kVal, kTest}, kTest), ElementsAre(0, 2));
}

}  // namespace
}  // namespace tidewheel::stats
