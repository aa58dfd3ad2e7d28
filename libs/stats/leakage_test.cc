#include "tidewheel/stats/leakage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr Split kTrain = Split::kTraining;
constexpr Split kVal = Split::kValidation;
constexpr Split kTest = Split::kTest;

TEST(LeakageTest, GroupsThatPartAreFound) {
  const std::vector<std::string> groups = {"b", "a", "b", "c", "a", "b"};
  const std::vector<Split> splits = {kTrain, kVal, kTest, kTrain, kVal, kTrain};

  const auto report = FindGroupsAcrossSplits(groups, splits);

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->groups, 3U);
  EXPECT_EQ(report->groups_across, 1U);
  EXPECT_EQ(report->rows_across, 3U);
  EXPECT_THAT(report->examples, ElementsAre("b"));
}

TEST(LeakageTest, ASplitByGroupLeaksNoGroup) {
  Random random(1);
  std::vector<std::string> groups;
  for (int i = 0; i < 500; ++i) groups.push_back(std::to_string(random.Below(90)));

  const auto splits = SplitByGroup(groups, {}, 12);

  ASSERT_TRUE(splits.ok());
  EXPECT_EQ(FindGroupsAcrossSplits(groups, *splits)->groups_across, 0U);
}

TEST(LeakageTest, EvaluationInTheTimeOfTrainingIsFound) {
  const std::vector<std::int64_t> times = {10, 20, 30, 25, 30, 31};
  const std::vector<Split> splits = {kTrain, kTrain, kTrain, kVal, kTest, kTest};

  const auto report = FindTimeOverlap(times, splits);

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->training_ends, 30);
  EXPECT_EQ(report->evaluation_begins, 25);
  EXPECT_EQ(report->rows_before_training_ends, 2U);
  EXPECT_DOUBLE_EQ(report->share, 2.0 / 3);
  const auto split = SplitByTime(std::vector<std::int64_t>{5, 1, 4, 2, 3, 2, 4, 9, 8, 7}, {});
  ASSERT_TRUE(split.ok());
  EXPECT_EQ(FindTimeOverlap(std::vector<std::int64_t>{5, 1, 4, 2, 3, 2, 4, 9, 8, 7}, split->splits)
                ->rows_before_training_ends,
            0U);
  EXPECT_EQ(FindTimeOverlap(std::vector<std::int64_t>{1, 2}, std::vector<Split>{kVal, kTest})
                .error()
                .code,
            ErrorCode::kFailedPrecondition);
}

TEST(LeakageTest, WholeNumbersThatDifferInEveryRowNameTheRow) {
  std::vector<double> counter, measured, coarse;
  std::vector<std::int32_t> codes;
  for (int i = 0; i < 100; ++i) {
    counter.push_back(1000 + i);
    measured.push_back(i * 0.37);
    coarse.push_back(i / 2);
    codes.push_back(i < 4 ? 0 : i);
  }

  EXPECT_TRUE(FindIdentifier({"counter", counter, {}})->is_identifier);
  EXPECT_FALSE(FindIdentifier({"measured", measured, {}})->is_identifier);
  EXPECT_FALSE(FindIdentifier({"coarse", coarse, {}})->is_identifier);
  EXPECT_TRUE(FindIdentifier({"codes", {}, codes})->is_identifier);
  EXPECT_EQ(FindIdentifier({"codes", {}, codes})->different, 97U);
  EXPECT_FALSE(FindIdentifier({"codes", {}, codes}, 0.98)->is_identifier);
  EXPECT_FALSE(FindIdentifier({"codes", {}, codes}, 0).ok());
  EXPECT_FALSE(FindIdentifier({"none", {}, {}}).ok());
}

struct Table {
  std::vector<Split> splits;
  std::vector<Digest> digests;
  std::vector<Bits128> hashes;
  std::vector<std::string> groups;
  std::vector<std::int64_t> times;
  std::vector<std::int32_t> labels;
  std::vector<double> noise, answer, counter;
};

