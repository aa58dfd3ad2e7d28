// kill -9 of inference while many clients ask and every input is kept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>

#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/http_get.h"
#include "tidewheel/tests/platform/bar_pictures.h"
#include "tidewheel/tests/platform/wheel.h"

namespace tidewheel::tests {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kTask[] = "killed-inference";

/// Clients that ask without a pause, each call once; who was answered is remembered.
class Crowd {
 public:
  Crowd(const Platform& platform, int clients)
      : channel_(*platform.Client().PlainChannelTo("inference")) {
    for (int c = 0; c < clients; ++c) {
      threads_.emplace_back([this, c](std::stop_token stop) { Ask(c, stop); });
    }
  }
  void Finish() { threads_.clear(); }
  std::uint64_t answered() const { return count_; }

  // For who has called Finish.
  std::set<std::string> asked;
  std::set<std::string> answers;
  std::set<std::string> versions;

 private:
  void Ask(int client, const std::stop_token& stop) {
    inference::v1::InferenceService::Stub stub(channel_);
    for (std::uint64_t i = 0; !stop.stop_requested(); ++i) {
      inference::v1::PredictRequest request;
      request.set_task(kTask);
      request.set_request_id("crowd-" + std::to_string(client) + "-" + std::to_string(i));
      request.mutable_pictures()->add_payloads(
          MakeBarPicture(1'000'000 * static_cast<std::uint64_t>(client + 1) + i).payload);
      {
        const std::lock_guard lock(mutex_);
        asked.insert(request.request_id());
      }
      rpc::ClientContextWithDeadline context(seconds(10));
      inference::v1::PredictResponse response;
      if (stub.Predict(&context, request, &response).ok()) {
        const std::lock_guard lock(mutex_);
        answers.insert(request.request_id());
        versions.insert(response.model_version_id());
        ++count_;
      } else {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    }
  }

  const std::shared_ptr<grpc::Channel> channel_;
  std::mutex mutex_;  // Guards the sets.
  std::atomic<std::uint64_t> count_ = 0;
  std::vector<std::jthread> threads_;  // Last: they use the rest.
};

class InferenceKillTest : public PlatformTest {
 protected:
  /// The sum of a counter over its labels, as inference tells it now.
  double Counted(const std::string& name) const {
    std::istringstream lines(
        testing::HttpGet(platform_->MetricsAddressOf("inference"), "/metrics"));
    double sum = 0;
    for (std::string line; std::getline(lines, line);) {
      const bool is_it = line.starts_with(name + " ") || line.starts_with(name + "{");
      if (is_it) sum += std::stod(line.substr(line.rfind(' ') + 1));
    }
    return sum;
  }

  /// What the bus has of a type: the requests that it is about.
  std::set<std::string> OnTheBus(const std::string& type) {
    const auto keys = platform_->Ask(
        "SELECT string_agg(DISTINCT key, ',') FROM bus.events WHERE type = '" + type + "'");
    std::set<std::string> requests;
    std::istringstream stream(keys ? *keys : "");
    for (std::string part; std::getline(stream, part, ',');) requests.insert(part);
    return requests;
  }
};

TEST_F(InferenceKillTest, WhatWasAnsweredIsToldAndTheSameVersionServesAgain) {
  ASSERT_NE(platform_, nullptr);
  Wheel wheel(*platform_, kTask);
  const auto served = wheel.ServeBars(600);
  ASSERT_TRUE(served.ok()) << served.error().message;
  const std::string captures = "tidewheel_inference_captures_total";
  const std::string drops = "tidewheel_inference_captures_dropped_total";
  ASSERT_TRUE(
      wheel.Apply(BarTaskYaml(kTask) + "capture: {random_share: 1, max_per_minute: 60000}\n").ok());
  // The policy comes with the deployment: from the first that is kept on, all are.
  std::uint64_t probes = 0;
  ASSERT_TRUE(testing::Eventually(seconds(60), [&] {
    inference::v1::PredictRequest request;
    request.set_task(kTask);
    request.set_request_id("probe-" + std::to_string(probes++));
    request.mutable_pictures()->add_payloads(MakeBarPicture(900'000 + probes).payload);
    const auto channel = platform_->Client().PlainChannelTo("inference");
    inference::v1::InferenceService::Stub stub(*channel);
    rpc::ClientContextWithDeadline context(seconds(10));
    inference::v1::PredictResponse response;
    return stub.Predict(&context, request, &response).ok() && Counted(captures) > 0;
  }));

  Crowd crowd(*platform_, 3);
  double kept = 0;  // By processes that were killed, at least.
  const auto await_answers = [&](std::uint64_t more) {
    const auto before = crowd.answered();
    ASSERT_TRUE(
        testing::Eventually(seconds(60), [&] { return crowd.answered() >= before + more; }));
  };
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE(round);
    ASSERT_NO_FATAL_FAILURE(await_answers(300));
    // Once with the bus away, so that what is told lies on disk.
    const bool without_bus = round == 1;
    if (without_bus) {
      platform_->postgres().Kill();
      ASSERT_NO_FATAL_FAILURE(await_answers(300));
    }
    kept += Counted(captures);
    platform_->Kill("inference");
    if (without_bus) {
      ASSERT_TRUE(platform_->postgres().Restart().ok());
    }
    const auto restarted = platform_->Restart("inference");
    ASSERT_TRUE(restarted.ok()) << restarted.error().message;
    const auto again = wheel.WaitUntilServed(served->model_version_id());
    ASSERT_TRUE(again.ok()) << again.error().message;
  }
  ASSERT_NO_FATAL_FAILURE(await_answers(300));
  crowd.Finish();
  EXPECT_THAT(crowd.versions, ElementsAre(served->model_version_id()));

  // None of those that were answered is lost, and none is made up.
  std::set<std::string> told;
  EXPECT_TRUE(testing::Eventually(
      seconds(120),
      [&] {
        told = OnTheBus("prediction.made");
        return std::includes(told.begin(), told.end(), crowd.answers.begin(), crowd.answers.end());
      }))
      << crowd.answers.size() << " answered, " << told.size() << " told";
  std::vector<std::string> invented;
  for (const auto& request : told) {
    if (!request.starts_with("crowd-") || crowd.asked.contains(request)) continue;
    invented.push_back(request);
  }
  EXPECT_THAT(invented, IsEmpty());
  EXPECT_EQ(Counted("tidewheel_inference_events_dropped_total"), 0);

  // What was kept before a kill is on the bus; of the last process each answer is kept or counted.
  kept += Counted(captures);
  std::set<std::string> captured;
  EXPECT_TRUE(testing::Eventually(seconds(120),
                                  [&] {
                                    captured = OnTheBus("payload.captured");
                                    return static_cast<double>(captured.size()) >= kept;
                                  }))
      << kept << " kept, " << captured.size() << " told";
  EXPECT_TRUE(testing::Eventually(seconds(60),
                                  [&] {
                                    return Counted(captures) + Counted(drops) ==
                                           Counted("tidewheel_inference_predictions_total");
                                  }))
      << Counted(captures) << " kept, " << Counted(drops) << " dropped, of "
      << Counted("tidewheel_inference_predictions_total");
}

}  // namespace
}  // namespace tidewheel::tests
