#include "tidewheel/inference/oip_grpc/oip_handler.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpc/health/v1/health.grpc.pb.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tidewheel/inference/core/repository_server.h"
#include "tidewheel/inference/core/testing/fake_executor.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/server.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::inference {
namespace {

using inference::testing::FakeExecutor;
using inference::testing::Gate;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Answers its inputs as its outputs; fails where the first is the one byte "F".
class EchoExecutor final : public Executor {
 public:
  explicit EchoExecutor(ModelSpec spec) : spec_(std::move(spec)) {}
  const ModelSpec& spec() const override { return spec_; }
  Result<std::vector<Tensor>> Execute(std::span<const Tensor> inputs) override {
    if (inputs[0].data == "F") return Error{ErrorCode::kInternal, "a secret"};
    std::vector<Tensor> outputs;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      outputs.push_back(Tensor::Of(spec_.outputs[i].name, inputs[i].type, inputs[i].shape,
                                   std::string(inputs[i].data)));
    }
    return outputs;
  }

 private:
  const ModelSpec spec_;
};

ModelSpec EchoSpec(const std::vector<DataType>& types) {
  ModelSpec spec{.platform = "test_echo", .max_batch_size = 0};
  for (std::size_t i = 0; i < types.size(); ++i) {
    spec.inputs.push_back({"x" + std::to_string(i), types[i], {-1}});
    spec.outputs.push_back({"y" + std::to_string(i), types[i], {-1}});
  }
  spec.properties = {{"made_by", "a test"}};
  return spec;
}

/// y = x + the version, for any folder; a file that says "bad" cannot be loaded.
class PlusVersionLoader final : public ExecutorLoader {
 public:
  Result<std::unique_ptr<Executor>> Load(const ModelSource& source) override {
    std::ifstream file(source.folder / "model.onnx");
    std::string word;
    file >> word;
    if (word == "bad") return Error{ErrorCode::kInvalidArgument, "the file says bad"};
    return std::unique_ptr<Executor>(std::make_unique<FakeExecutor>(
        FakeExecutor::Spec(),
        FakeExecutor::Behaviour{.offset = static_cast<float>(source.version)}));
  }
};

class OipHandlerTest : public ::testing::Test {
 protected:
  using Stub = ::inference::GRPCInferenceService::Stub;

  /// Models that a test holds up must not run on gRPC's own threads.
  void Open(RepositoryServer::Mode mode = RepositoryServer::Mode::kExplicit,
            bool inline_runs = true) {
    RepositoryServer::Options options;
    if (!inline_runs) options.scheduling.inline_limit = {};
    options.repository = folder_.path() / "models";
    options.mode = mode;
    options.scratch = folder_.path() / "scratch";
    options.poll_every = milliseconds{20};
    std::filesystem::create_directories(options.repository);
    models_.emplace(options, loader_);
    ASSERT_TRUE(models_->Start().ok());
    handler_.emplace(*models_, regions_, OipHandler::Options{.server_version = "1.2.3"});
    rpc::ServerOptions server;
    server.max_message = config::MiB(4);
    server.hot_methods = {"ModelInfer", "ModelStreamInfer"};
    server.direct_methods = {handler_->DirectInfer()};
    server.other_health = [this](const std::string& name) -> std::optional<bool> {
      const auto ready = models_->ModelReady(name, "");
      return ready ? std::optional(*ready) : std::nullopt;
    };
    server_.emplace(server, metrics_);
    server_->Add(*handler_);
    ASSERT_TRUE(server_->Start().ok());
    server_->SetServing(true);
    channel_ = rpc::OpenChannel(server_->address());
    stub_ = ::inference::GRPCInferenceService::NewStub(channel_);
  }

