#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tidewheel/base/counters.h"
#include "tidewheel/base/result.h"
#include "tidewheel/inference/core/model_server.h"
#include "tidewheel/inference/core/shared_memory.h"

namespace tidewheel::inference {

/// The platform's own rpcs for those who speak HTTP: protobuf JSON in and out.
class PlatformRpcs {
 public:
  virtual ~PlatformRpcs() = default;

  struct Call {
    std::string rpc{};   // "Predict".
    std::string json{};  // Protobuf JSON with the proto's field names.
    std::string trace_parent{};
    std::function<bool()> cancelled{};
  };
  using Answered = std::function<void(Result<std::string>)>;
  /// `answered` gets protobuf JSON, exactly once, from any thread. kNotFound: no such rpc;
  /// kInvalidArgument: not JSON of its request. May block: called by threads kept for it.
  virtual void Handle(Call call, Answered answered) = 0;
};

/// The Open Inference Protocol over HTTP/1.1: the paths of the specification and what its clients
/// call besides (repository, configuration, statistics, system shared memory, binary tensors), and
/// the platform's own rpcs as POST /api/v1/inference/<Rpc>.
///
/// A few threads wait for all connections, so that an idle one costs its socket and no thread.
/// Requests of models are asked of the ModelServer on these threads; what may block (load, unload,
/// the platform's rpcs) and what takes long to decode runs on others. Everything is bounded; what
/// is beyond a bound is answered 413, 429, 431 or 503, and who sends or reads too slowly is cut
/// off.
class OipHttpServer {
 public:
  struct Options {
    std::string listen = "127.0.0.1:0";  // Numeric host; port 0 takes a free one.
    std::size_t threads = 2;             // That wait for connections.
    std::size_t blocking_threads = 4;    // For calls that may block; twice 64 more wait.
    std::size_t max_connections = 4'096;
    std::size_t max_head_bytes = 16 * 1'024;  // Request line and headers.
    std::size_t max_headers = 100;
    std::size_t max_body_bytes = std::size_t{64} << 20;  // Also after decompression.
    /// Of all requests together that are read or worked on.
    std::size_t max_buffered_bytes = std::size_t{1} << 30;
    std::size_t max_requests = 4'096;                // Worked on at once.
    std::chrono::milliseconds idle_timeout{75'000};  // Between the requests of a connection.
    /// For a request to arrive in full, and for its answer to be taken; a second more for each
    /// `least_bytes_per_second`.
    std::chrono::milliseconds transfer_timeout{20'000};
    std::size_t least_bytes_per_second = 64 * 1'024;
    /// How long requests that are worked on keep the server from stopping.
    std::chrono::milliseconds drain{10'000};
    /// Whether clients may register system shared memory.
    bool shared_memory = true;
    /// Called when a client has loaded or unloaded a model, from any thread.
    std::function<void()> models_changed{};
    Counter& requests = Counter::None();
    Counter& failures = Counter::None();  // Answers of 500 and above.
    Counter& cut_off = Counter::None();   // Connections that were too slow or too many.
    Histogram& seconds = Histogram::None();
    Gauge& connections = Gauge::None();
  };

  /// `models`, `regions` and `platform` (null: none) must outlive the server.
  /// kInvalidArgument: not HOST:PORT; kUnavailable names the address that cannot be bound.
  static Result<std::unique_ptr<OipHttpServer>> Start(const Options& options, ModelServer& models,
                                                      SharedMemoryTable& regions,
                                                      PlatformRpcs* platform = nullptr);
  /// Takes no more requests, answers those it has within `drain`.
  ~OipHttpServer();
  OipHttpServer(const OipHttpServer&) = delete;
  OipHttpServer& operator=(const OipHttpServer&) = delete;

  /// "127.0.0.1:40123".
  const std::string& address() const;

 private:
  struct Parts;
  explicit OipHttpServer(std::shared_ptr<Parts> parts);
  std::shared_ptr<Parts> parts_;  // Shared with answers that have not come yet.
};

}  // namespace tidewheel::inference
