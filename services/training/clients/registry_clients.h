#pragma once

#include <memory>
#include <string>

#include "tidewheel/blob/store.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/training/domain/run_executor.h"
#include "tidewheel/training/execution/process_launcher.h"

namespace tidewheel::training {

using RegistryStub = model_registry::v1::ModelRegistryService::Stub;

/// The preprocessing of tasks, from model-registry. Thread-safe.
class RegistryPreprocessingSource final : public PreprocessingSource {
 public:
  explicit RegistryPreprocessingSource(RegistryStub& stub) : stub_(stub) {}

  Result<std::map<std::string, std::string>> Find(const std::string& task) override;
  Result<WorkerGate> FindGate(const std::string& task) override;

 private:
  RegistryStub& stub_;
};

/// Puts a package's files into the payload store and registers them. Thread-safe.
class RegistryPackageRegistrar final : public PackageRegistrar {
 public:
  RegistryPackageRegistrar(RegistryStub& stub, blob::Store& payloads)
      : stub_(stub), payloads_(payloads) {}

  Result<std::string> Register(const Run& run, const std::string& folder) override;

 private:
  RegistryStub& stub_;
  blob::Store& payloads_;
};

std::unique_ptr<RegistryStub> OpenRegistry(const std::string& address);

}  // namespace tidewheel::training
