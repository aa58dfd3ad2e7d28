#include "tidewheel/rpc/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <future>

#include "tidewheel/rpc/server.h"
#include "tidewheel/rpc/testing/echo_handler.h"

namespace tidewheel::rpc {
namespace {

using std::chrono::milliseconds;
using testing::BlockingEcho;
using testing::EchoRequest;
using testing::EchoResponse;
using testing::EchoService;
using ::testing::HasSubstr;

constexpr milliseconds kLong{20'000};

class ClientTest : public ::testing::Test {
 protected:
  std::unique_ptr<Server> Serve(const std::string& address) {
    ServerOptions options;
    options.listen = {address};
    auto server = std::make_unique<Server>(options, registry_);
    server->Add(echo_);
    const auto started = server->Start();
    EXPECT_TRUE(started.ok()) << (started ? "" : started.error().message);
    server->SetServing(true);
    return server;
  }

  grpc::Status FailEcho(const std::string& address, const ChannelOptions& options) {
    const auto stub = EchoService::NewStub(OpenChannel(address, options));
    ClientContextWithDeadline context(kLong);
    EchoResponse response;
    return stub->FailEcho(&context, EchoRequest(), &response);
  }

  std::string SocketAddress() const {
    const auto* const test = ::testing::UnitTest::GetInstance()->current_test_info();
    return "unix:" + (std::filesystem::path(::testing::TempDir()) /
                      (std::string(test->name()).substr(0, 20) + std::to_string(getpid())))
                         .string();
  }

  metrics::Registry registry_{"test"};
  BlockingEcho echo_;
};

TEST_F(ClientTest, ACallAnsweredUnavailableIsTriedAgain) {
  const auto server = Serve("127.0.0.1:0");
  echo_.failures = 2;
  EXPECT_TRUE(FailEcho(server->address(), {}).ok());
  EXPECT_EQ(echo_.asked, 3);
}

TEST_F(ClientTest, OtherErrorsAreNotTriedAgain) {
  const auto server = Serve("127.0.0.1:0");
  echo_.failures = 2;
  echo_.failure = {ErrorCode::kResourceExhausted, "full"};
  EXPECT_EQ(FailEcho(server->address(), {}).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(echo_.asked, 1);
}

TEST_F(ClientTest, RetriesCanBeKeptToSomeCallsOrTurnedOff) {
  const auto server = Serve("127.0.0.1:0");
  ChannelOptions options;
  options.retried = {"tidewheel.rpc.testing.EchoService/Echo"};
  echo_.failures = 1;
  EXPECT_FALSE(FailEcho(server->address(), options).ok());
  options.retried = {"tidewheel.rpc.testing.EchoService/FailEcho"};
  echo_.failures = 1;
  EXPECT_TRUE(FailEcho(server->address(), options).ok());
  options.retried.clear();
  options.attempts = 1;
  echo_.failures = 1;
  EXPECT_FALSE(FailEcho(server->address(), options).ok());
}

TEST_F(ClientTest, AServerThatComesLateIsWaitedFor) {
  const std::string address = SocketAddress();
  auto waiting = std::async(std::launch::async, [&] { return WaitUntilServing(address, kLong); });
  EXPECT_EQ(waiting.wait_for(milliseconds(50)), std::future_status::timeout);
  const auto server = Serve(address);
  const auto served = waiting.get();
  EXPECT_TRUE(served.ok()) << (served ? "" : served.error().message);
}

TEST_F(ClientTest, WaitingForNothingEndsAndSaysWhatWasAnsweredLast) {
  const auto nothing = WaitUntilServing(SocketAddress(), milliseconds(100));
  ASSERT_FALSE(nothing.ok());
  EXPECT_EQ(nothing.error().code, ErrorCode::kDeadlineExceeded);

  const auto server = Serve("127.0.0.1:0");
  server->SetServing(false);
  const auto not_yet = WaitUntilServing(server->address(), milliseconds(500));
  ASSERT_FALSE(not_yet.ok());
  EXPECT_THAT(not_yet.error().message, HasSubstr("NOT_SERVING"));
}

TEST_F(ClientTest, AChannelFindsAServerThatWasRestarted) {
  const std::string address = SocketAddress();
  auto server = Serve(address);
  const auto stub = EchoService::NewStub(OpenChannel(address));
  const auto call = [&] {
    ClientContextWithDeadline context(kLong);
    context.set_wait_for_ready(true);
    EchoResponse response;
    return stub->Echo(&context, EchoRequest(), &response);
  };
  ASSERT_TRUE(call().ok());
  server.reset();
  server = Serve(address);
  const auto began = std::chrono::steady_clock::now();
  EXPECT_TRUE(call().ok());
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
}

}  // namespace
}  // namespace tidewheel::rpc
