// What every method owes, whatever it thinks of the votes.
#include "tidewheel/labels/consensus.h"

#include <gtest/gtest.h>

#include <string>

#include "tidewheel/labels/choice.h"
#include "tidewheel/labels/testing/consensus_properties.h"
#include "tidewheel/labels/testing/simulated_crowd.h"

namespace tidewheel::labels {
namespace {

using internal::SimulatedCrowd;

class ConsensusTest : public testing::TestWithParam<ConsensusMethod> {
 protected:
  static Consensus Of(const SimulatedCrowd& crowd, const ConsensusOptions& options = {}) {
    auto found = FindConsensus(crowd.View(), GetParam(), options);
    EXPECT_TRUE(found.ok()) << (found.ok() ? "" : found.error().message);
    return found.ok() ? *std::move(found) : Consensus{};
  }
};

TEST_P(ConsensusTest, IsWholeForVotesOfAnyShape) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const SimulatedCrowd crowd = internal::SimulateAnything(seed);
    internal::ExpectWhole(Of(crowd), crowd);
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed;
  }
}

TEST_P(ConsensusTest, DoesNotDependOnTheOrderOfVotesToTheBit) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const SimulatedCrowd crowd = internal::SimulateAnything(seed);
    internal::ExpectSame(Of(crowd), Of(internal::Reordered(crowd, seed)));
  }
}

TEST_P(ConsensusTest, DoesNotDependOnTheNamesOfItemsWorkersAndClasses) {
  // Enough rounds to forget where MACE starts.
  ConsensusOptions options;
  options.mace.rounds = 2'000;
  options.mace.tolerance = 1e-13;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const SimulatedCrowd crowd = internal::Simulate(60, 6, 2 + seed % 4, seed);
    const auto renamed = internal::Rename(crowd, seed);
    const double tolerance = GetParam() == ConsensusMethod::kMace ? 1e-5 : 1e-9;
    internal::ExpectSameRenamed(Of(crowd, options), Of(renamed.crowd, options), renamed, tolerance);
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed;
  }
}

TEST_P(ConsensusTest, AbstentionsAreAsIfNotThere) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const SimulatedCrowd crowd = internal::SimulateAnything(seed);
    SimulatedCrowd without = crowd;
    without.item.clear();
    without.worker.clear();
    without.label.clear();
    for (std::size_t v = 0; v < crowd.item.size(); ++v) {
      if (crowd.label[v] == kAbstain) continue;
      without.item.push_back(crowd.item[v]);
      without.worker.push_back(crowd.worker[v]);
      without.label.push_back(crowd.label[v]);
    }
    internal::ExpectSame(Of(crowd), Of(without));
  }
}

TEST_P(ConsensusTest, UnanimousVotesAreTheConsensus) {
  SimulatedCrowd crowd;
  for (std::int32_t i = 0; i < 30; ++i) {
    for (std::int32_t w = 0; w < 3; ++w) crowd.Add(i, w, i % 3);
  }
  const Consensus consensus = Of(crowd);
  for (std::int32_t i = 0; i < 30; ++i) {
    EXPECT_EQ(consensus.label[static_cast<std::size_t>(i)], i % 3);
  }
  for (const double quality : consensus.quality) EXPECT_GT(quality, 0.9);
  EXPECT_EQ(consensus.ties, 0U);
}

TEST_P(ConsensusTest, AllVotesForOneClassLeaveNothingElse) {
  SimulatedCrowd crowd;
  for (std::int32_t i = 0; i < 10; ++i) {
    for (std::int32_t w = 0; w < 3; ++w) crowd.Add(i, w, 1);
  }
  crowd.classes = 4;
  const Consensus consensus = Of(crowd);
  internal::ExpectWhole(consensus, crowd);
  for (const std::int32_t label : consensus.label) EXPECT_EQ(label, 1);
}

TEST_P(ConsensusTest, IsBetterThanTheMeanWorkerAndTellsTheGoodFromTheBad) {
  const SimulatedCrowd crowd = internal::Simulate(1'500, 8, 3, 4);
  const Consensus consensus = Of(crowd);
  EXPECT_GT(internal::Accuracy(consensus, crowd), 0.9);
  EXPECT_GT(consensus.quality.back(), consensus.quality.front() + 0.1);
}

TEST_P(ConsensusTest, ItemWithoutVotesGetsThePrior) {
  SimulatedCrowd crowd = internal::Simulate(40, 4, 3, 8);
  crowd.items += 2;
  const Consensus consensus = Of(crowd);
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(consensus.posterior[41 * 3 + k], consensus.prior[k]);
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, ConsensusTest, testing::ValuesIn(kAllConsensusMethods),
                         [](const auto& named) {
                           std::string name(Name(named.param));
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace tidewheel::labels
