#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "inference/grpc_service.grpc.pb.h"
#include "tidewheel/inference/core/repository_server.h"
#include "tidewheel/inference/engine/scheduled_packages.h"
#include "tidewheel/inference/oip_grpc/oip_handler.h"
#include "tidewheel/inference/oip_http/oip_http_server.h"
#include "tidewheel/inference/oip_http/testing/http_client.h"
#include "tidewheel/inference/rollout/rollout_models.h"
#include "tidewheel/inference/testing/inference_suite.h"
#include "tidewheel/ml/graph/onnx_graph.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/vision/decode.h"

/// The rollout of a task as clients of the Open Inference Protocol meet it: real packages, and the
/// real doors.
namespace tidewheel::inference {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class NoFiles final : public ExecutorLoader {
 public:
  Result<std::unique_ptr<Executor>> Load(const ModelSource& source) override {
    return Error{ErrorCode::kNotFound, "there are no files of " + source.name};
  }
};

/// Goes after all that holds a version.
struct HostOfPackages {
  NoFiles none;
  RepositoryServer models{{.mode = RepositoryServer::Mode::kExplicit}, none};
  ScheduledPackages packages{models, 2};
};

using OipRequest = ::inference::ModelInferRequest;
using OipResponse = ::inference::ModelInferResponse;

class OipRolloutTest : private HostOfPackages, public InferenceTest {
 protected:
  void SetUp() override {
    InferenceTest::SetUp();
    ASSERT_TRUE(models.Start().ok());
    hosted_loader_.emplace(*store_, *engine_, &packages);
    follower_.emplace(source_, *hosted_loader_, table_, clock_);
    rollout_.emplace(models, table_, *predictor_);
    handler_.emplace(*rollout_, regions_, OipHandler::Options{});
    rpc::ServerOptions server;
    server.direct_methods = {handler_->DirectInfer()};
    server_.emplace(server, metrics_);
    server_->Add(*handler_);
    ASSERT_TRUE(server_->Start().ok());
    oip_ = ::inference::GRPCInferenceService::NewStub(rpc::OpenChannel(server_->address()));
    http_ = OipHttpServer::Start({}, *rollout_, regions_).value();
  }
  void TearDown() override {
    http_.reset();
    server_.reset();
    table_.Remove(kTask);
    // Shadows may hold a candidate a moment longer.
    EXPECT_TRUE(
        tidewheel::testing::Eventually(seconds(20), [&] { return models.Index(true).empty(); }));
  }

