#include "tidewheel/serving/engine.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <fstream>
#include <mutex>
#include <system_error>
#include <utility>

#include "tidewheel/ml/onnx/check.h"
#include "tidewheel/serving/internal/fixed_batches.h"
#include "tidewheel/serving/internal/ml_operators.h"
#include "tidewheel/serving/internal/openvino.h"

namespace tidewheel::serving {
namespace {

constexpr std::string_view kUnknownOperators = "No conversion rule found for operations: ";

/// OpenVINO's words without the lines that name its own source files.
std::string Essence(std::string_view words) {
  std::string essence;
  while (!words.empty()) {
    const std::size_t end = std::min(words.find('\n'), words.size());
    const std::string_view line = words.substr(0, end);
    words.remove_prefix(std::min(end + 1, words.size()));
    const bool about_sources = line.starts_with("Exception from ") || line.starts_with("Check '") ||
                               line.starts_with("To facilitate");
    if (line.empty() || about_sources) continue;
    essence += (essence.empty() ? "" : " ") + std::string(line);
  }
  // Places in the engine's sources also stand inside a line.
  constexpr std::string_view kFrom = "Exception from ";
  for (auto at = essence.find(kFrom); at != std::string::npos; at = essence.find(kFrom, at)) {
    const auto end = essence.find(' ', at + kFrom.size());
    essence.erase(at, end == std::string::npos ? end : end + 1 - at);
  }
  constexpr std::size_t kMostCharacters = 500;
  return essence.substr(0, kMostCharacters);
}

}  // namespace

Error FromOpenVino(ErrorCode code, std::string_view what, std::string_view words) {
  if (const auto found = words.find(kUnknownOperators); found != std::string_view::npos) {
    const std::string_view names = words.substr(found + kUnknownOperators.size());
    return Error{ErrorCode::kUnimplemented, std::string(what) + ": the engine has no operator " +
                                                std::string(names.substr(0, names.find('\n')))};
  }
  return Error{code, std::string(what) + ": " + Essence(words)};
}

std::shared_ptr<ov::Model> ReadOnnx(Engine::Core& core, std::string_view onnx) {
  ByteBuffer buffer(onnx);
  std::istream stream(&buffer);
  std::istream* input = &stream;
  // The ONNX reader by name: the engine's other formats are not for foreign bytes.
  const auto frontend = core.frontends.load_by_framework("onnx");
  AddMlOperators(*frontend);
  return frontend->convert(frontend->load(input));
}

namespace {

Error Malformed(std::string message) {
  return Error{ErrorCode::kInvalidArgument, "ONNX model: " + std::move(message)};
}

/// One float32 tensor whose first size is free and the others are known.
Result<TensorInfo> Describe(const ov::Output<ov::Node>& port, std::string_view what) {
  const ov::PartialShape& shape = port.get_partial_shape();
  TensorInfo info{.name = port.get_names().empty() ? std::string(what) : port.get_any_name(),
                  .shape = {-1}};
  if (port.get_element_type() != ov::element::f32) {
    return Malformed(std::string(what) + " " + info.name + " is " +
                     port.get_element_type().get_type_name() + ", not float32");
  }
  if (shape.rank().is_dynamic() || shape.size() < 2 || shape[0].is_static()) {
    return Malformed(std::string(what) + " " + info.name +
                     " must have a free batch as first size and at least one more");
  }
  for (std::size_t i = 1; i < shape.size(); ++i) {
    if (shape[i].is_dynamic() || shape[i].get_length() < 1) {
      return Malformed("size " + std::to_string(i) + " of " + std::string(what) + " " + info.name +
                       " is not fixed");
    }
    info.shape.push_back(shape[i].get_length());
  }
  return info;
}

/// Makes a fixed batch free, where the graph allows that.
void FreeTheBatch(ov::Model& model) {
  ov::PartialShape shape = model.input().get_partial_shape();
  if (shape.rank().is_dynamic() || shape.size() == 0 || shape[0].is_dynamic()) return;
  shape[0] = ov::Dimension::dynamic();
  model.reshape(shape);
}

/// A model's signature and which of its outputs are what.
struct Ports {
  ModelSignature signature;
  std::size_t answer = 0;
  std::size_t embedding = 0;  // Where the signature has one.
};

Result<Ports> PortsOf(ov::Model& model) {
  Ports ports;
  std::optional<std::size_t> answer;
  std::optional<std::size_t> embedding;
  bool clear = model.inputs().size() == 1;
  for (std::size_t i = 0; i < model.outputs().size(); ++i) {
    const bool embeds = model.outputs().size() > 1 &&
                        model.output(i).get_names().count(std::string(kEmbeddingOutput)) > 0;
    auto& found = embeds ? embedding : answer;
    clear = clear && !found;
    found = i;
  }
  if (!clear || !answer) {
    return Malformed("has " + std::to_string(model.inputs().size()) + " inputs and " +
                     std::to_string(model.outputs().size()) +
                     " outputs; one of each can be served, and an output named " +
                     std::string(kEmbeddingOutput));
  }
  FreeTheBatch(model);
  auto input = Describe(model.input(), "input");
  if (!input) return input.error();
  ports.signature.input = std::move(*input);
  ports.answer = *answer;
  auto output = Describe(model.output(*answer), "output");
  if (!output) return output.error();
  ports.signature.output = std::move(*output);
  if (embedding) {
    ports.embedding = *embedding;
    auto described = Describe(model.output(*embedding), "output");
    if (!described) return described.error();
    // Its port may have further names.
    described->name = kEmbeddingOutput;
    ports.signature.embedding = std::move(*described);
  }
  return ports;
}

/// `floats` is what a port with room for `rows` rows takes.
bool Fits(std::size_t floats, const TensorInfo& info, std::size_t rows) {
  return floats / info.elements() == rows && floats % info.elements() == 0;
}

Result<void> CopyOut(const ov::Tensor& answer, std::span<float> out) {
  if (answer.get_size() != out.size()) {
    return Error{ErrorCode::kInternal, "the model answered " + std::to_string(answer.get_size()) +
                                           " numbers instead of " + std::to_string(out.size())};
  }
  std::memcpy(out.data(), answer.data<float>(), out.size_bytes());
  return {};
}

ov::Shape ShapeOf(const TensorInfo& info, std::size_t rows) {
  ov::Shape shape{rows};
  for (std::size_t i = 1; i < info.shape.size(); ++i) {
    shape.push_back(static_cast<std::size_t>(info.shape[i]));
  }
  return shape;
}

Result<void> CheckOptions(const EngineOptions& options) {
  if (options.threads < 1 || options.threads > kMostThreads || options.concurrency < 1 ||
      options.concurrency > kMostThreads) {
    return Error{ErrorCode::kInvalidArgument,
                 "threads and concurrency must be 1 to " + std::to_string(kMostThreads)};
  }
  for (const std::size_t rows : options.warm_up_rows) {
    if (rows < 1 || rows > 4096) {
      return Error{ErrorCode::kInvalidArgument, "warm_up_rows must be 1 to 4096"};
    }
  }
  for (const std::size_t rows : options.fixed_rows) {
    if (options.fixed_rows.front() != 1 || rows < 1 || rows > 4096) {
      return Error{ErrorCode::kInvalidArgument, "fixed_rows must be 1 to 4096, 1 the first"};
    }
  }
  return {};
}

}  // namespace

std::size_t TensorInfo::elements() const {
  std::size_t product = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) product *= static_cast<std::size_t>(shape[i]);
  return product;
}

