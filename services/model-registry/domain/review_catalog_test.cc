#include "tidewheel/model_registry/domain/review_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tidewheel/model_registry/domain/fake_stores.h"

namespace tidewheel::model_registry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

GateCriterion Criterion(const std::string& name, GateVerdict verdict) {
  GateCriterion criterion;
  criterion.name = name;
  criterion.verdict = verdict;
  criterion.reason = "because";
  return criterion;
}

class ReviewCatalogTest : public testing::Test {
 protected:
  ReviewCatalogTest() {
    TaskSpec spec = GoodSpec();
    spec.cycle.sign_off_roles = {"safety", "owner"};
    Task task;
    task.spec = spec;
    task.version = 1;
    EXPECT_TRUE(tasks_.Append(task, {}).ok());
    for (const char* id : {"old", "new"}) {
      ModelVersion version;
      version.id = id;
      version.manifest.task = spec.name;
      version.manifest.run_id = std::string("run-") + id;
      EXPECT_TRUE(models_.Register(version, {}).ok());
    }
  }

  static GateEvaluation Evaluation(const std::string& id, std::vector<GateCriterion> criteria) {
    GateEvaluation evaluation;
    evaluation.evaluation_id = id;
    evaluation.model_version_id = "new";
    evaluation.baseline_model_version_id = "old";
    evaluation.criteria = std::move(criteria);
    evaluation.actor = "cycle";
    return evaluation;
  }

  static SignOffRecord Signature(const std::string& role, const std::string& actor,
                                 bool approved = true, const std::string& reason = "") {
    return {"new", role, actor, approved, reason, {}};
  }

  SystemClock clock_;
  FakeTaskStore tasks_;
  FakeModelStore models_;
  FakeReviewStore reviews_;
  ReviewCatalog catalog_{reviews_, models_, tasks_, clock_};
};

TEST_F(ReviewCatalogTest, VerdictIsTheWorstThatWasSaid) {
  const auto verdict = [&](std::vector<GateVerdict> verdicts) {
    std::vector<GateCriterion> criteria;
    for (const auto each : verdicts) criteria.push_back(Criterion("c", each));
    return Overall(criteria);
  };
  using enum GateVerdict;
  EXPECT_EQ(verdict({kPass, kPass}), kPass);
  EXPECT_EQ(verdict({kPass, kNotEvaluated}), kNotEvaluated);
  EXPECT_EQ(verdict({kNotEvaluated, kInconclusive, kPass}), kInconclusive);
  EXPECT_EQ(verdict({kInconclusive, kFail, kNotEvaluated}), kFail);
  EXPECT_EQ(verdict({}), kNotEvaluated);
}

TEST_F(ReviewCatalogTest, TheVerdictIsDecidedHereAndARepeatReturnsTheFirst) {
  GateEvaluation claimed = Evaluation("e1", {Criterion("max_loss", GateVerdict::kFail)});
  claimed.verdict = GateVerdict::kPass;
  const auto first = catalog_.Record(claimed);
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_TRUE(first->created);
  EXPECT_EQ(first->evaluation.verdict, GateVerdict::kFail);
  EXPECT_EQ(reviews_.audits.back().action, "gate.evaluated");
  EXPECT_EQ(reviews_.audits.back().details.at("verdict"), "fail");

  const auto again = catalog_.Record(Evaluation("e1", {Criterion("max_loss", GateVerdict::kPass)}));
  ASSERT_TRUE(again.ok());
  EXPECT_FALSE(again->created);
  EXPECT_EQ(again->evaluation.verdict, GateVerdict::kFail);
  GateEvaluation other = Evaluation("e1", {});
  other.model_version_id = "old";
  other.baseline_model_version_id.clear();
  EXPECT_EQ(catalog_.Record(other).error().code, ErrorCode::kAlreadyExists);
}

TEST_F(ReviewCatalogTest, BadEvaluationsAreRefused) {
  EXPECT_EQ(catalog_.Record(Evaluation("", {})).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(catalog_.Record(Evaluation(std::string(129, 'x'), {})).error().code,
            ErrorCode::kInvalidArgument);
  GateCriterion bad = Criterion("c", GateVerdict::kPass);
  bad.p_value = 1.5;
  EXPECT_THAT(catalog_.Record(Evaluation("e", {bad})).error().message, HasSubstr("p_value"));
  bad = Criterion("c", GateVerdict::kPass);
  bad.low = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(catalog_.Record(Evaluation("e", {bad})).error().code, ErrorCode::kInvalidArgument);
  GateEvaluation unknown = Evaluation("e", {});
  unknown.model_version_id = "nobody";
  EXPECT_EQ(catalog_.Record(unknown).error().code, ErrorCode::kNotFound);
  const auto many = std::vector<GateCriterion>(2'001, Criterion("c", GateVerdict::kPass));
  EXPECT_THAT(catalog_.Record(Evaluation("e", many)).error().message, HasSubstr("limit is 2000"));
}

TEST_F(ReviewCatalogTest, EachRoleSignsOnce) {
  const auto first = catalog_.Sign(Signature("safety", "ann"));
  ASSERT_TRUE(first.ok()) << first.error().message;
  EXPECT_THAT(first->missing_roles, ElementsAre("owner"));
  EXPECT_EQ(reviews_.audits.back().action, "model.signed");

  const auto repeated = catalog_.Sign(Signature("safety", "ann"));
  ASSERT_TRUE(repeated.ok());
  EXPECT_EQ(reviews_.audits.size(), 1U);
  const auto other = catalog_.Sign(Signature("safety", "bob"));
  EXPECT_EQ(other.error().code, ErrorCode::kAlreadyExists);
  EXPECT_THAT(other.error().message, HasSubstr("ann has signed"));
  // To say the opposite is not to repeat it.
  EXPECT_EQ(catalog_.Sign(Signature("safety", "ann", false, "no")).error().code,
            ErrorCode::kAlreadyExists);
  EXPECT_THAT(catalog_.Sign(Signature("owner", "cleo"))->missing_roles, IsEmpty());
  EXPECT_EQ(catalog_.ListSignOffs("new")->records.size(), 2U);
}

TEST_F(ReviewCatalogTest, OnlyTheTasksRolesSignAndARefusalSaysWhy) {
  const auto stranger = catalog_.Sign(Signature("finance", "ann"));
  EXPECT_EQ(stranger.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(stranger.error().message, HasSubstr("safety, owner"));
  EXPECT_EQ(catalog_.Sign(Signature("safety", "")).error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(catalog_.Sign(Signature("safety", "ann", false)).error().message,
              HasSubstr("a refusal needs a reason"));
  EXPECT_TRUE(catalog_.Sign(Signature("safety", "ann", false, "it forgets yellow")).ok());
  EXPECT_EQ(reviews_.audits.back().action, "model.refused");
}

}  // namespace
}  // namespace tidewheel::model_registry
