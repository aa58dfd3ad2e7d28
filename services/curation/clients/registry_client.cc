#include "tidewheel/curation/clients/registry_client.h"

#include <utility>

#include "tidewheel/curation/clients/answer.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/time.h"

namespace tidewheel::curation {
namespace {

namespace registry = ::tidewheel::model_registry::v1;

constexpr char kCallee[] = "model-registry";

std::string StageName(registry::Stage stage) {
  switch (stage) {
    case registry::STAGE_REGISTERED:
      return "registered";
    case registry::STAGE_PRODUCTION:
      return "production";
    case registry::STAGE_RETIRED:
      return "retired";
    default:
      return {};
  }
}

}  // namespace

RegistryClient::RegistryClient(std::shared_ptr<grpc::Channel> channel,
                               std::chrono::milliseconds call_limit)
    : channel_(std::move(channel)), call_limit_(call_limit) {}

Result<TaskPolicy> RegistryClient::FindNewest(const std::string& task) {
  if (const auto known = CheckKnown(channel_, kCallee); !known) return known.error();
  rpc::ClientContextWithDeadline context(call_limit_);
  registry::GetTaskRequest request;
  request.set_name(task);
  registry::GetTaskResponse response;
  const auto answered = AnswerOf(
      registry::ModelRegistryService::NewStub(channel_)->GetTask(&context, request, &response),
      kCallee);
  if (!answered) return answered.error();

  const registry::TaskSpec& spec = response.task().spec();
  return TaskPolicy{.name = spec.name(),
                    .version = response.task().version(),
                    .classes = {spec.classes().begin(), spec.classes().end()},
                    .min_confidence = spec.labels().min_confidence()};
}

Result<ModelVersionFacts> RegistryClient::FindModelVersion(const std::string& id) {
  if (const auto known = CheckKnown(channel_, kCallee); !known) return known.error();
  rpc::ClientContextWithDeadline context(call_limit_);
  registry::GetModelVersionRequest request;
  request.set_model_version_id(id);
  registry::GetModelVersionResponse response;
  const auto answered = AnswerOf(registry::ModelRegistryService::NewStub(channel_)->GetModelVersion(
                                     &context, request, &response),
                                 kCallee);
  if (!answered) return answered.error();

  const registry::ModelVersion& model = response.model_version();
  ModelVersionFacts facts;
  facts.model_version_id = model.model_version_id();
  facts.task = model.task();
  facts.version = model.version();
  facts.stage = StageName(model.stage());
  facts.run_id = model.run_id();
  facts.dataset_version_id = model.dataset_version_id();
  facts.dataset_digest = model.dataset_digest();
  facts.package_digest = model.package_digest();
  facts.recipe = model.recipe();
  facts.seed = model.seed();
  facts.code_version = model.code_version();
  facts.code_clean = model.code_clean();
  facts.metrics.insert(model.metrics().begin(), model.metrics().end());
  facts.registered_by = model.registered_by();
  if (const auto at = rpc::FromProto(model.registered_at())) facts.registered_at = *at;
  return facts;
}

}  // namespace tidewheel::curation
