#pragma once

// Inside of this library: the HTTP/2 side of a server with direct methods.

#include <grpcpp/channel.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/rpc/direct_call.h"

namespace tidewheel::rpc {

class FrontLoop;
struct FrontShared;

/// Told around every direct call; from any thread.
class DirectObserver {
 public:
  virtual ~DirectObserver() = default;
  virtual void Began(const DirectMethod& method) = 0;
  virtual void Ended(const DirectMethod& method, const DirectCall& call, const grpc::Status& status,
                     std::chrono::duration<double> took) = 0;
};

struct FrontOptions {
  std::vector<std::string> listen{};
  std::size_t threads = 2;
  std::size_t max_message_bytes = std::size_t{64} << 20;
  std::uint32_t max_connection_calls = 1'000;
  /// Bytes of requests being read or worked on.
  std::size_t max_buffered_bytes = std::size_t{1} << 30;
  std::size_t max_header_bytes = 16 * 1'024;
  std::chrono::milliseconds drain{10'000};
  /// A connection on which nothing comes for `ping_after` is asked whether it lives, and closed
  /// when it has not answered for `ping_timeout`; so is one that takes nothing for as long.
  std::chrono::milliseconds ping_after{60'000};
  std::chrono::milliseconds ping_timeout{20'000};
};

/// gRPC over HTTP/2 (framing and header compression by nghttp2) by a few threads, each with an
/// epoll over its share of the connections. Calls of direct methods go to their handlers, all
/// others to a gRPC server in the process.
class Front {
 public:
  /// The methods and the observer must outlive it. kUnavailable names the address that cannot be
  /// bound.
  static Result<std::unique_ptr<Front>> Start(const FrontOptions& options,
                                              const std::vector<DirectMethod>& methods,
                                              DirectObserver& observer,
                                              std::shared_ptr<grpc::Channel> others);
  /// Shuts down.
  ~Front();
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;

  /// Ports filled in, in the order of the options.
  const std::vector<std::string>& addresses() const { return addresses_; }
  /// Takes no more connections and calls; those under way have `drain` to end, then they are cut
  /// off. A repeated call does nothing.
  void Shutdown();

 private:
  Front();

  std::vector<std::string> addresses_;
  std::unique_ptr<FrontShared> shared_;
  std::vector<std::unique_ptr<FrontLoop>> loops_;  // Last: their threads use the rest.
};

}  // namespace tidewheel::rpc
