#include "tidewheel/model_registry/domain/model_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tidewheel/base/random.h"
#include "tidewheel/model_registry/domain/fake_stores.h"

namespace tidewheel::model_registry {
namespace {

/// Not a good hash, but a hash.
Digest HashForTests(std::string_view bytes) {
  Digest digest;
  const std::uint64_t hash = StableHash(bytes);
  std::memcpy(digest.bytes.data(), &hash, sizeof hash);
  return digest;
}

class FakePackageReader final : public PackageReader {
 public:
  Result<PackageManifest> Read(const std::vector<PackageFile>& /*files*/) const override {
    return manifest;
  }
  PackageManifest manifest;
};

class ModelCatalogTest : public testing::Test {
 protected:
  ModelCatalogTest() {
    TaskSpec spec = GoodSpec();
    spec.gate.min_primary_metric = 0.9;
    Task task;
    task.spec = spec;
    task.version = 1;
    EXPECT_TRUE(tasks_.Append(task, {}).ok());
    packages_.manifest.task = spec.name;
    packages_.manifest.run_id = "run-1";
    packages_.manifest.classes = spec.classes;
    packages_.manifest.metrics = {
        {"balanced_accuracy", 0.95}, {"recall.red", 1}, {"recall.yellow", 1}, {"recall.green", 1}};
  }

  static Registration Good() {
    const std::string sha(64, 'a');
    return {"traffic-lights",
            "run-1",
            "dataset-1",
            {{"model.onnx", sha, 10, "obj:x"}, {"model.yaml", sha, 10, "obj:y"}},
            "ann"};
  }

  SystemClock clock_;
  FakeTaskStore tasks_;
  FakeModelStore models_;
  FakeReviewStore reviews_;
  FakePackageReader packages_;
  ModelCatalog catalog_{models_, tasks_, reviews_, packages_, clock_, &HashForTests};
};

TEST_F(ModelCatalogTest, RegistersOncePerRun) {
  const auto first = catalog_.Register(Good());
  const auto second = catalog_.Register(Good());

  ASSERT_TRUE(first.ok()) << first.error().message;
  ASSERT_TRUE(second.ok());
  EXPECT_TRUE(first->created);
  EXPECT_FALSE(second->created);
  EXPECT_EQ(first->model_version.id, second->model_version.id);
}

TEST_F(ModelCatalogTest, RefusesAPackageOfAnotherTaskRunOrClasses) {
  packages_.manifest.task = "dogs";
  EXPECT_THAT(catalog_.Register(Good()).error().message, testing::HasSubstr("for task dogs"));
  packages_.manifest.task = "traffic-lights";
  packages_.manifest.run_id = "run-2";
  EXPECT_THAT(catalog_.Register(Good()).error().message, testing::HasSubstr("run run-2"));
  packages_.manifest.run_id = "run-1";
  packages_.manifest.classes = {"green", "red"};
  EXPECT_THAT(catalog_.Register(Good()).error().message, testing::HasSubstr("classes"));
}

TEST_F(ModelCatalogTest, RefusesBadFileLists) {
  Registration none = Good();
  none.files.clear();
  EXPECT_EQ(catalog_.Register(none).error().code, ErrorCode::kInvalidArgument);

  Registration escape = Good();
  escape.files[0].name = "../model.onnx";
  EXPECT_EQ(catalog_.Register(escape).error().code, ErrorCode::kInvalidArgument);

  Registration twice = Good();
  twice.files.push_back(twice.files[0]);
  EXPECT_THAT(catalog_.Register(twice).error().message, testing::HasSubstr("twice"));

  Registration bare = Good();
  bare.files.pop_back();
  EXPECT_THAT(catalog_.Register(bare).error().message, testing::HasSubstr("no model.yaml"));
}

TEST_F(ModelCatalogTest, PromotionNeedsTheGateOrAReason) {
  packages_.manifest.metrics["balanced_accuracy"] = 0.5;
  const auto id = catalog_.Register(Good())->model_version.id;

  const auto refused = catalog_.Promote(id, "ann", "");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("0.5000, the bar is 0.9000"));

  const auto forced = catalog_.Promote(id, "ann", "the old one is worse");
  ASSERT_TRUE(forced.ok());
  EXPECT_TRUE(forced->deployment.changed);
  EXPECT_EQ(models_.audits.back().details.at("override_reason"), "the old one is worse");
}

TEST_F(ModelCatalogTest, PromotingTwiceChangesNothing) {
  const auto id = catalog_.Register(Good())->model_version.id;

  EXPECT_TRUE(catalog_.Promote(id, "ann", "")->deployment.changed);
  EXPECT_FALSE(catalog_.Promote(id, "ann", "")->deployment.changed);
  EXPECT_EQ(catalog_.Promote("other", "ann", "").error().code, ErrorCode::kNotFound);
}

/// A task with a serving model and a candidate that may follow it.
class CandidateTest : public ModelCatalogTest {
 protected:
  CandidateTest() {
    serving_ = catalog_.Register(Good())->model_version.id;
    EXPECT_TRUE(catalog_.Promote(serving_, "ann", "").ok());
    Registration next = Good();
    next.run_id = packages_.manifest.run_id = "run-2";
    candidate_ = catalog_.Register(next)->model_version.id;
  }

