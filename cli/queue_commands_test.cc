// Runs the real binary's queue and alert commands against fake services behind real gRPC servers.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "tidewheel/cli/testing/command_runner.h"
#include "tidewheel/ingestion/v1/ingestion_service.grpc.pb.h"
#include "tidewheel/labeling/v1/queue_service.grpc.pb.h"
#include "tidewheel/monitoring/v1/monitoring_service.grpc.pb.h"

namespace tidewheel::cli {
namespace {

using grpc::ServerContext;
using grpc::Status;
using ::testing::HasSubstr;

constexpr char kSample[] = "0193a000-0000-7000-8000-000000000001";
constexpr char kLease[] = "0193a000-0000-7000-8000-000000000002";

class FakeQueue final : public labeling::v1::QueueService::Service {
 public:
  Status LeaseItems(ServerContext*, const labeling::v1::LeaseItemsRequest* request,
                    labeling::v1::LeaseItemsResponse* response) override {
    leased = *request;
    if (request->task() == "empty") return Status::OK;
    auto* item = response->add_items();
    item->set_lease_id(kLease);
    item->set_sample_id(kSample);
    item->set_task("lights");
    item->set_reason("drifted\x1b[2J");
    item->mutable_leased_until()->set_seconds(1'800'000'000);
    return Status::OK;
  }
  Status SubmitLeasedVotes(ServerContext*, const labeling::v1::SubmitLeasedVotesRequest* request,
                           labeling::v1::SubmitLeasedVotesResponse* response) override {
    submitted = *request;
    response->set_accepted(1);
    for (int i = 1; i < request->votes_size(); ++i) {
      auto* rejected = response->add_rejected();
      rejected->set_index(static_cast<std::uint32_t>(i));
      rejected->set_reason("batch b was cancelled");
    }
    return Status::OK;
  }
  Status ReleaseItems(ServerContext*, const labeling::v1::ReleaseItemsRequest* request,
                      labeling::v1::ReleaseItemsResponse* response) override {
    released = *request;
    response->set_released(1);
    return Status::OK;
  }
  Status ListBatches(ServerContext*, const labeling::v1::ListBatchesRequest* request,
                     labeling::v1::ListBatchesResponse* response) override {
    const int begin = request->page_token().empty() ? 0 : std::stoi(request->page_token());
    const int end = std::min(begin + std::min(request->page_size(), 2), 5);
    for (int i = begin; i < end; ++i) {
      response->add_batches()->set_batch_id("batch-" + std::to_string(i));
    }
    if (end < 5) response->set_next_page_token(std::to_string(end));
    return Status::OK;
  }

  labeling::v1::LeaseItemsRequest leased;
  labeling::v1::SubmitLeasedVotesRequest submitted;
  labeling::v1::ReleaseItemsRequest released;
};

class FakeIngestion final : public ingestion::v1::IngestionService::Service {
 public:
  Status GetSamplePayload(ServerContext*, const ingestion::v1::GetSamplePayloadRequest*,
                          ingestion::v1::GetSamplePayloadResponse* response) override {
    response->set_payload("a picture");
    response->set_content_type("image/png");
    return Status::OK;
  }
};

class FakeMonitoring final : public monitoring::v1::MonitoringService::Service {
 public:
  Status ListAlerts(ServerContext*, const monitoring::v1::ListAlertsRequest* request,
                    monitoring::v1::ListAlertsResponse* response) override {
    state = request->state();
    Fill(response->add_alerts());
    return Status::OK;
  }
  Status GetAlert(ServerContext*, const monitoring::v1::GetAlertRequest*,
                  monitoring::v1::GetAlertResponse* response) override {
    Fill(response->mutable_alert());
    auto* histogram = response->mutable_alert()->add_histograms();
    histogram->set_subject("luminance_mean");
    for (const double bound : {0.0, 0.5, 1.0}) histogram->add_bounds(bound);
    for (const double share : {0.75, 0.25}) histogram->add_reference_shares(share);
    for (const double share : {0.125, 0.875}) histogram->add_current_shares(share);
    return Status::OK;
  }
  Status MuteAlert(ServerContext*, const monitoring::v1::MuteAlertRequest* request,
                   monitoring::v1::MuteAlertResponse* response) override {
    muted = *request;
    Fill(response->mutable_alert());
    return Status::OK;
  }
  Status ListFindings(ServerContext*, const monitoring::v1::ListFindingsRequest* request,
                      monitoring::v1::ListFindingsResponse* response) override {
    kind = request->kind();
    response->add_findings()->set_method("ks");
    return Status::OK;
  }

  monitoring::v1::AlertState state{};
  monitoring::v1::FindingKind kind{};
  monitoring::v1::MuteAlertRequest muted;

 private:
  static void Fill(monitoring::v1::Alert* alert) {
    alert->set_alert_id("alert-1");
    alert->set_cause("data_drift");
    alert->set_state(monitoring::v1::ALERT_STATE_RAISED);
    alert->set_damage(0.125);
    alert->set_title("lights are turned");
  }
};

class QueueCommandsTest : public ::testing::Test {
 protected:
  QueueCommandsTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&queue_);
    builder.RegisterService(&ingestion_);
    builder.RegisterService(&monitoring_);
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
  }

