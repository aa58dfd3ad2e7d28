#include "tidewheel/rpc/server.h"

#include <gmock/gmock.h>
#include <grpc/health/v1/health.grpc.pb.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <optional>

#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/health.h"
#include "tidewheel/rpc/testing/echo_handler.h"

namespace tidewheel::rpc {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using std::chrono::milliseconds;
using testing::BlockingEcho;
using testing::CallbackEcho;
using testing::EchoRequest;
using testing::EchoResponse;
using testing::EchoService;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kEcho[] = "tidewheel.rpc.testing.EchoService";
constexpr milliseconds kLong{20'000};

/// With gRPC's own server at the door (false), and with ours before it.
class ServerTest : public ::testing::TestWithParam<bool> {
 protected:
  Server& Start(grpc::Service& service, ServerOptions options = {}) {
    if (GetParam()) {
      options.direct_methods = {
          {.path = "/of.no/Concern",
           .handle = [](const std::shared_ptr<DirectCall>& call) { call->Answer({}); }}};
    }
    server_ = std::make_unique<Server>(std::move(options), registry_);
    server_->Add(service);
    const auto started = server_->Start();
    EXPECT_TRUE(started.ok()) << (started ? "" : started.error().message);
    return *server_;
  }

  std::unique_ptr<EchoService::Stub> Stub(const ChannelOptions& options = {}) {
    return EchoService::NewStub(OpenChannel(server_->address(), options));
  }

  static grpc::Status Echo(EchoService::Stub& stub, EchoResponse* response, bool wait = false,
                           milliseconds limit = kLong) {
    ClientContextWithDeadline context(limit);
    EchoRequest request;
    request.set_text("hello");
    request.set_wait(wait);
    return stub.Echo(&context, request, response);
  }

  /// The state that health tells; nothing when the call failed.
  std::optional<HealthCheckResponse::ServingStatus> Ask(const std::string& service = "") {
    const auto stub = Health::NewStub(OpenChannel(server_->address()));
    ClientContextWithDeadline context(kLong);
    HealthCheckRequest request;
    request.set_service(service);
    HealthCheckResponse response;
    if (!stub->Check(&context, request, &response).ok()) return std::nullopt;
    return response.status();
  }

  metrics::Registry registry_{"test"};
  BlockingEcho echo_;
  std::unique_ptr<Server> server_;  // Stops before what it serves.
};

TEST_P(ServerTest, AnswersAndCountsCalls) {
  Start(echo_);
  EXPECT_THAT(server_->services(), ElementsAre(kEcho));
  EchoResponse response;
  const auto status = Echo(*Stub(), &response);

  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.text(), "hello");
  server_->Shutdown();  // The last call's figures are there once it is over.
  const std::string text = registry_.Text();
  const std::string labels = "method=\"Echo\",service=\"tidewheel.rpc.testing.EchoService\"}";
  EXPECT_THAT(text, HasSubstr("tidewheel_rpc_calls_started_total{" + labels + " 1\n"));
  EXPECT_THAT(text, HasSubstr("tidewheel_rpc_calls_handled_total{code=\"OK\"," + labels + " 1\n"));
  EXPECT_THAT(text, HasSubstr("tidewheel_rpc_call_seconds_count{" + labels + " 1\n"));
}

TEST_P(ServerTest, WhatClientsSendNeverBecomesALabel) {
  Start(echo_);
  grpc::GenericStub stub(OpenChannel(server_->address()));
  grpc::CompletionQueue queue;
  ClientContextWithDeadline context(kLong);
  const grpc::ByteBuffer request(nullptr, 0);
  const auto call = stub.PrepareUnaryCall(&context, "/evil.Service/Method", request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));

  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  server_->Shutdown();
  EXPECT_THAT(registry_.Text(), Not(HasSubstr("evil")));
}

