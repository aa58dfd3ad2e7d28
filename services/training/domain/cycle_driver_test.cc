#include "tidewheel/training/domain/cycle_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tidewheel/training/domain/cycle_starter.h"
#include "tidewheel/training/domain/fake_callees.h"
#include "tidewheel/training/domain/fake_cycle_store.h"
#include "tidewheel/training/domain/fake_run_store.h"

namespace tidewheel::training {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ManualClock final : public Clock {
 public:
  Timestamp Now() const override { return now; }
  Timestamp now{std::chrono::seconds(1'700'000'000)};
};

/// One platform with one cycle that an alert started.
class CycleWorld {
 public:
  CycleWorld() : queue_(runs, clock, {.recipes = {"image-cnn"}}) {
    // The datasets that the fake curation makes.
    runs.any_dataset = true;
  }

  CycleStarter Starter() { return {store, platform, platform, clock}; }

  void Alert(const std::string& event = "event-1", const std::string& alert = "alert-1") {
    auto starter = Starter();
    const auto decided = starter.OnAlert(
        {event, alert, "lights", "model-1", "data_drift", 0.1, clock.now - seconds(60)});
    EXPECT_TRUE(decided.ok());
  }

  /// A driver of a process that has just started takes one step.
  Result<bool> Step() {
    CycleDriver driver(store, {platform, platform, platform, platform, platform, queue_}, clock,
                       {.owner = "process " + std::to_string(++processes_)});
    return driver.StepNext();
  }

  /// Steps and time until the cycle has ended; runs succeed by themselves.
  const Cycle& RunToEnd(int most = 400) {
    for (int i = 0; i < most && !HasEnded(cycle().state); ++i) {
      const auto stepped = Step();
      clock.now += !stepped ? seconds(300) : *stepped ? seconds(0) : seconds(1);
      Train();
    }
    return cycle();
  }
  const Cycle& RunUntil(CycleState state, int most = 400) {
    for (int i = 0; i < most && cycle().state != state && !HasEnded(cycle().state); ++i) {
      const auto stepped = Step();
      clock.now += !stepped ? seconds(300) : *stepped ? seconds(0) : seconds(1);
      Train();
    }
    EXPECT_EQ(Name(cycle().state), Name(state)) << cycle().reason;
    return cycle();
  }

  void Train() {
    for (auto& run : runs.runs) {
      if (!worker_works || HasEnded(run.state)) continue;
      run.state = RunState::kSucceeded;
      run.model_version_id = "model-2";
      run.cpu_seconds = 12.5;
      platform.models["model-2"] = {
          "model-2", "lights", run.id, run.request.dataset_version_id, {}};
    }
  }

  const Cycle& cycle() const { return store.rows.at(0).cycle; }

  ManualClock clock;
  FakeCycleStore store;
  FakePlatform platform;
  FakeRunStore runs;
  bool worker_works = true;

 private:
  RunQueue queue_;
  int processes_ = 0;
};

class CycleDriverTest : public ::testing::Test, public CycleWorld {};

TEST_F(CycleDriverTest, GoesFromAnAlertToAPromotion) {
  Alert();
  const Cycle& ended = RunToEnd();

  EXPECT_EQ(Name(ended.state), "promoted") << ended.reason;
  EXPECT_THAT(store.states,
              ElementsAre(CycleState::kCollecting, CycleState::kLabeling, CycleState::kBuilding,
                          CycleState::kTraining, CycleState::kGating, CycleState::kShadow,
                          CycleState::kCanary, CycleState::kCanary, CycleState::kCanary,
                          CycleState::kPromoted));
  EXPECT_EQ(platform.production, "model-2");
  EXPECT_EQ(ended.baseline_model_version_id, "model-1");
  EXPECT_EQ(ended.previous_dataset_version_id, "dataset-0");
  EXPECT_EQ(ended.labels, 20U);
  EXPECT_EQ(ended.cpu_seconds, 12.5);
  ASSERT_TRUE(ended.gain.has_value());
  EXPECT_GT(*ended.gain, 0.9);
  EXPECT_THAT(platform.rollouts,
              ElementsAre("canary 0.100000", "canary 0.500000", "shadow 0.000000"));
  EXPECT_THAT(platform.rollout, IsEmpty());
  EXPECT_THAT(platform.comparisons,
              ElementsAre(ended.id + "-canary-1", ended.id + "-canary-2", ended.id + "-shadow"));
  ASSERT_EQ(runs.runs.size(), 1U);
  EXPECT_EQ(runs.runs[0].request.request_id, "cycle-" + ended.id);
  EXPECT_EQ(runs.runs[0].request.actor, "cycle:" + ended.id);
  ASSERT_TRUE(runs.runs[0].request.baseline.has_value());
  EXPECT_EQ(runs.runs[0].request.baseline->files.at(0).payload_ref, "ref-1");
  for (const auto& step : ended.steps) {
    EXPECT_EQ(step.left_at.has_value(), !HasEnded(step.state));
  }
  // Four for the test split, one for validation; of the others a fifth.
  EXPECT_EQ(ended.acquired.at("random"), 4U + 1 + 3);
  EXPECT_EQ(ended.acquired.at("drifted"), 6U);
  EXPECT_EQ(ended.acquired.at("uncertain"), 6U);
}

/// What must be there once, however often a step was repeated.
void ExpectNothingTwice(const CycleWorld& world, const std::string& where) {
  EXPECT_EQ(Name(world.cycle().state), "promoted") << where << world.cycle().reason;
  EXPECT_EQ(world.platform.batches.size(), 1U) << where;
  EXPECT_EQ(world.platform.asked, 20U) << where;
  EXPECT_EQ(world.platform.datasets.size(), 1U) << where;
  EXPECT_EQ(world.runs.runs.size(), 1U) << where;
  EXPECT_EQ(world.platform.gates.size(), 1U) << where;
  EXPECT_EQ(world.platform.comparisons.size(), 3U) << where;
  EXPECT_EQ(world.platform.promotions.size(), 1U) << where;
  EXPECT_TRUE(world.platform.rollout.empty()) << where;
}

TEST(CycleDriverKillTest, WhoeverDiesAroundASaveMakesNothingTwice) {
  CycleWorld calm;
  calm.Alert();
  calm.RunToEnd();
  ASSERT_GT(calm.store.saves, 12);
  for (int save = 1; save <= calm.store.saves; ++save) {
    for (const bool after : {false, true}) {
      CycleWorld world;
      (after ? world.store.dies_after_save : world.store.dies_before_save) = save;
      world.Alert();
      world.RunToEnd();
      ExpectNothingTwice(world, (after ? "after save " : "before save ") + std::to_string(save));
    }
  }
}

TEST(CycleDriverKillTest, WhoeverIsAwayAtACallIsAskedAgain) {
  CycleWorld calm;
  calm.Alert();
  calm.RunToEnd();
  ASSERT_GT(calm.platform.calls, 30);
  for (int call = 2; call <= calm.platform.calls; ++call) {
    for (const bool after : {false, true}) {
      CycleWorld world;
      (after ? world.platform.fails_after_call : world.platform.fails_before_call) = call;
      world.Alert();
      world.RunToEnd();
      ExpectNothingTwice(world, (after ? "after call " : "before call ") + std::to_string(call));
    }
  }
}

TEST_F(CycleDriverTest, WaitsForSamplesAndThenTakesWhatThereIs) {
  platform.captured_samples = 7;
  Alert();
  RunUntil(CycleState::kCollecting);
  clock.now += seconds(1);
  ASSERT_TRUE(Step().ok());
  // One more is in the test split, and was not captured at random.
  EXPECT_THAT(cycle().reason, HasSubstr("6 of 30 samples"));
  clock.now += seconds(600);
  RunUntil(CycleState::kLabeling);
  EXPECT_EQ(store.samples[cycle().id].size(), 6U);
}

TEST_F(CycleDriverTest, WaitsForWhatIsHeldOutAndSaysSoWhenItIsNotThere) {
  platform.without_held_out = 38;
  Alert();
  RunUntil(CycleState::kCollecting);
  clock.now += seconds(1);
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(Name(cycle().state), "collecting");
  EXPECT_THAT(cycle().reason,
              HasSubstr("40 of 30 samples are captured, 0 of 4 at random in the test split"));
  clock.now += seconds(600);
  RunUntil(CycleState::kLabeling);
  EXPECT_EQ(store.samples[cycle().id].size(), 20U);
  for (const auto& step : cycle().steps) {
    if (step.state != CycleState::kCollecting) continue;
    EXPECT_THAT(step.result, HasSubstr("after 600 s with 0 of 4 at random in the test split"));
    EXPECT_EQ(step.details.at("test"), "0");
  }
}

TEST_F(CycleDriverTest, DoesNotWaitForASplitThatTheTaskGivesNoTrafficAndSaysSo) {
  platform.without_held_out = 38;
  platform.task.has_test_split = false;
  platform.task.has_validation_split = false;
  Alert();
  const Timestamp began = clock.now;
  RunUntil(CycleState::kLabeling);
  EXPECT_LT(clock.now - began, seconds(10));
  EXPECT_EQ(store.samples[cycle().id].size(), 20U);
  std::vector<std::string> said;
  for (const auto& decision : cycle().decisions) {
    if (decision.outcome == DecisionOutcome::kWentOn) said.push_back(decision.because);
    EXPECT_EQ(decision.cycle_id, cycle().id);
  }
  EXPECT_THAT(said, ElementsAre("no_test_split", "no_validation_split"));
  EXPECT_THAT(store.decisions[1].reason, HasSubstr("does not wait for the 4"));
  EXPECT_EQ(store.decisions[1].actor, "cycle:" + cycle().id);
}

TEST_F(CycleDriverTest, NoSampleOfTrafficRejects) {
  platform.captured_samples = 0;
  Alert();
  for (int i = 0; i < 700 && !HasEnded(cycle().state); ++i) {
    ASSERT_TRUE(Step().ok());
    clock.now += seconds(10);
  }
  EXPECT_EQ(Name(cycle().state), "rejected");
  EXPECT_THAT(cycle().reason, HasSubstr("capture policy"));
}

/// Eighty samples of traffic in two clouds; `wrong` of one of them have the other one's label.
void PutClouds(FakePlatform& platform, std::size_t wrong) {
  platform.task.cycle.max_labels = 40;
  platform.task.cycle.review_share = 0.1;
  for (std::uint32_t i = 40; i < 80; ++i) {
    platform.traffic.push_back({"r-" + std::to_string(i), 0, "", 1.0 - 0.01 * i});
  }
  for (std::size_t i = 0; i < platform.traffic.size(); ++i) {
    const bool second = i % 2 == 1;
    platform.traffic[i].embedding = {second ? 10.0F : 0.0F, 0.01F * static_cast<float>(i)};
    const bool is_wrong = second && i >= 5 && i < 5 + 2 * wrong;  // Of the training split.
    if (second != is_wrong) platform.labels["sample of " + platform.traffic[i].Name()] = "green";
  }
}

TEST_F(CycleDriverTest, LabelsThatTheirNeighboursDoNotShareAreAskedAgain) {
  PutClouds(platform, 1);
  Alert();
  RunUntil(CycleState::kBuilding);
  // 4 of the 40 labels are kept back; one sample is doubtful and gets two votes more.
  EXPECT_EQ(platform.asked, 36U + 1U);
  EXPECT_EQ(platform.asked_again, 1U);
  EXPECT_EQ(cycle().labels, 36U + 2U);
  RunToEnd();
  EXPECT_EQ(Name(cycle().state), "promoted");
}

TEST_F(CycleDriverTest, WhereNoLabelIsDoubtfulNoneIsAskedAgain) {
  PutClouds(platform, 0);
  Alert();
  RunUntil(CycleState::kBuilding);
  EXPECT_EQ(platform.batches.size(), 1U);
  EXPECT_EQ(cycle().labels, 36U);
}

TEST_F(CycleDriverTest, AReviewThatNobodyAnswersIsNotWaitedForAndItsVotesCount) {
  PutClouds(platform, 2);
  Alert();
  RunUntil(CycleState::kLabeling);
  ASSERT_TRUE(Step().ok());
  ASSERT_TRUE(Step().ok());
  platform.annotators_work = false;
  ASSERT_EQ(platform.batches.size(), 2U);
  auto& review = platform.batches.rbegin()->second;
  review.votes = 3;
  review.state = "open";
  clock.now += seconds(86'401);
  RunUntil(CycleState::kBuilding);
  EXPECT_EQ(review.state, "cancelled");
  EXPECT_EQ(cycle().labels, 36U + 3U);
}

TEST_F(CycleDriverTest, CancellingWithdrawsAReviewToo) {
  PutClouds(platform, 2);
  Alert();
  RunUntil(CycleState::kLabeling);
  ASSERT_TRUE(Step().ok());
  ASSERT_TRUE(Step().ok());
  ASSERT_EQ(platform.batches.size(), 2U);
  ASSERT_TRUE(store.RequestCancel(cycle().id, {"ann", "enough", clock.now}).ok());
  RunToEnd();
  EXPECT_EQ(platform.batches.rbegin()->second.state, "cancelled");
}

TEST_F(CycleDriverTest, LabelsThatComeTooLateAreNotWaitedFor) {
  platform.annotators_work = false;
  Alert();
  RunUntil(CycleState::kLabeling);
  ASSERT_TRUE(Step().ok());
  auto& batch = platform.batches.begin()->second;
  batch.answered = batch.votes = batch.labels = 12;
  clock.now += seconds(86'401);
  RunUntil(CycleState::kBuilding);
  EXPECT_EQ(batch.state, "cancelled");
  EXPECT_EQ(cycle().labels, 12U);
}

TEST_F(CycleDriverTest, TooFewLabelsReject) {
  platform.annotators_work = false;
  Alert();
  RunUntil(CycleState::kLabeling);
  ASSERT_TRUE(Step().ok());
  auto& batch = platform.batches.begin()->second;
  batch.answered = batch.votes = batch.labels = 3;
  clock.now += seconds(86'401);
  RunToEnd();
  EXPECT_EQ(Name(cycle().state), "rejected");
  EXPECT_THAT(cycle().reason, HasSubstr("10 labels are needed"));
}

TEST_F(CycleDriverTest, NothingNewInTheDatasetRejects) {
  platform.new_items = 0;
  Alert();
  EXPECT_EQ(Name(RunToEnd().state), "rejected");
  EXPECT_EQ(cycle().reason, "no new labels");
  EXPECT_TRUE(runs.runs.empty());
}

TEST_F(CycleDriverTest, AWorseCandidateIsRejectedByTheGate) {
  for (auto& sample : platform.gate_samples) sample.candidate_class = 1 - sample.given_class;
  Alert();
  EXPECT_EQ(Name(RunToEnd().state), "rejected");
  EXPECT_THAT(cycle().reason, HasSubstr("the gate says fail"));
  EXPECT_FALSE(cycle().criteria.empty());
  EXPECT_TRUE(platform.rollouts.empty());
  EXPECT_EQ(platform.production, "model-1");
}

TEST_F(CycleDriverTest, AForcedCandidateIsRolledBackByTheCanaryAndTheHarmIsCounted) {
  for (auto& sample : platform.gate_samples) sample.candidate_class = 1 - sample.given_class;
  platform.models["bad"] = {"bad", "lights", "run-9", "dataset-9", {}};
  platform.task.cycle.rollout.shadow_predictions = 0;
  platform.comparison = {.candidate_predictions = 60,
                         .candidate_outcomes = 50,
                         .candidate_correct = 10,
                         .baseline_outcomes = 500,
                         .baseline_correct = 450,
                         .baseline_predictions = 540,
                         .verdict = "harmful",
                         .reason = "0.7 less accurate"};
  const auto started = Starter().StartByHand({.request_id = "by-hand",
                                              .task = "lights",
                                              .actor = "ann",
                                              .candidate_model_version_id = "bad",
                                              .override_reason = "drill"});
  ASSERT_TRUE(started.ok()) << started.error().message;
  EXPECT_EQ(Name(RunToEnd().state), "rolled_back");
  // 40 were wrong where the serving model would have had 5 of 50 wrong.
  EXPECT_EQ(cycle().harmed_requests, 35U);
  EXPECT_THAT(platform.rollout, IsEmpty());
  EXPECT_EQ(platform.production, "model-1");
  EXPECT_TRUE(platform.datasets.empty());
  EXPECT_EQ(platform.gates.begin()->second, GateVerdict::kFail);
}

TEST_F(CycleDriverTest, WaitsForSignaturesAndARefusalRejects) {
  platform.task.cycle.sign_off_roles = {"safety"};
  platform.sign_offs.missing_roles = {"safety"};
  Alert();
  RunUntil(CycleState::kAwaitingSignOff);
  ASSERT_TRUE(Step().ok());
  EXPECT_THAT(cycle().reason, HasSubstr("signature of safety"));
  EXPECT_TRUE(platform.rollouts.empty());
  platform.sign_offs = {{}, "safety (eve: not tested at night)"};
  EXPECT_EQ(Name(RunToEnd().state), "rejected");
  EXPECT_THAT(cycle().reason, HasSubstr("not tested at night"));
}

TEST_F(CycleDriverTest, ASignedCandidateGoesOn) {
  platform.task.cycle.sign_off_roles = {"safety"};
  Alert();
  EXPECT_EQ(Name(RunToEnd().state), "promoted");
}

TEST_F(CycleDriverTest, AShadowThatAnswersDifferentlyIsRejected) {
  Alert();
  RunUntil(CycleState::kShadow);
  platform.comparison.disagreements = 80;
  EXPECT_EQ(Name(RunToEnd().state), "rejected");
  EXPECT_THAT(cycle().reason, HasSubstr("80 % unlike"));
  EXPECT_THAT(platform.rollout, IsEmpty());
}

TEST_F(CycleDriverTest, ACanaryWithoutTrafficGivesUp) {
  Alert();
  RunUntil(CycleState::kCanary);
  platform.comparison.candidate_predictions = 3;
  platform.comparison.verdict = "undecided";
  RunToEnd(20'000);
  EXPECT_EQ(Name(cycle().state), "rolled_back");
  EXPECT_THAT(cycle().reason, HasSubstr("gives up"));
  EXPECT_EQ(platform.production, "model-1");
}

TEST_F(CycleDriverTest, ACanaryThatLooksWorseWaitsUntilMoreAnswersSayOtherwise) {
  Alert();
  RunUntil(CycleState::kCanary);
  platform.comparison.verdict = "undecided";
  platform.comparison.accuracy_difference = -0.2;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(Step().ok());
    clock.now += seconds(1);
  }
  EXPECT_EQ(Name(cycle().state), "canary");
  EXPECT_THAT(cycle().reason, HasSubstr("looks worse than is allowed, by 0.2 in accuracy"));
  platform.comparison.accuracy_difference = -0.01;
  EXPECT_EQ(Name(RunToEnd().state), "promoted");
}

TEST_F(CycleDriverTest, WithoutALimitOfAccuracyACanaryIsNotHeldToIt) {
  platform.task.cycle.rollout.max_accuracy_loss = 0;
  Alert();
  RunUntil(CycleState::kCanary);
  platform.comparison.verdict = "undecided";
  platform.comparison.accuracy_difference = -0.2;
  EXPECT_EQ(Name(RunToEnd().state), "promoted");
}

TEST_F(CycleDriverTest, ACanaryThatStillLooksWorseWhenItsTimeIsOverIsRolledBack) {
  Alert();
  RunUntil(CycleState::kCanary);
  platform.comparison.verdict = "undecided";
  platform.comparison.accuracy_difference = -0.2;
  ASSERT_TRUE(Step().ok());
  clock.now += seconds(3'601);
  EXPECT_EQ(Name(RunToEnd().state), "rolled_back");
  EXPECT_THAT(cycle().reason, HasSubstr("not shown to be harmless"));
  EXPECT_TRUE(platform.promotions.empty());
}

TEST_F(CycleDriverTest, ACanaryWaitsForOutcomesWhereOutcomesCome) {
  Alert();
  RunUntil(CycleState::kCanary);
  platform.comparison.verdict = "undecided";
  platform.share_with_outcome = 0.8;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(Step().ok());
    clock.now += seconds(1);
  }
  EXPECT_THAT(cycle().reason, HasSubstr("waits for 40 outcomes"));
  platform.comparison.candidate_outcomes = 40;
  platform.comparison.candidate_correct = 38;
  EXPECT_EQ(Name(RunToEnd().state), "promoted");
}

TEST_F(CycleDriverTest, AnotherVersionThatWasPromotedMeanwhileEndsIt) {
  Alert();
  RunUntil(CycleState::kShadow);
  platform.models["model-7"] = {"model-7", "lights", "", "", {}};
  platform.production = "model-7";
  EXPECT_EQ(Name(RunToEnd().state), "rejected");
  EXPECT_THAT(cycle().reason, HasSubstr("model-7 serves by now"));
  EXPECT_EQ(platform.production, "model-7");
}

TEST_F(CycleDriverTest, ARunThatFailsFailsTheCycleAndARetryTrainsAnew) {
  worker_works = false;
  Alert();
  RunUntil(CycleState::kTraining);
  ASSERT_TRUE(Step().ok());
  ASSERT_EQ(runs.runs.size(), 1U);
  runs.runs[0].state = RunState::kFailed;
  runs.runs[0].reason = "no memory";
  RunToEnd();
  EXPECT_EQ(Name(cycle().state), "failed");
  EXPECT_EQ(Name(*cycle().failed_in), "training");
  EXPECT_THAT(cycle().reason, HasSubstr("no memory"));

  worker_works = true;
  ASSERT_TRUE(store.Retry(cycle().id, {"ann", "", clock.now}).ok());
  EXPECT_EQ(Name(RunToEnd().state), "promoted") << cycle().reason;
  EXPECT_EQ(runs.runs.size(), 2U);
  EXPECT_EQ(platform.datasets.size(), 1U);
}

TEST_F(CycleDriverTest, ARunThatCostsTooMuchIsStopped) {
  worker_works = false;
  platform.task.cycle.max_cpu_seconds = 100;
  Alert();
  RunUntil(CycleState::kTraining);
  ASSERT_TRUE(Step().ok());
  runs.runs.at(0).state = RunState::kRunning;
  runs.runs[0].started_at = clock.now;
  clock.now += seconds(101);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Step().ok());
  EXPECT_TRUE(runs.runs[0].cancel_requested);
  EXPECT_EQ(Name(cycle().state), "training");  // Until the worker has stopped.
  runs.runs[0].state = RunState::kCancelled;
  RunToEnd();
  EXPECT_EQ(Name(cycle().state), "rejected");
  EXPECT_THAT(cycle().reason, HasSubstr("100 s of CPU time"));
}

TEST_F(CycleDriverTest, WhatIsWrongForGoodFailsAtOnceAndSaysWhere) {
  platform.refused_call = "Build";
  Alert();
  RunToEnd();
  EXPECT_EQ(Name(cycle().state), "failed");
  EXPECT_EQ(Name(*cycle().failed_in), "building");
  EXPECT_EQ(cycle().reason, "refused");
}

TEST_F(CycleDriverTest, WhatIsAwayIsTriedEverMoreSlowlyAndShows) {
  platform.refused_call = "Enqueue";
  platform.refusal = {ErrorCode::kUnavailable, "labeling is away"};
  Alert();
  RunUntil(CycleState::kLabeling);
  std::vector<std::chrono::milliseconds> pauses;
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(*Step());
    pauses.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(
        store.rows[0].next_step_at - clock.now));
    clock.now = store.rows[0].next_step_at;
  }
  EXPECT_EQ(pauses.front(), std::chrono::milliseconds(500));
  EXPECT_EQ(pauses[2], std::chrono::milliseconds(2'000));
  EXPECT_EQ(pauses.back(), std::chrono::milliseconds(15'000));
  EXPECT_THAT(cycle().reason, HasSubstr("tries again (8): labeling is away"));
  platform.refused_call.clear();
  EXPECT_EQ(Name(RunToEnd().state), "promoted");
}

TEST_F(CycleDriverTest, CancellingTakesBackLeasesRunsAndTraffic) {
  platform.annotators_work = false;
  Alert();
  RunUntil(CycleState::kLabeling);
  ASSERT_TRUE(Step().ok());
  ASSERT_TRUE(store.RequestCancel(cycle().id, {"ann", "enough", clock.now}).ok());
  RunToEnd();
  EXPECT_EQ(Name(cycle().state), "cancelled");
  EXPECT_EQ(platform.batches.begin()->second.state, "cancelled");
  EXPECT_EQ(cycle().reason, "cancelled by ann: enough");
}

TEST_F(CycleDriverTest, CancellingACanaryClearsItsShare) {
  Alert();
  RunUntil(CycleState::kCanary);
  platform.comparison.candidate_predictions = 1;
  platform.comparison.verdict = "undecided";
  clock.now += seconds(2);
  ASSERT_TRUE(Step().ok());
  ASSERT_FALSE(platform.rollout.empty());
  ASSERT_TRUE(store.RequestCancel(cycle().id, {"ann", "enough", clock.now}).ok());
  platform.fails_before_call = platform.calls + 1;  // The registry is away just then.
  EXPECT_EQ(Name(RunToEnd().state), "cancelled");
  EXPECT_THAT(platform.rollout, IsEmpty());
}

TEST_F(CycleDriverTest, APausedCycleTakesNoStepAndCanStillBeCancelled) {
  Alert();
  RunUntil(CycleState::kCollecting);
  ASSERT_TRUE(store.Pause(cycle().id, {"ann", "", clock.now}).ok());
  clock.now += seconds(100);
  EXPECT_FALSE(*Step());
  ASSERT_TRUE(store.RequestCancel(cycle().id, {"ann", "enough", clock.now}).ok());
  EXPECT_EQ(Name(RunToEnd().state), "cancelled");
}

TEST_F(CycleDriverTest, TwoProcessesDoNotTakeOneStep) {
  Alert();
  ASSERT_TRUE(store.Claim("other", clock.now, std::chrono::seconds(30))->has_value());
  EXPECT_FALSE(*Step());
  clock.now += seconds(31);
  EXPECT_TRUE(*Step());
}

TEST_F(CycleDriverTest, WithLabelsAtHandItBuildsAtOnce) {
  ASSERT_TRUE(
      Starter()
          .StartByHand(
              {.request_id = "r", .task = "lights", .actor = "ann", .with_labels_at_hand = true})
          .ok());
  EXPECT_EQ(Name(RunToEnd().state), "promoted");
  EXPECT_TRUE(platform.batches.empty());
  EXPECT_EQ(cycle().labels, 0U);
}

// --- what starts cycles

class CycleStarterTest : public ::testing::Test, public CycleWorld {};

TEST_F(CycleStarterTest, AStormOfAlertsStartsOneCycle) {
  for (int i = 0; i < 50; ++i) {
    Alert("event-" + std::to_string(i), "alert-" + std::to_string(i));
    Alert("event-" + std::to_string(i), "alert-" + std::to_string(i));  // Delivered again.
  }
  EXPECT_EQ(store.rows.size(), 1U);
  ASSERT_EQ(store.decisions.size(), 50U);
  EXPECT_TRUE(store.decisions[0].Started());
  for (std::size_t i = 1; i < 50; ++i) EXPECT_EQ(store.decisions[i].because, "cycle_running");
}

TEST_F(CycleStarterTest, ByHandARepeatReturnsTheCycleAndAnotherOneIsRefused) {
  const CycleStarter::Wish wish{.request_id = "r", .task = "lights", .actor = "ann"};
  const auto first = Starter().StartByHand(wish);
  const auto again = Starter().StartByHand(wish);
  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_TRUE(first->created);
  EXPECT_FALSE(again->created);
  EXPECT_EQ(first->cycle.id, again->cycle.id);
  const auto other = Starter().StartByHand({.request_id = "s", .task = "lights"});
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(other.error().message, HasSubstr(first->cycle.id));
  RunToEnd();
  EXPECT_TRUE(Starter().StartByHand({.request_id = "s", .task = "lights"}).ok());
  EXPECT_EQ(Starter().StartByHand({.request_id = "t", .task = "signs"}).error().code,
            ErrorCode::kNotFound);
  EXPECT_EQ(Starter().StartByHand({.request_id = "", .task = "lights"}).error().code,
            ErrorCode::kInvalidArgument);
}

TEST_F(CycleStarterTest, AnAlertThatCameAtTheWrongTimeIsLookedAtAgain) {
  platform.new_items = 0;  // The first cycle comes to nothing.
  Alert("event-1", "alert-1");
  Alert("event-2", "alert-2");
  RunToEnd();
  ASSERT_TRUE(Starter().LookAround().ok());
  EXPECT_EQ(store.rows.size(), 1U);  // It cools down.
  clock.now += seconds(3'600);
  ASSERT_TRUE(Starter().LookAround().ok());
  ASSERT_TRUE(Starter().LookAround().ok());
  ASSERT_EQ(store.rows.size(), 2U);
  EXPECT_EQ(store.rows[1].cycle.trigger.alert_id, "alert-2");
}

TEST_F(CycleStarterTest, AnAlertOfAModelThatServesNoMoreHasBeenAnswered) {
  Alert("event-1", "alert-1");
  Alert("event-2", "alert-2");
  EXPECT_EQ(Name(RunToEnd().state), "promoted");
  clock.now += seconds(3'600);
  ASSERT_TRUE(Starter().LookAround().ok());
  EXPECT_EQ(store.rows.size(), 1U);
  EXPECT_TRUE(store.alerts.empty());
}

TEST_F(CycleStarterTest, AResolvedAlertStartsNone) {
  platform.new_items = 0;
  Alert("event-1", "alert-1");
  Alert("event-2", "alert-2");
  RunToEnd();
  ASSERT_TRUE(Starter().OnAlertResolved("alert-2").ok());
  clock.now += seconds(3'600);
  ASSERT_TRUE(Starter().LookAround().ok());
  EXPECT_EQ(store.rows.size(), 1U);
}

TEST_F(CycleStarterTest, EnoughNewLabelsStartOne) {
  platform.task.cycle.new_labels = 100;
  platform.new_labels = 99;
  ASSERT_TRUE(Starter().LookAround().ok());
  EXPECT_TRUE(store.rows.empty());
  platform.new_labels = 100;
  ASSERT_TRUE(Starter().LookAround().ok());
  ASSERT_EQ(store.rows.size(), 1U);
  EXPECT_TRUE(cycle().labels_at_hand);
  RunToEnd();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Starter().LookAround().ok());
  EXPECT_EQ(store.decisions.size(), 2U);  // One row says that it cools down, not five.
  EXPECT_EQ(store.decisions[1].because, "cooldown");
}

TEST_F(CycleStarterTest, TimeStartsOne) {
  platform.task.cycle.schedule_hours = 24;
  platform.serving_since = clock.now - std::chrono::hours(23);
  ASSERT_TRUE(Starter().LookAround().ok());
  EXPECT_TRUE(store.rows.empty());
  clock.now += std::chrono::hours(1);
  ASSERT_TRUE(Starter().LookAround().ok());
  EXPECT_EQ(store.rows.size(), 1U);
  RunToEnd();
  clock.now += std::chrono::hours(23);
  ASSERT_TRUE(Starter().LookAround().ok());
  EXPECT_EQ(store.rows.size(), 1U);
}

}  // namespace
}  // namespace tidewheel::training
