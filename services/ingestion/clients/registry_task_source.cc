#include "tidewheel/ingestion/clients/registry_task_source.h"

#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::ingestion {
namespace {

namespace registry = model_registry::v1;

std::shared_ptr<const TaskRules> FromProto(const registry::TaskSpec& spec) {
  TaskRules rules;
  rules.name = spec.name();
  const auto& quality = spec.quality();
  rules.quality = {
      quality.max_payload_bytes(), quality.max_pixels(),         quality.min_side(),
      quality.max_side(),          quality.min_mean_luminance(), quality.max_mean_luminance(),
      quality.max_dark_share(),    quality.max_bright_share(),   quality.min_sharpness()};
  rules.near_duplicate_quarantine_distance = quality.near_duplicate_quarantine_distance();
  rules.near_duplicate_group_distance = quality.near_duplicate_group_distance();
  rules.splits = {spec.splits().validation_share(), spec.splits().test_share(),
                  spec.splits().seed(), spec.splits().metadata_key()};
  return std::make_shared<const TaskRules>(std::move(rules));
}

}  // namespace

RegistryTaskSource::RegistryTaskSource(const std::string& address, Options options)
    : stub_(registry::ModelRegistryService::NewStub(rpc::OpenChannel(address))),
      options_(options) {}

Result<std::shared_ptr<const TaskRules>> RegistryTaskSource::Find(const std::string& task) {
  std::shared_ptr<const TaskRules> remembered;
  {
    const std::lock_guard lock(mutex_);
    if (const auto entry = entries_.find(task); entry != entries_.end()) {
      const auto age = std::chrono::steady_clock::now() - entry->second.asked_at;
      if (age < options_.fresh_for) return entry->second.rules;
      remembered = entry->second.rules;
    }
  }

  rpc::ClientContextWithDeadline context(options_.deadline);
  registry::GetTaskRequest request;
  request.set_name(task);
  registry::GetTaskResponse response;
  const auto asked = rpc::FromGrpcStatus(stub_->GetTask(&context, request, &response));
  if (!asked) {
    const bool away =
        IsTransient(asked.error().code) || asked.error().code == ErrorCode::kDeadlineExceeded;
    if (away && remembered) return remembered;
    return away ? Error{ErrorCode::kUnavailable, "model-registry: " + asked.error().message}
                : asked.error();
  }
  auto rules = FromProto(response.task().spec());
  const std::lock_guard lock(mutex_);
  entries_[task] = {rules, std::chrono::steady_clock::now()};
  return rules;
}

}  // namespace tidewheel::ingestion
