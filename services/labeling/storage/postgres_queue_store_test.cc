#include "tidewheel/labeling/storage/postgres_queue_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/labeling/domain/fake_stores.h"
#include "tidewheel/labeling/domain/label_maker.h"
#include "tidewheel/labeling/storage/postgres_label_store.h"
#include "tidewheel/labeling/storage/postgres_vote_store.h"
#include "tidewheel/labeling/storage/testing/storage_fixture.h"

namespace tidewheel::labeling {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

/// Stands still until it is told.
class ManualClock final : public Clock {
 public:
  Timestamp Now() const override { return Timestamp(std::chrono::microseconds(now_.load())); }
  void Pass(std::chrono::microseconds time) { now_ += time.count(); }

 private:
  std::atomic<std::int64_t> now_ = 1'800'000'000'000'000;
};

class PostgresQueueStoreTest : public StorageFixture {
 protected:
  void SetUp() override {
    StorageFixture::SetUp();
    if (IsSkipped()) return;
    store_.emplace(*pool_, clock_);
    labels_.emplace(*pool_);
    tasks_.tasks["lights"] = {.name = "lights", .version = 1, .classes = {"red", "green"}};
    maker_.emplace(tasks_, *labels_, clock_);
  }

  EnqueueOutcome Enqueue(const std::string& id, const std::vector<int>& samples,
                         std::uint32_t votes_wanted = 1, double gold_share = 0) {
    NewBatch batch{.batch_id = id, .task = "lights", .items = {}};
    batch.votes_wanted = votes_wanted;
    batch.gold_share = gold_share;
    double priority = 100;
    for (const int sample : samples) {
      batch.items.push_back({SampleId(SampleUuid(sample)), priority--, "uncertain"});
    }
    const auto outcome = store_->Enqueue(batch, 0.9, clock_.Now());
    EXPECT_TRUE(outcome.ok()) << outcome.error().message;
    return outcome ? *outcome : EnqueueOutcome{};
  }
  std::vector<QueueItem> Lease(const std::string& annotator, std::size_t count = 1,
                               seconds lease = minutes(10)) {
    const auto items = store_->Lease({.task = "lights",
                                      .annotator = annotator,
                                      .count = count,
                                      .now = clock_.Now(),
                                      .until = clock_.Now() + lease});
    EXPECT_TRUE(items.ok()) << items.error().message;
    return items ? *items : std::vector<QueueItem>();
  }
  AnswerOutcome Answer(const std::string& annotator, const std::vector<LeasedVote>& votes) {
    const auto outcome =
        store_->Answer({.annotator = annotator, .kind = {}, .votes = votes, .now = clock_.Now()});
    EXPECT_TRUE(outcome.ok()) << outcome.error().message;
    return outcome ? *outcome : AnswerOutcome{};
  }
  std::uint32_t Release(const std::string& annotator, const LeaseId& lease, bool cannot_judge) {
    const std::vector<LeaseId> leases{lease};
    const auto released = store_->Release(annotator, leases, cannot_judge, clock_.Now());
    EXPECT_TRUE(released.ok()) << released.error().message;
    return released ? *released : 0;
  }
  Batch Get(const std::string& id) {
    const auto batch = store_->Find(id);
    EXPECT_TRUE(batch.ok()) << batch.error().message;
    return batch ? *batch : Batch{};
  }
  Result<std::uint32_t> Compute() {
    return store_->ComputeDue(clock_.Now(), [this](const std::string& task) -> Result<void> {
      ++computations_;
      const auto report = maker_->Compute(task, {});
      return report ? Result<void>() : report.error();
    });
  }
  void Vote(int sample, const std::string& annotator, const std::string& class_name,
            AnnotatorKind kind = AnnotatorKind::kPerson) {
    const std::vector<ResolvedVote> votes{{.vote = {.vote_id = VoteId(NewUuid()),
                                                    .sample_id = SampleId(SampleUuid(sample)),
                                                    .class_name = class_name,
                                                    .annotator = annotator,
                                                    .annotator_kind = kind,
                                                    .source = "test",
                                                    .voted_at = clock_.Now()}}};
    ASSERT_TRUE(PostgresVoteStore(*pool_).Save("lights", votes).ok());
  }
  static std::vector<int> Numbers(const std::vector<QueueItem>& items) {
    std::vector<int> numbers;
    for (const auto& item : items) {
      numbers.push_back(
          static_cast<int>(std::stoul(item.sample_id.text().substr(24), nullptr, 16)));
    }
    return numbers;
  }