  void PutEcho(const std::vector<DataType>& types) {
    ASSERT_TRUE(models_->Put("echo", 1, std::make_unique<EchoExecutor>(EchoSpec(types))).ok());
  }
  void PutPlus(std::uint64_t version, const FakeExecutor::Behaviour& behaviour) {
    const auto put = models_->Put("plus", version,
                                  std::make_unique<FakeExecutor>(FakeExecutor::Spec(), behaviour));
    ASSERT_TRUE(put.ok()) << put.error().message;
  }
  void WriteModel(const std::string& name, std::uint64_t version, const std::string& word) {
    const auto folder = folder_.path() / "models" / name / std::to_string(version);
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "model.onnx") << word;
  }

  static ::inference::ModelInferRequest PlusRequest(float x, const std::string& id = "") {
    ::inference::ModelInferRequest request;
    request.set_model_name("plus");
    request.set_id(id);
    auto* input = request.add_inputs();
    input->set_name("x");
    input->set_datatype("FP32");
    input->add_shape(1);
    input->add_shape(2);
    request.add_raw_input_contents(inference::testing::FloatBytes({x, x}));
    return request;
  }
  static float First(const std::string& raw) {
    float value = 0;
    if (raw.size() >= sizeof value) std::memcpy(&value, raw.data(), sizeof value);
    return value;
  }

  template <typename Request, typename Response>
  grpc::Status Ask(grpc::Status (Stub::*call)(grpc::ClientContext*, const Request&, Response*),
                   const Request& request, Response* response, seconds limit = seconds(60)) {
    rpc::ClientContextWithDeadline context(limit);
    return (stub_.get()->*call)(&context, request, response);
  }
  grpc::Status Infer(const ::inference::ModelInferRequest& request,
                     ::inference::ModelInferResponse* response) {
    response->Clear();
    return Ask(&Stub::ModelInfer, request, response);
  }

  tidewheel::testing::TempFolder folder_;
  // What a model at work may touch: before the models.
  Gate gate_;
  std::atomic<int> ran_ = 0;
  PlusVersionLoader loader_;
  metrics::Registry metrics_{"inference"};
  std::optional<RepositoryServer> models_;
  SharedMemoryTable regions_;
  std::optional<OipHandler> handler_;
  std::optional<rpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<Stub> stub_;
};

TEST_F(OipHandlerTest, TheServerIsLiveReadyAndSaysWhatItIs) {
  Open();
  ::inference::ServerLiveResponse live;
  ASSERT_TRUE(Ask(&Stub::ServerLive, {}, &live).ok());
  EXPECT_TRUE(live.live());
  ::inference::ServerReadyResponse ready;
  ASSERT_TRUE(Ask(&Stub::ServerReady, {}, &ready).ok());
  EXPECT_TRUE(ready.ready());
  ::inference::ServerMetadataResponse metadata;
  ASSERT_TRUE(Ask(&Stub::ServerMetadata, {}, &metadata).ok());
  EXPECT_EQ(metadata.name(), "tidewheel");
  EXPECT_EQ(metadata.version(), "1.2.3");
  EXPECT_THAT(metadata.extensions(), Contains("model_repository"));
  EXPECT_THAT(metadata.extensions(), Contains("system_shared_memory"));
}

TEST_F(OipHandlerTest, AModelSaysWhatItTakesAndAnswers) {
  Open();
  PutPlus(3, {});
  ::inference::ModelReadyRequest ready_request;
  ready_request.set_name("plus");
  ::inference::ModelReadyResponse ready;
  ASSERT_TRUE(Ask(&Stub::ModelReady, ready_request, &ready).ok());
  EXPECT_TRUE(ready.ready());
  ready_request.set_version("7");
  EXPECT_EQ(Ask(&Stub::ModelReady, ready_request, &ready).error_code(), grpc::NOT_FOUND);
  ready_request.set_version("../7");
  EXPECT_EQ(Ask(&Stub::ModelReady, ready_request, &ready).error_code(), grpc::INVALID_ARGUMENT);

  ::inference::ModelMetadataRequest request;
  request.set_name("plus");
  ::inference::ModelMetadataResponse metadata;
  ASSERT_TRUE(Ask(&Stub::ModelMetadata, request, &metadata).ok());
  EXPECT_EQ(metadata.name(), "plus");
  EXPECT_EQ(metadata.platform(), "fake_fake");
  EXPECT_THAT(metadata.versions(), ElementsAre("3"));
  ASSERT_EQ(metadata.inputs_size(), 1);
  EXPECT_EQ(metadata.inputs(0).name(), "x");
  EXPECT_EQ(metadata.inputs(0).datatype(), "FP32");
  EXPECT_THAT(metadata.inputs(0).shape(), ElementsAre(-1, 2));
  EXPECT_EQ(metadata.outputs(0).name(), "y");
  request.set_name("minus");
  EXPECT_EQ(Ask(&Stub::ModelMetadata, request, &metadata).error_code(), grpc::NOT_FOUND);

  ::inference::ModelConfigRequest config_request;
  config_request.set_name("plus");
  ::inference::ModelConfigResponse config;
  ASSERT_TRUE(Ask(&Stub::ModelConfig, config_request, &config).ok());
  EXPECT_EQ(config.config().name(), "plus");
  EXPECT_EQ(config.config().max_batch_size(), 8);
  ASSERT_EQ(config.config().input_size(), 1);
  EXPECT_EQ(config.config().input(0).data_type(), ::inference::TYPE_FP32);
  EXPECT_THAT(config.config().input(0).dims(), ElementsAre(2));
  EXPECT_TRUE(config.config().has_dynamic_batching());
  EXPECT_FALSE(config.config().model_transaction_policy().decoupled());
}

