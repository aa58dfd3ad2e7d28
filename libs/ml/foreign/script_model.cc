#include <c10/core/InferenceMode.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <cstring>
#include <utility>

#include "tidewheel/ml/foreign/internal/loaders.h"
#include "tidewheel/ml/foreign/internal/script.h"
#include "tidewheel/ml/foreign/internal/torch_tensors.h"

namespace tidewheel::ml {
namespace {

constexpr std::size_t kMostOutputs = 4'096;

enum class Takes { kTensor, kTensors, kTensorsByName, kTexts, kText, kInt, kFloat, kBool };

std::optional<Takes> WhatIsTaken(const c10::TypePtr& type) {
  using c10::TypeKind;
  switch (type->kind()) {
    case TypeKind::TensorType:
      return Takes::kTensor;
    case TypeKind::OptionalType:
      return WhatIsTaken(type->expectRef<c10::OptionalType>().getElementType());
    case TypeKind::ListType: {
      const auto of = type->expectRef<c10::ListType>().getElementType()->kind();
      if (of == TypeKind::TensorType) return Takes::kTensors;
      if (of == TypeKind::StringType) return Takes::kTexts;
      return std::nullopt;
    }
    case TypeKind::DictType: {
      const auto& dict = type->expectRef<c10::DictType>();
      if (dict.getKeyType()->kind() == TypeKind::StringType &&
          dict.getValueType()->kind() == TypeKind::TensorType) {
        return Takes::kTensorsByName;
      }
      return std::nullopt;
    }
    case TypeKind::StringType:
      return Takes::kText;
    case TypeKind::IntType:
      return Takes::kInt;
    case TypeKind::FloatType:
      return Takes::kFloat;
    case TypeKind::BoolType:
      return Takes::kBool;
    default:
      return std::nullopt;
  }
}

/// Names of what a call gives, where the type says how much that is.
std::vector<std::string> OutputsOf(const c10::TypePtr& type) {
  std::vector<std::string> names;
  if (type->kind() == c10::TypeKind::TupleType) {
    const auto& tuple = type->expectRef<c10::TupleType>();
    const auto& schema = tuple.schema();
    for (const auto& element : tuple.elements()) {
      if (OutputsOf(element).size() != 1) return {};
      const std::size_t i = names.size();
      const bool named = schema && i < schema->arguments().size();
      names.push_back(named ? schema->arguments()[i].name() : "OUTPUT__" + std::to_string(i));
    }
    return names;
  }
  if (const auto taken = WhatIsTaken(type);
      taken && taken != Takes::kTensors && taken != Takes::kTensorsByName) {
    names.push_back("OUTPUT__0");
  }
  return names;
}

Result<std::vector<std::string>> Texts(const ForeignTensor& tensor) {
  std::vector<std::string> texts;
  std::string_view rest = tensor.bytes;
  while (!rest.empty()) {
    std::uint32_t length = 0;
    if (rest.size() < sizeof length) break;
    std::memcpy(&length, rest.data(), sizeof length);
    rest.remove_prefix(sizeof length);
    if (rest.size() < length) break;
    texts.emplace_back(rest.substr(0, length));
    rest.remove_prefix(length);
  }
  if (!rest.empty()) return Error{ErrorCode::kInvalidArgument, "a text ends early"};
  return texts;
}

ForeignTensor FromTexts(const std::vector<std::string>& texts, std::vector<std::int64_t> shape) {
  auto bytes = std::make_shared<std::string>();
  for (const std::string& text : texts) {
    const auto length = static_cast<std::uint32_t>(text.size());
    bytes->append(reinterpret_cast<const char*>(&length), sizeof length);
    bytes->append(text);
  }
  return {ForeignType::kText, std::move(shape), *bytes, bytes};
}

class ScriptModel final : public ForeignModel {
 public:
  ScriptModel(torch::jit::Module module, bool stateless, at::Device device, int threads)
      : module_(std::move(module)), stateless_(stateless), device_(device), threads_(threads) {}

