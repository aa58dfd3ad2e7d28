#include "tidewheel/labels/votes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tidewheel/labels/choice.h"
#include "tidewheel/labels/crowdlab.h"
#include "tidewheel/labels/internal/packed_votes.h"
#include "tidewheel/labels/testing/simulated_crowd.h"

namespace tidewheel::labels {
namespace {

using internal::SimulatedCrowd;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(VotesTest, LastVotesOfEachWorkerStayInTheirOrder) {
  SimulatedCrowd crowd;
  crowd.Add(0, 0, 1);
  crowd.Add(1, 0, 0);
  crowd.Add(0, 1, 0);
  crowd.Add(0, 0, 0);
  crowd.Add(1, 1, 1);
  crowd.Add(1, 1, kAbstain);
  const auto kept = KeepLastVotes(crowd.View());

  ASSERT_TRUE(kept.ok());
  EXPECT_THAT(kept->item, ElementsAre(1, 0, 0));
  EXPECT_THAT(kept->worker, ElementsAre(0, 1, 0));
  EXPECT_THAT(kept->label, ElementsAre(0, 0, 0));
}

TEST(PackedVotesTest, KeepsEveryVoteButAbstentionsByItemInAscendingOrder) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const SimulatedCrowd crowd = internal::SimulateAnything(seed);
    const auto packed = internal::PackedVotes::Of(crowd.View());
    ASSERT_TRUE(packed.ok());
    std::vector<std::vector<std::uint32_t>> expected(crowd.items);
    for (std::size_t v = 0; v < crowd.item.size(); ++v) {
      if (crowd.label[v] == kAbstain) continue;
      expected[static_cast<std::size_t>(crowd.item[v])].push_back(
          static_cast<std::uint32_t>(static_cast<std::size_t>(crowd.worker[v]) * crowd.classes +
                                     static_cast<std::size_t>(crowd.label[v])));
    }
    for (std::size_t i = 0; i < crowd.items; ++i) {
      std::sort(expected[i].begin(), expected[i].end());
      const auto of_item = packed->of(i);
      ASSERT_EQ(std::vector<std::uint32_t>(of_item.begin(), of_item.end()), expected[i]);
    }
  }
}

TEST(PackedVotesTest, ManyVotesOfOneItemAscendToo) {
  SimulatedCrowd crowd;
  for (std::int32_t w = 99; w >= 0; --w) crowd.Add(0, w, w % 3);
  const auto packed = internal::PackedVotes::Of(crowd.View());
  EXPECT_TRUE(std::is_sorted(packed->of(0).begin(), packed->of(0).end()));
  EXPECT_EQ(packed->of(0).size(), 100U);
}

/// Every function of votes, by what its error says.
class BadVotesTest : public testing::TestWithParam<ConsensusMethod> {
 protected:
  static std::string ErrorOf(const Votes& votes) {
    const auto found = FindConsensus(votes, GetParam());
    return found.ok() ? "" : found.error().message;
  }
};

TEST_P(BadVotesTest, HaveANamedError) {
  SimulatedCrowd crowd;
  crowd.Add(0, 0, 1);
  crowd.Add(0, 1, 1);
  crowd.Add(1, 1, 0);
  ASSERT_EQ(ErrorOf(crowd.View()), "");

  Votes votes = crowd.View();
  votes.classes = 1;
  EXPECT_THAT(ErrorOf(votes), HasSubstr("at least 2 classes, not 1"));
  votes = crowd.View();
  votes.items = 1;
  EXPECT_THAT(ErrorOf(votes), HasSubstr("vote 2 (item 1, worker 1, label 0) is out of range"));
  votes = crowd.View();
  votes.workers = 1;
  EXPECT_THAT(ErrorOf(votes), HasSubstr("vote 1 (item 0, worker 1"));
  EXPECT_THAT(ErrorOf(Votes{{}, {}, {}, 1, 1, 2}), HasSubstr("there are no votes"));
  votes = crowd.View();
  votes.worker = votes.worker.first(2);
  EXPECT_THAT(ErrorOf(votes), HasSubstr("3 items, 2 workers and 3 labels"));
  votes = crowd.View();
  votes.workers = std::size_t{1} << 40;
  EXPECT_THAT(ErrorOf(votes), HasSubstr("the limit"));
  votes = crowd.View();
  votes.workers = 1'000'000;
  votes.classes = 4'000;
  EXPECT_THAT(ErrorOf(votes), HasSubstr("confusion matrices of 1000000 workers"));

  for (const std::int32_t label : {-2, 2}) {
    SimulatedCrowd wrong = crowd;
    wrong.label[1] = label;
    wrong.classes = 2;
    EXPECT_THAT(ErrorOf(wrong.View()), HasSubstr("label " + std::to_string(label)));
  }
  SimulatedCrowd silent = crowd;
  silent.label.assign(3, kAbstain);
  EXPECT_THAT(ErrorOf(silent.View()), HasSubstr("no votes but abstentions"));
}

TEST_P(BadVotesTest, OneWorkerAloneIsNotJudged) {
  SimulatedCrowd alone;
  for (std::int32_t i = 0; i < 5; ++i) alone.Add(i, 0, i % 2);
  SimulatedCrowd apart = alone;
  apart.Add(5, 1, 1);
  if (GetParam() == ConsensusMethod::kMajority) {
    EXPECT_EQ(ErrorOf(alone.View()), "");
    return;
  }
  EXPECT_THAT(ErrorOf(alone.View()), HasSubstr("only one worker voted"));
  EXPECT_THAT(ErrorOf(apart.View()), HasSubstr("the 2 workers share none"));
  EXPECT_EQ(FindConsensus(alone.View(), GetParam()).error().code, ErrorCode::kFailedPrecondition);
}

INSTANTIATE_TEST_SUITE_P(Methods, BadVotesTest, testing::ValuesIn(kAllConsensusMethods),
                         [](const auto& named) {
                           std::string name(Name(named.param));
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace tidewheel::labels
