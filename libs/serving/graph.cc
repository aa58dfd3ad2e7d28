#include "tidewheel/serving/graph.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <limits>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "tidewheel/ml/onnx/check.h"
#include "tidewheel/serving/internal/fixed_batches.h"
#include "tidewheel/serving/internal/ml_operators.h"
#include "tidewheel/serving/internal/openvino.h"

namespace tidewheel::serving {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kMostPorts = 1'024;
constexpr std::int64_t kMostElements = std::int64_t{1} << 40;

struct TypeRow {
  ElementType type;
  ov::element::Type_t openvino;
  std::size_t bytes;
};
using Kind = ov::element::Type_t;
constexpr std::array<TypeRow, kElementTypes> kTypes = {{
    {ElementType::kBool, Kind::boolean, 1},
    {ElementType::kUint8, Kind::u8, 1},
    {ElementType::kUint16, Kind::u16, 2},
    {ElementType::kUint32, Kind::u32, 4},
    {ElementType::kUint64, Kind::u64, 8},
    {ElementType::kInt8, Kind::i8, 1},
    {ElementType::kInt16, Kind::i16, 2},
    {ElementType::kInt32, Kind::i32, 4},
    {ElementType::kInt64, Kind::i64, 8},
    {ElementType::kFp16, Kind::f16, 2},
    {ElementType::kBf16, Kind::bf16, 2},
    {ElementType::kFp32, Kind::f32, 4},
    {ElementType::kFp64, Kind::f64, 8},
    {ElementType::kBytes, Kind::string, 0},
}};

const TypeRow& RowOf(ElementType type) { return kTypes[static_cast<std::size_t>(type)]; }

Error Malformed(std::string message) {
  return Error{ErrorCode::kInvalidArgument, "ONNX model: " + std::move(message)};
}

std::string Text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) {
    if (text.size() > 1) text += ",";
    text += std::to_string(size);
  }
  return text + "]";
}

/// The engine gives a tensor every name that it has had; of several the first by spelling, so that
/// it is the same each time.
std::string NameOf(const ov::Output<ov::Node>& port, std::string_view what, std::size_t index) {
  const auto& names = port.get_names();
  if (names.empty()) return std::string(what) + std::to_string(index);
  return *std::min_element(names.begin(), names.end());
}

Result<Port> Describe(const ov::Output<ov::Node>& port, std::string_view what, std::size_t index) {
  Port described{.name = NameOf(port, what, index)};
  const std::string named = std::string(what) + " \"" + described.name + "\"";
  const auto row = std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeRow& one) {
    return one.openvino == port.get_element_type();
  });
  if (row == kTypes.end()) {
    return Malformed(named + " has the datatype " + port.get_element_type().get_type_name() +
                     ", which no protocol carries");
  }
  described.type = row->type;
  const ov::PartialShape& shape = port.get_partial_shape();
  if (shape.rank().is_dynamic()) {
    if (what == "input") return Malformed(named + " does not say how many sizes it has");
    described.shape = {-1};
    return described;
  }
  for (const ov::Dimension& size : shape) {
    described.shape.push_back(size.is_dynamic() ? -1 : size.get_length());
  }
  return described;
}

/// The input that comes out at `output` as it went in, if one does.
std::optional<std::size_t> PassedThrough(ov::Model& model, const ov::Output<ov::Node>& output) {
  ov::Output<ov::Node> source = output.get_node()->input_value(0);
  while (std::string_view(source.get_node()->get_type_name()) == "Identity") {
    source = source.get_node()->input_value(0);
  }
  for (std::size_t i = 0; i < model.inputs().size(); ++i) {
    if (source.get_node() == model.input(i).get_node()) return i;
  }
  return std::nullopt;
}

