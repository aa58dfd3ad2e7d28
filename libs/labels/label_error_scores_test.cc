#include "tidewheel/labels/label_error_scores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tidewheel/labels/testing/random_labels.h"

namespace tidewheel::labels {
namespace {

using ::testing::HasSubstr;
using testing::RandomLabels;
using enum LabelScore;

double Score(std::vector<double> row, std::int32_t label, LabelScore score) {
  return ScoreLabel<double>(row, label, score);
}

TEST(LabelScoreTest, ClosedForms) {
  EXPECT_DOUBLE_EQ(Score({0.2, 0.5, 0.3}, 0, kSelfConfidence), 0.2);
  EXPECT_DOUBLE_EQ(Score({0.2, 0.5, 0.3}, 0, kNormalizedMargin), (0.2 - 0.5 + 1) / 2);
  EXPECT_DOUBLE_EQ(Score({0.2, 0.5, 0.3}, 1, kNormalizedMargin), (0.5 - 0.3 + 1) / 2);
  // The entropy of equal shares is 1 in units of ln(classes): x = 1 / p = 4.
  EXPECT_NEAR(Score({0.25, 0.25, 0.25, 0.25}, 2, kConfidenceWeightedEntropy), std::log(5.0) / 4,
              1e-15);
  // Half a bit over two classes at p = 1/4 would be x = H(1/4) / ln 2 * 4.
  const double entropy = -(0.25 * std::log(0.25) + 0.75 * std::log(0.75)) / std::log(2.0);
  EXPECT_NEAR(Score({0.25, 0.75}, 0, kConfidenceWeightedEntropy),
              std::log1p(entropy * 4) / (entropy * 4), 1e-15);
}

TEST(LabelScoreTest, CertaintyGoesToTheEnds) {
  EXPECT_EQ(Score({0, 1, 0}, 1, kConfidenceWeightedEntropy), 1);
  EXPECT_EQ(Score({0, 1, 0}, 0, kConfidenceWeightedEntropy), 0);
  EXPECT_EQ(Score({0, 1, 0}, 1, kNormalizedMargin), 1);
  EXPECT_EQ(Score({0, 1, 0}, 0, kNormalizedMargin), 0);
  // And is approached from both sides.
  EXPECT_NEAR(Score({1e-12, 1 - 1e-12}, 1, kConfidenceWeightedEntropy), 1, 1e-9);
  EXPECT_LT(Score({1e-12, 1 - 1e-12}, 0, kConfidenceWeightedEntropy), 1);
}

TEST(LabelScoreTest, EveryScoreIsBetweenZeroAndOne) {
  for (const int steps : {0, 4}) {
    auto rows = RandomLabels<double>(1, 2'000, 7, {.steps = steps});
    for (const LabelScore score :
         {kSelfConfidence, kNormalizedMargin, kConfidenceWeightedEntropy}) {
      const auto scores = ScoreLabels(rows.View(), rows.labels, score);
      ASSERT_TRUE(scores);
      for (std::size_t i = 0; i < scores->size(); ++i) {
        EXPECT_GE((*scores)[i], 0);
        EXPECT_LE((*scores)[i], 1);
        EXPECT_EQ((*scores)[i], ScoreLabel<double>(rows.Row(i), rows.labels[i], score));
      }
    }
  }
}

TEST(LabelScoreTest, ThreadsAndNamesOfClassesDoNotMatter) {
  auto rows = RandomLabels<float>(2, 5'000, 50);
  auto renamed = rows;
  for (std::size_t i = 0; i < rows.labels.size(); ++i) {
    for (std::size_t k = 0; k < 50; ++k) renamed.Row(i)[49 - k] = rows.Row(i)[k];
    renamed.labels[i] = 49 - rows.labels[i];
  }
  for (const LabelScore score : {kSelfConfidence, kNormalizedMargin, kConfidenceWeightedEntropy}) {
    const auto one = ScoreLabels(rows.View(), rows.labels, score);
    const auto threaded = ScoreLabels(rows.View(), rows.labels, score, 3);
    const auto other = ScoreLabels(renamed.View(), renamed.labels, score);
    ASSERT_TRUE(one && threaded && other);
    EXPECT_EQ(*one, *threaded);
    for (std::size_t i = 0; i < one->size(); ++i) EXPECT_NEAR((*one)[i], (*other)[i], 1e-12);
  }
}

TEST(LabelScoreTest, BadRowsAreNamed) {
  auto rows = RandomLabels<double>(3, 3'000, 4);
  rows.Row(2'000)[1] = std::nan("");
  rows.Row(2'500)[1] = 7;
  for (const std::uint32_t threads : {1U, 4U}) {
    const auto scores = ScoreLabels(rows.View(), rows.labels, kSelfConfidence, threads);
    ASSERT_FALSE(scores);
    EXPECT_EQ(scores.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(scores.error().message, "row 2000, class 1: probability is NaN");
  }
  rows.labels[9] = 4;
  EXPECT_THAT(ScoreLabels(rows.View(), rows.labels, kSelfConfidence).error().message,
              HasSubstr("row 9: label 4"));
  EXPECT_THAT(ScoreLabels(MatrixView<double>{}, {}, kSelfConfidence).error().message,
              HasSubstr("no examples"));
}

}  // namespace
}  // namespace tidewheel::labels
