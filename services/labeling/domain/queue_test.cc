#include "tidewheel/labeling/domain/queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tidewheel::labeling {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

NewBatch BatchOf(const std::vector<double>& priorities) {
  NewBatch batch{.batch_id = "b", .task = "lights", .items = {}};
  for (std::size_t i = 0; i < priorities.size(); ++i) {
    batch.items.push_back({SampleId("s" + std::to_string(i)), priorities[i], "uncertain"});
  }
  return batch;
}

SampleFacts Good() { return {.known = true, .active = true}; }

TEST(ChooseItemsTest, TheMostUrgentComeFirstAndEqualsInTheirOrder) {
  const auto batch = BatchOf({1, 3, 2, 3});
  const auto choice = ChooseItems(batch, std::vector<SampleFacts>(4, Good()));
  EXPECT_THAT(choice.items, ElementsAre(1, 3, 2, 0));
  EXPECT_THAT(choice.skipped, IsEmpty());
  EXPECT_EQ(choice.gold, 0U);
}

TEST(ChooseItemsTest, WhatNeedsNoVoteIsSkippedWithItsReason) {
  auto batch = BatchOf({1, 1, 1, 1, 1});
  batch.items.push_back(batch.items[0]);  // The same sample again.
  std::vector<SampleFacts> facts(6, Good());
  facts[1].labeled = true;
  facts[2].queued = true;
  facts[3].active = false;
  const auto choice = ChooseItems(batch, facts);
  EXPECT_THAT(choice.items, ElementsAre(0, 4));
  EXPECT_THAT(choice.skipped,
              UnorderedElementsAre(Pair("labeled", 1), Pair("queued", 2), Pair("deactivated", 1)));
}

TEST(ChooseItemsTest, OfLookAlikesTheMostUrgentIsAskedAndNoneWhenOneIsLabeledOrWaits) {
  const auto batch = BatchOf({1, 2, 1, 1, 1});
  std::vector<SampleFacts> facts(5, Good());
  facts[0].look_alikes = facts[1].look_alikes = "one";
  facts[2].look_alikes = "two";
  facts[2].look_alike_labeled = true;
  facts[3].look_alikes = "three";
  facts[3].look_alike_queued = true;
  const auto choice = ChooseItems(batch, facts);
  EXPECT_THAT(choice.items, ElementsAre(1, 4));
  EXPECT_THAT(choice.skipped, ElementsAre(Pair("near_duplicate", 3)));
}

TEST(ChooseItemsTest, WhereALabelIsDoubtedItIsAskedAgainWhateverLooksLikeIt) {
  auto batch = BatchOf({1, 1, 1, 1});
  batch.ask_again = true;
  std::vector<SampleFacts> facts(4, Good());
  facts[0].labeled = true;
  facts[0].look_alikes = facts[1].look_alikes = "one";
  facts[1].labeled = facts[1].look_alike_labeled = true;
  facts[2].labeled = facts[2].queued = true;
  facts[3].active = false;
  const auto choice = ChooseItems(batch, facts);
  EXPECT_THAT(choice.items, ElementsAre(0, 1));
  EXPECT_THAT(choice.skipped, UnorderedElementsAre(Pair("queued", 1), Pair("deactivated", 1)));
}

TEST(ChooseItemsTest, TheBudgetIsInVotesAndLeavesOutTheLeastUrgent) {
  auto batch = BatchOf({5, 4, 3, 2, 1});
  batch.votes_wanted = 2;
  batch.max_votes = 7;
  const auto choice = ChooseItems(batch, std::vector<SampleFacts>(5, Good()));
  EXPECT_THAT(choice.items, ElementsAre(0, 1, 2));
  EXPECT_THAT(choice.skipped, ElementsAre(Pair("budget", 2)));
}

TEST(ChooseItemsTest, KnownSamplesCountInTheBudget) {
  auto batch = BatchOf(std::vector<double>(20, 1));
  batch.gold_share = 0.25;
  EXPECT_EQ(ChooseItems(batch, std::vector<SampleFacts>(20, Good())).gold, 5U);
  for (std::uint32_t votes = 1; votes <= 30; ++votes) {
    batch.max_votes = votes;
    const auto choice = ChooseItems(batch, std::vector<SampleFacts>(20, Good()));
    EXPECT_LE(choice.items.size() + choice.gold, votes);
    EXPECT_GE(choice.items.size() + choice.gold + 1, std::min(votes, 25U));
  }
}

TEST(DecideTest, AVoteCountsWhileItsSampleWantsOneAndARepeatChangesNothing) {
  using Kind = VoteDecision::Kind;
  const LeasedVote vote{LeaseId("l"), "red"};
  LeaseFacts lease{.annotator = "ann", .batch_id = "b", .votes = 0, .votes_wanted = 1};
  EXPECT_EQ(Decide(vote, "ann", &lease).kind, Kind::kCounts);
  lease.state = LeaseState::kReleased;  // Given back, judged after all.
  EXPECT_EQ(Decide(vote, "ann", &lease).kind, Kind::kCounts);
  lease.state = LeaseState::kAnswered;
  lease.class_name = "red";
  lease.item_state = ItemState::kAnswered;
  EXPECT_EQ(Decide(vote, "ann", &lease).kind, Kind::kUnchanged);
  EXPECT_EQ(Decide({LeaseId("l"), "green"}, "ann", &lease).reason, "it was answered with \"red\"");
}

TEST(DecideTest, WhatDoesNotCountSaysWhy) {
  const LeasedVote vote{LeaseId("l"), "red"};
  LeaseFacts lease{.annotator = "ann", .batch_id = "b", .votes = 0, .votes_wanted = 2};
  EXPECT_EQ(Decide(vote, "ann", nullptr).reason, "no lease l");
  EXPECT_THAT(Decide(vote, "bob", &lease).reason, ::testing::HasSubstr("\"ann\"'s"));
  lease.item_state = ItemState::kCancelled;
  EXPECT_EQ(Decide(vote, "ann", &lease).reason, "batch b was cancelled");
  lease.item_state = ItemState::kAnswered;
  EXPECT_THAT(Decide(vote, "ann", &lease).reason, ::testing::HasSubstr("all its 2 votes"));
  lease.item_state = ItemState::kUnjudged;
  EXPECT_THAT(Decide(vote, "ann", &lease).reason, ::testing::HasSubstr("cannot be judged"));
  lease.item_state = ItemState::kWaiting;
  lease.declined_or_answered_elsewhere = true;
  EXPECT_THAT(Decide(vote, "ann", &lease).reason, ::testing::HasSubstr("another lease"));
  lease.state = LeaseState::kDeclined;
  EXPECT_THAT(Decide(vote, "ann", &lease).reason, ::testing::HasSubstr("given back"));
}

}  // namespace
}  // namespace tidewheel::labeling
