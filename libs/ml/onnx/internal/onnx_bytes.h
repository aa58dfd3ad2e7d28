#pragma once

#include <onnx/onnx_pb.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::ml {

/// Only those who link libonnx can include this. kInvalidArgument: no ONNX model with a graph.
Result<std::unique_ptr<onnx::ModelProto>> ParseOnnx(std::string_view bytes);

/// The same model gives the same bytes. kInternal: it has more than protobuf's 2 GiB.
Result<std::string> PrintOnnxModel(const onnx::ModelProto& model);

/// The numbers of a float32 tensor inside the file. kInvalidArgument: it is not one, or holds fewer
/// or more than its shape says.
Result<std::vector<float>> FloatsOf(const onnx::TensorProto& tensor);

}  // namespace tidewheel::ml
