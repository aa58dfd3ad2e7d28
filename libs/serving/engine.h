#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/serving/graph.h"

namespace tidewheel::serving {

/// A model's input or output: float32, the first size is the batch and -1.
struct TensorInfo {
  std::string name;
  std::vector<std::int64_t> shape;

  /// Elements of one row.
  std::size_t elements() const;
  friend bool operator==(const TensorInfo&, const TensorInfo&) = default;
};

/// The name of a second output that is not the answer, but where the input lies.
inline constexpr std::string_view kEmbeddingOutput = "embedding";

struct ModelSignature {
  TensorInfo input;
  TensorInfo output;
  std::optional<TensorInfo> embedding{};

  friend bool operator==(const ModelSignature&, const ModelSignature&) = default;
};

struct EngineOptions {
  /// Threads that compute one call. More than one pays only for models of many milliseconds.
  int threads = 1;
  /// Calls that run at the same time; a further one waits for its turn. As many as there are
  /// workers.
  int concurrency = 1;
  /// Batches of these sizes are run once while loading, so that the first caller does not wait for
  /// their kernels.
  std::vector<std::size_t> warm_up_rows = {1, 8, 32};
  std::size_t at_most_model_bytes = std::size_t{1} << 30;
  /// Loads the processor's plugin with the engine, so that one that is missing is found then; else
  /// with the first model. It takes a quarter of a start.
  bool plugin_at_once = true;
  /// Models of rows are compiled for each of these numbers of them, and a call of another number is
  /// made of several: changing sizes cost a small model more than its rows. Empty: for any number
  /// at once. The smallest must be 1.
  std::vector<std::size_t> fixed_rows{};
  /// Larger files are compiled once for any number: each size takes the memory of the weights, and
  /// what changing sizes cost is nothing beside such a model.
  std::size_t most_fixed_bytes = std::size_t{4} << 20;
};
/// What serves many callers at a time wants as EngineOptions::fixed_rows: more rows in a call are
/// no faster. Every number up to that, as each further pass costs a small model as much as a row.
inline const std::vector<std::size_t> kServedRows = {1, 2, 3, 4, 5, 6, 7, 8};

/// An ONNX model of rows, compiled for any batch size.
class Model {
 public:
  struct Compiled;

  explicit Model(std::unique_ptr<Compiled> compiled);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const ModelSignature& signature() const;
  /// A call of more rows is computed in passes of so many, one after another; 0: in one.
  std::size_t rows_of_a_pass() const;

  /// Runs `rows` rows in the calling thread. `input` holds rows x input.elements(), `output` takes
  /// rows x output.elements(), `embedding` rows x embedding->elements(), or is empty when it is not
  /// wanted. Thread-safe. kInvalidArgument: sizes that do not fit, or an embedding of a model that
  /// has none; kInternal: the engine failed.
  Result<void> Infer(std::span<const float> input, std::size_t rows, std::span<float> output,
                     std::span<float> embedding = {}) const;

  /// Answers the rows and compares with what is expected; gives the largest difference.
  /// kFailedPrecondition: it is above `tolerance`, or an answer is not a number.
  Result<double> VerifyGolden(std::span<const float> input, std::size_t rows,
                              std::span<const float> expected, double tolerance) const;

 private:
  std::unique_ptr<Compiled> compiled_;
};

/// OpenVINO on this machine's processor. Thread-safe; it may go before the models it loaded.
class Engine {
 public:
  struct Core;

  /// kInvalidArgument: an option; kUnavailable: OpenVINO or its processor plugin cannot be loaded.
  static Result<std::unique_ptr<Engine>> Create(EngineOptions options);

  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// kNotFound: no such file; the rest as LoadBytes.
  Result<std::unique_ptr<Model>> Load(const std::filesystem::path& onnx_file) const;

  /// Reads, compiles and warms up. kInvalidArgument: no ONNX model, or not one float32 input and
  /// one float32 output with a free batch as first size, beside which only an output named
  /// "embedding" may be. kUnimplemented names the operators OpenVINO does not know.
  /// kResourceExhausted: larger than at_most_model_bytes.
  /// As LoadGraph says of a precision.
  Result<std::unique_ptr<Model>> LoadBytes(std::string_view onnx,
                                           Precision precision = Precision::kFloat32) const;

  /// Any ONNX model; tensors in other files are read from inside `folder`, which may be empty.
  /// kInvalidArgument: no ONNX model, or an input or output that cannot be served, by name;
  /// kUnimplemented names the operators that the engine does not know, or the precision that the
  /// processor does not have; kResourceExhausted: larger than at_most_model_bytes.
  Result<std::unique_ptr<Graph>> LoadGraph(std::string_view onnx, const GraphOptions& options,
                                           const std::filesystem::path& folder = {}) const;
  /// kNotFound: no such file; the rest as LoadGraph.
  Result<std::unique_ptr<Graph>> LoadGraphFile(const std::filesystem::path& onnx_file,
                                               const GraphOptions& options) const;

  /// Whether the processor computes in bfloat16.
  bool HasBf16() const;

 private:
  explicit Engine(std::unique_ptr<Core> core);
  Result<std::string> ReadModelFile(const std::filesystem::path& onnx_file) const;
  std::unique_ptr<Core> core_;
};

}  // namespace tidewheel::serving
