#include "tidewheel/labels/crowdlab.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tidewheel/labels/majority.h"
#include "tidewheel/labels/testing/consensus_properties.h"
#include "tidewheel/labels/testing/simulated_crowd.h"

namespace tidewheel::labels {
namespace {

using internal::SimulatedCrowd;
using testing::HasSubstr;

/// Rows of a classifier that finds the truth with about this probability.
std::vector<double> Classifier(const SimulatedCrowd& crowd, double skill, std::uint64_t seed) {
  Random random(seed);
  std::vector<double> rows(crowd.items * crowd.classes);
  for (std::size_t i = 0; i < crowd.items; ++i) {
    double sum = 0;
    const auto favourite = random.Uniform() < skill ? static_cast<std::size_t>(crowd.truth[i])
                                                    : random.Below(crowd.classes);
    for (std::size_t k = 0; k < crowd.classes; ++k) {
      rows[i * crowd.classes + k] = random.Uniform() + (k == favourite ? 2.0 : 0.0);
      sum += rows[i * crowd.classes + k];
    }
    for (std::size_t k = 0; k < crowd.classes; ++k) rows[i * crowd.classes + k] /= sum;
  }
  return rows;
}

MatrixView<double> View(const std::vector<double>& rows, const SimulatedCrowd& crowd) {
  return {rows, crowd.items, crowd.classes};
}

TEST(CrowdlabTest, AgreesWithTheFormulasByHand) {
  // Items 0 to 3; the votes of item 2 are tied and the classifier is for class 1 there.
  SimulatedCrowd crowd;
  crowd.Add(0, 0, 0);
  crowd.Add(0, 1, 0);
  crowd.Add(0, 2, 1);
  crowd.Add(1, 0, 1);
  crowd.Add(1, 1, 1);
  crowd.Add(2, 0, 0);
  crowd.Add(2, 2, 1);
  crowd.Add(3, 1, 0);
  const std::vector<double> rows = {.8, .2, .3, .7, .4, .6, .9, .1};
  const auto found = Crowdlab(crowd.View(), View(rows, crowd));
  ASSERT_TRUE(found.ok());

  // Agreement with others: worker 0 meets 4 and agrees with 2, worker 1 3 and 2, worker 2 3 and 0.
  const double baseline = 1.0 / 3;  // Consensus 0, 1, 1 where two voted: class 1 misses one.
  const auto weight = [&](double agreement) {
    return std::max(1 - (1 - agreement) / baseline, 1e-6);
  };
  EXPECT_NEAR(found->baseline_error, baseline, 1e-12);
  EXPECT_NEAR(found->worker_weight[0], weight(2.0 / 4), 1e-12);
  EXPECT_NEAR(found->worker_weight[1], weight(2.0 / 3), 1e-9);
  EXPECT_NEAR(found->worker_weight[2], weight(0), 1e-12);
  EXPECT_NEAR(found->model_weight, std::sqrt(2.0), 1e-12);  // It misses none of the three.
  const double c = (2.0 / 3 + 1 + 0.5) / 3;
  EXPECT_NEAR(found->mean_agreement, c, 1e-12);
  const double m = found->model_weight;
  const double w0 = found->worker_weight[0];
  const double w2 = found->worker_weight[2];
  EXPECT_NEAR(found->consensus.posterior[4], (.4 * m + c * w0 + (1 - c) * w2) / (m + w0 + w2),
              1e-12);
  EXPECT_EQ(found->consensus.label[2], 1);
  EXPECT_NEAR(found->label_quality[2], found->consensus.posterior[5], 1e-15);
  EXPECT_NEAR(found->agreement[0], 2.0 / 3, 1e-12);
}

TEST(CrowdlabTest, PosteriorsSumToOneForVotesOfAnyShape) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const SimulatedCrowd crowd = internal::SimulateAnything(seed);
    const auto rows = Classifier(crowd, 0.5, seed);
    const auto found = Crowdlab(crowd.View(), View(rows, crowd));
    ASSERT_TRUE(found.ok());
    internal::ExpectRowsSumTo1(found->consensus.posterior, crowd.classes, "posterior");
    for (const double quality : found->consensus.quality) {
      EXPECT_GE(quality, 0);
      EXPECT_LE(quality, 1 + 1e-12);
    }
    const auto again = Crowdlab(internal::Reordered(crowd, seed).View(), View(rows, crowd));
    internal::ExpectSame(found->consensus, again->consensus);
  }
}

TEST(CrowdlabTest, GoodClassifierHelpsAndABadOneIsNotBelieved) {
  const SimulatedCrowd crowd = internal::Simulate(800, 3, 4, 5);
  const auto good = Classifier(crowd, 0.95, 1);
  const auto bad = Classifier(crowd, 0, 2);
  const double majority = Accuracy(*Majority(crowd.View()), crowd);
  const auto with_good = Crowdlab(crowd.View(), View(good, crowd));
  const auto with_bad = Crowdlab(crowd.View(), View(bad, crowd));

  EXPECT_GT(Accuracy(with_good->consensus, crowd), majority + 0.03);
  EXPECT_LT(with_bad->model_weight, 0.1 * with_good->model_weight);
  EXPECT_GT(Accuracy(with_bad->consensus, crowd), majority - 0.03);
}

TEST(CrowdlabTest, ItemWithoutVotesGetsTheClassifiersRow) {
  SimulatedCrowd crowd = internal::Simulate(20, 3, 3, 5);
  crowd.items = 21;
  crowd.truth.push_back(2);
  const auto rows = Classifier(crowd, 1, 1);
  const auto found = Crowdlab(crowd.View(), View(rows, crowd));
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_NEAR(found->consensus.posterior[60 + k], rows[60 + k], 1e-15);
  }
  EXPECT_EQ(found->consensus.label[20], 2);
  EXPECT_EQ(found->agreement[20], 0);
}

TEST(CrowdlabTest, BadInputIsNamed) {
  const SimulatedCrowd crowd = internal::Simulate(6, 3, 2, 5);
  const auto good = Classifier(crowd, 1, 1);
  const auto error_of = [&](std::vector<double> rows, std::size_t columns = 2) {
    return Crowdlab(crowd.View(), {rows, 6, columns}).error().message;
  };
  EXPECT_THAT(error_of(good, 3), HasSubstr("probabilities of 6 x 3 (12 values) for 6 items"));
  auto rows = good;
  rows[5] = std::nan("");
  EXPECT_THAT(error_of(rows), HasSubstr("row 2, column 1"));
  rows[5] = -0.1;
  EXPECT_THAT(error_of(rows), HasSubstr("row 2, column 1"));
  rows = good;
  rows[8] = rows[9] = 0.4;
  EXPECT_THAT(error_of(rows), HasSubstr("row 4 sum to 0.8"));
  SimulatedCrowd alone;
  for (std::int32_t i = 0; i < 6; ++i) alone.Add(i, 0, i % 2);
  EXPECT_THAT(Crowdlab(alone.View(), {good, 6, 2}).error().message, HasSubstr("only one worker"));
}

}  // namespace
}  // namespace tidewheel::labels
