#pragma once

#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/ml/graph/architecture.h"
#include "tidewheel/ml/graph/weights.h"

namespace tidewheel::ml {

/// The names of the graph's input [-1, channels, height, width] and output [-1, classes].
inline constexpr char kInputName[] = "input";
inline constexpr char kOutputName[] = "probabilities";
/// A second output [-1, numbers] where the architecture has an embedding.
inline constexpr char kEmbeddingName[] = "embedding";

/// The bytes of an ONNX model (opset 13, dynamic batch) that answers softmax(logits / temperature):
/// the same as the TorchScript module's `forward`, and its embedding. The same weights give the
/// same bytes. kInvalidArgument: the weights are not the architecture's, or the temperature is not
/// positive.
Result<std::string> PrintOnnx(const Architecture& architecture,
                              const std::vector<NamedTensor>& weights, double temperature = 1.0);

}  // namespace tidewheel::ml
