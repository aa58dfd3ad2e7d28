#include "tidewheel/ml/onnx/check.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "tidewheel/ml/onnx/internal/onnx_bytes.h"
#include "tidewheel/ml/onnx/internal/operator_inputs.h"

namespace tidewheel::ml {
namespace {

namespace fs = std::filesystem;

constexpr int kMostNesting = 16;
constexpr int kMostAxes = 16;
constexpr std::int64_t kMostElements = std::int64_t{1} << 33;
constexpr std::int64_t kMostTurns = 1'000'000;  // Of a loop that only counts.
constexpr std::int64_t kMostMade = std::int64_t{1}
                                   << 28;  // By one node that makes a tensor of numbers.
constexpr std::int64_t kMostStep = std::int64_t{1} << 20;  // Of strides, pads, kernels.
constexpr std::size_t kMostName = 80;                      // Characters that an error repeats.

Error Malformed(const std::string& what) {
  return {ErrorCode::kInvalidArgument, "ONNX model: " + what};
}
std::string Quoted(const std::string& name) { return "\"" + name.substr(0, kMostName) + "\""; }

/// Bits of one element; 0: a type that nothing here can hold.
int BitsOf(int type) {
  switch (type) {
    case onnx::TensorProto::BOOL:
    case onnx::TensorProto::UINT8:
    case onnx::TensorProto::INT8:
    case 17:  // Four kinds of 8-bit floats, which came after this library.
    case 18:
    case 19:
    case 20:
      return 8;
    case onnx::TensorProto::UINT16:
    case onnx::TensorProto::INT16:
    case onnx::TensorProto::FLOAT16:
    case onnx::TensorProto::BFLOAT16:
      return 16;
    case onnx::TensorProto::FLOAT:
    case onnx::TensorProto::INT32:
    case onnx::TensorProto::UINT32:
      return 32;
    case onnx::TensorProto::DOUBLE:
    case onnx::TensorProto::INT64:
    case onnx::TensorProto::UINT64:
      return 64;
    case 21:  // Two integers of 4 bits.
    case 22:
      return 4;
    default:
      return 0;
  }
}

/// How many numbers stand in the field of the tensor's type.
std::int64_t TypedCount(const onnx::TensorProto& tensor) {
  switch (tensor.data_type()) {
    case onnx::TensorProto::FLOAT:
      return tensor.float_data_size();
    case onnx::TensorProto::DOUBLE:
      return tensor.double_data_size();
    case onnx::TensorProto::INT64:
      return tensor.int64_data_size();
    case onnx::TensorProto::UINT32:
    case onnx::TensorProto::UINT64:
      return tensor.uint64_data_size();
    case onnx::TensorProto::STRING:
      return tensor.string_data_size();
    default:
      return tensor.int32_data_size();
  }
}

Result<std::int64_t> CountOf(const onnx::TensorProto& tensor) {
  if (tensor.dims_size() > kMostAxes) {
    return Malformed("tensor " + Quoted(tensor.name()) + " has more than " +
                     std::to_string(kMostAxes) + " sizes");
  }
  std::int64_t count = 1;
  for (const std::int64_t size : tensor.dims()) {
    if (size < 0 || (size > 0 && count > kMostElements / size)) {
      return Malformed("tensor " + Quoted(tensor.name()) + " has a negative size or more than " +
                       std::to_string(kMostElements) + " elements");
    }
    count *= std::max<std::int64_t>(size, 1);
  }
  const bool empty =
      std::find(tensor.dims().begin(), tensor.dims().end(), 0) != tensor.dims().end();
  return empty ? 0 : count;
}

/// Constant whole numbers, as shapes are given; nothing where they are not.
std::optional<std::vector<std::int64_t>> WholeNumbers(const onnx::TensorProto& tensor) {
  if (tensor.data_type() != onnx::TensorProto::INT64) return std::nullopt;
  if (tensor.int64_data_size() > 0) {
    return std::vector<std::int64_t>(tensor.int64_data().begin(), tensor.int64_data().end());
  }
  std::vector<std::int64_t> numbers(tensor.raw_data().size() / sizeof(std::int64_t));
  std::copy_n(tensor.raw_data().data(), numbers.size() * sizeof(std::int64_t),
              reinterpret_cast<char*>(numbers.data()));
  return numbers;
}

/// One walk through a model.
class Check {
 public:
  Check(const fs::path& folder, const OnnxLimits& limits) : folder_(folder), limits_(limits) {}

