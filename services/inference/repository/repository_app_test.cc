#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "inference/grpc_service.grpc.pb.h"
#include "tidewheel/ml/graph/onnx_graph.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/serving/engine.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/subprocess.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::inference {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr ml::ImageShape kShape{1, 8, 8};
constexpr int kClasses = 4;
constexpr std::size_t kNumbers = 64;

std::string OnnxOf(std::uint64_t seed) {
  const auto architecture = ml::MakeArchitecture("image-cnn", kShape, kClasses).value();
  const auto plan = ml::PlanArchitecture(architecture).value();
  return ml::PrintOnnx(architecture, ml::InitialWeights(plan, seed)).value();
}

std::string Get(const std::string& address, const std::string& path) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port =
      htons(static_cast<std::uint16_t>(std::atoi(address.substr(address.rfind(':') + 1).c_str())));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(connection, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) {
    const std::string request =
        "GET " + path + " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    if (send(connection, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
      char part[4'096];
      for (ssize_t got = 0; (got = recv(connection, part, sizeof part, 0)) > 0;) {
        answer.append(part, static_cast<std::size_t>(got));
      }
    }
  }
  close(connection);
  return answer;
}

/// The text behind `"key":"` in a line of JSON.
std::string Field(const std::string& line, const std::string& key) {
  const std::string before = "\"" + key + "\":\"";
  const auto at = line.find(before);
  if (at == std::string::npos) return "";
  const auto begin = at + before.size();
  return line.substr(begin, line.find('"', begin) - begin);
}

/// The real program on a folder of real models.
class RepositoryAppTest : public ::testing::Test {
 protected:
  void WriteModel(const std::string& name, std::uint64_t version, std::uint64_t seed) {
    const auto folder = models_ / name / std::to_string(version);
    fs::create_directories(folder);
    // Whole or not at all: the program may be looking.
    std::ofstream(folder / "draft", std::ios::binary) << OnnxOf(seed);
    fs::rename(folder / "draft", folder / "model.onnx");
  }

  void Start(const std::vector<std::string>& words) {
    const char* const folder = std::getenv("TIDEWHEEL_BINARY_DIR");
    ASSERT_NE(folder, nullptr);
    std::vector<std::string> argv = {(fs::path(folder) / "bin" / "tidewheel-inference").string(),
                                     "--model-repository=" + models_.string(),
                                     "--grpc-port",
                                     "0",
                                     "--http-port",
                                     "0",
                                     "--metrics-port=0"};
    argv.insert(argv.end(), words.begin(), words.end());
    testing::SubprocessOptions options;
    options.pipe_stdout = true;
    options.stderr_file = folder_.path() / "log";
    auto process = testing::Subprocess::Start(argv, options);
    ASSERT_TRUE(process.ok()) << process.error().message;
    process_ = *std::move(process);
    const auto line = process_->ReadLine(seconds(120));
    ASSERT_TRUE(line.has_value()) << Log();
    ready_ = *line;
    stub_ = ::inference::GRPCInferenceService::NewStub(rpc::OpenChannel(Field(ready_, "grpc")));
  }

