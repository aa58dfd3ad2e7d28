#include "tidewheel/labels/one_coin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tidewheel/labels/dawid_skene.h"
#include "tidewheel/labels/testing/consensus_properties.h"
#include "tidewheel/labels/testing/simulated_crowd.h"

namespace tidewheel::labels {
namespace {

using internal::SimulatedCrowd;
using testing::HasSubstr;

TEST(OneCoinTest, OneRoundIsTheFormula) {
  // Shares: item 0 (2/3, 1/3), item 1 (0, 1), item 2 (1/2, 1/2).
  SimulatedCrowd crowd;
  crowd.Add(0, 0, 0);
  crowd.Add(0, 1, 0);
  crowd.Add(0, 2, 1);
  crowd.Add(1, 0, 1);
  crowd.Add(2, 1, 0);
  crowd.Add(2, 2, 1);
  const auto fitted = OneCoinDawidSkene(crowd.View(), {.smoothing = 1e-30, .rounds = 1});
  ASSERT_TRUE(fitted.ok());

  const double right[] = {(2.0 / 3 + 1) / 2, (2.0 / 3 + 0.5) / 2, (1.0 / 3 + 0.5) / 2};
  const double prior[] = {(2.0 / 3 + 0 + 0.5) / 3, (1.0 / 3 + 1 + 0.5) / 3};
  const double first = prior[0] * right[0] * right[1] * (1 - right[2]);
  const double second = prior[1] * (1 - right[0]) * (1 - right[1]) * right[2];
  EXPECT_NEAR(fitted->posterior[0], first / (first + second), 1e-12);
  for (std::size_t w = 0; w < 3; ++w) EXPECT_NEAR(fitted->quality[w], right[w], 1e-12);
  const double item1 = prior[0] * (1 - right[0]) + prior[1] * right[0];
  const double item2 = prior[0] * right[1] * (1 - right[2]) + prior[1] * (1 - right[1]) * right[2];
  EXPECT_NEAR(fitted->log_likelihood, std::log(first + second) + std::log(item1) + std::log(item2),
              1e-12);
}

TEST(OneCoinTest, EachRoundClimbsTheLogLikelihoodAndItsSmoothing) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const SimulatedCrowd crowd = internal::SimulateAnything(seed);
    double before = -std::numeric_limits<double>::infinity();
    for (std::uint32_t rounds = 1; rounds < 40; ++rounds) {
      const auto fitted = OneCoinDawidSkene(crowd.View(), {.rounds = rounds, .tolerance = 0});
      double objective = fitted->log_likelihood;
      const std::size_t square = crowd.classes * crowd.classes;
      for (std::size_t w = 0; w < crowd.workers; ++w) {
        // One row: the smoothing counts each way to be wrong once.
        for (std::size_t l = 0; l < crowd.classes; ++l) {
          objective += 0.01 * std::log(fitted->confusion[w * square + l]);
        }
      }
      ASSERT_GE(objective, before - 1e-9) << "seed " << seed << ", round " << rounds;
      before = objective;
    }
  }
}

TEST(OneCoinTest, ConfusionIsOneNumber) {
  const SimulatedCrowd crowd = internal::Simulate(100, 4, 5, 3);
  const auto fitted = OneCoinDawidSkene(crowd.View());
  for (std::size_t w = 0; w < 4; ++w) {
    for (std::size_t k = 0; k < 5; ++k) {
      for (std::size_t l = 0; l < 5; ++l) {
        EXPECT_NEAR(fitted->confusion[(w * 5 + k) * 5 + l],
                    k == l ? fitted->quality[w] : (1 - fitted->quality[w]) / 4, 1e-12);
      }
    }
  }
}

TEST(OneCoinTest, NeedsFewerVotesThanDawidSkeneWhereItsModelHolds) {
  double ours = 0;
  double full = 0;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const SimulatedCrowd crowd = internal::Simulate(60, 6, 8, seed);
    ours += Accuracy(*OneCoinDawidSkene(crowd.View()), crowd);
    full += Accuracy(*DawidSkene(crowd.View()), crowd);
  }
  EXPECT_GT(ours, full);
}

TEST(OneCoinTest, BadOptionsAreNamed) {
  const SimulatedCrowd crowd = internal::Simulate(20, 3, 2, 1);
  for (const OneCoinOptions& options :
       {OneCoinOptions{.smoothing = 0}, OneCoinOptions{.smoothing = std::nan("")},
        OneCoinOptions{.rounds = 0}, OneCoinOptions{.tolerance = -1}}) {
    const auto fitted = OneCoinDawidSkene(crowd.View(), options);
    ASSERT_FALSE(fitted.ok());
    EXPECT_THAT(fitted.error().message, HasSubstr("one-coin Dawid-Skene needs"));
  }
}

}  // namespace
}  // namespace tidewheel::labels