  ManualClock clock_;
  FakeTaskCatalogue tasks_;
  std::optional<PostgresQueueStore> store_;
  std::optional<PostgresLabelStore> labels_;
  std::optional<LabelMaker> maker_;
  std::atomic<int> computations_ = 0;
};

TEST_F(PostgresQueueStoreTest, ABatchIsQueuedOnceHoweverOftenItIsSent) {
  AddSamples(5);
  const auto first = Enqueue("b", {1, 2, 3});
  const auto again = Enqueue("b", {4, 5});
  EXPECT_TRUE(first.created);
  EXPECT_FALSE(again.created);
  EXPECT_EQ(again.batch.items, 3U);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.items"), 3);
  const auto of_another_task =
      store_->Enqueue({.batch_id = "b", .task = "signs", .items = {}}, 0, clock_.Now());
  EXPECT_EQ(of_another_task.error().code, ErrorCode::kAlreadyExists);
  const auto unknown = store_->Enqueue(
      {.batch_id = "c", .task = "lights", .items = {{SampleId(SampleUuid(9)), 1, ""}}}, 0,
      clock_.Now());
  EXPECT_EQ(unknown.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(store_->Find("c").error().code, ErrorCode::kNotFound);
}

TEST_F(PostgresQueueStoreTest, NeitherLabeledNorQueuedSamplesNorLookAlikesAreAsked) {
  AddSamples(12);
  const std::string look(64, 'a');
  Admin("UPDATE ingestion.samples SET group_key = '" + look + "' WHERE name IN ('3.png', '4.png')");
  Admin("UPDATE ingestion.samples SET group_key = '" + std::string(64, 'b') +
        "' WHERE name IN ('1.png', '5.png')");
  Admin(
      "UPDATE ingestion.samples SET group_key = 'camera pass 7' WHERE name IN ('6.png', '7.png')");
  Admin("UPDATE ingestion.samples SET group_key = '" + std::string(64, 'c') +
        "' WHERE name IN ('10.png', '11.png')");
  Admin("UPDATE ingestion.samples SET deactivated_at = now() WHERE name = '12.png'");
  Vote(1, "old", "red");
  ASSERT_TRUE(maker_->Compute("lights", {}).ok());
  Enqueue("first", {2, 10});

  const auto outcome = Enqueue("second", {1, 2, 3, 4, 5, 6, 7, 8, 11, 12});
  EXPECT_EQ(outcome.batch.items, 4U);
  EXPECT_THAT(outcome.skipped, ElementsAre(Pair("deactivated", 1), Pair("labeled", 1),
                                           Pair("near_duplicate", 3), Pair("queued", 1)));
  EXPECT_THAT(Numbers(*store_->ListItems({.task = "lights", .batch_id = "second", .state = {}}, 0,
                                         100, clock_.Now())),
              ElementsAre(3, 6, 7, 8));
  EXPECT_EQ(Enqueue("second", {}).skipped.at("near_duplicate"), 3U);
}

TEST_F(PostgresQueueStoreTest, ADoubtedLabelIsAskedAgainOfOthersAndFollowsTheMajority) {
  AddSamples(1);
  Enqueue("first", {1});
  ASSERT_EQ(Answer("ana", {{Lease("ana")[0].lease_id, "green"}}).accepted, 1U);
  ASSERT_TRUE(Compute().ok());
  NewBatch review{.batch_id = "review",
                  .task = "lights",
                  .items = {{SampleId(SampleUuid(1)), 1, "doubtful"}},
                  .votes_wanted = 2,
                  .ask_again = true};
  EXPECT_EQ(store_->Enqueue(review, 0.5, clock_.Now())->batch.items, 1U);
  EXPECT_TRUE(Lease("ana").empty());
  for (const char* annotator : {"boris", "chen"}) {
    const auto items = Lease(annotator);
    ASSERT_EQ(items.size(), 1U);
    EXPECT_EQ(Answer(annotator, {{items[0].lease_id, "red"}}).accepted, 1U);
  }
  ASSERT_TRUE(Compute().ok());
  EXPECT_EQ(Get("review").state, BatchState::kComplete);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.labels_v1 WHERE class_name = 'red'"), 1);
}

TEST_F(PostgresQueueStoreTest, ABatchWithNothingToAskIsComplete) {
  AddSamples(1);
  Enqueue("first", {1});
  const auto outcome = Enqueue("second", {1});
  EXPECT_EQ(outcome.batch.state, BatchState::kComplete);
  EXPECT_TRUE(outcome.batch.completed_at.has_value());
}

TEST_F(PostgresQueueStoreTest, TheMostUrgentGoFirstAndNobodyGetsASampleTwice) {
  AddSamples(4);
  Enqueue("b", {3, 1, 2, 4});
  Vote(1, "ann", "red");  // She said so in an import: not asked again.
  EXPECT_THAT(Numbers(Lease("ann", 2)), ElementsAre(3, 2));
  EXPECT_THAT(Numbers(Lease("bob", 2)), ElementsAre(1, 4));
  EXPECT_THAT(Lease("bob", 2), IsEmpty());
}

TEST_F(PostgresQueueStoreTest, ExpiredLeasesGoToOthersAndLateVotesCountWhileWanted) {
  AddSamples(2);
  Enqueue("b", {1, 2});
  const auto anns = Lease("ann", 2, seconds(60));
  ASSERT_EQ(anns.size(), 2U);
  clock_.Pass(seconds(59));
  EXPECT_THAT(Lease("bob", 2), IsEmpty());
  clock_.Pass(seconds(1));
  const auto bobs = Lease("bob", 2);
  ASSERT_EQ(bobs.size(), 2U);

  // Late, but the sample still wants a vote; then it wants none any more.
  EXPECT_EQ(Answer("ann", {{anns[0].lease_id, "red"}}).accepted, 1U);
  const auto too_late = Answer("bob", {{bobs[0].lease_id, "red"}, {bobs[1].lease_id, "green"}});
  EXPECT_EQ(too_late.accepted, 1U);
  ASSERT_EQ(too_late.rejected.size(), 1U);
  EXPECT_EQ(too_late.rejected[0].first, 0U);
  EXPECT_TRUE(too_late.settled);
  EXPECT_EQ(Answer("ann", {{anns[1].lease_id, "red"}}).rejected.size(), 1U);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.votes"), 2);
}

TEST_F(PostgresQueueStoreTest, ARepeatedAnswerChangesNothing) {
  AddSamples(1);
  Enqueue("b", {1}, 2);
  const auto items = Lease("ann");
  EXPECT_EQ(Answer("ann", {{items[0].lease_id, "red"}}).accepted, 1U);
  const auto again = Answer("ann", {{items[0].lease_id, "red"}});
  EXPECT_EQ(again.accepted, 0U);
  EXPECT_EQ(again.unchanged, 1U);
  EXPECT_EQ(Answer("ann", {{items[0].lease_id, "green"}}).rejected.size(), 1U);
  EXPECT_EQ(Answer("bob", {{items[0].lease_id, "red"}}).rejected.size(), 1U);
  EXPECT_EQ(Get("b").votes, 1U);
  EXPECT_EQ(Number("SELECT votes FROM labeling.items"), 1);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.votes WHERE source = 'queue:b'"), 1);
  EXPECT_THAT(Lease("ann"), IsEmpty());
}

TEST_F(PostgresQueueStoreTest, AnnotatorsWhoRaceNeverHoldMoreThanIsWanted) {
  AddSamples(40);
  std::vector<int> samples;
  for (int i = 1; i <= 40; ++i) samples.push_back(i);
  Enqueue("b", samples, 2);
  std::atomic<bool> exceeded = false;
  std::atomic<bool> done = false;
  std::mutex mutex;
  std::map<std::string, std::set<std::string>> answered;  // Annotators by sample.
  std::vector<std::jthread> annotators;
  std::jthread watch([&] {
    while (!done) {
      // What is answered and what is held, at one moment.
      if (Number(
              "SELECT count(*) FROM (SELECT i.item_id FROM labeling.items i JOIN labeling.leases l "
              "USING (item_id) WHERE l.state = 'open' GROUP BY i.item_id, i.votes_wanted, i.votes "
              "HAVING count(*) > i.votes_wanted - i.votes) x") > 0) {
        exceeded = true;
      }
    }
  });
  for (const std::string name : {"ann", "bob", "cem", "dia"}) {
    annotators.emplace_back([&, name] {
      for (int idle = 0; idle < 200;) {
        const auto items = Lease(name, 3);
        if (items.empty()) {
          if (Get("b").answered == 40) break;
          ++idle;
          continue;
        }
        std::vector<LeasedVote> votes;
        for (const auto& item : items) {
          votes.push_back({item.lease_id, "red"});
          const std::lock_guard lock(mutex);
          EXPECT_TRUE(answered[item.sample_id.text()].insert(name).second);
        }
        const auto outcome = Answer(name, votes);
        EXPECT_EQ(outcome.accepted, votes.size());
      }
    });
  }
  annotators.clear();
  done = true;
  watch.join();
  EXPECT_FALSE(exceeded);
  EXPECT_EQ(Get("b").answered, 40U);
  EXPECT_EQ(Get("b").votes, 80U);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.votes"), 80);
  for (const auto& [sample, names] : answered) EXPECT_EQ(names.size(), 2U) << sample;
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.batches WHERE settled_at IS NOT NULL"), 1);
}

TEST_F(PostgresQueueStoreTest, ACompleteBatchHasItsLabels) {
  AddSamples(2);
  Enqueue("b", {1, 2});
  const auto items = Lease("ann", 2);
  Answer("ann", {{items[0].lease_id, "red"}});
  EXPECT_EQ(*Compute(), 0U);  // Not all yet.
  EXPECT_EQ(computations_, 0);
  Answer("ann", {{items[1].lease_id, "green"}});
  EXPECT_EQ(Get("b").state, BatchState::kOpen);
  ASSERT_EQ(*Compute(), 1U);
  EXPECT_EQ(*Compute(), 0U);
  EXPECT_EQ(computations_, 1);
  const Batch batch = Get("b");
  EXPECT_EQ(batch.state, BatchState::kComplete);
  EXPECT_EQ(batch.labels, 2U);
  EXPECT_EQ(batch.answered, 2U);
}

TEST_F(PostgresQueueStoreTest, WhatWasAnsweredButNotComputedIsPickedUpByTheNextProcess) {
  AddSamples(1);
  Enqueue("b", {1});
  Answer("ann", {{Lease("ann")[0].lease_id, "red"}});
  // Killed in the middle: before the labels, and after them but before the batch is complete.
  const auto dies = [](const std::string&) -> Result<void> {
    return Error{ErrorCode::kUnavailable, "killed"};
  };
  EXPECT_FALSE(store_->ComputeDue(clock_.Now(), dies).ok());
  const auto dies_after = [this](const std::string& task) -> Result<void> {
    EXPECT_TRUE(maker_->Compute(task, {}).ok());
    return Error{ErrorCode::kUnavailable, "killed"};
  };
  EXPECT_FALSE(store_->ComputeDue(clock_.Now(), dies_after).ok());
  EXPECT_EQ(Get("b").state, BatchState::kOpen);

  PostgresQueueStore next(*pool_, clock_);
  EXPECT_EQ(*Compute(), 1U);
  EXPECT_EQ(Get("b").state, BatchState::kComplete);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.labels"), 1);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.label_work"), 0);
}