  void Judge(GateVerdict verdict) {
    GateEvaluation evaluation;
    evaluation.evaluation_id = "e" + std::to_string(reviews_.evaluations.size());
    evaluation.model_version_id = candidate_;
    GateCriterion criterion;
    criterion.name = "better_on_new";
    criterion.verdict = verdict;
    criterion.reason = "4 samples";
    evaluation.criteria = {criterion};
    evaluation.verdict = verdict;
    reviews_.evaluations.push_back(evaluation);
  }
  void AskForSignature(const std::string& role) {
    auto task = **tasks_.FindNewest("traffic-lights");
    task.spec.cycle.sign_off_roles.push_back(role);
    ++task.version;
    EXPECT_TRUE(tasks_.Append(task, {}).ok());
  }
  RolloutOrder Canary(double share) const {
    return {candidate_, RolloutStage::kCanary, share, "cycle", "cycle c1", ""};
  }

  std::string serving_;
  std::string candidate_;
};

TEST_F(CandidateTest, FailedOrInconclusiveComparisonsStopTrafficUnlessOverridden) {
  for (const auto verdict : {GateVerdict::kFail, GateVerdict::kInconclusive}) {
    Judge(verdict);
    const auto promoted = catalog_.Promote(candidate_, "ann", "");
    EXPECT_EQ(promoted.error().code, ErrorCode::kFailedPrecondition);
    EXPECT_THAT(promoted.error().message, testing::HasSubstr("better_on_new"));
    EXPECT_EQ(catalog_.SetRollout(Canary(0.1)).error().code, ErrorCode::kFailedPrecondition);
  }

  RolloutOrder forced = Canary(0.1);
  forced.override_reason = "to see it harm";
  ASSERT_TRUE(catalog_.SetRollout(forced).ok());
  EXPECT_EQ(models_.audits.back().details.at("override_reason"), "to see it harm");
  EXPECT_EQ(models_.audits.back().details.at("gate"), "overridden");

  Judge(GateVerdict::kPass);  // The newest counts.
  const auto promoted = catalog_.Promote(candidate_, "ann", "");
  ASSERT_TRUE(promoted.ok()) << promoted.error().message;
  EXPECT_EQ(promoted->criteria.back().name, "better_on_new");
}

TEST_F(CandidateTest, WithoutAComparisonThePackagesMetricsDecide) {
  EXPECT_TRUE(catalog_.SetRollout(Canary(0.1)).ok());
  EXPECT_TRUE(catalog_.Promote(candidate_, "ann", "")->deployment.changed);
}

TEST_F(CandidateTest, SignaturesOfEveryRoleAreNeeded) {
  AskForSignature("safety");
  AskForSignature("owner");
  const auto nobody = catalog_.SetRollout(Canary(0.1));
  EXPECT_EQ(nobody.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(nobody.error().message, testing::HasSubstr("safety"));
  EXPECT_THAT(nobody.error().message, testing::HasSubstr("owner"));

  reviews_.sign_offs.push_back({candidate_, "safety", "ann", true, "", {}});
  reviews_.sign_offs.push_back({candidate_, "owner", "bob", false, "too early", {}});
  const auto refused = catalog_.Promote(candidate_, "ann", "");
  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("refused by bob: too early"));
  EXPECT_THAT(refused.error().message, testing::Not(testing::HasSubstr("role safety")));

  reviews_.sign_offs.back().approved = true;
  EXPECT_TRUE(catalog_.Promote(candidate_, "ann", "").ok());
}

TEST_F(CandidateTest, ATasksFirstModelNeedsItsMetricsAlone) {
  models_.deployment = {};
  AskForSignature("safety");
  Judge(GateVerdict::kInconclusive);

  EXPECT_TRUE(catalog_.Promote(candidate_, "ann", "").ok());
  // And to ask again changes nothing, although something serves by now.
  EXPECT_FALSE(catalog_.Promote(candidate_, "ann", "")->deployment.changed);
}

TEST_F(CandidateTest, RolloutsHaveTheirShares) {
  for (const double share : {0.0, 1.0, -0.1, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_EQ(catalog_.SetRollout(Canary(share)).error().code, ErrorCode::kInvalidArgument);
  }
  RolloutOrder shadow = Canary(0.1);
  shadow.stage = RolloutStage::kShadow;
  EXPECT_EQ(catalog_.SetRollout(shadow).error().code, ErrorCode::kInvalidArgument);
  shadow.share = 0;
  EXPECT_TRUE(catalog_.SetRollout(shadow)->changed);
  EXPECT_FALSE(catalog_.SetRollout(shadow)->changed);
  EXPECT_TRUE(catalog_.SetRollout(Canary(0.1))->changed);
  EXPECT_TRUE(catalog_.SetRollout(Canary(0.5))->changed);
}

TEST_F(CandidateTest, RolloutsNeedSomethingThatServesAndIsAnother) {
  RolloutOrder itself = Canary(0.1);
  itself.model_version_id = serving_;
  EXPECT_EQ(catalog_.SetRollout(itself).error().code, ErrorCode::kFailedPrecondition);
  models_.deployment = {};
  EXPECT_THAT(catalog_.SetRollout(Canary(0.1)).error().message,
              testing::HasSubstr("nothing serves task traffic-lights yet"));
}

TEST_F(CandidateTest, ClearingTakesOnlyTheExpectedCandidateAway) {
  ASSERT_TRUE(catalog_.SetRollout(Canary(0.1)).ok());
  EXPECT_FALSE(catalog_.ClearRollout("traffic-lights", "another", "ann", "")->changed);
  EXPECT_TRUE(catalog_.ClearRollout("traffic-lights", candidate_, "ann", "harmful")->changed);
  EXPECT_FALSE(catalog_.ClearRollout("traffic-lights", candidate_, "ann", "harmful")->changed);
}

}  // namespace
}  // namespace tidewheel::model_registry
