#include "tidewheel/ml/onnx/testing/onnx_maker.h"

#include <onnx/onnx_pb.h>

namespace tidewheel::ml {
namespace {

void Describe(onnx::ValueInfoProto& value, const std::string& name, int type,
              const OnnxMaker::Sizes& sizes) {
  value.set_name(name);
  auto& tensor = *value.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  tensor.mutable_shape();
  for (const auto& size : sizes) {
    auto& dimension = *tensor.mutable_shape()->add_dim();
    if (const int* number = std::get_if<int>(&size)) {
      dimension.set_dim_value(*number);
    } else if (const auto& symbol = std::get<std::string>(size); !symbol.empty()) {
      dimension.set_dim_param(symbol);
    }
  }
}

struct Setter {
  onnx::AttributeProto& attribute;

  void operator()(std::int64_t number) const {
    attribute.set_type(onnx::AttributeProto::INT);
    attribute.set_i(number);
  }
  void operator()(float number) const {
    attribute.set_type(onnx::AttributeProto::FLOAT);
    attribute.set_f(number);
  }
  void operator()(const std::string& text) const {
    attribute.set_type(onnx::AttributeProto::STRING);
    attribute.set_s(text);
  }
  void operator()(const std::vector<std::int64_t>& numbers) const {
    attribute.set_type(onnx::AttributeProto::INTS);
    for (const auto number : numbers) attribute.add_ints(number);
  }
  void operator()(const std::vector<float>& numbers) const {
    attribute.set_type(onnx::AttributeProto::FLOATS);
    for (const auto number : numbers) attribute.add_floats(number);
  }
  void operator()(const std::vector<std::string>& texts) const {
    attribute.set_type(onnx::AttributeProto::STRINGS);
    for (const auto& text : texts) attribute.add_strings(text);
  }
};

}  // namespace

struct OnnxMaker::Model {
  onnx::ModelProto proto;

  onnx::TensorProto& Tensor(const std::string& name, int type,
                            const std::vector<std::int64_t>& shape) {
    auto& tensor = *proto.mutable_graph()->add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(type);
    for (const auto size : shape) tensor.add_dims(size);
    return tensor;
  }
};

OnnxMaker::OnnxMaker(std::int64_t opset) : model_(std::make_unique<Model>()) {
  model_->proto.set_ir_version(7);
  model_->proto.mutable_graph()->set_name("test");
  Domain("", opset);
}
OnnxMaker::~OnnxMaker() = default;
OnnxMaker::OnnxMaker(OnnxMaker&&) noexcept = default;

OnnxMaker& OnnxMaker::Domain(const std::string& domain, std::int64_t version) {
  auto& opset = *model_->proto.add_opset_import();
  opset.set_domain(domain);
  opset.set_version(version);
  return *this;
}

OnnxMaker& OnnxMaker::Input(const std::string& name, int type, const Sizes& sizes) {
  Describe(*model_->proto.mutable_graph()->add_input(), name, type, sizes);
  return *this;
}

OnnxMaker& OnnxMaker::Output(const std::string& name, int type, const Sizes& sizes) {
  Describe(*model_->proto.mutable_graph()->add_output(), name, type, sizes);
  return *this;
}

OnnxMaker& OnnxMaker::Weights(const std::string& name, std::vector<std::int64_t> shape,
                              const std::vector<float>& numbers) {
  model_->Tensor(name, onnx_type::kFloat, shape)
      .set_raw_data(numbers.data(), numbers.size() * sizeof(float));
  return *this;
}

OnnxMaker& OnnxMaker::Integers(const std::string& name, std::vector<std::int64_t> shape,
                               const std::vector<std::int64_t>& numbers) {
  auto& tensor = model_->Tensor(name, onnx_type::kInt64, shape);
  for (const auto number : numbers) tensor.add_int64_data(number);
  return *this;
}

OnnxMaker& OnnxMaker::Raw(const std::string& name, int type, std::vector<std::int64_t> shape,
                          const std::string& bytes) {
  model_->Tensor(name, type, shape).set_raw_data(bytes);
  return *this;
}

OnnxMaker& OnnxMaker::External(const std::string& name, std::vector<std::int64_t> shape,
                               const std::string& location, std::int64_t offset,
                               std::int64_t length) {
  auto& tensor = model_->Tensor(name, onnx_type::kFloat, shape);
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  for (const auto& [key, value] :
       {std::pair{"location", location}, std::pair{"offset", std::to_string(offset)},
        std::pair{"length", std::to_string(length)}}) {
    auto& entry = *tensor.add_external_data();
    entry.set_key(key);
    entry.set_value(value);
  }
  return *this;
}

OnnxMaker& OnnxMaker::Node(const std::string& op, std::vector<std::string> inputs,
                           std::vector<std::string> outputs, const Attributes& attributes,
                           const std::string& domain) {
  auto& node = *model_->proto.mutable_graph()->add_node();
  node.set_op_type(op);
  node.set_domain(domain);
  node.set_name(op + std::to_string(model_->proto.graph().node_size()));
  for (const auto& input : inputs) node.add_input(input);
  for (const auto& output : outputs) node.add_output(output);
  for (const auto& [name, value] : attributes) {
    auto& attribute = *node.add_attribute();
    attribute.set_name(name);
    std::visit(Setter{attribute}, value);
  }
  return *this;
}

OnnxMaker& OnnxMaker::Loop(const std::string& turns, bool ends_itself) {
  auto& condition = model_->Tensor("condition", onnx::TensorProto::BOOL, {});
  condition.add_int32_data(1);
  Node("Loop", {turns, "condition", "x"}, {"y"});
  auto& attribute = *model_->proto.mutable_graph()->mutable_node()->rbegin()->add_attribute();
  attribute.set_name("body");
  attribute.set_type(onnx::AttributeProto::GRAPH);
  auto& body = *attribute.mutable_g();
  body.set_name("body");
  Describe(*body.add_input(), "turn", onnx_type::kInt64, {});
  Describe(*body.add_input(), "go_on", onnx::TensorProto::BOOL, {});
  Describe(*body.add_input(), "value", onnx_type::kFloat, {"batch", 2});
  Describe(*body.add_output(), "goes_on", onnx::TensorProto::BOOL, {});
  Describe(*body.add_output(), "sum", onnx_type::kFloat, {"batch", 2});
  auto& says = *body.add_node();
  says.set_op_type(ends_itself ? "Not" : "Identity");
  says.add_input("go_on");
  says.add_output("goes_on");
  auto& add = *body.add_node();
  add.set_op_type("Add");
  add.add_input("value");
  add.add_input("value");
  add.add_output("sum");
  return *this;
}

std::string OnnxMaker::Bytes() const { return model_->proto.SerializeAsString(); }

}  // namespace tidewheel::ml
