#include "tidewheel/stats/smote.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Table {
  std::vector<std::int32_t> labels;
  std::vector<Split> splits;
  std::vector<double> numeric;
  std::vector<std::int32_t> nominal;
  std::size_t columns = 3;
  std::size_t nominal_columns = 2;

  LabeledRows data() const { return {labels, 3, splits}; }
  std::vector<std::uint32_t> rows() const { return RowsOf(splits, Split::kTraining); }
  MatrixView<double> numbers() const { return {numeric, labels.size(), columns}; }
  MatrixView<std::int32_t> codes() const { return {nominal, labels.size(), nominal_columns}; }
};

Table RandomTable(Random& random, std::size_t rows) {
  Table table;
  for (std::size_t i = 0; i < rows; ++i) {
    table.labels.push_back(i % 10 == 0 ? 1 : i % 10 < 3 ? 2 : 0);
    table.splits.push_back(random.Below(5) == 0 ? Split::kTest : Split::kTraining);
    for (std::size_t c = 0; c < table.columns; ++c) table.numeric.push_back(random.Normal());
    for (std::size_t c = 0; c < table.nominal_columns; ++c) {
      table.nominal.push_back(static_cast<std::int32_t>(random.Below(3)));
    }
  }
  return table;
}

double SquaredDistance(const Table& table, std::uint32_t a, std::uint32_t b, double median) {
  double sum = 0;
  for (std::size_t c = 0; c < table.columns; ++c) {
    sum += std::pow(table.numbers().Row(a)[c] - table.numbers().Row(b)[c], 2);
  }
  for (std::size_t c = 0; c < table.nominal_columns; ++c) {
    if (table.codes().Row(a)[c] != table.codes().Row(b)[c]) sum += median * median;
  }
  return sum;
}

/// The definition, row by row.
double MedianDeviation(const Table& table, const std::vector<std::uint32_t>& rows) {
  std::vector<double> deviations;
  for (std::size_t c = 0; c < table.columns; ++c) {
    double mean = 0;
    for (const auto row : rows) mean += table.numbers().Row(row)[c];
    mean /= static_cast<double>(rows.size());
    double sum = 0;
    for (const auto row : rows) sum += std::pow(table.numbers().Row(row)[c] - mean, 2);
    deviations.push_back(std::sqrt(sum / static_cast<double>(rows.size())));
  }
  std::sort(deviations.begin(), deviations.end());
  return deviations[deviations.size() / 2];
}

TEST(SmoteTest, MadeRowsLieBetweenARowAndOneOfItsNeighboursOfTheSameClass) {
  Random random(1);
  for (int round = 0; round < 20; ++round) {
    const Table table = RandomTable(random, 150 + random.Below(150));
    const auto rows = table.rows();

    const auto made = Smote(table.data(), table.numbers(), table.codes(), rows,
                            {.neighbours = 4, .seed = random.Next()});

    ASSERT_TRUE(made.ok()) << made.error().message;
    std::map<std::int32_t, std::vector<std::uint32_t>> of_class;
    for (const auto row : rows) of_class[table.labels[row]].push_back(row);
    std::map<std::int32_t, std::size_t> added;
    for (const auto label : made->labels) ++added[label];
    for (const auto& [label, own] : of_class) {
      EXPECT_EQ(own.size() + added[label], of_class[0].size());
    }
    for (std::size_t i = 0; i < made->labels.size(); ++i) {
      const auto base = made->base[i];
      const auto other = made->neighbour[i];
      ASSERT_EQ(table.labels[base], made->labels[i]);
      ASSERT_EQ(table.splits[base], Split::kTraining);
      const auto& own = of_class[made->labels[i]];
      const double median = MedianDeviation(table, own);
      std::vector<std::pair<double, std::uint32_t>> near;
      for (const auto row : own) {
        if (row != base) near.emplace_back(SquaredDistance(table, base, row, median), row);
      }
      std::sort(near.begin(), near.end());
      near.resize(4);
      ASSERT_TRUE(
          std::any_of(near.begin(), near.end(), [&](const auto& n) { return n.second == other; }));
      ASSERT_GE(made->place[i], 0);
      ASSERT_LT(made->place[i], 1);
      for (std::size_t c = 0; c < table.columns; ++c) {
        const double from = table.numbers().Row(base)[c];
        const double to = table.numbers().Row(other)[c];
        ASSERT_DOUBLE_EQ(made->numeric[i * table.columns + c], from + made->place[i] * (to - from));
      }
      for (std::size_t c = 0; c < table.nominal_columns; ++c) {
        std::map<std::int32_t, int> votes;
        for (const auto& n : near) ++votes[table.codes().Row(n.second)[c]];
        std::int32_t best = votes.begin()->first;
        for (const auto& [code, count] : votes) {
          if (count > votes[best]) best = code;
        }
        ASSERT_EQ(made->nominal[i * table.nominal_columns + c], best);
      }
    }
  }
}

