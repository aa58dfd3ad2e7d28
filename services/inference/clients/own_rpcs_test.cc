#include "tidewheel/inference/clients/own_rpcs.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>

#include "tidewheel/inference/v1/inference_service.grpc.pb.h"

namespace tidewheel::inference {
namespace {

using ::testing::HasSubstr;

/// Says back what it is asked; the task "none" is not served.
class FakeInference final : public v1::InferenceService::Service {
 public:
  grpc::Status Predict(grpc::ServerContext* context, const v1::PredictRequest* request,
                       v1::PredictResponse* response) override {
    if (request->task() == "none") return {grpc::StatusCode::NOT_FOUND, "nothing serves none"};
    const auto trace = context->client_metadata().find("traceparent");
    if (trace != context->client_metadata().end()) {
      response->set_role(std::string(trace->second.data(), trace->second.size()));
    }
    response->set_request_id(request->request_id());
    response->add_classes(request->pictures().payloads(0));
    response->add_predictions()->set_confidence(0.5F);
    return grpc::Status::OK;
  }
};

class OwnRpcsTest : public ::testing::Test {
 protected:
  OwnRpcsTest() {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
  }

  Result<std::string> Ask(const std::string& rpc, const std::string& json) {
    std::promise<Result<std::string>> answer;
    rpcs_.Handle({.rpc = rpc, .json = json, .trace_parent = "00-trace", .cancelled = {}},
                 [&](Result<std::string> given) { answer.set_value(std::move(given)); });
    return answer.get_future().get();
  }

  FakeInference service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  OwnRpcs rpcs_;
};

TEST_F(OwnRpcsTest, JsonGoesInAndComesOutByTheProtosNames) {
  rpcs_.SetAddress(address_);
  const auto answer =
      Ask("Predict", R"({"task":"t","request_id":"r7","pictures":{"payloads":["aGk="]}})");
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_THAT(*answer, HasSubstr(R"("request_id":"r7")"));
  EXPECT_THAT(*answer, HasSubstr(R"("classes":["hi"])"));
  EXPECT_THAT(*answer, HasSubstr(R"("confidence":0.5)"));
  // What is at its default is there, too.
  EXPECT_THAT(*answer, HasSubstr(R"("model_version":0)"));
  EXPECT_THAT(*answer, HasSubstr("00-trace"));
}

TEST_F(OwnRpcsTest, ErrorsKeepTheirKinds) {
  EXPECT_EQ(Ask("Predict", "{}").error().code, ErrorCode::kUnavailable);
  rpcs_.SetAddress(address_);
  EXPECT_EQ(Ask("Fly", "{}").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(Ask("Predict", "{").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Ask("Predict", R"({"tusk":"t"})").error().code, ErrorCode::kInvalidArgument);
  const auto missing = Ask("Predict", R"({"task":"none"})");
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().message, HasSubstr("nothing serves none"));
  EXPECT_EQ(Ask("RecordOutcomes", "").error().code, ErrorCode::kUnimplemented);
}

}  // namespace
}  // namespace tidewheel::inference
