#include "tidewheel/inference/engine/onnx_loader.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "tidewheel/inference/engine/package_loader.h"
#include "tidewheel/ml/package/golden.h"

namespace tidewheel::inference {
namespace {

namespace fs = std::filesystem;

// Both lists are the protocol's, in its order.
static_assert(static_cast<std::size_t>(DataType::kBytes) + 1 == serving::kElementTypes);
static_assert(static_cast<int>(DataType::kFp16) == static_cast<int>(serving::ElementType::kFp16));

DataType ToDataType(serving::ElementType type) { return static_cast<DataType>(type); }

std::vector<TensorSpec> ToSpecs(const std::vector<serving::Port>& ports) {
  std::vector<TensorSpec> specs;
  for (const serving::Port& port : ports) {
    specs.push_back({.name = port.name, .type = ToDataType(port.type), .shape = port.shape});
  }
  return specs;
}

class GraphExecutor final : public Executor {
 public:
  GraphExecutor(std::unique_ptr<serving::Graph> graph, ModelSpec spec)
      : graph_(std::move(graph)), spec_(std::move(spec)) {}

  const ModelSpec& spec() const override { return spec_; }

  Result<std::vector<Tensor>> Execute(std::span<const Tensor> inputs) override {
    std::vector<serving::TensorView> views;
    views.reserve(inputs.size());
    for (const Tensor& input : inputs) views.push_back({input.shape, input.data});
    auto answers = graph_->Infer(views);
    if (!answers) return answers.error();
    std::vector<Tensor> outputs;
    outputs.reserve(answers->size());
    for (std::size_t i = 0; i < answers->size(); ++i) {
      serving::OutputTensor& answer = (*answers)[i];
      outputs.push_back({.name = spec_.outputs[i].name,
                         .type = spec_.outputs[i].type,
                         .shape = std::move(answer.shape),
                         .data = answer.data,
                         .owner = std::move(answer.owner)});
    }
    return outputs;
  }

  std::size_t rows_of_a_pass() const override { return graph_->rows_of_a_pass(); }
  std::size_t memory_bytes() const override { return graph_->memory_bytes(); }

