#pragma once

#include <memory>
#include <utility>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/repository_server.h"
#include "tidewheel/inference/engine/torch/torch_executor.h"

namespace tidewheel::inference {

/// Loads TorchScript (`model.pt`) and AOTInductor packages (`model.pt2`) of a version's folder, or
/// the file that the configuration names, each into a torch-runner of its own. Parameters of the
/// configuration: `device`, `threads`, `freeze` ("false" leaves the module as it is), and, where
/// they ask for less than the options, `memory_bytes`, `call_milliseconds`. KIND_GPU is the device
/// cuda:0. Thread-safe.
class TorchLoader final : public ExecutorLoader {
 public:
  explicit TorchLoader(TorchOptions options) : options_(std::move(options)) {}

  Result<std::unique_ptr<Executor>> Load(const ModelSource& source) override;

 private:
  const TorchOptions options_;
};

/// What this loader's files are called: ".pt", ".pt2".
bool IsTorchFile(const std::filesystem::path& file);

}  // namespace tidewheel::inference
