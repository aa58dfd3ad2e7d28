#include "tidewheel/inference/clients/registry_deployment_source.h"

#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::inference {
namespace {

namespace registry = model_registry::v1;

Deployment FromProto(const registry::Deployment& deployment) {
  const auto& version = deployment.production();
  Deployment out;
  out.model.task = deployment.task();
  out.model.model_version_id = version.model_version_id();
  out.model.model_version = version.version();
  out.model.package_digest = version.package_digest();
  out.model.classes.assign(version.classes().begin(), version.classes().end());
  for (const auto& file : version.files()) {
    out.files.push_back({file.name(), file.sha256(), file.payload_ref()});
  }
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
