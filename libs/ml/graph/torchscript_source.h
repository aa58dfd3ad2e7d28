#pragma once

#include <string>

#include "tidewheel/ml/graph/architecture.h"

namespace tidewheel::ml {

/// TorchScript of two methods over the plan's parameters and the attributes `training` and
/// `temperature`: `logits`, which is trained, and `forward`, which is served and gives
/// softmax(logits / temperature).
std::string PrintTorchScript(const ArchitecturePlan& plan);

}  // namespace tidewheel::ml
