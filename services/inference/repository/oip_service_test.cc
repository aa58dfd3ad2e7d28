#include "tidewheel/inference/repository/oip_service.h"

#include <gmock/gmock.h>
#include <grpc/health/v1/health.grpc.pb.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "inference/grpc_service.grpc.pb.h"
#include "tidewheel/inference/oip_http/testing/http_client.h"
#include "tidewheel/ml/graph/onnx_graph.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::inference {
namespace {

namespace fs = std::filesystem;
using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using std::chrono::seconds;
using ::testing::HasSubstr;

/// Models on demand behind both doors, with a health that looks by itself once an hour.
class OipDoorsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto folder = folder_.path() / "digits" / "1";
    fs::create_directories(folder);
    const auto architecture = ml::MakeArchitecture("image-linear", {1, 8, 8}, 4).value();
    const auto plan = ml::PlanArchitecture(architecture).value();
    std::ofstream(folder / "model.onnx", std::ios::binary)
        << ml::PrintOnnx(architecture, ml::InitialWeights(plan, 7)).value();
    OipSettings settings;
    settings.folder = folder_.path().string();
    settings.mode = RepositoryServer::Mode::kExplicit;
    settings.http_listen = "127.0.0.1:0";
    engine_ = serving::Engine::Create({}).value();
    models_.emplace(settings, *engine_, metrics_);
    ASSERT_TRUE(models_->Start().ok());
    doors_.emplace(settings, models_->models(), metrics_);
    rpc::ServerOptions server;
    doors_->AddTo(server);
    server.other_health_every = std::chrono::hours{1};
    server_.emplace(server, metrics_);
    server_->Add(doors_->handler());
    ASSERT_TRUE(server_->Start().ok());
    ASSERT_TRUE(doors_->OpenHttp(nullptr).ok());
  }

  tidewheel::testing::TempFolder folder_;
  metrics::Registry metrics_{"test"};
  std::unique_ptr<serving::Engine> engine_;
  std::optional<OipModels> models_;
  std::optional<OipDoors> doors_;
  std::optional<rpc::Server> server_;
};

TEST_F(OipDoorsTest, WatchersHearOfWhatIsLoadedOverEitherDoor) {
  const auto channel = rpc::OpenChannel(server_->address());
  const auto health = Health::NewStub(channel);
  rpc::ClientContextWithDeadline context(seconds(120));
  HealthCheckRequest request;
  request.set_service("digits");
  const auto watch = health->Watch(&context, request);
  const auto next = [&] {
    HealthCheckResponse response;
    EXPECT_TRUE(watch->Read(&response));
    return response.status();
  };
  EXPECT_EQ(next(), HealthCheckResponse::NOT_SERVING);

  const auto post = [&](const std::string& verb) {
    testing::HttpClient client(doors_->http_address());
    EXPECT_EQ(client.Post("/v2/repository/models/digits/" + verb, "{}").status, 200);
  };
  post("load");
  EXPECT_EQ(next(), HealthCheckResponse::SERVING);
  post("unload");
  EXPECT_EQ(next(), HealthCheckResponse::NOT_SERVING);

  const auto stub = ::inference::GRPCInferenceService::NewStub(channel);
  {
    rpc::ClientContextWithDeadline call(seconds(120));
    ::inference::RepositoryModelLoadRequest load;
    load.set_model_name("digits");
    ::inference::RepositoryModelLoadResponse response;
    ASSERT_TRUE(stub->RepositoryModelLoad(&call, load, &response).ok());
  }
  EXPECT_EQ(next(), HealthCheckResponse::SERVING);
  rpc::ClientContextWithDeadline call(seconds(120));
  ::inference::RepositoryModelUnloadRequest unload;
  unload.set_model_name("digits");
  ::inference::RepositoryModelUnloadResponse response;
  ASSERT_TRUE(stub->RepositoryModelUnload(&call, unload, &response).ok());
  EXPECT_EQ(next(), HealthCheckResponse::NOT_SERVING);
  context.TryCancel();
  watch->Finish();
}

Result<void> Read(const std::string& yaml, OipSettings& settings) {
  auto reader = config::Reader::FromText(yaml, "test.yaml", "TIDEWHEEL_INFERENCE", {});
  settings.Read(reader);
  return reader.Finish();
}

TEST(OipSettingsTest, WhatRunnersMayTakeIsSaidInTheConfiguration) {
  OipSettings settings;
  const auto read = Read(
      "torch:\n  runner: /opt/runner\n  device: cuda:1\n  threads: 4\n  freeze: false\n"
      "  memory_limit: 512MiB\n  file_limit: 1GiB\n  call_bytes: 32MiB\n  call_limit: 5s\n"
      "  load_limit: 1m\n  first_pause: 50ms\n  most_pause: 2s\n  lasting: 10s\n"
      "  patience: 3s\n  scratch: /scratch\n",
      settings);
  ASSERT_TRUE(read.ok()) << read.error().message;
  const TorchOptions& torch = settings.torch;
  EXPECT_EQ(torch.program, "/opt/runner");
  EXPECT_EQ(torch.device, "cuda:1");
  EXPECT_EQ(torch.threads, 4U);
  EXPECT_FALSE(torch.freeze);
  EXPECT_EQ(torch.memory_bytes, std::size_t{512} << 20);
  EXPECT_EQ(torch.file_bytes, std::size_t{1} << 30);
  EXPECT_EQ(torch.call_bytes, std::size_t{32} << 20);
  EXPECT_EQ(torch.call_limit, seconds(5));
  EXPECT_EQ(torch.load_limit, seconds(60));
  EXPECT_EQ(torch.first_pause, std::chrono::milliseconds(50));
  EXPECT_EQ(torch.most_pause, seconds(2));
  EXPECT_EQ(torch.lasting, seconds(10));
  EXPECT_EQ(torch.patience, seconds(3));
  EXPECT_EQ(torch.scratch, "/scratch");

  OipSettings plain;
  ASSERT_TRUE(Read("", plain).ok());
  EXPECT_EQ(plain.torch.device, "cpu");
  EXPECT_EQ(plain.torch.memory_bytes, TorchOptions{}.memory_bytes);
}

TEST(OipSettingsTest, WhatRunnersCannotTakeIsRefusedAllAtOnce) {
  OipSettings settings;
  const auto read = Read(
      "torch:\n  device: gpu\n  threads: 0\n  memory_limit: 1MiB\n  call_limit: 0s\n"
      "  first_pause: 10s\n  most_pause: 1s\n",
      settings);
  ASSERT_FALSE(read.ok());
  for (const char* const key : {"torch.device", "torch.threads", "torch.memory_limit",
                                "torch.call_limit", "torch.most_pause"}) {
    EXPECT_THAT(read.error().message, HasSubstr(key));
  }
  EXPECT_THAT(read.error().message, HasSubstr("cuda:0"));
}

}  // namespace
}  // namespace tidewheel::inference
