#include "tidewheel/labeling/app.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>

#include "tidewheel/bus/postgres_broker.h"
#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/labeling/v1/labeling_service.grpc.pb.h"
#include "tidewheel/labeling/v1/queue_service.grpc.pb.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/postgres_server.h"

namespace tidewheel::labeling {
namespace {

namespace registry = ::tidewheel::model_registry::v1;

constexpr char kSample[] = "018f0000-0000-7000-8000-000000000001";

/// A model registry that knows one task.
class FakeModelRegistry final : public registry::ModelRegistryService::Service {
 public:
  grpc::Status GetTask(grpc::ServerContext* /*context*/, const registry::GetTaskRequest* request,
                       registry::GetTaskResponse* response) override {
    if (request->name() != "lights") return {grpc::StatusCode::NOT_FOUND, "no such task"};
    registry::Task* const task = response->mutable_task();
    task->set_version(1);
    task->mutable_spec()->set_name("lights");
    task->mutable_spec()->add_classes("red");
    task->mutable_spec()->add_classes("green");
    task->mutable_spec()->mutable_labels()->set_method(registry::CONSENSUS_METHOD_DAWID_SKENE);
    task->mutable_spec()->mutable_labels()->set_min_votes(1);
    return grpc::Status::OK;
  }
};

class AppTest : public ::tidewheel::testing::PostgresTest {
 protected:
  AppTest() {
    registry_server_.Add(fake_registry_);
    const auto started = registry_server_.Start();
    EXPECT_TRUE(started.ok());
  }

  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped()) return;
    postgres::Pool admin({.dsn = database_.admin_dsn, .search_path = {}, .connections = 1});
    const auto made = admin.InTransaction([](pqxx::work& tx) -> Result<void> {
      tx.exec(
          "CREATE TABLE ingestion.samples (sample_id uuid, task text, sha256 bytea, name text,"
          " deactivated_at timestamptz, group_key text NOT NULL DEFAULT 'g');"
          "CREATE TABLE ingestion.captured_requests_v1 (task text, request_id text, request_index"
          " integer, sample_id uuid, captured_at timestamptz);"
          "GRANT SELECT ON ingestion.captured_requests_v1 TO tidewheel_labeling;"
          "CREATE VIEW ingestion.samples_v1 AS SELECT * FROM ingestion.samples;"
          "GRANT USAGE ON SCHEMA ingestion TO tidewheel_labeling;"
          "GRANT SELECT ON ingestion.samples_v1 TO tidewheel_labeling");
      tx.exec_params("INSERT INTO ingestion.samples VALUES ($1, 'lights', '\\x01', 'a.png', NULL)",
                     std::string(kSample));
      return {};
    });
    ASSERT_TRUE(made.ok()) << made.error().message;
    const auto bus = bus::MigratePostgresBus(database_.admin_dsn);
    ASSERT_TRUE(bus.ok()) << bus.error().message;
    config_.storage.admin_dsn = database_.admin_dsn;
    config_.storage.dsn = database_.DsnOf("tidewheel_labeling");
    config_.bus.dsn = config_.storage.dsn;
    config_.registry_address = registry_server_.address();
  }

  FakeModelRegistry fake_registry_;
  metrics::Registry registry_metrics_{"model_registry"};
  rpc::Server registry_server_{{}, registry_metrics_};
  Config config_;
};

TEST_F(AppTest, RefusesASchemaThatWasNotMigrated) {
  App app(config_);

  const auto started = app.Start();

  ASSERT_FALSE(started.ok());
  EXPECT_EQ(started.error().code, ErrorCode::kFailedPrecondition);
}

TEST_F(AppTest, VotesBecomeLabelsAndTheBusIsTold) {
  const auto migrated = Migrate(config_);
  ASSERT_TRUE(migrated.ok()) << migrated.error().message;
  App app(config_);
  const auto started = app.Start();
  ASSERT_TRUE(started.ok()) << started.error().message;
  const std::string address = app.addresses().at("grpc");
  ASSERT_TRUE(rpc::WaitUntilServing(address, std::chrono::seconds(10)).ok());
  const auto stub = v1::LabelingService::NewStub(rpc::OpenChannel(address));

  v1::SubmitVotesRequest submit;
  submit.set_task("lights");
  for (const char* annotator : {"ann", "bob"}) {
    v1::NewVote* const vote = submit.add_votes();
    vote->set_sample_name("a.png");
    vote->set_class_name("green");
    vote->set_annotator(annotator);
  }
  v1::SubmitVotesResponse submitted;
  rpc::ClientContextWithDeadline submitting(std::chrono::seconds(10));
  const auto accepted = stub->SubmitVotes(&submitting, submit, &submitted);
  ASSERT_TRUE(accepted.ok()) << accepted.error_message();
  EXPECT_EQ(submitted.accepted(), 2u);

  v1::ComputeLabelsRequest compute;
  compute.set_task("lights");
  v1::ComputeLabelsResponse computed;
  rpc::ClientContextWithDeadline computing(std::chrono::seconds(10));
  const auto done = stub->ComputeLabels(&computing, compute, &computed);
  ASSERT_TRUE(done.ok()) << done.error_message();
  EXPECT_EQ(computed.method(), v1::CONSENSUS_METHOD_DAWID_SKENE);
  EXPECT_EQ(computed.changed(), 1u);

  bus::BrokerOptions options;
  options.address = database_.DsnOf("tidewheel_curation");
  const auto broker = bus::OpenBroker(options);
  ASSERT_TRUE(broker.ok()) << broker.error().message;
  const std::array<std::string, 1> topics{"tidewheel.labels"};
  const auto subscription = (*broker)->Subscribe("test", topics);
  ASSERT_TRUE(subscription.ok()) << subscription.error().message;
  events::v1::LabelEvent event;
  const bool told = ::tidewheel::testing::Eventually(std::chrono::seconds(20), [&] {
    const auto deliveries = (*subscription)->Poll(10, std::chrono::milliseconds(200));
    return deliveries.ok() && !deliveries->empty() &&
           event.ParseFromString(deliveries->front().message.payload);
  });
  ASSERT_TRUE(told);
  EXPECT_EQ(event.sample_id(), kSample);
  EXPECT_EQ(event.class_name(), "green");
}

