#include "tidewheel/stats/balance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr Split kTrain = Split::kTraining;

struct Table {
  std::vector<std::int32_t> labels;
  std::vector<Split> splits;
  std::size_t classes = 0;
  std::vector<float> features;
  std::size_t columns = 2;

  LabeledRows data() const { return {labels, classes, splits}; }
  std::vector<std::uint32_t> training() const { return RowsOf(splits, kTrain); }
  MatrixView<float> view() const { return {features, labels.size(), columns}; }
};

/// Rows of three classes of very different size, in all splits.
Table RandomTable(Random& random, std::size_t rows) {
  Table table;
  table.classes = 4;  // The last has no rows.
  for (std::size_t i = 0; i < rows; ++i) {
    const std::uint64_t draw = random.Below(20);
    table.labels.push_back(i < 3 ? static_cast<std::int32_t>(i) : draw == 0 ? 1 : draw < 7 ? 2 : 0);
    table.splits.push_back(i < 3 ? kTrain : static_cast<Split>(random.Below(3)));
    table.features.push_back(static_cast<float>(random.Below(30)));
    table.features.push_back(static_cast<float>(random.Below(30)));
  }
  return table;
}

TEST(BalanceTest, OversamplingBringsEveryClassToTheLargestWithEveryRowEquallyOften) {
  Random random(1);
  for (int round = 0; round < 50; ++round) {
    const Table table = RandomTable(random, 20 + random.Below(300));
    const double ratio = round % 2 == 0 ? 1 : 0.1 + 0.9 * random.Uniform();

    const auto view = Oversample(table.data(), table.training(),
                                 {.ratio = ratio, .seed = static_cast<std::uint64_t>(round)});

    ASSERT_TRUE(view.ok());
    const auto largest = *std::max_element(view->before.begin(), view->before.end());
    const auto wanted =
        static_cast<std::uint64_t>(std::ceil(ratio * static_cast<double>(largest) - 1e-9));
    std::map<std::uint32_t, std::uint64_t> times;
    for (const auto row : view->rows) ++times[row];
    EXPECT_EQ(times.size(), table.training().size()) << "a row got lost";
    for (std::size_t k = 0; k < 4; ++k) {
      EXPECT_EQ(view->after[k], view->before[k] == 0 ? 0 : std::max(view->before[k], wanted));
      std::uint64_t least = ~std::uint64_t{0};
      std::uint64_t most = 0;
      for (const auto& [row, count] : times) {
        if (static_cast<std::size_t>(table.labels[row]) != k) continue;
        least = std::min(least, count);
        most = std::max(most, count);
      }
      if (view->before[k] > 0) {
        EXPECT_LE(most, least + 1);
      }
    }
    EXPECT_TRUE(std::is_sorted(view->rows.begin(), view->rows.end()));
  }
}

TEST(BalanceTest, UndersamplingKeepsTheSmallestClassWhole) {
  Random random(2);
  for (int round = 0; round < 50; ++round) {
    const Table table = RandomTable(random, 20 + random.Below(300));
    const double ratio = round % 2 == 0 ? 1 : 0.1 + 0.9 * random.Uniform();

    const auto view = Undersample(table.data(), table.training(), {.ratio = ratio});

    ASSERT_TRUE(view.ok());
    std::uint64_t smallest = ~std::uint64_t{0};
    for (const auto count : view->before) {
      if (count > 0) smallest = std::min(smallest, count);
    }
    const auto limit = static_cast<std::uint64_t>(static_cast<double>(smallest) / ratio + 1e-9);
    for (std::size_t k = 0; k < 4; ++k) {
      EXPECT_EQ(view->after[k], std::min(view->before[k], limit));
    }
    EXPECT_EQ(std::set(view->rows.begin(), view->rows.end()).size(), view->rows.size());
    const auto training = table.training();
    EXPECT_TRUE(
        std::includes(training.begin(), training.end(), view->rows.begin(), view->rows.end()));
  }
}