  /// kInvalidArgument: forward takes or gives what is no tensor.
  Result<void> Learn() {
    const auto method = module_.find_method("forward");
    if (!method) return Error{ErrorCode::kInvalidArgument, "the module has no method forward"};
    const c10::FunctionSchema& schema = method->function().getSchema();
    bool defaults = false;
    for (std::size_t i = 1; i < schema.arguments().size(); ++i) {
      const c10::Argument& argument = schema.arguments()[i];
      const auto takes = WhatIsTaken(argument.type());
      const bool optional = argument.default_value().has_value();
      defaults = defaults || optional;
      // What nobody needs to give may be of any type; then nothing behind it can be given.
      if (!takes && optional) break;
      if (!takes) {
        return Error{ErrorCode::kInvalidArgument,
                     "forward's argument \"" + argument.name() + "\" is a " +
                         argument.type()->str() +
                         "; tensors, lists and dicts of tensors, numbers and texts can be served"};
      }
      takes_.push_back(*takes);
      signature_.inputs.push_back(argument.name());
      if (!defaults) signature_.required_inputs = signature_.inputs.size();
    }
    collects_ =
        takes_.size() == 1 && (takes_[0] == Takes::kTensors || takes_[0] == Takes::kTensorsByName);
    if (collects_) {
      signature_.inputs.clear();
      signature_.required_inputs = 0;
    } else {
      for (std::size_t i = 0; i < takes_.size(); ++i) {
        if (takes_[i] != Takes::kTensors && takes_[i] != Takes::kTensorsByName) continue;
        return Error{ErrorCode::kInvalidArgument,
                     "forward's argument \"" + signature_.inputs[i] +
                         "\" is a list or dict of tensors beside other arguments"};
      }
    }
    if (schema.returns().size() == 1) {
      const c10::TypePtr& gives = schema.returns()[0].type();
      if (gives->kind() == c10::TypeKind::NoneType) {
        return Error{ErrorCode::kInvalidArgument, "forward gives nothing"};
      }
      signature_.outputs = OutputsOf(gives);
    }
    return {};
  }

  void Know(Architecture architecture) { signature_.architecture = std::move(architecture); }

  const ForeignSignature& signature() const override { return signature_; }

  Result<void> Bind(const std::vector<std::string>& inputs,
                    const std::vector<std::string>& outputs) override {
    inputs_.clear();
    if (!collects_) {
      auto places = BindNames("input", signature_.inputs, false, inputs);
      if (!places) return places.error();
      source_.assign(signature_.inputs.size(), inputs.size());
      for (std::size_t i = 0; i < places->size(); ++i) source_[(*places)[i]] = i;
      for (std::size_t i = 0; i < signature_.required_inputs; ++i) {
        if (source_[i] < inputs.size()) continue;
        return Error{ErrorCode::kInvalidArgument,
                     "forward's argument \"" + signature_.inputs[i] + "\" is not among the inputs"};
      }
    } else if (takes_[0] == Takes::kTensors) {
      auto places = BindNames("input", {}, true, inputs);
      if (!places) return places.error();
      source_.assign(inputs.size(), inputs.size());
      for (std::size_t i = 0; i < places->size(); ++i) {
        if ((*places)[i] >= inputs.size()) {
          return Error{ErrorCode::kInvalidArgument, "the inputs' names leave out a place"};
        }
        source_[(*places)[i]] = i;
      }
    }
    auto to = BindNames("output", signature_.outputs, signature_.outputs.empty(), outputs);
    if (!to) return to.error();
    inputs_ = inputs;
    outputs_ = std::move(*to);
    names_ = outputs;
    return {};
  }

  Result<std::vector<ForeignTensor>> Run(std::span<const ForeignTensor> inputs) override {
    return CatchAll(ErrorCode::kInvalidArgument, "", [&]() -> Result<std::vector<ForeignTensor>> {
      const c10::InferenceMode inference;
      // Profiling and specialising make the first calls of each shape slow, and answers differ.
      const torch::jit::GraphOptimizerEnabledGuard as_written(false);
      UseThreads(threads_);
      auto arguments = Arguments(inputs);
      if (!arguments) return arguments.error();
      const c10::IValue answer = module_.get_method("forward")(std::move(*arguments));
      return Outputs(answer);
    });
  }