TEST_F(AppTest, ABatchIsAnsweredAndCompletesByItselfAndOutcomesBecomeVotes) {
  ASSERT_TRUE(Migrate(config_).ok());
  config_.compute_after = std::chrono::milliseconds(0);
  App app(config_);
  const auto started = app.Start();
  ASSERT_TRUE(started.ok()) << started.error().message;
  const auto channel = rpc::OpenChannel(app.addresses().at("grpc"));
  const auto queue = v1::QueueService::NewStub(channel);

  v1::EnqueueBatchRequest enqueue;
  enqueue.set_batch_id("cycle-1");
  enqueue.set_task("lights");
  enqueue.add_items()->set_sample_id(kSample);
  v1::EnqueueBatchResponse enqueued;
  rpc::ClientContextWithDeadline enqueuing(std::chrono::seconds(10));
  const auto taken = queue->EnqueueBatch(&enqueuing, enqueue, &enqueued);
  ASSERT_TRUE(taken.ok()) << taken.error_message();
  v1::LeaseItemsRequest lease;
  lease.set_annotator("ann");
  v1::LeaseItemsResponse leased;
  rpc::ClientContextWithDeadline leasing(std::chrono::seconds(10));
  ASSERT_TRUE(queue->LeaseItems(&leasing, lease, &leased).ok());
  ASSERT_EQ(leased.items_size(), 1);
  v1::SubmitLeasedVotesRequest submit;
  submit.set_annotator("ann");
  submit.add_votes()->set_lease_id(leased.items(0).lease_id());
  submit.mutable_votes(0)->set_class_name("green");
  v1::SubmitLeasedVotesResponse submitted;
  rpc::ClientContextWithDeadline submitting(std::chrono::seconds(10));
  ASSERT_TRUE(queue->SubmitLeasedVotes(&submitting, submit, &submitted).ok());
  EXPECT_EQ(submitted.accepted(), 1U);
  v1::GetBatchResponse batch;
  EXPECT_TRUE(::tidewheel::testing::Eventually(std::chrono::seconds(20), [&] {
    v1::GetBatchRequest get;
    get.set_batch_id("cycle-1");
    rpc::ClientContextWithDeadline getting(std::chrono::seconds(10));
    return queue->GetBatch(&getting, get, &batch).ok() && batch.batch().state() == "complete";
  }));
  EXPECT_EQ(batch.batch().labels(), 1U);

  postgres::Pool admin({.dsn = database_.admin_dsn, .search_path = {}, .connections = 1});
  const auto captured = admin.InTransaction([](pqxx::work& tx) -> Result<void> {
    tx.exec_params("INSERT INTO ingestion.captured_requests_v1 VALUES ('lights', 'r-1', 0, $1)",
                   std::string(kSample));
    return {};
  });
  ASSERT_TRUE(captured.ok()) << captured.error().message;
  bus::BrokerOptions options;
  options.address = database_.DsnOf("tidewheel_inference");
  const auto broker = bus::OpenBroker(options);
  ASSERT_TRUE(broker.ok()) << broker.error().message;
  events::v1::OutcomeEvent outcome;
  outcome.set_task("lights");
  outcome.set_request_id("r-1");
  outcome.set_class_name("green");
  outcome.set_source("sensor");
  bus::Message message;
  message.topic = "tidewheel.outcomes";
  message.type = "outcome.recorded";
  message.key = "r-1";
  message.payload = outcome.SerializeAsString();
  const auto published = (*broker)->NewPublisher().value()->Publish({&message, 1});
  ASSERT_TRUE(published.ok()) << published.error().message;
  const auto labeling = v1::LabelingService::NewStub(channel);
  EXPECT_TRUE(::tidewheel::testing::Eventually(std::chrono::seconds(20), [&] {
    v1::GetLabelRequest get;
    get.set_sample_id(kSample);
    v1::GetLabelResponse label;
    rpc::ClientContextWithDeadline getting(std::chrono::seconds(10));
    return labeling->GetLabel(&getting, get, &label).ok() && label.label().votes() == 2;
  }));
}

TEST_F(AppTest, UnknownTaskIsNotFoundThroughTheRegistry) {
  ASSERT_TRUE(Migrate(config_).ok());
  App app(config_);
  ASSERT_TRUE(app.Start().ok());
  const auto stub = v1::LabelingService::NewStub(rpc::OpenChannel(app.addresses().at("grpc")));
  v1::SubmitVotesRequest submit;
  submit.set_task("signs");
  v1::SubmitVotesResponse submitted;
  rpc::ClientContextWithDeadline context(std::chrono::seconds(10));

  const auto status = stub->SubmitVotes(&context, submit, &submitted);

  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_NE(status.error_message().find("model-registry"), std::string::npos);
}

}  // namespace
}  // namespace tidewheel::labeling
