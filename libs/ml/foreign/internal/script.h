#pragma once

#include <c10/core/Device.h>
#include <torch/csrc/jit/api/module.h>

#include <optional>

#include "tidewheel/base/result.h"
#include "tidewheel/ml/foreign/foreign_model.h"
#include "tidewheel/ml/graph/architecture.h"

/// TorchScript as it was read, for the .cc files that run it.
namespace tidewheel::ml {

struct Script {
  torch::jit::Module module;
  bool stateless = false;  // Frozen until nothing was left that a call could change.
  at::Device device;
  std::optional<Architecture> architecture{};  // Of a module that this platform made.
};

/// As ForeignModel::Load, without a look at `forward`. What LibTorch throws outside of what is
/// named here is the caller's.
Result<Script> ReadScript(int descriptor, const ForeignOptions& options);

}  // namespace tidewheel::ml
