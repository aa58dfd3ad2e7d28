#include "tidewheel/inference/engine/onnx_loader.h"

#include <charconv>
#include <string_view>
#include <utility>
#include <vector>

namespace tidewheel::inference {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDefaultFile = "model.onnx";

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

  std::size_t memory_bytes() const override { return graph_->memory_bytes(); }

 private:
  const std::unique_ptr<serving::Graph> graph_;
  const ModelSpec spec_;
};

Error Wrong(const ModelSource& source, const std::string& what) {
  return {ErrorCode::kInvalidArgument, "model \"" + source.name + "\": " + what};
}

Result<serving::GraphOptions> OptionsOf(const ModelSource& source) {
  serving::GraphOptions options{.concurrency = static_cast<int>(source.config.instances)};
  for (const auto& [key, value] : source.config.parameters) {
    if (key == "precision") {
      if (value != "f32" && value != "bf16") {
        return Wrong(source, "parameter precision is f32 or bf16, not \"" + value + "\"");
      }
      options.precision =
          value == "bf16" ? serving::Precision::kBf16 : serving::Precision::kFloat32;
    } else if (key == "inference_num_threads") {
      const char* end = value.data() + value.size();
      const auto read = std::from_chars(value.data(), end, options.threads);
      if (read.ec != std::errc{} || read.ptr != end) {
        return Wrong(source, "parameter inference_num_threads is a number, not \"" + value + "\"");
      }
    }
  }
  return options;
}

/// The model's file. A name with a folder in it could lead anywhere.
Result<fs::path> FileOf(const ModelSource& source) {
  const std::string name =
      source.config.file.empty() ? std::string(kDefaultFile) : source.config.file;
  if (fs::path(name).filename() != fs::path(name) || name == "." || name == "..") {
    return Wrong(source, "the file's name \"" + name.substr(0, 80) + "\" is not a plain one");
  }
  const fs::path file = source.folder / name;
  std::error_code error;
  const bool known = file.extension() == ".onnx";
  if (!known || !fs::is_regular_file(file, error)) {
    return Error{ErrorCode::kNotFound, "there is no " + (source.folder / kDefaultFile).string()};
  }
  return file;
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
  const auto options = OptionsOf(source);
  if (!options) return options.error();
  auto graph = engine_.LoadGraphFile(*file, *options);
  if (!graph) return graph.error();
  const bool bf16 = options->precision == serving::Precision::kBf16;
  ModelSpec spec{.name = source.name,
                 .version = std::to_string(source.version),
                 .properties = {{"precision", bf16 ? "bf16" : "f32"}}};
  return MakeGraphExecutor(*std::move(graph), std::move(spec));
}

}  // namespace tidewheel::inference
