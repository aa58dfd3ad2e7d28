#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tidewheel::ml {

/// How many of its first inputs a node of this operator of ONNX's own domain must take in this
/// version of the operators, as the specification's schemas have it; 1 of what is not known. A Loop
/// may leave all of them out.
std::size_t LeastInputs(std::string_view op, std::int64_t opset);

}  // namespace tidewheel::ml