TEST_F(PostgresQueueStoreTest, VotesThatComeWhileLabelsAreComputedAreComputedNext) {
  AddSamples(2);
  Enqueue("one", {1});
  Enqueue("two", {2});
  Answer("ann", {{Lease("ann")[0].lease_id, "red"}});
  const auto second = Lease("ann");
  const auto meanwhile = [&](const std::string& task) -> Result<void> {
    EXPECT_TRUE(maker_->Compute(task, {}).ok());
    Answer("ann", {{second[0].lease_id, "green"}});
    return {};
  };
  EXPECT_EQ(*store_->ComputeDue(clock_.Now(), meanwhile), 1U);
  EXPECT_EQ(Get("one").state, BatchState::kComplete);
  EXPECT_EQ(Get("two").state, BatchState::kOpen);
  EXPECT_EQ(*Compute(), 1U);
  EXPECT_EQ(Get("two").labels, 1U);
}

TEST_F(PostgresQueueStoreTest, TwoCopiesOfTheServiceComputeATaskOnce) {
  AddSamples(1);
  Enqueue("b", {1});
  Answer("ann", {{Lease("ann")[0].lease_id, "red"}});
  PostgresQueueStore other(*pool_, clock_);
  int others = 0;
  const auto while_other_looks = [&](const std::string&) -> Result<void> {
    const auto completed = other.ComputeDue(clock_.Now(), [&](const std::string&) -> Result<void> {
      ++others;
      return {};
    });
    EXPECT_EQ(*completed, 0U);
    return {};
  };
  EXPECT_EQ(*store_->ComputeDue(clock_.Now(), while_other_looks), 1U);
  EXPECT_EQ(others, 0);
}

