#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <string>
#include <utility>
#include <vector>

#include "tidewheel/ml/foreign/internal/loaders.h"
#include "tidewheel/ml/foreign/internal/script.h"
#include "tidewheel/ml/foreign/internal/torch_tensors.h"

namespace tidewheel::ml {
namespace {

Error Wrong(std::string what) { return {ErrorCode::kInvalidArgument, std::move(what)}; }

/// The derivative of one column of what `forward` gives by the one tensor that it takes.
class ScriptGradients final : public ForeignModel {
 public:
  ScriptGradients(Script script, int threads) : script_(std::move(script)), threads_(threads) {
    signature_.inputs = {kGradientInputs.begin(), kGradientInputs.end()};
    signature_.required_inputs = signature_.inputs.size();
    signature_.outputs = {kGradientOutputs.begin(), kGradientOutputs.end()};
  }

  /// kInvalidArgument: forward does not take one tensor and give one.
  Result<void> Learn() {
    const auto method = script_.module.find_method("forward");
    if (!method) return Wrong("the module has no method forward");
    const c10::FunctionSchema& schema = method->function().getSchema();
    const auto is_tensor = [](const c10::Argument& argument) {
      return argument.type()->kind() == c10::TypeKind::TensorType;
    };
    // The first argument is the module itself.
    if (schema.arguments().size() != 2 || !is_tensor(schema.arguments()[1]) ||
        schema.returns().size() != 1 || !is_tensor(schema.returns()[0])) {
      return Wrong("gradients are of a module whose forward takes one tensor and gives one");
    }
    // Only the input's derivative is wanted.
    for (at::Tensor weight : script_.module.parameters()) weight.set_requires_grad(false);
    return {};
  }

  const ForeignSignature& signature() const override { return signature_; }

  Result<void> Bind(const std::vector<std::string>& inputs,
                    const std::vector<std::string>& outputs) override {
    if (inputs == signature_.inputs && outputs == signature_.outputs) return {};
    return Wrong("gradients have names of their own");
  }

  Result<std::vector<ForeignTensor>> Run(std::span<const ForeignTensor> inputs) override {
    using Ran = Result<std::vector<ForeignTensor>>;
    return CatchAll(ErrorCode::kInvalidArgument, "", [&]() -> Ran {
      const at::AutoGradMode with_gradients(true);
      const torch::jit::GraphOptimizerEnabledGuard as_written(false);
      UseThreads(threads_);
      if (inputs.size() != signature_.inputs.size()) {
        return Wrong(std::to_string(inputs.size()) + " inputs instead of rows and a class");
      }
      if (inputs[0].type == ForeignType::kText || inputs[0].shape.empty()) {
        return Wrong("gradients are by rows of numbers");
      }
      if (inputs[1].type != ForeignType::kInt64 || inputs[1].bytes.size() != sizeof(std::int64_t)) {
        return Wrong("the class is one INT64");
      }
      const auto column = ToTensor(inputs[1], at::Device(at::kCPU), false).item<std::int64_t>();
      // The tape keeps the input until the derivative is there.
      const at::Tensor rows = ToTensor(inputs[0], script_.device, true).requires_grad_(true);
      const at::Tensor answer = script_.module.get_method("forward")({rows}).toTensor();
      if (answer.dim() != 2 || answer.size(0) != rows.size(0)) {
        return Wrong("forward's answer is not rows x classes");
      }
      if (column < 0 || column >= answer.size(1)) {
        return Wrong("class " + std::to_string(column) + ", the answer has " +
                     std::to_string(answer.size(1)));
      }
      const at::Tensor wanted = answer.select(1, column);
      if (!wanted.requires_grad()) {
        return Error{ErrorCode::kUnimplemented, "forward's answer has no derivative by its input"};
      }
      // A row's answer depends on no other row, so the sum's derivative is each one's.
      auto slopes = torch::autograd::grad({wanted.sum()}, {rows}, {}, std::nullopt, false, true);
      const at::Tensor slope = slopes.at(0).defined() ? slopes.at(0) : at::zeros_like(rows);
      std::vector<ForeignTensor> outputs;
      for (const auto& [tensor, name] :
           {std::pair{wanted.detach(), signature_.outputs[0]}, {slope, signature_.outputs[1]}}) {
        auto output = FromTensor(tensor, name);
        if (!output) return output.error();
        outputs.push_back(*std::move(output));
      }
      return outputs;
    });
  }

 private:
  Script script_;
  const int threads_;
  ForeignSignature signature_;
};

}  // namespace

Result<std::unique_ptr<ForeignModel>> LoadGradients(int descriptor, const ForeignOptions& options) {
  using Loaded = Result<std::unique_ptr<ForeignModel>>;
  return CatchAll(ErrorCode::kInvalidArgument, "", [&]() -> Loaded {
    auto script = ReadScript(descriptor, options);
    if (!script) return script.error();
    auto model = std::make_unique<ScriptGradients>(*std::move(script), options.threads);
    if (const auto learnt = model->Learn(); !learnt) return learnt.error();
    return std::unique_ptr<ForeignModel>(std::move(model));
  });
}

}  // namespace tidewheel::ml
