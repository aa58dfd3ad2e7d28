#include "tidewheel/ml/onnx/quantize.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "tidewheel/ml/onnx/internal/onnx_bytes.h"

namespace tidewheel::ml {
namespace {

static_assert(std::endian::native == std::endian::little, "ONNX's raw data is little-endian");

constexpr std::int64_t kLeastOpset = 13;  // DequantizeLinear with an axis.
constexpr std::int64_t kLeastProduct = 4'096;
constexpr float kWeightLevels = 127;
constexpr float kActivationLevels = 255;
constexpr char kPrefix[] = "int8/";

/// A node whose activations and weights can be 8 bits wide.
struct Candidate {
  int node = 0;
  std::string weight{};
  std::int64_t axis = 0;  // Of the weight's output channels.
  // Where the activations are rounded: before this input of this node, which takes `source`.
  std::string source{};
  int at_node = 0;
  int at_input = 0;
};

std::int64_t IntOf(const onnx::NodeProto& node, const char* name, std::int64_t otherwise) {
  for (const auto& attribute : node.attribute()) {
    if (attribute.name() == name) return attribute.i();
  }
  return otherwise;
}
float FloatOf(const onnx::NodeProto& node, const char* name, float otherwise) {
  for (const auto& attribute : node.attribute()) {
    if (attribute.name() == name) return attribute.f();
  }
  return otherwise;
}

bool IsStandard(const onnx::NodeProto& node) {
  return node.domain().empty() || node.domain() == "ai.onnx";
}

/// Gives each of its numbers as it was, only elsewhere.
bool KeepsNumbers(const onnx::NodeProto& node) {
  static const std::set<std::string_view> kKinds = {"MaxPool",   "Reshape",   "Flatten", "Squeeze",
                                                    "Unsqueeze", "Transpose", "Identity"};
  return IsStandard(node) && node.input_size() > 0 && node.output_size() == 1 &&
         kKinds.count(node.op_type()) > 0;
}

/// The graph's names: who makes a tensor, who takes it, which are constants.
class Names {
 public:
  explicit Names(const onnx::GraphProto& graph) : graph_(graph) {
    for (const auto& tensor : graph.initializer()) constants_[tensor.name()] = &tensor;
    for (const auto& input : graph.input()) constants_.erase(input.name());
    for (int i = 0; i < graph.node_size(); ++i) {
      for (const auto& output : graph.node(i).output()) makers_[output] = i;
      for (const auto& input : graph.node(i).input()) ++takers_[input];
      for (const auto& attribute : graph.node(i).attribute()) {
        if (attribute.has_g() || attribute.graphs_size() > 0) has_subgraphs_ = true;
      }
    }
    for (const auto& output : graph.output()) ++takers_[output.name()];
  }

  const onnx::TensorProto* Constant(const std::string& name) const {
    const auto found = constants_.find(name);
    return found == constants_.end() ? nullptr : found->second;
  }
  const onnx::NodeProto* Maker(const std::string& name, int& index) const {
    const auto found = makers_.find(name);
    if (found == makers_.end()) return nullptr;
    index = found->second;
    return &graph_.node(index);
  }
  int takers(const std::string& name) const {
    const auto found = takers_.find(name);
    return found == takers_.end() ? 0 : found->second;
  }
  bool has_subgraphs() const { return has_subgraphs_; }