TEST_F(PostgresQueueStoreTest, LabelsThatCannotBeMadeWaitAndDoNotKeepOtherTasks) {
  AddSamples(1);
  Enqueue("b", {1});
  Answer("ann", {{Lease("ann")[0].lease_id, "red"}});
  Admin("INSERT INTO labeling.label_work (task, due_at) VALUES ('broken', '2020-01-01')");
  const auto first = Compute();
  ASSERT_FALSE(first.ok());
  EXPECT_NE(first.error().message.find("broken"), std::string::npos);
  EXPECT_EQ(Get("b").state, BatchState::kComplete);
  EXPECT_TRUE(Compute().ok());  // Later again.
  clock_.Pass(minutes(1));
  EXPECT_FALSE(Compute().ok());
}

TEST_F(PostgresQueueStoreTest, WhatNobodyCanJudgeIsPutAsideOnceAllWhoAreAboutSaidSo) {
  AddSamples(3);
  Enqueue("b", {1, 2});
  const auto anns = Lease("ann", 1);
  EXPECT_EQ(Release("ann", anns[0].lease_id, true), 1U);
  EXPECT_EQ(Release("ann", anns[0].lease_id, true), 0U);
  EXPECT_THAT(Numbers(Lease("ann", 2)), ElementsAre(2));  // Not 1 again.
  const auto bobs = Lease("bob", 1);
  ASSERT_THAT(Numbers(bobs), ElementsAre(1));
  EXPECT_EQ(Release("bob", bobs[0].lease_id, true), 1U);
  EXPECT_EQ(Get("b").unjudged, 0U);  // There is something else to do: others may come.

  clock_.Pass(minutes(11));
  const auto two = Lease("bob", 1);
  ASSERT_THAT(Numbers(two), ElementsAre(2));
  EXPECT_TRUE(Answer("bob", {{two[0].lease_id, "red"}}).settled);
  EXPECT_EQ(Get("b").unjudged, 1U);
  EXPECT_EQ(*Compute(), 1U);
  EXPECT_EQ(Get("b").state, BatchState::kComplete);
}

