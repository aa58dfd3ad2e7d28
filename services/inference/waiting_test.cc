#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tidewheel/inference/testing/inference_suite.h"
#include "tidewheel/testing/eventually.h"

/// Predictions that wait for a model, without a thread of theirs.
namespace tidewheel::inference {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::SizeIs;
using tidewheel::testing::Eventually;

/// Answers when it is told to.
class HoldingModel final : public ServedModel {
 public:
  explicit HoldingModel(std::uint32_t version)
      : scripted_(version, [] { return Result<void>(); }) {}
  ~HoldingModel() override { AnswerAll(); }

  const ModelIdentity& identity() const override { return scripted_.identity(); }
  Result<std::vector<Answer>> PredictPictures(std::span<const std::string_view> payloads,
                                              const QualityRules& rules) const override {
    return scripted_.PredictPictures(payloads, rules);
  }
  Result<std::vector<Answer>> PredictRows(std::span<const std::int64_t> shape,
                                          std::span<const float> values) const override {
    return scripted_.PredictRows(shape, values);
  }
  void Start(const ModelInput& /*input*/, const QualityRules& /*rules*/, const CallTerms& terms,
             Answered answered) const override {
    const std::lock_guard lock(mutex_);
    held_.push_back({terms, std::move(answered)});
  }

  std::size_t held() const {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }
  bool first_is_cancelled() const {
    const std::lock_guard lock(mutex_);
    return held_.at(0).first.cancelled();
  }
  std::chrono::system_clock::time_point first_deadline() const {
    const std::lock_guard lock(mutex_);
    return held_.at(0).first.deadline.value();
  }
  /// As the scheduler does: who has gone is cancelled.
  void AnswerAll() const {
    std::vector<std::pair<CallTerms, Answered>> held;
    {
      const std::lock_guard lock(mutex_);
      held.swap(held_);
    }
    for (auto& [terms, answered] : held) {
      if (terms.cancelled && terms.cancelled()) {
        answered(Error{ErrorCode::kCancelled, "the request was cancelled"});
      } else {
        answered(std::vector<Answer>(1, Answer{0, {1, 0, 0, 0}, "", {}, {}, {}}));
      }
    }
  }

 private:
  const ScriptedModel scripted_;
  mutable std::mutex mutex_;  // Guards held_.
  mutable std::vector<std::pair<CallTerms, Answered>> held_;
};

class WaitingTest : public InferenceTest {
 protected:
  void SetUp() override {
    InferenceTest::SetUp();
    SetRoute(model_, nullptr, Role::kShadow, 0);
    narrow_.emplace(*predictor_, table_, *explainable_, clock_, InferenceHandler::Options{1, 32},
                    metrics_);
  }
  void TearDown() override {
    model_->AnswerAll();
    callers_.clear();
    narrow_.reset();
  }
  /// A call on a thread of its own; its status once it has ended.
  std::shared_future<grpc::StatusCode> Call(const std::string& id, milliseconds deadline,
                                            std::shared_ptr<grpc::ClientContext> context = {}) {
    if (context == nullptr) {
      context = std::make_shared<rpc::ClientContextWithDeadline>(deadline);
    }
    auto ended = std::make_shared<std::promise<grpc::StatusCode>>();
    callers_.emplace_back([this, id, context, ended] {
      v1::PredictResponse response;
      ended->set_value(
          narrow_->stub().Predict(context.get(), Request(id, 1), &response).error_code());
    });
    return ended->get_future().share();
  }

  const std::shared_ptr<HoldingModel> model_ = std::make_shared<HoldingModel>(1);
  std::optional<Door> narrow_;
  std::vector<std::jthread> callers_;
};

TEST_F(WaitingTest, ManyPredictionsReachTheModelThroughOneWorker) {
  constexpr std::size_t kCalls = 16;
  std::vector<std::shared_future<grpc::StatusCode>> ended;
  for (std::size_t i = 0; i < kCalls; ++i) {
    ended.push_back(Call("r-" + std::to_string(i), seconds(120)));
  }
  // None has been answered, and all of them could run in one batch.
  EXPECT_TRUE(Eventually(seconds(60), [&] { return model_->held() == kCalls; }));
  EXPECT_GT(model_->first_deadline(), std::chrono::system_clock::now());
  EXPECT_FALSE(model_->first_is_cancelled());
  model_->AnswerAll();
  for (const auto& one : ended) EXPECT_EQ(one.get(), grpc::StatusCode::OK);
  EXPECT_THAT(sink_.told(Role::kProduction), SizeIs(kCalls));
}

TEST_F(WaitingTest, MoreThanTheQueueTakesAreRefusedWhileTheModelHoldsThem) {
  std::vector<std::shared_future<grpc::StatusCode>> ended;
  for (int i = 0; i < 33; ++i) ended.push_back(Call("r-" + std::to_string(i), seconds(120)));
  ASSERT_TRUE(Eventually(seconds(60), [&] { return model_->held() == 33; }));
  EXPECT_EQ(Call("more", seconds(120)).get(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  model_->AnswerAll();
  for (const auto& one : ended) EXPECT_EQ(one.get(), grpc::StatusCode::OK);
  // Their places are free again.
  const auto next = Call("next", seconds(120));
  ASSERT_TRUE(Eventually(seconds(60), [&] { return model_->held() == 1; }));
  model_->AnswerAll();
  EXPECT_EQ(next.get(), grpc::StatusCode::OK);
}

TEST_F(WaitingTest, WhoHangsUpIsSeenByTheModelAndToldToNobody) {
  auto context = std::make_shared<grpc::ClientContext>();
  const auto ended = Call("gone", {}, context);
  ASSERT_TRUE(Eventually(seconds(60), [&] { return model_->held() == 1; }));
  context->TryCancel();
  EXPECT_EQ(ended.get(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually(seconds(60), [&] { return model_->first_is_cancelled(); }));
  model_->AnswerAll();
  EXPECT_THAT(sink_.told(), SizeIs(0));
}

TEST_F(WaitingTest, WhatIsLateIsToldAsTooLate) {
  EXPECT_EQ(Call("late", seconds(3)).get(), grpc::StatusCode::DEADLINE_EXCEEDED);
  // It may have been too late before the model was asked: then it is refused as it is.
  EXPECT_TRUE(Eventually(seconds(60), [&] {
    const bool over = model_->held() > 0 && model_->first_is_cancelled() &&
                      model_->first_deadline() < std::chrono::system_clock::now();
    if (over) model_->AnswerAll();
    return !sink_.told().empty();
  }));
  ASSERT_THAT(sink_.told(), SizeIs(1));
  EXPECT_EQ(sink_.told()[0].error, ErrorCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace tidewheel::inference