/// The texts that an output's whole numbers stand for.
std::vector<std::string> TextsOf(const ov::Output<ov::Node>& output) {
  // Nodes that keep every number on its way.
  static const std::set<std::string_view> kKeeping = {"Identity", "Reshape", "Squeeze",
                                                      "Unsqueeze"};
  ov::Output<ov::Node> source = output.get_node()->input_value(0);
  while (kKeeping.count(source.get_node()->get_type_name()) > 0 &&
         source.get_node()->get_rt_info().count(kTexts) == 0) {
    source = source.get_node()->input_value(0);
  }
  const auto& marks = source.get_node()->get_rt_info();
  const auto found = marks.find(kTexts);
  return found == marks.end() ? std::vector<std::string>()
                              : found->second.as<std::vector<std::string>>();
}

/// As the protocol carries texts; a number beyond the list is an empty one.
std::string Spelled(const ov::Tensor& places, const std::vector<std::string>& texts) {
  std::string bytes;
  const auto* numbers = places.data<const std::int64_t>();
  for (std::size_t i = 0; i < places.get_size(); ++i) {
    const bool known = numbers[i] >= 0 && numbers[i] < static_cast<std::int64_t>(texts.size());
    const std::string text = known ? texts[static_cast<std::size_t>(numbers[i])] : std::string();
    const auto length = static_cast<std::uint32_t>(text.size());
    bytes.append(reinterpret_cast<const char*>(&length), sizeof length);
    bytes += text;
  }
  return bytes;
}

/// Elements of a shape without negative sizes; nothing where they are too many.
std::optional<std::int64_t> Count(std::span<const std::int64_t> shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (size == 0) return 0;
  }
  for (const std::int64_t size : shape) {
    if (size < 0 || size > kMostElements / count) return std::nullopt;
    count *= size;
  }
  return count;
}

/// The bytes are exactly `elements` lengths, each followed by as many bytes.
bool AreTexts(std::string_view data, std::int64_t elements) {
  for (std::int64_t i = 0; i < elements; ++i) {
    std::uint32_t length = 0;
    if (data.size() < sizeof length) return false;
    std::memcpy(&length, data.data(), sizeof length);
    data.remove_prefix(sizeof length);
    if (data.size() < length) return false;
    data.remove_prefix(length);
  }
  return data.empty();
}

template <typename T>
std::optional<std::size_t> Beyond32Bits(std::string_view data) {
  constexpr T kMost = std::numeric_limits<std::int32_t>::max();
  for (std::size_t i = 0; i < data.size() / sizeof(T); ++i) {
    T number;
    std::memcpy(&number, data.data() + i * sizeof number, sizeof number);
    bool fits = number <= kMost;
    if constexpr (std::is_signed_v<T>) {
      fits = fits && number >= std::numeric_limits<std::int32_t>::min();
    }
    if (!fits) return i;
  }
  return std::nullopt;
}

/// The first number that the engine would compute with as another one.
std::optional<std::size_t> FirstLost(ElementType type, std::string_view data) {
  switch (type) {
    case ElementType::kInt64:
      return Beyond32Bits<std::int64_t>(data);
    case ElementType::kUint64:
      return Beyond32Bits<std::uint64_t>(data);
    case ElementType::kUint32:
      return Beyond32Bits<std::uint32_t>(data);
    default:
      return std::nullopt;
  }
}

Result<void> CheckOptions(const GraphOptions& options) {
  if (options.threads < 1 || options.threads > kMostThreads || options.concurrency < 1 ||
      options.concurrency > kMostThreads) {
    return Error{ErrorCode::kInvalidArgument,
                 "threads and concurrency must be 1 to " + std::to_string(kMostThreads)};
  }
  return {};
}

}  // namespace

