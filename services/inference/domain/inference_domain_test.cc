#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "tidewheel/base/ids.h"
#include "tidewheel/inference/domain/capture_policy.h"
#include "tidewheel/inference/domain/deployment_follower.h"
#include "tidewheel/inference/domain/predictor.h"

namespace tidewheel::inference {
namespace {

using testing::HasSubstr;

/// Answers with its version's class; knows no pixels. Answers later when it is told to hold back.
class FakeModel final : public ServedModel {
 public:
  explicit FakeModel(ModelIdentity identity) : identity_(std::move(identity)) {}
  const ModelIdentity& identity() const override { return identity_; }
  Result<std::vector<Answer>> PredictPictures(std::span<const std::string_view> payloads,
                                              const QualityRules& /*rules*/) const override {
    if (failure) return *failure;
    if (throws) throw std::runtime_error("out of cheese");
    return std::vector<Answer>(payloads.size(),
                               Answer{1, {1 - confidence, confidence}, "sha", {}, embedding, {}});
  }
  Result<std::vector<Answer>> PredictRows(std::span<const std::int64_t> shape,
                                          std::span<const float> /*values*/) const override {
    return std::vector<Answer>(static_cast<std::size_t>(shape[0]),
                               Answer{0, {1, 0}, "", {}, {}, {}});
  }
  void Start(const ModelInput& input, const QualityRules& rules, const CallTerms& terms,
             Answered answered) const override {
    if (!holds_back) return ServedModel::Start(input, rules, terms, std::move(answered));
    held.push_back(std::move(answered));
  }
  const EmbeddingReference* reference() const override { return known ? &*known : nullptr; }
  std::string_view variant() const override { return "int8"; }
  bool rows_are_pictures() const override { return shows_rows; }