  Result<void> Run(onnx::ModelProto& model);

  bool joined = false;
  std::set<std::string> operators;

 private:
  using Scope = std::set<std::string>;

  Result<void> Tensor(onnx::TensorProto& tensor);
  Result<void> Join(onnx::TensorProto& tensor, std::size_t expected);
  Result<void> Attribute(const std::string& node, onnx::AttributeProto& attribute,
                         const Scope& scope, int depth);
  Result<void> Node(onnx::NodeProto& node, Scope& scope, int depth);
  Result<void> MadeSize(const onnx::NodeProto& node) const;
  Result<void> Turns(const onnx::NodeProto& node) const;
  Result<void> Graph(onnx::GraphProto& graph, Scope scope, int depth);
  Result<void> Functions(onnx::ModelProto& model);
  Result<std::size_t> Expanded(const std::string& function, int depth);

  const fs::path& folder_;
  const OnnxLimits& limits_;
  std::int64_t opset_ = 0;  // The lowest of ONNX's own that the model and its functions use.
  std::size_t nodes_ = 0;
  std::size_t joined_bytes_ = 0;
  std::map<std::string, std::vector<std::int64_t>> constants_;  // Whole numbers, by name.
  // Of functions ("domain::name"): nodes of their own, and which functions these call.
  struct Function {
    std::size_t nodes = 0;
    std::vector<std::string> calls{};
    std::optional<std::size_t> expanded{};
    bool open = false;
  };
  std::map<std::string, Function> functions_;
  std::vector<std::string> called_;  // By the nodes that were walked through.
};

bool IsStandard(const onnx::NodeProto& node) {
  return node.domain().empty() || node.domain() == "ai.onnx";
}

std::string KindOf(const onnx::NodeProto& node) {
  return IsStandard(node) ? node.op_type() : node.domain() + "::" + node.op_type();
}

Result<void> Check::Join(onnx::TensorProto& tensor, std::size_t expected) {
  const std::string named = "tensor " + Quoted(tensor.name());
  if (folder_.empty()) {
    return Malformed("keeps tensors in other files; only a model in one file can be served");
  }
  std::string location;
  std::uint64_t offset = 0;
  std::uint64_t length = expected;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") {
      location = entry.value();
    } else if (entry.key() == "offset" || entry.key() == "length") {
      std::uint64_t& number = entry.key() == "offset" ? offset : length;
      const char* end = entry.value().data() + entry.value().size();
      const auto read = std::from_chars(entry.value().data(), end, number);
      if (read.ec != std::errc{} || read.ptr != end) {
        return Malformed(named + " has the " + entry.key() + " " + Quoted(entry.value()));
      }
    }
  }
  if (length != expected) {
    return Malformed(named + " has " + std::to_string(length) +
                     " bytes in another file, its shape asks for " + std::to_string(expected));
  }
  if (expected > limits_.bytes - std::min(joined_bytes_, limits_.bytes)) {
    return Error{ErrorCode::kResourceExhausted,
                 "ONNX model: more than " + std::to_string(limits_.bytes) + " bytes in its files"};
  }
  // The location comes from the file: nothing outside the model's folder is opened, also not
  // through a link.
  const fs::path relative(location);
  const bool climbs = std::any_of(relative.begin(), relative.end(),
                                  [](const fs::path& part) { return part == ".."; });
  if (location.empty() || location.find('\0') != std::string::npos || relative.is_absolute() ||
      climbs) {
    return Malformed(named + " lies in " + Quoted(location) + ", which is not inside the folder");
  }
  std::error_code failure;
  const fs::path root = fs::canonical(folder_, failure);
  const fs::path file = failure ? fs::path() : fs::canonical(root / relative, failure);
  if (failure) {
    return Error{ErrorCode::kNotFound, "ONNX model: " + named + " lies in " + Quoted(location) +
                                           ": " + failure.message()};
  }
  const auto inside = std::mismatch(root.begin(), root.end(), file.begin(), file.end());
  if (inside.first != root.end() || !fs::is_regular_file(file, failure)) {
    return Malformed(named + " lies in " + Quoted(location) +
                     ", which is not a file inside the folder");
  }
  const std::uint64_t size = fs::file_size(file, failure);
  if (failure || offset > size || expected > size - offset) {
    return Malformed(named + " ends beyond " + Quoted(location));
  }
  std::string bytes(expected, '\0');
  std::ifstream stream(file, std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(offset));
  if (!stream.read(bytes.data(), static_cast<std::streamsize>(expected))) {
    return Error{ErrorCode::kInternal, "cannot read " + Quoted(location)};
  }
  joined_bytes_ += expected;
  joined = true;
  tensor.set_raw_data(std::move(bytes));
  tensor.clear_external_data();
  tensor.clear_data_location();
  return {};
}