/// A compiled graph with as many requests as calls may run at a time. All outputs may be inputs;
/// then nothing is compiled.
struct Graph::Compiled {
  ov::InferRequest Take() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return !idle.empty(); });
    ov::InferRequest request = std::move(idle.back());
    idle.pop_back();
    return request;
  }
  void GiveBack(ov::InferRequest request) {
    {
      const std::lock_guard lock(mutex);
      idle.push_back(std::move(request));
    }
    changed.notify_one();
  }

  Result<void> Check(std::span<const TensorView> given) const;
  Result<void> Compute(std::span<const TensorView> given, std::vector<OutputTensor>& answers);
  void Bind(ov::InferRequest& request, std::size_t input, const ov::Shape& shape,
            std::string_view data) const;
  Result<void> ComputeFixed(std::span<const TensorView> given, std::vector<OutputTensor>& answers);
  bool RowsAreIndependent();

  std::vector<Port> inputs;
  std::vector<Port> outputs;
  std::vector<std::optional<std::size_t>> passed;  // Of each output, the input that it is.
  std::vector<std::vector<std::string>> texts;     // Of each output whose numbers stand for some.
  std::vector<bool> computed_with;                 // Of each input.
  bool computes = false;
  bool batches = false;
  // The calling thread computes. OpenVINO's call for that drops the error of a call that fails and
  // leaves the answers of the one before; so only where sizes that were checked leave nothing to
  // fail. The others go through one of its own threads.
  bool direct = false;
  std::size_t bytes = 0;

  ov::CompiledModel model;
  std::unique_ptr<FixedBatches> fixed;  // Null: calls are of any sizes.
  std::mutex mutex;                     // Guards idle.
  std::condition_variable changed;
  std::vector<ov::InferRequest> idle;
};

Result<void> Graph::Compiled::Check(std::span<const TensorView> given) const {
  const auto refused = [](std::string message) {
    return Error{ErrorCode::kInvalidArgument, std::move(message)};
  };
  if (given.size() != inputs.size()) {
    return refused("the model takes " + std::to_string(inputs.size()) + " inputs, " +
                   std::to_string(given.size()) + " were given");
  }
  for (std::size_t i = 0; i < given.size(); ++i) {
    const Port& port = inputs[i];
    const std::string named = "input \"" + port.name + "\"";
    bool fits = given[i].shape.size() == port.shape.size();
    for (std::size_t axis = 0; fits && axis < port.shape.size(); ++axis) {
      fits = port.shape[axis] < 0 ? given[i].shape[axis] >= 0
                                  : given[i].shape[axis] == port.shape[axis];
    }
    const auto count = Count(given[i].shape);
    if (!fits || !count) {
      return refused(named + " has the shape " + Text(port.shape) + ", " + Text(given[i].shape) +
                     " was given");
    }
    const bool right =
        port.type == ElementType::kBytes
            ? AreTexts(given[i].data, *count)
            : given[i].data.size() == static_cast<std::size_t>(*count) * RowOf(port.type).bytes;
    if (!right) {
      return refused(named + " of the shape " + Text(given[i].shape) + " cannot have " +
                     std::to_string(given[i].data.size()) + " bytes");
    }
    if (!computed_with[i]) continue;
    if (const auto lost = FirstLost(port.type, given[i].data)) {
      return refused(named + ", element " + std::to_string(*lost) +
                     " is a number beyond 32 bits, in which the engine computes");
    }
  }
  return {};
}

void Graph::Compiled::Bind(ov::InferRequest& request, std::size_t input, const ov::Shape& shape,
                           std::string_view data) const {
  const TypeRow& row = RowOf(inputs[input].type);
  const auto address = reinterpret_cast<std::uintptr_t>(data.data());
  if (data.empty() || address % row.bytes != 0) {
    ov::Tensor copy(row.openvino, shape);
    if (!data.empty()) std::memcpy(copy.data(), data.data(), data.size());
    request.set_input_tensor(input, copy);
  } else {
    // The engine only reads its input.
    char* first = const_cast<char*>(data.data());
    request.set_input_tensor(input, ov::Tensor(row.openvino, shape, first));
  }
}

