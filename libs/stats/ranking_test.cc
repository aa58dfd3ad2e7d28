#include "tidewheel/stats/ranking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using testing::HasSubstr;

struct Rows {
  std::vector<std::int32_t> labels;
  std::vector<double> scores;
};

/// Whole scores, with ties where `distinct` is small; both classes are there.
Rows RandomRows(std::size_t n, std::size_t distinct, std::uint64_t seed) {
  Random random(seed);
  Rows rows;
  for (std::size_t i = 0; i < n; ++i) {
    rows.labels.push_back(i < 2 ? static_cast<std::int32_t>(i) : random.Uniform() < 0.3 ? 1 : 0);
    rows.scores.push_back(static_cast<double>(random.Below(distinct)) + 2 * rows.labels.back());
  }
  return rows;
}

// The example in scikit-learn's documentation of roc_auc_score and average_precision_score.
TEST(RankingTest, ADocumentedExample) {
  const Rows rows = {{0, 0, 1, 1}, {0.1, 0.4, 0.35, 0.8}};
  EXPECT_DOUBLE_EQ(*RocAuc(rows.labels, rows.scores), 0.75);
  EXPECT_DOUBLE_EQ(*AveragePrecision(rows.labels, rows.scores), 0.5 + 0.5 * 2 / 3);
  EXPECT_DOUBLE_EQ(*PrecisionRecallAuc(rows.labels, rows.scores), 0.5 + (0.5 + 2.0 / 3) / 4);
}

TEST(RankingTest, CountsByThreshold) {
  const auto counts = CountByThreshold(std::vector<std::int32_t>{1, 0, 1, 0},
                                       std::vector<double>{0.5, 0.5, 0.9, 0.1});
  ASSERT_EQ(counts->size(), 3U);
  EXPECT_EQ((*counts)[0].threshold, 0.9);
  EXPECT_EQ((*counts)[0].false_positives, 0U);
  EXPECT_EQ((*counts)[1].true_positives, 2U);
  EXPECT_EQ((*counts)[1].false_positives, 1U);
  EXPECT_EQ((*counts)[2].false_positives, 2U);
}

TEST(RankingTest, AreaIsTheShareOfPairsInOrder) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const Rows rows = RandomRows(3 + seed * 4, seed % 2 == 0 ? 5 : 10'000, seed);
    double won = 0;
    double pairs = 0;
    for (std::size_t i = 0; i < rows.labels.size(); ++i) {
      for (std::size_t j = 0; j < rows.labels.size(); ++j) {
        if (rows.labels[i] != 1 || rows.labels[j] != 0) continue;
        pairs += 1;
        won += rows.scores[i] > rows.scores[j] ? 1 : rows.scores[i] == rows.scores[j] ? 0.5 : 0;
      }
    }
    EXPECT_NEAR(*RocAuc(rows.labels, rows.scores), won / pairs, 1e-14);
  }
}

TEST(RankingTest, OnlyTheOrderOfScoresMatters) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Rows rows = RandomRows(200, 40, seed);
    Rows other = rows;
    for (double& score : other.scores) score = score * score * score - 7;
    std::reverse(other.labels.begin(), other.labels.end());
    std::reverse(other.scores.begin(), other.scores.end());
    EXPECT_EQ(*RocAuc(rows.labels, rows.scores), *RocAuc(other.labels, other.scores));
    EXPECT_EQ(*AveragePrecision(rows.labels, rows.scores),
              *AveragePrecision(other.labels, other.scores));
    EXPECT_EQ(*PrecisionRecallAuc(rows.labels, rows.scores),
              *PrecisionRecallAuc(other.labels, other.scores));
  }
}

TEST(RankingTest, SwappedClassesOrScoresTurnTheAreaOver) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Rows rows = RandomRows(150, 12, seed);
    const double area = *RocAuc(rows.labels, rows.scores);
    for (double& score : rows.scores) score = -score;
    EXPECT_NEAR(*RocAuc(rows.labels, rows.scores), 1 - area, 1e-14);
    for (auto& label : rows.labels) label = 1 - label;
    EXPECT_NEAR(*RocAuc(rows.labels, rows.scores), area, 1e-14);
  }
}

TEST(RankingTest, NothingButTiesSaysNothing) {
  const std::vector<std::int32_t> labels = {1, 0, 0, 0};
  const std::vector<double> scores(4, 0.3);
  EXPECT_EQ(*RocAuc(labels, scores), 0.5);
  EXPECT_EQ(*AveragePrecision(labels, scores), 0.25);
}

TEST(RankingTest, PerfectScoresHaveTheWholeArea) {
  const std::vector<std::int32_t> labels = {1, 0, 1, 0};
  const std::vector<double> scores = {3, 1, 2, 0};
  EXPECT_EQ(*RocAuc(labels, scores), 1);
  EXPECT_EQ(*AveragePrecision(labels, scores), 1);
  EXPECT_EQ(*PrecisionRecallAuc(labels, scores), 1);
}

TEST(RankingTest, TwoClassesHaveTheirMeanForBothDirections) {
  const Rows rows = RandomRows(100, 30, 3);
  std::vector<double> matrix;
  for (const double score : rows.scores) {
    matrix.push_back(-score);
    matrix.push_back(score);
  }
  EXPECT_NEAR(*MacroRocAuc(rows.labels, {matrix, 100, 2}), *RocAuc(rows.labels, rows.scores),
              1e-14);
}

TEST(RankingTest, BadInputIsNamed) {
  const auto problem = [](std::vector<std::int32_t> labels, std::vector<double> scores) {
    const auto area = RocAuc(labels, scores);
    return area.ok() ? std::string("taken") : area.error().message;
  };
  EXPECT_THAT(problem({}, {}), HasSubstr("no rows"));
  EXPECT_THAT(problem({1, 0}, {1}), HasSubstr("2 labels and 1 scores"));
  EXPECT_THAT(problem({1, 2}, {1, 1}), HasSubstr("row 1: label 2"));
  EXPECT_THAT(problem({1, 0}, {NAN, 1}), HasSubstr("row 0"));
  EXPECT_THAT(problem({1, 1}, {1, 2}), HasSubstr("no row is of class 0"));
  EXPECT_THAT(problem({0, 0}, {1, 2}), HasSubstr("no row is of class 1"));
  const std::vector<std::int32_t> one_class = {1, 1};
  const std::vector<double> scores = {1, 2};
  EXPECT_EQ(RocAuc(one_class, scores).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(*AveragePrecision(one_class, scores), 1);

  const std::vector<double> matrix = {.5, .5, .5, .5, 0, 0};
  EXPECT_THAT(MacroRocAuc(one_class, {matrix, 2, 3}).error().message, HasSubstr("class 0 against"));
  EXPECT_THAT(MacroRocAuc(one_class, {matrix, 3, 2}).error().message, HasSubstr("2 labels"));
  EXPECT_THAT(MacroRocAuc(std::vector<std::int32_t>{0, 3}, {matrix, 2, 3}).error().message,
              HasSubstr("row 1: label 3"));
}

}  // namespace
}  // namespace tidewheel::stats
