#include "tidewheel/training/api/cycle_handler.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <thread>

#include "tidewheel/metrics/registry.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/server.h"
#include "tidewheel/training/domain/fake_callees.h"
#include "tidewheel/training/domain/fake_cycle_store.h"

namespace tidewheel::training {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class CycleHandlerTest : public ::testing::Test {
 protected:
  CycleHandlerTest() {
    server_.Add(handler_);
    const auto started = server_.Start();
    EXPECT_TRUE(started.ok());
    stub_ = v1::CycleService::NewStub(rpc::OpenChannel(server_.address()));
  }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::CycleService::Stub::*rpc)(grpc::ClientContext*,
                                                                const Request&, Response*),
                    const Request& request, Response* response) {
    rpc::ClientContextWithDeadline context(seconds(10));
    return ((*stub_).*rpc)(&context, request, response);
  }
  v1::StartCycleResponse Start(const std::string& request_id = "r") {
    v1::StartCycleRequest request;
    request.set_request_id(request_id);
    request.set_task("lights");
    request.set_actor("ann");
    v1::StartCycleResponse response;
    const auto status = Call(&v1::CycleService::Stub::StartCycle, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  FakeCycleStore store_;
  FakePlatform platform_;
  SystemClock clock_;
  CycleStarter starter_{store_, platform_, platform_, clock_};
  CycleHandler handler_{starter_, store_, clock_, milliseconds(100)};
  metrics::Registry metrics_{"training"};
  rpc::Server server_{{}, metrics_};
  std::unique_ptr<v1::CycleService::Stub> stub_;
};

TEST_F(CycleHandlerTest, ARepeatedStartReturnsTheCycleAndAnotherOneIsRefusedByName) {
  const auto first = Start();
  const auto again = Start();
  EXPECT_TRUE(first.created());
  EXPECT_FALSE(again.created());
  EXPECT_EQ(first.cycle().cycle_id(), again.cycle().cycle_id());
  EXPECT_EQ(first.cycle().state(), v1::CYCLE_STATE_TRIGGERED);
  EXPECT_EQ(first.cycle().trigger(), "hand");

  v1::StartCycleRequest request;
  request.set_request_id("other");
  request.set_task("lights");
  v1::StartCycleResponse response;
  auto status = Call(&v1::CycleService::Stub::StartCycle, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr(first.cycle().cycle_id()));
  request.set_task("signs");
  status = Call(&v1::CycleService::Stub::StartCycle, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);

  v1::ListDecisionsResponse decisions;
  ASSERT_TRUE(
      Call(&v1::CycleService::Stub::ListDecisions, v1::ListDecisionsRequest(), &decisions).ok());
  ASSERT_EQ(decisions.decisions_size(), 2);
  EXPECT_EQ(decisions.decisions(0).outcome(), "not_started");
  EXPECT_EQ(decisions.decisions(0).because(), "cycle_running");
  EXPECT_EQ(decisions.decisions(1).cycle_id(), first.cycle().cycle_id());
}

TEST_F(CycleHandlerTest, TellsEverythingOfACycle) {
  const std::string id = Start().cycle().cycle_id();
  Cycle& cycle = store_.Get(id);
  cycle.labels = 80;
  cycle.cpu_seconds = 12.5;
  cycle.gain = 0.4;
  cycle.harmed_requests = 3;
  cycle.acquired = {{"random", 4}};
  cycle.criteria = {
      {.name = "better_on_new", .verdict = GateVerdict::kPass, .reason = "won", .samples = 30}};
  cycle.steps[0].details["baseline"] = "model-1";
  store_.samples[id] = {{"sample-1", "req", 2, "random", 0.5, 0.1},
                        {"sample-2", "req", 3, "drifted"}};

  v1::GetCycleRequest request;
  request.set_cycle_id(id);
  v1::GetCycleResponse response;
  ASSERT_TRUE(Call(&v1::CycleService::Stub::GetCycle, request, &response).ok());
  EXPECT_EQ(response.cycle().cost().labels(), 80U);
  EXPECT_EQ(response.cycle().gain(), 0.4);
  EXPECT_FALSE(response.cycle().has_gain_low());
  EXPECT_EQ(response.cycle().acquired().at("random"), 4U);
  ASSERT_EQ(response.cycle().criteria_size(), 1);
  EXPECT_EQ(response.cycle().criteria(0).verdict(), model_registry::v1::GATE_VERDICT_PASS);
  EXPECT_EQ(response.cycle().steps(0).details().at("baseline"), "model-1");
  request.set_cycle_id("gone");
  EXPECT_EQ(Call(&v1::CycleService::Stub::GetCycle, request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);

  v1::ListCycleSamplesRequest asked;
  asked.set_cycle_id(id);
  asked.set_page_size(1);
  v1::ListCycleSamplesResponse samples;
  ASSERT_TRUE(Call(&v1::CycleService::Stub::ListCycleSamples, asked, &samples).ok());
  ASSERT_EQ(samples.samples_size(), 1);
  EXPECT_EQ(samples.samples(0).inclusion_probability(), 0.1);
  asked.set_page_token(samples.next_page_token());
  v1::ListCycleSamplesResponse rest;
  ASSERT_TRUE(Call(&v1::CycleService::Stub::ListCycleSamples, asked, &rest).ok());
  ASSERT_EQ(rest.samples_size(), 1);
  EXPECT_EQ(rest.samples(0).sample_id(), "sample-2");
  EXPECT_TRUE(rest.next_page_token().empty());
}

TEST_F(CycleHandlerTest, PausesResumesCancelsAndRetries) {
  const std::string id = Start().cycle().cycle_id();
  v1::PauseCycleRequest pause;
  pause.set_cycle_id(id);
  pause.set_actor("bob");
  pause.set_reason("lunch");
  v1::PauseCycleResponse paused;
  ASSERT_TRUE(Call(&v1::CycleService::Stub::PauseCycle, pause, &paused).ok());
  EXPECT_TRUE(paused.cycle().paused());
  v1::ResumeCycleRequest resume;
  resume.set_cycle_id(id);
  v1::ResumeCycleResponse resumed;
  ASSERT_TRUE(Call(&v1::CycleService::Stub::ResumeCycle, resume, &resumed).ok());
  EXPECT_FALSE(resumed.cycle().paused());

  v1::RetryCycleRequest retry;
  retry.set_cycle_id(id);
  v1::RetryCycleResponse retried;
  EXPECT_EQ(Call(&v1::CycleService::Stub::RetryCycle, retry, &retried).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);

  v1::CancelCycleRequest cancel;
  cancel.set_cycle_id(id);
  cancel.set_actor("ann");
  cancel.set_reason("enough");
  v1::CancelCycleResponse cancelled;
  // Nobody drives it here: the answer says that it is asked for.
  ASSERT_TRUE(Call(&v1::CycleService::Stub::CancelCycle, cancel, &cancelled).ok());
  EXPECT_TRUE(store_.Get(id).cancel_requested);
  EXPECT_EQ(store_.Get(id).cancel_reason, "cancelled by ann: enough");

  std::vector<std::string> told;
  for (const auto& decision : cancelled.cycle().decisions()) {
    told.push_back(decision.outcome() + " by " + decision.actor() + ": " + decision.reason());
  }
  EXPECT_THAT(told, ::testing::ElementsAre(HasSubstr("started by ann"), "paused by bob: lunch",
                                           "resumed by : ", "cancelled by ann: enough"));
}

TEST_F(CycleHandlerTest, RefusesAnActorThatIsNoName) {
  v1::PauseCycleRequest pause;
  pause.set_cycle_id(Start().cycle().cycle_id());
  v1::PauseCycleResponse paused;
  for (const std::string& actor : {std::string(257, 'a'), std::string("a\0b", 3)}) {
    pause.set_actor(actor);
    const auto status = Call(&v1::CycleService::Stub::PauseCycle, pause, &paused);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr("actor"));
  }
  EXPECT_FALSE(store_.Get(pause.cycle_id()).paused);
}

TEST_F(CycleHandlerTest, AWatcherSeesTheEndOfTheCycle) {
  const std::string id = Start().cycle().cycle_id();
  store_.Get(id).state = CycleState::kPromoted;
  v1::WatchCycleRequest request;
  request.set_cycle_id(id);
  rpc::ClientContextWithDeadline context(seconds(10));
  const auto stream = stub_->WatchCycle(&context, request);
  v1::WatchCycleResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.cycle().state(), v1::CYCLE_STATE_PROMOTED);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(CycleHandlerTest, ListsByTaskAndStateAndRefusesANegativePage) {
  Start();
  v1::ListCyclesRequest request;
  v1::ListCyclesResponse response;
  request.set_state(v1::CYCLE_STATE_PROMOTED);
  ASSERT_TRUE(Call(&v1::CycleService::Stub::ListCycles, request, &response).ok());
  EXPECT_EQ(response.cycles_size(), 0);
  request.set_state(v1::CYCLE_STATE_UNSPECIFIED);
  ASSERT_TRUE(Call(&v1::CycleService::Stub::ListCycles, request, &response).ok());
  EXPECT_EQ(response.cycles_size(), 1);
  request.set_page_size(-1);
  EXPECT_EQ(Call(&v1::CycleService::Stub::ListCycles, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace tidewheel::training
