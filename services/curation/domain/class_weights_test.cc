#include "tidewheel/curation/domain/class_weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::curation {
namespace {

double MeanOverSamples(const std::vector<std::uint64_t>& counts,
                       const std::vector<double>& weights) {
  double mass = 0;
  double samples = 0;
  for (std::size_t c = 0; c < counts.size(); ++c) {
    mass += static_cast<double>(counts[c]) * weights[c];
    samples += static_cast<double>(counts[c]);
  }
  return mass / samples;
}

TEST(ClassWeightsTest, InverseFrequencyGivesEachClassTheSameMass) {
  const std::vector<std::uint64_t> counts{723, 35, 429};

  const auto weights = *ClassWeights(counts, ClassWeighting::kInverseFrequency);

  for (std::size_t c = 0; c < counts.size(); ++c) {
    EXPECT_NEAR(weights[c], 1187.0 / (3.0 * static_cast<double>(counts[c])), 1e-12);
  }
}

TEST(ClassWeightsTest, WeightsAverageOneOverTheTrainingSplitWhateverTheCounts) {
  Random random(11);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::uint64_t> counts(2 + random.Below(30));
    for (auto& count : counts) count = 1 + random.Below(10'000);
    for (const auto weighting :
         {ClassWeighting::kNone, ClassWeighting::kInverseFrequency,
          ClassWeighting::kEffectiveNumber, ClassWeighting::kRootInverseFrequency}) {
      EXPECT_NEAR(MeanOverSamples(counts, *ClassWeights(counts, weighting)), 1, 1e-9);
    }
  }
}

TEST(ClassWeightsTest, RarerClassesNeverWeighLess) {
  Random random(12);
  for (int round = 0; round < 200; ++round) {
    const std::vector<std::uint64_t> counts{1 + random.Below(5'000), 1 + random.Below(5'000)};
    for (const auto weighting :
         {ClassWeighting::kInverseFrequency, ClassWeighting::kEffectiveNumber,
          ClassWeighting::kRootInverseFrequency}) {
      const auto weights = *ClassWeights(counts, weighting);
      EXPECT_EQ(counts[0] <= counts[1], weights[0] >= weights[1] - 1e-12);
    }
  }
}

TEST(ClassWeightsTest, EffectiveNumberFollowsItsDefinition) {
  const std::vector<std::uint64_t> counts{5'000, 50};

  const auto weights = *ClassWeights(counts, ClassWeighting::kEffectiveNumber);

  const auto effective = [](double n) { return (1 - std::pow(0.999, n)) / (1 - 0.999); };
  EXPECT_NEAR(weights[1] / weights[0], effective(5'000) / effective(50), 1e-9);
}

TEST(ClassWeightsTest, RootsLieBetweenNoneAndTheInverse) {
  const std::vector<std::uint64_t> counts{900, 100};

  const auto weights = *ClassWeights(counts, ClassWeighting::kRootInverseFrequency);

  EXPECT_NEAR(weights[1] / weights[0], 3, 1e-12);
  EXPECT_NEAR(0.9 * weights[0] + 0.1 * weights[1], 1, 1e-12);
  EXPECT_FALSE(
      ClassWeights(std::vector<std::uint64_t>{0, 0}, ClassWeighting::kRootInverseFrequency).ok());
}

TEST(ClassWeightsTest, WithoutWeightingAllWeighOneExactly) {
  const auto weights = ClassWeights(std::vector<std::uint64_t>{7, 3}, ClassWeighting::kNone);

  ASSERT_TRUE(weights.ok());
  EXPECT_EQ(*weights, (std::vector<double>{1, 1}));
}

}  // namespace
}  // namespace tidewheel::curation
