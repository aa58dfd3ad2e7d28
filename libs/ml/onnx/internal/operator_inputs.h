#pragma once

#include <cstddef>
#include <string_view>

namespace tidewheel::ml {

/// How many of its first inputs a node of this operator of ONNX's own domain must take: the least
/// over its versions, as the specification's operator schemas have it; 1 of what is not known. A
/// Loop may leave all of them out.
std::size_t LeastInputs(std::string_view op);

}  // namespace tidewheel::ml
