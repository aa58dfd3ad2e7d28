#pragma once

#include <cstddef>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/model_server.h"

namespace tidewheel::inference {

/// "FP32 [-1,784]".
std::string TypeAndShape(DataType type, const std::vector<std::int64_t>& shape);

/// Whether `given` is one of the shapes that `wanted` allows.
bool Fits(const std::vector<std::int64_t>& wanted, const std::vector<std::int64_t>& given);

/// Puts the request's inputs in the order of the spec and says how many rows they have (1 of a
/// model that does not batch). kInvalidArgument names the tensor, what is expected and what is
/// given: an input too much, too few or twice, another type, another shape, bytes that do not fit,
/// inputs of different numbers of rows, more rows than the model takes, an output it does not have.
Result<std::size_t> FitToSpec(const ModelSpec& spec, InferRequest& request);

}  // namespace tidewheel::inference
