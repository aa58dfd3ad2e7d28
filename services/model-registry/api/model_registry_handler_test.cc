#include "tidewheel/model_registry/api/model_registry_handler.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "tidewheel/metrics/registry.h"
#include "tidewheel/model_registry/declaration/declare.h"
#include "tidewheel/model_registry/domain/fake_stores.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/server.h"

namespace tidewheel::model_registry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class NoPackages final : public PackageReader {
 public:
  Result<PackageManifest> Read(const std::vector<PackageFile>& /*files*/) const override {
    return Error{ErrorCode::kInvalidArgument, "no packages here"};
  }
};

class NoAudit final : public AuditLog {
 public:
  Result<Page<AuditEntry>> List(const std::string&, const PageRequest&) override {
    return Page<AuditEntry>();
  }
  Result<ChainReport> Verify() override { return ChainReport(); }
};

/// The rpcs over a real connection, with stores in memory.
class ModelRegistryHandlerTest : public testing::Test {
 protected:
  using Stub = v1::ModelRegistryService::Stub;

  void SetUp() override {
    server_.Add(handler_);
    ASSERT_TRUE(server_.Start().ok());
    stub_ = v1::ModelRegistryService::NewStub(rpc::OpenChannel(server_.address()));
    for (const char* id : {"old", "new"}) {
      ModelVersion version;
      version.id = id;
      version.manifest.task = "lights";
      version.manifest.run_id = std::string("run-") + id;
      version.manifest.metrics = {{"balanced_accuracy", 1}, {"recall.red", 1}, {"recall.green", 1}};
      ASSERT_TRUE(models_.Register(version, {}).ok());
    }
  }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (Stub::*rpc)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    rpc::ClientContextWithDeadline context(std::chrono::seconds(20));
    return (stub_.get()->*rpc)(&context, request, response);
  }
  v1::Task Apply(const std::string& more) {
    v1::ApplyTaskRequest request;
    request.set_yaml("task: lights\nclasses: [red, green]\n" + more);
    request.set_actor("ann");
    v1::ApplyTaskResponse response;
    const auto status = Call(&Stub::ApplyTask, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.task();
  }
  grpc::Status Promote(const std::string& id, v1::PromoteModelVersionResponse* response) {
    v1::PromoteModelVersionRequest request;
    request.set_model_version_id(id);
    request.set_actor("ann");
    return Call(&Stub::PromoteModelVersion, request, response);
  }

  SystemClock clock_;
  FakeTaskStore tasks_;
  FakeModelStore models_;
  FakeReviewStore reviews_;
  NoPackages packages_;
  NoAudit audit_;
  TaskCatalog task_catalog_{tasks_, clock_};
  ModelCatalog model_catalog_{models_, tasks_, reviews_, packages_, clock_, nullptr};
  ReviewCatalog review_catalog_{reviews_, models_, tasks_, clock_};
  ModelRegistryHandler handler_{task_catalog_, model_catalog_, review_catalog_,
                                models_,       audit_,         &Declare};
  metrics::Registry metrics_{"model_registry"};
  rpc::Server server_{{}, metrics_};
  std::unique_ptr<Stub> stub_;
};

TEST_F(ModelRegistryHandlerTest, TasksTellTheirPoliciesWithDefaultsFilledIn) {
  const auto spec =
      Apply(
          "gate:\n  tests: [{name: t, kind: direction, transform: noise, amount: 0.1}]\n"
          "monitoring: {webhooks: [\"http://127.0.0.1:9\"]}\ncapture: {random_share: 0.5}\n"
          "cycle: {enabled: true, sign_off_roles: [safety]}\n")
          .spec();
  EXPECT_EQ(spec.gate().tests(0).kind(), v1::MODEL_TEST_KIND_DIRECTION);
  EXPECT_EQ(spec.gate().tests(0).min_share(), 1);
  EXPECT_TRUE(spec.gate().require_better_on_new());
  EXPECT_EQ(spec.monitoring().webhooks(0), "http://127.0.0.1:9");
  EXPECT_EQ(spec.monitoring().lateness_seconds(), 2);
  EXPECT_EQ(spec.capture().random_share(), 0.5);
  EXPECT_EQ(spec.capture().max_per_minute(), 600U);
  EXPECT_EQ(spec.cycle().sign_off_roles(0), "safety");
  EXPECT_EQ(spec.cycle().max_labels(), 500U);
  EXPECT_THAT(spec.cycle().rollout().canary_shares(), ElementsAre(0.1, 0.5));
}

