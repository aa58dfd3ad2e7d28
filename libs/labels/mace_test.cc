#include "tidewheel/labels/mace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tidewheel/base/random.h"
#include "tidewheel/labels/testing/consensus_properties.h"
#include "tidewheel/labels/testing/simulated_crowd.h"

namespace tidewheel::labels {
namespace {

using internal::SimulatedCrowd;
using testing::HasSubstr;

/// Workers who know with their probability and else guess, always the same class or any.
SimulatedCrowd Guessers(std::size_t items, std::uint64_t seed) {
  Random random(seed);
  SimulatedCrowd crowd;
  for (std::size_t i = 0; i < items; ++i) {
    crowd.truth.push_back(static_cast<std::int32_t>(random.Below(3)));
    for (std::int32_t w = 0; w < 6; ++w) {
      const bool knows = random.Uniform() < 0.15 * (1 + w);
      const auto guess = w % 2 == 0 ? 2 : static_cast<std::int32_t>(random.Below(3));
      crowd.Add(static_cast<std::int32_t>(i), w, knows ? crowd.truth.back() : guess);
    }
  }
  return crowd;
}

TEST(MaceTest, FindsHowOftenWorkersKnowAndHowTheyGuess) {
  const SimulatedCrowd crowd = Guessers(4'000, 5);
  const auto fitted = Mace(crowd.View(), {.rounds = 300});
  ASSERT_TRUE(fitted.ok());
  for (std::size_t w = 0; w < 6; ++w) {
    EXPECT_NEAR(fitted->competence[w], 0.15 * (1 + static_cast<double>(w)), 0.06) << w;
  }
  EXPECT_GT(fitted->guesses[0 * 3 + 2], 0.95);
  EXPECT_NEAR(fitted->guesses[1 * 3 + 2], 1.0 / 3, 0.06);
}

TEST(MaceTest, TakesTheLikeliestRestartAndIsSeeded) {
  const SimulatedCrowd crowd = Guessers(60, 7);
  const auto fitted = Mace(crowd.View(), {.rounds = 5, .seed = 4});
  const auto again = Mace(crowd.View(), {.rounds = 5, .seed = 4});
  const auto other = Mace(crowd.View(), {.rounds = 5, .seed = 5});

  ASSERT_EQ(fitted->restarts.size(), 10U);
  EXPECT_EQ(fitted->restarts[fitted->best],
            *std::max_element(fitted->restarts.begin(), fitted->restarts.end()));
  EXPECT_EQ(fitted->consensus.log_likelihood, fitted->restarts[fitted->best]);
  EXPECT_NE(fitted->restarts[0], fitted->restarts[1]);  // Restarts start from different places.
  internal::ExpectSame(fitted->consensus, again->consensus);
  EXPECT_NE(fitted->restarts, other->restarts);
}

TEST(MaceTest, FirstRestartIsTheSameHoweverManyFollow) {
  const SimulatedCrowd crowd = Guessers(60, 7);
  const auto one = Mace(crowd.View(), {.restarts = 1});
  const auto ten = Mace(crowd.View(), {.restarts = 10});
  EXPECT_EQ(one->restarts[0], ten->restarts[0]);
}

TEST(MaceTest, LogLikelihoodIsThatOfTheModel) {
  for (const bool variational : {false, true}) {
    const SimulatedCrowd crowd = Guessers(40, 9);
    // From the parameters: variational ones are only known up to their sums, which are not given.
    const auto fitted = Mace(crowd.View(), {.estimate_prior = false, .variational = variational});
    double expected = 0;
    for (std::size_t i = 0; i < crowd.items; ++i) {
      double likelihood = 0;
      for (std::size_t k = 0; k < 3; ++k) {
        double product = 1.0 / 3;
        for (std::size_t v = 0; v < crowd.item.size(); ++v) {
          if (static_cast<std::size_t>(crowd.item[v]) != i) continue;
          const auto w = static_cast<std::size_t>(crowd.worker[v]);
          const auto l = static_cast<std::size_t>(crowd.label[v]);
          product *= fitted->consensus.confusion[(w * 3 + k) * 3 + l];
        }
        likelihood += product;
      }
      expected += std::log(likelihood);
    }
    if (variational) {
      EXPECT_LT(fitted->consensus.log_likelihood, expected);
    } else {
      EXPECT_NEAR(fitted->consensus.log_likelihood, expected, 1e-9 * std::abs(expected));
    }
  }
}

TEST(MaceTest, EachRoundClimbsTheLogLikelihoodAndItsSmoothing) {
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const SimulatedCrowd crowd = internal::SimulateAnything(seed);
    const double smoothing = 0.01 / static_cast<double>(crowd.classes);
    double before = -std::numeric_limits<double>::infinity();
    for (std::uint32_t rounds = 1; rounds < 40; ++rounds) {
      const auto fitted = Mace(crowd.View(), {.restarts = 1, .rounds = rounds, .tolerance = 0});
      double objective = fitted->consensus.log_likelihood;
      for (const double knows : fitted->competence) {
        objective += smoothing * (std::log(knows) + std::log(1 - knows));
      }
      for (const double guess : fitted->guesses) objective += smoothing * std::log(guess);
      ASSERT_GE(objective, before - 1e-8) << "seed " << seed << ", round " << rounds;
      before = objective;
    }
  }
}

TEST(MaceTest, IsWholeByVariationalBayesToo) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const SimulatedCrowd crowd = internal::SimulateAnything(seed);
    const auto fitted = Mace(crowd.View(), {.variational = true});
    ASSERT_TRUE(fitted.ok());
    internal::ExpectWhole(fitted->consensus, crowd);
    internal::ExpectRowsSumTo1(fitted->guesses, crowd.classes, "guesses");
  }
}

TEST(MaceTest, BadOptionsAreNamed) {
  const SimulatedCrowd crowd = Guessers(10, 1);
  for (const MaceOptions& options :
       {MaceOptions{.restarts = 0}, MaceOptions{.rounds = 0}, MaceOptions{.tolerance = -1},
        MaceOptions{.noise = -1}, MaceOptions{.beta_prior = 0},
        MaceOptions{.dirichlet_prior = std::nan("")}}) {
    const auto fitted = Mace(crowd.View(), options);
    ASSERT_FALSE(fitted.ok());
    EXPECT_THAT(fitted.error().message, HasSubstr("MACE needs"));
  }
}

}  // namespace
}  // namespace tidewheel::labels
