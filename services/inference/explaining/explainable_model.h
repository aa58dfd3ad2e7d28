#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/domain/served_model.h"
#include "tidewheel/inference/explaining/explanation.h"

namespace tidewheel::inference {

/// A copy of a version that only explanations ask. Used by one thread.
class ExplainableModel {
 public:
  virtual ~ExplainableModel() = default;

  virtual const ModelIdentity& identity() const = 0;

  /// What the model sees of an encoded picture: one row. kInvalidArgument: it cannot be decoded.
  virtual Result<NumberRows> Prepare(std::string_view picture) = 0;

  /// Probabilities, count x classes. `row_shape` is without the rows.
  virtual Result<void> Ask(std::span<const std::int64_t> row_shape, std::span<const float> rows,
                           std::size_t count, std::span<float> probabilities) = 0;

  /// The derivative of one class's probability by every number of each row, beside it.
  /// kUnimplemented: this model has none.
  virtual Result<void> Gradients(std::span<const std::int64_t> row_shape,
                                 std::span<const float> rows, std::size_t count,
                                 std::size_t class_index, std::span<double> probabilities,
                                 std::span<float> gradients) = 0;
};

/// Where explanations get their copies from.
class ExplainableModels {
 public:
  virtual ~ExplainableModels() = default;
  /// Of what serves the task as production. kNotFound: nothing does. May take as long as loading a
  /// model.
  virtual Result<std::shared_ptr<ExplainableModel>> For(const std::string& task) = 0;
};

}  // namespace tidewheel::inference
