#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::bench {

/// What calls were like that came one after the other, a fixed number of them under way at once.
struct Burst {
  std::vector<double> seconds{};  // Of each call, in the order of their ends.
  double took = 0;                // Seconds of all together.

  double PerSecond() const { return static_cast<double>(seconds.size()) / took; }
  /// Of the calls' seconds; `share` from 0 to 1.
  double Quantile(double share) const;
};

/// A client that asks one server the same thing again and again.
class Load {
 public:
  virtual ~Load() = default;
  /// One call; the bytes of its answer.
  virtual Result<std::string> Ask() = 0;
  /// Keeps `outstanding` calls under way for `length`; fails with the first call that fails.
  virtual Result<Burst> Run(int outstanding, std::chrono::milliseconds length) = 0;
};

/// Any unary rpc, its request as bytes: the client costs the same whatever is asked. At most four
/// connections share the calls, one thread does it all.
std::unique_ptr<Load> GrpcLoad(const std::string& address, const std::string& method,
                               const std::string& request);

/// Requests by POST over HTTP/1.1, one connection for each that is under way, one thread. `head`
/// are further header lines, each with its line break.
std::unique_ptr<Load> HttpLoad(const std::string& address, const std::string& path,
                               const std::string& head, const std::string& body);

}  // namespace tidewheel::bench
