#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>

#include "tidewheel/base/ids.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/tests/platform/bar_pictures.h"
#include "tidewheel/tests/platform/wheel.h"

namespace tidewheel::tests {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class KillTest : public PlatformTest {
 protected:
  void SetUp() override {
    PlatformOptions options;
    options.settings["training"] = {{"lease", "2s"}};
    StartPlatform(options);
  }

  std::uint64_t Count(const std::string& sql) {
    const auto answer = platform_->Ask(sql);
    EXPECT_TRUE(answer.ok()) << answer.error().message;
    return answer && !answer->empty() ? std::stoull(*answer) : 0;
  }

  /// Every outbox is empty: what was committed has gone out.
  void ExpectOutboxesEmpty() {
    for (const char* schema : {"registry", "ingestion", "labeling", "curation", "training"}) {
      EXPECT_TRUE(testing::Eventually(seconds(30), [&] {
        return Count("SELECT count(*) FROM " + std::string(schema) + ".outbox") == 0;
      })) << schema;
    }
  }
};

/// Lets another thread go on step by step.
class Gate {
 public:
  void Allow(std::uint64_t until) {
    {
      const std::lock_guard lock(mutex_);
      allowed_ = until;
    }
    changed_.notify_all();
  }
  void WaitFor(std::uint64_t place) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return place < allowed_; });
  }

 private:
  std::mutex mutex_;  // Guards allowed_.
  std::condition_variable changed_;
  std::uint64_t allowed_ = 0;
};

TEST_F(KillTest, EveryAcknowledgedSampleIsThereOnceWhateverIsKilledDuringThePush) {
  ASSERT_NE(platform_, nullptr);
  constexpr std::uint64_t kPictures = 5'000;
  Wheel wheel(*platform_, "killed-push");
  ASSERT_TRUE(wheel.Apply(BarTaskYaml(wheel.task())).ok());

  // A steady stream: a portion is still under way when its service dies.
  Gate gate;
  std::atomic<std::uint64_t> handed_over = 0;
  Result<Wheel::Acknowledged> pushed = Error{ErrorCode::kInternal, "not pushed"};
  std::thread pusher([&] {
    Wheel other(*platform_, "killed-push");
    pushed = other.Push(
        [&]() -> std::optional<ingestion::v1::NewSample> {
          const std::uint64_t place = handed_over;
          if (place == kPictures) return std::nullopt;
          gate.WaitFor(place);
          std::this_thread::sleep_for(std::chrono::microseconds(500));
          ++handed_over;
          return BarSample(place);
        },
        32);
  });
  const auto& services = cli::ServiceNames();
  const std::uint64_t portion = kPictures / (services.size() + 1);
  for (std::size_t i = 0; i <= services.size(); ++i) {
    gate.Allow(i == services.size() ? kPictures : (i + 1) * portion);
    EXPECT_TRUE(
        testing::Eventually(seconds(60), [&] { return handed_over > i * portion + portion / 4; }));
    if (i < services.size()) {
      platform_->Kill(services[i]);
      const auto restarted = platform_->Restart(services[i]);
      EXPECT_TRUE(restarted.ok()) << services[i] << ": " << restarted.error().message;
    } else {
      // Last, what all of them stand on.
      platform_->postgres().Kill();
      const auto restarted = platform_->postgres().Restart();
      EXPECT_TRUE(restarted.ok()) << restarted.error().message;
    }
  }
  pusher.join();

  ASSERT_TRUE(pushed.ok()) << pushed.error().message;
  EXPECT_EQ(pushed->size(), kPictures);
  for (const auto& [name, verdict] : *pushed) {
    EXPECT_NE(verdict.disposition(), ingestion::v1::DISPOSITION_QUARANTINED) << name;
  }
  ingestion::v1::ListSamplesRequest list;
  list.set_task(wheel.task());
  const auto listed =
      wheel.client().CallList(&ingestion::v1::IngestionService::Stub::ListSamples, list, 0);
  ASSERT_TRUE(listed.ok()) << listed.error().message;
  EXPECT_EQ(listed->samples_size(), static_cast<int>(kPictures));
  std::map<std::string, int> times;
  for (const auto& sample : listed->samples()) {
    ++times[sample.name()];
    const auto acknowledged = pushed->find(sample.name());
    ASSERT_NE(acknowledged, pushed->end());
    EXPECT_EQ(acknowledged->second.sample_id(), sample.sample_id());
  }
  EXPECT_EQ(times.size(), kPictures);

  // One fact a sample, and no other.
  ExpectOutboxesEmpty();
  const std::string accepted = " FROM bus.events WHERE type = 'sample.accepted'";
  EXPECT_EQ(Count("SELECT count(DISTINCT key)" + accepted), kPictures);
  EXPECT_EQ(Count("SELECT count(DISTINCT event_id)" + accepted), kPictures);

  const auto again = wheel.PushBars(0, kPictures);
  ASSERT_TRUE(again.ok()) << again.error().message;
  for (const auto& [name, verdict] : *again) {
    EXPECT_EQ(verdict.disposition(), ingestion::v1::DISPOSITION_UNCHANGED) << name;
    EXPECT_EQ(verdict.sample_id(), pushed->at(name).sample_id());
  }
}

