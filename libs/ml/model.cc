#include "tidewheel/ml/model.h"

#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <span>
#include <utility>

#include "tidewheel/ml/graph/embedding.h"
#include "tidewheel/ml/graph/onnx_graph.h"
#include "tidewheel/ml/graph/torchscript_source.h"
#include "tidewheel/ml/internal/torch_module.h"

namespace tidewheel::ml {
namespace {

constexpr char kTraining[] = "training";
constexpr char kTemperature[] = "temperature";
constexpr char kArchitectureFile[] = "architecture";  // Inside the saved archive.

at::Tensor ToTensor(const NamedTensor& named) {
  at::Tensor tensor = at::empty(named.shape, at::kFloat);
  std::memcpy(tensor.data_ptr<float>(), named.elements.data(),
              named.elements.size() * sizeof(float));
  return tensor;
}

Error Foreign(std::string_view what) {
  return Error{ErrorCode::kFailedPrecondition,
               std::string(what) + " needs a module that this platform made from an architecture"};
}

std::unique_ptr<TorchModule> Define(const Architecture& architecture, const ArchitecturePlan& plan,
                                    std::uint64_t seed) {
  auto made =
      std::make_unique<TorchModule>(TorchModule{torch::jit::Module("Model"), architecture, plan});
  torch::jit::Module& module = made->module;
  module.register_attribute(kTraining, c10::BoolType::get(), false);
  module.register_buffer(kTemperature, at::ones({}, at::kFloat));
  for (const NamedTensor& weight : InitialWeights(plan, seed)) {
    module.register_parameter(weight.name, ToTensor(weight).set_requires_grad(true),
                              /*is_buffer=*/false);
  }
  if (const Projection projection = ProjectionOf(architecture, plan); projection.numbers > 0) {
    module.register_buffer(kProjectionBuffer,
                           ToTensor({.name = kProjectionBuffer,
                                     .shape = {projection.inputs, projection.numbers},
                                     .elements = projection.matrix}));
  }
  module.define(PrintTorchScript(architecture, plan));
  return made;
}

}  // namespace

at::Tensor BatchOf(const TensorDataset& dataset, std::span<const std::uint32_t> indices) {
  const ImageShape& shape = dataset.shape;
  at::Tensor batch = at::empty(
      {static_cast<std::int64_t>(indices.size()), shape.channels, shape.height, shape.width},
      at::kFloat);
  dataset.CopyRows(indices, batch.data_ptr<float>());
  return batch;
}

Result<Model> Model::Create(const Architecture& architecture, std::uint64_t seed) {
  const auto plan = PlanArchitecture(architecture);
  if (!plan) return plan.error();
  return WithoutExceptions(
      ErrorCode::kInternal, "defining the TorchScript module",
      [&]() -> Result<Model> { return Model(Define(architecture, *plan, seed)); });
}

Result<Model> Model::Load(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) {
    return Error{ErrorCode::kNotFound, "no file " + path.string()};
  }
  return WithoutExceptions(
      ErrorCode::kInvalidArgument, path.string() + " is no TorchScript module",
      [&]() -> Result<Model> {
        torch::jit::ExtraFilesMap extra{{kArchitectureFile, ""}};
        auto loaded = std::make_unique<TorchModule>();
        loaded->module = torch::jit::load(path.string(), at::Device(at::kCPU), extra);
        if (!loaded->module.find_method("forward")) {
          return Error{ErrorCode::kInvalidArgument, path.string() + " has no method forward"};
        }
        if (const std::string& text = extra[kArchitectureFile]; !text.empty()) {
          auto architecture = ParseArchitecture(text);
          if (!architecture) return Prefixed(path.string() + ": ", architecture.error());
          auto plan = PlanArchitecture(*architecture);
          if (!plan) return Prefixed(path.string() + ": ", plan.error());
          for (const Parameter& parameter : plan->parameters) {
            if (!loaded->module.hasattr(parameter.name) ||
                loaded->module.attr(parameter.name).toTensor().sizes() != parameter.shape) {
              return Error{ErrorCode::kInvalidArgument,
                           path.string() + " lacks the parameter " + parameter.name};
            }
          }
          if (architecture->embedding != 0 && !loaded->module.find_method("embed")) {
            return Error{ErrorCode::kInvalidArgument, path.string() + " has no method embed"};
          }
          loaded->architecture = std::move(*architecture);
          loaded->plan = std::move(*plan);
        }
        loaded->module.eval();
        return Model(std::move(loaded));
      });
}

