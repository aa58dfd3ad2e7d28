#pragma once

#include <memory>

#include "tidewheel/blob/store.h"
#include "tidewheel/inference/domain/gradient_engine.h"
#include "tidewheel/inference/engine/torch/torch_executor.h"

namespace tidewheel::inference {

/// Gradients of packages: the TorchScript that lies beside the graph runs in a torch-runner of its
/// own, at the priority of the thread that opens it, until the engine goes. The store must outlive
/// the function. As TorchExecutor::Start and ReadPackageFile fail.
OpenGradients PackageGradients(const blob::Store& payloads, TorchOptions options);

}  // namespace tidewheel::inference