  static std::vector<float> Row(std::uint64_t seed) {
    std::vector<float> row(std::size_t{kSide} * kSide);
    EXPECT_TRUE(vision::Preprocess(Picture(seed), Preprocessing(), row).ok());
    return row;
  }
  static OipRequest Ask(const std::string& id, const std::vector<float>& rows,
                        const std::string& key = "") {
    OipRequest request;
    request.set_model_name(kTask);
    request.set_id(id);
    if (!key.empty()) (*request.mutable_parameters())["routing_key"].set_string_param(key);
    auto* input = request.add_inputs();
    input->set_name(std::string(ml::kInputName));
    input->set_datatype("FP32");
    for (const std::int64_t size : {static_cast<std::int64_t>(rows.size()) / (kSide * kSide),
                                    std::int64_t{1}, std::int64_t{kSide}, std::int64_t{kSide}}) {
      input->add_shape(size);
    }
    request.add_raw_input_contents(rows.data(), rows.size() * sizeof(float));
    return request;
  }
  OipResponse Infer(const OipRequest& request, const std::string& header = "") {
    rpc::ClientContextWithDeadline context(seconds(60));
    if (!header.empty()) context.AddMetadata("x-routing-key", header);
    OipResponse response;
    const auto status = oip_->ModelInfer(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  /// The body of the answer over HTTP.
  std::string Post(const std::vector<float>& row, const std::string& rest,
                   const std::string& headers = "") {
    std::string body = "{\"inputs\":[{\"name\":\"" + std::string(ml::kInputName) +
                       "\",\"datatype\":\"FP32\",\"shape\":[1,1,8,8],\"data\":[";
    for (std::size_t i = 0; i < row.size(); ++i) {
      body += (i > 0 ? "," : "") + std::to_string(row[i]);
    }
    ::tidewheel::inference::testing::HttpClient client(http_->address());
    const auto answer = client.Post("/v2/models/bars/infer", body + "]}]" + rest + "}", headers);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return answer.body;
  }
  static bool IsCanary(const OipResponse& response) {
    const std::string& role = response.parameters().at("role").string_param();
    EXPECT_EQ(role, response.model_version() == "2" ? "canary" : "production");
    return role == "canary";
  }

  std::optional<PackageLoader> hosted_loader_;
  std::optional<RolloutModels> rollout_;
  SharedMemoryTable regions_;
  std::optional<OipHandler> handler_;
  std::optional<rpc::Server> server_;
  std::unique_ptr<::inference::GRPCInferenceService::Stub> oip_;
  std::unique_ptr<OipHttpServer> http_;
};

TEST_F(OipRolloutTest, CanarySharesAreExactAndStickyByKeyOverEveryDoor) {
  constexpr int kKeys = 2'000;
  const auto production = Package(1);
  const auto candidate = Package(2);
  const auto row = Row(1);
  std::map<std::string, bool> was_in;
  for (const double share : {0.1, 0.4}) {
    Deploy(production, Rollout{candidate, Role::kCanary, share});
    int in = 0;
    for (int i = 0; i < kKeys; ++i) {
      const std::string key = "camera-" + std::to_string(i);
      const bool canary = IsCanary(Infer(Ask("", row, key)));
      EXPECT_TRUE(canary || !was_in[key]) << key << " left when the share grew to " << share;
      was_in[key] = canary;
      in += canary;
    }
    EXPECT_NEAR(in / double{kKeys}, share, 5 * std::sqrt(share * (1 - share) / kKeys));
  }
  EXPECT_EQ(sink_.told(Role::kProduction).size() + sink_.told(Role::kCanary).size(),
            std::size_t{2 * kKeys});

  rpc::ClientContextWithDeadline context(seconds(60));
  context.AddMetadata("x-routing-key", "camera-0");
  const auto stream = oip_->ModelStreamInfer(&context);
  for (int i = 0; i < 50; ++i) {
    const std::string key = "camera-" + std::to_string(i);
    const bool in = was_in[key];
    const std::string version = in ? "\"model_version\":\"2\"" : "\"model_version\":\"1\"";
    // Whatever the id is, over whichever door, and as the platform's own rpc decides.
    EXPECT_EQ(IsCanary(Infer(Ask("id-" + std::to_string(i), row, key))), in);
    EXPECT_EQ(IsCanary(Infer(Ask("", row), key)), in);
    auto sequence = Ask("", row);
    (*sequence.mutable_parameters())["sequence_id"].set_string_param(key);
    EXPECT_EQ(IsCanary(Infer(sequence)), in);
    EXPECT_THAT(Post(row, ",\"parameters\":{\"routing_key\":\"" + key + "\"}"), HasSubstr(version));
    EXPECT_THAT(Post(row, "", "X-Routing-Key: " + key + "\r\n"), HasSubstr(version));
    auto request = Request("", 1);
    request.set_routing_key(key);
    v1::PredictResponse response;
    ASSERT_TRUE(Predict(request, &response).ok());
    EXPECT_EQ(response.model_version(), in ? 2U : 1U);
    // A stream's metadata is for those of its requests that say no key.
    ::inference::ModelStreamInferResponse streamed;
    ASSERT_TRUE(stream->Write(Ask("", row, i % 2 == 0 ? key : "")));
    ASSERT_TRUE(stream->Read(&streamed));
    EXPECT_EQ(streamed.error_message(), "");
    EXPECT_EQ(IsCanary(streamed.infer_response()), was_in[i % 2 == 0 ? key : "camera-0"]);
  }
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(OipRolloutTest, AnAnswerIsToldUnderItsIdAndItsOutcomeFindsIt) {
  Deploy(Package(1));
  auto rows = Row(1);
  const auto second = Row(2);
  rows.insert(rows.end(), second.begin(), second.end());
  auto request = Ask("order-7", rows);
  (*request.mutable_parameters())["camera"].set_string_param("north");
  const auto response = Infer(request);
  EXPECT_EQ(response.id(), "order-7");
  EXPECT_EQ(response.model_version(), "1");
  EXPECT_EQ(response.parameters().at("variant").string_param(), "f32");
  EXPECT_EQ(response.parameters().count("request_id"), 0U);

  const auto told = sink_.Of("order-7");
  EXPECT_EQ(told.role, Role::kProduction);
  EXPECT_EQ(told.model_version_id, "id-1");
  EXPECT_EQ(told.variant, "f32");
  EXPECT_EQ(told.metadata, (std::map<std::string, std::string>{{"camera", "north"}}));
  EXPECT_GT(told.seconds, 0);
  ASSERT_THAT(told.answers, SizeIs(2));
  std::vector<float> probabilities(8);
  ASSERT_EQ(response.raw_output_contents(0).size(), probabilities.size() * sizeof(float));
  std::memcpy(probabilities.data(), response.raw_output_contents(0).data(),
              response.raw_output_contents(0).size());
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(told.answers[i / 4].probabilities.at(i % 4), probabilities[i]);
  }
  EXPECT_FALSE(told.answers[0].embedding.empty());
  // As the platform's own rpc answers to the same rows.
  v1::PredictRequest own;
  own.set_task(kTask);
  own.set_request_id("own");
  for (const std::int64_t size : {2, 1, kSide, kSide}) own.mutable_tensor()->add_shape(size);
  own.mutable_tensor()->set_data(rows.data(), rows.size() * sizeof(float));
  v1::PredictResponse predicted;
  ASSERT_TRUE(Predict(own, &predicted).ok());
  EXPECT_EQ(predicted.variant(), "f32");
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(sink_.Of("own").answers.at(i).class_index, told.answers[i].class_index);
  }

  // The prediction of who gives no id has one, and the answer says which.
  const auto nameless = Infer(Ask("", rows));
  EXPECT_EQ(nameless.id(), "");
  const std::string made = nameless.parameters().at("request_id").string_param();
  EXPECT_THAT(sink_.Of(made).answers, SizeIs(2));
  v1::RecordOutcomesRequest outcomes;
  outcomes.set_task(kTask);
  for (const std::string& id : {std::string("order-7"), made}) {
    auto* outcome = outcomes.add_outcomes();
    outcome->set_request_id(id);
    outcome->set_class_name("b");
  }
  rpc::ClientContextWithDeadline context(seconds(60));
  v1::RecordOutcomesResponse recorded;
  ASSERT_TRUE(stub_->RecordOutcomes(&context, outcomes, &recorded).ok());
  EXPECT_THAT(sink_.outcomes, SizeIs(2));
}

TEST_F(OipRolloutTest, OnlyTheOutputsThatWereAskedForGoOut) {
  Deploy(Package(1));
  auto request = Ask("some", Row(1));
  request.add_outputs()->set_name("embedding");
  const auto response = Infer(request);
  ASSERT_THAT(response.outputs(), SizeIs(1));
  EXPECT_EQ(response.outputs(0).name(), "embedding");
  EXPECT_THAT(response.raw_output_contents(), SizeIs(1));
  EXPECT_THAT(sink_.Of("some").answers, SizeIs(1));

  request.add_outputs()->set_name("nothing");
  rpc::ClientContextWithDeadline context(seconds(60));
  OipResponse refused;
  EXPECT_EQ(oip_->ModelInfer(&context, request, &refused).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(OipRolloutTest, AVersionThatIsNamedIsServedAsAsked) {
  Deploy(Package(1), Rollout{Package(2), Role::kCanary, 1});
  for (const char* const version : {"1", "2"}) {
    auto request = Ask("named", Row(1), "anybody");
    request.set_model_version(version);
    EXPECT_EQ(Infer(request).model_version(), version);
  }
  EXPECT_THAT(sink_.told(), IsEmpty());
  EXPECT_TRUE(IsCanary(Infer(Ask("", Row(1)))));
}

TEST_F(OipRolloutTest, AShadowSeesTheRowsAfterTheAnswer) {
  Deploy(Package(1), Rollout{Package(2), Role::kShadow, 0});
  for (int i = 0; i < 20; ++i) {
    const auto response = Infer(Ask("r-" + std::to_string(i), Row(static_cast<std::uint64_t>(i))));
    EXPECT_EQ(response.model_version(), "1");
  }
  ASSERT_TRUE(tidewheel::testing::Eventually(
      seconds(20), [&] { return sink_.told(Role::kShadow).size() == 20; }));
  const auto production = sink_.told(Role::kProduction);
  const auto shadowed = sink_.told(Role::kShadow);
  for (const auto& told : shadowed) {
    ASSERT_THAT(told.answers, SizeIs(1));
    EXPECT_EQ(told.answered.at(0), sink_.Of(told.request_id).answers.at(0).class_index);
    const auto index = std::stoull(told.request_id.substr(2));
    auto named = Ask("", Row(index));
    named.set_model_version("2");
    float first = 0;
    std::memcpy(&first, Infer(named).raw_output_contents(0).data(), sizeof first);
    EXPECT_NEAR(told.answers[0].probabilities[0], first, 1e-5);
  }
}

TEST_F(OipRolloutTest, ACandidateThatFailsCostsNobodyAnAnswer) {
  const auto production = hosted_loader_->Load(Package(1)).value();
  SetRoute(production, std::make_shared<ScriptedModel>(2, [] { return Result<void>(); }),
           Role::kCanary, 1);
  const auto response = Infer(Ask("covered", Row(1)));
  EXPECT_EQ(response.model_version(), "1");
  EXPECT_EQ(response.parameters().at("role").string_param(), "production");
  ASSERT_THAT(sink_.told(Role::kCanary), SizeIs(1));
  EXPECT_EQ(sink_.told(Role::kCanary)[0].error, ErrorCode::kInternal);
  EXPECT_THAT(sink_.told(Role::kProduction), SizeIs(1));
}

TEST_F(OipRolloutTest, RowsAreCapturedAsPicturesByTheTasksPolicy) {
  CapturePolicy all;
  all.random_share = 1;
  all.max_per_minute = 1'000;
  Deploy(Package(1), {}, all);
  auto rows = Row(1);
  const auto second = Row(2);
  rows.insert(rows.end(), second.begin(), second.end());
  Infer(Ask("kept", rows));
  ASSERT_TRUE(
      tidewheel::testing::Eventually(seconds(20), [&] { return sink_.captures().size() == 2; }));
  EXPECT_TRUE(sink_.durable());
  for (const auto& [captured, ref] : sink_.captures()) {
    EXPECT_EQ(captured.request_id, "kept");
    // The row came of such a picture, and comes of this one again.
    EXPECT_EQ(vision::Decode(captured.payload)->pixels, Picture(captured.index + 1).pixels);
    EXPECT_EQ(captured.sha256.size(), 64U);
    v1::PredictRequest request;
    request.set_task(kTask);
    request.set_request_id("again-" + std::to_string(captured.index));
    request.mutable_pictures()->add_payloads(captured.payload);
    v1::PredictResponse response;
    ASSERT_TRUE(Predict(request, &response).ok());
    EXPECT_EQ(response.predictions(0).class_name(), captured.class_name);
    EXPECT_NEAR(response.predictions(0).confidence(), captured.confidence, 1e-5);
  }
}

TEST_F(OipRolloutTest, WhatIsNoPredictionIsRefusedAndToldToNobody) {
  Deploy(Package(1));
  const auto code = [&](const OipRequest& request) {
    rpc::ClientContextWithDeadline context(seconds(60));
    OipResponse response;
    return oip_->ModelInfer(&context, request, &response).error_code();
  };
  EXPECT_EQ(code(Ask(std::string(129, 'i'), Row(1))), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(code(Ask("", Row(1), std::string(2'000, 'k'))), grpc::StatusCode::INVALID_ARGUMENT);
  auto wrong = Ask("", Row(1));
  wrong.mutable_inputs(0)->set_name("pictures");
  EXPECT_EQ(code(wrong), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(code(Ask("", {})), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(sink_.told(), IsEmpty());
}

TEST_F(OipRolloutTest, RolloutsUnderLoadFailNobody) {
  const std::vector<ModelPackage> versions = {Package(1), Package(2)};
  Deploy(versions[0]);
  std::atomic<bool> stop = false;
  std::atomic<int> answered = 0;
  std::atomic<int> failed = 0;
  std::vector<std::jthread> clients;
  for (int client = 0; client < 4; ++client) {
    clients.emplace_back([&, client] {
      for (int i = 0; !stop; ++i) {
        rpc::ClientContextWithDeadline context(seconds(60));
        OipResponse response;
        const auto id = std::to_string(client) + "-" + std::to_string(i);
        failed += !oip_->ModelInfer(&context, Ask(id, Row(9)), &response).ok();
        ++answered;
      }
    });
  }
  for (std::size_t round = 0; round < 12; ++round) {
    const auto& production = versions[round % 2];
    const auto& candidate = versions[(round + 1) % 2];
    Deploy(production, Rollout{candidate, round % 3 == 0 ? Role::kShadow : Role::kCanary, 0.5});
    const int before = answered;
    while (answered < before + 10) std::this_thread::yield();
    // The candidate goes, and with it whoever answered last may have held it.
    Deploy(production);
  }
  stop = true;
  clients.clear();
  EXPECT_EQ(failed, 0);
}

}  // namespace
}  // namespace tidewheel::inference
