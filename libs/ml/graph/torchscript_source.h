#pragma once

#include <string>

#include "tidewheel/ml/graph/architecture.h"

namespace tidewheel::ml {

/// The module's buffer with the matrix of ProjectionOf.
inline constexpr char kProjectionBuffer[] = "embedding_projection";

/// TorchScript of methods over the plan's parameters and the attributes `training` and
/// `temperature`: `logits`, which is trained, and `forward`, which is served and gives
/// softmax(logits / temperature). With an embedding, `embed` gives what goes into the last linear
/// layer (`features`) times the buffer above.
std::string PrintTorchScript(const Architecture& architecture, const ArchitecturePlan& plan);

}  // namespace tidewheel::ml