/// 300 rows that leak nothing, in order of time.
Table CleanTable() {
  Random random(5);
  Table table;
  for (int i = 0; i < 300; ++i) {
    table.splits.push_back(i < 200 ? kTrain : i < 250 ? kVal : kTest);
    Digest digest;
    digest.bytes[0] = static_cast<std::uint8_t>(i);
    digest.bytes[1] = static_cast<std::uint8_t>(i >> 8);
    table.digests.push_back(digest);
    table.hashes.push_back({random.Next(), random.Next()});
    table.groups.push_back(std::to_string(i / 10));
    table.times.push_back(i);
    table.labels.push_back(static_cast<std::int32_t>(random.Below(2)));
    table.noise.push_back(random.Normal());
    table.answer.push_back(table.labels.back() + 0.1 * random.Normal());
    table.counter.push_back(i);
  }
  return table;
}

TEST(LeakageTest, ACleanTableHasNoFindingsAndNothingUnchecked) {
  const Table table = CleanTable();
  const std::vector<FeatureColumn> features = {{"noise", table.noise, {}}};

  const auto report = ReportLeakage({table.splits, table.digests, table.hashes, table.groups,
                                     table.times, features, table.labels, 2},
                                    {.split_by_time = true});

  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_THAT(report->findings, IsEmpty());
  EXPECT_THAT(report->not_checked, IsEmpty());
}

TEST(LeakageTest, EachKindOfLeakIsAFinding) {
  Table table = CleanTable();
  table.digests[270] = table.digests[3];
  table.hashes[205] = {table.hashes[7][0] ^ 5, table.hashes[7][1]};
  table.groups[299] = "0";
  table.times[210] = 50;
  const std::vector<FeatureColumn> features = {
      {"noise", table.noise, {}}, {"answer", table.answer, {}}, {"counter", table.counter, {}}};

  const auto report = ReportLeakage({table.splits, table.digests, table.hashes, table.groups,
                                     table.times, features, table.labels, 2},
                                    {.split_by_time = true});

  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_THAT(report->findings, SizeIs(6));
  for (const char* words :
       {"1 pairs of equal rows across splits; 1 rows outside training", "near duplicates (within 6",
        "1 of 30 groups", "1 of 100 evaluation rows", "\"answer\" alone tells the label",
        "\"counter\" names its row"}) {
    EXPECT_THAT(report->findings, Contains(HasSubstr(words)));
  }
}

TEST(LeakageTest, WhatIsNotGivenIsNamed) {
  const Table table = CleanTable();
  const std::vector<FeatureColumn> features = {{"noise", table.noise, {}}};

  const auto report = ReportLeakage({.splits = table.splits, .features = features});

  ASSERT_TRUE(report.ok());
  EXPECT_THAT(report->findings, IsEmpty());
  EXPECT_THAT(report->not_checked, SizeIs(5));
  EXPECT_THAT(report->not_checked, Contains(HasSubstr("predictive power: no labels")));
  const std::vector<std::int32_t> one(300, 0);
  const auto same =
      ReportLeakage({.splits = table.splits, .features = features, .labels = one, .classes = 2});
  ASSERT_TRUE(same.ok());
  EXPECT_THAT(same->not_checked, Contains(HasSubstr("because all labels are class 0")));
}

TEST(LeakageTest, RefusesRowsThatDoNotFit) {
  const Table table = CleanTable();
  const std::vector<std::int64_t> short_times = {1, 2};

  EXPECT_FALSE(ReportLeakage({}).ok());
  EXPECT_FALSE(ReportLeakage({.splits = table.splits, .times = short_times}).ok());
  auto values = table.noise;
  values[17] = std::numeric_limits<double>::infinity();
  const std::vector<FeatureColumn> features = {{"noise", values, {}}};
  const auto infinite = ReportLeakage(
      {.splits = table.splits, .features = features, .labels = table.labels, .classes = 2});
  ASSERT_FALSE(infinite.ok());
  EXPECT_THAT(infinite.error().message, HasSubstr("column \"noise\", row 17"));
}

}  // namespace
}  // namespace tidewheel::stats
