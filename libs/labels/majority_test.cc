#include "tidewheel/labels/majority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tidewheel/labels/testing/consensus_properties.h"
#include "tidewheel/labels/testing/simulated_crowd.h"

namespace tidewheel::labels {
namespace {

using internal::SimulatedCrowd;
using testing::HasSubstr;

TEST(MajorityTest, SharesAreThePosterior) {
  SimulatedCrowd crowd;
  for (const auto& [w, l] : {std::pair{0, 1}, std::pair{1, 1}, std::pair{2, 0}}) crowd.Add(0, w, l);
  crowd.Add(1, 0, 0);
  const auto consensus = Majority(crowd.View());

  ASSERT_TRUE(consensus.ok());
  EXPECT_DOUBLE_EQ(consensus->posterior[1], 2.0 / 3);
  EXPECT_EQ(consensus->label[0], 1);
  EXPECT_EQ(consensus->label[1], 0);
  EXPECT_EQ(consensus->ties, 0U);
}

TEST(MajorityTest, TiesGoToTheLargerPriorThenTheSmallerIndex) {
  SimulatedCrowd crowd;
  crowd.Add(0, 0, 1);
  crowd.Add(1, 0, 0);
  crowd.Add(1, 1, 1);
  const auto larger_prior = Majority(crowd.View());
  EXPECT_EQ(larger_prior->label[1], 1);
  EXPECT_EQ(larger_prior->tied[1], 1);
  EXPECT_EQ(larger_prior->ties, 1U);

  SimulatedCrowd even;
  even.Add(0, 0, 0);
  even.Add(0, 1, 1);
  EXPECT_EQ(Majority(even.View())->label[0], 0);
}

TEST(MajorityTest, RepeatedVotesCountEach) {
  SimulatedCrowd crowd;
  crowd.Add(0, 0, 1);
  crowd.Add(0, 0, 1);
  crowd.Add(0, 1, 0);
  EXPECT_DOUBLE_EQ(Majority(crowd.View())->posterior[1], 2.0 / 3);
}

TEST(WeightedMajorityTest, WeightsCountAndOnlyTheirRatios) {
  SimulatedCrowd crowd;
  crowd.Add(0, 0, 0);
  crowd.Add(0, 1, 0);
  crowd.Add(0, 2, 1);
  crowd.Add(1, 3, 1);
  const std::vector<double> weight = {1, 1, 3, 0};
  const std::vector<double> huge = {1e308, 1e308, 1e308, 0};
  const auto consensus = WeightedMajority(crowd.View(), weight);

  ASSERT_TRUE(consensus.ok());
  EXPECT_DOUBLE_EQ(consensus->posterior[1], 0.6);
  EXPECT_EQ(consensus->label[0], 1);
  EXPECT_EQ(consensus->posterior[3], 1);  // No weight at all: the plain shares.
  EXPECT_DOUBLE_EQ(WeightedMajority(crowd.View(), huge)->posterior[1], 1.0 / 3);
}

TEST(WeightedMajorityTest, EqualWeightsAreTheMajority) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const SimulatedCrowd crowd = internal::SimulateAnything(seed);
    const std::vector<double> weight(crowd.workers, 0.7);
    const auto majority = Majority(crowd.View());
    const auto weighted = WeightedMajority(crowd.View(), weight);
    EXPECT_EQ(majority->label, weighted->label);
    EXPECT_EQ(majority->tied, weighted->tied);
    for (std::size_t n = 0; n < majority->posterior.size(); ++n) {
      ASSERT_NEAR(majority->posterior[n], weighted->posterior[n], 1e-12);
    }
  }
}

TEST(WeightedMajorityTest, BadWeightsAreNamed) {
  SimulatedCrowd crowd;
  crowd.Add(0, 0, 0);
  crowd.Add(0, 1, 1);
  const auto error_of = [&](std::vector<double> weight) {
    return WeightedMajority(crowd.View(), weight).error().message;
  };
  EXPECT_THAT(error_of({1}), HasSubstr("1 weights for 2 workers"));
  EXPECT_THAT(error_of({1, -1}), HasSubstr("weight of worker 1"));
  EXPECT_THAT(error_of({std::nan(""), 1}), HasSubstr("weight of worker 0"));
  EXPECT_THAT(error_of({1, std::numeric_limits<double>::infinity()}),
              HasSubstr("weight of worker 1"));
}

TEST(WawaTest, VotesOfThoseWhoAgreeWithTheManyWeighMore) {
  // Worker 3 is with the majority on one of four items, workers 0 and 1 on three and four.
  SimulatedCrowd crowd;
  for (std::int32_t i = 0; i < 3; ++i) {
    for (std::int32_t w = 0; w < 3; ++w) crowd.Add(i, w, 0);
    crowd.Add(i, 3, 1);
  }
  crowd.Add(3, 0, 1);
  crowd.Add(3, 3, 0);
  crowd.Add(3, 4, 0);
  const auto consensus = Wawa(crowd.View());

  ASSERT_TRUE(consensus.ok());
  EXPECT_DOUBLE_EQ(consensus->quality[0], 0.75);
  EXPECT_DOUBLE_EQ(consensus->quality[3], 0.25);
  EXPECT_DOUBLE_EQ(consensus->quality[4], 1);
  EXPECT_DOUBLE_EQ(consensus->posterior[3 * 2], 1.25 / 2);
}

}  // namespace
}  // namespace tidewheel::labels
