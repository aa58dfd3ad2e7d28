#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "tidewheel/base/counters.h"
#include "tidewheel/base/result.h"
#include "tidewheel/console/clients/backends.h"
#include "tidewheel/console/gateway/rpc_catalog.h"
#include "tidewheel/console/http/http_server.h"

namespace tidewheel::console {

/// What the console serves over HTTP:
///   /                                    the page, and its files
///   GET  /api/v1                         every rpc with its fields
///   POST /api/v1/<service>/<Rpc>         protobuf JSON in, protobuf JSON out; streams as one JSON
///   object a line GET  /api/v1/<service>/<Rpc>?a=1     the same for rpcs that only read GET
///   /api/v1/samples/<id>/payload    a sample's bytes with their content type
/// Thread-safe.
class HttpGateway {
 public:
  struct Options {
    std::chrono::milliseconds call_deadline{30'000};
    /// Hosts that a request may be addressed to, without ports; "*": any. A page elsewhere could
    /// otherwise reach us through a name of its own that points here.
    std::vector<std::string> hosts = {"localhost", "127.0.0.1", "[::1]"};
    /// Streams at once; each holds a thread of the server.
    int max_streams = 8;
    /// A blank line is written when a stream was silent for so many seconds, so that a client that
    /// went is noticed.
    int heartbeat_seconds = 10;
    Counter& requests = Counter::None();
    Counter& failures = Counter::None();
    Histogram& seconds = Histogram::None();
  };

  HttpGateway(const Backends& backends, const RpcCatalog& catalog, const Options& options)
      : backends_(backends),
        catalog_(catalog),
        options_(options),
        description_(catalog.Describe()) {}

  void Handle(const HttpRequest& request, HttpExchange& exchange);

 private:
  // The answer's status.
  int Route(const HttpRequest& request, HttpExchange& exchange);
  int ServeAsset(const HttpRequest& request, HttpExchange& exchange) const;
  int ServePayload(const std::string& sample_id, HttpExchange& exchange) const;
  int CallRpc(const HttpRequest& request, std::string_view service, std::string_view name,
              HttpExchange& exchange);
  int StreamRpc(const CataloguedRpc& rpc, const std::string& bytes, HttpExchange& exchange);
  bool IsForUs(const HttpRequest& request) const;

  const Backends& backends_;
  const RpcCatalog& catalog_;
  const Options options_;
  const std::string description_;
  std::atomic<int> streams_ = 0;
};

}  // namespace tidewheel::console
