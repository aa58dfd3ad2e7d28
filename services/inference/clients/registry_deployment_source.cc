#include "tidewheel/inference/clients/registry_deployment_source.h"

#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::inference {
namespace {

namespace registry = model_registry::v1;

ModelPackage FromProto(const std::string& task, const registry::ModelVersion& version) {
  ModelPackage out;
  out.model.task = task;
  out.model.model_version_id = version.model_version_id();
  out.model.model_version = version.version();
  out.model.package_digest = version.package_digest();
  out.model.classes.assign(version.classes().begin(), version.classes().end());
  for (const auto& file : version.files()) {
    out.files.push_back({file.name(), file.sha256(), file.payload_ref()});
  }
  return out;
}

/// None: a stage that this release does not know gets no traffic.
std::optional<Rollout> FromProto(const std::string& task, const registry::Rollout& rollout) {
  Rollout out;
  if (rollout.stage() == Name(Role::kCanary)) {
    out.role = Role::kCanary;
    out.share = rollout.share();
  } else if (rollout.stage() != Name(Role::kShadow)) {
    return std::nullopt;
  }
  out.candidate = FromProto(task, rollout.candidate());
  return out;
}

CapturePolicy FromProto(const registry::CapturePolicy& policy) {
  return {policy.random_share(), policy.uncertain_below(), policy.out_of_distribution_quantile(),
          policy.max_per_minute()};
}

QualityRules FromProto(const registry::QualityRules& rules) {
  QualityRules out;
  out.max_payload_bytes = rules.max_payload_bytes();
  out.max_pixels = rules.max_pixels();
  out.min_side = rules.min_side();
  out.max_side = rules.max_side();
  out.min_mean_luminance = rules.min_mean_luminance();
  out.max_mean_luminance = rules.max_mean_luminance();
  out.max_dark_share = rules.max_dark_share();
  out.max_bright_share = rules.max_bright_share();
  out.min_sharpness = rules.min_sharpness();
  return out;
}

Deployment FromProto(const registry::Deployment& deployment) {
  Deployment out;
  out.task = deployment.task();
  out.production = FromProto(deployment.task(), deployment.production());
  if (deployment.has_rollout()) out.rollout = FromProto(deployment.task(), deployment.rollout());
  out.capture = FromProto(deployment.capture());
  out.quality = FromProto(deployment.quality());
  out.revision = deployment.revision();
  return out;
}

}  // namespace

RegistryDeploymentSource::RegistryDeploymentSource(const std::string& address,
                                                   std::chrono::milliseconds deadline)
    : stub_(registry::ModelRegistryService::NewStub(rpc::OpenChannel(address))),
      deadline_(deadline) {}

Result<DeploymentList> RegistryDeploymentSource::List() {
  DeploymentList list;
  registry::ListDeploymentsRequest request;
  request.set_page_size(1'000);
  do {
    rpc::ClientContextWithDeadline context(deadline_);
    registry::ListDeploymentsResponse response;
    const auto asked =
        rpc::FromGrpcStatus(stub_->ListDeployments(&context, request, &response), "model-registry");
    if (!asked) return asked.error();
    for (const auto& deployment : response.deployments()) {
      list.deployments.push_back(FromProto(deployment));
    }
    list.revision = response.revision();
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return list;
}

}  // namespace tidewheel::inference
