#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cmath>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "tidewheel/testing/eventually.h"
#include "tidewheel/tests/platform/bar_pictures.h"
#include "tidewheel/tests/platform/wheel.h"

namespace tidewheel::tests {
namespace {

class SwapTest : public PlatformTest {
 protected:
  void SetUp() override {
    PlatformOptions options;
    options.settings["inference"] = {{"follow_interval", "20ms"}};
    StartPlatform(options);
  }
};

/// What the clients know of the promotions: an odd number while one is under way.
class Turns {
 public:
  std::uint64_t now() const { return turn_; }
  void Next() { ++turn_; }

 private:
  std::atomic<std::uint64_t> turn_ = 0;
};

TEST_F(SwapTest, FiftyPromotionsUnderLoadFailNoRequestAndMixNothingUp) {
  constexpr int kSwaps = 50;
  constexpr std::uint64_t kPictures = 50;
  ASSERT_NE(platform_, nullptr);
  Wheel wheel(*platform_, "swapped");
  const auto first = wheel.ServeBars(600);
  ASSERT_TRUE(first.ok()) << first.error().message;
  const auto started = wheel.Start(first->dataset_version_id(), "image-linear", 2, 5);
  ASSERT_TRUE(started.ok()) << started.error().message;
  const auto second = wheel.WaitForEnd(started->run_id(), std::chrono::seconds(60));
  ASSERT_TRUE(second.ok()) << second.error().message;
  ASSERT_EQ(second->state(), training::v1::RUN_STATE_SUCCEEDED) << second->reason();
  const std::array<std::string, 2> served{first->model_version_id(), second->model_version_id()};

  const auto channel = platform_->Client().PlainChannelTo("inference");
  ASSERT_TRUE(channel.ok());
  Turns turns;
  std::atomic<std::uint64_t> answered = 0;
  std::atomic<std::uint64_t> settled = 0;  // Of these, while nothing was being promoted.
  std::mutex mutex;                        // Guards the two below.
  std::map<std::pair<std::uint64_t, std::string>, float> confidences;
  std::vector<std::string> failures;
  {
    std::vector<std::jthread> clients;
    for (int c = 0; c < 4; ++c) {
      clients.emplace_back([&](std::stop_token stop) {
        inference::v1::InferenceService::Stub stub(*channel);
        for (std::uint64_t i = 0; !stop.stop_requested(); ++i) {
          inference::v1::PredictRequest request;
          request.set_task("swapped");
          request.mutable_pictures()->add_payloads(
              MakeBarPicture(1'000'000 + i % kPictures).payload);
          rpc::ClientContextWithDeadline context(std::chrono::seconds(60));
          inference::v1::PredictResponse response;
          const auto turn = turns.now();
          const auto status = stub.Predict(&context, request, &response);
          const bool still = turn % 2 == 0 && turns.now() == turn;
          const std::string& version = response.model_version_id();
          const std::lock_guard lock(mutex);
          ++answered;
          if (!status.ok()) {
            failures.push_back(status.error_message());
            continue;
          }
          if (still) {
            ++settled;
            if (version != served[turn / 2 % 2]) failures.push_back("a version that was replaced");
          }
          // Each version says one thing of a picture, and no two of them the same.
          const float confidence = response.predictions(0).confidence();
          const auto known = confidences.emplace(std::pair(i % kPictures, version), confidence);
          if (std::abs(known.first->second - confidence) > 1e-4F) {
            failures.push_back("another answer than the version's");
          }
        }
      });
    }
    for (int swap = 1; swap <= kSwaps; ++swap) {
      turns.Next();
      const auto& next = served[static_cast<std::size_t>(swap % 2)];
      const auto promoted = wheel.Promote(next);
      ASSERT_TRUE(promoted.ok()) << promoted.error().message;
      const auto loaded = wheel.WaitUntilServed(next);
      ASSERT_TRUE(loaded.ok()) << loaded.error().message;
      turns.Next();
      const auto before = answered.load();
      ASSERT_TRUE(
          testing::Eventually(std::chrono::seconds(60), [&] { return answered >= before + 8; }));
    }
  }
  EXPECT_TRUE(failures.empty()) << failures.size() << " of " << answered
                                << ", the first: " << failures.front();
  EXPECT_GT(settled, 2U * kSwaps);
  std::set<std::string> versions;
  for (const auto& [asked, confidence] : confidences) versions.insert(asked.second);
  EXPECT_EQ(versions, std::set<std::string>(served.begin(), served.end()));
}

}  // namespace
}  // namespace tidewheel::tests