Model::Model(std::unique_ptr<TorchModule> module) : module_(std::move(module)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

Result<void> Model::Save(const std::filesystem::path& path) const {
  return WithoutExceptions(ErrorCode::kInternal, "writing " + path.string(), [&]() -> Result<void> {
    torch::jit::ExtraFilesMap extra;
    if (module_->architecture) extra[kArchitectureFile] = PrintArchitecture(*module_->architecture);
    module_->module.eval();
    module_->module.save(path.string(), extra);
    return {};
  });
}

const std::optional<Architecture>& Model::architecture() const { return module_->architecture; }

double Model::temperature() const {
  if (!module_->architecture) return 1.0;
  return double{module_->module.attr(kTemperature).toTensor().data_ptr<float>()[0]};
}

Result<void> Model::SetTemperature(double temperature) {
  if (!module_->architecture) return Foreign("a temperature");
  if (!std::isfinite(temperature) || temperature <= 0) {
    return Error{ErrorCode::kInvalidArgument, "a temperature must be positive"};
  }
  module_->module.attr(kTemperature).toTensor().data_ptr<float>()[0] =
      static_cast<float>(temperature);
  return {};
}

std::vector<NamedTensor> Model::Weights() const {
  std::vector<NamedTensor> weights;
  if (!module_->plan) return weights;
  for (const Parameter& parameter : module_->plan->parameters) {
    const at::Tensor tensor = module_->module.attr(parameter.name).toTensor().contiguous();
    const float* first = tensor.data_ptr<float>();
    weights.push_back(
        {parameter.name, parameter.shape, std::vector<float>(first, first + tensor.numel())});
  }
  return weights;
}

Result<std::string> Model::Onnx() const {
  if (!module_->architecture) return Foreign("an ONNX graph");
  return PrintOnnx(*module_->architecture, Weights(), temperature());
}

Result<std::vector<float>> Model::Predict(const TensorDataset& dataset,
                                          const PredictOptions& options,
                                          const std::stop_token& stop) const {
  return Run("forward", dataset, options, stop);
}

Result<std::vector<float>> Model::Embed(const TensorDataset& dataset, const PredictOptions& options,
                                        const std::stop_token& stop) const {
  if (!module_->architecture || module_->architecture->embedding == 0) {
    return Error{ErrorCode::kFailedPrecondition, "the model has no embedding"};
  }
  return Run("embed", dataset, options, stop);
}

Result<std::vector<float>> Model::Run(const char* method, const TensorDataset& dataset,
                                      const PredictOptions& options,
                                      const std::stop_token& stop) const {
  if (options.batch_size < 1 || options.threads < 1) {
    return Error{ErrorCode::kInvalidArgument, "batch_size and threads must be at least 1"};
  }
  if (module_->architecture && dataset.shape != module_->architecture->input) {
    return Error{ErrorCode::kInvalidArgument, "the dataset's shape is not the model's"};
  }
  return WithoutExceptions(
      ErrorCode::kInternal, "running the TorchScript module", [&]() -> Result<std::vector<float>> {
        const c10::NoGradGuard no_gradients;
        const torch::jit::GraphOptimizerEnabledGuard as_written(false);
        at::set_num_threads(options.threads);
        module_->module.eval();
        const torch::jit::Method run = module_->module.get_method(method);
        std::vector<float> answers;
        std::vector<std::uint32_t> indices;
        const auto batch_size = static_cast<std::size_t>(options.batch_size);
        for (std::size_t first = 0; first < dataset.rows(); first += batch_size) {
          if (stop.stop_requested())
            return Error{ErrorCode::kCancelled, "prediction was cancelled"};
          indices.resize(std::min(batch_size, dataset.rows() - first));
          std::iota(indices.begin(), indices.end(), static_cast<std::uint32_t>(first));
          const at::Tensor answer = run({BatchOf(dataset, indices)}).toTensor().contiguous();
          if (answer.dim() != 2 || answer.size(0) != static_cast<std::int64_t>(indices.size()) ||
              answer.scalar_type() != at::kFloat) {
            return Error{ErrorCode::kInvalidArgument,
                         "the module must answer float32 of rows x numbers"};
          }
          const float* values = answer.data_ptr<float>();
          answers.reserve(dataset.rows() * static_cast<std::size_t>(answer.size(1)));
          answers.insert(answers.end(), values, values + answer.numel());
        }
        return answers;
      });
}

}  // namespace tidewheel::ml