/// All rows by the sizes that were compiled, their answers side by side in one piece of memory.
Result<void> Graph::Compiled::ComputeFixed(std::span<const TensorView> given,
                                           std::vector<OutputTensor>& answers) {
  return WithoutExceptions(ErrorCode::kInternal, "inference", [&]() -> Result<void> {
    const auto rows = static_cast<std::size_t>(given.front().shape.front());
    std::size_t total = 0;
    std::vector<std::size_t> row_bytes(outputs.size());
    std::vector<std::size_t> places(outputs.size());
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (passed[i]) continue;
      row_bytes[i] = RowOf(outputs[i].type).bytes;
      for (std::size_t axis = 1; axis < outputs[i].shape.size(); ++axis) {
        row_bytes[i] *= static_cast<std::size_t>(outputs[i].shape[axis]);
      }
      places[i] = total;
      total += (row_bytes[i] * rows + kAlignment - 1) / kAlignment * kAlignment;
    }
    const std::shared_ptr<char[]> memory = std::make_shared_for_overwrite<char[]>(total);
    for (std::size_t first = 0; first < rows;) {
      const std::size_t some = fixed->SizeOf(rows - first);
      FixedBatches::Lease lease(*fixed, some);
      ov::InferRequest& request = lease.request();
      for (std::size_t i = 0; i < given.size(); ++i) {
        ov::Shape shape(given[i].shape.begin(), given[i].shape.end());
        shape[0] = some;
        const std::size_t one = given[i].data.size() / rows;
        Bind(request, i, shape, given[i].data.substr(first * one, some * one));
      }
      request.infer();
      for (std::size_t i = 0; i < outputs.size(); ++i) {
        if (passed[i]) continue;
        const ov::Tensor answer = request.get_output_tensor(i);
        if (answer.get_byte_size() != some * row_bytes[i]) {
          return Error{ErrorCode::kInternal, "output \"" + outputs[i].name + "\" has another size"};
        }
        std::memcpy(memory.get() + places[i] + first * row_bytes[i], answer.data(),
                    some * row_bytes[i]);
      }
      first += some;
    }
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (passed[i]) continue;
      answers[i].shape = outputs[i].shape;
      answers[i].shape.front() = static_cast<std::int64_t>(rows);
      answers[i].data = {memory.get() + places[i], row_bytes[i] * rows};
      answers[i].owner = memory;
    }
    return {};
  });
}

Result<void> Graph::Compiled::Compute(std::span<const TensorView> given,
                                      std::vector<OutputTensor>& answers) {
  if (fixed != nullptr && given.front().shape.front() > 0) return ComputeFixed(given, answers);
  ov::InferRequest request = Take();
  auto done = WithoutExceptions(ErrorCode::kInternal, "inference", [&]() -> Result<void> {
    for (std::size_t i = 0; i < given.size(); ++i) {
      Bind(request, i, ov::Shape(given[i].shape.begin(), given[i].shape.end()), given[i].data);
    }
    if (direct) {
      request.infer();
    } else {
      request.start_async();
      request.wait();
    }

    // All answers in one piece of memory.
    std::size_t total = 0;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (passed[i]) continue;
      total += request.get_output_tensor(i).get_byte_size() + kAlignment;
    }
    const std::shared_ptr<char[]> memory = std::make_shared_for_overwrite<char[]>(total);
    std::size_t place = 0;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (passed[i]) continue;
      const ov::Tensor answer = request.get_output_tensor(i);
      if (!texts[i].empty()) {
        const auto spelled = std::make_shared<const std::string>(Spelled(answer, texts[i]));
        const ov::Shape sizes = answer.get_shape();
        answers[i].shape.assign(sizes.begin(), sizes.end());
        answers[i].data = *spelled;
        answers[i].owner = spelled;
        continue;
      }
      const auto address = reinterpret_cast<std::uintptr_t>(memory.get() + place);
      place += (kAlignment - address % kAlignment) % kAlignment;
      const std::size_t size = answer.get_byte_size();
      if (size > 0) std::memcpy(memory.get() + place, answer.data(), size);
      const ov::Shape& shape = answer.get_shape();
      answers[i].shape.assign(shape.begin(), shape.end());
      answers[i].data = {memory.get() + place, size};
      answers[i].owner = memory;
      place += size;
    }
    return {};
  });
  GiveBack(std::move(request));
  return done;
}

