#pragma once

// Inside of this library: what a server does around every call, and a client around every one it
// makes.

#include <grpcpp/support/client_interceptor.h>
#include <grpcpp/support/server_interceptor.h>

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidewheel/metrics/registry.h"

namespace tidewheel::rpc {

inline constexpr char kTraceParentKey[] = "traceparent";
inline constexpr char kRequestIdKey[] = "x-request-id";

/// Counts, times and logs calls, and gives each its trace. Thread-safe once the server runs.
class CallObserver {
 public:
  CallObserver(metrics::Registry& registry, std::vector<std::string> hot_methods);

  /// Services whose handlers all block: their threads carry the trace. Before the server starts.
  void SetBlocking(std::set<std::string> services) { blocking_ = std::move(services); }

  /// What is known about one registered method: the labels, resolved once.
  struct Method {
    std::string path;     // "/tidewheel.ingestion.v1.IngestionService/PushSample".
    std::string service;  // "tidewheel.ingestion.v1.IngestionService".
    std::string name;     // "PushSample".
    bool hot = false;
    bool blocking = false;
    Counter* started = nullptr;
    Histogram* seconds = nullptr;
    std::array<std::atomic<Counter*>, 17> handled{};
  };
  /// `path` comes from the server's table of methods ("unknown" for a call to none), so that what
  /// clients send never becomes a label.
  Method& Find(std::string_view path);
  Counter& Handled(Method& method, int code);

 private:
  metrics::Registry& registry_;
  const std::set<std::string> hot_methods_;
  std::set<std::string> blocking_;
  std::shared_mutex mutex_;  // Guards methods_.
  std::map<std::string, std::unique_ptr<Method>, std::less<>> methods_;
};

/// The observer must outlive the server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeServerInterceptors(
    CallObserver& observer);

/// Passes the thread's trace on.
std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> MakeTraceForwarder();

}  // namespace tidewheel::rpc
