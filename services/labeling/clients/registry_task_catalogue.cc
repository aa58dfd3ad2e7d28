#include "tidewheel/labeling/clients/registry_task_catalogue.h"

#include <cstddef>
#include <utility>

#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::labeling {
namespace {

namespace registry = ::tidewheel::model_registry::v1;

constexpr std::size_t kMostRemembered = 1'000;

TaskPolicy FromProto(const registry::Task& task) {
  TaskPolicy policy{.name = task.spec().name(), .version = task.version(), .classes = {}};
  policy.classes.assign(task.spec().classes().begin(), task.spec().classes().end());
  policy.method = task.spec().labels().method() == registry::CONSENSUS_METHOD_DAWID_SKENE
                      ? ConsensusMethod::kDawidSkene
                      : ConsensusMethod::kMajority;
  policy.min_votes = task.spec().labels().min_votes();
  policy.min_confidence = task.spec().labels().min_confidence();
  return policy;
}

}  // namespace

RegistryTaskCatalogue::RegistryTaskCatalogue(std::shared_ptr<grpc::Channel> channel,
                                             RegistryTaskCatalogueOptions options)
    : channel_(std::move(channel)), options_(options) {}

Result<std::shared_ptr<const TaskPolicy>> RegistryTaskCatalogue::Find(const std::string& task) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = remembered_.find(task);
    if (found != remembered_.end() && std::chrono::steady_clock::now() < found->second.until) {
      return found->second.policy;
    }
  }
  return FindNewest(task);
}

Result<std::shared_ptr<const TaskPolicy>> RegistryTaskCatalogue::FindNewest(
    const std::string& task) {
  if (task.empty()) return Error{ErrorCode::kInvalidArgument, "task is empty"};
  const auto stub = registry::ModelRegistryService::NewStub(channel_);
  rpc::ClientContextWithDeadline context(options_.call_limit);
  registry::GetTaskRequest request;
  request.set_name(task);
  registry::GetTaskResponse response;
  const auto answered =
      rpc::FromGrpcStatus(stub->GetTask(&context, request, &response), "model-registry");
  if (!answered) return answered.error();

  auto policy = std::make_shared<const TaskPolicy>(FromProto(response.task()));
  const std::lock_guard lock(mutex_);
  // Tasks are few; a caller who makes up names must not grow this for ever.
  if (remembered_.size() >= kMostRemembered) remembered_.clear();
  remembered_[task] = {policy, std::chrono::steady_clock::now() + options_.remember};
  return policy;
}

}  // namespace tidewheel::labeling
