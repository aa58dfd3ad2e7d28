#include "models.h"

#include <google/protobuf/unknown_field_set.h>

#include <cstring>
#include <fstream>
#include <utility>

#include "inference/grpc_service.pb.h"
#include "tidewheel/base/random.h"
#include "tidewheel/ml/graph/architecture.h"
#include "tidewheel/ml/graph/onnx_graph.h"
#include "tidewheel/ml/graph/weights.h"
#include "tidewheel/ml/onnx/testing/onnx_maker.h"
#include "tidewheel/ml/variants/variants.h"

namespace tidewheel::bench {
namespace {

constexpr int kSide = 28;
constexpr std::size_t kCalibrationRows = 64;

Result<BenchModel> FromArchitecture(std::string name, const ml::Architecture& architecture,
                                    bool int8) {
  BenchModel model{.name = std::move(name)};
  const auto& input = architecture.input;
  model.shape = {1, input.channels, input.height, input.width};
  model.output_elements = static_cast<std::size_t>(architecture.classes);
  const auto plan = ml::PlanArchitecture(architecture);
  if (!plan) return plan.error();
  auto onnx = ml::PrintOnnx(architecture, ml::InitialWeights(*plan, 1));
  if (!onnx) return onnx.error();
  model.onnx = *std::move(onnx);
  if (!int8) return model;
  const auto rows = Noise(kCalibrationRows * model.input_elements());
  auto made = ml::MakeInt8(model.onnx, ml::RowsIn(rows, model.input_elements()), kCalibrationRows);
  if (!made) return made.error();
  model.int8_onnx = std::move(made->onnx);
  return model;
}

Result<void> Write(const std::filesystem::path& file, std::string_view bytes) {
  std::error_code failure;
  std::filesystem::create_directories(file.parent_path(), failure);
  std::ofstream out(file, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (out.flush()) return {};
  return Error{ErrorCode::kUnavailable, "cannot write " + file.string()};
}

}  // namespace

std::vector<float> Noise(std::size_t count) {
  Random random(3);
  std::vector<float> floats(count);
  for (float& number : floats) number = static_cast<float>(random.Uniform());
  return floats;
}

std::size_t BenchModel::input_elements() const {
  std::size_t elements = 1;
  for (const std::int64_t size : shape) elements *= static_cast<std::size_t>(size);
  return elements;
}

std::vector<float> BenchModel::Row() const { return Noise(input_elements()); }

std::string BenchModel::Request(const std::string& served_name) const {
  ::inference::ModelInferRequest request;
  request.set_model_name(served_name);
  auto& input = *request.add_inputs();
  input.set_name(input_name);
  input.set_datatype("FP32");
  for (const std::int64_t size : shape) input.add_shape(size);
  const auto row = Row();
  request.add_raw_input_contents(row.data(), row.size() * sizeof(float));
  return request.SerializeAsString();
}

Result<std::vector<BenchModel>> MakeModels() {
  std::vector<BenchModel> models;
  using Sizes = ml::OnnxMaker::Sizes;
  const Sizes sizes{"batch", 1, kSide, kSide};
  models.push_back({.name = "identity",
                    .shape = {1, 1, kSide, kSide},
                    .output_elements = kSide * kSide,
                    .onnx = ml::OnnxMaker()
                                .Input("input", ml::onnx_type::kFloat, sizes)
                                .Output("output", ml::onnx_type::kFloat, sizes)
                                .Node("Identity", {"input"}, {"output"})
                                .Bytes()});
  const ml::Architecture mlp{.input = {32, 1, 1},
                             .classes = 4,
                             .layers = {ml::Flatten{}, ml::Linear{128}, ml::Relu{}, ml::Linear{64},
                                        ml::Relu{}, ml::Linear{4}}};
  auto small = FromArchitecture("mlp", mlp, false);
  if (!small) return small.error();
  models.push_back(*std::move(small));
  for (const auto& [name, input] : {std::pair{"cnn_28", ml::ImageShape{1, kSide, kSide}},
                                    std::pair{"cnn_32", ml::ImageShape{3, 32, 32}}}) {
    const auto architecture = ml::MakeArchitecture("image-cnn", input, kClasses, 0);
    if (!architecture) return architecture.error();
    auto model = FromArchitecture(name, *architecture, true);
    if (!model) return model.error();
    models.push_back(*std::move(model));
  }
  return models;
}

Result<void> WriteRepository(const std::filesystem::path& folder,
                             const std::vector<BenchModel>& models) {
  for (const BenchModel& model : models) {
    if (auto done = Write(folder / model.name / "1/model.onnx", model.onnx); !done) return done;
    if (!model.int8_onnx.empty()) {
      const auto own = folder / (model.name + "_int8");
      if (auto done = Write(own / "1/model.onnx", model.int8_onnx); !done) return done;
    }
    if (model.name != "cnn_28") continue;
    const auto alone = folder / (model.name + "_alone");
    if (auto done = Write(alone / "1/model.onnx", model.onnx); !done) return done;
    // Of a model with a configuration only what it says is batched.
    if (auto done =
            Write(alone / "config.pbtxt", "platform: \"onnxruntime_onnx\"\nmax_batch_size: 1\n");
        !done) {
      return done;
    }
  }
  return {};
}

std::string TorchServeRequest(const BenchModel& model, const std::string& served_name) {
  const auto row = model.Row();
  google::protobuf::UnknownFieldSet entry;
  entry.AddLengthDelimited(1, "input");
  entry.AddLengthDelimited(
      2, std::string(reinterpret_cast<const char*>(row.data()), row.size() * sizeof(float)));
  std::string bytes;
  entry.SerializeToString(&bytes);
  google::protobuf::UnknownFieldSet request;
  request.AddLengthDelimited(1, served_name);
  request.AddLengthDelimited(3, bytes);
  request.SerializeToString(&bytes);
  return bytes;
}

Result<std::vector<float>> FloatsOfTorchServe(const std::string& response) {
  google::protobuf::UnknownFieldSet parsed;
  if (!parsed.ParseFromString(response) || parsed.field_count() == 0 ||
      parsed.field(0).type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED) {
    return Error{ErrorCode::kInternal, "no PredictionResponse"};
  }
  const std::string& bytes = parsed.field(0).length_delimited();
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::memcpy(floats.data(), bytes.data(), floats.size() * sizeof(float));
  return floats;
}

Result<std::vector<float>> FloatsOf(const std::string& response) {
  ::inference::ModelInferResponse parsed;
  if (!parsed.ParseFromString(response) || parsed.outputs_size() != 1) {
    return Error{ErrorCode::kInternal, "the answer is no ModelInferResponse with one output"};
  }
  std::vector<float> floats;
  if (parsed.raw_output_contents_size() == 1) {
    const std::string& raw = parsed.raw_output_contents(0);
    floats.resize(raw.size() / sizeof(float));
    std::memcpy(floats.data(), raw.data(), floats.size() * sizeof(float));
  } else {
    const auto& typed = parsed.outputs(0).contents().fp32_contents();
    floats.assign(typed.begin(), typed.end());
  }
  return floats;
}

}  // namespace tidewheel::bench