/// Asks for predictions one after the other, each until it is answered, and remembers when that
/// was.
class SteadyClient {
 public:
  SteadyClient(const Platform& platform, std::string task)
      : channel_(*platform.Client().PlainChannelTo("inference")),
        task_(std::move(task)),
        thread_([this](std::stop_token stop) { Ask(stop); }) {}

  /// Ends, and gives the answered requests.
  std::set<std::string> Finish() {
    thread_.request_stop();
    thread_.join();
    return std::move(answered_);
  }
  std::uint64_t answered() const { return count_; }
  std::uint64_t failures() const { return failures_; }

 private:
  void Ask(std::stop_token stop) {
    inference::v1::InferenceService::Stub stub(channel_);
    for (std::uint64_t i = 0; !stop.stop_requested(); ++i) {
      inference::v1::PredictRequest request;
      request.set_task(task_);
      request.set_request_id("steady-" + std::to_string(i));
      request.mutable_pictures()->add_payloads(MakeBarPicture(1'000'000 + i).payload);
      while (!stop.stop_requested()) {
        rpc::ClientContextWithDeadline context(seconds(5));
        inference::v1::PredictResponse response;
        if (stub.Predict(&context, request, &response).ok()) {
          answered_.insert(request.request_id());
          ++count_;
          break;
        }
        ++failures_;
        std::this_thread::sleep_for(milliseconds(20));
      }
      std::this_thread::sleep_for(milliseconds(5));
    }
  }

  const std::shared_ptr<grpc::Channel> channel_;
  const std::string task_;
  std::set<std::string> answered_;  // The thread's until it has ended.
  std::atomic<std::uint64_t> count_ = 0;
  std::atomic<std::uint64_t> failures_ = 0;
  std::jthread thread_;  // Last: it uses the rest.
};

std::set<std::string> Split(const std::string& text) {
  std::set<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.insert(part);
  return parts;
}

