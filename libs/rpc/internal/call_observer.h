#pragma once

// Inside of this library: what a server does around every call, and a client around every one it
// makes.

#include <grpcpp/support/client_interceptor.h>
#include <grpcpp/support/server_interceptor.h>

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidewheel/metrics/registry.h"
#include "tidewheel/rpc/internal/front.h"

namespace tidewheel::rpc {

inline constexpr char kTraceParentKey[] = "traceparent";
inline constexpr char kRequestIdKey[] = "x-request-id";

/// Counts, times and logs calls, and gives each its trace. Thread-safe once the server runs.
class CallObserver final : public DirectObserver {
 public:
  CallObserver(metrics::Registry& registry, std::vector<std::string> hot_methods);

  void Began(const DirectMethod& method) override;
  void Ended(const DirectMethod& method, const DirectCall& call, const grpc::Status& status,
             std::chrono::duration<double> took) override;

  /// Makes the methods of these services known, by their descriptors. `blocking` names those whose
  /// handlers all block: their threads carry the trace. Before the server starts.
  void Register(const std::vector<std::string>& services, const std::set<std::string>& blocking);

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
  /// Every path that no service has is one and the same method "unknown", so that what clients send
  /// never becomes a label.
  Method& Find(std::string_view path);
  Counter& Handled(Method& method, int code);

 private:
  std::unique_ptr<Method> Make(const std::string& service, const std::string& name, bool blocking);

  metrics::Registry& registry_;
  const std::set<std::string> hot_methods_;
  std::map<std::string, std::unique_ptr<Method>, std::less<>>
      methods_;  // Fixed once the server runs.
  std::unique_ptr<Method> unknown_;
};

/// The observer must outlive the server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeServerInterceptors(
    CallObserver& observer);

/// Passes the thread's trace on.
std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> MakeTraceForwarder();

}  // namespace tidewheel::rpc
