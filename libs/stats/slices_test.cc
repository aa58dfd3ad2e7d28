#include "tidewheel/stats/slices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<std::string> kTimes = {"day", "night"};
const std::vector<std::string> kLamps = {"led", "bulb", "neon"};
const std::vector<std::string> kCities = {"a", "b", "c", "d", "e", "f", "g", "h"};

/// Rows whose errors depend on nothing, or on one pair of values.
struct Table {
  std::vector<std::int32_t> time[2], lamp[2], city[2];  // Training, production.
  std::vector<std::int32_t> errors;

  std::vector<SliceColumn> columns() const {
    return {{"time", kTimes, time[0], time[1]},
            {"lamp", kLamps, lamp[0], lamp[1]},
            {"city", kCities, city[0], city[1]}};
  }
};

Table MakeTable(Random& random, int rows, double weak_rate) {
  Table table;
  for (int i = 0; i < 2 * rows; ++i) {
    const int side = i < rows ? 0 : 1;
    table.time[side].push_back(static_cast<std::int32_t>(random.Below(2)));
    table.lamp[side].push_back(random.Below(10) == 0 ? -1
                                                     : static_cast<std::int32_t>(random.Below(3)));
    table.city[side].push_back(static_cast<std::int32_t>(random.Below(8)));
    if (side == 0) continue;
    const bool weak = table.time[1].back() == 1 && table.lamp[1].back() == 2;
    const double rate = weak ? weak_rate : 0.1;
    table.errors.push_back(random.Below(8) == 0 ? -1 : random.Uniform() < rate ? 1 : 0);
  }
  return table;
}

TEST(SlicesTest, FindsThePairThatIsWeakAndPutsItFirst) {
  Random random(1);
  const Table table = MakeTable(random, 4000, 0.4);

  const auto report = FindWeakSlices(table.columns(), table.errors);

  ASSERT_TRUE(report.ok());
  ASSERT_FALSE(report->slices.empty());
  const SliceFigures& worst = report->slices[0];
  EXPECT_EQ(worst.definition.canonical(), "\"lamp\"=\"neon\" & \"time\"=\"night\"");
  EXPECT_TRUE(worst.weak);
  EXPECT_LT(worst.interval.low, worst.error_rate);
  EXPECT_LT(report->error_rate, worst.interval.low);
  EXPECT_GT(worst.error_share, 2 * worst.production_share);
}

TEST(SlicesTest, FiguresAreThoseOfCountingRows) {
  Random random(2);
  const Table table = MakeTable(random, 900, 0.3);

  const auto report = FindWeakSlices(table.columns(), table.errors, {.min_support = 1});

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->slices.size(), 2U + 3 + 8 + 6 + 16 + 24);
  for (const SliceFigures& slice : report->slices) {
    const auto member = [&](int side, std::size_t row) {
      for (const SliceTerm& term : slice.definition.terms()) {
        const auto& codes = term.column == "time"   ? table.time
                            : term.column == "lamp" ? table.lamp
                                                    : table.city;
        const auto& values = term.column == "time"   ? kTimes
                             : term.column == "lamp" ? kLamps
                                                     : kCities;
        const auto code = codes[side][row];
        if (code < 0 || values[static_cast<std::size_t>(code)] != term.value) return false;
      }
      return true;
    };
    std::uint64_t training = 0, production = 0, checked = 0, errors = 0;
    for (std::size_t row = 0; row < 900; ++row) {
      training += member(0, row) ? 1 : 0;
      if (!member(1, row)) continue;
      ++production;
      checked += table.errors[row] >= 0 ? 1 : 0;
      errors += table.errors[row] == 1 ? 1 : 0;
    }
    ASSERT_EQ(slice.training_rows, training);
    ASSERT_EQ(slice.production_rows, production);
    ASSERT_EQ(slice.checked_rows, checked);
    ASSERT_EQ(slice.errors, errors);
    ASSERT_DOUBLE_EQ(slice.training_share, static_cast<double>(training) / 900);
    ASSERT_DOUBLE_EQ(slice.error_share,
                     static_cast<double>(errors) / static_cast<double>(report->errors));
    ASSERT_GE(slice.adjusted_p, slice.p_value);
  }
}

TEST(SlicesTest, WhereNothingIsWeakFewReportsSayOtherwise) {
  // Under no difference, the chance of any false finding is at most the false discovery rate.
  Random random(3);
  int reports = 0;
  for (int round = 0; round < 200; ++round) {
    const Table table = MakeTable(random, 500, 0.1);
    const auto report = FindWeakSlices(table.columns(), table.errors);
    ASSERT_TRUE(report.ok());
    reports += std::any_of(report->slices.begin(), report->slices.end(),
                           [](const SliceFigures& slice) { return slice.weak; })
                   ? 1
                   : 0;
  }
  EXPECT_LE(reports, 10 + 9);  // 3 deviations above 5 %.
}

TEST(SlicesTest, DoesNotDependOnTheOrderOfRowsOrColumns) {
  Random random(4);
  Table table = MakeTable(random, 600, 0.3);
  const auto before = FindWeakSlices(table.columns(), table.errors);
  for (auto* codes : {&table.time[1], &table.lamp[1], &table.city[1], &table.errors}) {
    std::reverse(codes->begin(), codes->end());
  }
  auto columns = table.columns();
  std::reverse(columns.begin(), columns.end());

  const auto after = FindWeakSlices(columns, table.errors);

  ASSERT_TRUE(before.ok() && after.ok());
  ASSERT_EQ(before->slices.size(), after->slices.size());
  for (std::size_t i = 0; i < before->slices.size(); ++i) {
    EXPECT_EQ(before->slices[i].definition, after->slices[i].definition);
    EXPECT_EQ(before->slices[i].adjusted_p, after->slices[i].adjusted_p);
  }
}