TEST_F(ModelRegistryHandlerTest, ACandidateGoesFromSignatureToCanaryToProduction) {
  Apply("cycle: {sign_off_roles: [safety]}\n");
  v1::PromoteModelVersionResponse promoted;
  ASSERT_TRUE(Promote("old", &promoted).ok());

  v1::RecordGateEvaluationRequest record;
  record.mutable_evaluation()->set_evaluation_id("e1");
  record.mutable_evaluation()->set_model_version_id("new");
  record.mutable_evaluation()->set_baseline_model_version_id("old");
  auto* criterion = record.mutable_evaluation()->add_criteria();
  criterion->set_name("max_loss");
  criterion->set_verdict(v1::GATE_VERDICT_PASS);
  criterion->set_difference(0.01);
  criterion->set_p_value(0.5);
  v1::RecordGateEvaluationResponse recorded;
  ASSERT_TRUE(Call(&Stub::RecordGateEvaluation, record, &recorded).ok());
  EXPECT_TRUE(recorded.created());
  EXPECT_EQ(recorded.evaluation().verdict(), v1::GATE_VERDICT_PASS);
  EXPECT_TRUE(recorded.evaluation().criteria(0).has_difference());
  EXPECT_FALSE(recorded.evaluation().criteria(0).has_low());

  v1::SetRolloutRequest canary;
  canary.set_model_version_id("new");
  canary.set_stage("canary");
  canary.set_share(0.25);
  v1::SetRolloutResponse set;
  const auto unsigned_status = Call(&Stub::SetRollout, canary, &set);
  EXPECT_EQ(unsigned_status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(unsigned_status.error_message(), HasSubstr("safety"));

  v1::ListSignOffsRequest list;
  list.set_model_version_id("new");
  v1::ListSignOffsResponse listed;
  ASSERT_TRUE(Call(&Stub::ListSignOffs, list, &listed).ok());
  EXPECT_THAT(listed.missing_roles(), ElementsAre("safety"));
  v1::SignOffRequest sign;
  sign.set_model_version_id("new");
  sign.set_role("safety");
  sign.set_actor("bob");
  sign.set_approved(true);
  v1::SignOffResponse signed_off;
  ASSERT_TRUE(Call(&Stub::SignOff, sign, &signed_off).ok());
  EXPECT_EQ(signed_off.missing_roles_size(), 0);
  sign.set_actor("cleo");
  EXPECT_EQ(Call(&Stub::SignOff, sign, &signed_off).error_code(), grpc::StatusCode::ALREADY_EXISTS);

  ASSERT_TRUE(Call(&Stub::SetRollout, canary, &set).ok());
  EXPECT_EQ(set.deployment().rollout().candidate().model_version_id(), "new");
  EXPECT_EQ(set.deployment().rollout().stage(), "canary");
  EXPECT_EQ(set.deployment().rollout().share(), 0.25);
  ASSERT_TRUE(Promote("new", &promoted).ok());
  EXPECT_FALSE(promoted.deployment().has_rollout());
  EXPECT_EQ(promoted.criteria(promoted.criteria_size() - 1).name(), "sign_off.safety");
}

TEST_F(ModelRegistryHandlerTest, StagesSharesAndVerdictsAreChecked) {
  Apply("");
  v1::SetRolloutRequest request;
  request.set_model_version_id("new");
  request.set_stage("blue");
  v1::SetRolloutResponse response;
  const auto stage = Call(&Stub::SetRollout, request, &response);
  EXPECT_EQ(stage.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(stage.error_message(), HasSubstr("\"shadow\" or \"canary\""));
  request.set_stage("canary");
  EXPECT_EQ(Call(&Stub::SetRollout, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  request.set_share(0.5);
  EXPECT_EQ(Call(&Stub::SetRollout, request, &response).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);

  v1::RecordGateEvaluationRequest record;
  record.mutable_evaluation()->set_evaluation_id("e");
  record.mutable_evaluation()->set_model_version_id("new");
  record.mutable_evaluation()->add_criteria()->set_name("c");
  v1::RecordGateEvaluationResponse recorded;
  EXPECT_EQ(Call(&Stub::RecordGateEvaluation, record, &recorded).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  v1::ListGateEvaluationsRequest list;
  list.set_model_version_id("nobody");
  v1::ListGateEvaluationsResponse listed;
  EXPECT_EQ(Call(&Stub::ListGateEvaluations, list, &listed).error_code(),
            grpc::StatusCode::NOT_FOUND);
  list.set_model_version_id("new");
  list.set_page_size(-1);
  EXPECT_EQ(Call(&Stub::ListGateEvaluations, list, &listed).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace tidewheel::model_registry