/// A compiled model with as many requests as calls may run at a time.
struct Model::Compiled {
  Compiled(ov::CompiledModel compiled, Ports described, int concurrency)
      : model(std::move(compiled)), ports(std::move(described)) {
    for (int i = 0; i < concurrency; ++i) idle.push_back(model.create_infer_request());
  }

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

  void Fix(std::unique_ptr<FixedBatches> batches) {
    if (batches == nullptr) return;
    fixed = std::move(batches);
    idle.clear();  // Nobody asks for any number of rows any more.
    model = {};
  }

  /// Some rows by one call of `request`.
  Result<void> Run(ov::InferRequest& request, std::span<const float> input, std::size_t rows,
                   std::span<float> output, std::span<float> embedding) const {
    // The engine only reads its input.
    auto* first = const_cast<float*>(input.data());
    request.set_input_tensor(
        ov::Tensor(ov::element::f32, ShapeOf(ports.signature.input, rows), first));
    request.infer();
    auto taken = CopyOut(request.get_output_tensor(ports.answer), output);
    if (!taken || embedding.empty()) return taken;
    return CopyOut(request.get_output_tensor(ports.embedding), embedding);
  }

  /// All rows by the sizes that were compiled.
  Result<void> RunFixed(std::span<const float> input, std::size_t rows, std::span<float> output,
                        std::span<float> embedding) const {
    const std::size_t in = input.size() / rows;
    const std::size_t out = output.size() / rows;
    const std::size_t numbers = embedding.size() / rows;
    for (std::size_t first = 0; first < rows;) {
      const std::size_t some = fixed->SizeOf(rows - first);
      FixedBatches::Lease lease(*fixed, some);
      auto ran = Run(lease.request(), input.subspan(first * in, some * in), some,
                     output.subspan(first * out, some * out),
                     embedding.subspan(first * numbers, some * numbers));
      if (!ran) return ran;
      first += some;
    }
    return {};
  }

