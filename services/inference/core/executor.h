#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/tensor.h"

namespace tidewheel::inference {

/// What a loaded version is to those who ask it.
struct ModelSpec {
  std::string name{};
  std::string version{};   // Digits.
  std::string platform{};  // "onnx_onnxv1", "pytorch_torchscript", "tidewheel_ensemble" and so on.
  std::size_t max_batch_size = 0;  // Rows of one call; 0: the model does not batch.
  std::vector<TensorSpec> inputs{};
  std::vector<TensorSpec> outputs{};
  std::map<std::string, std::string> properties{};
};

/// Computes. One version of one model, in one precision, wherever it runs. As many calls run at a
/// time as there are instances; thread-safe.
class Executor {
 public:
  virtual ~Executor() = default;

  virtual const ModelSpec& spec() const = 0;

  /// `inputs` are in the order of the spec and fit it; of a model that batches all have the same
  /// first size. Answers all outputs, in the spec's order, each owning its bytes.
  /// kInternal: the engine failed. kUnavailable: it is gone for now (a runner that starts again).
  virtual Result<std::vector<Tensor>> Execute(std::span<const Tensor> inputs) = 0;

  /// Whether a call may keep its thread for long, whatever calls have cost so far. Then it never
  /// runs on the thread that brought the request.
  virtual bool may_block() const { return false; }

  /// A call of more rows is computed in passes of so many, one after another; 0: in one. Requests
  /// beyond a pass gain nothing by being one batch, and wait for each other's answers.
  virtual std::size_t rows_of_a_pass() const { return 0; }

  /// Bytes held by weights and buffers, as well as it is known; 0: not known.
  virtual std::size_t memory_bytes() const { return 0; }
};

}  // namespace tidewheel::inference
