#include "tidewheel/monitoring/api/monitoring_handler.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "tidewheel/metrics/registry.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/server.h"

namespace tidewheel::monitoring {
namespace {

using ::testing::HasSubstr;

/// What a store answers, without one.
class AnsweringStore final : public MonitoringStore {
 public:
  Result<std::size_t> AddPredictions(std::span<const Prediction> /*predictions*/,
                                     const Policies& /*policies*/) override {
    return std::size_t{0};
  }
  Result<std::size_t> AddFailures(std::span<const Failure> /*failures*/,
                                  const Policies& /*policies*/) override {
    return std::size_t{0};
  }
  Result<std::size_t> AddOutcomes(std::span<const Outcome> /*outcomes*/) override {
    return std::size_t{0};
  }
  Result<std::optional<Prediction>> FindPrediction(const std::string& request_id,
                                                   std::uint32_t index) override {
    if (away) return Error{ErrorCode::kUnavailable, "PostgreSQL is away"};
    if (prediction && prediction->request_id == request_id && prediction->index == index) {
      return prediction;
    }
    return std::optional<Prediction>();
  }
  Result<Page<Window>> ListWindows(const WindowFilter& filter, const PageRequest& page) override {
    asked_model = filter.model;
    asked_filter = filter;
    asked_page = page;
    return windows;
  }
  Result<Page<ModelSummary>> ListSummaries(const std::string& task,
                                           const PageRequest& page) override {
    asked_model = {task, ""};
    asked_page = page;
    return summaries;
  }
  Result<std::vector<LabelDelay>> ListLabelDelays() override { return std::vector<LabelDelay>{}; }
  Result<std::vector<TaskActivity>> ListActivity() override { return std::vector<TaskActivity>{}; }
  Result<std::vector<std::string>> ListSlices(const ModelKey& /*model*/) override {
    return std::vector<std::string>{};
  }
  Result<WindowRows> ReadWindow(const WindowKey& /*key*/) override { return WindowRows{}; }
  Result<void> NoteWindow(const WindowKey& /*key*/, const WindowNote& /*note*/) override {
    return {};
  }
  Result<RankCandidates> FindCandidates(const RankQuery& query, std::size_t /*at_most*/) override {
    asked_rank = query;
    return candidates;
  }
  Result<std::uint64_t> Forget(Timestamp /*before*/) override { return std::uint64_t{0}; }

  bool away = false;
  std::optional<Prediction> prediction;
  Page<Window> windows;
  Page<ModelSummary> summaries;
  RankCandidates candidates;
  ModelKey asked_model;
  WindowFilter asked_filter;
  RankQuery asked_rank;
  PageRequest asked_page;
};

class NoProfiles final : public ProfileSource {
 public:
  Result<std::shared_ptr<const Profile>> ProfileOf(const ModelKey& /*model*/) override {
    return std::shared_ptr<const Profile>();
  }
};

/// The handler behind a real server.
class MonitoringHandlerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.Add(handler_);
    const auto started = server_.Start();
    ASSERT_TRUE(started.ok()) << started.error().message;
    stub_ = v1::MonitoringService::NewStub(rpc::OpenChannel(server_.address()));
  }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::MonitoringService::Stub::*method)(grpc::ClientContext*,
                                                                        const Request&, Response*),
                    const Request& request, Response* response) {
    rpc::ClientContextWithDeadline context(std::chrono::seconds(20));
    return ((*stub_).*method)(&context, request, response);
  }

  metrics::Registry metrics_{"monitoring"};
  AnsweringStore store_;
  NoProfiles profiles_;
  MonitoringHandler handler_{store_, profiles_};
  rpc::Server server_{rpc::ServerOptions{}, metrics_};
  std::unique_ptr<v1::MonitoringService::Stub> stub_;
};

TEST_F(MonitoringHandlerTest, TellsAStoredPredictionWithItsOutcome) {
  Prediction prediction;
  prediction.request_id = "r-1";
  prediction.index = 2;
  prediction.model = {"lights", "model-1"};
  prediction.classes =
      std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"red", "green"});
  prediction.confidence = 0.75;
  prediction.probabilities = {0.75F, 0.25F};
  prediction.measures = {{"luminance", 0.5}};
  prediction.outcome_class_name = "green";
  store_.prediction = prediction;

  v1::GetPredictionRequest request;
  request.set_request_id("r-1");
  request.set_index(2);
  v1::GetPredictionResponse response;
  ASSERT_TRUE(Call(&v1::MonitoringService::Stub::GetPrediction, request, &response).ok());

  const auto& told = response.prediction();
  EXPECT_EQ(told.task() + "/" + told.model_version_id(), "lights/model-1");
  EXPECT_EQ(told.class_name(), "red");
  EXPECT_EQ(told.probabilities_size(), 2);
  EXPECT_EQ(told.measures().at("luminance"), 0.5);
  EXPECT_EQ(told.outcome_class_name(), "green");
  EXPECT_FALSE(told.has_outcome_at());
}

TEST_F(MonitoringHandlerTest, NamesThePredictionThatIsNotThere) {
  v1::GetPredictionRequest request;
  request.set_request_id("nobody");
  request.set_index(7);
  v1::GetPredictionResponse response;

  const auto status = Call(&v1::MonitoringService::Stub::GetPrediction, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("nobody at 7"));
}

