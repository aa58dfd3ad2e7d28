#include "tidewheel/labels/acquisition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/labels/crowdlab.h"

namespace tidewheel::labels {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Message(const auto& result) { return result.ok() ? "" : result.error().message; }

std::vector<double> RandomRows(Random& random, std::size_t rows, std::size_t classes) {
  std::vector<double> values;
  for (std::size_t i = 0; i < rows; ++i) {
    double sum = 0;
    for (std::size_t k = 0; k < classes; ++k) {
      values.push_back(random.Below(4) == 0 ? 0 : -std::log(1 - random.Uniform()));
      sum += values.back();
    }
    if (sum == 0) values.back() = sum = 1;
    for (std::size_t k = 0; k < classes; ++k) values[i * classes + k] /= sum;
  }
  return values;
}

TEST(UncertaintyTest, HasTheValuesOfItsDefinitions) {
  const std::vector<double> p = {0.5, 0.25, 0.25, 0, 1, 0, 0, 0, 0.25, 0.25, 0.25, 0.25};
  const MatrixView<double> rows{p, 3, 4};

  EXPECT_THAT(*UncertaintyScores(rows, Uncertainty::kLeastConfident), ElementsAre(0.5, 0, 0.75));
  EXPECT_THAT(*UncertaintyScores(rows, Uncertainty::kMargin), ElementsAre(0.75, 0, 1));
  // 1.5 bits of 2.
  EXPECT_THAT(*UncertaintyScores(rows, Uncertainty::kEntropy),
              ElementsAre(DoubleNear(0.75, 1e-15), 0, DoubleNear(1, 1e-15)));
}

TEST(UncertaintyTest, StaysInRangeAndDoesNotDependOnTheOrderOfClasses) {
  Random random(1);
  for (int round = 0; round < 50; ++round) {
    const std::size_t classes = 2 + random.Below(8);
    auto p = RandomRows(random, 20, classes);
    auto turned = p;
    std::vector<float> single(p.begin(), p.end());
    for (std::size_t i = 0; i < 20; ++i) {
      std::reverse(turned.begin() + static_cast<std::ptrdiff_t>(i * classes),
                   turned.begin() + static_cast<std::ptrdiff_t>((i + 1) * classes));
    }
    for (const auto kind :
         {Uncertainty::kLeastConfident, Uncertainty::kMargin, Uncertainty::kEntropy}) {
      const auto scores = UncertaintyScores(MatrixView<double>{p, 20, classes}, kind);
      const auto other = UncertaintyScores(MatrixView<double>{turned, 20, classes}, kind);
      const auto in_float = UncertaintyScores(MatrixView<float>{single, 20, classes}, kind);
      ASSERT_TRUE(scores.ok() && other.ok() && in_float.ok());
      for (std::size_t i = 0; i < 20; ++i) {
        EXPECT_GE((*scores)[i], 0);
        EXPECT_LE((*scores)[i], 1);
        EXPECT_NEAR((*scores)[i], (*other)[i], 1e-14);
        EXPECT_NEAR((*scores)[i], (*in_float)[i], 1e-5);
      }
    }
  }
}

TEST(DisagreementTest, HasTheValuesOfItsDefinitions) {
  const std::vector<double> p = {1, 0, 0.5, 0.5, 0.9, 0.1};
  const std::vector<double> q = {0, 1, 0.5, 0.5, 0.6, 0.4};

  const auto apart = CompareClassifiers(MatrixView<double>{p, 3, 2}, MatrixView<double>{q, 3, 2});

  ASSERT_TRUE(apart.ok());
  const auto bits = [](double x) { return -x * std::log2(x) - (1 - x) * std::log2(1 - x); };
  EXPECT_THAT(apart->jensen_shannon,
              ElementsAre(DoubleNear(1, 1e-15), 0,
                          DoubleNear(bits(0.75) - (bits(0.9) + bits(0.6)) / 2, 1e-15)));
  EXPECT_THAT(apart->total_variation, ElementsAre(1, 0, DoubleNear(0.3, 1e-15)));
  EXPECT_THAT(apart->other_answer, ElementsAre(1, 0, 0));
}

TEST(DisagreementTest, IsSymmetricBoundedAndZeroForTheSame) {
  Random random(2);
  for (int round = 0; round < 50; ++round) {
    const std::size_t classes = 2 + random.Below(6);
    const auto p = RandomRows(random, 30, classes);
    const auto q = RandomRows(random, 30, classes);
    const MatrixView<double> a{p, 30, classes};
    const MatrixView<double> b{q, 30, classes};

    const auto there = CompareClassifiers(a, b);
    const auto back = CompareClassifiers(b, a);
    const auto same = CompareClassifiers(a, a);

    ASSERT_TRUE(there.ok() && back.ok() && same.ok());
    EXPECT_EQ(there->jensen_shannon, back->jensen_shannon);
    EXPECT_EQ(there->total_variation, back->total_variation);
    EXPECT_EQ(there->other_answer, back->other_answer);
    EXPECT_THAT(same->jensen_shannon, Each(0));
    EXPECT_THAT(same->other_answer, Each(0));
    for (std::size_t i = 0; i < 30; ++i) {
      // Lin (1991): the divergence is at most the variation, and at least 1 - h((1 - v) / 2).
      const double v = there->total_variation[i];
      const double low = (1 - v) / 2;
      const double h = low > 0 ? -low * std::log2(low) - (1 - low) * std::log2(1 - low) : 0;
      EXPECT_LE(there->jensen_shannon[i], v + 1e-12);
      EXPECT_GE(there->jensen_shannon[i], 1 - h - 1e-12);
    }
  }
}

TEST(DriftRegionTest, IsOneHalfWithoutDriftAndOneWhereTheReferenceHasNothing) {
  Random random(3);
  std::vector<float> reference(3000), current(1500);
  for (float& value : reference) value = static_cast<float>(random.Normal());
  for (float& value : current) value = static_cast<float>(random.Normal());
  for (int i = 0; i < 100; ++i) current[static_cast<std::size_t>(i)] += 30;  // Rows 0 to 49.

  const auto scores =
      DriftRegionScores(MatrixView<float>{reference, 1500, 2}, MatrixView<float>{current, 750, 2});

  ASSERT_TRUE(scores.ok());
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ((*scores)[i], 1);
  const double mean = std::accumulate(scores->begin() + 50, scores->end(), 0.0) / 700;
  EXPECT_NEAR(mean, 0.5, 0.04);
}

TEST(DriftRegionTest, CountsNearestRowsAsIfBothKindsWereAsMany) {
  const std::vector<double> reference = {0, 0, 10, 20};
  const std::vector<double> current = {0, 1, 3};

  const auto scores = DriftRegionScores(MatrixView<double>{reference, 4, 1},
                                        MatrixView<double>{current, 3, 1}, {.neighbours = 2});

  ASSERT_TRUE(scores.ok());
  // Of 0: both zeros of the reference. Of 1: both zeros, as near as the current 0, come first.
  // Of 3: the current 1, then the reference's 0 before the current one: 1/2 against 1/4.
  EXPECT_THAT(*scores, ElementsAre(0, 0, DoubleNear(2 / 3.0, 1e-15)));
}

TEST(SuspectedErrorTest, TheWorstQualityComesFirst) {
  const auto scores = SuspectedErrorScores(std::vector<double>{1, 0, 0.75});

  ASSERT_TRUE(scores.ok());
  EXPECT_THAT(*scores, ElementsAre(0, 1, 0.25));
  EXPECT_THAT(Message(SuspectedErrorScores(std::vector<double>{0.5, 1.5})), HasSubstr("item 1"));
  EXPECT_FALSE(SuspectedErrorScores({}).ok());
}

TEST(ActiveLabTest, HasTheValuesOfItsDefinition) {
  const std::vector<double> quality = {0.9, 0.6, 0.5};
  const std::vector<std::int32_t> item = {0, 0, 1, 1, 1};
  const std::vector<std::int32_t> worker = {0, 1, 1, 1, 0};
  const std::vector<std::int32_t> label = {0, 0, 1, 0, kAbstain};
  const std::vector<double> weight = {0.5, 0.25};

  const auto scores = ActiveLabScores({quality, {item, worker, label, 3, 2, 2}, weight, 0.75});

  ASSERT_TRUE(scores.ok());
  const double mean = 0.375;
  EXPECT_DOUBLE_EQ((*scores)[0], (1.5 * 0.9 + mean / 2) / (1.5 + mean));
  // Worker 1 voted twice and counts once; worker 0 abstained.
  EXPECT_DOUBLE_EQ((*scores)[1], (1 * 0.6 + mean / 2) / (1 + mean));
  EXPECT_DOUBLE_EQ((*scores)[2], (0.75 * 0.5 + mean / 2) / (0.75 + mean));
}

TEST(ActiveLabTest, MoreVotesForAnItemThatIsSureRaiseItsScore) {
  const std::vector<double> quality(5, 0.8);
  std::vector<std::int32_t> item, worker, label;
  for (std::int32_t i = 0; i < 5; ++i) {
    for (std::int32_t w = 0; w < i; ++w) {
      item.push_back(i);
      worker.push_back(w);
      label.push_back(0);
    }
  }
  const std::vector<double> weight(4, 0.5);

  const auto scores = ActiveLabScores({quality, {item, worker, label, 5, 4, 3}, weight, 1});

  ASSERT_TRUE(scores.ok());
  EXPECT_TRUE(std::is_sorted(scores->begin(), scores->end()));
  EXPECT_LT((*scores)[4], 0.8);
  EXPECT_GT((*scores)[0], 1 / 3.0);
}

TEST(ActiveLabTest, TakesWhatCrowdlabGives) {
  Random random(4);
  const std::size_t items = 60;
  const auto p = RandomRows(random, items, 3);
  std::vector<std::int32_t> item, worker, label;
  for (std::size_t i = 0; i < items; ++i) {
    for (std::int32_t w = 0; w < 4; ++w) {
      if (random.Below(3) == 0) continue;
      item.push_back(static_cast<std::int32_t>(i));
      worker.push_back(w);
      label.push_back(static_cast<std::int32_t>(random.Below(3)));
    }
  }
  const Votes votes{item, worker, label, items, 4, 3};
  const auto consensus = Crowdlab(votes, MatrixView<double>{p, items, 3});
  ASSERT_TRUE(consensus.ok());

  const auto scores = ActiveLabScores(
      {consensus->label_quality, votes, consensus->worker_weight, consensus->model_weight});

  ASSERT_TRUE(scores.ok());
  for (std::size_t i = 0; i < items; ++i) {
    EXPECT_LE((*scores)[i], std::max(consensus->label_quality[i], 1 / 3.0));
    EXPECT_GE((*scores)[i], std::min(consensus->label_quality[i], 1 / 3.0));
  }
}

TEST(ActiveLabTest, RefusesWeightsQualitiesAndVotesThatAreNone) {
  const std::vector<double> quality = {0.5, 0.5};
  const std::vector<double> wrong = {0.5, 1.5};
  const std::vector<double> weight = {1, 1};
  const std::vector<double> negative = {1, -1};
  const std::vector<double> zero = {0, 0};
  const std::vector<std::int32_t> item = {0}, worker = {1}, label = {0}, far = {9};
  const Votes votes{item, worker, label, 2, 2, 2};

  EXPECT_THAT(Message(ActiveLabScores({wrong, votes, weight, 1})), HasSubstr("item 1"));
  EXPECT_THAT(Message(ActiveLabScores({quality, votes, negative, 1})), HasSubstr("worker 1"));
  EXPECT_THAT(Message(ActiveLabScores({quality, votes, weight, -1})), HasSubstr("model's weight"));
  EXPECT_THAT(Message(ActiveLabScores({quality, {far, worker, label, 2, 2, 2}, weight, 1})),
              HasSubstr("vote 0 is of item 9"));
  EXPECT_THAT(Message(ActiveLabScores({quality, {item, far, label, 2, 2, 2}, weight, 1})),
              HasSubstr("worker 9"));
  EXPECT_THAT(Message(ActiveLabScores({quality, {item, worker, far, 2, 2, 2}, weight, 1})),
              HasSubstr("label 9"));
  EXPECT_FALSE(ActiveLabScores({quality, {item, worker, {}, 2, 2, 2}, weight, 1}).ok());
  EXPECT_FALSE(ActiveLabScores({quality, {{}, {}, {}, 2, 2, 1}, weight, 1}).ok());
  EXPECT_FALSE(ActiveLabScores({{}, votes, weight, 1}).ok());
  EXPECT_EQ(ActiveLabScores({quality, votes, zero, 0}).error().code,
            ErrorCode::kFailedPrecondition);
  // Without workers: the model alone, and 1/K with weight 1.
  const auto none = ActiveLabScores({quality, {{}, {}, {}, 2, 0, 4}, {}, 1});
  ASSERT_TRUE(none.ok());
  EXPECT_DOUBLE_EQ((*none)[0], (0.5 + 0.25) / 2);
}

TEST(AcquisitionTest, RefusesRowsThatAreNoProbabilities) {
  const std::vector<double> p = {0.5, 0.5, 0.4, 0.4, 1.5, -0.5};
  const std::vector<double> nan = {0.5, 0.5, std::numeric_limits<double>::quiet_NaN(), 0.5};
  const std::vector<double> good = {0.5, 0.5, 1, 0};
  const auto kind = Uncertainty::kMargin;

  EXPECT_THAT(Message(UncertaintyScores(MatrixView<double>{p, 3, 2}, kind)),
              HasSubstr("row 1: probabilities sum to 0.8"));
  EXPECT_THAT(Message(UncertaintyScores(MatrixView<double>{nan, 2, 2}, kind)),
              HasSubstr("row 1: a probability is not in 0 to 1"));
  EXPECT_FALSE(UncertaintyScores(MatrixView<double>{good, 3, 2}, kind).ok());
  EXPECT_FALSE(UncertaintyScores(MatrixView<double>{good, 4, 1}, kind).ok());
  EXPECT_FALSE(UncertaintyScores(MatrixView<double>{}, kind).ok());
  const MatrixView<double> two{good, 2, 2};
  EXPECT_THAT(Message(CompareClassifiers(two, MatrixView<double>{nan, 2, 2})),
              HasSubstr("candidate: row 1"));
  EXPECT_THAT(Message(CompareClassifiers(two, MatrixView<double>{std::span(good).first(2), 1, 2})),
              HasSubstr("production has 2 rows"));
  EXPECT_THAT(Message(DriftRegionScores(two, MatrixView<double>{nan, 2, 2}, {.neighbours = 1})),
              HasSubstr("row 1, column 0"));
  EXPECT_EQ(DriftRegionScores(two, two, {.neighbours = 2}).error().code,
            ErrorCode::kFailedPrecondition);
}

}  // namespace
}  // namespace tidewheel::labels