 private:
  const onnx::GraphProto& graph_;
  std::map<std::string, const onnx::TensorProto*> constants_;
  std::map<std::string, int> makers_;
  std::map<std::string, int> takers_;
  bool has_subgraphs_ = false;
};

std::optional<Candidate> CandidateOf(const onnx::NodeProto& node, const Names& names) {
  if (!IsStandard(node) || node.input_size() < 2) return std::nullopt;
  const onnx::TensorProto* weight = names.Constant(node.input(1));
  if (weight == nullptr || weight->data_type() != onnx::TensorProto::FLOAT ||
      names.Constant(node.input(0)) != nullptr) {
    return std::nullopt;
  }
  const auto numbers = FloatsOf(*weight);
  if (!numbers || numbers->empty()) return std::nullopt;
  Candidate candidate{.weight = node.input(1)};
  if (node.op_type() == "Conv") {
    if (weight->dims_size() < 3) return std::nullopt;
    return candidate;
  }
  if (weight->dims_size() != 2 || static_cast<std::int64_t>(numbers->size()) < kLeastProduct) {
    return std::nullopt;
  }
  if (node.op_type() == "MatMul") {
    candidate.axis = 1;
    return candidate;
  }
  if (node.op_type() == "Gemm" && IntOf(node, "transA", 0) == 0 && FloatOf(node, "alpha", 1) == 1 &&
      FloatOf(node, "beta", 1) == 1) {
    candidate.axis = IntOf(node, "transB", 0) != 0 ? 0 : 1;
    return candidate;
  }
  return std::nullopt;
}

/// Products after which nothing is weighed any more.
std::set<int> LastProducts(const onnx::GraphProto& graph, const Names& names) {
  std::set<int> last;
  std::set<std::string> seen;
  std::vector<std::string> open;
  for (const auto& output : graph.output()) open.push_back(output.name());
  while (!open.empty()) {
    const std::string name = std::move(open.back());
    open.pop_back();
    int index = 0;
    const onnx::NodeProto* node = names.Maker(name, index);
    if (node == nullptr || !seen.insert(name).second) continue;
    const bool product = node->op_type() == "Gemm" || node->op_type() == "MatMul";
    if (product) last.insert(index);
    if (product || node->op_type() == "Conv") continue;
    for (const auto& input : node->input()) open.push_back(input);
  }
  return last;
}

Result<std::vector<Candidate>> Candidates(const onnx::ModelProto& model) {
  std::int64_t opset = 0;
  for (const auto& import : model.opset_import()) {
    if (import.domain().empty() || import.domain() == "ai.onnx") opset = import.version();
  }
  if (opset < kLeastOpset) {
    return Error{ErrorCode::kFailedPrecondition, "ONNX model: opset " + std::to_string(opset) +
                                                     "; weights in 8 bits want " +
                                                     std::to_string(kLeastOpset)};
  }
  const onnx::GraphProto& graph = model.graph();
  const Names names(graph);
  std::vector<Candidate> candidates;
  // A graph inside a node may take any tensor of the outer one.
  if (names.has_subgraphs()) return candidates;
  const auto last = LastProducts(graph, names);
  for (int i = 0; i < graph.node_size(); ++i) {
    auto candidate = CandidateOf(graph.node(i), names);
    if (!candidate || last.count(i) > 0) continue;
    candidate->node = candidate->at_node = i;
    candidate->source = graph.node(i).input(0);
    // Rounding before a pool lets what comes before it answer in 8 bits.
    int maker = 0;
    for (const auto* node = names.Maker(candidate->source, maker);
         node != nullptr && KeepsNumbers(*node) && names.takers(candidate->source) == 1;
         node = names.Maker(candidate->source, maker)) {
      candidate->at_node = maker;
      candidate->at_input = 0;
      candidate->source = node->input(0);
    }
    if (names.Constant(candidate->source) == nullptr) candidates.push_back(*std::move(candidate));
  }
  return candidates;
}

void AddFloats(onnx::GraphProto& graph, const std::string& name, std::span<const float> numbers,
               bool scalar) {
  auto& tensor = *graph.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  if (!scalar) tensor.add_dims(static_cast<std::int64_t>(numbers.size()));
  tensor.set_raw_data(numbers.data(), numbers.size_bytes());
}

/// name_8 (int8) and name_scale, one for each channel along `axis`.
Result<void> AddWeights(onnx::GraphProto& graph, const onnx::TensorProto& weight,
                        std::span<const float> numbers, std::int64_t axis,
                        const std::string& name) {
  if (!std::all_of(numbers.begin(), numbers.end(), [](float one) { return std::isfinite(one); })) {
    return Error{ErrorCode::kFailedPrecondition,
                 "weight \"" + weight.name() + "\" holds what is no finite number"};
  }
  std::size_t inner = 1;
  for (int i = static_cast<int>(axis) + 1; i < weight.dims_size(); ++i) {
    inner *= static_cast<std::size_t>(weight.dims(i));
  }
  const auto channels = static_cast<std::size_t>(weight.dims(static_cast<int>(axis)));
  const auto channel_of = [&](std::size_t i) { return i / inner % channels; };
  std::vector<float> scales(channels);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    scales[channel_of(i)] = std::max(scales[channel_of(i)], std::abs(numbers[i]));
  }
  // What is so small that its scale is hardly a number is written as zeros.
  for (float& scale : scales) {
    scale /= kWeightLevels;
    if (scale < std::numeric_limits<float>::min()) scale = 1.0F;
  }