TEST_F(OipHandlerTest, RawRequestsGetRawAnswersAndTypedOnesTyped) {
  Open();
  PutPlus(1, {.offset = 1});
  auto request = PlusRequest(4, "my id");
  ::inference::ModelInferResponse response;
  ASSERT_TRUE(Infer(request, &response).ok());
  EXPECT_EQ(response.model_name(), "plus");
  EXPECT_EQ(response.model_version(), "1");
  EXPECT_EQ(response.id(), "my id");
  ASSERT_EQ(response.raw_output_contents_size(), 1);
  EXPECT_EQ(First(response.raw_output_contents(0)), 5);
  EXPECT_FALSE(response.outputs(0).has_contents());
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(1, 2));

  request.clear_raw_input_contents();
  for (const float x : {1.5F, 2.5F}) {
    request.mutable_inputs(0)->mutable_contents()->add_fp32_contents(x);
  }
  ASSERT_TRUE(Infer(request, &response).ok());
  EXPECT_EQ(response.raw_output_contents_size(), 0);
  EXPECT_THAT(response.outputs(0).contents().fp32_contents(), ElementsAre(2.5F, 3.5F));

  request.add_outputs()->set_name("y");
  ASSERT_TRUE(Infer(request, &response).ok());
  request.add_outputs()->set_name("z");
  const auto status = Infer(request, &response);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("\"z\""));
}

TEST_F(OipHandlerTest, EveryDatatypeComesBackAsItWent) {
  Open();
  const std::vector<DataType> types = {
      DataType::kBool, DataType::kUint8, DataType::kUint16, DataType::kUint32, DataType::kUint64,
      DataType::kInt8, DataType::kInt16, DataType::kInt32,  DataType::kInt64,  DataType::kFp16,
      DataType::kBf16, DataType::kFp32,  DataType::kFp64,   DataType::kBytes};
  PutEcho(types);
  ::inference::ModelInferRequest request;
  request.set_model_name("echo");
  std::vector<std::string> raw;
  for (std::size_t i = 0; i < types.size(); ++i) {
    auto* input = request.add_inputs();
    input->set_name("x" + std::to_string(i));
    input->set_datatype(std::string(Name(types[i])));
    input->add_shape(3);
    std::string bytes;
    if (types[i] == DataType::kBytes) {
      bytes = std::string(
          "\x01\x00\x00\x00"
          "a"
          "\x00\x00\x00\x00"
          "\x02\x00\x00\x00"
          "\x00\xff",
          15);
    } else {
      for (std::size_t b = 0; b < 3 * ElementSize(types[i]); ++b) {
        bytes += static_cast<char>(types[i] == DataType::kBool ? b % 2 : 0x40 + b);
      }
    }
    raw.push_back(bytes);
    request.add_raw_input_contents(bytes);
  }
  ::inference::ModelInferResponse response;
  auto status = Infer(request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.raw_output_contents_size(), static_cast<int>(types.size()));
  for (std::size_t i = 0; i < types.size(); ++i) {
    EXPECT_EQ(response.outputs(static_cast<int>(i)).datatype(), Name(types[i]));
    EXPECT_EQ(response.raw_output_contents(static_cast<int>(i)), raw[i]) << Name(types[i]);
  }

  // A text whose length is a lie.
  request.mutable_raw_input_contents(13)->replace(0, 1, "\x7f");
  status = Infer(request, &response);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), AllOf(HasSubstr("x13"), HasSubstr("127")));
}

