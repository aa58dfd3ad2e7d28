#include "tidewheel/training/domain/run_executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tidewheel/training/domain/fake_run_store.h"

namespace tidewheel::training {
namespace {

using testing::HasSubstr;

class FakeLauncher final : public WorkerLauncher {
 public:
  Result<WorkerEnd> Launch(const Run& /*run*/,
                           const std::function<bool(const Progress&)>& on_progress) override {
    if (++launches <= away_for) return Error{ErrorCode::kUnavailable, "registry is away"};
    if (refusal) return *refusal;
    if (before_report) before_report();
    if (!on_progress({"training", 1, 2, 1, 2, 0.5, 0.5, 100, 1})) {
      WorkerEnd stopped;
      stopped.stopped = true;
      stopped.failure = "was stopped";
      return stopped;
    }
    return end;
  }
  void Remove(const std::string& run_id) override { removed.push_back(run_id); }

  WorkerEnd end;
  int launches = 0;
  int away_for = 0;
  std::optional<Error> refusal;
  std::function<void()> before_report;
  std::vector<std::string> removed;
};

class FakeRegistrar final : public PackageRegistrar {
 public:
  Result<std::string> Register(const Run& /*run*/, const std::string& /*folder*/) override {
    ++calls;
    if (calls <= away_for) return Error{ErrorCode::kUnavailable, "registry is away"};
    if (refusal) return *refusal;
    return std::string("model-1");
  }
  int calls = 0;
  int away_for = 0;
  std::optional<Error> refusal;
};

class RunExecutorTest : public testing::Test {
 protected:
  RunExecutorTest() {
    training::Run run;
    run.id = "run-1";
    run.request.request_id = "request-1";
    store_.runs.push_back(run);
    launcher_.end.outcome = RunOutcome{};
  }
  const training::Run& run() { return store_.Get("run-1"); }

  SystemClock clock_;
  FakeRunStore store_;
  FakeLauncher launcher_;
  FakeRegistrar registrar_;
  RunExecutor executor_{store_, launcher_, registrar_, clock_, {.owner = "me"}};
};

TEST_F(RunExecutorTest, SeesARunToItsEnd) {
  EXPECT_TRUE(*executor_.RunNext({}));
  EXPECT_EQ(run().state, RunState::kSucceeded);
  EXPECT_EQ(run().model_version_id, "model-1");
  EXPECT_THAT(launcher_.removed, testing::ElementsAre("run-1"));
  EXPECT_FALSE(*executor_.RunNext({}));
}

TEST_F(RunExecutorTest, ACrashFailsOnlyThatRunWithTheReason) {
  launcher_.end = {};
  launcher_.end.failure = "the worker was ended by signal 11 (Segmentation fault) without a result";
  EXPECT_TRUE(*executor_.RunNext({}));
  EXPECT_EQ(run().state, RunState::kFailed);
  EXPECT_THAT(run().reason, HasSubstr("signal 11"));
}

TEST_F(RunExecutorTest, CancelStopsTheWorker) {
  launcher_.before_report = [this] { store_.Get("run-1").cancel_requested = true; };
  EXPECT_TRUE(*executor_.RunNext({}));
  EXPECT_EQ(run().state, RunState::kCancelled);
  EXPECT_EQ(registrar_.calls, 0);
}

TEST_F(RunExecutorTest, ARunThatWasTakenAwayIsLeftAlone) {
  store_.taken_away = true;
  EXPECT_TRUE(*executor_.RunNext({}));
  EXPECT_EQ(run().state, RunState::kRunning);
}

TEST_F(RunExecutorTest, AShutdownLeavesTheRunToItsLease) {
  std::stop_source stop;
  launcher_.before_report = [&] { stop.request_stop(); };
  EXPECT_TRUE(*executor_.RunNext(stop.get_token()));
  EXPECT_EQ(run().state, RunState::kRunning);
}

TEST_F(RunExecutorTest, WaitsForARegistryThatIsAway) {
  registrar_.away_for = 1;
  EXPECT_TRUE(*executor_.RunNext({}));
  EXPECT_EQ(registrar_.calls, 2);
  EXPECT_EQ(run().state, RunState::kSucceeded);
}

TEST_F(RunExecutorTest, ARefusedPackageFailsTheRun) {
  registrar_.refusal =
      Error{ErrorCode::kInvalidArgument, "the package's classes are not those of task lights"};
  EXPECT_TRUE(*executor_.RunNext({}));
  EXPECT_EQ(run().state, RunState::kFailed);
  EXPECT_THAT(run().reason, HasSubstr("classes"));
}

TEST_F(RunExecutorTest, WaitsForWhatAWorkerNeedsToStart) {
  launcher_.away_for = 2;
  EXPECT_TRUE(*executor_.RunNext({}));
  EXPECT_EQ(launcher_.launches, 3);
  EXPECT_EQ(run().state, RunState::kSucceeded);
}

TEST_F(RunExecutorTest, ARunThatWaitsForItsWorkerCanBeCancelled) {
  launcher_.away_for = 1'000'000;
  store_.Get("run-1").cancel_requested = true;
  EXPECT_TRUE(*executor_.RunNext({}));
  EXPECT_EQ(run().state, RunState::kCancelled);
}

TEST_F(RunExecutorTest, AWorkerThatCannotStartFailsTheRun) {
  launcher_.refusal = Error{ErrorCode::kFailedPrecondition, "no folder for a worker"};
  (void)executor_.RunNext({});
  EXPECT_EQ(run().state, RunState::kFailed);
  EXPECT_THAT(run().reason, HasSubstr("could not be started"));
}

}  // namespace
}  // namespace tidewheel::training
