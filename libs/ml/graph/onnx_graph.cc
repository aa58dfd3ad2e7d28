#include "tidewheel/ml/graph/onnx_graph.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <onnx/onnx_pb.h>

#include <cmath>
#include <initializer_list>
#include <utility>

#include "tidewheel/ml/graph/embedding.h"

namespace tidewheel::ml {
namespace {

constexpr int kOpset = 13;
constexpr int kIrVersion = 7;  // The one that came with opset 13.
constexpr char kBatch[] = "batch";
constexpr char kProjection[] = "embedding_projection";

/// Adds one node after another, each to what the last one gave.
class GraphWriter {
 public:
  explicit GraphWriter(onnx::GraphProto& graph) : graph_(graph), last_(kInputName) {}

  void operator()(const Conv2d& conv) {
    onnx::NodeProto& node = Add("Conv", {layer_->weight, layer_->bias});
    SetInts(node, "kernel_shape", {conv.kernel, conv.kernel});
    SetInts(node, "pads", {conv.padding, conv.padding, conv.padding, conv.padding});
    SetInts(node, "strides", {1, 1});
  }
  void operator()(const Relu&) { Add("Relu"); }
  void operator()(const MaxPool& pool) {
    onnx::NodeProto& node = Add("MaxPool");
    SetInts(node, "kernel_shape", {pool.size, pool.size});
    SetInts(node, "strides", {pool.size, pool.size});
  }
  void operator()(const GlobalAveragePool&) { Add("GlobalAveragePool"); }
  void operator()(const Flatten&) { SetInt(Add("Flatten"), "axis", 1); }
  void operator()(const Linear&) {
    SetInt(Add("Gemm", {layer_->weight, layer_->bias}), "transB", 1);
  }
  void operator()(const Dropout&) {}  // Only while training.

  /// What the next layer takes.
  const std::string& last() const { return last_; }

  void Append(const PlannedLayer& layer) {
    layer_ = &layer;
    std::visit(*this, layer.layer);
  }

  void AppendSoftmax(double temperature) {
    if (temperature != 1.0) {
      onnx::TensorProto& constant = *graph_.add_initializer();
      constant.set_name("temperature");
      constant.set_data_type(onnx::TensorProto::FLOAT);
      constant.add_float_data(static_cast<float>(temperature));
      Add("Div", {"temperature"});
    }
    SetInt(Add("Softmax"), "axis", 1);
    graph_.mutable_node()->rbegin()->set_output(0, kOutputName);
  }

  void AppendEmbedding(const std::string& activations, const Projection& projection) {
    onnx::TensorProto& matrix = *graph_.add_initializer();
    matrix.set_name(kProjection);
    matrix.set_data_type(onnx::TensorProto::FLOAT);
    matrix.add_dims(projection.inputs);
    matrix.add_dims(projection.numbers);
    matrix.set_raw_data(projection.matrix.data(), projection.matrix.size() * sizeof(float));
    last_ = activations;
    Add("MatMul", {kProjection}).set_output(0, kEmbeddingName);
  }

 private:
  onnx::NodeProto& Add(const char* op, std::initializer_list<std::string> more_inputs = {}) {
    onnx::NodeProto& node = *graph_.add_node();
    const std::string name = "node" + std::to_string(graph_.node_size() - 1);
    node.set_op_type(op);
    node.set_name(name);
    node.add_input(last_);
    for (const std::string& input : more_inputs) node.add_input(input);
    node.add_output(name);
    last_ = name;
    return node;
  }

  static void SetInt(onnx::NodeProto& node, const char* name, std::int64_t number) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::INT);
    attribute.set_i(number);
  }
  static void SetInts(onnx::NodeProto& node, const char* name, std::initializer_list<int> numbers) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::INTS);
    for (const int number : numbers) attribute.add_ints(number);
  }

  onnx::GraphProto& graph_;
  const PlannedLayer* layer_ = nullptr;
  std::string last_;
};

void Describe(onnx::ValueInfoProto& value, const char* name,
              std::initializer_list<std::int64_t> sizes_of_a_row) {
  value.set_name(name);
  onnx::TypeProto::Tensor& tensor = *value.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(onnx::TensorProto::FLOAT);
  tensor.mutable_shape()->add_dim()->set_dim_param(kBatch);
  for (const std::int64_t size : sizes_of_a_row)
    tensor.mutable_shape()->add_dim()->set_dim_value(size);
}

Result<void> CheckWeights(const ArchitecturePlan& plan, const std::vector<NamedTensor>& weights) {
  if (weights.size() != plan.parameters.size()) {
    return Error{ErrorCode::kInvalidArgument,
                 "the architecture has " + std::to_string(plan.parameters.size()) +
                     " parameters, but " + std::to_string(weights.size()) + " weights were given"};
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const Parameter& parameter = plan.parameters[i];
    if (weights[i].name != parameter.name || weights[i].shape != parameter.shape ||
        weights[i].elements.size() != parameter.elements()) {
      return Error{ErrorCode::kInvalidArgument,
                   "weight " + weights[i].name + " is not the architecture's " + parameter.name};
    }
  }
  return {};
}

}  // namespace

Result<std::string> PrintOnnx(const Architecture& architecture,
                              const std::vector<NamedTensor>& weights, double temperature) {
  const auto plan = PlanArchitecture(architecture);
  if (!plan) return plan.error();
  if (const auto fit = CheckWeights(*plan, weights); !fit) return fit.error();
  if (!(temperature > 0) || !std::isfinite(temperature)) {
    return Error{ErrorCode::kInvalidArgument, "the temperature must be positive"};
  }

  onnx::ModelProto model;
  model.set_ir_version(kIrVersion);
  model.set_producer_name("tidewheel");
  onnx::OperatorSetIdProto& opset = *model.add_opset_import();
  opset.set_domain("");
  opset.set_version(kOpset);

  onnx::GraphProto& graph = *model.mutable_graph();
  graph.set_name("tidewheel");
  Describe(*graph.add_input(), kInputName,
           {architecture.input.channels, architecture.input.height, architecture.input.width});
  Describe(*graph.add_output(), kOutputName, {architecture.classes});
  for (const NamedTensor& weight : weights) {
    onnx::TensorProto& tensor = *graph.add_initializer();
    tensor.set_name(weight.name);
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    for (const std::int64_t size : weight.shape) tensor.add_dims(size);
    tensor.set_raw_data(weight.elements.data(), weight.elements.size() * sizeof(float));
  }
  GraphWriter writer(graph);
  std::string activations;
  for (std::size_t i = 0; i < plan->layers.size(); ++i) {
    if (i == plan->last_linear) activations = writer.last();
    writer.Append(plan->layers[i]);
  }
  writer.AppendSoftmax(temperature);
  if (architecture.embedding != 0) {
    writer.AppendEmbedding(activations, ProjectionOf(architecture, *plan));
    Describe(*graph.add_output(), kEmbeddingName, {architecture.embedding});
  }

  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    if (!model.SerializeToCodedStream(&coded)) {
      return Error{ErrorCode::kInternal, "protobuf refused to write the ONNX graph"};
    }
  }
  return bytes;
}

}  // namespace tidewheel::ml