  std::string bytes(numbers.size(), '\0');
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const float level = std::nearbyint(numbers[i] / scales[channel_of(i)]);
    bytes[i] = static_cast<char>(std::clamp(level, -kWeightLevels, kWeightLevels));
  }
  auto& tensor = *graph.add_initializer();
  tensor.set_name(name + "_8");
  tensor.set_data_type(onnx::TensorProto::INT8);
  for (const auto size : weight.dims()) tensor.add_dims(size);
  tensor.set_raw_data(bytes);
  AddFloats(graph, name + "_scale", scales, false);
  return {};
}

onnx::NodeProto MakeNode(const char* op, const std::string& name,
                         const std::vector<std::string>& inputs) {
  onnx::NodeProto node;
  node.set_op_type(op);
  node.set_name(name);
  for (const auto& input : inputs) node.add_input(input);
  node.add_output(name);
  return node;
}

/// Constants of a tensor's rounding; its nodes go before the first that takes it.
Result<void> AddRounding(onnx::GraphProto& graph, const std::string& source,
                         const std::map<std::string, ActivationRange>& ranges) {
  const auto found = ranges.find(source);
  if (found == ranges.end() || !std::isfinite(found->second.low) ||
      !std::isfinite(found->second.high)) {
    return Error{ErrorCode::kInvalidArgument, "there is no range of tensor \"" + source + "\""};
  }
  const float low = std::min(found->second.low, 0.0F);
  const float high = std::max(found->second.high, 0.0F);
  const float scale = high > low ? (high - low) / kActivationLevels : 1.0F;
  if (!(scale > 0) || !std::isfinite(scale)) {
    return Error{ErrorCode::kInvalidArgument,
                 "the range of tensor \"" + source + "\" is too wide or too narrow"};
  }
  const float zero = std::clamp(std::nearbyint(-low / scale), 0.0F, kActivationLevels);
  AddFloats(graph, kPrefix + source + "_scale", std::span(&scale, 1), true);
  auto& tensor = *graph.add_initializer();
  tensor.set_name(kPrefix + source + "_zero");
  tensor.set_data_type(onnx::TensorProto::UINT8);
  tensor.set_raw_data(std::string(1, static_cast<char>(static_cast<unsigned char>(zero))));
  return {};
}

/// Names that nodes take, those of graphs inside them too, or that the graph gives away.
void CollectTaken(const onnx::GraphProto& graph, std::set<std::string>* taken) {
  for (const auto& output : graph.output()) taken->insert(output.name());
  for (const auto& node : graph.node()) {
    taken->insert(node.input().begin(), node.input().end());
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_g()) CollectTaken(attribute.g(), taken);
      for (const auto& inner : attribute.graphs()) CollectTaken(inner, taken);
    }
  }
}

}  // namespace

Result<std::vector<std::string>> TensorsToObserve(std::string_view onnx) {
  const auto model = ParseOnnx(onnx);
  if (!model) return model.error();
  const auto candidates = Candidates(**model);
  if (!candidates) return candidates.error();
  std::vector<std::string> tensors;
  for (const Candidate& candidate : *candidates) {
    if (std::find(tensors.begin(), tensors.end(), candidate.source) == tensors.end()) {
      tensors.push_back(candidate.source);
    }
  }
  return tensors;
}