  CommandOutcome Run(std::vector<std::string> arguments) {
    for (const char* service : {"labeling", "ingestion", "monitoring"}) {
      arguments.push_back("--address");
      arguments.push_back(std::string(service) + "=" + address_);
    }
    return runner_.Run(std::move(arguments));
  }

  CommandRunner runner_;
  FakeQueue queue_;
  FakeIngestion ingestion_;
  FakeMonitoring monitoring_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(QueueCommandsTest, NextLeasesSamplesAndSavesThemToLookAt) {
  const auto outcome = Run(
      {"label", "next", "--task", "lights", "--as", "ann", "--count", "3", "--save", "to-judge"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(queue_.leased.annotator(), "ann");
  EXPECT_EQ(queue_.leased.count(), 3U);
  EXPECT_THAT(outcome.out, HasSubstr(kLease));
  EXPECT_THAT(outcome.out, HasSubstr(R"(drifted\x1B[2J)"));
  std::ifstream file(runner_.folder() / "to-judge" / (std::string(kLease) + ".png"));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "a picture");

  const auto json = Run({"label", "next", "--save", "to-judge", "--json"});
  EXPECT_EQ(TextAt(json.Json(), {"items", "0", "lease_id"}), kLease);
  EXPECT_THAT(Run({"label", "next", "--task", "empty", "--as", "ann"}).out,
              HasSubstr("nothing waits for ann"));
}

TEST_F(QueueCommandsTest, SubmitTakesPairsAndTellsWhatWasRejected) {
  const auto outcome = Run({"label", "submit", "--as", "ann", kLease, "red", "l-2", "green"});
  EXPECT_EQ(outcome.status, 3);
  ASSERT_EQ(queue_.submitted.votes_size(), 2);
  EXPECT_EQ(queue_.submitted.votes(1).class_name(), "green");
  EXPECT_THAT(outcome.out, HasSubstr("1 accepted, 0 unchanged, 1 rejected"));
  EXPECT_THAT(outcome.err, HasSubstr("rejected l-2: batch b was cancelled"));
  EXPECT_EQ(Run({"label", "submit", "--as", "ann", kLease}).status, 1);
}

TEST_F(QueueCommandsTest, ReleaseCanSayThatNobodyCouldJudge) {
  EXPECT_EQ(Run({"label", "release", "--cannot-judge", "--as", "ann", kLease}).status, 0);
  EXPECT_TRUE(queue_.released.cannot_judge());
  EXPECT_EQ(Run({"label", "release", kLease, "l-2"}).status, 3);  // One of two.
}

TEST_F(QueueCommandsTest, BatchesPageByThemselves) {
  const auto all = Run({"label", "batches", "--limit", "0"});
  EXPECT_THAT(all.out, HasSubstr("batch-4"));
  const auto cut = Run({"label", "batches", "--limit", "3"});
  EXPECT_THAT(cut.out, ::testing::Not(HasSubstr("batch-3")));
  EXPECT_THAT(cut.err, HasSubstr("there are more"));
}

TEST_F(QueueCommandsTest, AlertsAreListedShownWithTheirHistogramsAndMuted) {
  const auto list = Run({"alerts", "list", "--state", "raised"});
  ASSERT_EQ(list.status, 0) << list.err;
  EXPECT_EQ(monitoring_.state, monitoring::v1::ALERT_STATE_RAISED);
  EXPECT_THAT(list.out, HasSubstr("data_drift"));
  EXPECT_THAT(list.out, HasSubstr("0.125"));

  const auto shown = Run({"alerts", "show", "alert-1"});
  ASSERT_EQ(shown.status, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("luminance_mean"));
  EXPECT_THAT(shown.out, HasSubstr("75.0 %"));
  EXPECT_THAT(shown.out, HasSubstr("87.5 %"));
  EXPECT_EQ(TextAt(Run({"alerts", "show", "alert-1", "--json"}).Json(), {"alert", "cause"}),
            "data_drift");

  EXPECT_EQ(Run({"alerts", "mute", "alert-1", "--seconds", "60", "--actor", "ann"}).status, 0);
  EXPECT_EQ(monitoring_.muted.actor(), "ann");
  EXPECT_EQ(monitoring_.muted.seconds(), 60);
}

TEST_F(QueueCommandsTest, FindingsCanBeOfOneKind) {
  EXPECT_EQ(Run({"findings", "--kind", "label_shift"}).status, 0);
  EXPECT_EQ(monitoring_.kind, monitoring::v1::FINDING_KIND_LABEL_SHIFT);
  const auto wrong = Run({"findings", "--kind", "magic"});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_THAT(wrong.err, HasSubstr("must be one of feature_drift"));
}

}  // namespace
}  // namespace tidewheel::cli