TEST_F(PostgresQueueStoreTest, WhoIsGoneIsNotWaitedForAndABatchWithoutAnyVoteEnds) {
  AddSamples(2);
  Enqueue("b", {1, 2});
  const auto eves = Lease("eve", 1);  // She takes one and leaves.
  clock_.Pass(minutes(11));
  for (const auto& item : Lease("ann", 2)) Release("ann", item.lease_id, true);
  EXPECT_EQ(Get("b").unjudged, 0U);  // Eve may come back.
  ASSERT_TRUE(store_->Settle(clock_.Now()).ok());
  EXPECT_EQ(Get("b").unjudged, 0U);
  clock_.Pass(minutes(20));
  ASSERT_TRUE(store_->Settle(clock_.Now()).ok());
  EXPECT_EQ(Get("b").unjudged, 2U);
  EXPECT_EQ(*Compute(), 1U);
  EXPECT_EQ(Get("b").state, BatchState::kComplete);
  EXPECT_EQ(Answer("eve", {{eves[0].lease_id, "red"}}).rejected.size(), 1U);
}

TEST_F(PostgresQueueStoreTest, GivenBackItemsAreFreeAtOnce) {
  AddSamples(1);
  Enqueue("b", {1});
  const auto items = Lease("ann");
  EXPECT_EQ(Release("bob", items[0].lease_id, false), 0U);  // Not his.
  EXPECT_THAT(Lease("bob"), IsEmpty());
  EXPECT_EQ(Release("ann", items[0].lease_id, false), 1U);
  EXPECT_EQ(Lease("bob").size(), 1U);
}

