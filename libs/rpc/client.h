#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::rpc {

struct ChannelOptions {
  std::size_t max_message_bytes = std::size_t{64} << 20;
  std::chrono::milliseconds keepalive_time{30'000};
  std::chrono::milliseconds keepalive_timeout{10'000};
  /// Upper bound of the pause between attempts to connect: a restarted service is found again
  /// within it.
  std::chrono::milliseconds max_reconnect_pause{2'000};
  /// Attempts of a call that is answered UNAVAILABLE, the first included; 1 turns retries off.
  /// Every write of the platform carries an id of the caller's, so a repeat is harmless.
  int attempts = 4;
  /// Which calls are tried again: "tidewheel.ingestion.v1.IngestionService" or "...Service/Method".
  /// Empty: all.
  std::vector<std::string> retried;
};

/// A lazy connection to "host:port" or "unix:/path" that any number of stubs and threads may share.
/// Forwards the current trace as `traceparent` and `x-request-id`. Connects on the first call and
/// again whenever needed.
std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address,
                                           const ChannelOptions& options = {});

/// A context whose call ends within `limit` from now: every call has a deadline.
class ClientContextWithDeadline final : public grpc::ClientContext {
 public:
  explicit ClientContextWithDeadline(std::chrono::milliseconds limit) {
    set_deadline(std::chrono::system_clock::now() + limit);
  }
};

/// What a server's health service says of the whole server.
struct HealthAnswer {
  enum class State { kServing, kNotServing, kUnreachable } state = State::kUnreachable;
  std::string problem;  // Empty when it serves.
  double seconds = 0;   // Until the answer.
};

/// Asks once. A server without a health service, or one that answers with an error, does not serve.
HealthAnswer CheckHealth(const std::shared_ptr<grpc::Channel>& channel,
                         std::chrono::milliseconds deadline);

/// Waits until the health service at `address` says SERVING for `service` (empty: the whole
/// server). kDeadlineExceeded says what it answered last.
Result<void> WaitUntilServing(const std::string& address, std::chrono::milliseconds limit,
                              const std::string& service = "");

}  // namespace tidewheel::rpc
