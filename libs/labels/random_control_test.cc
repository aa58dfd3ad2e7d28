#include "tidewheel/labels/random_control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/labels/acquisition_queue.h"
#include "tidewheel/stats/intervals.h"

namespace tidewheel::labels {
namespace {

using ::testing::HasSubstr;

TEST(InverseWeightsTest, EqualProbabilitiesGiveTheMeanAndWilsonsInterval) {
  const std::vector<double> values = {1, 1, 0, 1, 1, 1, 0, 1, 1, 1};
  const std::vector<double> probabilities(10, 0.05);

  const auto estimate = EstimateWithInverseWeights(values, probabilities, 200);

  ASSERT_TRUE(estimate.ok());
  EXPECT_DOUBLE_EQ(estimate->horvitz_thompson, 0.8);
  EXPECT_DOUBLE_EQ(estimate->hajek, 0.8);
  EXPECT_DOUBLE_EQ(estimate->effective_samples, 10);
  const auto wilson = *stats::WilsonInterval(8, 10, 0.95);
  EXPECT_NEAR(estimate->hajek_interval.low, wilson.low, 1e-12);
  EXPECT_NEAR(estimate->hajek_interval.high, wilson.high, 1e-12);
  // Student's t of 9 degrees is 2.262157 at 0.975 (tables).
  EXPECT_NEAR(estimate->horvitz_thompson_interval.high - 0.8,
              2.262157162740992 * std::sqrt(0.8 * 0.2 / 9), 1e-9);
}

TEST(InverseWeightsTest, AllRightGivesWilsonForTheEffectiveNumber) {
  const std::vector<double> values(20, 1);
  const auto estimate = EstimateWithInverseWeights(values, std::vector<double>(20, 0.5), 40);

  ASSERT_TRUE(estimate.ok());
  EXPECT_NEAR(estimate->hajek_interval.low, stats::WilsonInterval(20, 20, 0.95)->low, 1e-12);
  EXPECT_EQ(estimate->hajek_interval.high, 1);
}

TEST(InverseWeightsTest, OtherNumbersThanZeroAndOneHaveAMeanToo) {
  const std::vector<double> values = {2, 4};
  const std::vector<double> probabilities = {0.5, 0.25};

  const auto estimate = EstimateWithInverseWeights(values, probabilities, 6);

  ASSERT_TRUE(estimate.ok());
  EXPECT_DOUBLE_EQ(estimate->horvitz_thompson, (2 * 2 + 4 * 4) / 6.0);
  EXPECT_DOUBLE_EQ(estimate->hajek, (2 * 2 + 4 * 4) / 6.0);
  EXPECT_LT(estimate->hajek_interval.low, estimate->hajek);
  EXPECT_GT(estimate->hajek_interval.high, estimate->hajek);
  EXPECT_DOUBLE_EQ(estimate->effective_samples, 36.0 / 20);
}

/// A population in which what a score finds is what is wrong, and clusters are easy.
struct Population {
  std::vector<double> right, score;
  std::vector<std::int64_t> clusters;

