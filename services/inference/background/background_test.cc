#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/blob/sha256.h"
#include "tidewheel/inference/background/background_queue.h"
#include "tidewheel/inference/background/capture_keeper.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::inference {
namespace {

using std::chrono::seconds;

class Tally final : public Counter {
 public:
  void Add(double amount) override { total_ += static_cast<int>(amount); }
  int total() const { return total_; }

 private:
  std::atomic<int> total_ = 0;
};

/// Work that waits for a word.
class Held {
 public:
  ~Held() { Release(); }
  void Wait() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return released_; });
  }
  void WaitUntilBusy() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_ > 0; });
  }
  void Release() {
    const std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;  // Guards both below.
  std::condition_variable changed_;
  bool released_ = false;
  int waiting_ = 0;
};

using IntQueue = BackgroundQueue<int>;

TEST(BackgroundQueueTest, IsBoundedInItemsAndBytesWithWhatIsInWork) {
  Held held;
  IntQueue queue("test", {.items = 2, .bytes = 100}, 1, IntQueue::AtShutdown::kFinish,
                 [&](const std::vector<int>&) { held.Wait(); });
  EXPECT_FALSE(queue.HasRoom(101));
  EXPECT_FALSE(queue.TryPush(0, 101));
  EXPECT_TRUE(queue.TryPush(1, 60));
  held.WaitUntilBusy();
  EXPECT_FALSE(queue.HasRoom(41));
  EXPECT_FALSE(queue.TryPush(2, 41));
  EXPECT_TRUE(queue.TryPush(2, 40));
  EXPECT_TRUE(queue.TryPush(3, 0));
  EXPECT_FALSE(queue.HasRoom(0));
  EXPECT_FALSE(queue.TryPush(4, 0));
  held.Release();
  EXPECT_TRUE(testing::Eventually(seconds(20), [&] { return queue.HasRoom(100); }));
}

TEST(BackgroundQueueTest, FinishesWhatWaitsAtShutdownWhenToldTo) {
  Held held;
  std::vector<int> done;
  {
    IntQueue queue("test", {.items = 10, .bytes = 100}, 1, IntQueue::AtShutdown::kFinish,
                   [&](const std::vector<int>& items) {
                     held.Wait();
                     done.insert(done.end(), items.begin(), items.end());
                   });
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(queue.TryPush(int{i}, 1));
    held.WaitUntilBusy();
    held.Release();
  }
  EXPECT_THAT(done, ::testing::ElementsAre(0, 1, 2));
}

class NoisySink final : public FactSink {
 public:
  void Tell(const PredictionFact& /*fact*/) override {}
  bool Tell(const OutcomeFact& /*fact*/) override { return true; }
  bool Tell(const CaptureFact& fact) override {
    if (full) return false;
    refs.push_back(fact.payload_ref);
    return true;
  }
  std::vector<std::string> refs;
  bool full = false;
};

/// Takes nothing.
class FullStore final : public blob::Store {
 public:
  Result<std::vector<blob::Ref>> PutHashed(std::span<const blob::HashedPayload>) override {
    return Full();
  }
  Result<blob::Ref> PutFile(const std::filesystem::path&) override { return Full(); }
  Result<std::string> Get(const blob::Ref&) const override { return Full(); }
  Result<void> GetFile(const blob::Ref&, const std::filesystem::path&) const override {
    return Full();
  }
  Result<void> Erase(const blob::Ref&) override { return Full(); }

 private:
  static Error Full() { return {ErrorCode::kResourceExhausted, "no space left"}; }
};

CapturedPayload Captured(const std::string& payload) {
  CapturedPayload captured;
  captured.request_id = "r-1";
  captured.payload = payload;
  captured.sha256 = blob::Sha256(payload).Hex();
  captured.decision = {CaptureReason::kUncertain, 0};
  return captured;
}

TEST(CaptureKeeperTest, FinishesWhatWaitsBeforeItGoes) {
  const testing::TempFolder folder;
  const auto store = blob::OpenFileStore(folder.path()).value();
  NoisySink sink;
  Tally kept;
  {
    CaptureKeeper keeper(*store, sink, {}, CaptureCounters{.uncertain = kept}, nullptr);
    for (int i = 0; i < 100; ++i) keeper.Offer(Captured("payload " + std::to_string(i)));
  }
  EXPECT_EQ(kept.total(), 100);
  ASSERT_EQ(sink.refs.size(), 100U);
  EXPECT_EQ(store->Get(blob::Ref::Parse(sink.refs[42]).value()).value(), "payload 42");
}

TEST(CaptureKeeperTest, CountsWhatTheStoreOrTheBusRefuses) {
  NoisySink sink;
  Tally by_store, by_bus, kept;
  const CaptureCounters counters{
      .uncertain = kept, .dropped_by_store = by_store, .dropped_by_bus = by_bus};
  std::string problem;
  {
    FullStore full;
    CaptureKeeper keeper(full, sink, {}, counters,
                         [&](const Error& error) { problem = error.message; });
    keeper.Offer(Captured("a"));
  }
  EXPECT_EQ(by_store.total(), 1);
  EXPECT_EQ(problem, "no space left");
  EXPECT_TRUE(sink.refs.empty());

  const testing::TempFolder folder;
  const auto store = blob::OpenFileStore(folder.path()).value();
  sink.full = true;
  {
    CaptureKeeper keeper(*store, sink, {}, counters, nullptr);
    keeper.Offer(Captured("a"));
  }
  EXPECT_EQ(by_bus.total(), 1);
  EXPECT_EQ(kept.total(), 0);
}

}  // namespace
}  // namespace tidewheel::inference
