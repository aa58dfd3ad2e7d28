#include "tidewheel/training/clients/registry_clients.h"

#include <filesystem>

#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/status.h"
#include "tidewheel/training/clients/registry_model_desk.h"
#include "tidewheel/vision/preprocess_entries.h"

namespace tidewheel::training {
namespace {

namespace registry = model_registry::v1;

constexpr std::chrono::seconds kDeadline{10};

}  // namespace

std::unique_ptr<RegistryStub> OpenRegistry(const std::string& address) {
  return registry::ModelRegistryService::NewStub(rpc::OpenChannel(address));
}

Result<std::map<std::string, std::string>> RegistryPreprocessingSource::Find(
    const std::string& task) {
  rpc::ClientContextWithDeadline context(kDeadline);
  registry::GetTaskRequest request;
  request.set_name(task);
  registry::GetTaskResponse response;
  const auto asked =
      rpc::FromGrpcStatus(stub_.GetTask(&context, request, &response), "model-registry");
  if (!asked) return asked.error();
  const auto& declared = response.task().spec().preprocessing();
  vision::PreprocessSpec spec;
  spec.width = static_cast<int>(declared.width());
  spec.height = static_cast<int>(declared.height());
  spec.channels = static_cast<int>(declared.channels());
  spec.resize = declared.resize() == registry::RESIZE_MODE_FIT_PAD ? vision::Resize::kFitPad
                                                                   : vision::Resize::kStretch;
  spec.mean = {declared.mean().begin(), declared.mean().end()};
  spec.std = {declared.std().begin(), declared.std().end()};
  if (const auto valid = spec.Validate(); !valid) return valid.error();
  return vision::ToEntries(spec);
}

Result<WorkerGate> RegistryPreprocessingSource::FindGate(const std::string& task) {
  rpc::ClientContextWithDeadline context(kDeadline);
  registry::GetTaskRequest request;
  request.set_name(task);
  registry::GetTaskResponse response;
  const auto asked =
      rpc::FromGrpcStatus(stub_.GetTask(&context, request, &response), "model-registry");
  if (!asked) return asked.error();
  const auto& gate = response.task().spec().gate();
  WorkerGate found{.tests = TestsFrom(gate), .max_loss = {}, .alpha = {}};
  // A gate that was agreed has a level.
  if (gate.alpha() > 0) {
    found.max_loss = gate.max_loss();
    found.alpha = gate.alpha();
  }
  return found;
}

Result<std::string> RegistryPackageRegistrar::Register(const Run& run, const std::string& folder) {
  registry::RegisterModelVersionRequest request;
  request.set_task(run.dataset.task);
  request.set_run_id(run.id);
  request.set_dataset_version_id(run.dataset.id);
  request.set_actor(run.request.actor);
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const auto ref = payloads_.PutFile(entry.path());
    if (!ref) return ref.error();
    auto* file = request.add_files();
    file->set_name(entry.path().filename().string());
    file->set_sha256(ref->digest().Hex());
    file->set_size_bytes(entry.file_size());
    file->set_payload_ref(ref->text());
  }
  if (error) return Error{ErrorCode::kInternal, folder + ": " + error.message()};

  rpc::ClientContextWithDeadline context(kDeadline);
  registry::RegisterModelVersionResponse response;
  const auto registered = rpc::FromGrpcStatus(
      stub_.RegisterModelVersion(&context, request, &response), "model-registry");
  if (!registered) {
    // A registry that is slow to answer is as good as away: a repeat is harmless.
    if (registered.error().code == ErrorCode::kDeadlineExceeded) {
      return Error{ErrorCode::kUnavailable, registered.error().message};
    }
    return registered.error();
  }
  return response.model_version().model_version_id();
}

}  // namespace tidewheel::training