TEST(BalanceTest, UndersamplingLeavesOutEachRowEquallyOften) {
  Table table;
  table.classes = 2;
  table.labels = {1, 1, 0, 0, 0, 0, 0, 0};
  table.splits.assign(8, kTrain);
  std::vector<int> kept(8, 0);
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    const auto view = Undersample(table.data(), table.training(), {.seed = seed});
    ASSERT_TRUE(view.ok());
    for (const auto row : view->rows) ++kept[row];
  }
  EXPECT_EQ(kept[0], 3000);
  for (std::size_t row = 2; row < 8; ++row) EXPECT_NEAR(kept[row], 1000, 130);  // 5 deviations.
}

TEST(BalanceTest, TheRecipeTellsTheViewAndTheFingerprintProvesIt) {
  Random random(3);
  const Table table = RandomTable(random, 200);

  const auto view = Oversample(table.data(), table.training(), {.ratio = 0.5, .seed = 7});
  const auto again = Oversample(table.data(), table.training(), {.ratio = 0.5, .seed = 7});
  const auto other = Oversample(table.data(), table.training(), {.ratio = 0.5, .seed = 8});

  ASSERT_TRUE(view.ok() && again.ok() && other.ok());
  EXPECT_EQ(view->recipe, "oversample ratio=0.5 seed=7");
  EXPECT_EQ(view->rows, again->rows);
  EXPECT_EQ(view->fingerprint, again->fingerprint);
  EXPECT_NE(view->rows, other->rows);
  EXPECT_NE(view->fingerprint, other->fingerprint);
}

TEST(BalanceTest, ARowOfAnotherSplitIsRefusedByEveryMethod) {
  Random random(4);
  const Table table = RandomTable(random, 100);
  std::vector<std::uint32_t> rows = table.training();
  const auto test = RowsOf(table.splits, Split::kTest);
  ASSERT_FALSE(test.empty());
  rows.push_back(test[0]);
  const std::string words = "row " + std::to_string(test[0]) + " is test: only training rows";

  for (const auto& error :
       {Oversample(table.data(), rows).error(), Undersample(table.data(), rows).error(),
        RemoveTomekLinks(table.data(), table.view(), rows).error(),
        FindTomekLinks(table.data(), table.view(), rows).error(),
        RemoveOutvoted(table.data(), table.view(), rows).error()}) {
    EXPECT_EQ(error.code, ErrorCode::kFailedPrecondition);
    EXPECT_THAT(error.message, HasSubstr(words));
  }
}

TEST(BalanceTest, TomekLinksAreMutualNearestOfDifferentClasses) {
  Table table;
  table.classes = 2;
  table.columns = 1;
  table.labels = {0, 0, 0, 1, 1, 0};
  table.features = {0, 1, 5, 5.5F, 9, 9.25F};
  table.splits.assign(6, kTrain);

  const auto links = FindTomekLinks(table.data(), table.view(), table.training());
  const auto view = RemoveTomekLinks(table.data(), table.view(), table.training());

  ASSERT_TRUE(links.ok() && view.ok());
  EXPECT_THAT(*links, ElementsAre(Pair(2, 3), Pair(4, 5)));
  EXPECT_THAT(view->rows, ElementsAre(0, 1, 3, 4));  // Class 0 has more rows.
  EXPECT_THAT(view->after, ElementsAre(2, 2));
}

TEST(BalanceTest, TomekLinksAreThoseOfComparingEveryPair) {
  Random random(5);
  for (int round = 0; round < 30; ++round) {
    const Table table = RandomTable(random, 20 + random.Below(100));
    const auto rows = table.training();

    const auto links = FindTomekLinks(table.data(), table.view(), rows);

    ASSERT_TRUE(links.ok());
    const auto nearest = [&](std::uint32_t row) {
      std::pair<float, std::uint32_t> best{1e30F, 0};
      for (const auto other : rows) {
        if (other == row) continue;
        const float dx = table.view().Row(row)[0] - table.view().Row(other)[0];
        const float dy = table.view().Row(row)[1] - table.view().Row(other)[1];
        best = std::min(best, {dx * dx + dy * dy, other});
      }
      return best.second;
    };
    std::vector<std::pair<std::uint32_t, std::uint32_t>> expected;
    for (const auto row : rows) {
      const auto other = nearest(row);
      if (row < other && nearest(other) == row && table.labels[row] != table.labels[other]) {
        expected.emplace_back(row, other);
      }
    }
    EXPECT_EQ(*links, expected);
  }
}

