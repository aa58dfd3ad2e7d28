#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tidewheel/inference/repository/testing/served_folder_suite.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/http_get.h"
#include "tidewheel/testing/subprocess.h"

namespace tidewheel::inference {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::size_t kNumbers = 64;

class RepositoryAppTest : public ServedFolder {
 protected:
  grpc::Status Infer(const std::string& model, const std::vector<float>& values,
                     ::inference::ModelInferResponse* response) {
    auto request = RequestOf(model, {1, 1, 8, 8}, values);
    request.add_outputs()->set_name(ml::kOutputName);
    return Ask(*stub_, request, response);
  }
};

TEST_F(RepositoryAppTest, AFolderOfOnnxFilesIsServedWithoutAPlatform) {
  WriteModel("digits", 1, 7);
  WriteModel("digits", 2, 8);
  ASSERT_NO_FATAL_FAILURE(Start({}));

  ::inference::ModelInferResponse response;
  const auto status = Infer("digits", Ramp(), &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.model_version(), "2");
  EXPECT_TRUE(Near(FirstOutput(response), AnswerOf(8)));

  const std::string metrics = testing::HttpGet(Address("metrics"), "/metrics");
  const std::string labels = "{model=\"digits\",version=\"2\"}";
  EXPECT_THAT(metrics, HasSubstr("nv_inference_request_success" + labels + " 1"));
  EXPECT_THAT(metrics,
              HasSubstr("nv_inference_request_failure{model=\"digits\",reason=\"REJECTED\""));
  EXPECT_THAT(metrics, HasSubstr("tidewheel_inference_infer_seconds_count" + labels + " 1"));
  EXPECT_THAT(metrics, HasSubstr("tidewheel_inference_infer_seconds_bucket{model=\"digits\""));
  EXPECT_THAT(metrics,
              HasSubstr("tidewheel_inference_batches_total{model=\"digits\",reason=\"idle\""));
  EXPECT_THAT(testing::HttpGet(Address("http"), "/v2/health/ready"), HasSubstr(" 200 "));
  EXPECT_THAT(testing::HttpGet(Address("http"), "/v2/models/digits"), HasSubstr("\"digits\""));
  EXPECT_TRUE(rpc::WaitUntilServing(Address("grpc"), seconds(60), "digits").ok());
  EXPECT_TRUE(rpc::WaitUntilServing(Address("grpc"), seconds(60)).ok());

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