  double accuracy() const {
    return std::accumulate(right.begin(), right.end(), 0.0) / static_cast<double>(right.size());
  }
};

Population MakePopulation(std::uint64_t seed) {
  Random random(seed);
  Population population;
  for (int cluster = 0; population.right.size() < 1200; ++cluster) {
    const std::uint64_t members = random.Below(5) == 0 ? 2 + random.Below(5) : 1;
    for (std::uint64_t m = 0; m < members; ++m) {
      const bool right = random.Uniform() < (members > 1 ? 0.95 : 0.75);
      population.right.push_back(right ? 1 : 0);
      population.score.push_back(random.Uniform() + (right ? 0 : 0.5));
      population.clusters.push_back(cluster);
    }
  }
  return population;
}

TEST(RandomControlTest, KeepsTheAccuracyEstimableWithoutBias) {
  const Population population = MakePopulation(1);
  const std::vector<AcquisitionSource> sources = {{"score", population.score, 1}};
  QueueRequest request;
  request.candidates = population.right.size();
  request.budget = 300;
  request.control_share = 0.3;
  request.sources = sources;
  request.clusters = population.clusters;
  constexpr int kRounds = 2000;
  double thompson = 0;
  double thompson_squares = 0;
  double hajek = 0;
  double whole_queue = 0;
  int thompson_covers = 0;
  int hajek_covers = 0;
  for (int round = 0; round < kRounds; ++round) {
    request.seed = static_cast<std::uint64_t>(round) + 1;
    const auto queue = BuildLabelingQueue(request);
    ASSERT_TRUE(queue.ok());
    std::vector<double> values, probabilities;
    double right = 0;
    for (const QueuedItem& item : queue->items) {
      right += population.right[item.candidate];
      if (item.reason != QueueReason::kControl) continue;
      values.push_back(population.right[item.candidate]);
      probabilities.push_back(item.inclusion_probability);
    }
    const auto estimate = EstimateWithInverseWeights(values, probabilities, queue->population);
    ASSERT_TRUE(estimate.ok());
    thompson += estimate->horvitz_thompson;
    thompson_squares += estimate->horvitz_thompson * estimate->horvitz_thompson;
    hajek += estimate->hajek;
    whole_queue += right / static_cast<double>(queue->items.size());
    const double truth = population.accuracy();
    thompson_covers += estimate->horvitz_thompson_interval.low <= truth &&
                               truth <= estimate->horvitz_thompson_interval.high
                           ? 1
                           : 0;
    hajek_covers +=
        estimate->hajek_interval.low <= truth && truth <= estimate->hajek_interval.high ? 1 : 0;
  }
  const double truth = population.accuracy();
  const double mean = thompson / kRounds;
  const double deviation = std::sqrt(thompson_squares / kRounds - mean * mean);

  EXPECT_NEAR(mean, truth, 3.5 * deviation / std::sqrt(kRounds));
  EXPECT_NEAR(hajek / kRounds, truth, 0.005);
  EXPECT_LT(whole_queue / kRounds, truth - 0.2);  // What the queue alone would have said.
  EXPECT_GE(thompson_covers, kRounds * 93 / 100);
  EXPECT_GE(hajek_covers, kRounds * 93 / 100);
}

TEST(RandomControlTest, GainOverRandomIsMeasured) {
  const Population population = MakePopulation(2);
  const std::vector<AcquisitionSource> sources = {{"score", population.score, 1}};
  QueueRequest request;
  request.candidates = population.right.size();
  request.budget = 400;
  request.control_share = 0.3;
  request.sources = sources;
  const auto queue = BuildLabelingQueue(request);
  ASSERT_TRUE(queue.ok());
  std::vector<double> chosen, control, probabilities;
  for (const QueuedItem& item : queue->items) {
    const double wrong = 1 - population.right[item.candidate];
    if (item.reason == QueueReason::kControl) {
      control.push_back(wrong);
      probabilities.push_back(item.inclusion_probability);
    } else {
      chosen.push_back(wrong);
    }
  }

  const auto gain = MeasureGain(chosen, control, probabilities, queue->population);

  ASSERT_TRUE(gain.ok());
  EXPECT_GT(gain->difference_interval.low, 0.2);
  EXPECT_GT(gain->lift, 2);
  EXPECT_DOUBLE_EQ(gain->difference, gain->chosen_rate - gain->random_rate);
  EXPECT_LT(gain->difference_interval.low, gain->difference);
  EXPECT_GT(gain->difference_interval.high, gain->difference);
}

TEST(RandomControlTest, GainHasNewcombesInterval) {
  // Newcombe (1998), table II, method 10: 56 of 70 against 48 of 80 gives 0.0524 to 0.3339.
  std::vector<double> chosen(70, 0), control(80, 0);
  std::fill_n(chosen.begin(), 56, 1.0);
  std::fill_n(control.begin(), 48, 1.0);

  const auto gain = MeasureGain(chosen, control, std::vector<double>(80, 0.1), 800);

  ASSERT_TRUE(gain.ok());
  EXPECT_NEAR(gain->difference, 0.2, 1e-12);
  EXPECT_NEAR(gain->difference_interval.low, 0.0524, 5e-5);
  EXPECT_NEAR(gain->difference_interval.high, 0.3339, 5e-5);
  const std::vector<double> none(80, 0);
  EXPECT_TRUE(std::isinf(MeasureGain(chosen, none, std::vector<double>(80, 0.1), 800)->lift));
  EXPECT_EQ(MeasureGain(none, none, std::vector<double>(80, 0.1), 800)->lift, 1);
}

TEST(RandomControlTest, RefusesSamplesThatAreNone) {
  const std::vector<double> values = {1, 0};
  const std::vector<double> half = {0.5, 0.5};
  const auto message = [](const auto& result) { return result.ok() ? "" : result.error().message; };
  const double nan = std::numeric_limits<double>::quiet_NaN();

  for (const double bad : {0.0, -0.5, 1.5, nan}) {
    EXPECT_THAT(message(EstimateWithInverseWeights(values, std::vector<double>{0.5, bad}, 10)),
                HasSubstr("sample 1: an inclusion probability"));
  }
  EXPECT_THAT(message(EstimateWithInverseWeights(std::vector<double>{1, nan}, half, 10)),
              HasSubstr("sample 1: the value"));
  EXPECT_THAT(message(EstimateWithInverseWeights(values, half, 1)),
              HasSubstr("2 samples of a population of 1"));
  EXPECT_FALSE(EstimateWithInverseWeights(values, half, 10, 1).ok());
  EXPECT_FALSE(EstimateWithInverseWeights(values, std::vector<double>{0.5}, 10).ok());
  EXPECT_FALSE(EstimateWithInverseWeights({}, {}, 10).ok());
  EXPECT_EQ(
      EstimateWithInverseWeights(std::vector<double>{1}, std::vector<double>{0.5}, 10).error().code,
      ErrorCode::kFailedPrecondition);
  EXPECT_THAT(message(MeasureGain(std::vector<double>{0.5}, values, half, 10)),
              HasSubstr("0 or 1"));
  EXPECT_FALSE(MeasureGain({}, values, half, 10).ok());
  EXPECT_THAT(message(MeasureGain(values, {}, {}, 10)), HasSubstr("control: "));
}

}  // namespace
}  // namespace tidewheel::labels
