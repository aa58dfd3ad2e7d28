#include "tidewheel/labeling/domain/consensus.h"

#include <gtest/gtest.h>

#include "tidewheel/base/random.h"

namespace tidewheel::labeling {
namespace {

void Add(VoteTable& votes, std::size_t item, std::int32_t worker, std::int32_t label) {
  votes.item.push_back(static_cast<std::int32_t>(item));
  votes.worker.push_back(worker);
  votes.label.push_back(label);
  votes.items = std::max(votes.items, item + 1);
}

/// Two workers agree on many items, of class 2 on few; a third voted on 150 of class 0 with them,
/// and then alone: 24 of class 1, 20 of class 0 and 4 of class 2.
VoteTable RareClassSeenByOneAlone() {
  VoteTable votes;
  votes.workers = 3;
  votes.classes = 3;
  std::size_t item = 0;
  const auto together = [&](std::size_t count, std::int32_t label, bool third) {
    for (std::size_t i = 0; i < count; ++i, ++item) {
      Add(votes, item, 0, label);
      Add(votes, item, 1, label);
      if (third) Add(votes, item, 2, i == 0 ? 1 : label);
    }
  };
  together(150, 0, true);
  together(380, 0, false);
  together(900, 1, false);
  together(45, 2, false);
  for (const auto& [count, label] : {std::pair{24, 1}, {20, 0}, {4, 2}}) {
    for (int i = 0; i < count; ++i) Add(votes, item++, 2, label);
  }
  return votes;
}

TEST(ConsensusTest, ALoneVoteForARareClassIsNotExplainedAway) {
  const VoteTable votes = RareClassSeenByOneAlone();
  const auto consensus = FindConsensus(votes, ConsensusMethod::kDawidSkene);
  ASSERT_TRUE(consensus.ok()) << consensus.error().message;
  for (std::size_t v = 0; v < votes.item.size(); ++v) {
    if (v < votes.item.size() - 48) continue;
    const auto item = static_cast<std::size_t>(votes.item[v]);
    EXPECT_EQ(consensus->label[item], votes.label[v]) << "item " << item;
    EXPECT_GT(consensus->confidence[item], 0.8) << "item " << item;
    EXPECT_EQ(consensus->tied[item], 0);
  }
  EXPECT_GT(consensus->quality[2], 0.9);
  EXPECT_GT(consensus->quality[0], consensus->quality[2]);
}

TEST(ConsensusTest, WhatThreeAgreeOnIsNotExplainedAwayWhereTheyWereNeverSeenWithIt) {
  VoteTable votes = RareClassSeenByOneAlone();
  votes.workers = 5;
  // Two more who were seen with class 0 alone.
  for (int item = 0; item < 150; ++item) {
    for (const int worker : {3, 4})
      Add(votes, static_cast<std::size_t>(item), worker, item == 9 * worker ? 2 : 0);
  }
  std::vector<std::size_t> unanimous;
  for (std::size_t v = 0; v < votes.item.size(); ++v) {
    if (votes.worker[v] == 2 && votes.label[v] == 2) {
      unanimous.push_back(static_cast<std::size_t>(votes.item[v]));
    }
  }
  ASSERT_EQ(unanimous.size(), 4U);
  for (const std::size_t item : unanimous) {
    for (const int worker : {3, 4}) Add(votes, item, worker, 2);
  }
  const auto consensus = FindConsensus(votes, ConsensusMethod::kDawidSkene);
  ASSERT_TRUE(consensus.ok()) << consensus.error().message;
  for (const std::size_t item : unanimous) {
    EXPECT_EQ(consensus->label[item], 2) << "item " << item;
    EXPECT_GT(consensus->confidence[item], 0.95) << "item " << item;
  }
}

TEST(ConsensusTest, ALoneVoteOfAWorkerWhoIsKnownToGuessIsBelievedLess) {
  VoteTable votes;
  votes.workers = 4;
  votes.classes = 2;
  Random random(7);
  std::size_t item = 0;
  for (; item < 300; ++item) {
    const auto truth = static_cast<std::int32_t>(item % 2);
    for (std::int32_t worker = 0; worker < 3; ++worker) {
      Add(votes, item, worker, random.Uniform() < 0.95 ? truth : 1 - truth);
    }
    Add(votes, item, 3, static_cast<std::int32_t>(random.Below(2)));
  }
  Add(votes, item, 0, 1);
  Add(votes, item + 1, 3, 1);
  const auto consensus = FindConsensus(votes, ConsensusMethod::kDawidSkene);
  ASSERT_TRUE(consensus.ok()) << consensus.error().message;
  EXPECT_GT(consensus->confidence[item], 0.9);
  EXPECT_LT(consensus->confidence[item + 1], 0.7);
}

TEST(ConsensusTest, WhereAllItemsAreSharedOrNoneLabelsAreAsEver) {
  VoteTable alone;
  alone.workers = 1;
  alone.classes = 2;
  for (std::size_t i = 0; i < 10; ++i) Add(alone, i, 0, i < 9 ? 0 : 1);
  const auto own = FindConsensus(alone, ConsensusMethod::kDawidSkene);
  ASSERT_TRUE(own.ok());
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(own->label[i], alone.label[i]);

  VoteTable shared;
  shared.workers = 2;
  shared.classes = 2;
  for (std::size_t i = 0; i < 10; ++i) {
    Add(shared, i, 0, i % 2 == 0 ? 0 : 1);
    Add(shared, i, 1, i % 2 == 0 ? 0 : 1);
  }
  const auto both = FindConsensus(shared, ConsensusMethod::kDawidSkene);
  ASSERT_TRUE(both.ok());
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(both->label[i], i % 2 == 0 ? 0 : 1);
}

TEST(ConsensusTest, BadVotesAreNamed) {
  VoteTable votes;
  votes.workers = 1;
  votes.classes = 2;
  EXPECT_FALSE(FindConsensus(votes, ConsensusMethod::kDawidSkene).ok());
  Add(votes, 0, 0, 2);
  EXPECT_EQ(FindConsensus(votes, ConsensusMethod::kDawidSkene).error().code,
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace tidewheel::labeling