 private:
  Result<std::vector<c10::IValue>> Arguments(std::span<const ForeignTensor> inputs) const {
    std::vector<c10::IValue> arguments;
    if (inputs.size() != inputs_.size()) {
      return Error{
          ErrorCode::kInvalidArgument,
          std::to_string(inputs.size()) + " inputs instead of " + std::to_string(inputs_.size())};
    }
    if (collects_) {
      for (const ForeignTensor& input : inputs) {
        if (input.type != ForeignType::kText) continue;
        return Error{ErrorCode::kInvalidArgument, "forward takes tensors, no texts"};
      }
      if (takes_[0] == Takes::kTensors) {
        c10::List<at::Tensor> list;
        for (const std::size_t i : source_) list.push_back(Tensor(inputs[i]));
        arguments.emplace_back(std::move(list));
      } else {
        c10::Dict<std::string, at::Tensor> dict;
        for (std::size_t i = 0; i < inputs.size(); ++i) dict.insert(inputs_[i], Tensor(inputs[i]));
        arguments.emplace_back(std::move(dict));
      }
      return arguments;
    }
    std::size_t last = 0;  // Behind the last argument that is given.
    for (std::size_t i = 0; i < source_.size(); ++i) {
      if (source_[i] < inputs.size()) last = i + 1;
    }
    const auto& schema = module_.get_method("forward").function().getSchema();
    for (std::size_t i = 0; i < last; ++i) {
      if (source_[i] >= inputs.size()) {
        arguments.push_back(*schema.arguments()[i + 1].default_value());
        continue;
      }
      auto value = Value(takes_[i], inputs[source_[i]], signature_.inputs[i]);
      if (!value) return value.error();
      arguments.push_back(std::move(*value));
    }
    return arguments;
  }

  at::Tensor Tensor(const ForeignTensor& input) const {
    // A module with a state might keep its input, whose memory the next call uses again.
    return ToTensor(input, device_, !stateless_);
  }

  Result<c10::IValue> Value(Takes takes, const ForeignTensor& input,
                            const std::string& name) const {
    const auto refused = [&](const std::string& what) {
      return Error{ErrorCode::kInvalidArgument, "forward's argument \"" + name + "\" is " + what};
    };
    const bool text = input.type == ForeignType::kText;
    if (takes == Takes::kText || takes == Takes::kTexts) {
      if (!text) return refused("text");
      auto texts = Texts(input);
      if (!texts) return texts.error();
      if (takes == Takes::kText) {
        if (texts->size() != 1) return refused("one text");
        return c10::IValue(std::move(texts->front()));
      }
      c10::List<std::string> list;
      for (std::string& each : *texts) list.push_back(std::move(each));
      return c10::IValue(std::move(list));
    }
    if (text) return refused("no text");
    if (takes == Takes::kTensor) return c10::IValue(Tensor(input));
    const at::Tensor tensor = ToTensor(input, at::Device(at::kCPU), false);
    if (tensor.numel() != 1) return refused("one number");
    if (takes == Takes::kInt) return c10::IValue(tensor.item<std::int64_t>());
    if (takes == Takes::kFloat) return c10::IValue(tensor.item<double>());
    return c10::IValue(tensor.item<bool>());
  }

  /// `value` and what is in it, in order.
  static Result<void> Flatten(const c10::IValue& value, std::vector<c10::IValue>& flat) {
    if (flat.size() >= kMostOutputs) {
      return Error{ErrorCode::kInvalidArgument,
                   "forward gave more than " + std::to_string(kMostOutputs) + " outputs"};
    }
    if (value.isTuple()) {
      for (const auto& element : value.toTupleRef().elements()) {
        if (const auto done = Flatten(element, flat); !done) return done;
      }
      return {};
    }
    const bool texts =
        value.isList() && value.type()->expectRef<c10::ListType>().getElementType()->kind() ==
                              c10::TypeKind::StringType;
    if (value.isList() && !texts) {
      for (const auto& element : value.toListRef()) {
        if (const auto done = Flatten(element, flat); !done) return done;
      }
      return {};
    }
    if (value.isGenericDict()) {
      for (const auto& entry : value.toGenericDict()) {
        if (const auto done = Flatten(entry.value(), flat); !done) return done;
      }
      return {};
    }
    flat.push_back(value);
    return {};
  }