  ov::CompiledModel model;
  const Ports ports;
  std::unique_ptr<FixedBatches> fixed;  // Null: calls are of any number of rows.
  std::mutex mutex;                     // Guards idle.
  std::condition_variable changed;
  std::vector<ov::InferRequest> idle;
};

Model::Model(std::unique_ptr<Compiled> compiled) : compiled_(std::move(compiled)) {}
Model::~Model() = default;

const ModelSignature& Model::signature() const { return compiled_->ports.signature; }

std::size_t Model::rows_of_a_pass() const {
  return compiled_->fixed != nullptr ? compiled_->fixed->most() : 0;
}

Result<void> Model::Infer(std::span<const float> input, std::size_t rows, std::span<float> output,
                          std::span<float> embedding) const {
  const ModelSignature& expected = signature();
  if (rows == 0 || !Fits(input.size(), expected.input, rows)) {
    return Error{ErrorCode::kInvalidArgument, std::to_string(input.size()) + " floats are not " +
                                                  std::to_string(rows) + " rows of " +
                                                  std::to_string(expected.input.elements())};
  }
  if (!Fits(output.size(), expected.output, rows)) {
    return Error{ErrorCode::kInvalidArgument, "room for " + std::to_string(output.size()) +
                                                  " answers is not " + std::to_string(rows) +
                                                  " rows of " +
                                                  std::to_string(expected.output.elements())};
  }
  if (!embedding.empty() && !expected.embedding) {
    return Error{ErrorCode::kInvalidArgument, "the model has no embedding"};
  }
  if (!embedding.empty() && !Fits(embedding.size(), *expected.embedding, rows)) {
    return Error{ErrorCode::kInvalidArgument, "room for " + std::to_string(embedding.size()) +
                                                  " numbers of the embedding is not " +
                                                  std::to_string(rows) + " rows of " +
                                                  std::to_string(expected.embedding->elements())};
  }
  if (compiled_->fixed != nullptr) {
    return WithoutExceptions(ErrorCode::kInternal, "inference", [&]() -> Result<void> {
      return compiled_->RunFixed(input, rows, output, embedding);
    });
  }
  ov::InferRequest request = compiled_->Take();
  auto done = WithoutExceptions(ErrorCode::kInternal, "inference", [&]() -> Result<void> {
    return compiled_->Run(request, input, rows, output, embedding);
  });
  compiled_->GiveBack(std::move(request));
  return done;
}

Result<double> Model::VerifyGolden(std::span<const float> input, std::size_t rows,
                                   std::span<const float> expected, double tolerance) const {
  std::vector<float> answers(expected.size());
  if (auto ran = Infer(input, rows, answers); !ran) return ran.error();
  double largest = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const double difference = std::abs(double{answers[i]} - double{expected[i]});
    // Written so that a NaN fails.
    if (!(difference <= tolerance)) {
      return Error{ErrorCode::kFailedPrecondition,
                   "golden row " + std::to_string(i / signature().output.elements()) + " gives " +
                       std::to_string(answers[i]) + " instead of " + std::to_string(expected[i])};
    }
    largest = std::max(largest, difference);
  }
  return largest;
}