Result<void> Check::Tensor(onnx::TensorProto& tensor) {
  const std::string named = "tensor " + Quoted(tensor.name());
  const auto count = CountOf(tensor);
  if (!count) return count.error();
  const int bits = BitsOf(tensor.data_type());
  const bool texts = tensor.data_type() == onnx::TensorProto::STRING;
  if (bits == 0 && !texts) {
    return Malformed(named + " has the unknown datatype " + std::to_string(tensor.data_type()));
  }
  if (tensor.has_segment()) return Malformed(named + " is a segment, which nobody reads");
  const auto bytes = static_cast<std::size_t>((*count * bits + 7) / 8);
  if (tensor.data_location() == onnx::TensorProto::EXTERNAL) {
    if (texts) return Malformed(named + " has texts in another file");
    return Join(tensor, bytes);
  }
  if (tensor.external_data_size() > 0) {
    return Malformed(named + " names another file and is not in it");
  }
  const bool raw = tensor.has_raw_data() && !texts;
  // Types that came after this library pack theirs in other ways; they are taken raw alone.
  const bool typed = tensor.data_type() <= onnx::TensorProto::BFLOAT16 && !tensor.has_raw_data();
  if (raw ? tensor.raw_data().size() != bytes : !typed || TypedCount(tensor) != *count) {
    return Malformed(named + " does not hold what its shape and datatype ask for");
  }
  return {};
}

Result<void> Check::Attribute(const std::string& node, onnx::AttributeProto& attribute,
                              const Scope& scope, int depth) {
  static const std::set<std::string_view> kPositive = {"strides",    "dilations",   "kernel_shape",
                                                       "group",      "blocksize",   "num_heads",
                                                       "block_size", "num_outputs", "hidden_size"};
  static const std::set<std::string_view> kBounded = {"pads", "output_padding", "output_shape",
                                                      "size"};
  const auto fine = [&](std::int64_t number) {
    if (kPositive.count(attribute.name()) > 0) return number >= 1 && number <= kMostStep;
    if (kBounded.count(attribute.name()) > 0) return number >= -kMostStep && number <= kMostStep;
    return true;
  };
  const bool numbers_fine =
      (attribute.type() != onnx::AttributeProto::INT || fine(attribute.i())) &&
      std::all_of(attribute.ints().begin(), attribute.ints().end(), fine);
  if (!numbers_fine) {
    return Malformed("node " + Quoted(node) + " has an impossible " + Quoted(attribute.name()));
  }
  if (attribute.has_sparse_tensor() || attribute.sparse_tensors_size() > 0) {
    return Malformed("node " + Quoted(node) + " has a sparse tensor, which is not served");
  }
  if (attribute.has_t()) {
    if (auto right = Tensor(*attribute.mutable_t()); !right) return right;
  }
  for (auto& tensor : *attribute.mutable_tensors()) {
    if (auto right = Tensor(tensor); !right) return right;
  }
  if (attribute.has_g()) {
    if (auto right = Graph(*attribute.mutable_g(), scope, depth + 1); !right) return right;
  }
  for (auto& graph : *attribute.mutable_graphs()) {
    if (auto right = Graph(graph, scope, depth + 1); !right) return right;
  }
  return {};
}

