#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tidewheel/base/ids.h"
#include "tidewheel/inference/domain/deployment_follower.h"
#include "tidewheel/inference/domain/predictor.h"

namespace tidewheel::inference {
namespace {

using testing::HasSubstr;

/// Answers with its version's class; knows no pixels.
class FakeModel final : public ServedModel {
 public:
  explicit FakeModel(ModelIdentity identity) : identity_(std::move(identity)) {}
  const ModelIdentity& identity() const override { return identity_; }
  Result<std::vector<Answer>> PredictPictures(
      std::span<const std::string_view> payloads) const override {
    return std::vector<Answer>(payloads.size(), Answer{1, {0.25F, 0.75F}, "sha", {}});
  }
  Result<std::vector<Answer>> PredictRows(std::span<const std::int64_t> shape,
                                          std::span<const float> /*values*/) const override {
    return std::vector<Answer>(static_cast<std::size_t>(shape[0]), Answer{0, {1, 0}, "", {}});
  }

 private:
  const ModelIdentity identity_;
};

class FakeSource final : public DeploymentSource {
 public:
  Result<DeploymentList> List() override {
    if (away) return Error{ErrorCode::kUnavailable, "registry is away"};
    return list;
  }
  DeploymentList list;
  bool away = false;
};

class FakeLoader final : public ModelLoader {
 public:
  Result<std::shared_ptr<const ServedModel>> Load(const Deployment& deployment) override {
    ++loads;
    if (failure) return *failure;
    return std::shared_ptr<const ServedModel>(std::make_shared<FakeModel>(deployment.model));
  }
  std::optional<Error> failure;
  int loads = 0;
};

class FakeSink final : public FactSink {
 public:
  void Tell(const PredictionFact& fact) override { predictions.push_back(fact.request_id); }
  bool Tell(const OutcomeFact& fact) override {
    if (outcomes.size() >= room) return false;
    outcomes.push_back(fact.request_id);
    return true;
  }
  std::vector<std::string> predictions;
  std::vector<std::string> outcomes;
  std::size_t room = 1'000'000;
};

Deployment Version(std::uint32_t number) {
  Deployment deployment;
  deployment.model = {"lights", "id-" + std::to_string(number), number, "digest", {"red", "green"}};
  deployment.revision = number;
  return deployment;
}

class DeploymentFollowerTest : public testing::Test {
 protected:
  SystemClock clock_;
  FakeSource source_;
  FakeLoader loader_;
  ModelTable table_;
  DeploymentFollower follower_{source_, loader_, table_, clock_};
};

TEST_F(DeploymentFollowerTest, LoadsOnceAndSwapsOnChange) {
  source_.list.deployments = {Version(1)};
  EXPECT_EQ(follower_.Follow()->loaded, 1U);
  EXPECT_EQ(follower_.Follow()->loaded, 0U);
  const auto held = table_.Find("lights");

  source_.list.deployments = {Version(2)};
  EXPECT_EQ(follower_.Follow()->loaded, 1U);

  EXPECT_EQ(table_.Find("lights")->identity().model_version, 2U);
  EXPECT_EQ(held->identity().model_version, 1U);  // Who has the old one keeps it.
  EXPECT_EQ(loader_.loads, 2);
}

TEST_F(DeploymentFollowerTest, TheOldVersionGoesOnWhenTheNewOneCannotBeLoaded) {
  source_.list.deployments = {Version(1)};
  ASSERT_TRUE(follower_.Follow().ok());
  source_.list.deployments = {Version(2)};
  loader_.failure = Error{ErrorCode::kInvalidArgument, "golden sample 3 is off by 0.2"};

  EXPECT_EQ(follower_.Follow()->failed, 1U);
  EXPECT_EQ(follower_.Follow()->failed, 0U);  // The same bytes are not tried again.

  EXPECT_EQ(loader_.loads, 2);
  EXPECT_EQ(table_.Find("lights")->identity().model_version, 1U);
  EXPECT_THAT(table_.List()[0].problem, HasSubstr("golden sample 3"));
}

TEST_F(DeploymentFollowerTest, ATransientFailureIsTriedAgain) {
  source_.list.deployments = {Version(1)};
  loader_.failure = Error{ErrorCode::kUnavailable, "payload store is away"};
  EXPECT_EQ(follower_.Follow()->failed, 1U);
  loader_.failure.reset();
  EXPECT_EQ(follower_.Follow()->loaded, 1U);
  EXPECT_EQ(table_.List()[0].problem, "");
}

TEST_F(DeploymentFollowerTest, NothingChangesWhileTheRegistryIsAway) {
  source_.list.deployments = {Version(1)};
  ASSERT_TRUE(follower_.Follow().ok());
  source_.away = true;
  EXPECT_EQ(follower_.Follow().error().code, ErrorCode::kUnavailable);
  EXPECT_NE(table_.Find("lights"), nullptr);
}

TEST_F(DeploymentFollowerTest, WhatIsNoLongerDeployedGoes) {
  source_.list.deployments = {Version(1)};
  ASSERT_TRUE(follower_.Follow().ok());
  source_.list.deployments.clear();
  EXPECT_EQ(follower_.Follow()->removed, 1U);
  EXPECT_EQ(table_.Find("lights"), nullptr);
}

class PredictorTest : public testing::Test {
 protected:
  PredictorTest() {
    table_.Swap("lights", std::make_shared<FakeModel>(Version(3).model), clock_.Now());
  }
  SystemClock clock_;
  ModelTable table_;
  FakeSink sink_;
  Predictor predictor_{table_, sink_, clock_, {}};
};

TEST_F(PredictorTest, AnswersAndTells) {
  PredictRequest request;
  request.task = "lights";
  request.request_id = "r-1";
  request.pictures = {"a", "b"};

  const auto result = predictor_.Predict(request);

  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->answers.size(), 2U);
  EXPECT_EQ(result->model->identity().model_version, 3U);
  EXPECT_THAT(sink_.predictions, testing::ElementsAre("r-1"));
  EXPECT_EQ(table_.List()[0].predictions, 2U);
}

TEST_F(PredictorTest, MakesAnIdWhenThereIsNone) {
  PredictRequest request;
  request.task = "lights";
  request.pictures = {"a"};
  EXPECT_TRUE(IsUuid(predictor_.Predict(request)->request_id));
}

TEST_F(PredictorTest, RefusesWithTheLimit) {
  PredictRequest request;
  request.task = "lights";
  EXPECT_EQ(predictor_.Predict(request).error().code, ErrorCode::kInvalidArgument);
  request.pictures.assign(65, "a");
  EXPECT_THAT(predictor_.Predict(request).error().message, HasSubstr("at most 64"));
  request.pictures = {"a"};
  request.request_id = std::string(129, 'x');
  EXPECT_THAT(predictor_.Predict(request).error().message, HasSubstr("limit is 128"));
  request.request_id.clear();
  request.task = "dogs";
  EXPECT_EQ(predictor_.Predict(request).error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(sink_.predictions.empty());
}

TEST_F(PredictorTest, OutcomesAreTakenOrRefusedWhole) {
  std::vector<OutcomeFact> outcomes(2);
  outcomes[0] = {"r-1", "lights", 0, "red", "person", {}};
  outcomes[1] = {"r-2", "lights", 0, "purple", "person", {}};
  EXPECT_THAT(predictor_.RecordOutcomes(outcomes).error().message, HasSubstr("purple"));
  EXPECT_TRUE(sink_.outcomes.empty());

  outcomes[1].class_name = "green";
  EXPECT_EQ(*predictor_.RecordOutcomes(outcomes), 2U);

  sink_.room = 3;
  EXPECT_EQ(predictor_.RecordOutcomes(outcomes).error().code, ErrorCode::kResourceExhausted);
}

}  // namespace
}  // namespace tidewheel::inference