TEST_F(PostgresQueueStoreTest, ACancelledBatchKeepsItsVotesAndGetsTheirLabels) {
  AddSamples(3);
  Enqueue("b", {1, 2, 3});
  const auto items = Lease("ann", 2);
  Answer("ann", {{items[0].lease_id, "red"}});
  const auto cancelled = store_->Cancel("b", "the cycle ran out of time", clock_.Now());
  ASSERT_TRUE(cancelled.ok());
  EXPECT_EQ(cancelled->state, BatchState::kCancelled);
  EXPECT_EQ(cancelled->cancelled_because, "the cycle ran out of time");
  EXPECT_EQ(store_->Cancel("b", "again", clock_.Now())->cancelled_because,
            "the cycle ran out of time");
  EXPECT_EQ(Answer("ann", {{items[1].lease_id, "red"}}).rejected[0].second,
            "batch b was cancelled");
  EXPECT_THAT(Lease("bob"), IsEmpty());
  EXPECT_EQ(*Compute(), 1U);
  EXPECT_EQ(Get("b").state, BatchState::kCancelled);
  EXPECT_EQ(Get("b").labels, 1U);
  EXPECT_TRUE(Get("b").completed_at.has_value());
  EXPECT_EQ(store_->Cancel("none", "", clock_.Now()).error().code, ErrorCode::kNotFound);

  Enqueue("c", {2});
  EXPECT_EQ(Get("c").items, 1U);  // What was withdrawn may be asked again.
}

TEST_F(PostgresQueueStoreTest, ListsArePagedInTheOrderOfQueueing) {
  AddSamples(4);
  Enqueue("one", {1, 2});
  Enqueue("two", {3, 4});
  Lease("ann", 1);
  const auto newest = store_->List("", 0, 1);
  ASSERT_EQ(newest->size(), 1U);
  EXPECT_EQ((*newest)[0].batch_id, "two");
  const auto older = store_->List("lights", (*newest)[0].number, 10);
  ASSERT_EQ(older->size(), 1U);
  EXPECT_EQ((*older)[0].batch_id, "one");

  const auto first = store_->ListItems({}, 0, 3, clock_.Now());
  EXPECT_THAT(Numbers(*first), ElementsAre(1, 2, 3));
  EXPECT_EQ((*first)[0].state, ItemState::kLeased);
  EXPECT_EQ((*first)[0].leased_by, "ann");
  EXPECT_THAT(Numbers(*store_->ListItems({}, (*first)[2].number, 3, clock_.Now())), ElementsAre(4));
  EXPECT_THAT(Numbers(*store_->ListItems({.task = {}, .batch_id = {}, .state = ItemState::kWaiting},
                                         0, 10, clock_.Now())),
              ElementsAre(2, 3, 4));
  clock_.Pass(minutes(10));
  EXPECT_THAT(*store_->ListItems({.task = {}, .batch_id = {}, .state = ItemState::kLeased}, 0, 10,
                                 clock_.Now()),
              IsEmpty());
}

TEST_F(PostgresQueueStoreTest, AnAnnotatorOfAnotherKindIsRefusedAndNothingIsTaken) {
  AddSamples(1);
  Vote(1, "robot", "red", AnnotatorKind::kModel);
  Admin("UPDATE labeling.votes SET superseded_at = now()");  // So that it may be asked.
  Enqueue("b", {1});
  const auto items = Lease("robot");
  ASSERT_EQ(items.size(), 1U);
  const auto outcome = store_->Answer({.annotator = "robot",
                                       .kind = AnnotatorKind::kPerson,
                                       .votes = {{items[0].lease_id, "red"}},
                                       .now = clock_.Now()});
  ASSERT_EQ(outcome->rejected.size(), 1U);
  EXPECT_EQ(outcome->rejected[0].second, "annotator \"robot\" is known as model in task lights");
  EXPECT_EQ(Number("SELECT votes FROM labeling.items"), 0);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.leases WHERE state = 'open'"), 1);
}