TEST_F(OipHandlerTest, ErrorsNameTheTensorWhatIsExpectedAndWhatIsGiven) {
  Open();
  PutPlus(1, {});
  ::inference::ModelInferResponse response;
  auto request = PlusRequest(1);
  request.mutable_inputs(0)->set_shape(1, 3);
  auto status = Infer(request, &response);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(),
              AllOf(HasSubstr("\"x\""), HasSubstr("FP32 [-1,2]"), HasSubstr("FP32 [1,3]")));
  request = PlusRequest(1);
  request.mutable_inputs(0)->set_datatype("INT32");
  EXPECT_THAT(Infer(request, &response).error_message(), HasSubstr("INT32 [1,2]"));
  request = PlusRequest(1);
  request.mutable_raw_input_contents(0)->pop_back();
  EXPECT_THAT(Infer(request, &response).error_message(),
              AllOf(HasSubstr("7 bytes"), HasSubstr("8")));
  request = PlusRequest(1);
  request.mutable_inputs(0)->set_name("w");
  EXPECT_THAT(Infer(request, &response).error_message(),
              AllOf(HasSubstr("\"w\""), HasSubstr("\"x\"")));
  request = PlusRequest(1);
  request.set_model_name("nobody");
  EXPECT_EQ(Infer(request, &response).error_code(), grpc::NOT_FOUND);
  request = PlusRequest(1);
  request.set_model_version("9");
  EXPECT_EQ(Infer(request, &response).error_code(), grpc::NOT_FOUND);
  request = PlusRequest(1);
  (*request.add_outputs()->mutable_parameters())["classification"].set_int64_param(3);
  request.mutable_outputs(0)->set_name("y");
  EXPECT_EQ(Infer(request, &response).error_code(), grpc::UNIMPLEMENTED);
  // Beyond what the server takes in one message.
  request = PlusRequest(1);
  request.set_raw_input_contents(0, std::string(5 << 20, 'x'));
  EXPECT_EQ(Infer(request, &response).error_code(), grpc::RESOURCE_EXHAUSTED);
  ASSERT_TRUE(Infer(PlusRequest(1), &response).ok());
}

TEST_F(OipHandlerTest, WhatFailsInTheEngineIsInternalAndSaysNoMore) {
  Open();
  PutEcho({DataType::kUint8});
  ::inference::ModelInferRequest request;
  request.set_model_name("echo");
  auto* input = request.add_inputs();
  input->set_name("x0");
  input->set_datatype("UINT8");
  input->add_shape(1);
  request.add_raw_input_contents("F");
  ::inference::ModelInferResponse response;
  auto status = Infer(request, &response);
  EXPECT_EQ(status.error_code(), grpc::INTERNAL);
  EXPECT_EQ(status.error_message(), "internal error");
  request.set_raw_input_contents(0, "f");
  EXPECT_TRUE(Infer(request, &response).ok());
}

TEST_F(OipHandlerTest, ADeadlineEndsTheWaitAndTheRequestIsNeverRun) {
  Open(RepositoryServer::Mode::kExplicit, false);
  PutPlus(1, {.gate = &gate_, .seen = [this](std::span<const Tensor>) { ++ran_; }});
  const int before = ran_;
  gate_.Shut();
  std::jthread first([&] {
    ::inference::ModelInferResponse response;
    EXPECT_TRUE(Infer(PlusRequest(1), &response).ok());
  });
  ASSERT_TRUE(tidewheel::testing::Eventually(seconds(60), [&] { return ran_ > before; }));
  ::inference::ModelInferResponse response;
  rpc::ClientContextWithDeadline context(milliseconds(200));
  const auto late = stub_->ModelInfer(&context, PlusRequest(2), &response);
  EXPECT_THAT(late.error_code(),
              ::testing::AnyOf(grpc::DEADLINE_EXCEEDED, grpc::RESOURCE_EXHAUSTED));
  // For the server the time began when the call came, which was before now.
  std::this_thread::sleep_for(milliseconds(200));
  gate_.Open();
  first.join();
  ASSERT_TRUE(Infer(PlusRequest(3), &response).ok());
  EXPECT_EQ(ran_ - before, 2);
}

