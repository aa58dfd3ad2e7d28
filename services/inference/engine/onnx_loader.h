#pragma once

#include <memory>

#include "tidewheel/inference/core/repository_server.h"
#include "tidewheel/inference/engine/variant.h"
#include "tidewheel/serving/engine.h"

namespace tidewheel::inference {

/// Rows of one call of a model that batches and whose configuration does not say.
inline constexpr std::size_t kMostRowsOfACall = 1'024;

/// Loads ONNX files onto the serving engine: `model.onnx` of the version's folder, or the file that
/// the configuration names. As many calls at a time as the configuration has instances. Parameters
/// of the configuration: `precision` ("f32", "bf16", "int8", "fastest"; the default is f32) and
/// `inference_num_threads` (of one call). A folder with a model.yaml is a package: its variants are
/// those that the manifest offers, and its golden samples must come out. In another folder int8 is
/// the file model.int8.onnx. The spec's property "variant" says what was loaded. Thread-safe.
/// `engine` outlives it.
class OnnxLoader final : public ExecutorLoader {
 public:
  explicit OnnxLoader(const serving::Engine& engine) : engine_(engine) {}

  Result<std::unique_ptr<Executor>> Load(const ModelSource& source) override;

 private:
  const serving::Engine& engine_;
};

/// A graph as an executor, for those who have its bytes from elsewhere. `spec` gives the name, the
/// version and the properties; the ports and whether it batches are the graph's.
std::unique_ptr<Executor> MakeGraphExecutor(std::unique_ptr<serving::Graph> graph, ModelSpec spec);

}  // namespace tidewheel::inference