TEST(SmoteTest, EveryRowIsTheBaseOfEquallyManyButForOne) {
  Random random(2);
  const Table table = RandomTable(random, 200);

  const auto made = Smote(table.data(), table.numbers(), table.codes(), table.rows());

  ASSERT_TRUE(made.ok());
  std::map<std::uint32_t, int> times;
  for (const auto row : table.rows()) {
    if (table.labels[row] == 1) times[row] = 0;
  }
  for (std::size_t i = 0; i < made->base.size(); ++i) {
    if (made->labels[i] == 1) ++times[made->base[i]];
  }
  const auto [least, most] = std::minmax_element(
      times.begin(), times.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  EXPECT_LE(most->second - least->second, 1);
}

TEST(SmoteTest, TheSameSeedMakesTheSameRows) {
  Random random(3);
  const Table table = RandomTable(random, 200);
  const auto make = [&](std::uint64_t seed) {
    auto made = Smote(table.data(), table.numbers(), table.codes(), table.rows(), {.seed = seed});
    EXPECT_TRUE(made.ok());
    return made->numeric;
  };

  EXPECT_EQ(make(4), make(4));
  EXPECT_NE(make(4), make(5));
}

TEST(SmoteTest, WorksWithoutNominalColumnsAndStaysInsideTheClass) {
  Table table;
  table.columns = 1;
  table.nominal_columns = 0;
  for (int i = 0; i < 40; ++i) {
    table.labels.push_back(i < 8 ? 1 : 0);
    table.numeric.push_back(i < 8 ? 10 + i : i);
    table.splits.push_back(Split::kTraining);
  }

  const auto made = Smote(table.data(), table.numbers(), {}, table.rows(), {.ratio = 0.5});

  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->labels.size(), 8U);
  EXPECT_THAT(made->labels, Each(1));
  EXPECT_THAT(made->numeric, Each(::testing::AllOf(::testing::Ge(10), ::testing::Le(17))));
}

TEST(SmoteTest, RefusesTooFewRowsIdentifiersAndOtherSplits) {
  Random random(4);
  Table table = RandomTable(random, 60);
  const auto message = [](const auto& result) { return result.ok() ? "" : result.error().message; };
  const auto rows = table.rows();

  const auto few = Smote(table.data(), table.numbers(), table.codes(), rows, {.neighbours = 30});
  ASSERT_FALSE(few.ok());
  EXPECT_EQ(few.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(few.error().message, HasSubstr("class 1 has"));
  EXPECT_EQ(Smote(table.data(), {}, table.codes(), rows).error().code,
            ErrorCode::kFailedPrecondition);
  EXPECT_FALSE(Smote(table.data(), table.numbers(), table.codes(), rows, {.ratio = 2}).ok());
  EXPECT_FALSE(Smote(table.data(), table.numbers(), table.codes(), rows, {.neighbours = 0}).ok());
  EXPECT_FALSE(
      Smote(table.data(), MatrixView<double>{table.numeric, 59, 3}, table.codes(), rows).ok());
  EXPECT_THAT(message(Smote(table.data(), table.numbers(), table.codes(),
                            RowsOf(table.splits, Split::kTest))),
              HasSubstr("only training rows"));
  table.numeric[rows[5] * 3 + 1] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(message(Smote(table.data(), table.numbers(), table.codes(), rows)),
              HasSubstr("row " + std::to_string(rows[5]) + ", column 1"));

  Table wide;
  wide.columns = 1;
  wide.nominal_columns = 1;
  for (int i = 0; i < 15'000; ++i) {
    wide.labels.push_back(i % 3 == 0 ? 1 : 0);
    wide.numeric.push_back(i);
    wide.nominal.push_back(i);
    wide.splits.push_back(Split::kTraining);
  }
  EXPECT_THAT(message(Smote(wide.data(), wide.numbers(), wide.codes(), wide.rows())),
              HasSubstr("more than 4096 categories"));
}

}  // namespace
}  // namespace tidewheel::stats
