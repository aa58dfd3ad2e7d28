#include "tidewheel/monitoring/api/alert_rpcs.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "tidewheel/base/ids.h"
#include "tidewheel/monitoring/domain/testing/fake_alert_store.h"
#include "tidewheel/monitoring/domain/testing/made_up_traffic.h"

namespace tidewheel::monitoring {
namespace {

using ::testing::HasSubstr;

class FakeComparisonStore final : public ComparisonStore {
 public:
  Result<bool> Add(const ComparisonPlan& plan) override {
    return stored.emplace(plan.id, Stored{plan, "undecided", "", plan.started_at}).second;
  }
  Result<std::optional<Stored>> FindComparison(const std::string& id) override {
    const auto found = stored.find(id);
    if (found == stored.end()) return std::optional<Stored>();
    return std::optional<Stored>(found->second);
  }
  Result<Page<Stored>> ListComparisons(const std::string& /*task*/,
                                       const PageRequest& /*page*/) override {
    Page<Stored> page;
    for (const auto& [id, each] : stored) page.items.push_back(each);
    return page;
  }
  Result<ComparisonCounts> Count(const ComparisonPlan& /*plan*/) override { return counts; }
  Result<void> Decide(const std::string& id, const std::string& verdict, const std::string& reason,
                      Timestamp /*at*/) override {
    stored[id].verdict = verdict;
    stored[id].reason = reason;
    return {};
  }
  std::map<std::string, Stored> stored;
  ComparisonCounts counts;
};

class AlertRpcsTest : public ::testing::Test {
 protected:
  AlertRpcsTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&rpcs_);
    server_ = builder.BuildAndStart();
    stub_ = v1::MonitoringService::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                                                               grpc::InsecureChannelCredentials()));
    MonitoringPolicy policy;
    policy.window_predictions = 50;
    MadeUpTraffic traffic(1);
    for (std::uint64_t w = 1; w <= 2; ++w) {
      EXPECT_TRUE(keeper_
                      .OnWindow(traffic.Window(w, 50, MadeUpTraffic::Change::kTurned),
                                &traffic.profile(), policy)
                      .ok());
    }
  }
  ~AlertRpcsTest() override { server_->Shutdown(); }

  template <typename Request, typename Response, typename Call>
  grpc::Status Ask(Call call, const Request& request, Response* response) {
    grpc::ClientContext context;
    return (stub_.get()->*call)(&context, request, response);
  }

  SystemClock clock_;
  FakeAlertStore store_;
  AlertKeeper keeper_{store_, clock_};
  FakeComparisonStore comparison_store_;
  ComparisonDesk desk_{comparison_store_, clock_};
  AlertRpcs rpcs_{AlertRpcs::Parts{&store_, &keeper_, &desk_, &clock_}};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::MonitoringService::Stub> stub_;
};