Graph::Graph(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
Graph::~Graph() = default;

const std::vector<Port>& Graph::inputs() const { return compiled_->inputs; }
const std::vector<Port>& Graph::outputs() const { return compiled_->outputs; }
bool Graph::batches() const { return compiled_->batches; }
std::size_t Graph::rows_of_a_pass() const {
  return compiled_->fixed != nullptr ? compiled_->fixed->most() : 0;
}
std::size_t Graph::memory_bytes() const { return compiled_->bytes; }

Result<std::vector<OutputTensor>> Graph::Infer(std::span<const TensorView> inputs) const {
  if (const auto fits = compiled_->Check(inputs); !fits) return fits.error();
  std::vector<OutputTensor> answers(compiled_->outputs.size());
  if (compiled_->computes) {
    if (const auto done = compiled_->Compute(inputs, answers); !done) return done.error();
  }
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (!compiled_->passed[i]) continue;
    const TensorView& input = inputs[*compiled_->passed[i]];
    const std::shared_ptr<char[]> memory =
        std::make_shared_for_overwrite<char[]>(input.data.size());
    if (!input.data.empty()) std::memcpy(memory.get(), input.data.data(), input.data.size());
    answers[i].shape.assign(input.shape.begin(), input.shape.end());
    answers[i].data = {memory.get(), input.data.size()};
    answers[i].owner = memory;
  }
  return answers;
}

/// Three different rows together answer what each answers alone, as far as that can be tried.
bool Graph::Compiled::RowsAreIndependent() {
  constexpr std::int64_t kRows = 3;
  constexpr std::int64_t kOpenSize = 8;
  constexpr std::int64_t kMostTried = 1 << 22;
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<std::string> payloads;
  for (const Port& port : inputs) {
    std::vector<std::int64_t> shape = port.shape;
    shape[0] = kRows;
    for (std::int64_t& size : shape) size = size < 0 ? kOpenSize : size;
    const auto count = Count(shape);
    if (!count || *count > kMostTried || port.type == ElementType::kBytes) return false;
    std::string data(static_cast<std::size_t>(*count) * RowOf(port.type).bytes, '\0');
    for (std::size_t i = 0; i < static_cast<std::size_t>(*count); ++i) {
      // Zeros and ones are fine as numbers of any use, such as places in a table.
      const bool one = (i * 2'654'435'761U >> 13) % 3 == 0;
      char* element = data.data() + i * RowOf(port.type).bytes;
      switch (port.type) {
        case ElementType::kFp32: {
          const float number = one ? 1.0F : 0.5F;
          std::memcpy(element, &number, sizeof number);
          break;
        }
        case ElementType::kFp64: {
          const double number = one ? 1.0 : 0.5;
          std::memcpy(element, &number, sizeof number);
          break;
        }
        case ElementType::kFp16:
          element[1] = one ? 0x3c : 0x38;
          break;
        case ElementType::kBf16:
          element[1] = 0x3f;
          element[0] = one ? '\x80' : '\0';
          break;
        default:
          element[0] = one ? 1 : 0;
      }
    }
    shapes.push_back(std::move(shape));
    payloads.push_back(std::move(data));
  }
  const auto ask = [&](std::int64_t first, std::int64_t rows) {
    std::vector<std::vector<std::int64_t>> own = shapes;
    std::vector<TensorView> views(inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      own[i][0] = rows;
      const std::size_t row = payloads[i].size() / kRows;
      views[i].shape = own[i];
      views[i].data =
          std::string_view(payloads[i])
              .substr(static_cast<std::size_t>(first) * row, static_cast<std::size_t>(rows) * row);
    }
    std::vector<OutputTensor> answers(outputs.size());
    const auto done = Compute(views, answers);
    return done ? std::optional(std::move(answers)) : std::nullopt;
  };
  const auto together = ask(0, kRows);
  if (!together) return false;
  for (std::int64_t r = 0; r < kRows; ++r) {
    const auto alone = ask(r, 1);
    if (!alone) return false;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (passed[i]) continue;
      const OutputTensor& all = (*together)[i];
      const OutputTensor& own = (*alone)[i];
      if (all.shape.empty() || all.shape[0] != kRows || own.shape.empty() || own.shape[0] != 1 ||
          all.data.size() != kRows * own.data.size()) {
        return false;
      }
      const std::string_view row =
          all.data.substr(static_cast<std::size_t>(r) * own.data.size(), own.data.size());
      if (outputs[i].type != ElementType::kFp32) {
        // Halves and doubles come from float32, too; only a large difference would tell.
        const bool exact = outputs[i].type != ElementType::kFp64 &&
                           outputs[i].type != ElementType::kFp16 &&
                           outputs[i].type != ElementType::kBf16;
        if (exact && row != own.data) return false;
        continue;
      }
      for (std::size_t at = 0; at + sizeof(float) <= row.size(); at += sizeof(float)) {
        float a = 0;
        float b = 0;
        std::memcpy(&a, row.data() + at, sizeof a);
        std::memcpy(&b, own.data.data() + at, sizeof b);
        const bool near = std::abs(a - b) <= 1e-3F * (1 + std::abs(b)) || !(a == a && b == b);
        if (!near) return false;
      }
    }
  }
  return true;
}

