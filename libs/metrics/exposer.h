#pragma once

#include <memory>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/metrics/registry.h"

namespace tidewheel::metrics {

/// Serves GET /metrics over HTTP until it is destroyed. The registry must outlive it.
class Exposer {
 public:
  /// `address` is "host:port" with a numeric host; port 0 takes a free one. kInvalidArgument: not
  /// of that form. kUnavailable names the address that cannot be bound.
  static Result<std::unique_ptr<Exposer>> Start(const std::string& address, Registry& registry);
  ~Exposer();
  Exposer(const Exposer&) = delete;
  Exposer& operator=(const Exposer&) = delete;

  /// "127.0.0.1:40123": the port that was taken.
  const std::string& address() const { return address_; }

 private:
  struct Endpoint;
  Exposer(std::unique_ptr<Endpoint> endpoint, std::string address);

  std::unique_ptr<Endpoint> endpoint_;
  std::string address_;
};

}  // namespace tidewheel::metrics