TEST_F(KillTest, TrainingAndServingGoOnWhateverIsKilled) {
  ASSERT_NE(platform_, nullptr);
  Wheel wheel(*platform_, "killed-service");
  const auto served = wheel.ServeBars(600);
  ASSERT_TRUE(served.ok()) << served.error().message;

  SteadyClient client(*platform_, wheel.task());
  std::vector<std::string> runs;
  // Something trains at every kill.
  const auto keep_training = [&] {
    if (!runs.empty()) {
      const auto run = wheel.Get(runs.back());
      if (run && (run->state() == training::v1::RUN_STATE_QUEUED ||
                  run->state() == training::v1::RUN_STATE_RUNNING)) {
        return;
      }
    }
    const auto started = wheel.Start(served->dataset_version_id(), "image-cnn", 1, 60);
    ASSERT_TRUE(started.ok()) << started.error().message;
    runs.push_back(started->run_id());
  };
  const auto trains = [&] {
    const auto run = wheel.Get(runs.back());
    return run && run->state() == training::v1::RUN_STATE_RUNNING &&
           run->progress().phase() == "training";
  };
  std::string interrupted_run;
  auto killed = cli::ServiceNames();
  killed.push_back("postgres");
  for (const auto& name : killed) {
    SCOPED_TRACE(name);
    keep_training();
    if (HasFatalFailure()) return;
    ASSERT_TRUE(testing::Eventually(seconds(60), trains));
    const std::uint64_t failures = client.failures();
    if (name == "training") interrupted_run = runs.back();
    if (name == "postgres") {
      platform_->postgres().Kill();
    } else {
      platform_->Kill(name);
    }
    // While it is away, the rest does its work.
    if (name != "inference") {
      const std::uint64_t before = client.answered();
      EXPECT_TRUE(testing::Eventually(seconds(10), [&] { return client.answered() > before + 5; }));
      EXPECT_EQ(client.failures(), failures) << "predictions failed while " << name << " was away";
    }
    const auto restarted =
        name == "postgres" ? platform_->postgres().Restart() : platform_->Restart(name);
    ASSERT_TRUE(restarted.ok()) << restarted.error().message;
    const std::uint64_t before = client.answered();
    EXPECT_TRUE(testing::Eventually(seconds(30), [&] { return client.answered() > before + 5; }));
  }

  std::uint64_t succeeded = 1;  // The baseline.
  for (const auto& id : runs) {
    const auto run = wheel.WaitForEnd(id, seconds(120));
    ASSERT_TRUE(run.ok()) << run.error().message;
    if (run->state() == training::v1::RUN_STATE_SUCCEEDED) {
      ++succeeded;
      EXPECT_EQ(run->evaluations_size(), 2);
    } else {
      EXPECT_FALSE(run->reason().empty());
    }
    if (id == interrupted_run && run->state() == training::v1::RUN_STATE_SUCCEEDED) {
      EXPECT_GE(run->attempt(), 2U);
    }
  }
  // The relay follows the run's own transaction.
  EXPECT_TRUE(testing::Eventually(seconds(30), [&] {
    return Count("SELECT count(DISTINCT key) FROM bus.events WHERE type = 'run.succeeded'") ==
           succeeded;
  }));
  EXPECT_EQ(Count("SELECT count(DISTINCT event_id) FROM bus.events WHERE type = 'run.succeeded'"),
            succeeded);

  // What was answered is stored once, whoever was killed: what inference had in memory, it finds
  // in its journal.
  const std::set<std::string> answered = client.Finish();
  const std::string mine =
      " FROM monitoring.predictions p JOIN monitoring.models m ON m.id = p.model_id"
      " WHERE m.task = 'killed-service'";
  std::set<std::string> stored;
  EXPECT_TRUE(testing::Eventually(
      seconds(60),
      [&] {
        const auto ids = platform_->Ask("SELECT string_agg(request_id, ',')" + mine);
        stored = ids ? Split(*ids) : std::set<std::string>();
        return std::includes(stored.begin(), stored.end(), answered.begin(), answered.end());
      }))
      << answered.size() << " answered, " << stored.size() << " stored";
  const std::uint64_t expected = Count("SELECT count(*)" + mine);
  EXPECT_EQ(expected, stored.size());
  const std::string streams =
      " JOIN monitoring.streams s ON s.id = w.stream_id AND s.slice = ''"
      " JOIN monitoring.models m ON m.id = s.model_id WHERE m.task = 'killed-service'";
  EXPECT_TRUE(testing::Eventually(seconds(60), [&] {
    return Count("SELECT coalesce(sum(w.predictions), 0) FROM monitoring.windows w" + streams +
                 " AND w.kind = 'count'") == expected;
  }));
  EXPECT_EQ(Count("SELECT sum(t.predictions) FROM monitoring.model_tallies t"
                  " JOIN monitoring.models m ON m.id = t.model_id"
                  " WHERE m.task = 'killed-service'"),
            expected);
  ExpectOutboxesEmpty();
}

}  // namespace
}  // namespace tidewheel::tests
