#include "tidewheel/rpc/client.h"

#include <grpc/health/v1/health.grpc.pb.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <stop_token>
#include <utility>

#include "tidewheel/base/worker.h"
#include "tidewheel/rpc/internal/call_observer.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::rpc {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

/// gRPC's service config: which calls are tried again, and when.
std::string RetryConfig(const ChannelOptions& options) {
  std::string names;
  for (const auto& name : options.retried) {
    const auto slash = name.find('/');
    names += names.empty() ? "{" : ",{";
    names += R"("service":")" + name.substr(0, slash) + '"';
    if (slash != std::string::npos) names += R"(,"method":")" + name.substr(slash + 1) + '"';
    names += '}';
  }
  if (names.empty()) names = "{}";
  // gRPC allows five attempts at most.
  return R"({"methodConfig":[{"name":[)" + names + R"(],"retryPolicy":{"maxAttempts":)" +
         std::to_string(std::min(options.attempts, 5)) +
         R"(,"initialBackoff":"0.05s","maxBackoff":"1s","backoffMultiplier":3,)"
         R"("retryableStatusCodes":["UNAVAILABLE"]}}]})";
}

int Milliseconds(std::chrono::milliseconds duration) {
  return static_cast<int>(std::min<std::chrono::milliseconds::rep>(duration.count(), 86'400'000));
}

}  // namespace

std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address,
                                           const ChannelOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
  arguments.SetMaxSendMessageSize(static_cast<int>(options.max_message_bytes));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options.keepalive_time));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(options.keepalive_timeout));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                   std::min(100, Milliseconds(options.max_reconnect_pause)));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, Milliseconds(options.max_reconnect_pause));
  // Services talk to each other directly; a proxy of the environment is for the outside world.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  if (options.attempts > 1) arguments.SetServiceConfigJSON(RetryConfig(options));

  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(MakeTraceForwarder());
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      address, grpc::InsecureChannelCredentials(), arguments, std::move(interceptors));
}

HealthAnswer CheckHealth(const std::shared_ptr<grpc::Channel>& channel,
                         std::chrono::milliseconds deadline) {
  const auto begin = std::chrono::steady_clock::now();
  ClientContextWithDeadline context(deadline);
  HealthCheckResponse response;
  const auto status = grpc::health::v1::Health::NewStub(channel)->Check(&context, {}, &response);

  HealthAnswer answer;
  answer.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!status.ok()) {
    const bool nobody = status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                        status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
    answer.state = nobody ? HealthAnswer::State::kUnreachable : HealthAnswer::State::kNotServing;
    answer.problem = status.error_message();
  } else if (response.status() == HealthCheckResponse::SERVING) {
    answer.state = HealthAnswer::State::kServing;
  } else {
    answer.state = HealthAnswer::State::kNotServing;
    answer.problem = "one of its dependencies does not answer";
  }
  return answer;
}

Result<void> WaitUntilServing(const std::string& address, std::chrono::milliseconds limit,
                              const std::string& service) {
  const auto deadline = std::chrono::system_clock::now() + limit;
  ChannelOptions options;
  options.attempts = 1;
  options.max_reconnect_pause = std::chrono::milliseconds(100);
  const auto stub = grpc::health::v1::Health::NewStub(OpenChannel(address, options));
  std::string last = "nothing";
  Pause pause;
  do {
    grpc::ClientContext context;
    context.set_deadline(deadline);
    context.set_wait_for_ready(true);
    HealthCheckRequest request;
    request.set_service(service);
    const auto stream = stub->Watch(&context, request);
    for (HealthCheckResponse response; stream->Read(&response);) {
      if (response.status() == HealthCheckResponse::SERVING) {
        context.TryCancel();
        (void)stream->Finish();  // Says CANCELLED: our own doing.
        return {};
      }
      last = HealthCheckResponse::ServingStatus_Name(response.status());
    }
    const auto ended = stream->Finish();
    if (ended.error_code() == grpc::StatusCode::UNIMPLEMENTED) {
      return Error{ErrorCode::kUnimplemented, address + " has no health service"};
    }
    // The server went away while we watched; another may come.
  } while (pause.Wait(std::stop_token(), std::chrono::milliseconds(20)) &&
           std::chrono::system_clock::now() < deadline);
  return Error{ErrorCode::kDeadlineExceeded,
               address + (service.empty() ? "" : " " + service) + " does not serve after " +
                   std::to_string(limit.count()) + " ms; it answered " + last + " last"};
}

}  // namespace tidewheel::rpc
