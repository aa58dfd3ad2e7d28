#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cctype>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "inference/grpc_service.grpc.pb.h"
#include "tidewheel/ml/foreign/testing/script_files.h"
#include "tidewheel/ml/graph/onnx_graph.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/serving/engine.h"
#include "tidewheel/testing/subprocess.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::inference {

/// The real program on a folder of models that the test writes.
class ServedFolder : public ::testing::Test {
 protected:
  using Stub = ::inference::GRPCInferenceService::Stub;
  static constexpr int kClasses = 4;
  static constexpr std::chrono::seconds kLong{120};

  /// image-cnn with weights of this seed; takes 1 x side x side.
  static std::string OnnxOf(std::uint64_t seed, int side = 8) {
    const auto architecture = ml::MakeArchitecture("image-cnn", {1, side, side}, kClasses).value();
    const auto plan = ml::PlanArchitecture(architecture).value();
    return ml::PrintOnnx(architecture, ml::InitialWeights(plan, seed)).value();
  }

  /// Numbers from 0 to 1, different everywhere.
  static std::vector<float> Ramp(int side = 8) {
    std::vector<float> values(static_cast<std::size_t>(side) * static_cast<std::size_t>(side));
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(i) / static_cast<float>(values.size());
    }
    return values;
  }

  /// What the engine answers to the ramp when it is asked here.
  std::vector<float> AnswerOf(std::uint64_t seed, int side = 8) {
    if (engine_ == nullptr) engine_ = serving::Engine::Create({}).value();
    std::vector<float> answer(kClasses);
    const auto values = Ramp(side);
    EXPECT_TRUE(engine_->LoadBytes(OnnxOf(seed, side)).value()->Infer(values, 1, answer).ok());
    return answer;
  }

  std::filesystem::path Folder(const std::string& name, std::uint64_t version) {
    const auto folder = models_ / name / std::to_string(version);
    std::filesystem::create_directories(folder);
    return folder;
  }
  void WriteModel(const std::string& name, std::uint64_t version, std::uint64_t seed,
                  int side = 8) {
    const auto folder = Folder(name, version);
    // Whole or not at all: the program may be looking.
    std::ofstream(folder / "draft", std::ios::binary) << OnnxOf(seed, side);
    std::filesystem::rename(folder / "draft", folder / "model.onnx");
  }
  /// TorchScript; `source` is that of its forward.
  void WriteScript(const std::string& name, std::uint64_t version, const std::string& source) {
    const auto folder = Folder(name, version);
    const auto written = ml::testing::WriteScript(folder / "draft", source);
    ASSERT_TRUE(written.ok()) << written.error().message;
    std::filesystem::rename(folder / "draft", folder / "model.pt");
  }
  void WriteConfig(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(models_ / name);
    std::ofstream(models_ / name / "config.pbtxt") << text;
  }

  void Start(std::vector<std::string> words) {
    const char* const folder = std::getenv("TIDEWHEEL_BINARY_DIR");
    ASSERT_NE(folder, nullptr);
    words_ = std::move(words);
    std::vector<std::string> argv = {
        (std::filesystem::path(folder) / "bin" / "tidewheel-inference").string(),
        "--model-repository=" + models_.string(),
        "--grpc-port",
        "0",
        "--http-port",
        "0",
        "--metrics-port=0"};
    argv.insert(argv.end(), words_.begin(), words_.end());
    tidewheel::testing::SubprocessOptions options;
    options.pipe_stdout = true;
    options.stderr_file = folder_.path() / "log";
    auto process = tidewheel::testing::Subprocess::Start(argv, options);
    ASSERT_TRUE(process.ok()) << process.error().message;
    process_ = *std::move(process);
    const auto line = process_->ReadLine(kLong);
    ASSERT_TRUE(line.has_value()) << Log();
    ready_ = *line;
    stub_ = NewStub();
  }
  /// kill -9, and the same again; ports are others.
  void KillAndRestart() {
    process_->Kill();
    process_->Wait(kLong);
    Start(words_);
  }

  std::string Log() const {
    std::ifstream file(folder_.path() / "log");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  /// "127.0.0.1:40001" of "grpc", "http" or "metrics".
  std::string Address(const std::string& key) const {
    const std::string before = "\"" + key + "\":\"";
    const auto at = ready_.find(before);
    if (at == std::string::npos) return "";
    const auto begin = at + before.size();
    return ready_.substr(begin, ready_.find('"', begin) - begin);
  }
  std::unique_ptr<Stub> NewStub() const {
    return ::inference::GRPCInferenceService::NewStub(rpc::OpenChannel(Address("grpc")));
  }

  static ::inference::ModelInferRequest RequestOf(const std::string& model,
                                                  const std::vector<std::int64_t>& shape,
                                                  const std::vector<float>& values,
                                                  const std::string& input = ml::kInputName) {
    ::inference::ModelInferRequest request;
    request.set_model_name(model);
    auto* tensor = request.add_inputs();
    tensor->set_name(input);
    tensor->set_datatype("FP32");
    for (const std::int64_t size : shape) tensor->add_shape(size);
    request.add_raw_input_contents(values.data(), values.size() * sizeof(float));
    return request;
  }
  /// The ramp, for a model of WriteModel.
  static ::inference::ModelInferRequest PictureFor(const std::string& model, int side = 8) {
    auto request = RequestOf(model, {1, 1, side, side}, Ramp(side));
    request.add_outputs()->set_name(ml::kOutputName);
    return request;
  }
  /// For a model of WriteScript whose one argument is x.
  static ::inference::ModelInferRequest NumberFor(const std::string& model, float x) {
    return RequestOf(model, {1}, {x}, "x");
  }

  static grpc::Status Ask(Stub& stub, const ::inference::ModelInferRequest& request,
                          ::inference::ModelInferResponse* response) {
    rpc::ClientContextWithDeadline context(kLong);
    response->Clear();
    return stub.ModelInfer(&context, request, response);
  }
  static std::vector<float> FirstOutput(const ::inference::ModelInferResponse& response) {
    if (response.raw_output_contents_size() == 0) return {};
    const std::string& bytes = response.raw_output_contents(0);
    std::vector<float> values(bytes.size() / sizeof(float));
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  static bool Near(const std::vector<float>& left, const std::vector<float>& right) {
    if (left.size() != right.size()) return false;
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (!(std::abs(left[i] - right[i]) < 1e-5F)) return false;
    }
    return true;
  }

  grpc::Status Load(const std::string& model) {
    ::inference::RepositoryModelLoadRequest request;
    ::inference::RepositoryModelLoadResponse response;
    request.set_model_name(model);
    rpc::ClientContextWithDeadline context(kLong);
    return stub_->RepositoryModelLoad(&context, request, &response);
  }
  grpc::Status Unload(const std::string& model) {
    ::inference::RepositoryModelUnloadRequest request;
    ::inference::RepositoryModelUnloadResponse response;
    request.set_model_name(model);
    rpc::ClientContextWithDeadline context(kLong);
    return stub_->RepositoryModelUnload(&context, request, &response);
  }

  /// Of the program, from /proc.
  std::size_t ResidentBytes() const {
    std::ifstream statm("/proc/" + std::to_string(process_->pid()) + "/statm");
    std::size_t total = 0;
    std::size_t resident = 0;
    statm >> total >> resident;
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  }
  std::size_t EntriesOf(const std::string& folder) const {
    std::error_code gone;
    std::size_t count = 0;
    for (std::filesystem::directory_iterator
             at("/proc/" + std::to_string(process_->pid()) + "/" + folder, gone),
         end;
         !gone && at != end; at.increment(gone)) {
      ++count;
    }
    return count;
  }
  /// Processes that the program started and that are not over.
  std::set<pid_t> Children() const {
    std::set<pid_t> children;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      if (!std::isdigit(static_cast<unsigned char>(entry.path().filename().string()[0]))) continue;
      std::ifstream file(entry.path() / "stat");
      std::string text((std::istreambuf_iterator<char>(file)), {});
      const auto name_end = text.rfind(')');
      if (name_end == std::string::npos) continue;
      std::istringstream rest(text.substr(name_end + 1));
      char state = 0;
      pid_t parent = 0;
      rest >> state >> parent;
      if (parent == process_->pid() && state != 'Z') {
        children.insert(static_cast<pid_t>(std::stol(entry.path().filename().string())));
      }
    }
    return children;
  }

  tidewheel::testing::TempFolder folder_;
  const std::filesystem::path models_ = folder_.path() / "models";
  std::unique_ptr<serving::Engine> engine_;
  std::vector<std::string> words_;
  std::optional<tidewheel::testing::Subprocess> process_;
  std::string ready_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace tidewheel::inference
