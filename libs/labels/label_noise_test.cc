#include "tidewheel/labels/label_noise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tidewheel/labels/label_errors.h"
#include "tidewheel/labels/testing/random_labels.h"

namespace tidewheel::labels {
namespace {

using ::testing::HasSubstr;
using testing::LabeledRows;
using testing::RandomLabels;
using testing::RandomLabelsOptions;

template <typename T>
ConfidentJoint Joint(const LabeledRows<T>& rows) {
  const auto scan = LabelErrorScan<T>::Read(rows.View(), rows.labels);
  EXPECT_TRUE(scan) << scan.error().message;
  return scan->joint();
}

TEST(LabelNoiseTest, MatricesAreDistributionsThatBelongTogether) {
  for (const std::size_t classes : {2, 3, 10, 40}) {
    for (const std::size_t empty : {std::size_t{0}, classes / 3}) {
      const auto rows = RandomLabels<double>(classes, 100 * classes, classes,
                                             {.label_noise = 0.3, .empty_classes = empty});

      const ConfidentJoint joint = Joint(rows);
      const auto noise = EstimateLabelNoise(joint);

      ASSERT_TRUE(noise);
      EXPECT_NEAR(std::accumulate(noise->joint.begin(), noise->joint.end(), 0.0), 1, 1e-12);
      EXPECT_NEAR(std::accumulate(noise->true_share.begin(), noise->true_share.end(), 0.0), 1,
                  1e-12);
      for (std::size_t column = 0; column < classes; ++column) {
        double noise_sum = 0;
        double inverse_sum = 0;
        for (std::size_t row = 0; row < classes; ++row) {
          noise_sum += noise->noise[row * classes + column];
          inverse_sum += noise->inverse_noise[row * classes + column];
          // P(given, true) = P(given | true) P(true) = P(true | given) P(given).
          const double together = noise->joint[row * classes + column];
          EXPECT_NEAR(noise->noise[row * classes + column] * noise->true_share[column], together,
                      1e-12);
          EXPECT_NEAR(noise->inverse_noise[column * classes + row] *
                          static_cast<double>(joint.class_counts[row]) /
                          static_cast<double>(joint.examples),
                      together, 1e-12);
        }
        EXPECT_NEAR(noise_sum, 1, 1e-12);
        EXPECT_NEAR(inverse_sum, 1, 1e-12);
      }
    }
  }
}

TEST(LabelNoiseTest, KnownCountsGiveTheirShares) {
  const ConfidentJoint joint =
      CompleteJoint({.5, .5}, {60, 40}, std::vector<std::uint64_t>{45, 40}, {{0, 1, 15}}, 0);

  const auto noise = EstimateLabelNoise(joint);

  ASSERT_TRUE(noise);
  EXPECT_DOUBLE_EQ(noise->joint[0], 0.45);
  EXPECT_DOUBLE_EQ(noise->joint[1], 0.15);
  EXPECT_DOUBLE_EQ(noise->noise[1], 15.0 / 55);     // Given 0 of those that are 1.
  EXPECT_DOUBLE_EQ(noise->inverse_noise[2], 0.25);  // Truly 1 of those given 0.
  EXPECT_DOUBLE_EQ(noise->true_share[1], 0.55);
  EXPECT_DOUBLE_EQ(EstimateErrorRate(joint)->rate, 0.15);
}

TEST(LabelNoiseTest, MatricesOfTooManyClassesAreRefused) {
  EXPECT_EQ(EstimateLabelNoise({}).error().code, ErrorCode::kInvalidArgument);
  const ConfidentJoint joint =
      CompleteJoint(std::vector<double>(5'000, 0.5), std::vector<std::uint64_t>(5'000, 1),
                    std::vector<std::uint64_t>(5'000, 1), {}, 0);
  EXPECT_THAT(EstimateLabelNoise(joint).error().message, HasSubstr("5000 classes"));
}

TEST(LabelErrorRateTest, IntervalHoldsTheRateAndNarrowsWithTheExamples) {
  double last = 1;
  for (const std::size_t size : {300, 3'000, 30'000}) {
    const auto rows = RandomLabels<double>(1, size, 5, {.label_noise = 0.2});
    const auto rate = EstimateErrorRate(Joint(rows));
    ASSERT_TRUE(rate);
    EXPECT_LE(rate->low, rate->rate);
    EXPECT_GE(rate->high, rate->rate);
    EXPECT_LT(rate->high - rate->low, last);
    last = rate->high - rate->low;
  }
  EXPECT_LT(last, 0.02);
}

TEST(LabelErrorRateTest, NoErrorSeenIsNotNoErrorAtAll) {
  const ConfidentJoint joint =
      CompleteJoint({.5, .5}, {100, 100}, std::vector<std::uint64_t>{80, 90}, {}, 30);

  const auto rate = EstimateErrorRate(joint);

  ASSERT_TRUE(rate);
  EXPECT_EQ(rate->rate, 0);
  EXPECT_EQ(rate->low, 0);
  EXPECT_GT(rate->high, 0.003);
  EXPECT_LT(rate->high, 0.05);
}

TEST(LabelErrorRateTest, IntervalsOfCountsCoverTheirExpectationAsOftenAsTheySay) {
  // Votes drawn from known shares, 300 times: thresholds play no part.
  const std::vector<double> share = {0.05, 0.2, 0.01};
  const std::vector<std::uint64_t> counts = {500, 300, 200};
  const double truth = (500 * 0.05 + 300 * 0.2 + 200 * 0.01) / 1000;
  Random random(1);
  int covered = 0;
  for (int turn = 0; turn < 300; ++turn) {
    std::vector<std::uint64_t> diagonal(3);
    std::vector<OffDiagonal> off;
    for (std::int32_t k = 0; k < 3; ++k) {
      const auto at = static_cast<std::size_t>(k);
      std::uint64_t wrong = 0;
      for (std::uint64_t i = 0; i < counts[at]; ++i) {
        if (random.Uniform() < 0.3) continue;  // Undecided.
        (random.Uniform() < share[at] ? wrong : diagonal[at]) += 1;
      }
      if (wrong > 0) off.push_back({k, (k + 1) % 3, wrong});
    }
    const auto rate = EstimateErrorRate(CompleteJoint({.5, .5, .5}, counts, diagonal, off, 0));
    ASSERT_TRUE(rate);
    covered += rate->low <= truth && truth <= rate->high ? 1 : 0;
  }
  EXPECT_GE(covered, 0.92 * 300);
}

TEST(LabelErrorRateTest, BootstrapCoversWhatALargeSampleSays) {
  const RandomLabelsOptions options = {.label_noise = 0.15, .least_confidence = 0.3};
  const auto truth = EstimateErrorRate(Joint(RandomLabels<double>(99, 200'000, 4, options)));
  ASSERT_TRUE(truth);
  int covered = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto rows = RandomLabels<double>(1000 + seed, 600, 4, options);
    const auto rate = BootstrapErrorRate(rows.View(), rows.labels, {.seed = seed});
    ASSERT_TRUE(rate);
    covered += rate->low <= truth->rate && truth->rate <= rate->high ? 1 : 0;
  }
  // 57 are expected; below 50 would be seen once in a thousand.
  EXPECT_GE(covered, 50);
}

TEST(LabelErrorRateTest, BootstrapDependsOnTheSeedAlone) {
  const auto rows = RandomLabels<float>(5, 800, 6);
  const auto one = BootstrapErrorRate(rows.View(), rows.labels, {.replicates = 40, .seed = 3});
  const auto threaded =
      BootstrapErrorRate(rows.View(), rows.labels, {.replicates = 40, .seed = 3, .threads = 3});
  const auto other = BootstrapErrorRate(rows.View(), rows.labels, {.replicates = 40, .seed = 4});

  ASSERT_TRUE(one && threaded && other);
  EXPECT_EQ(one->low, threaded->low);
  EXPECT_EQ(one->high, threaded->high);
  EXPECT_NE(one->low, other->low);
  EXPECT_EQ(one->rate, EstimateErrorRate(Joint(rows))->rate);
}

TEST(LabelErrorRateTest, BadOptionsAndRowsAreNamed) {
  auto rows = RandomLabels<double>(5, 100, 3);
  for (const double confidence : {0.0, 1.0, -1.0, std::nan("")}) {
    EXPECT_EQ(EstimateErrorRate(Joint(rows), confidence).error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(
        BootstrapErrorRate(rows.View(), rows.labels, {.confidence = confidence}).error().message,
        HasSubstr("confidence"));
  }
  EXPECT_EQ(EstimateErrorRate({}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(BootstrapErrorRate(rows.View(), rows.labels, {.replicates = 19}).error().message,
              HasSubstr("at least 20"));
  rows.Row(4)[0] = 9;
  EXPECT_THAT(BootstrapErrorRate(rows.View(), rows.labels).error().message, HasSubstr("row 4"));
}

}  // namespace
}  // namespace tidewheel::labels