  std::string Log() const {
    std::ifstream file(folder_.path() / "log");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  grpc::Status Infer(const std::string& model, const std::vector<float>& values,
                     ::inference::ModelInferResponse* response) {
    ::inference::ModelInferRequest request;
    request.set_model_name(model);
    auto* input = request.add_inputs();
    input->set_name(ml::kInputName);
    input->set_datatype("FP32");
    for (const std::int64_t size : {1, 1, 8, 8}) input->add_shape(size);
    request.add_raw_input_contents(values.data(), values.size() * sizeof(float));
    request.add_outputs()->set_name(ml::kOutputName);
    rpc::ClientContextWithDeadline context(seconds(60));
    return stub_->ModelInfer(&context, request, response);
  }

  testing::TempFolder folder_;
  const fs::path models_ = folder_.path() / "models";
  std::optional<testing::Subprocess> process_;
  std::string ready_;
  std::unique_ptr<::inference::GRPCInferenceService::Stub> stub_;
};

TEST_F(RepositoryAppTest, AFolderOfOnnxFilesIsServedWithoutAPlatform) {
  WriteModel("digits", 1, 7);
  WriteModel("digits", 2, 8);
  ASSERT_NO_FATAL_FAILURE(Start({}));

  std::vector<float> values(kNumbers);
  for (std::size_t i = 0; i < kNumbers; ++i) values[i] = static_cast<float>(i) / 64;
  ::inference::ModelInferResponse response;
  const auto status = Infer("digits", values, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.model_version(), "2");
  ASSERT_EQ(response.raw_output_contents_size(), 1);
  std::vector<float> answer(kClasses);
  ASSERT_EQ(response.raw_output_contents(0).size(), kClasses * sizeof(float));
  std::memcpy(answer.data(), response.raw_output_contents(0).data(), kClasses * sizeof(float));

  const auto engine = serving::Engine::Create({}).value();
  const auto model = engine->LoadBytes(OnnxOf(8)).value();
  std::vector<float> expected(kClasses);
  ASSERT_TRUE(model->Infer(values, 1, expected).ok());
  for (std::size_t i = 0; i < kClasses; ++i) EXPECT_NEAR(answer[i], expected[i], 1e-5);

  const std::string metrics = Get(Field(ready_, "metrics"), "/metrics");
  const std::string labels = "{model=\"digits\",version=\"2\"}";
  EXPECT_THAT(metrics, HasSubstr("nv_inference_request_success" + labels + " 1"));
  EXPECT_THAT(metrics,
              HasSubstr("nv_inference_request_failure{model=\"digits\",reason=\"REJECTED\""));
  EXPECT_THAT(metrics, HasSubstr("tidewheel_inference_infer_seconds_count" + labels + " 1"));
  EXPECT_THAT(metrics, HasSubstr("tidewheel_inference_infer_seconds_bucket{model=\"digits\""));
  EXPECT_THAT(metrics,
              HasSubstr("tidewheel_inference_batches_total{model=\"digits\",reason=\"idle\""));
  EXPECT_THAT(Get(Field(ready_, "http"), "/v2/health/ready"), HasSubstr(" 200 "));
  EXPECT_THAT(Get(Field(ready_, "http"), "/v2/models/digits"), HasSubstr("\"digits\""));
  EXPECT_TRUE(rpc::WaitUntilServing(Field(ready_, "grpc"), seconds(60), "digits").ok());
  EXPECT_TRUE(rpc::WaitUntilServing(Field(ready_, "grpc"), seconds(60)).ok());

  process_->Kill(SIGTERM);
  EXPECT_EQ(process_->Wait(seconds(60)), 0) << Log();
}

TEST_F(RepositoryAppTest, AModelThatIsNoModelIsToldAndHarmsNoOther) {
  WriteModel("good", 1, 7);
  fs::create_directories(models_ / "bad" / "1");
  std::ofstream(models_ / "bad" / "1" / "model.onnx") << "this is no graph";
  ASSERT_NO_FATAL_FAILURE(Start({}));

  ::inference::ModelInferResponse response;
  EXPECT_TRUE(Infer("good", std::vector<float>(kNumbers), &response).ok());
  EXPECT_EQ(Infer("bad", std::vector<float>(kNumbers), &response).error_code(), grpc::UNAVAILABLE);
  ::inference::RepositoryIndexResponse index;
  rpc::ClientContextWithDeadline context(seconds(60));
  ASSERT_TRUE(stub_->RepositoryIndex(&context, {}, &index).ok());
  ASSERT_EQ(index.models_size(), 2);
  EXPECT_EQ(index.models(0).state(), "UNAVAILABLE");
  EXPECT_NE(index.models(0).reason(), "");
  EXPECT_EQ(index.models(1).state(), "READY");
  ::inference::ServerReadyResponse ready;
  rpc::ClientContextWithDeadline again(seconds(60));
  ASSERT_TRUE(stub_->ServerReady(&again, {}, &ready).ok());
  EXPECT_FALSE(ready.ready());
}

TEST_F(RepositoryAppTest, AFolderThatIsPolledBringsNewVersionsIntoForce) {
  WriteModel("digits", 1, 7);
  ASSERT_NO_FATAL_FAILURE(
      Start({"--model-control-mode=poll", "--set", "repository.poll_every=50ms"}));
  ::inference::ModelInferResponse response;
  ASSERT_TRUE(Infer("digits", std::vector<float>(kNumbers), &response).ok());
  EXPECT_EQ(response.model_version(), "1");
  WriteModel("digits", 2, 8);
  EXPECT_TRUE(testing::Eventually(seconds(120), [&] {
    response.Clear();
    return Infer("digits", std::vector<float>(kNumbers), &response).ok() &&
           response.model_version() == "2";
  })) << Log();
}

TEST_F(RepositoryAppTest, WhatIsNotThereIsToldBeforeAPortOpens) {
  const char* const folder = std::getenv("TIDEWHEEL_BINARY_DIR");
  ASSERT_NE(folder, nullptr);
  const std::string program = (fs::path(folder) / "bin" / "tidewheel-inference").string();
  const auto exit = [&](const std::vector<std::string>& words) {
    std::vector<std::string> argv = {program};
    argv.insert(argv.end(), words.begin(), words.end());
    testing::SubprocessOptions options;
    options.stdout_file = "/dev/null";
    options.stderr_file = folder_.path() / "log";
    return testing::Subprocess::Start(argv, options).value().Wait(seconds(60));
  };
  EXPECT_NE(exit({"--model-repository", (folder_.path() / "nowhere").string()}), 0);
  EXPECT_THAT(Log(), HasSubstr("nowhere"));
  EXPECT_NE(exit({"--model-repository", "/tmp", "--model-control-mode", "sometimes"}), 0);
  EXPECT_THAT(Log(), AllOf(HasSubstr("repository.mode"), HasSubstr("explicit")));
}

}  // namespace
}  // namespace tidewheel::inference