TEST_F(OipHandlerTest, ACancelledRequestLeavesItsPlace) {
  Open(RepositoryServer::Mode::kExplicit, false);
  PutPlus(1, {.gate = &gate_, .seen = [this](std::span<const Tensor>) { ++ran_; }});
  const auto statistics = [&] { return models_->Statistics("plus", "").value()[0]; };
  // The client is told of its own cancellation before the server is: an attempt whose gate opens
  // in between runs both requests, and then none of them counts as cancelled.
  const auto leaves_its_place = [&] {
    const int before = ran_;
    const auto cancelled_before = statistics().cancelled;
    gate_.Shut();
    std::jthread first([&] {
      ::inference::ModelInferResponse response;
      EXPECT_TRUE(Infer(PlusRequest(1), &response).ok());
    });
    EXPECT_TRUE(tidewheel::testing::Eventually(seconds(60), [&] { return ran_ > before; }));
    grpc::ClientContext context;
    grpc::Status status;
    std::jthread second([&] {
      ::inference::ModelInferResponse response;
      status = stub_->ModelInfer(&context, PlusRequest(2), &response);
    });
    EXPECT_TRUE(
        tidewheel::testing::Eventually(seconds(60), [&] { return statistics().pending == 1; }));
    context.TryCancel();
    second.join();
    EXPECT_EQ(status.error_code(), grpc::CANCELLED);
    gate_.Open();
    first.join();
    EXPECT_TRUE(tidewheel::testing::Eventually(seconds(60), [&] {
      return ran_ - before + static_cast<int>(statistics().cancelled - cancelled_before) == 2;
    }));
    return ran_ - before == 1;
  };
  EXPECT_TRUE(tidewheel::testing::Eventually(seconds(60), leaves_its_place));
}

TEST_F(OipHandlerTest, StatisticsCountRowsCallsAndTime) {
  Open();
  PutPlus(1, {});
  ::inference::ModelInferResponse response;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Infer(PlusRequest(1), &response).ok());
  ::inference::ModelStatisticsRequest request;
  request.set_name("plus");
  ::inference::ModelStatisticsResponse statistics;
  ASSERT_TRUE(Ask(&Stub::ModelStatistics, request, &statistics).ok());
  ASSERT_EQ(statistics.model_stats_size(), 1);
  const auto& model = statistics.model_stats(0);
  EXPECT_EQ(model.name(), "plus");
  EXPECT_EQ(model.version(), "1");
  EXPECT_EQ(model.inference_count(), 3U);
  EXPECT_EQ(model.inference_stats().success().count(), 3U);
  EXPECT_GT(model.last_inference(), 1'600'000'000'000U);
  EXPECT_GE(model.batch_stats_size(), 1);
  request.set_name("nobody");
  EXPECT_EQ(Ask(&Stub::ModelStatistics, request, &statistics).error_code(), grpc::NOT_FOUND);
}

TEST_F(OipHandlerTest, AStreamAnswersInOrderAndGoesOnAfterAFailure) {
  Open();
  PutPlus(1, {.offset = 1});
  grpc::ClientContext context;
  const auto stream = stub_->ModelStreamInfer(&context);
  constexpr int kRequests = 500;
  std::jthread writer([&] {
    for (int i = 0; i < kRequests; ++i) {
      auto request = PlusRequest(static_cast<float>(i), std::to_string(i));
      if (i % 50 == 7) request.set_model_name("nobody");
      EXPECT_TRUE(stream->Write(request));
    }
    EXPECT_TRUE(stream->WritesDone());
  });
  ::inference::ModelStreamInferResponse response;
  int next = 0;
  while (stream->Read(&response)) {
    EXPECT_EQ(response.infer_response().id(), std::to_string(next));
    if (next % 50 == 7) {
      EXPECT_THAT(response.error_message(), HasSubstr("nobody"));
    } else {
      EXPECT_EQ(response.error_message(), "");
      ASSERT_EQ(response.infer_response().raw_output_contents_size(), 1);
      EXPECT_EQ(First(response.infer_response().raw_output_contents(0)),
                static_cast<float>(next + 1));
    }
    ++next;
  }
  EXPECT_EQ(next, kRequests);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(OipHandlerTest, ACancelledStreamEndsWithRequestsUnderWay) {
  Open(RepositoryServer::Mode::kExplicit, false);
  PutPlus(1, {.gate = &gate_});
  gate_.Shut();
  grpc::ClientContext context;
  const auto stream = stub_->ModelStreamInfer(&context);
  const int before = gate_.arrivals();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(stream->Write(PlusRequest(1)));
  gate_.AwaitArrivals(before + 1);
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::CANCELLED);
  gate_.Open();
  ::inference::ModelInferResponse response;
  EXPECT_TRUE(Infer(PlusRequest(1), &response).ok());
}