TEST_F(MonitoringHandlerTest, SaysWhenTheStoreIsAway) {
  store_.away = true;
  v1::GetPredictionResponse response;

  rpc::ChannelOptions once;
  once.attempts = 1;
  stub_ = v1::MonitoringService::NewStub(rpc::OpenChannel(server_.address(), once));
  const auto status = Call(&v1::MonitoringService::Stub::GetPrediction, {}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(MonitoringHandlerTest, GivesAccuracyOnlyWithOutcomesAndAlwaysWithItsInterval) {
  Window without;
  without.model = {"lights", "model-1"};
  without.kind = "count";
  without.number = 4;
  without.tally.predictions = 10;
  without.estimated_accuracy = 0.625;
  without.drift = {{"feature_drift", 1.5}};
  without.tally.by_class = {{"green", 4}, {"red", 6}};
  Window with = without;
  with.number = 3;
  with.tally.outcomes = 8;
  with.tally.correct = 6;
  store_.windows.items = {without, with};
  store_.windows.next_token = "more";

  v1::ListWindowsRequest request;
  request.set_task("lights");
  request.set_model_version_id("model-1");
  request.set_page_size(2);
  request.set_page_token("from here");
  v1::ListWindowsResponse response;
  ASSERT_TRUE(Call(&v1::MonitoringService::Stub::ListWindows, request, &response).ok());

  EXPECT_EQ(store_.asked_model.task, "lights");
  EXPECT_EQ(store_.asked_filter.kind, "count");
  EXPECT_EQ(response.windows(0).estimated_accuracy(), 0.625);
  EXPECT_EQ(response.windows(0).drift().at("feature_drift"), 1.5);
  EXPECT_EQ(store_.asked_page.size, 2U);
  EXPECT_EQ(store_.asked_page.token, "from here");
  EXPECT_EQ(response.next_page_token(), "more");
  ASSERT_EQ(response.windows_size(), 2);
  EXPECT_FALSE(response.windows(0).has_accuracy());
  EXPECT_EQ(response.windows(0).classes(1).share(), 0.6);
  EXPECT_EQ(response.windows(1).window_id(), "model-1/3");
  EXPECT_EQ(response.windows(1).accuracy(), 0.75);
  // Wilson's interval of 6 in 8.
  EXPECT_NEAR(response.windows(1).accuracy_low(), 0.409, 0.001);
  EXPECT_NEAR(response.windows(1).accuracy_high(), 0.929, 0.001);
}

TEST_F(MonitoringHandlerTest, ListsSummariesOfATask) {
  ModelSummary summary;
  summary.model = {"lights", "model-1"};
  summary.tally.predictions = 3;
  store_.summaries.items = {summary};

  v1::ListModelSummariesRequest request;
  request.set_task("lights");
  v1::ListModelSummariesResponse response;
  ASSERT_TRUE(Call(&v1::MonitoringService::Stub::ListModelSummaries, request, &response).ok());

  EXPECT_EQ(store_.asked_page.size, 100U);
  ASSERT_EQ(response.summaries_size(), 1);
  EXPECT_EQ(response.summaries(0).predictions(), 3U);
  EXPECT_FALSE(response.summaries(0).has_accuracy());
}

TEST_F(MonitoringHandlerTest, RefusesANegativePageSize) {
  v1::ListWindowsRequest windows;
  windows.set_page_size(-1);
  v1::ListWindowsResponse response;
  const auto status = Call(&v1::MonitoringService::Stub::ListWindows, windows, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("-1"));
}

TEST_F(MonitoringHandlerTest, RanksWhatIsWorthALabel) {
  for (int i = 0; i < 3; ++i) {
    RankCandidate candidate;
    candidate.model = {"lights", "model-1"};
    candidate.class_name = "red";
    candidate.row.request_id = "r-" + std::to_string(i);
    candidate.row.probabilities = {0.5F + 0.125F * static_cast<float>(i),
                                   0.5F - 0.125F * static_cast<float>(i)};
    candidate.row.slices = {"camera=north"};
    store_.candidates.items.push_back(candidate);
  }
  store_.candidates.items[0].row.quality_problems = {"blurred"};
  v1::RankPredictionsRequest request;
  request.set_task("lights");
  request.set_order(v1::PREDICTION_ORDER_UNCERTAIN);
  request.set_count(2);
  request.set_slice("camera=north");
  request.mutable_since()->set_seconds(5);
  v1::RankPredictionsResponse response;
  ASSERT_TRUE(Call(&v1::MonitoringService::Stub::RankPredictions, request, &response).ok());
  ASSERT_EQ(response.predictions_size(), 2);
  EXPECT_EQ(response.predictions(0).request_id(), "r-0");
  EXPECT_TRUE(response.predictions(0).quality_problem());
  EXPECT_EQ(response.predictions(0).score(), 1);
  EXPECT_EQ(response.predictions(1).confidence(), 0.625);
  EXPECT_EQ(response.predictions(1).slices(0), "camera=north");
  EXPECT_EQ(store_.asked_rank.slice, "camera=north");
  EXPECT_EQ(store_.asked_rank.since, Timestamp(std::chrono::seconds(5)));

  request.set_sound_only(true);
  response.Clear();
  ASSERT_TRUE(Call(&v1::MonitoringService::Stub::RankPredictions, request, &response).ok());
  EXPECT_EQ(response.predictions(0).request_id(), "r-1");
  request.set_count(10'001);
  EXPECT_EQ(Call(&v1::MonitoringService::Stub::RankPredictions, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(MonitoringHandlerTest, KnowsTwoKindsOfWindows) {
  v1::ListWindowsRequest request;
  request.set_kind("moon");
  v1::ListWindowsResponse response;
  EXPECT_EQ(Call(&v1::MonitoringService::Stub::ListWindows, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  request.set_kind("time");
  request.set_slice("camera=north");
  EXPECT_TRUE(Call(&v1::MonitoringService::Stub::ListWindows, request, &response).ok());
  EXPECT_EQ(store_.asked_filter.kind, "time");
  EXPECT_EQ(store_.asked_filter.slice, "camera=north");
}

}  // namespace
}  // namespace tidewheel::monitoring
