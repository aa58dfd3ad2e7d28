#include "tidewheel/monitoring/clients/registry_policy_source.h"

#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::monitoring {
namespace {

namespace registry = model_registry::v1;

constexpr std::chrono::seconds kDeadline{2};
constexpr std::chrono::seconds kFreshFor{10};
constexpr std::size_t kMostRemembered = 10'000;

}  // namespace

RegistryPolicySource::RegistryPolicySource(const std::string& address)
    : stub_(registry::ModelRegistryService::NewStub(rpc::OpenChannel(address))) {}

Result<std::uint32_t> RegistryPolicySource::WindowSize(const std::string& task) {
  const auto now = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(task);
    if (entry != entries_.end() && now - entry->second.asked_at < kFreshFor) {
      return entry->second.size;
    }
  }
  rpc::ClientContextWithDeadline context(kDeadline);
  registry::GetTaskRequest request;
  request.set_name(task);
  registry::GetTaskResponse response;
  const auto asked =
      rpc::FromGrpcStatus(stub_->GetTask(&context, request, &response), "model-registry");
  Result<std::uint32_t> size = response.task().spec().monitoring().window_predictions();
  if (!asked) {
    // Anything but "no such task" may pass: the events wait until it does.
    if (asked.error().code != ErrorCode::kNotFound) {
      return Error{ErrorCode::kUnavailable, asked.error().message};
    }
    size = asked.error();
  }
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= kMostRemembered) entries_.clear();
  entries_.insert_or_assign(task, Entry{size, now});
  return size;
}

}  // namespace tidewheel::monitoring
