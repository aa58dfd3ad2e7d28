#include "tidewheel/curation/api/lineage_handler.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "tidewheel/curation/clients/monitoring_client.h"
#include "tidewheel/curation/clients/training_client.h"
#include "tidewheel/curation/domain/fake_stores.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/server.h"

namespace tidewheel::curation {
namespace {

class LineageHandlerTest : public testing::Test {
 protected:
  grpc::Status Trace(LineageTracer& tracer, const v1::TraceRequest& request,
                     v1::TraceResponse* response) {
    LineageHandler handler(tracer);
    metrics::Registry metrics("curation");
    rpc::Server server({}, metrics);
    server.Add(handler);
    const auto started = server.Start();
    EXPECT_TRUE(started.ok());
    const auto stub = v1::LineageService::NewStub(rpc::OpenChannel(server.address()));
    rpc::ClientContextWithDeadline context(std::chrono::seconds(20));
    return stub->Trace(&context, request, response);
  }

  FakeDatasetStore datasets_;
  FakeLineageSources world_;
};

TEST_F(LineageHandlerTest, AnswersWithNodesAndEdges) {
  PredictionFacts prediction;
  prediction.request_id = "request-1";
  prediction.class_name = "red";
  prediction.confidence = 0.75;
  world_.predictions["request-1"] = prediction;
  LineageTracer tracer(world_, world_, world_, datasets_, world_);
  v1::TraceRequest request;
  request.set_prediction_request_id("request-1");
  v1::TraceResponse response;

  const auto status = Trace(tracer, request, &response);

  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.nodes_size(), 1);
  EXPECT_EQ(response.nodes(0).kind(), "prediction");
  EXPECT_EQ(response.nodes(0).title(), "red (75.0 %)");
  EXPECT_EQ(response.nodes(0).attributes().at("class"), "red");
}

TEST_F(LineageHandlerTest, BadSubjectsAreInvalidArguments) {
  LineageTracer tracer(world_, world_, world_, datasets_, world_);
  v1::TraceRequest sample;
  sample.set_sample_id("seven");
  v1::TraceRequest many;
  many.set_run_id("run-1");
  many.set_samples(101);
  for (const auto& request : {v1::TraceRequest(), sample, many}) {
    v1::TraceResponse response;
    EXPECT_EQ(Trace(tracer, request, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
}

TEST_F(LineageHandlerTest, ServiceThatIsAwayIsNamed) {
  MonitoringClient unknown(nullptr);
  // Nobody listens on this socket.
  TrainingClient away(rpc::OpenChannel("unix:/nonexistent/training.sock"),
                      std::chrono::milliseconds(300));
  LineageTracer tracer(unknown, world_, away, datasets_, world_);
  v1::TraceRequest prediction;
  prediction.set_prediction_request_id("request-1");
  v1::TraceRequest run;
  run.set_run_id("run-1");
  v1::TraceResponse response;

  const auto without_address = Trace(tracer, prediction, &response);
  const auto not_reached = Trace(tracer, run, &response);

  EXPECT_EQ(without_address.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_NE(without_address.error_message().find("monitoring"), std::string::npos);
  EXPECT_EQ(not_reached.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_NE(not_reached.error_message().find("training"), std::string::npos);
}

}  // namespace
}  // namespace tidewheel::curation