/// Of nodes that make as many numbers as a constant says.
Result<void> Check::MadeSize(const onnx::NodeProto& node) const {
  static const std::map<std::string_view, int> kShapes = {
      {"ConstantOfShape", 0}, {"Expand", 1}, {"Tile", 1}, {"Pad", 1}, {"Resize", 3}};
  const auto kind = kShapes.find(node.op_type());
  if (kind == kShapes.end() || node.input_size() <= kind->second) return {};
  const auto constant = constants_.find(node.input(kind->second));
  if (constant == constants_.end()) return {};
  std::int64_t made = 1;
  for (const std::int64_t size : constant->second) {
    // Pads stand for each end of an axis and do not multiply, but each is bounded.
    const std::int64_t factor = node.op_type() == "Pad" ? 1 : std::max<std::int64_t>(size, 1);
    if (size > kMostMade || size < -kMostMade || made > kMostMade / factor) {
      return Malformed("node " + Quoted(node.name()) + " (" + node.op_type() +
                       ") makes more than " + std::to_string(kMostMade) + " numbers");
    }
    made *= factor;
  }
  return {};
}

/// Whether a Loop's body never ends it: what it says of going on is what it was told, or a
/// constant.
bool NeverEndsItself(const onnx::GraphProto& body) {
  if (body.output_size() == 0 || body.input_size() < 2) return false;
  std::string name = body.output(0).name();
  for (int i = body.node_size() - 1; i >= 0; --i) {
    const onnx::NodeProto& node = body.node(i);
    if (node.output_size() == 0 || node.output(0) != name) continue;
    if (node.op_type() == "Constant") return true;
    if (node.op_type() != "Identity" || node.input_size() == 0) return false;
    name = node.input(0);
  }
  const auto is_constant = [&](const onnx::TensorProto& one) { return one.name() == name; };
  return name == body.input(1).name() ||
         std::any_of(body.initializer().begin(), body.initializer().end(), is_constant);
}

Result<void> Check::Turns(const onnx::NodeProto& node) const {
  if (node.op_type() != "Loop" || !IsStandard(node)) return {};
  const auto body = std::find_if(node.attribute().begin(), node.attribute().end(),
                                 [](const auto& one) { return one.name() == "body"; });
  if (body == node.attribute().end() || !NeverEndsItself(body->g())) return {};
  const bool counted = node.input_size() > 0 && !node.input(0).empty();
  const auto turns = counted ? constants_.find(node.input(0)) : constants_.end();
  const bool bounded = counted && (turns == constants_.end() || turns->second.empty() ||
                                   turns->second.front() <= kMostTurns);
  if (bounded) return {};
  return Malformed("node " + Quoted(node.name()) +
                   " (Loop) never ends itself and turns more than " + std::to_string(kMostTurns) +
                   " times");
}