TEST_F(OipHandlerTest, TheRepositoryIsListedLoadedAndUnloaded) {
  WriteModel("m", 1, "good");
  WriteModel("m", 2, "good");
  WriteModel("broken", 1, "bad");
  Open();
  ::inference::RepositoryIndexResponse index;
  ASSERT_TRUE(Ask(&Stub::RepositoryIndex, {}, &index).ok());
  EXPECT_EQ(index.models_size(), 2);

  ::inference::RepositoryModelLoadRequest load;
  load.set_model_name("m");
  ::inference::RepositoryModelLoadResponse loaded;
  ASSERT_TRUE(Ask(&Stub::RepositoryModelLoad, load, &loaded).ok());
  auto request = PlusRequest(1);
  request.set_model_name("m");
  ::inference::ModelInferResponse response;
  ASSERT_TRUE(Infer(request, &response).ok());
  EXPECT_EQ(response.model_version(), "2");
  EXPECT_EQ(First(response.raw_output_contents(0)), 3);

  // A configuration of the caller's, and files.
  auto& parameters = *load.mutable_parameters();
  parameters["config"].set_string_param(
      R"({"max_batch_size": 4, "version_policy": {"all": {}}, "dynamic_batching": {}})");
  ASSERT_TRUE(Ask(&Stub::RepositoryModelLoad, load, &loaded).ok());
  request.set_model_version("1");
  ASSERT_TRUE(Infer(request, &response).ok());
  EXPECT_EQ(First(response.raw_output_contents(0)), 2);
  parameters["file:7/model.onnx"].set_bytes_param("good");
  ASSERT_TRUE(Ask(&Stub::RepositoryModelLoad, load, &loaded).ok());
  request.set_model_version("7");
  ASSERT_TRUE(Infer(request, &response).ok());
  EXPECT_EQ(First(response.raw_output_contents(0)), 8);

  parameters["file:../../x/model.onnx"].set_bytes_param("good");
  EXPECT_EQ(Ask(&Stub::RepositoryModelLoad, load, &loaded).error_code(), grpc::INVALID_ARGUMENT);
  parameters.clear();
  parameters["speed"].set_int64_param(3);
  EXPECT_EQ(Ask(&Stub::RepositoryModelLoad, load, &loaded).error_code(), grpc::INVALID_ARGUMENT);
  parameters.clear();
  load.set_repository_name("other");
  EXPECT_EQ(Ask(&Stub::RepositoryModelLoad, load, &loaded).error_code(), grpc::UNIMPLEMENTED);
  load.clear_repository_name();
  load.set_model_name("nobody");
  EXPECT_EQ(Ask(&Stub::RepositoryModelLoad, load, &loaded).error_code(), grpc::NOT_FOUND);
  load.set_model_name("broken");
  const auto broken = Ask(&Stub::RepositoryModelLoad, load, &loaded);
  EXPECT_EQ(broken.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(broken.error_message(), HasSubstr("says bad"));

  ::inference::RepositoryModelUnloadRequest unload;
  unload.set_model_name("m");
  (*unload.mutable_parameters())["unload_dependents"].set_bool_param(false);
  ::inference::RepositoryModelUnloadResponse unloaded;
  ASSERT_TRUE(Ask(&Stub::RepositoryModelUnload, unload, &unloaded).ok());
  EXPECT_EQ(Infer(request, &response).error_code(), grpc::UNAVAILABLE);
  ::inference::RepositoryIndexRequest ready;
  ready.set_ready(true);
  index.Clear();
  ASSERT_TRUE(Ask(&Stub::RepositoryIndex, ready, &index).ok());
  EXPECT_EQ(index.models_size(), 0);
}

TEST_F(OipHandlerTest, OutsideOfTheExplicitModeNobodyLoads) {
  WriteModel("m", 1, "good");
  Open(RepositoryServer::Mode::kNone);
  ::inference::RepositoryModelLoadRequest load;
  load.set_model_name("m");
  ::inference::RepositoryModelLoadResponse loaded;
  EXPECT_EQ(Ask(&Stub::RepositoryModelLoad, load, &loaded).error_code(), grpc::FAILED_PRECONDITION);
}

TEST_F(OipHandlerTest, SharedMemoryGivesInputsAndTakesOutputs) {
  Open();
  PutPlus(1, {.offset = 1});
  const std::string key = "/oip_test_" + std::to_string(getpid());
  const int file = shm_open(key.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  ASSERT_GE(file, 0);
  ASSERT_EQ(ftruncate(file, 64), 0);
  const float in[] = {10, 20};
  ASSERT_EQ(pwrite(file, in, sizeof in, 8), static_cast<ssize_t>(sizeof in));

  ::inference::SystemSharedMemoryRegisterRequest region;
  region.set_name("r");
  region.set_key(key);
  region.set_byte_size(64);
  ::inference::SystemSharedMemoryRegisterResponse registered;
  ASSERT_TRUE(Ask(&Stub::SystemSharedMemoryRegister, region, &registered).ok());
  EXPECT_EQ(Ask(&Stub::SystemSharedMemoryRegister, region, &registered).error_code(),
            grpc::ALREADY_EXISTS);
  region.set_name("too large");
  region.set_byte_size(65);
  EXPECT_EQ(Ask(&Stub::SystemSharedMemoryRegister, region, &registered).error_code(),
            grpc::INVALID_ARGUMENT);
  region.set_name("climbs");
  region.set_key("/../etc/passwd");
  EXPECT_EQ(Ask(&Stub::SystemSharedMemoryRegister, region, &registered).error_code(),
            grpc::INVALID_ARGUMENT);
  ::inference::SystemSharedMemoryStatusResponse status;
  ASSERT_TRUE(Ask(&Stub::SystemSharedMemoryStatus, {}, &status).ok());
  ASSERT_EQ(status.regions_size(), 1);
  EXPECT_EQ(status.regions().at("r").key(), key);

  auto request = PlusRequest(0);
  request.clear_raw_input_contents();
  auto& from = *request.mutable_inputs(0)->mutable_parameters();
  from["shared_memory_region"].set_string_param("r");
  from["shared_memory_byte_size"].set_int64_param(8);
  from["shared_memory_offset"].set_int64_param(8);
  auto* output = request.add_outputs();
  output->set_name("y");
  auto& to = *output->mutable_parameters();
  to["shared_memory_region"].set_string_param("r");
  to["shared_memory_byte_size"].set_int64_param(8);
  to["shared_memory_offset"].set_int64_param(32);
  ::inference::ModelInferResponse response;
  const auto inferred = Infer(request, &response);
  ASSERT_TRUE(inferred.ok()) << inferred.error_message();
  ASSERT_EQ(response.raw_output_contents_size(), 1);
  EXPECT_EQ(response.raw_output_contents(0), "");
  EXPECT_EQ(response.outputs(0).parameters().at("shared_memory_region").string_param(), "r");
  EXPECT_EQ(response.outputs(0).parameters().at("shared_memory_byte_size").int64_param(), 8);
  float out[2] = {};
  ASSERT_EQ(pread(file, out, sizeof out, 32), static_cast<ssize_t>(sizeof out));
  EXPECT_EQ(out[0], 11);
  EXPECT_EQ(out[1], 21);

  to["shared_memory_byte_size"].set_int64_param(4);
  EXPECT_EQ(Infer(request, &response).error_code(), grpc::INVALID_ARGUMENT);
  to["shared_memory_byte_size"].set_int64_param(8);
  from["shared_memory_offset"].set_int64_param(60);
  EXPECT_EQ(Infer(request, &response).error_code(), grpc::INVALID_ARGUMENT);
  ::inference::SystemSharedMemoryUnregisterResponse unregistered;
  ASSERT_TRUE(Ask(&Stub::SystemSharedMemoryUnregister, {}, &unregistered).ok());
  from["shared_memory_offset"].set_int64_param(8);
  EXPECT_EQ(Infer(request, &response).error_code(), grpc::NOT_FOUND);
  close(file);
  shm_unlink(key.c_str());
}

TEST_F(OipHandlerTest, MemoryOfGpusIsNotShared) {
  Open();
  ::inference::CudaSharedMemoryStatusResponse status;
  EXPECT_EQ(Ask(&Stub::CudaSharedMemoryStatus, {}, &status).error_code(), grpc::UNIMPLEMENTED);
  ::inference::CudaSharedMemoryRegisterResponse registered;
  const auto refused = Ask(&Stub::CudaSharedMemoryRegister, {}, &registered);
  EXPECT_EQ(refused.error_code(), grpc::UNIMPLEMENTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("system shared memory"));
}

TEST_F(OipHandlerTest, HealthKnowsModelsByTheirNames) {
  WriteModel("m", 1, "good");
  Open();
  const auto health = grpc::health::v1::Health::NewStub(channel_);
  const auto check = [&](const std::string& name) -> std::string {
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(name);
    grpc::health::v1::HealthCheckResponse response;
    rpc::ClientContextWithDeadline context(seconds(60));
    const auto status = health->Check(&context, request, &response);
    if (!status.ok()) return status.error_code() == grpc::NOT_FOUND ? "unknown" : "error";
    return response.status() == grpc::health::v1::HealthCheckResponse::SERVING ? "serving"
                                                                               : "not serving";
  };
  EXPECT_EQ(check(""), "serving");
  EXPECT_EQ(check("inference.GRPCInferenceService"), "serving");
  EXPECT_EQ(check("nobody"), "unknown");
  EXPECT_EQ(check("m"), "not serving");

  grpc::ClientContext context;
  grpc::health::v1::HealthCheckRequest request;
  request.set_service("m");
  const auto watch = health->Watch(&context, request);
  grpc::health::v1::HealthCheckResponse state;
  ASSERT_TRUE(watch->Read(&state));
  EXPECT_EQ(state.status(), grpc::health::v1::HealthCheckResponse::NOT_SERVING);
  ASSERT_TRUE(models_->Load("m", std::nullopt, {}).ok());
  EXPECT_EQ(check("m"), "serving");
  ASSERT_TRUE(watch->Read(&state));
  EXPECT_EQ(state.status(), grpc::health::v1::HealthCheckResponse::SERVING);
  ASSERT_TRUE(models_->Unload("m").ok());
  ASSERT_TRUE(watch->Read(&state));
  EXPECT_EQ(state.status(), grpc::health::v1::HealthCheckResponse::NOT_SERVING);
  context.TryCancel();
}

TEST_F(OipHandlerTest, TwoHundredSwapsUnderLoadFailNothingAndAnswerRight) {
  Open();
  PutPlus(1, {.offset = 1});
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> answered = 0;
  std::mutex mutex;
  std::set<std::string> problems;
  std::vector<std::jthread> clients;
  for (int client = 0; client < 3; ++client) {
    clients.emplace_back([&, client] {
      for (int i = 0; !stop; ++i) {
        const auto x = static_cast<float>(client * 1'000 + i % 100);
        ::inference::ModelInferResponse response;
        const auto status = Infer(PlusRequest(x), &response);
        ++answered;
        // A version adds its number: an answer of another one is seen.
        const float expected =
            status.ok() ? x + static_cast<float>(std::stoi(response.model_version())) : 0;
        if (status.ok() && First(response.raw_output_contents(0)) == expected) continue;
        const std::lock_guard lock(mutex);
        problems.insert(status.ok() ? "wrong answer of " + response.model_version()
                                    : status.error_message());
      }
    });
  }
  for (std::uint64_t swap = 2; swap <= 201; ++swap) {
    PutPlus(swap, {.offset = static_cast<float>(swap)});
    ASSERT_TRUE(models_->Remove("plus", swap - 1).ok());
    const auto before = answered.load();
    ASSERT_TRUE(
        tidewheel::testing::Eventually(seconds(60), [&] { return answered >= before + 3; }));
  }
  stop = true;
  clients.clear();
  EXPECT_THAT(problems, IsEmpty());
  ::inference::ModelInferResponse response;
  ASSERT_TRUE(Infer(PlusRequest(0), &response).ok());
  EXPECT_EQ(response.model_version(), "201");
}

long ResidentKilobytes() {
  std::ifstream statm("/proc/self/statm");
  long total = 0;
  long resident = 0;
  statm >> total >> resident;
  return resident * (sysconf(_SC_PAGESIZE) / 1'024);
}

TEST_F(OipHandlerTest, AThousandCyclesOfLoadAndUnloadKeepNoMemory) {
  WriteModel("m", 1, "good");
  Open();
  ::inference::RepositoryModelLoadRequest load;
  load.set_model_name("m");
  ::inference::RepositoryModelUnloadRequest unload;
  unload.set_model_name("m");
  auto request = PlusRequest(1);
  request.set_model_name("m");
  const auto cycle = [&] {
    ::inference::RepositoryModelLoadResponse loaded;
    ASSERT_TRUE(Ask(&Stub::RepositoryModelLoad, load, &loaded).ok());
    ::inference::ModelInferResponse response;
    ASSERT_TRUE(Infer(request, &response).ok());
    ::inference::RepositoryModelUnloadResponse unloaded;
    ASSERT_TRUE(Ask(&Stub::RepositoryModelUnload, unload, &unloaded).ok());
  };
  // The allocator takes its time to settle.
  for (int i = 0; i < 400; ++i) cycle();
  const long settled = ResidentKilobytes();
  for (int i = 0; i < 600; ++i) cycle();
  // Less than 4 KB a cycle: an executor, its threads' stacks or its queue would be more.
  EXPECT_LT(ResidentKilobytes() - settled, 2'400);
}

}  // namespace
}  // namespace tidewheel::inference