TEST_P(ServerTest, HealthTellsTheServerAndEachService) {
  Start(echo_);
  EXPECT_EQ(Ask(), HealthCheckResponse::NOT_SERVING);
  server_->SetServing(true);
  EXPECT_EQ(Ask(), HealthCheckResponse::SERVING);
  EXPECT_EQ(Ask(kEcho), HealthCheckResponse::SERVING);
  server_->SetServing(kEcho, false);
  EXPECT_EQ(Ask(), HealthCheckResponse::SERVING);
  EXPECT_EQ(Ask(kEcho), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(Ask("no.such.Service"), std::nullopt);
}

TEST_P(ServerTest, WatchersSeeEachChangeAndAreLetGoAtTheEnd) {
  Start(echo_);
  const auto stub = Health::NewStub(OpenChannel(server_->address()));
  ClientContextWithDeadline context(kLong);
  const auto stream = stub->Watch(&context, HealthCheckRequest());
  HealthCheckResponse response;

  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  server_->SetServing(true);
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  const auto began = std::chrono::steady_clock::now();
  server_->Shutdown();
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(8));  // Not the drain's.
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_P(ServerTest, AWatcherOfAnUnknownServiceIsToldSoAndMayLeave) {
  Start(echo_);
  const auto stub = Health::NewStub(OpenChannel(server_->address()));
  ClientContextWithDeadline context(kLong);
  HealthCheckRequest request;
  request.set_service("no.such.Service");
  const auto stream = stub->Watch(&context, request);
  HealthCheckResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_P(ServerTest, AWatcherOfAnotherNameHearsOfAChangeAsSoonAsSomebodySaysSo) {
  std::atomic<bool> serves = false;
  ServerOptions options;
  options.other_health = [&](const std::string& name) -> std::optional<bool> {
    return name == "model" ? std::optional<bool>(serves) : std::nullopt;
  };
  options.other_health_every = std::chrono::hours{1};
  options.other_health_changed = std::make_shared<Pause>();
  Start(echo_, options);
  const auto stub = Health::NewStub(OpenChannel(server_->address()));
  ClientContextWithDeadline context(kLong);
  HealthCheckRequest request;
  request.set_service("model");
  const auto stream = stub->Watch(&context, request);
  HealthCheckResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  serves = true;
  options.other_health_changed->Wake();
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  context.TryCancel();
  stream->Finish();
  server_.reset();
  options.other_health_changed->Wake();  // Nobody is there any more.
}

TEST_P(ServerTest, ReflectionListsTheServices) {
  Start(echo_);
  grpc::GenericStub stub(OpenChannel(server_->address()));
  grpc::CompletionQueue queue;
  ClientContextWithDeadline context(kLong);
  const auto next = [&] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  const auto call = stub.PrepareCall(
      &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  call->StartCall(nullptr);
  ASSERT_TRUE(next());
  // ServerReflectionRequest{list_services: "*"}: field 7, one byte.
  const grpc::Slice bytes("\x3a\x01*", 3);
  call->Write(grpc::ByteBuffer(&bytes, 1), nullptr);
  ASSERT_TRUE(next());
  grpc::ByteBuffer answer;
  call->Read(&answer, nullptr);
  ASSERT_TRUE(next());
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(answer.Dump(&slices).ok());
  std::string text;
  for (const auto& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }

  EXPECT_THAT(text, HasSubstr(kEcho));
  EXPECT_THAT(text, HasSubstr("grpc.health.v1.Health"));
  context.TryCancel();
}

TEST_P(ServerTest, AnInternalErrorSaysNothingOutside) {
  Start(echo_);
  echo_.failures = 1;
  echo_.failure = {ErrorCode::kInternal, "table samples is gone"};
  ClientContextWithDeadline context(kLong);
  EchoResponse response;
  const auto status = Stub()->FailEcho(&context, EchoRequest(), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(status.error_message(), "internal error");
}

TEST_P(ServerTest, ACallInFlightIsFinishedBeforeTheEnd) {
  Start(echo_);
  EchoResponse response;
  auto call = std::async(std::launch::async, [&] { return Echo(*Stub(), &response, true); });
  echo_.WaitUntilHeld(1);
  auto shutdown = std::async(std::launch::async, [&] { server_->Shutdown(); });
  // Draining, it takes no new calls.
  EXPECT_EQ(shutdown.wait_for(milliseconds(50)), std::future_status::timeout);
  echo_.LetGo();

  EXPECT_TRUE(call.get().ok());
  EXPECT_EQ(response.text(), "hello");
  shutdown.get();
}

TEST_P(ServerTest, ACallThatOutlastsTheDrainIsCancelled) {
  ServerOptions options;
  options.drain = milliseconds(100);
  Start(echo_, options);
  EchoResponse response;
  ChannelOptions once;
  once.attempts = 1;
  auto call = std::async(std::launch::async,
                         [&, stub = Stub(once)] { return Echo(*stub, &response, true); });
  echo_.WaitUntilHeld(1);
  const auto began = std::chrono::steady_clock::now();
  server_->Shutdown();
  EXPECT_GE(std::chrono::steady_clock::now() - began, milliseconds(90));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
  EXPECT_FALSE(call.get().ok());
}

TEST_P(ServerTest, ADeadlineEndsTheCall) {
  Start(echo_);
  EchoResponse response;
  EXPECT_EQ(Echo(*Stub(), &response, true, milliseconds(50)).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_P(ServerTest, ControlCallsBeyondTheLimitAreRefused) {
  ServerOptions options;
  options.max_control_calls = 2;
  Start(echo_, options);
  EchoResponse first, second, third;
  auto call = std::async(std::launch::async, [&] { return Echo(*Stub(), &first, true); });
  auto other = std::async(std::launch::async, [&] { return Echo(*Stub(), &second, true); });
  echo_.WaitUntilHeld(2);
  EXPECT_EQ(Echo(*Stub(), &third).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  // Health needs no thread of that pool.
  EXPECT_EQ(Ask(), HealthCheckResponse::NOT_SERVING);
  echo_.LetGo();
  EXPECT_TRUE(call.get().ok());
  EXPECT_TRUE(other.get().ok());
}

TEST_P(ServerTest, CallsBeyondAConnectionsLimitWaitForTheirTurn) {
  ServerOptions options;
  options.max_connection_calls = 1;
  Start(echo_, options);
  const auto stub = Stub();
  EchoResponse first, second;
  auto call = std::async(std::launch::async, [&] { return Echo(*stub, &first, true); });
  echo_.WaitUntilHeld(1);
  EXPECT_EQ(Echo(*stub, &second, false, milliseconds(100)).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  echo_.LetGo();
  EXPECT_TRUE(call.get().ok());
  EXPECT_TRUE(Echo(*stub, &second).ok());
}

TEST_P(ServerTest, AMessageBeyondTheLimitIsRefused) {
  ServerOptions options;
  options.max_message = config::KiB(64);
  Start(echo_, options);
  ClientContextWithDeadline context(kLong);
  EchoRequest request;
  request.set_text(std::string(70'000, 'x'));
  EchoResponse response;
  EXPECT_EQ(Stub()->Echo(&context, request, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_P(ServerTest, ServesOnAUnixSocketAndOnTcpTogether) {
  const auto path =
      std::filesystem::path(::testing::TempDir()) / ("rpc-" + std::to_string(getpid()) + ".sock");
  ServerOptions options;
  options.listen = {"unix:" + path.string(), "127.0.0.1:0"};
  Start(echo_, options);
  ASSERT_EQ(server_->addresses().size(), 2U);
  EXPECT_EQ(server_->addresses()[0], "unix:" + path.string());
  EXPECT_THAT(server_->addresses()[1], Not(::testing::EndsWith(":0")));
  for (const auto& address : server_->addresses()) {
    const auto stub = EchoService::NewStub(OpenChannel(address));
    EchoResponse response;
    EXPECT_TRUE(Echo(*stub, &response).ok()) << address;
  }
}

TEST_P(ServerTest, AnAddressThatCannotBeBoundIsNamed) {
  Start(echo_);
  BlockingEcho echo;
  ServerOptions options;
  options.listen = {"127.0.0.1:0", server_->address()};
  Server second(options, registry_);
  second.Add(echo);
  const auto started = second.Start();
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(started.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(started.error().message, HasSubstr(server_->address()));
}

TEST_P(ServerTest, TheCallersTraceReachesABlockingHandlersThread) {
  Start(echo_);
  log::Trace mine = log::NewTrace();
  mine.request_id = "r-1";
  EchoResponse response;
  {
    const log::Context context(mine);
    ASSERT_TRUE(Echo(*Stub(), &response).ok());
  }
  const auto seen = log::ParseTraceParent(response.traceparent());
  ASSERT_TRUE(seen.has_value());
  EXPECT_EQ(seen->trace_id, mine.trace_id);
  EXPECT_NE(seen->span_id, mine.span_id);
  EXPECT_EQ(response.request_id(), "r-1");

  // Without one, the server makes one, and a call leaves nothing behind for the next.
  EchoResponse next;
  ASSERT_TRUE(Echo(*Stub(), &next).ok());
  const auto made = log::ParseTraceParent(next.traceparent());
  ASSERT_TRUE(made.has_value());
  EXPECT_NE(made->trace_id, mine.trace_id);
  EXPECT_EQ(next.request_id(), "");
}

TEST_P(ServerTest, ACallbackHandlerReadsItsTraceFromTheCall) {
  CallbackEcho echo;
  Start(echo);
  const log::Trace mine = log::NewTrace();
  EchoResponse response, unasked;
  {
    const log::Context context(mine);
    ASSERT_TRUE(Echo(*Stub(), &response).ok());
  }
  ASSERT_TRUE(Echo(*Stub(), &unasked).ok());
  EXPECT_EQ(log::ParseTraceParent(response.traceparent())->trace_id, mine.trace_id);
  EXPECT_EQ(log::ParseTraceParent(unasked.traceparent())->trace_id.size(), 32U);
  EXPECT_FALSE(echo.thread_had_trace);  // Its thread serves many calls at once.
  server_->Shutdown();
}

TEST_P(ServerTest, TheProbeLetsTheServerServeOnlyWhileItsDependenciesAnswer) {
  Start(echo_);
  std::atomic<bool> well{false};
  const HealthProbe probe(*server_,
                          {{"postgres",
                            [&]() -> Result<void> {
                              if (well) return {};
                              return Error{ErrorCode::kUnavailable, "no connection"};
                            }}},
                          milliseconds(5));
  const auto becomes = [&](HealthCheckResponse::ServingStatus wanted) {
    const auto deadline = std::chrono::steady_clock::now() + kLong;
    while (std::chrono::steady_clock::now() < deadline) {
      if (Ask() == wanted) return true;
    }
    return false;
  };
  EXPECT_FALSE(WaitUntilServing(server_->address(), milliseconds(50)).ok());
  well = true;
  EXPECT_TRUE(WaitUntilServing(server_->address(), kLong).ok());
  well = false;
  EXPECT_TRUE(becomes(HealthCheckResponse::NOT_SERVING));
  well = true;
  EXPECT_TRUE(becomes(HealthCheckResponse::SERVING));
}

TEST_P(ServerTest, ShutdownTwiceAndWithoutAStartIsFine) {
  Start(echo_);
  server_->Shutdown();
  server_->Shutdown();
  Server never({}, registry_);
  never.Shutdown();
}

INSTANTIATE_TEST_SUITE_P(, ServerTest, ::testing::Bool(),
                         [](const auto& with) { return with.param ? "BehindOurs" : "Alone"; });

}  // namespace
}  // namespace tidewheel::rpc