Result<void> Check::Node(onnx::NodeProto& node, Scope& scope, int depth) {
  const std::string named =
      "node " + Quoted(node.name()) + " (" + node.op_type().substr(0, kMostName) + ")";
  if (++nodes_ > limits_.nodes) {
    return Error{ErrorCode::kResourceExhausted,
                 "ONNX model: more than " + std::to_string(limits_.nodes) + " nodes"};
  }
  if (node.op_type().empty()) return Malformed(named + " has no operator");
  if (IsStandard(node)) {
    // Engines take them for granted.
    const std::size_t least = LeastInputs(node.op_type(), opset_);
    for (std::size_t i = 0; i < least; ++i) {
      const auto place = static_cast<int>(i);
      if (place >= node.input_size() || node.input(place).empty()) {
        return Malformed(named + " takes nothing as input " + std::to_string(i + 1) + " of " +
                         std::to_string(least));
      }
    }
  }
  operators.insert(KindOf(node));
  called_.push_back(node.domain() + "::" + node.op_type());
  for (const std::string& input : node.input()) {
    if (!input.empty() && scope.count(input) == 0) {
      return Malformed(named + " takes " + Quoted(input) +
                       ", which no input, tensor or earlier node gives");
    }
  }
  if (auto right = MadeSize(node); !right) return right;
  if (auto right = Turns(node); !right) return right;
  for (auto& attribute : *node.mutable_attribute()) {
    if (auto right = Attribute(node.name(), attribute, scope, depth); !right) return right;
    if (node.op_type() == "Constant" && node.output_size() == 1 && attribute.has_t()) {
      if (auto numbers = WholeNumbers(attribute.t())) constants_[node.output(0)] = *numbers;
    }
  }
  for (const std::string& output : node.output()) {
    if (!output.empty() && !scope.insert(output).second) {
      return Malformed(named + " gives " + Quoted(output) + ", which is there already");
    }
  }
  return {};
}

Result<void> Check::Graph(onnx::GraphProto& graph, Scope scope, int depth) {
  if (depth > kMostNesting) {
    return Malformed("graphs inside graphs are deeper than " + std::to_string(kMostNesting));
  }
  if (graph.sparse_initializer_size() > 0) {
    return Malformed("has a sparse tensor, which is not served");
  }
  for (auto& tensor : *graph.mutable_initializer()) {
    if (auto right = Tensor(tensor); !right) return right;
    scope.insert(tensor.name());
    if (auto numbers = WholeNumbers(tensor)) constants_[tensor.name()] = *numbers;
  }
  for (const auto* ports : {&graph.input(), &graph.output()}) {
    for (const auto& port : *ports) {
      const auto& shape = port.type().tensor_type().shape();
      if (shape.dim_size() > kMostAxes) {
        return Malformed(Quoted(port.name()) + " has more than " + std::to_string(kMostAxes) +
                         " sizes");
      }
      std::int64_t count = 1;
      for (const auto& size : shape.dim()) {
        const std::int64_t value = std::max<std::int64_t>(size.dim_value(), 1);
        if (size.dim_value() < -1 || count > kMostElements / value) {
          return Malformed(Quoted(port.name()) + " has an impossible shape");
        }
        count *= value;
      }
    }
  }
  for (const auto& input : graph.input()) scope.insert(input.name());
  for (auto& node : *graph.mutable_node()) {
    if (auto right = Node(node, scope, depth); !right) return right;
  }
  for (const auto& output : graph.output()) {
    if (scope.count(output.name()) == 0) {
      return Malformed("output " + Quoted(output.name()) + " is given by no node");
    }
  }
  return {};
}

Result<std::size_t> Check::Expanded(const std::string& function, int depth) {
  const auto found = functions_.find(function);
  if (found == functions_.end()) return std::size_t{0};
  Function& one = found->second;
  if (one.expanded) return *one.expanded;
  if (one.open || depth > kMostNesting) {
    return Malformed("function " + Quoted(function) + " calls itself, or functions too deep");
  }
  one.open = true;
  std::size_t sum = one.nodes;
  for (const std::string& call : one.calls) {
    const auto more = Expanded(call, depth + 1);
    if (!more) return more.error();
    sum = std::min(sum + *more, limits_.nodes + 1);
  }
  one.open = false;
  one.expanded = sum;
  return sum;
}