TEST_F(AlertRpcsTest, AnAlertIsListedShownAcknowledgedMutedAndResolved) {
  v1::ListAlertsRequest list;
  list.set_state(v1::ALERT_STATE_RAISED);
  v1::ListAlertsResponse listed;
  ASSERT_TRUE(Ask(&v1::MonitoringService::Stub::ListAlerts, list, &listed).ok());
  ASSERT_EQ(listed.alerts_size(), 1);
  const std::string id = listed.alerts(0).alert_id();

  v1::GetAlertRequest get;
  get.set_alert_id(id);
  v1::GetAlertResponse got;
  ASSERT_TRUE(Ask(&v1::MonitoringService::Stub::GetAlert, get, &got).ok());
  EXPECT_EQ(got.alert().cause(), "data_drift");
  EXPECT_GT(got.alert().histograms_size(), 0);
  EXPECT_GT(got.alert().findings_size(), 0);
  EXPECT_NE(got.alert().findings(0).kind(), v1::FINDING_KIND_UNSPECIFIED);
  EXPECT_GT(got.alert().damage(), 0.1);

  v1::AcknowledgeAlertRequest acknowledge;
  acknowledge.set_alert_id(id);
  v1::AcknowledgeAlertResponse acknowledged;
  EXPECT_EQ(
      Ask(&v1::MonitoringService::Stub::AcknowledgeAlert, acknowledge, &acknowledged).error_code(),
      grpc::StatusCode::INVALID_ARGUMENT);  // By nobody.
  acknowledge.set_actor("ada");
  ASSERT_TRUE(Ask(&v1::MonitoringService::Stub::AcknowledgeAlert, acknowledge, &acknowledged).ok());
  EXPECT_EQ(acknowledged.alert().state(), v1::ALERT_STATE_ACKNOWLEDGED);

  v1::MuteAlertRequest mute;
  mute.set_alert_id(id);
  mute.set_actor("ada");
  mute.set_seconds(-1);
  v1::MuteAlertResponse muted;
  EXPECT_EQ(Ask(&v1::MonitoringService::Stub::MuteAlert, mute, &muted).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  mute.set_seconds(60);
  ASSERT_TRUE(Ask(&v1::MonitoringService::Stub::MuteAlert, mute, &muted).ok());
  EXPECT_TRUE(muted.alert().muted());

  v1::ResolveAlertRequest resolve;
  resolve.set_alert_id(id);
  resolve.set_actor("ada");
  resolve.set_reason("turned back");
  v1::ResolveAlertResponse resolved;
  ASSERT_TRUE(Ask(&v1::MonitoringService::Stub::ResolveAlert, resolve, &resolved).ok());
  EXPECT_THAT(resolved.alert().resolution(), HasSubstr("turned back"));
  EXPECT_EQ(
      Ask(&v1::MonitoringService::Stub::AcknowledgeAlert, acknowledge, &acknowledged).error_code(),
      grpc::StatusCode::FAILED_PRECONDITION);
  get.set_alert_id("none");
  EXPECT_EQ(Ask(&v1::MonitoringService::Stub::GetAlert, get, &got).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(AlertRpcsTest, FindingsAreListedAndBadQuestionsRefused) {
  v1::ListFindingsRequest list;
  list.set_firing_only(true);
  v1::ListFindingsResponse listed;
  ASSERT_TRUE(Ask(&v1::MonitoringService::Stub::ListFindings, list, &listed).ok());
  ASSERT_GT(listed.findings_size(), 0);
  EXPECT_TRUE(listed.findings(0).fires());
  list.set_page_size(-1);
  EXPECT_EQ(Ask(&v1::MonitoringService::Stub::ListFindings, list, &listed).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  list.set_page_size(0);
  list.set_kind(static_cast<v1::FindingKind>(99));
  EXPECT_EQ(Ask(&v1::MonitoringService::Stub::ListFindings, list, &listed).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(AlertRpcsTest, ComparisonsAreStartedOnceAndTheirVerdictStays) {
  v1::StartComparisonRequest start;
  start.set_comparison_id(NewUuid());
  start.set_task("lights");
  start.set_candidate_model_version_id("b");
  start.set_baseline_model_version_id("a");
  start.set_stage("canary");
  start.set_max_accuracy_loss(0.02);
  v1::StartComparisonResponse started;
  ASSERT_TRUE(Ask(&v1::MonitoringService::Stub::StartComparison, start, &started).ok());
  EXPECT_TRUE(started.created());
  EXPECT_EQ(started.comparison().verdict(), "undecided");
  ASSERT_TRUE(Ask(&v1::MonitoringService::Stub::StartComparison, start, &started).ok());
  EXPECT_FALSE(started.created());

  comparison_store_.counts.candidate.outcomes = 100;
  comparison_store_.counts.baseline.outcomes = 100;
  comparison_store_.counts.baseline.correct = 99;
  v1::GetComparisonRequest get;
  get.set_comparison_id(start.comparison_id());
  v1::GetComparisonResponse got;
  ASSERT_TRUE(Ask(&v1::MonitoringService::Stub::GetComparison, get, &got).ok());
  EXPECT_EQ(got.comparison().verdict(), "harmful");
  EXPECT_LT(got.comparison().accuracy_high(), -0.5);
  comparison_store_.counts = {};
  ASSERT_TRUE(Ask(&v1::MonitoringService::Stub::GetComparison, get, &got).ok());
  EXPECT_EQ(got.comparison().verdict(), "harmful");

  start.set_stage("live");
  EXPECT_EQ(Ask(&v1::MonitoringService::Stub::StartComparison, start, &started).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  v1::ListComparisonsRequest list;
  v1::ListComparisonsResponse listed;
  ASSERT_TRUE(Ask(&v1::MonitoringService::Stub::ListComparisons, list, &listed).ok());
  EXPECT_EQ(listed.comparisons_size(), 1);
}

}  // namespace
}  // namespace tidewheel::monitoring