bool Engine::HasBf16() const {
  const auto capable =
      WithoutExceptions(ErrorCode::kInternal, "asking the processor", [&]() -> Result<bool> {
        const auto all = core_->core.get_property(kProcessor, ov::device::capabilities);
        return std::find(all.begin(), all.end(), ov::device::capability::BF16) != all.end();
      });
  return capable && *capable;
}

Result<std::unique_ptr<Graph>> Engine::LoadGraph(std::string_view onnx, const GraphOptions& options,
                                                 const std::filesystem::path& folder) const {
  if (auto fine = CheckOptions(options); !fine) return fine.error();
  if (onnx.size() > core_->options.at_most_model_bytes) {
    return Error{ErrorCode::kResourceExhausted,
                 "ONNX model: " + std::to_string(onnx.size()) + " bytes; the limit is " +
                     std::to_string(core_->options.at_most_model_bytes)};
  }
  auto checked = ml::CheckOnnx(onnx, folder, {.bytes = core_->options.at_most_model_bytes});
  if (!checked) return checked.error();
  if (checked->joined) onnx = *checked->joined;
  const bool bf16 = options.precision == Precision::kBf16;
  if (bf16 && !HasBf16()) {
    return Error{ErrorCode::kUnimplemented, "this processor does not compute in bfloat16"};
  }
  return WithoutExceptions(
      ErrorCode::kInvalidArgument, "ONNX model", [&]() -> Result<std::unique_ptr<Graph>> {
        const auto model = ReadOnnx(*core_, onnx);
        if (model->inputs().size() > kMostPorts || model->outputs().empty() ||
            model->outputs().size() > kMostPorts) {
          return Malformed("has " + std::to_string(model->inputs().size()) + " inputs and " +
                           std::to_string(model->outputs().size()) + " outputs; 1 to " +
                           std::to_string(kMostPorts) + " outputs and as many inputs can be");
        }
        // The precision by name: where the processor has AMX, bf16 would be taken silently. No
        // pinning, because the calling thread computes and belongs to the caller.
        const ov::AnyMap properties = {
            ov::hint::inference_precision(bf16 ? ov::element::bf16 : ov::element::f32),
            ov::num_streams(options.concurrency),
            ov::inference_num_threads(options.threads * options.concurrency),
            ov::hint::enable_cpu_pinning(false)};
        auto compiled = std::make_unique<Graph::Compiled>();
        compiled->bytes = onnx.size();
        for (std::size_t i = 0; i < model->inputs().size(); ++i) {
          auto port = Describe(model->input(i), "input", i);
          if (!port) return port.error();
          compiled->inputs.push_back(*std::move(port));
        }
        for (std::size_t i = 0; i < model->outputs().size(); ++i) {
          auto port = Describe(model->output(i), "output", i);
          if (!port) return port.error();
          compiled->outputs.push_back(*std::move(port));
          compiled->passed.push_back(PassedThrough(*model, model->output(i)));
          compiled->texts.push_back(TextsOf(model->output(i)));
          if (!compiled->texts.back().empty()) compiled->outputs.back().type = ElementType::kBytes;
          compiled->computes = compiled->computes || !compiled->passed.back();
        }
        for (std::size_t i = 0; i < model->inputs().size(); ++i) {
          const auto users = model->input(i).get_target_inputs();
          const bool computed =
              std::any_of(users.begin(), users.end(), [](const ov::Input<ov::Node>& user) {
                const std::string_view kind = user.get_node()->get_type_name();
                return kind != "Result" && kind != "Identity";
              });
          compiled->computed_with.push_back(computed && compiled->computes);
        }
        if (compiled->computes) {
          for (const auto* ports : {&compiled->inputs, &compiled->outputs}) {
            for (const Port& port : *ports) {
              const auto index = static_cast<std::size_t>(&port - ports->data());
              const bool spelled = ports == &compiled->outputs && !compiled->texts[index].empty();
              if (port.type != ElementType::kBytes || spelled) continue;
              return Malformed(std::string(ports == &compiled->inputs ? "input" : "output") +
                               " \"" + port.name +
                               "\" is of texts, which the engine does not compute with");
            }
          }
          compiled->model = core_->core.compile_model(model, kProcessor, properties);
          for (int i = 0; i < options.concurrency; ++i) {
            compiled->idle.push_back(compiled->model.create_infer_request());
          }
        }
        const auto free_first = [](const std::vector<Port>& ports) {
          return std::all_of(ports.begin(), ports.end(), [](const Port& port) {
            return !port.shape.empty() && port.shape[0] < 0;
          });
        };
        const auto fixed_from = [](const std::vector<Port>& ports, std::size_t first) {
          return std::all_of(ports.begin(), ports.end(), [&](const Port& port) {
            const auto skipped = static_cast<std::ptrdiff_t>(std::min(first, port.shape.size()));
            return std::all_of(port.shape.begin() + skipped, port.shape.end(),
                               [](std::int64_t size) { return size >= 0; });
          });
        };
        const bool open = !compiled->inputs.empty() && free_first(compiled->inputs) &&
                          free_first(compiled->outputs);
        const bool proven = open && compiled->computes && compiled->RowsAreIndependent();
        compiled->batches = open && (!compiled->computes || checked->names_a_batch || proven);
        const std::size_t first_fixed = proven ? 1 : 0;
        compiled->direct =
            fixed_from(compiled->inputs, first_fixed) && fixed_from(compiled->outputs, first_fixed);
        // Only where rows were seen to be independent is a call the same as several.
        const bool spelled = std::any_of(compiled->texts.begin(), compiled->texts.end(),
                                         [](const auto& texts) { return !texts.empty(); });
        if (proven && compiled->direct && !spelled &&
            onnx.size() <= core_->options.most_fixed_bytes) {
          compiled->fixed = FixedBatches::Compile(core_->core, *model, core_->options.fixed_rows,
                                                  properties, options.concurrency);
          if (compiled->fixed != nullptr) {
            compiled->bytes *= 1 + core_->options.fixed_rows.size();  // Each has its own weights.
          }
        }
        return std::make_unique<Graph>(std::move(compiled));
      });
}

}  // namespace tidewheel::serving