Engine::Engine(std::unique_ptr<Core> core) : core_(std::move(core)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::Create(EngineOptions options) {
  if (auto fine = CheckOptions(options); !fine) return fine.error();
  return WithoutExceptions(ErrorCode::kUnavailable, "starting OpenVINO",
                           [&]() -> Result<std::unique_ptr<Engine>> {
                             auto core = std::make_unique<Core>();
                             core->options = std::move(options);
                             // Loads the plugin now rather than with the first model.
                             if (core->options.plugin_at_once) core->core.get_versions(kProcessor);
                             return std::unique_ptr<Engine>(new Engine(std::move(core)));
                           });
}

Result<std::string> Engine::ReadModelFile(const std::filesystem::path& onnx_file) const {
  std::error_code failure;
  const auto size = std::filesystem::file_size(onnx_file, failure);
  if (failure) {
    const bool absent = failure == std::errc::no_such_file_or_directory;
    return Error{absent ? ErrorCode::kNotFound : ErrorCode::kInvalidArgument,
                 onnx_file.string() + ": " + failure.message()};
  }
  if (size > core_->options.at_most_model_bytes) {
    return Error{ErrorCode::kResourceExhausted,
                 onnx_file.string() + " has " + std::to_string(size) + " bytes; the limit is " +
                     std::to_string(core_->options.at_most_model_bytes)};
  }
  std::string bytes(static_cast<std::size_t>(size), '\0');
  std::ifstream file(onnx_file, std::ios::binary);
  if (!file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
    return Error{ErrorCode::kInternal, "cannot read " + onnx_file.string()};
  }
  return bytes;
}

Result<std::unique_ptr<Model>> Engine::Load(const std::filesystem::path& onnx_file) const {
  const auto bytes = ReadModelFile(onnx_file);
  if (!bytes) return bytes.error();
  auto loaded = LoadBytes(*bytes);
  if (!loaded) return Prefixed(onnx_file.string() + ": ", loaded.error());
  return loaded;
}

Result<std::unique_ptr<Graph>> Engine::LoadGraphFile(const std::filesystem::path& onnx_file,
                                                     const GraphOptions& options) const {
  const auto bytes = ReadModelFile(onnx_file);
  if (!bytes) return bytes.error();
  auto folder = onnx_file.parent_path();
  if (folder.empty()) folder = ".";
  auto loaded = LoadGraph(*bytes, options, folder);
  if (!loaded) return Prefixed(onnx_file.string() + ": ", loaded.error());
  return loaded;
}

Result<std::unique_ptr<Model>> Engine::LoadBytes(std::string_view onnx, Precision precision) const {
  const EngineOptions& options = core_->options;
  if (onnx.size() > options.at_most_model_bytes) {
    return Error{ErrorCode::kResourceExhausted, "ONNX model: " + std::to_string(onnx.size()) +
                                                    " bytes; the limit is " +
                                                    std::to_string(options.at_most_model_bytes)};
  }
  // Tensors in other files would be looked for in the working folder, which is none of the model's
  // business. As protobuf writes it: field 1, eight characters.
  if (onnx.find("\x0a\x08location") != std::string_view::npos) {
    return Malformed("keeps tensors in other files; only a model in one file can be served");
  }
  const bool bf16 = precision == Precision::kBf16;
  if (bf16 && !HasBf16()) {
    return Error{ErrorCode::kUnimplemented, "this processor does not compute in bfloat16"};
  }
  if (const auto checked = ml::CheckOnnx(onnx, {}, {.bytes = options.at_most_model_bytes});
      !checked) {
    return checked.error();
  }
  return WithoutExceptions(
      ErrorCode::kInvalidArgument, "ONNX model", [&]() -> Result<std::unique_ptr<Model>> {
        const auto model = ReadOnnx(*core_, onnx);
        auto ports = PortsOf(*model);
        if (!ports) return ports.error();

        // The precision by name: where the processor has AMX, bf16 would be taken silently. No
        // pinning, because the calling thread computes and belongs to the caller.
        const auto inside = bf16 ? ov::element::bf16 : ov::element::f32;
        const ov::AnyMap properties = {
            ov::hint::inference_precision(inside), ov::num_streams(options.concurrency),
            ov::inference_num_threads(options.threads * options.concurrency),
            ov::hint::enable_cpu_pinning(false)};
        ov::CompiledModel compiled = core_->core.compile_model(model, kProcessor, properties);
        if (compiled.get_property(ov::hint::inference_precision) != inside) {
          return Error{ErrorCode::kInternal, "the engine does not keep to the precision"};
        }
        auto made = std::make_unique<Model::Compiled>(std::move(compiled), std::move(*ports),
                                                      options.concurrency);
        if (onnx.size() <= options.most_fixed_bytes) {
          made->Fix(FixedBatches::Compile(core_->core, *model, options.fixed_rows, properties,
                                          options.concurrency));
        }
        auto loaded = std::make_unique<Model>(std::move(made));
        for (const std::size_t rows : options.warm_up_rows) {
          const std::vector<float> zeros(rows * loaded->signature().input.elements());
          std::vector<float> answers(rows * loaded->signature().output.elements());
          if (auto ran = loaded->Infer(zeros, rows, answers); !ran) return ran.error();
        }
        return loaded;
      });
}

}  // namespace tidewheel::serving