  std::optional<Error> failure;
  bool throws = false;
  bool holds_back = false;
  bool shows_rows = false;
  mutable std::vector<Answered> held;
  float confidence = 0.75F;
  std::vector<float> embedding;
  std::optional<EmbeddingReference> known;

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
  Result<std::shared_ptr<const ServedModel>> Load(const ModelPackage& package) override {
    ++loads;
    if (during_load) during_load();
    if (failure) return *failure;
    return std::shared_ptr<const ServedModel>(std::make_shared<FakeModel>(package.model));
  }
  std::optional<Error> failure;
  std::function<void()> during_load;
  int loads = 0;
};

/// A fact as it was told, without its views.
struct ToldPrediction {
  std::string request_id;
  std::string model_version_id;
  Role role = Role::kProduction;
  std::optional<ErrorCode> error;
  std::size_t answers = 0;
};

class FakeSink final : public FactSink {
 public:
  void Tell(const PredictionFact& fact) override {
    predictions.push_back({std::string(fact.request_id), fact.model->model_version_id, fact.role,
                           fact.error, fact.answers.size()});
  }
  bool Tell(const OutcomeFact& fact) override {
    if (outcomes.size() >= room) return false;
    outcomes.push_back(fact.request_id);
    return true;
  }
  bool Tell(const CaptureFact& /*fact*/) override { return true; }
  std::vector<ToldPrediction> predictions;
  std::vector<std::string> outcomes;
  std::size_t room = 1'000'000;
};

class FakeShadows final : public ShadowQueue {
 public:
  bool Admits(std::size_t /*bytes*/) override { return admits; }
  void Offer(ShadowCopy copy) override { copies.push_back(std::move(copy)); }
  std::vector<ShadowCopy> copies;
  bool admits = true;
};

class FakeCaptures final : public CaptureQueue {
 public:
  bool Admits(std::size_t /*bytes*/) override { return admits; }
  void Offer(CapturedPayload captured) override { kept.push_back(std::move(captured)); }
  std::vector<CapturedPayload> kept;
  bool admits = true;
};

class FakeClock final : public Clock {
 public:
  Timestamp Now() const override { return now; }
  Timestamp now{std::chrono::seconds(1'700'000'000)};
};

class CountingCounter final : public Counter {
 public:
  void Add(double amount) override { total += amount; }
  double total = 0;
};

constexpr char kTask[] = "lights";

ModelPackage Package(std::uint32_t number) {
  return {{kTask, "id-" + std::to_string(number), number, "digest", {"red", "green"}}, {}};
}

Deployment Version(std::uint32_t number) {
  Deployment deployment;
  deployment.task = kTask;
  deployment.production = Package(number);
  deployment.revision = number;
  return deployment;
}

Deployment WithCandidate(Deployment deployment, std::uint32_t number, Role role, double share) {
  deployment.rollout = Rollout{Package(number), role, share};
  deployment.revision += 100;
  return deployment;
}

class DeploymentFollowerTest : public testing::Test {
 protected:
  FollowReport Follow(Deployment deployment) {
    source_.list.deployments = {std::move(deployment)};
    return follower_.Follow().value();
  }
  std::uint32_t Production() const {
    return table_.Find(kTask)->production->identity().model_version;
  }

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
  const auto held = table_.Find(kTask);

  source_.list.deployments = {Version(2)};
  EXPECT_EQ(follower_.Follow()->loaded, 1U);

  EXPECT_EQ(Production(), 2U);
  EXPECT_EQ(held->production->identity().model_version, 1U);  // Who has the old one keeps it.
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
  EXPECT_EQ(Production(), 1U);
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
  EXPECT_NE(table_.Find(kTask), nullptr);
}

TEST_F(DeploymentFollowerTest, WhatIsNoLongerDeployedGoes) {
  source_.list.deployments = {Version(1)};
  ASSERT_TRUE(follower_.Follow().ok());
  source_.list.deployments.clear();
  EXPECT_EQ(follower_.Follow()->removed, 1U);
  EXPECT_EQ(table_.Find(kTask), nullptr);
}

TEST_F(DeploymentFollowerTest, ACandidateIsLoadedBesideProductionBeforeItGetsTraffic) {
  Follow(Version(1));
  loader_.during_load = [&] { EXPECT_FALSE(table_.Find(kTask)->has_canary()); };

  EXPECT_EQ(Follow(WithCandidate(Version(1), 2, Role::kCanary, 0.1)).loaded, 1U);

  const auto route = table_.Find(kTask);
  ASSERT_TRUE(route->has_canary());
  EXPECT_EQ(route->candidate->identity().model_version, 2U);
  EXPECT_EQ(route->share, 0.1);
  EXPECT_EQ(Production(), 1U);
  const auto listed = table_.List();
  ASSERT_EQ(listed.size(), 2U);
  EXPECT_EQ(listed[0].share, 0.9);
  EXPECT_EQ(listed[1].role, Role::kCanary);
  EXPECT_EQ(listed[1].share, 0.1);
}

TEST_F(DeploymentFollowerTest, ACandidateThatCannotBeLoadedNeverTouchesProduction) {
  Follow(Version(1));
  loader_.failure = Error{ErrorCode::kInvalidArgument, "golden sample 3 is off by 0.2"};

  EXPECT_EQ(Follow(WithCandidate(Version(1), 2, Role::kCanary, 1)).failed, 1U);
  EXPECT_EQ(follower_.Follow()->failed, 0U);  // The same bytes are not tried again.

  EXPECT_EQ(table_.Find(kTask)->RoleOf(kTask, "any"), Role::kProduction);
  const auto listed = table_.List();
  ASSERT_EQ(listed.size(), 2U);
  EXPECT_EQ(listed[0].problem, "");
  EXPECT_EQ(listed[0].share, 1);
  EXPECT_EQ(listed[1].identity.model_version_id, "id-2");
  EXPECT_EQ(listed[1].share, 0);
  EXPECT_FALSE(listed[1].loaded_at.has_value());
  EXPECT_THAT(listed[1].problem, HasSubstr("golden sample 3"));

  Follow(Version(1));
  EXPECT_EQ(table_.List().size(), 1U);  // Nothing is wanted any more, so nothing is wrong.
}

TEST_F(DeploymentFollowerTest, StagesSharesAndPromotionNeedNoSecondLoad) {
  Follow(Version(1));
  Follow(WithCandidate(Version(1), 2, Role::kShadow, 0));
  EXPECT_TRUE(table_.Find(kTask)->has_shadow());
  const int loads = loader_.loads;

  Follow(WithCandidate(Version(1), 2, Role::kCanary, 0.5));
  EXPECT_EQ(table_.Find(kTask)->share, 0.5);
  Follow(Version(2));
  EXPECT_EQ(Production(), 2U);
  EXPECT_EQ(table_.Find(kTask)->candidate, nullptr);
  EXPECT_EQ(loader_.loads, loads);
}

TEST_F(DeploymentFollowerTest, ARollBackComesBeforeAnyLoad) {
  auto other = Version(7);
  other.task = other.production.model.task = "arrows";
  source_.list.deployments = {WithCandidate(Version(1), 2, Role::kCanary, 1), other};
  ASSERT_TRUE(follower_.Follow().ok());
  auto next = other;
  next.production.model.model_version_id = "id-8";
  loader_.during_load = [&] { EXPECT_FALSE(table_.Find(kTask)->has_canary()); };

  source_.list.deployments = {next, Version(1)};
  EXPECT_EQ(follower_.Follow()->loaded, 1U);
}

TEST_F(DeploymentFollowerTest, PoliciesFollowWithoutALoad) {
  Follow(Version(1));
  auto deployment = Version(1);
  deployment.capture.random_share = 0.25;
  deployment.quality.min_side = 9;
  const auto report = Follow(deployment);
  EXPECT_EQ(report.routed, 1U);
  EXPECT_EQ(report.loaded, 0U);
  EXPECT_EQ(table_.Find(kTask)->capture.random_share, 0.25);
  EXPECT_EQ(table_.Find(kTask)->quality.min_side, 9U);
  EXPECT_EQ(Follow(deployment).routed, 0U);
}

class RouteTest : public testing::Test {
 protected:
  static Route Canary(double share) {
    Route route;
    route.production = Loaded(1);
    route.candidate = Loaded(2);
    route.candidate_role = Role::kCanary;
    route.share = share;
    return route;
  }
  static std::shared_ptr<const LoadedVersion> Loaded(std::uint32_t number) {
    return std::make_shared<LoadedVersion>(std::make_shared<FakeModel>(Package(number).model),
                                           Timestamp{});
  }
};

TEST_F(RouteTest, SharesAreExactInTheLongRun) {
  constexpr int kKeys = 200'000;
  for (const double share : {0.01, 0.1, 0.5, 0.9}) {
    const Route route = Canary(share);
    int in = 0;
    for (int i = 0; i < kKeys; ++i) {
      in += route.RoleOf(kTask, "request-" + std::to_string(i)) == Role::kCanary;
    }
    // Five standard errors of a fair draw.
    EXPECT_NEAR(in / double{kKeys}, share, 5 * std::sqrt(share * (1 - share) / kKeys));
  }
}

TEST_F(RouteTest, AKeyStaysInWhileTheShareGrows) {
  for (int i = 0; i < 2'000; ++i) {
    const std::string key = "camera-" + std::to_string(i);
    bool was_in = false;
    for (const double share : {0.0, 0.05, 0.1, 0.3, 0.5, 0.99, 1.0}) {
      const bool in = Canary(share).RoleOf(kTask, key) == Role::kCanary;
      EXPECT_TRUE(in || !was_in) << key << " at " << share;
      was_in = in;
    }
    EXPECT_TRUE(was_in);
  }
}

TEST_F(RouteTest, NobodyIsInWithoutAShareOrForAShadow) {
  auto route = Canary(0);
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_EQ(route.RoleOf(kTask, std::to_string(i)), Role::kProduction);
  }
  route.share = 1;
  route.candidate_role = Role::kShadow;
  EXPECT_EQ(route.RoleOf(kTask, "any"), Role::kProduction);
}

TEST_F(RouteTest, TasksDrawApart) {
  // The keys of one task's canary are in another's as often as any others.
  const Route route = Canary(0.5);
  int both = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::string key = std::to_string(i);
    both += route.RoleOf("lights", key) == Role::kCanary &&
            route.RoleOf("arrows", key) == Role::kCanary;
  }
  EXPECT_NEAR(both / 10'000.0, 0.25, 0.025);
}

class PredictorTest : public testing::Test {
 protected:
  PredictorTest() {
    route_.production = std::make_shared<LoadedVersion>(production_, clock_.Now());
    Route route = route_;
    table_.Set(kTask, route);
  }