TEST(SlicesTest, SmallSlicesRedundantPairsAndWideColumnsAreCountedNotTested) {
  // "half" is "side" under another name; "one" has a single value; "id" one a row.
  std::vector<std::int32_t> side, one(100, 0), id, errors;
  std::vector<std::string> ids;
  for (int i = 0; i < 100; ++i) {
    side.push_back(i < 95 ? 0 : 1);
    id.push_back(i);
    ids.push_back(std::to_string(i));
    errors.push_back(i % 3 == 0 ? 1 : 0);
  }
  const std::vector<std::string> two = {"l", "r"};
  const std::vector<std::string> single = {"x"};
  const std::vector<SliceColumn> columns = {{"side", two, {}, side},
                                            {"half", two, {}, side},
                                            {"one", single, {}, one},
                                            {"id", ids, {}, id}};

  const auto report = FindWeakSlices(columns, errors, {.min_support = 10, .most_values = 50});

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->slices.size(), 2U);  // side=l, half=l.
  EXPECT_EQ(report->too_small, 2U);      // side=r, half=r.
  EXPECT_EQ(report->redundant, 1U + 6U);
  EXPECT_EQ(report->slices[0].training_share, 0);
  ASSERT_EQ(report->not_sliced.size(), 1U);
  EXPECT_THAT(report->not_sliced[0], HasSubstr("\"id\", because its 100 values"));
}

TEST(SlicesTest, ClustersOfEmbeddingsAreAColumnToSliceBy) {
  Random random(5);
  std::vector<float> training, production;
  std::vector<std::int32_t> errors;
  for (int i = 0; i < 600; ++i) {
    const float centre = i % 3 == 0 ? 20.0F : 0.0F;  // A third of production, a sixth of training.
    production.push_back(centre + static_cast<float>(random.Normal()));
    production.push_back(centre);
    errors.push_back(random.Uniform() < (i % 3 == 0 ? 0.5 : 0.05) ? 1 : 0);
    training.push_back((i % 6 == 0 ? 20.0F : 0.0F) + static_cast<float>(random.Normal()));
    training.push_back(i % 6 == 0 ? 20.0F : 0.0F);
  }
  const auto clusters = SliceByClusters(MatrixView<float>{training, 600, 2},
                                        MatrixView<float>{production, 600, 2}, {.clusters = 2});
  ASSERT_TRUE(clusters.ok());
  const std::vector<SliceColumn> columns = {clusters->Column()};

  const auto report = FindWeakSlices(columns, errors);

  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->slices[0].weak);
  EXPECT_NEAR(report->slices[0].training_share, 1 / 6.0, 1e-9);
  EXPECT_NEAR(report->slices[0].production_share, 1 / 3.0, 1e-9);
  EXPECT_THAT(report->slices[0].definition.canonical(), HasSubstr("\"cluster/"));
  const auto again = SliceByClusters(MatrixView<float>{training, 600, 2},
                                     MatrixView<float>{production, 600, 2}, {.clusters = 2});
  EXPECT_EQ(again->name, clusters->name);
  training[0] += 1;
  const auto moved = SliceByClusters(MatrixView<float>{training, 600, 2},
                                     MatrixView<float>{production, 600, 2}, {.clusters = 2});
  EXPECT_NE(moved->name, clusters->name);
}

TEST(SlicesTest, RefusesCodesErrorsAndNamesThatAreNone) {
  const std::vector<std::int32_t> codes = {0, 1, 2};
  const std::vector<std::int32_t> errors = {0, 1, 0};
  const std::vector<std::int32_t> unknown = {-1, -1, -1};
  const std::vector<std::int32_t> bad = {0, 2, 0};
  const std::vector<std::string> same = {"x", "x", "y"};
  const auto message = [](const auto& result) { return result.ok() ? "" : result.error().message; };
  const std::vector<SliceColumn> good = {{"lamp", kLamps, {}, codes}};
  const std::vector<SliceColumn> twice = {good[0], good[0]};
  const std::vector<SliceColumn> outside = {{"time", kTimes, {}, codes}};
  const std::vector<SliceColumn> repeated = {{"lamp", same, {}, codes}};

  ASSERT_TRUE(FindWeakSlices(good, errors).ok());
  EXPECT_THAT(FindWeakSlices(good, errors)->slices, IsEmpty());
  EXPECT_THAT(message(FindWeakSlices(outside, errors)),
              HasSubstr("column \"time\", production row 2: code 2"));
  EXPECT_THAT(message(FindWeakSlices(twice, errors)), HasSubstr("two columns are named \"lamp\""));
  EXPECT_THAT(message(FindWeakSlices(repeated, errors)), HasSubstr("two values of one name"));
  EXPECT_THAT(message(FindWeakSlices(good, bad)), HasSubstr("production row 1"));
  EXPECT_EQ(FindWeakSlices(good, unknown).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_FALSE(FindWeakSlices(good, std::vector<std::int32_t>{0}).ok());
  EXPECT_FALSE(FindWeakSlices({}, errors).ok());
  EXPECT_FALSE(FindWeakSlices(good, {}).ok());
  EXPECT_FALSE(FindWeakSlices(good, errors, {.min_support = 0}).ok());
  EXPECT_FALSE(FindWeakSlices(good, errors, {.confidence = 1}).ok());
  EXPECT_FALSE(FindWeakSlices(good, errors, {.false_discovery_rate = 0}).ok());
}

}  // namespace
}  // namespace tidewheel::stats