TEST(BalanceTest, RowsThatTheirNeighboursOutvoteGo) {
  Table table;
  table.classes = 2;
  table.columns = 1;
  //               a stray 1 among 0s         a stray 0 among 1s
  table.features = {0, 1, 2, 1.5F, 3, 100, 101, 102, 101.5F};
  table.labels = {0, 0, 0, 1, 0, 1, 1, 1, 0};
  table.splits.assign(9, kTrain);

  const auto all =
      RemoveOutvoted(table.data(), table.view(), table.training(), {.keep_smallest = false});
  const auto kept = RemoveOutvoted(table.data(), table.view(), table.training());

  ASSERT_TRUE(all.ok() && kept.ok());
  EXPECT_THAT(all->rows, ElementsAre(0, 1, 2, 4, 5, 6, 7));
  EXPECT_THAT(kept->rows, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));  // Class 1 is the smallest.
  EXPECT_EQ(kept->recipe, "edited-neighbours neighbours=3 keep_smallest=1");
}

TEST(BalanceTest, AVoteThatEndsInATieKeepsTheRow) {
  Table table;
  table.classes = 3;
  table.columns = 1;
  table.features = {0, 1, -1, 2};  // Of row 0: one neighbour of each class.
  table.labels = {0, 1, 2, 0};
  table.splits.assign(4, kTrain);

  const auto view =
      RemoveOutvoted(table.data(), table.view(), table.training(), {.keep_smallest = false});

  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->rows[0], 0U);
}

TEST(BalanceTest, RefusesWhatIsNoTrainingSet) {
  Table table;
  table.classes = 2;
  table.labels = {0, 1, 2};
  table.splits.assign(3, kTrain);
  table.features = {0, 0, 1, 1, 2, std::numeric_limits<float>::quiet_NaN()};
  const std::vector<std::uint32_t> two = {0, 1};
  const auto message = [](const auto& result) { return result.ok() ? "" : result.error().message; };

  EXPECT_THAT(message(Oversample(table.data(), table.training())), HasSubstr("row 2: label 2"));
  EXPECT_THAT(message(Oversample(table.data(), std::vector<std::uint32_t>{0, 9})),
              HasSubstr("row 9 is not below 3"));
  EXPECT_THAT(message(Oversample(table.data(), std::vector<std::uint32_t>{0, 1, 0})),
              HasSubstr("row 0 is given twice"));
  EXPECT_THAT(message(Oversample(table.data(), {})), HasSubstr("no rows"));
  EXPECT_THAT(message(Oversample(table.data(), std::vector<std::uint32_t>{0})),
              HasSubstr("all rows are of one class"));
  EXPECT_THAT(message(Oversample(table.data(), two, {.ratio = 0})), HasSubstr("ratio"));
  EXPECT_THAT(message(Undersample(table.data(), two, {.ratio = 1.5})), HasSubstr("ratio"));
  const std::vector<Split> short_splits = {kTrain};
  EXPECT_FALSE(Oversample({table.labels, 2, short_splits}, two).ok());
  table.classes = 3;
  EXPECT_THAT(message(FindTomekLinks(table.data(), table.view(), table.training())),
              HasSubstr("row 2, column 1"));
  EXPECT_FALSE(FindTomekLinks(table.data(), MatrixView<float>{table.features, 2, 3}, two).ok());
  EXPECT_EQ(RemoveOutvoted(table.data(), table.view(), two).error().code,
            ErrorCode::kFailedPrecondition);  // 3 neighbours of 2 rows.
}

}  // namespace
}  // namespace tidewheel::stats