  static Result<ForeignTensor> Leaf(const c10::IValue& value, const std::string& name) {
    if (value.isTensor()) return FromTensor(value.toTensor(), name);
    if (value.isInt()) return FromTensor(at::scalar_tensor(value.toInt(), at::kLong), name);
    if (value.isDouble()) return FromTensor(at::scalar_tensor(value.toDouble(), at::kDouble), name);
    if (value.isBool()) return FromTensor(at::scalar_tensor(value.toBool(), at::kBool), name);
    if (value.isString()) return FromTexts({value.toStringRef()}, {});
    if (value.isList()) {
      std::vector<std::string> texts;
      for (const auto& element : value.toListRef()) texts.push_back(element.toStringRef());
      const auto count = static_cast<std::int64_t>(texts.size());
      return FromTexts(texts, {count});
    }
    return Error{ErrorCode::kInvalidArgument,
                 "output \"" + name + "\" is a " + value.tagKind() + ", which cannot be served"};
  }

  Result<std::vector<ForeignTensor>> Outputs(const c10::IValue& answer) const {
    std::vector<ForeignTensor> outputs;
    if (answer.isGenericDict() && HasKeys(answer)) {
      const auto dict = answer.toGenericDict();
      for (const std::string& name : names_) {
        auto output = Leaf(dict.at(name), name);
        if (!output) return output.error();
        outputs.push_back(std::move(*output));
      }
      return outputs;
    }
    std::vector<c10::IValue> flat;
    if (const auto done = Flatten(answer, flat); !done) return done.error();
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      if (outputs_[i] >= flat.size()) {
        return Error{ErrorCode::kInvalidArgument, "there is no output for \"" + names_[i] +
                                                      "\": forward gave " +
                                                      std::to_string(flat.size())};
      }
      auto output = Leaf(flat[outputs_[i]], names_[i]);
      if (!output) return output.error();
      outputs.push_back(std::move(*output));
    }
    return outputs;
  }

  bool HasKeys(const c10::IValue& answer) const {
    const auto dict = answer.toGenericDict();
    if (dict.keyType()->kind() != c10::TypeKind::StringType) return false;
    for (const std::string& name : names_) {
      if (!dict.contains(name)) return false;
    }
    return true;
  }

  const torch::jit::Module module_;
  const bool stateless_;
  const at::Device device_;
  const int threads_;
  ForeignSignature signature_;
  std::vector<Takes> takes_;  // Of forward's arguments.
  bool collects_ = false;     // One list or dict takes all inputs.

  std::vector<std::string> inputs_;   // As Run gives them.
  std::vector<std::size_t> source_;   // Of each argument: which of Run's; too large: the default.
  std::vector<std::size_t> outputs_;  // Of each of Run's: which of the flattened answer.
  std::vector<std::string> names_;    // Of the outputs.
};

}  // namespace

Result<std::unique_ptr<ForeignModel>> LoadScript(int descriptor, const ForeignOptions& options) {
  using Loaded = Result<std::unique_ptr<ForeignModel>>;
  return CatchAll(ErrorCode::kInvalidArgument, "", [&]() -> Loaded {
    auto script = ReadScript(descriptor, options);
    if (!script) return script.error();
    auto model = std::make_unique<ScriptModel>(std::move(script->module), script->stateless,
                                               script->device, options.threads);
    if (const auto learnt = model->Learn(); !learnt) return learnt.error();
    if (script->architecture) model->Know(*std::move(script->architecture));
    return std::unique_ptr<ForeignModel>(std::move(model));
  });
}

}  // namespace tidewheel::ml
