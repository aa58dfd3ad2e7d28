#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/config/reader.h"
#include "tidewheel/metrics/registry.h"
#include "tidewheel/rpc/direct_call.h"

namespace grpc {
class ServerBuilder;
class Service;
}  // namespace grpc

namespace tidewheel::rpc {

struct ServerOptions {
  /// "127.0.0.1:0" (port 0: any free one), "[::1]:50051", "unix:/run/tidewheel/ingestion.sock".
  std::vector<std::string> listen{"127.0.0.1:0"};
  config::ByteCount max_message = config::MiB(64);
  /// Blocking handlers at work at once; a call beyond them is refused with RESOURCE_EXHAUSTED by
  /// gRPC itself.
  int max_control_calls = 32;
  /// Calls under way on one connection; its client keeps further ones back. Bounds what a client
  /// can make the server hold that sends and does not read.
  int max_connection_calls = 1'000;
  /// How long Shutdown waits for calls in flight before it cancels them.
  std::chrono::milliseconds drain{10'000};
  /// Methods so frequent that their calls are logged at debug only: "Predict", "PushSample".
  std::vector<std::string> hot_methods{};
  /// Methods so frequent and cheap that gRPC's own way to a handler would be felt. Their services
  /// are added as all others; these calls do not reach them.
  std::vector<DirectMethod> direct_methods{};
  /// Whether something that is no service here, such as a model, serves; nothing of what it does
  /// not know. Health asks it for such names, and for those that are watched every
  /// `other_health_every` and whenever `other_health_changed` is woken. Quick and thread-safe.
  std::function<std::optional<bool>(const std::string&)> other_health{};
  std::chrono::milliseconds other_health_every{100};
  /// May be woken before the server starts and after it is gone. Null: nobody wakes it.
  std::shared_ptr<Pause> other_health_changed{};

  /// Keys `listen`, `max_message`, `max_control_calls`, `max_connection_calls`, `drain`.
  void Read(config::Reader& reader);
};

/// A gRPC server with health, reflection, one log line and metrics for each call, traces, and an
/// orderly end. Services that are added must outlive it. SetServing is thread-safe; the rest is for
/// one thread.
class Server {
 public:
  /// Does no I/O. `registry` must outlive the server.
  Server(ServerOptions options, metrics::Registry& registry);
  /// Shuts down.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Blocking or callback handlers; before Start.
  void Add(grpc::Service& service);

  /// Opens every address. Health says NOT_SERVING until SetServing. kUnavailable names the address
  /// that cannot be bound.
  Result<void> Start();

  /// Where it listens, ports filled in, in the order of the options; empty before Start.
  const std::vector<std::string>& addresses() const;
  /// The first of them: what to announce.
  const std::string& address() const;
  /// Full names of the services added: "tidewheel.ingestion.v1.IngestionService".
  const std::vector<std::string>& services() const;

  /// The health of the whole server and of every service in it.
  void SetServing(bool serving);
  /// Of one service, by its full name.
  void SetServing(const std::string& service, bool serving);

  /// Health says NOT_SERVING, watchers are told and let go, calls in flight get `drain` to end,
  /// then they are cancelled. A repeated call does nothing.
  void Shutdown();

 private:
  struct Parts;
  Result<void> Listen(grpc::ServerBuilder& builder);
  /// gRPC's server behind a front of our own.
  Result<void> ListenInFront(grpc::ServerBuilder& builder);

  std::unique_ptr<Parts> parts_;
};

}  // namespace tidewheel::rpc
