#include "tidewheel/curation/app.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <set>
#include <string>

#include "tidewheel/bus/postgres_broker.h"
#include "tidewheel/curation/storage/testing/storage_fixture.h"
#include "tidewheel/curation/v1/curation_service.grpc.pb.h"
#include "tidewheel/curation/v1/lineage_service.grpc.pb.h"
#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/monitoring/v1/monitoring_service.grpc.pb.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/temp_folder.h"
#include "tidewheel/training/v1/training_service.grpc.pb.h"

namespace tidewheel::curation {
namespace {

namespace monitoring = ::tidewheel::monitoring::v1;
namespace registry = ::tidewheel::model_registry::v1;
namespace training = ::tidewheel::training::v1;

/// Knows one task, and one model version that the run made.
class FakeModelRegistry final : public registry::ModelRegistryService::Service {
 public:
  grpc::Status GetTask(grpc::ServerContext* /*context*/, const registry::GetTaskRequest* request,
                       registry::GetTaskResponse* response) override {
    if (request->name() != "lights") return {grpc::StatusCode::NOT_FOUND, "no such task"};
    registry::Task* const task = response->mutable_task();
    task->set_version(1);
    task->mutable_spec()->set_name("lights");
    for (const char* name : {"red", "yellow", "green"}) task->mutable_spec()->add_classes(name);
    task->mutable_spec()->mutable_labels()->set_min_confidence(0.5);
    return grpc::Status::OK;
  }
  grpc::Status GetModelVersion(grpc::ServerContext* /*context*/,
                               const registry::GetModelVersionRequest* request,
                               registry::GetModelVersionResponse* response) override {
    registry::ModelVersion* const model = response->mutable_model_version();
    model->set_model_version_id(request->model_version_id());
    model->set_task("lights");
    model->set_version(1);
    model->set_run_id("run-1");
    return grpc::Status::OK;
  }
};

class FakeTraining final : public training::TrainingService::Service {
 public:
  grpc::Status GetRun(grpc::ServerContext* /*context*/, const training::GetRunRequest* request,
                      training::GetRunResponse* response) override {
    training::Run* const run = response->mutable_run();
    run->set_run_id(request->run_id());
    run->set_task("lights");
    run->set_dataset_version_id(dataset_version_id);
    run->set_recipe("image-cnn");
    run->set_code_version("0123456789abcdef");
    return grpc::Status::OK;
  }
  std::string dataset_version_id;  // Set before any call.
};

class FakeMonitoring final : public monitoring::MonitoringService::Service {
 public:
  grpc::Status GetPrediction(grpc::ServerContext* /*context*/,
                             const monitoring::GetPredictionRequest* request,
                             monitoring::GetPredictionResponse* response) override {
    if (request->request_id() != "request-1") return {grpc::StatusCode::NOT_FOUND, "no such one"};
    monitoring::StoredPrediction* const prediction = response->mutable_prediction();
    prediction->set_request_id(request->request_id());
    prediction->set_model_version_id("model-1");
    prediction->set_class_name("yellow");
    prediction->set_confidence(0.9);
    return grpc::Status::OK;
  }
};

class AppTest : public StorageFixture {
 protected:
  AppTest() {
    others_.Add(registry_);
    others_.Add(training_);
    others_.Add(monitoring_);
    const auto started = others_.Start();
    EXPECT_TRUE(started.ok());
  }

  void SetUp() override {
    StorageFixture::SetUp();
    if (IsSkipped()) return;
    const auto bus = bus::MigratePostgresBus(database_.admin_dsn);
    ASSERT_TRUE(bus.ok()) << bus.error().message;
    config_.storage.admin_dsn = database_.admin_dsn;
    config_.storage.dsn = database_.DsnOf("tidewheel_curation");
    config_.bus.dsn = config_.storage.dsn;
    config_.payloads_root = (folder_.path() / "payloads").string();
    config_.registry_address = others_.address();
    config_.training_address = others_.address();
    config_.monitoring_address = others_.address();
  }

  ::tidewheel::testing::TempFolder folder_;
  FakeModelRegistry registry_;
  FakeTraining training_;
  FakeMonitoring monitoring_;
  metrics::Registry metrics_{"others"};
  rpc::Server others_{{}, metrics_};
  Config config_;
};

TEST_F(AppTest, BuildsTellsTheBusAndTracesAPredictionDownToItsVotes) {
  AddLabeledSamples(200);
  App app(config_);
  const auto started = app.Start();
  ASSERT_TRUE(started.ok()) << started.error().message;
  const std::string address = app.addresses().at("grpc");
  ASSERT_TRUE(rpc::WaitUntilServing(address, std::chrono::seconds(10)).ok());
  const auto channel = rpc::OpenChannel(address);

  v1::BuildDatasetVersionRequest build;
  build.mutable_recipe()->set_task("lights");
  v1::BuildDatasetVersionResponse built;
  rpc::ClientContextWithDeadline building(std::chrono::seconds(20));
  const auto status =
      v1::CurationService::NewStub(channel)->BuildDatasetVersion(&building, build, &built);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(built.created());
  EXPECT_EQ(built.dataset_version().items(), 200u);

  training_.dataset_version_id = built.dataset_version().dataset_version_id();
  v1::TraceRequest trace;
  trace.set_prediction_request_id("request-1");
  trace.set_samples(3);
  v1::TraceResponse traced;
  rpc::ClientContextWithDeadline tracing(std::chrono::seconds(20));
  const auto trace_status = v1::LineageService::NewStub(channel)->Trace(&tracing, trace, &traced);
  ASSERT_TRUE(trace_status.ok()) << trace_status.error_message();
  std::multiset<std::string> kinds;
  for (const v1::LineageNode& node : traced.nodes()) kinds.insert(node.kind());
  for (const char* kind : {"prediction", "model version", "run", "dataset version"}) {
    EXPECT_EQ(kinds.count(kind), 1u) << kind;
  }
  EXPECT_EQ(kinds.count("sample"), 3u);
  EXPECT_EQ(kinds.count("vote"), 9u);
  EXPECT_EQ(traced.votes(), 600u);

  bus::BrokerOptions options;
  options.address = database_.DsnOf("tidewheel_training");
  const auto broker = bus::OpenBroker(options);
  ASSERT_TRUE(broker.ok()) << broker.error().message;
  const std::array<std::string, 1> topics{"tidewheel.datasets"};
  const auto subscription = (*broker)->Subscribe("test", topics);
  ASSERT_TRUE(subscription.ok()) << subscription.error().message;
  events::v1::DatasetEvent event;
  const bool told = ::tidewheel::testing::Eventually(std::chrono::seconds(20), [&] {
    const auto deliveries = (*subscription)->Poll(10, std::chrono::milliseconds(200));
    return deliveries.ok() && !deliveries->empty() &&
           event.ParseFromString(deliveries->front().message.payload);
  });
  ASSERT_TRUE(told);
  EXPECT_EQ(event.digest(), built.dataset_version().digest());
}

TEST_F(AppTest, TraceWithoutMonitoringNamesIt) {
  config_.monitoring_address.clear();
  App app(config_);
  ASSERT_TRUE(app.Start().ok());
  v1::TraceRequest trace;
  trace.set_prediction_request_id("request-1");
  v1::TraceResponse traced;
  rpc::ClientContextWithDeadline context(std::chrono::seconds(20));

  const auto status = v1::LineageService::NewStub(rpc::OpenChannel(app.addresses().at("grpc")))
                          ->Trace(&context, trace, &traced);

  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_NE(status.error_message().find("monitoring"), std::string::npos);
}

}  // namespace
}  // namespace tidewheel::curation