TEST_F(PostgresQueueStoreTest, KnownSamplesLookLikeOthersAndTheirAnswersAreNoVotes) {
  AddSamples(30);
  for (int i = 11; i <= 30; ++i) Vote(i, "import", "red", AnnotatorKind::kImport);
  ASSERT_TRUE(maker_->Compute("lights", {}).ok());
  const auto outcome = Enqueue("b", {1, 2, 3, 4}, 1, 0.5);
  EXPECT_EQ(outcome.batch.items, 4U);
  EXPECT_EQ(outcome.batch.gold_items, 2U);

  const auto items = Lease("ann", 100);
  ASSERT_EQ(items.size(), 6U);
  std::vector<LeasedVote> votes;
  int known = 0;
  for (const auto& item : items) {
    EXPECT_FALSE(item.gold);
    EXPECT_EQ(item.reason, "uncertain");
    known += Numbers({item})[0] > 10 ? 1 : 0;
    votes.push_back({item.lease_id, "green"});
  }
  EXPECT_EQ(known, 2);
  const auto answered = Answer("ann", votes);
  EXPECT_EQ(answered.accepted, 6U);
  EXPECT_TRUE(answered.settled);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.votes WHERE annotator = 'ann'"), 4);
  const auto gold = labels_->GoldAnswers("lights");
  ASSERT_EQ(gold->size(), 2U);
  EXPECT_EQ((*gold)[0].annotator, "ann");
  EXPECT_EQ((*gold)[0].class_name, "green");
  EXPECT_EQ((*gold)[0].known_class, "red");
  EXPECT_EQ(*Compute(), 1U);
  EXPECT_EQ(Get("b").votes, 6U);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.labels WHERE class_name = 'red' AND "
                   "superseded_at IS NULL"),
            20);  // The known ones stand.

  // Nobody is waited for because of a known one.
  Enqueue("c", {5}, 1, 1);
  for (const auto& item : Lease("bob", 1)) {
    if (Numbers({item})[0] == 5) Answer("bob", {{item.lease_id, "red"}});
  }
  for (const auto& item : Lease("cem", 2)) {
    if (Numbers({item})[0] == 5) Answer("cem", {{item.lease_id, "red"}});
  }
  EXPECT_EQ(*Compute(), 1U);
  EXPECT_EQ(Get("c").state, BatchState::kComplete);
}

TEST_F(PostgresQueueStoreTest, AnAssessmentIsAnEventOnceForNewAnswers) {
  AddSamples(200);
  std::vector<ResolvedVote> votes;
  const auto vote = [&](int sample, const std::string& annotator, const std::string& class_name) {
    votes.push_back({.vote = {.vote_id = VoteId(NewUuid()),
                              .sample_id = SampleId(SampleUuid(sample)),
                              .class_name = class_name,
                              .annotator = annotator,
                              .annotator_kind = AnnotatorKind::kPerson,
                              .source = "test",
                              .voted_at = clock_.Now() + seconds(sample)}});
  };
  for (int i = 1; i <= 150; ++i) {
    vote(i, "ann", "red");
    vote(i, "bob", "red");
    vote(i, "eve", i <= 110 ? "red" : "green");
  }
  ASSERT_TRUE(PostgresVoteStore(*pool_).Save("lights", votes).ok());
  ASSERT_TRUE(maker_->Compute("lights", {}).ok());
  const std::string assessed =
      "SELECT count(*) FROM labeling.outbox WHERE type = 'annotator.assessed'";
  EXPECT_EQ(Number(assessed), 3);
  ASSERT_TRUE(maker_->Compute("lights", {}).ok());
  EXPECT_EQ(Number(assessed), 3);

  const auto annotators = labels_->ListAnnotators("lights", "", 10);
  ASSERT_EQ(annotators->size(), 3U);
  for (const auto& annotator : *annotators) {
    ASSERT_TRUE(annotator.recent.has_value()) << annotator.annotator;
    EXPECT_EQ(annotator.recent->worse_p_value < 0.001, annotator.annotator == "eve");
    EXPECT_TRUE(annotator.assessed_at.has_value());
  }
  Vote(160, "eve", "red");
  Vote(160, "ann", "red");
  ASSERT_TRUE(maker_->Compute("lights", {}).ok());
  EXPECT_EQ(Number(assessed), 5);  // Bob said nothing new.
  events::v1::AnnotatorEvent event;
  const auto payload = admin_->ReadOnly([](pqxx::transaction_base& tx) -> Result<std::string> {
    return postgres::BytesOf(
        tx.exec1("SELECT payload FROM labeling.outbox WHERE key = 'eve' AND "
                 "type = 'annotator.assessed' ORDER BY id DESC LIMIT 1")[0]);
  });
  ASSERT_TRUE(payload.ok() && event.ParseFromString(*payload));
  EXPECT_EQ(event.annotator(), "eve");
  EXPECT_LT(event.p_value(), 0.001);
  EXPECT_LT(event.recent_agreed(), event.recent_votes());
}

}  // namespace
}  // namespace tidewheel::labeling
