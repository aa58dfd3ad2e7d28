#include "tidewheel/inference/clients/registry_deployment_source.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "tidewheel/metrics/registry.h"
#include "tidewheel/rpc/server.h"

namespace tidewheel::inference {
namespace {

namespace registry = model_registry::v1;

/// Answers one deployment a page.
class FakeRegistry final : public registry::ModelRegistryService::Service {
 public:
  grpc::Status ListDeployments(grpc::ServerContext* /*context*/,
                               const registry::ListDeploymentsRequest* request,
                               registry::ListDeploymentsResponse* response) override {
    const int place = request->page_token().empty() ? 0 : std::stoi(request->page_token());
    if (place < list.deployments_size()) *response->add_deployments() = list.deployments(place);
    if (place + 1 < list.deployments_size()) {
      response->set_next_page_token(std::to_string(place + 1));
    }
    response->set_revision(7);
    return grpc::Status::OK;
  }

  registry::Deployment* Add(const std::string& task) {
    auto* deployment = list.add_deployments();
    deployment->set_task(task);
    deployment->set_revision(3);
    auto* version = deployment->mutable_production();
    version->set_model_version_id("id-1");
    version->set_version(1);
    version->add_classes("red");
    auto* file = version->add_files();
    file->set_name("model.onnx");
    file->set_payload_ref("obj:1");
    return deployment;
  }

  registry::ListDeploymentsResponse list;
};

class RegistryDeploymentSourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.Add(registry_);
    ASSERT_TRUE(server_.Start().ok());
  }
  DeploymentList List() {
    return RegistryDeploymentSource(server_.address(), std::chrono::seconds(20)).List().value();
  }

  FakeRegistry registry_;
  metrics::Registry metrics_{"inference"};
  rpc::Server server_{rpc::ServerOptions{}, metrics_};
};

TEST_F(RegistryDeploymentSourceTest, ReadsEveryPageWithCandidateAndPolicies) {
  registry_.Add("arrows");
  auto* lights = registry_.Add("lights");
  auto* rollout = lights->mutable_rollout();
  rollout->set_stage("canary");
  rollout->set_share(0.25);
  rollout->mutable_candidate()->set_model_version_id("id-2");
  rollout->mutable_candidate()->set_version(2);
  lights->mutable_capture()->set_random_share(0.5);
  lights->mutable_capture()->set_uncertain_below(0.6);
  lights->mutable_capture()->set_out_of_distribution_quantile(0.99);
  lights->mutable_capture()->set_max_per_minute(9);
  lights->mutable_quality()->set_min_side(8);
  lights->mutable_quality()->set_max_dark_share(0.9);

  const auto list = List();

  EXPECT_EQ(list.revision, 7U);
  ASSERT_EQ(list.deployments.size(), 2U);
  EXPECT_FALSE(list.deployments[0].rollout.has_value());
  EXPECT_FALSE(list.deployments[0].capture.on());
  EXPECT_EQ(list.deployments[0].production.files.at(0).payload_ref, "obj:1");
  const auto& deployment = list.deployments[1];
  EXPECT_EQ(deployment.task, "lights");
  EXPECT_EQ(deployment.revision, 3U);
  EXPECT_EQ(deployment.production.model.task, "lights");
  ASSERT_TRUE(deployment.rollout.has_value());
  EXPECT_EQ(deployment.rollout->role, Role::kCanary);
  EXPECT_EQ(deployment.rollout->share, 0.25);
  EXPECT_EQ(deployment.rollout->candidate.model.model_version_id, "id-2");
  EXPECT_EQ(deployment.rollout->candidate.model.task, "lights");
  EXPECT_EQ(deployment.capture, (CapturePolicy{0.5, 0.6, 0.99, 9}));
  EXPECT_EQ(deployment.quality.min_side, 8U);
  EXPECT_EQ(deployment.quality.max_dark_share, 0.9);
}

TEST_F(RegistryDeploymentSourceTest, AShadowHasNoShareAndAnUnknownStageNoTraffic) {
  auto* shadow = registry_.Add("a")->mutable_rollout();
  shadow->set_stage("shadow");
  shadow->set_share(0.9);
  auto* unknown = registry_.Add("b")->mutable_rollout();
  unknown->set_stage("blue-green");
  unknown->set_share(0.9);

  const auto list = List();

  ASSERT_TRUE(list.deployments[0].rollout.has_value());
  EXPECT_EQ(list.deployments[0].rollout->role, Role::kShadow);
  EXPECT_EQ(list.deployments[0].rollout->share, 0);
  EXPECT_FALSE(list.deployments[1].rollout.has_value());
}

}  // namespace
}  // namespace tidewheel::inference
