#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "tidewheel/tests/platform/bar_pictures.h"
#include "tidewheel/tests/platform/wheel.h"

namespace tidewheel::tests {
namespace {

class SwapTest : public PlatformTest {};

TEST_F(SwapTest, TwentyPromotionsUnderLoadFailNoRequest) {
  ASSERT_NE(platform_, nullptr);
  Wheel wheel(*platform_, "swapped");
  const auto first = wheel.ServeBars(600);
  ASSERT_TRUE(first.ok()) << first.error().message;
  const auto started = wheel.Start(first->dataset_version_id(), "image-linear", 2, 5);
  ASSERT_TRUE(started.ok()) << started.error().message;
  const auto second = wheel.WaitForEnd(started->run_id(), std::chrono::seconds(60));
  ASSERT_TRUE(second.ok()) << second.error().message;
  ASSERT_EQ(second->state(), training::v1::RUN_STATE_SUCCEEDED) << second->reason();

  const auto channel = platform_->Client().PlainChannelTo("inference");
  ASSERT_TRUE(channel.ok());
  std::atomic<std::uint64_t> answered = 0;
  std::mutex mutex;  // Guards the two below.
  std::set<std::string> versions;
  std::vector<std::string> failures;
  {
    std::vector<std::jthread> clients;
    for (int c = 0; c < 4; ++c) {
      clients.emplace_back([&, c](std::stop_token stop) {
        inference::v1::InferenceService::Stub stub(*channel);
        for (std::uint64_t i = 0; !stop.stop_requested(); ++i) {
          inference::v1::PredictRequest request;
          request.set_task("swapped");
          request.mutable_pictures()->add_payloads(
              MakeBarPicture(static_cast<std::uint64_t>(c) * 1'000'000 + i % 1'000).payload);
          rpc::ClientContextWithDeadline context(std::chrono::seconds(10));
          inference::v1::PredictResponse response;
          const auto status = stub.Predict(&context, request, &response);
          const std::lock_guard lock(mutex);
          if (status.ok()) {
            ++answered;
            versions.insert(response.model_version_id());
          } else {
            failures.push_back(status.error_message());
          }
        }
      });
    }
    for (int swap = 0; swap < 20; ++swap) {
      const auto& next = swap % 2 == 0 ? second->model_version_id() : first->model_version_id();
      const auto promoted = wheel.Promote(next);
      ASSERT_TRUE(promoted.ok()) << promoted.error().message;
      const auto served = wheel.WaitUntilServed(next);
      ASSERT_TRUE(served.ok()) << served.error().message;
    }
  }
  EXPECT_TRUE(failures.empty()) << failures.size() << " of " << answered
                                << ", the first: " << failures.front();
  EXPECT_GT(answered, 1'000U);
  EXPECT_EQ(versions,
            (std::set<std::string>{first->model_version_id(), second->model_version_id()}));
}

}  // namespace
}  // namespace tidewheel::tests