  void SetCandidate(Role role, double share) {
    route_.candidate = std::make_shared<LoadedVersion>(candidate_, clock_.Now());
    route_.candidate_role = role;
    route_.share = share;
    table_.Set(kTask, route_);
  }
  void SetCapture(const CapturePolicy& policy) {
    route_.capture = policy;
    table_.Set(kTask, route_);
  }

  static PredictRequest Request(const std::string& id, std::vector<std::string_view> pictures) {
    PredictRequest request;
    request.task = kTask;
    request.request_id = id;
    request.input.pictures = std::move(pictures);
    return request;
  }

  /// The answer of models that hold nothing back.
  Result<PredictResult> Predict(PredictRequest request) {
    std::optional<Result<PredictResult>> answer;
    predictor_.Predict(std::move(request),
                       [&](Result<PredictResult> given) { answer.emplace(std::move(given)); });
    return std::move(answer).value();
  }

  FakeClock clock_;
  std::shared_ptr<FakeModel> production_ = std::make_shared<FakeModel>(Package(3).model);
  std::shared_ptr<FakeModel> candidate_ = std::make_shared<FakeModel>(Package(4).model);
  Route route_;
  ModelTable table_;
  FakeSink sink_;
  FakeShadows shadows_;
  FakeCaptures captures_;
  CountingCounter canary_, failures_, over_limit_, refused_;
  Predictor predictor_{table_,
                       sink_,
                       shadows_,
                       captures_,
                       clock_,
                       PredictorCounters{.canary = {.predictions = canary_},
                                         .refused = refused_,
                                         .candidate_failures = failures_,
                                         .captures_over_limit = over_limit_}};
};

TEST_F(PredictorTest, AnswersAndTells) {
  const auto result = Predict(Request("r-1", {"a", "b"}));

  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->answers.size(), 2U);
  EXPECT_EQ(result->version->identity().model_version, 3U);
  EXPECT_EQ(result->role, Role::kProduction);
  ASSERT_EQ(sink_.predictions.size(), 1U);
  EXPECT_EQ(sink_.predictions[0].request_id, "r-1");
  EXPECT_EQ(sink_.predictions[0].role, Role::kProduction);
  EXPECT_EQ(table_.List()[0].predictions, 2U);
}

TEST_F(PredictorTest, MakesAnIdWhenThereIsNone) {
  EXPECT_TRUE(IsUuid(Predict(Request("", {"a"}))->request_id));
}

TEST_F(PredictorTest, RefusesWithTheLimit) {
  PredictRequest request;
  request.task = "lights";
  EXPECT_EQ(Predict(request).error().code, ErrorCode::kInvalidArgument);
  request.input.pictures.assign(65, "a");
  EXPECT_THAT(Predict(request).error().message, HasSubstr("at most 64"));
  request.input.pictures = {"a"};
  request.request_id = std::string(129, 'x');
  EXPECT_THAT(Predict(request).error().message, HasSubstr("limit is 128"));
  request.request_id.clear();
  request.task = "dogs";
  EXPECT_EQ(Predict(request).error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(sink_.predictions.empty());
}

TEST_F(PredictorTest, AsksToTryAgainUntilItIsKnownWhoServes) {
  table_.SetComplete(false);
  PredictRequest request;
  request.task = "dogs";
  request.input.pictures = {"a"};
  EXPECT_EQ(Predict(request).error().code, ErrorCode::kUnavailable);
  table_.SetComplete(true);
  EXPECT_EQ(Predict(request).error().code, ErrorCode::kNotFound);
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

TEST_F(PredictorTest, TheRoutingKeyDecidesAndNotTheRequest) {
  SetCandidate(Role::kCanary, 0.5);
  std::set<Role> roles;
  for (int i = 0; i < 50; ++i) {
    auto request = Request("r-" + std::to_string(i), {"a"});
    request.routing_key = "camera-7";
    roles.insert(Predict(request)->role);
  }
  EXPECT_EQ(roles.size(), 1U);
  for (int i = 0; i < 50; ++i) {
    roles.insert(Predict(Request("r-" + std::to_string(i), {"a"}))->role);
  }
  EXPECT_EQ(roles.size(), 2U);
}

TEST_F(PredictorTest, WhatACandidateCannotAnswerProductionDoes) {
  SetCandidate(Role::kCanary, 1);
  candidate_->failure = Error{ErrorCode::kInternal, "the engine failed"};
  const auto covered = Predict(Request("r-1", {"a"}));
  ASSERT_TRUE(covered.ok());
  EXPECT_EQ(covered->role, Role::kProduction);
  EXPECT_EQ(covered->version->identity().model_version, 3U);

  candidate_->failure.reset();
  candidate_->throws = true;
  EXPECT_EQ(Predict(Request("r-2", {"a"}))->role, Role::kProduction);

  EXPECT_EQ(failures_.total, 2);
  EXPECT_EQ(canary_.total, 0);
  ASSERT_EQ(sink_.predictions.size(), 4U);
  EXPECT_EQ(sink_.predictions[0].error, ErrorCode::kInternal);
  EXPECT_EQ(sink_.predictions[0].role, Role::kCanary);
  EXPECT_EQ(sink_.predictions[0].model_version_id, "id-4");
  EXPECT_EQ(sink_.predictions[0].request_id, "r-1");
  EXPECT_EQ(sink_.predictions[1].error, std::nullopt);
  EXPECT_EQ(sink_.predictions[1].model_version_id, "id-3");
  EXPECT_EQ(sink_.predictions[2].error, ErrorCode::kInternal);
}

TEST_F(PredictorTest, ABadInputCountsAgainstNobody) {
  SetCandidate(Role::kCanary, 1);
  production_->failure = candidate_->failure =
      Error{ErrorCode::kInvalidArgument, "picture 0: not a picture"};
  EXPECT_EQ(Predict(Request("r-1", {"a"})).error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(sink_.predictions.empty());
  EXPECT_EQ(failures_.total, 0);
}

TEST_F(PredictorTest, ARequestThatFailedBecauseOfUsIsTold) {
  production_->failure = Error{ErrorCode::kInternal, "the engine failed"};
  EXPECT_FALSE(Predict(Request("r-1", {"a"})).ok());
  predictor_.Refused(Request("r-2", {"a"}), ErrorCode::kResourceExhausted);
  predictor_.Refused(Request("r-3", {}), ErrorCode::kResourceExhausted);  // Bad anyway.

  ASSERT_EQ(sink_.predictions.size(), 2U);
  EXPECT_EQ(sink_.predictions[0].error, ErrorCode::kInternal);
  EXPECT_EQ(sink_.predictions[1].error, ErrorCode::kResourceExhausted);
  EXPECT_EQ(sink_.predictions[1].request_id, "r-2");
  EXPECT_EQ(sink_.predictions[1].model_version_id, "id-3");
  EXPECT_EQ(refused_.total, 3);
}

TEST_F(PredictorTest, WaitsForNoModel) {
  SetCandidate(Role::kCanary, 1);
  candidate_->holds_back = production_->holds_back = true;
  std::vector<Result<PredictResult>> answers;
  const auto keep = [&](Result<PredictResult> answer) { answers.push_back(std::move(answer)); };
  predictor_.Predict(Request("r-1", {"a"}), keep);
  predictor_.Predict(Request("r-2", {"a"}), keep);
  ASSERT_EQ(candidate_->held.size(), 2U);
  EXPECT_TRUE(answers.empty());

  // The second is answered first; the first falls back on production, which holds it back too.
  candidate_->held[1](std::vector<Answer>(1, Answer{1, {0, 1}, "", {}, {}, {}}));
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_EQ(answers[0]->request_id, "r-2");
  EXPECT_EQ(answers[0]->role, Role::kCanary);
  candidate_->held[0](Error{ErrorCode::kInternal, "the engine failed"});
  ASSERT_EQ(production_->held.size(), 1U);
  EXPECT_EQ(answers.size(), 1U);
  // One picture was asked about.
  production_->held[0](std::vector<Answer>(2, Answer{1, {0, 1}, "", {}, {}, {}}));
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_EQ(answers[1].error().code, ErrorCode::kInternal);
}

TEST_F(PredictorTest, WhoGaveUpOrIsTooLateIsNotAnsweredByProduction) {
  SetCandidate(Role::kCanary, 1);
  candidate_->failure = Error{ErrorCode::kCancelled, "the request was cancelled"};
  EXPECT_EQ(Predict(Request("r-1", {"a"})).error().code, ErrorCode::kCancelled);
  EXPECT_TRUE(sink_.predictions.empty());
  // gRPC cancels what is late: that it came too late is our doing.
  auto late = Request("r-2", {"a"});
  late.terms.deadline = std::chrono::system_clock::now() - std::chrono::seconds(1);
  EXPECT_EQ(Predict(late).error().code, ErrorCode::kDeadlineExceeded);
  ASSERT_EQ(sink_.predictions.size(), 1U);
  EXPECT_EQ(sink_.predictions[0].error, ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(sink_.predictions[0].role, Role::kCanary);
  EXPECT_EQ(failures_.total, 0);
}

TEST_F(PredictorTest, AShadowGetsACopyAfterTheAnswer) {
  SetCandidate(Role::kShadow, 0);
  auto request = Request("r-1", {"abc", "d"});
  request.metadata = {{"site", "north"}};
  auto result = Predict(request);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->role, Role::kProduction);
  EXPECT_TRUE(shadows_.copies.empty());  // Not before the answer is on its way.

  predictor_.AfterAnswer(std::move(result->follow_up));

  ASSERT_EQ(shadows_.copies.size(), 1U);
  const ShadowCopy& copy = shadows_.copies[0];
  EXPECT_EQ(copy.request_id, "r-1");
  EXPECT_EQ(copy.candidate->identity().model_version, 4U);
  EXPECT_THAT(copy.input.pictures, testing::ElementsAre("abc", "d"));
  EXPECT_THAT(copy.answered, testing::ElementsAre(1U, 1U));
  EXPECT_EQ(copy.metadata.at("site"), "north");

  shadows_.admits = false;
  EXPECT_FALSE(Predict(request)->follow_up.shadow.has_value());
}

TEST_F(PredictorTest, TheAnsweredClassIsGivenInTheShadowsOrder) {
  candidate_ = std::make_shared<FakeModel>(
      ModelIdentity{kTask, "id-5", 5, "digest", {"amber", "green", "red"}});
  SetCandidate(Role::kShadow, 0);
  auto result = Predict(Request("r-1", {"a"}));
  EXPECT_THAT(result->follow_up.shadow->answered, testing::ElementsAre(1U));
}

TEST_F(PredictorTest, CapturesExactlyWhatThePolicySays) {
  constexpr int kRequests = 20'000;
  SetCapture({.random_share = 0.1, .max_per_minute = 1'000'000});
  const auto captured = [&] {
    std::vector<std::string> names;
    for (int i = 0; i < kRequests; ++i) {
      auto result = Predict(Request("r-" + std::to_string(i), {"abc"}));
      predictor_.AfterAnswer(std::move(result->follow_up));
    }
    for (const auto& kept : captures_.kept) {
      EXPECT_EQ(kept.decision, (CaptureDecision{CaptureReason::kRandom, 0.1}));
      names.push_back(kept.request_id + "#" + std::to_string(kept.index));
    }
    captures_.kept.clear();
    return names;
  };
  const auto first = captured();
  EXPECT_NEAR(static_cast<double>(first.size()) / kRequests, 0.1,
              5 * std::sqrt(0.1 * 0.9 / kRequests));
  EXPECT_EQ(captured(), first);  // A repeat is decided alike.
}

TEST_F(PredictorTest, WhatIsCapturedSaysWhatItWas) {
  SetCapture({.uncertain_below = 0.8, .max_per_minute = 10});
  auto request = Request("r-1", {"abc", "de"});
  request.metadata = {{"group", "crossing-4"}};
  auto result = Predict(request);
  EXPECT_TRUE(captures_.kept.empty());
  predictor_.AfterAnswer(std::move(result->follow_up));

  ASSERT_EQ(captures_.kept.size(), 2U);
  const CapturedPayload& kept = captures_.kept[1];
  EXPECT_EQ(kept.request_id, "r-1");
  EXPECT_EQ(kept.index, 1U);
  EXPECT_EQ(kept.payload, "de");
  EXPECT_EQ(kept.sha256, "sha");
  EXPECT_EQ(kept.task, kTask);
  EXPECT_EQ(kept.model_version_id, "id-3");
  EXPECT_EQ(kept.decision, (CaptureDecision{CaptureReason::kUncertain, 0}));
  EXPECT_EQ(kept.class_name, "green");
  EXPECT_EQ(kept.confidence, 0.75);
  EXPECT_EQ(kept.metadata.at("group"), "crossing-4");
}

TEST_F(PredictorTest, TheMinutesQuotaIsExactAndCounted) {
  SetCapture({.random_share = 1, .max_per_minute = 5});
  const auto send = [&](int requests) {
    for (int i = 0; i < requests; ++i) {
      auto result = Predict(Request("r-" + std::to_string(i), {"a"}));
      predictor_.AfterAnswer(std::move(result->follow_up));
    }
  };
  send(12);
  EXPECT_EQ(captures_.kept.size(), 5U);
  EXPECT_EQ(over_limit_.total, 7);
  clock_.now += std::chrono::minutes(1);
  send(3);
  EXPECT_EQ(captures_.kept.size(), 8U);

  captures_.admits = false;
  clock_.now += std::chrono::minutes(1);
  send(1);
  EXPECT_EQ(captures_.kept.size(), 8U);
}

TEST_F(PredictorTest, RowsThatArePicturesAreCapturedAsRows) {
  SetCapture({.random_share = 1, .max_per_minute = 100});
  production_->shows_rows = true;
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  PredictRequest request = Request("r-1", {});
  request.input.rows = Rows{{2, 3}, values};
  const auto captures = Predict(request)->follow_up.captures;
  ASSERT_EQ(captures.size(), 2U);
  EXPECT_EQ(captures[1].index, 1U);
  EXPECT_EQ(captures[1].row, std::vector<float>({4, 5, 6}));
  EXPECT_EQ(captures[1].payload, "");
  EXPECT_EQ(captures[1].version->identity().model_version, 3U);
}

TEST_F(PredictorTest, RowsThatAreNoPicturesAreNotCaptured) {
  SetCapture({.random_share = 1, .max_per_minute = 5});
  PredictRequest request;
  request.task = kTask;
  request.input.rows = Rows{{2, 1}, {}};
  EXPECT_TRUE(Predict(request)->follow_up.captures.empty());
}

Result<EmbeddingReference> Reference(const std::vector<double>& mean,
                                     const std::vector<double>& covariance,
                                     std::vector<double> quantiles) {
  return EmbeddingReference::Create(mean, covariance, std::move(quantiles));
}

class CapturePolicyTest : public testing::Test {
 protected:
  static Answer WithConfidence(float confidence, std::vector<float> embedding = {}) {
    return Answer{1, {1 - confidence, confidence}, "sha", {}, std::move(embedding), {}};
  }
  /// A circle around (1, 2): distances are squared lengths.
  static EmbeddingReference Circle() {
    return Reference({1, 2}, {1, 0, 0, 1}, {0, 1, 2, 3, 4}).value();
  }
};

TEST_F(CapturePolicyTest, TheFirstReasonThatHoldsIsGiven) {
  const auto reference = Circle();
  CapturePolicy policy{1, 0.6, 0.5, 100};
  const auto because = [&](const Answer& answer) -> std::optional<CaptureReason> {
    const auto decision = DecideCapture(policy, "r-1", 0, answer, &reference);
    if (!decision) return std::nullopt;
    return decision->because;
  };
  EXPECT_EQ(because(WithConfidence(0.55F, {9, 9})), CaptureReason::kRandom);
  policy.random_share = 0;
  EXPECT_EQ(because(WithConfidence(0.55F, {9, 9})), CaptureReason::kUncertain);
  EXPECT_EQ(because(WithConfidence(0.9F, {9, 9})), CaptureReason::kOutOfDistribution);
  EXPECT_EQ(because(WithConfidence(0.9F, {1, 2})), std::nullopt);
  EXPECT_EQ(because(WithConfidence(0.9F)), std::nullopt);  // No embedding, no distance.
}

TEST_F(CapturePolicyTest, RandomOnesStandForAllTraffic) {
  const CapturePolicy policy{0.2, 0.6, 0, 100};
  int uncertain = 0;
  int random = 0;
  for (int i = 0; i < 20'000; ++i) {
    const bool hard = i % 4 == 0;
    const auto decision =
        DecideCapture(policy, std::to_string(i), 0, WithConfidence(hard ? 0.55F : 0.9F), nullptr);
    if (!decision || decision->because != CaptureReason::kRandom) continue;
    ++random;
    uncertain += hard ? 1 : 0;
  }
  EXPECT_NEAR(random / 20'000.0, 0.2, 0.015);
  EXPECT_NEAR(static_cast<double>(uncertain) / random, 0.25, 0.035);
}

TEST_F(CapturePolicyTest, NothingIsKeptUnlessItIsAskedFor) {
  const auto reference = Circle();
  EXPECT_FALSE(CapturePolicy{}.on());
  EXPECT_EQ(
      DecideCapture({.max_per_minute = 9}, "r-1", 0, WithConfidence(0.5F, {99, 99}), &reference),
      std::nullopt);
}

TEST_F(CapturePolicyTest, TheOutsideBeginsAboveTheQuantile) {
  const auto reference = Circle();
  const CapturePolicy policy{0, 0, 0.5, 100};  // The distances' median is 2.
  EXPECT_EQ(DecideCapture(policy, "r", 0, WithConfidence(0.9F, {2, 3}), &reference), std::nullopt);
  EXPECT_NE(DecideCapture(policy, "r", 0, WithConfidence(0.9F, {2, 3.001F}), &reference),
            std::nullopt);
}

TEST_F(CapturePolicyTest, PlacesOfOneRequestAreDrawnApart) {
  const CapturePolicy policy{0.3, 0, 0, 100};
  int both = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string id = std::to_string(i);
    both += DecideCapture(policy, id, 0, WithConfidence(0.9F), nullptr).has_value() &&
            DecideCapture(policy, id, 1, WithConfidence(0.9F), nullptr).has_value();
  }
  EXPECT_NEAR(both / 20'000.0, 0.09, 0.012);
}

TEST(EmbeddingReferenceTest, MeasuresInTheSpreadOfTheReference) {
  // Covariance [[4, 2], [2, 3]]: its inverse is [[3, -2], [-2, 4]] / 8.
  const auto reference = Reference({1, 0}, {4, 2, 2, 3}, {0, 1}).value();
  EXPECT_DOUBLE_EQ(reference.SquaredDistance(std::vector<float>{1, 0}), 0);
  EXPECT_NEAR(reference.SquaredDistance(std::vector<float>{3, 1}), (3 * 4 - 8 + 4) / 8.0, 1e-12);
  EXPECT_NEAR(reference.SquaredDistance(std::vector<float>{-1, -1}), (3 * 4 - 8 + 4) / 8.0, 1e-12);
}

TEST(EmbeddingReferenceTest, QuantilesLieOnALineBetweenTheirSteps) {
  const auto reference = Reference({0}, {1}, {0, 10, 40}).value();
  EXPECT_DOUBLE_EQ(reference.DistanceAt(0), 0);
  EXPECT_DOUBLE_EQ(reference.DistanceAt(0.25), 5);
  EXPECT_DOUBLE_EQ(reference.DistanceAt(0.75), 25);
  EXPECT_DOUBLE_EQ(reference.DistanceAt(1), 40);
  EXPECT_DOUBLE_EQ(reference.DistanceAt(7), 40);
}

TEST(EmbeddingReferenceTest, RefusesWhatIsNoReference) {
  EXPECT_FALSE(Reference({}, {}, {0, 1}).ok());
  EXPECT_FALSE(Reference({0, 0}, {1}, {0, 1}).ok());
  EXPECT_FALSE(Reference({0}, {1}, {1}).ok());
  EXPECT_FALSE(Reference({0}, {1}, {1, 0}).ok());
  EXPECT_FALSE(Reference({0}, {std::nan("")}, {0, 1}).ok());
  EXPECT_FALSE(Reference({0, 0}, {1, 5, 5, 1}, {0, 1}).ok());  // Correlated more than wholly.
}

}  // namespace
}  // namespace tidewheel::inference
