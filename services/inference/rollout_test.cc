#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tidewheel/inference/testing/inference_suite.h"
#include "tidewheel/testing/eventually.h"

/// Candidates beside production: real packages on the real engine behind a real server, and
/// scripted models where a candidate must be slow or bad.
namespace tidewheel::inference {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RolloutTest : public InferenceTest {
 protected:
  std::shared_ptr<const ServedModel> Load(std::uint32_t version) {
    return loader_->Load(Package(version)).value();
  }
};

TEST_F(RolloutTest, CanarySharesAreExactAndStickyByKey) {
  constexpr int kKeys = 3'000;
  const auto production = Package(1);
  const auto candidate = Package(2);
  std::map<std::string, bool> was_in;
  for (const double share : {0.1, 0.3, 0.7}) {
    Deploy(production, Rollout{candidate, Role::kCanary, share});
    int in = 0;
    auto request = Request("", 1);
    for (int i = 0; i < kKeys; ++i) {
      const std::string key = "camera-" + std::to_string(i);
      request.set_routing_key(key);
      v1::PredictResponse response;
      ASSERT_TRUE(Predict(request, &response).ok());
      const bool canary = response.role() == "canary";
      ASSERT_EQ(response.model_version(), canary ? 2U : 1U);
      EXPECT_TRUE(canary || !was_in[key]) << key << " left when the share grew to " << share;
      was_in[key] = canary;
      in += canary;
    }
    EXPECT_NEAR(in / double{kKeys}, share, 5 * std::sqrt(share * (1 - share) / kKeys));
  }
  // A second request of each key goes where the first went; its own id plays no part.
  auto request = Request("", 1);
  for (int i = 0; i < 300; ++i) {
    const std::string key = "camera-" + std::to_string(i);
    request.set_routing_key(key);
    v1::PredictResponse response;
    ASSERT_TRUE(Predict(request, &response).ok());
    EXPECT_EQ(response.role() == "canary", was_in[key]);
  }
  // What was told is what was answered.
  EXPECT_EQ(sink_.told(Role::kProduction).size() + sink_.told(Role::kCanary).size(),
            static_cast<std::size_t>(3 * kKeys + 300));
}

TEST_F(RolloutTest, ACandidateThatMissesItsGoldenAnswersGetsNothing) {
  const auto broken = Package(2, [](auto& files) { files.at("golden.bin").back() ^= 0x40; });
  EXPECT_EQ(Deploy(Package(1), Rollout{broken, Role::kCanary, 1}).failed, 1U);

  const auto loaded = Loaded();
  ASSERT_THAT(loaded, SizeIs(2));
  EXPECT_EQ(loaded[0].role(), "production");
  EXPECT_EQ(loaded[0].problem(), "");
  EXPECT_EQ(loaded[0].share(), 1);
  EXPECT_EQ(loaded[1].role(), "canary");
  EXPECT_EQ(loaded[1].model_version_id(), "id-2");
  EXPECT_EQ(loaded[1].share(), 0);
  EXPECT_FALSE(loaded[1].has_loaded_at());
  EXPECT_THAT(loaded[1].problem(), HasSubstr("golden"));
  v1::PredictResponse response;
  ASSERT_TRUE(Predict(Request("r-1", 1), &response).ok());
  EXPECT_EQ(response.role(), "production");
}

TEST_F(RolloutTest, LoadedModelsArePagedByTaskAndRole) {
  Deploy(Package(1), Rollout{Package(2), Role::kCanary, 0.25});
  v1::ListLoadedModelsRequest request;
  request.set_page_size(1);
  std::vector<std::string> roles;
  do {
    rpc::ClientContextWithDeadline context(seconds(20));
    v1::ListLoadedModelsResponse response;
    ASSERT_TRUE(stub_->ListLoadedModels(&context, request, &response).ok());
    ASSERT_THAT(response.models(), SizeIs(1));
    roles.push_back(response.models(0).role());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(roles, ::testing::ElementsAre("production", "canary"));
}

TEST_F(RolloutTest, AShadowNeverHoldsAnAnswerBack) {
  constexpr int kRequests = 200;
  Gate gate;
  SetRoute(Load(1),
           std::make_shared<ScriptedModel>(2,
                                           [&]() -> Result<void> {
                                             gate.Pass();
                                             return {};
                                           }),
           Role::kShadow, 0);

  for (int i = 0; i < kRequests; ++i) {
    v1::PredictResponse response;
    ASSERT_TRUE(Predict(Request("r-" + std::to_string(i), 1), &response).ok());
    EXPECT_EQ(response.model_version(), 1U);
    EXPECT_EQ(response.role(), "production");
  }
  // Every answer is there, and the shadow is still at its first.
  gate.WaitForOne();
  EXPECT_EQ(gate.passed(), 0);
  EXPECT_THAT(sink_.told(Role::kShadow), IsEmpty());
  EXPECT_THAT(sink_.told(Role::kProduction), SizeIs(kRequests));
  EXPECT_GE(shadow_drops_.total(), kRequests - 64 - 1);  // The queue, and the one in work.

  gate.Open();
  const auto accounted = [&] {
    return static_cast<std::int64_t>(sink_.told(Role::kShadow).size()) + shadow_drops_.total();
  };
  EXPECT_TRUE(testing::Eventually(seconds(20), [&] { return accounted() == kRequests; }));
}

TEST_F(RolloutTest, AShadowTellsWhatItWouldHaveSaid) {
  Deploy(Package(1), Rollout{Package(2), Role::kShadow, 0});
  std::map<std::string, std::uint32_t> answered;
  for (int i = 0; i < 30; ++i) {
    const std::string id = "r-" + std::to_string(i);
    v1::PredictResponse response;
    ASSERT_TRUE(Predict(Request(id, static_cast<std::uint64_t>(i)), &response).ok());
    ASSERT_EQ(response.role(), "production");
    answered[id] = sink_.Of(id).answers.at(0).class_index;
  }
  ASSERT_TRUE(testing::Eventually(
      seconds(20), [&] { return sink_.told(Role::kShadow).size() == answered.size(); }));

  for (const auto& told : sink_.told(Role::kShadow)) {
    EXPECT_EQ(told.model_version_id, "id-2");
    ASSERT_THAT(told.answers, SizeIs(1));
    ASSERT_THAT(told.answered, SizeIs(1));
    EXPECT_EQ(told.answered[0], answered.at(told.request_id));
    EXPECT_GT(told.seconds, 0);
    EXPECT_EQ(told.error, std::nullopt);
    // It saw the picture of its own request.
    const auto production = [&] {
      for (const auto& one : sink_.told(Role::kProduction)) {
        if (one.request_id == told.request_id) return one;
      }
      return ToldPrediction{};
    }();
    EXPECT_EQ(told.answers[0].payload_sha256, production.answers.at(0).payload_sha256);
  }
}

TEST_F(RolloutTest, ABadCandidateCostsNobodyAnAnswer) {
  constexpr int kRequests = 300;
  std::atomic<int> asked = 0;
  SetRoute(Load(1),
           std::make_shared<ScriptedModel>(2,
                                           [&]() -> Result<void> {
                                             if (++asked % 2 == 0) {
                                               throw std::runtime_error("bad weights");
                                             }
                                             return Error{ErrorCode::kInternal, "broken"};
                                           }),
           Role::kCanary, 0.5);
  for (int i = 0; i < kRequests; ++i) {
    v1::PredictResponse response;
    const auto status = Predict(Request("r-" + std::to_string(i), 1), &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(response.model_version(), 1U);
    ASSERT_EQ(response.role(), "production");
  }
  EXPECT_GT(asked, kRequests / 4);
  EXPECT_THAT(sink_.told(Role::kProduction), SizeIs(kRequests));
  const auto failed = sink_.told(Role::kCanary);
  EXPECT_THAT(failed, SizeIs(static_cast<std::size_t>(asked.load())));
  for (const auto& told : failed) {
    EXPECT_EQ(told.error, ErrorCode::kInternal);
    EXPECT_EQ(told.model_version_id, "id-2");
    EXPECT_THAT(told.answers, IsEmpty());
  }
}

TEST_F(RolloutTest, AFailingShadowIsToldAsFailed) {
  SetRoute(Load(1),
           std::make_shared<ScriptedModel>(2,
                                           []() -> Result<void> {
                                             return Error{ErrorCode::kInternal, "broken"};
                                           }),
           Role::kShadow, 0);
  v1::PredictResponse response;
  ASSERT_TRUE(Predict(Request("r-1", 1), &response).ok());
  ASSERT_TRUE(testing::Eventually(seconds(20), [&] { return !sink_.told(Role::kShadow).empty(); }));
  EXPECT_EQ(sink_.told(Role::kShadow)[0].error, ErrorCode::kInternal);
}

TEST_F(RolloutTest, RolloutsUnderLoadFailNobodyAndMixNothingUp) {
  const std::vector<ModelPackage> versions = {Package(1), Package(2)};
  Deploy(versions[0]);
  std::atomic<bool> stop = false;
  std::atomic<int> answered = 0;
  std::mutex mutex;  // Guards the three below.
  std::set<std::string> failures;
  std::map<std::string, std::set<std::string>> answers;  // By version.
  std::map<std::string, std::pair<std::string, std::string>> of_request;
  std::vector<std::jthread> clients;
  for (int client = 0; client < 4; ++client) {
    clients.emplace_back([&, client] {
      for (int i = 0; !stop; ++i) {
        const auto id = std::to_string(client) + "-" + std::to_string(i);
        v1::PredictResponse response;
        const auto status = Predict(Request(id, 9), &response);
        ++answered;
        const std::lock_guard lock(mutex);
        if (!status.ok()) {
          failures.insert(status.error_message());
          continue;
        }
        answers[response.model_version_id()].insert(response.predictions(0).SerializeAsString());
        of_request[id] = {response.model_version_id(), response.role()};
      }
    });
  }
  const auto expect_now = [&](const std::string& version, bool canary_too) {
    const int before = answered;
    for (int i = 0; i < 20; ++i) {
      v1::PredictResponse response;
      ASSERT_TRUE(Predict(Request("", 9), &response).ok());
      if (canary_too && response.role() == "canary") {
        EXPECT_NE(response.model_version_id(), version);
        continue;
      }
      EXPECT_EQ(response.role(), "production");
      EXPECT_EQ(response.model_version_id(), version);
    }
    while (answered < before + 20) std::this_thread::yield();
  };
  for (std::size_t round = 0; round < 8; ++round) {
    const auto& production = versions[round % 2];
    const auto& candidate = versions[(round + 1) % 2];
    const auto& now = production.model.model_version_id;
    Deploy(production, Rollout{candidate, Role::kShadow, 0});
    expect_now(now, false);
    Deploy(production, Rollout{candidate, Role::kCanary, 0.3});
    expect_now(now, true);
    Deploy(production);  // Rolled back: at once, and wholly.
    expect_now(now, false);
    Deploy(production, Rollout{candidate, Role::kCanary, 0.8});
    expect_now(now, true);
    Deploy(candidate);  // Promoted.
    expect_now(candidate.model.model_version_id, false);
  }
  stop = true;
  clients.clear();

  EXPECT_THAT(failures, IsEmpty());
  // Each version always said the same: no answer came from another than it names.
  ASSERT_THAT(answers, SizeIs(2));
  for (const auto& [version, said] : answers) EXPECT_THAT(said, SizeIs(1)) << version;
  EXPECT_NE(answers.at("id-1"), answers.at("id-2"));
  std::size_t compared = 0;
  for (const auto& told : sink_.told()) {
    const auto found = of_request.find(told.request_id);
    if (found == of_request.end() || told.role == Role::kShadow) continue;
    EXPECT_EQ(found->second, std::pair(told.model_version_id, std::string(Name(told.role))));
    ++compared;
  }
  EXPECT_EQ(compared, of_request.size());
}

TEST_F(RolloutTest, WhatFindsNoRoomOrNoTimeIsToldAsFailed) {
  Gate gate;
  SetRoute(std::make_shared<ScriptedModel>(1,
                                           [&]() -> Result<void> {
                                             gate.Pass();
                                             return {};
                                           }),
           nullptr, Role::kShadow, 0);
  Door narrow(*predictor_, table_, *explainable_, clock_, InferenceHandler::Options{1, 1},
              metrics_);
  std::atomic<int> fine = 0;
  std::vector<std::jthread> callers;
  const auto call = [&](const std::string& id, milliseconds deadline) {
    callers.emplace_back([&, id, deadline] {
      rpc::ClientContextWithDeadline context(deadline);
      v1::PredictResponse response;
      fine += narrow.stub().Predict(&context, Request(id, 1), &response).ok();
    });
  };
  call("in-work", seconds(20));
  gate.WaitForOne();
  // One of these takes the only place that is left, for as long as its time lasts.
  constexpr seconds kTime{3};
  call("one", kTime);
  call("other", kTime);
  ASSERT_TRUE(testing::Eventually(seconds(20), [&] { return !sink_.told().empty(); }));
  // A deadline comes as what is left, and counts from where it is read: by now both were.
  const auto over = std::chrono::system_clock::now() + kTime;
  EXPECT_EQ(sink_.told()[0].error, ErrorCode::kResourceExhausted);
  EXPECT_EQ(sink_.told()[0].model_version_id, "id-1");
  callers.erase(callers.begin() + 1, callers.end());  // Both have an answer: no room, no time.
  ASSERT_TRUE(
      testing::Eventually(seconds(20), [&] { return std::chrono::system_clock::now() > over; }));

  gate.Open();
  ASSERT_TRUE(testing::Eventually(seconds(20), [&] { return sink_.told().size() == 3; }));
  std::set<std::string> failed;
  for (const auto& told : sink_.told()) {
    if (told.error) failed.insert(std::string(Name(*told.error)));
  }
  EXPECT_THAT(failed, ::testing::ElementsAre("DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"));
  callers.clear();
  EXPECT_EQ(fine, 1);
}

}  // namespace
}  // namespace tidewheel::inference
