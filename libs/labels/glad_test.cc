#include "tidewheel/labels/glad.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tidewheel/base/random.h"
#include "tidewheel/labels/testing/consensus_properties.h"
#include "tidewheel/labels/testing/simulated_crowd.h"

namespace tidewheel::labels {
namespace {

using internal::SimulatedCrowd;
using testing::HasSubstr;

/// The objective of the header, straight from its words.
double ObjectiveOf(const SimulatedCrowd& crowd, const std::vector<double>& ability,
                   const std::vector<double>& difficulty) {
  const double others = static_cast<double>(crowd.classes - 1);
  double sum = 0;
  for (std::size_t i = 0; i < crowd.items; ++i) {
    double likelihood = 0;
    for (std::size_t k = 0; k < crowd.classes; ++k) {
      double product = 1 / static_cast<double>(crowd.classes);
      for (std::size_t v = 0; v < crowd.item.size(); ++v) {
        if (static_cast<std::size_t>(crowd.item[v]) != i || crowd.label[v] == kAbstain) continue;
        const double a = ability[static_cast<std::size_t>(crowd.worker[v])];
        const double right = 1 / (1 + std::exp(-a / difficulty[i]));
        product *= static_cast<std::size_t>(crowd.label[v]) == k ? right : (1 - right) / others;
      }
      likelihood += product;
    }
    sum += std::log(likelihood);
  }
  for (const double a : ability) sum -= 0.5 * (a - 1) * (a - 1);
  for (const double d : difficulty) sum -= 0.5 * (-std::log(d) - 1) * (-std::log(d) - 1);
  return sum;
}

TEST(GladTest, ObjectiveIsThatOfTheModel) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const SimulatedCrowd crowd = internal::SimulateAnything(seed);
    const auto fitted = Glad(crowd.View());
    ASSERT_TRUE(fitted.ok());
    ASSERT_NEAR(fitted->objective, ObjectiveOf(crowd, fitted->ability, fitted->difficulty), 1e-8);
  }
}

TEST(GladTest, NoRoundMakesTheObjectiveFall) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const SimulatedCrowd crowd = internal::SimulateAnything(seed);
    double before = -std::numeric_limits<double>::infinity();
    for (std::uint32_t rounds = 1; rounds < 40; ++rounds) {
      const auto fitted = Glad(crowd.View(), {.rounds = rounds, .tolerance = 0});
      ASSERT_GE(fitted->objective, before - 1e-9) << "seed " << seed << ", round " << rounds;
      before = fitted->objective;
    }
  }
}

TEST(GladTest, EndsWhereNoParameterWantsToMove) {
  const SimulatedCrowd crowd = internal::Simulate(30, 5, 3, 2);
  const auto fitted = Glad(crowd.View(), {.rounds = 3'000, .tolerance = 0});
  const double best = ObjectiveOf(crowd, fitted->ability, fitted->difficulty);
  for (const double move : {-1e-3, 1e-3}) {
    for (std::size_t w = 0; w < crowd.workers; ++w) {
      auto ability = fitted->ability;
      ability[w] += move;
      EXPECT_LE(ObjectiveOf(crowd, ability, fitted->difficulty), best);
    }
    for (std::size_t i = 0; i < crowd.items; ++i) {
      auto difficulty = fitted->difficulty;
      difficulty[i] *= std::exp(move);
      EXPECT_LE(ObjectiveOf(crowd, fitted->ability, difficulty), best);
    }
  }
}

TEST(GladTest, HardItemsAreTheOnesThatGoodWorkersMiss) {
  Random random(3);
  SimulatedCrowd crowd;
  for (std::int32_t i = 0; i < 400; ++i) {
    crowd.truth.push_back(static_cast<std::int32_t>(random.Below(2)));
    const bool hard = i % 2 == 0;
    for (std::int32_t w = 0; w < 8; ++w) {
      const double quality = hard ? 0.6 : 0.95;
      crowd.Add(i, w, random.Uniform() < quality ? crowd.truth.back() : 1 - crowd.truth.back());
    }
  }
  const auto fitted = Glad(crowd.View());
  double hard = 0;
  double easy = 0;
  for (std::size_t i = 0; i < 400; ++i) (i % 2 == 0 ? hard : easy) += fitted->difficulty[i] / 200;
  EXPECT_GT(hard, 1.2 * easy);
}

TEST(GladTest, WorkerAgainstTheTruthHasAnAbilityBelow0) {
  SimulatedCrowd crowd;
  for (std::int32_t i = 0; i < 60; ++i) {
    for (std::int32_t w = 0; w < 3; ++w) crowd.Add(i, w, i % 2);
    crowd.Add(i, 3, 1 - i % 2);
  }
  const auto fitted = Glad(crowd.View());
  EXPECT_GT(fitted->ability[0], 0.5);
  EXPECT_LT(fitted->ability[3], -0.5);
}

TEST(GladTest, EstimatedPriorFollowsTheVotes) {
  SimulatedCrowd crowd = internal::Simulate(200, 5, 3, 6);
  for (std::size_t v = 0; v < crowd.label.size(); ++v) {
    if (crowd.item[v] >= 40) crowd.label[v] = 0;
  }
  const auto alike = Glad(crowd.View());
  const auto estimated = Glad(crowd.View(), {.estimate_prior = true});
  EXPECT_GT(estimated->consensus.log_likelihood, alike->consensus.log_likelihood);
  EXPECT_GT(estimated->consensus.prior[0], 0.8);
}

TEST(GladTest, BadOptionsAreNamed) {
  const SimulatedCrowd crowd = internal::Simulate(20, 3, 2, 1);
  for (const GladOptions& options : {GladOptions{.rounds = 0}, GladOptions{.steps = 0},
                                     GladOptions{.tolerance = std::nan("")}}) {
    const auto fitted = Glad(crowd.View(), options);
    ASSERT_FALSE(fitted.ok());
    EXPECT_THAT(fitted.error().message, HasSubstr("GLAD needs"));
  }
}

}  // namespace
}  // namespace tidewheel::labels
