#include "tidewheel/monitoring/clients/registry_policy_source.h"

#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::monitoring {
namespace {

namespace registry = model_registry::v1;

constexpr std::chrono::seconds kDeadline{2};
constexpr std::chrono::seconds kFreshFor{10};
constexpr std::size_t kMostRemembered = 10'000;

MonitoringPolicy PolicyFrom(const registry::MonitoringPolicy& from) {
  MonitoringPolicy policy;
  if (from.window_predictions() > 0) policy.window_predictions = from.window_predictions();
  policy.window_seconds = from.window_seconds();
  policy.lateness_seconds = from.lateness_seconds();
  policy.max_false_alarms = from.max_false_alarms();
  policy.false_alarm_days = from.false_alarm_days();
  policy.predictions_per_day = from.predictions_per_day();
  policy.slice_keys = {from.slice_keys().begin(), from.slice_keys().end()};
  policy.silence_seconds = from.silence_seconds();
  policy.webhooks = {from.webhooks().begin(), from.webhooks().end()};
  return policy;
}

}  // namespace

RegistryPolicySource::RegistryPolicySource(const std::string& address)
    : stub_(registry::ModelRegistryService::NewStub(rpc::OpenChannel(address))) {}

Result<MonitoringPolicy> RegistryPolicySource::Policy(const std::string& task) {
  const auto now = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(task);
    if (entry != entries_.end() && now - entry->second.asked_at < kFreshFor) {
      return entry->second.policy;
    }
  }
  rpc::ClientContextWithDeadline context(kDeadline);
  registry::GetTaskRequest request;
  request.set_name(task);
  registry::GetTaskResponse response;
  const auto asked =
      rpc::FromGrpcStatus(stub_->GetTask(&context, request, &response), "model-registry");
  Result<MonitoringPolicy> policy = PolicyFrom(response.task().spec().monitoring());
  if (!asked) {
    // Anything but "no such task" may pass: the events wait until it does.
    if (asked.error().code != ErrorCode::kNotFound) {
      return Error{ErrorCode::kUnavailable, asked.error().message};
    }
    policy = asked.error();
  }
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= kMostRemembered) entries_.clear();
  entries_.insert_or_assign(task, Entry{policy, now});
  return policy;
}

}  // namespace tidewheel::monitoring