Result<void> Check::Functions(onnx::ModelProto& model) {
  for (auto& function : *model.mutable_functions()) {
    const std::string name = function.domain() + "::" + function.name();
    const std::size_t before = nodes_;
    called_.clear();
    Scope scope(function.input().begin(), function.input().end());
    for (auto& node : *function.mutable_node()) {
      if (auto right = Node(node, scope, 1); !right) return right;
    }
    const Function known{.nodes = nodes_ - before, .calls = std::move(called_)};
    if (!functions_.emplace(name, known).second) {
      return Malformed("function " + Quoted(name) + " is there twice");
    }
  }
  called_.clear();
  return {};
}

Result<void> Check::Run(onnx::ModelProto& model) {
  std::optional<std::int64_t> lowest;
  const auto lower = [&](const auto& imports) {
    for (const auto& one : imports) {
      if (!one.domain().empty() && one.domain() != "ai.onnx") continue;
      lowest = std::min(lowest.value_or(one.version()), one.version());
    }
  };
  lower(model.opset_import());
  for (const auto& function : model.functions()) lower(function.opset_import());
  opset_ = lowest.value_or(0);
  if (model.opset_import_size() == 0) return Malformed("does not say which operators it means");
  if (auto right = Functions(model); !right) return right;
  if (auto right = Graph(*model.mutable_graph(), {}, 0); !right) return right;
  std::size_t expanded = nodes_;
  for (const std::string& call : called_) {
    const auto more = Expanded(call, 0);
    if (!more) return more.error();
    expanded += *more;
    if (expanded > limits_.nodes) {
      return Error{ErrorCode::kResourceExhausted,
                   "ONNX model: more than " + std::to_string(limits_.nodes) + " nodes"};
    }
  }
  for (const auto& [name, function] : functions_) {
    if (const auto sum = Expanded(name, 0); !sum) return sum.error();
  }
  return {};
}

/// The name of the first size of all ports, if they have the same.
bool NamesABatch(const onnx::GraphProto& graph) {
  std::set<std::string> constants;
  for (const auto& tensor : graph.initializer()) constants.insert(tensor.name());
  std::set<std::string> names;
  for (const auto* ports : {&graph.input(), &graph.output()}) {
    for (const auto& port : *ports) {
      if (constants.count(port.name()) > 0) continue;
      const auto& shape = port.type().tensor_type().shape();
      names.insert(shape.dim_size() == 0 ? std::string() : shape.dim(0).dim_param());
    }
  }
  if (names.size() != 1 || names.begin()->empty()) return false;
  const std::string& name = *names.begin();
  for (const std::string_view word : {"seq", "len", "time", "tok", "step"}) {
    if (name.find(word) != std::string::npos) return false;
  }
  return true;
}

}  // namespace

Result<CheckedOnnx> CheckOnnx(std::string_view onnx, const fs::path& folder,
                              const OnnxLimits& limits) {
  if (onnx.size() > limits.bytes) {
    return Error{ErrorCode::kResourceExhausted, "ONNX model: " + std::to_string(onnx.size()) +
                                                    " bytes; the limit is " +
                                                    std::to_string(limits.bytes)};
  }
  const auto model = ParseOnnx(onnx);
  if (!model) return model.error();
  Check check(folder, limits);
  if (auto right = check.Run(**model); !right) return right.error();

  CheckedOnnx checked{.operators = {check.operators.begin(), check.operators.end()},
                      .names_a_batch = NamesABatch((*model)->graph())};
  if (check.joined) {
    auto bytes = PrintOnnxModel(**model);
    if (!bytes) return bytes.error();
    checked.joined = *std::move(bytes);
  }
  return checked;
}

}  // namespace tidewheel::ml
