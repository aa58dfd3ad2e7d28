#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::ml {

/// What a tensor's numbers lie between when they are written with 8 bits. Zero lies inside.
struct ActivationRange {
  float low = 0;
  float high = 0;
};

/// The tensors of a graph whose ranges QuantizeOnnx asks for: what goes into its convolutions and
/// matrix products with constant weights, before pools and changes of shape alone. Empty: there is
/// nothing that 8 bits would help. kInvalidArgument: no ONNX model; kFailedPrecondition: an opset
/// below 13, which cannot say what is asked for.
Result<std::vector<std::string>> TensorsToObserve(std::string_view onnx);

/// The same graph with these tensors as further outputs, in this order after its own, so that their
/// ranges can be measured. kInvalidArgument: the graph has no such tensor.
Result<std::string> WithObservedOutputs(std::string_view onnx,
                                        const std::vector<std::string>& tensors);

/// The same graph in 8 bits: Conv, Gemm and MatMul take activations and weights through
/// QuantizeLinear and DequantizeLinear nodes, which engines that compute in int8 take as such and
/// all others as rounding. Weights are int8 and symmetric with a scale for each output channel
/// (-127 to 127), activations uint8 with one scale and zero point for each tensor; biases stay
/// float32. Products with fewer than 4,096 weights stay float32: they cost little, and the last one
/// decides the answer. Ports keep their names, types and shapes. The same input gives the same
/// bytes.
/// kInvalidArgument: no ONNX model, or a range that is missing or not finite; kFailedPrecondition:
/// as above, nothing to quantize, or a weight that is not finite.
Result<std::string> QuantizeOnnx(std::string_view onnx,
                                 const std::map<std::string, ActivationRange>& ranges);

}  // namespace tidewheel::ml