 private:
  const std::unique_ptr<serving::Graph> graph_;
  const ModelSpec spec_;
};

Error Wrong(const ModelSource& source, const std::string& what) {
  return {ErrorCode::kInvalidArgument, "model \"" + source.name + "\": " + what};
}

struct Options {
  serving::GraphOptions graph{};
  Wanted wanted = Wanted::kFloat32;
};

Result<Options> OptionsOf(const ModelSource& source) {
  Options options;
  options.graph.concurrency =
      static_cast<int>(std::min<std::uint32_t>(source.config.instances, 1 << 20));
  for (const auto& [key, value] : source.config.parameters) {
    if (key == "precision") {
      const auto wanted = ParseWanted(value);
      if (!wanted) return Wrong(source, "parameter precision: " + wanted.error().message);
      options.wanted = *wanted;
    } else if (key == "inference_num_threads") {
      const char* end = value.data() + value.size();
      const auto read = std::from_chars(value.data(), end, options.graph.threads);
      if (read.ec != std::errc{} || read.ptr != end) {
        return Wrong(source, "parameter inference_num_threads is a number, not \"" + value + "\"");
      }
    }
  }
  return options;
}

/// A name of a file in the version's folder. A name with a folder in it could lead anywhere.
Result<std::string> FileOf(const ModelSource& source) {
  const std::string name =
      source.config.file.empty() ? std::string(ml::kOnnxFile) : source.config.file;
  if (fs::path(name).filename() != fs::path(name) || name == "." || name == "..") {
    return Wrong(source, "the file's name \"" + name.substr(0, 80) + "\" is not a plain one");
  }
  std::error_code error;
  if (fs::path(name).extension() != ".onnx" || !fs::is_regular_file(source.folder / name, error)) {
    return Error{ErrorCode::kNotFound,
                 "there is no " + (source.folder / std::string(ml::kOnnxFile)).string()};
  }
  return name;
}

/// Of a folder that is no package: what is wanted is taken at its word.
Result<ChosenVariant> PlainVariant(const ModelSource& source, const std::string& file,
                                   Wanted wanted) {
  ChosenVariant chosen{.file = file};
  if (wanted == Wanted::kBf16) {
    chosen.name = "bf16";
    chosen.precision = serving::Precision::kBf16;
  } else if (wanted == Wanted::kInt8) {
    chosen.name = "int8";
    chosen.file = ml::kInt8OnnxFile;
    std::error_code error;
    if (!fs::is_regular_file(source.folder / chosen.file, error)) {
      return Error{ErrorCode::kFailedPrecondition,
                   "there is no " + (source.folder / chosen.file).string()};
    }
  }
  return chosen;
}

/// The package's own samples, through the loaded graph.
Result<void> VerifyGolden(const fs::path& folder, const serving::Graph& graph, double tolerance) {
  const auto golden = ml::ReadGoldenSamples(folder);
  if (!golden) return golden.error();
  const auto failed = [](const std::string& what) {
    return Error{ErrorCode::kFailedPrecondition, "golden samples: " + what};
  };
  if (graph.inputs().size() != 1 || graph.inputs()[0].type != serving::ElementType::kFp32 ||
      graph.outputs().empty()) {
    return failed("the graph does not take rows of float32");
  }
  std::vector<std::int64_t> shape = graph.inputs()[0].shape;
  if (!shape.empty()) shape[0] = static_cast<std::int64_t>(golden->rows);
  const serving::TensorView view{shape,
                                 {reinterpret_cast<const char*>(golden->inputs.data()),
                                  golden->inputs.size() * sizeof(float)}};
  const auto answers = graph.Infer(std::span(&view, 1));
  if (!answers) return Prefixed("golden samples: ", answers.error());
  const std::string_view bytes = (*answers)[0].data;
  if (bytes.size() != golden->probabilities.size() * sizeof(float)) {
    return failed("other numbers of answers");
  }
  for (std::size_t i = 0; i < golden->probabilities.size(); ++i) {
    float answer = 0;
    std::memcpy(&answer, bytes.data() + i * sizeof answer, sizeof answer);
    const double difference = std::abs(double{answer} - double{golden->probabilities[i]});
    // Written so that what is no number fails.
    if (!(difference <= tolerance)) {
      return failed("row " + std::to_string(i / golden->output_elements) + " gives " +
                    std::to_string(answer) + " instead of " +
                    std::to_string(golden->probabilities[i]));
    }
  }
  return {};
}

}  // namespace

std::unique_ptr<Executor> MakeGraphExecutor(std::unique_ptr<serving::Graph> graph, ModelSpec spec) {
  spec.platform = "onnx_onnxv1";
  spec.inputs = ToSpecs(graph->inputs());
  spec.outputs = ToSpecs(graph->outputs());
  spec.max_batch_size = graph->batches() ? kMostRowsOfACall : 0;
  return std::make_unique<GraphExecutor>(std::move(graph), std::move(spec));
}

Result<std::unique_ptr<Executor>> OnnxLoader::Load(const ModelSource& source) {
  const auto file = FileOf(source);
  if (!file) return file.error();
  auto options = OptionsOf(source);
  if (!options) return options.error();
  std::error_code error;
  const bool package = *file == ml::kOnnxFile &&
                       fs::is_regular_file(source.folder / std::string(ml::kManifestFile), error);
  Result<ChosenVariant> chosen = PlainVariant(source, *file, options->wanted);
  if (package) {
    const auto manifest = ml::ReadPackageManifest(source.folder);
    if (!manifest) return manifest.error();
    chosen = ChooseVariant(*manifest, options->wanted, engine_.HasBf16(), kGoldenTolerance);
  }
  if (!chosen) return Prefixed("model \"" + source.name + "\": ", chosen.error());
  options->graph.precision = chosen->precision;
  auto graph = engine_.LoadGraphFile(source.folder / chosen->file, options->graph);
  if (!graph) return graph.error();
  if (package) {
    const auto verified = VerifyGolden(source.folder, **graph, chosen->tolerance);
    if (!verified) return verified.error();
  }
  ModelSpec spec{.name = source.name,
                 .version = std::to_string(source.version),
                 .properties = {{"variant", chosen->name}}};
  return MakeGraphExecutor(*std::move(graph), std::move(spec));
}

}  // namespace tidewheel::inference
