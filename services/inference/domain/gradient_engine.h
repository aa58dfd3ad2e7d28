#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/domain/deployment.h"

namespace tidewheel::inference {

/// Gradients of a package, where there is an engine for them. Used by one thread.
class GradientEngine {
 public:
  virtual ~GradientEngine() = default;

  /// The probability of one class for each of `count` rows, and its derivative by every number of
  /// them. `row_shape` is without the rows; `gradients` has the size of `rows`. kInvalidArgument:
  /// the model does not take such rows, or has no such class.
  virtual Result<void> Gradients(std::span<const std::int64_t> row_shape,
                                 std::span<const float> rows, std::size_t count,
                                 std::size_t class_index, std::span<double> probabilities,
                                 std::span<float> gradients) = 0;
};

/// May take as long as loading a model.
using OpenGradients =
    std::function<Result<std::unique_ptr<GradientEngine>>(const ModelPackage& package)>;

}  // namespace tidewheel::inference