Result<std::string> WithObservedOutputs(std::string_view onnx,
                                        const std::vector<std::string>& tensors) {
  auto model = ParseOnnx(onnx);
  if (!model) return model.error();
  onnx::GraphProto& graph = *(*model)->mutable_graph();
  std::set<std::string> known;
  for (const auto& input : graph.input()) known.insert(input.name());
  for (const auto& node : graph.node()) known.insert(node.output().begin(), node.output().end());
  for (const std::string& name : tensors) {
    if (known.count(name) == 0) {
      return Error{ErrorCode::kInvalidArgument, "the graph has no tensor \"" + name + "\""};
    }
    // Under a name of its own: the tensor may be one of the graph's outputs already.
    auto& node = *graph.add_node();
    node = MakeNode("Identity", "observed/" + name, {name});
    auto& output = *graph.add_output();
    output.set_name(node.output(0));
    output.mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT);
  }
  return PrintOnnxModel(**model);
}

Result<std::string> QuantizeOnnx(std::string_view onnx,
                                 const std::map<std::string, ActivationRange>& ranges) {
  auto model = ParseOnnx(onnx);
  if (!model) return model.error();
  const auto candidates = Candidates(**model);
  if (!candidates) return candidates.error();
  if (candidates->empty()) {
    return Error{ErrorCode::kFailedPrecondition,
                 "ONNX model: no convolution or large product that 8 bits would help"};
  }
  onnx::GraphProto& graph = *(*model)->mutable_graph();

  // What goes before which node, and what its inputs are called then.
  std::map<int, std::vector<onnx::NodeProto>> before;
  std::map<std::string, int> first_use;
  std::set<std::pair<std::string, std::int64_t>> weights;
  for (const Candidate& candidate : *candidates) {
    const auto [place, fresh] = first_use.try_emplace(candidate.source, candidate.at_node);
    if (!fresh) place->second = std::min(place->second, candidate.at_node);
  }
  for (const auto& [source, node] : first_use) {
    if (const auto added = AddRounding(graph, source, ranges); !added) return added.error();
    const std::string name = kPrefix + source;
    for (const char* op : {"QuantizeLinear", "DequantizeLinear"}) {
      const bool first = std::string_view(op) == "QuantizeLinear";
      before[node].push_back(
          MakeNode(op, name + (first ? "_8" : ""),
                   {first ? source : name + "_8", name + "_scale", name + "_zero"}));
    }
  }
  for (const Candidate& candidate : *candidates) {
    graph.mutable_node(candidate.at_node)
        ->set_input(candidate.at_input, kPrefix + candidate.source);
    const std::string name = kPrefix + candidate.weight + "_" + std::to_string(candidate.axis);
    if (weights.insert({candidate.weight, candidate.axis}).second) {
      const auto tensor = std::find_if(
          graph.initializer().begin(), graph.initializer().end(),
          [&](const onnx::TensorProto& one) { return one.name() == candidate.weight; });
      const onnx::TensorProto weight = *tensor;  // The list grows.
      const auto numbers = FloatsOf(weight);
      if (!numbers) return numbers.error();
      if (const auto added = AddWeights(graph, weight, *numbers, candidate.axis, name); !added) {
        return added.error();
      }
      onnx::NodeProto wide = MakeNode("DequantizeLinear", name, {name + "_8", name + "_scale"});
      auto& axis = *wide.add_attribute();
      axis.set_name("axis");
      axis.set_type(onnx::AttributeProto::INT);
      axis.set_i(candidate.axis);
      before[candidate.node].push_back(std::move(wide));
    }
    graph.mutable_node(candidate.node)->set_input(1, name);
  }

  google::protobuf::RepeatedPtrField<onnx::NodeProto> nodes;
  for (int i = 0; i < graph.node_size(); ++i) {
    for (onnx::NodeProto& node : before[i]) *nodes.Add() = std::move(node);
    *nodes.Add() = std::move(*graph.mutable_node(i));
  }
  graph.mutable_node()->Swap(&nodes);
  // Weights that nobody takes as float32 any more.
  std::set<std::string> taken;
  CollectTaken(graph, &taken);
  std::set<std::string> rewritten;
  for (const Candidate& candidate : *candidates) rewritten.insert(candidate.weight);
  for (int i = graph.initializer_size() - 1; i >= 0; --i) {
    const std::string& name = graph.initializer(i).name();
    if (rewritten.contains(name) && !taken.contains(name)) {
      graph.mutable_initializer()->DeleteSubrange(i, 1);
    }
  }
  return PrintOnnxModel(**model);
}

}  // namespace tidewheel::ml
