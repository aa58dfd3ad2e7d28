#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <shared_mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/rpc/client.h"

namespace tidewheel::console {

/// The platform's services, called by bytes: the console knows every proto, and none in particular.
/// Thread-safe.
class Backends {
 public:
  /// "ingestion" -> "127.0.0.1:40001"; an empty address leaves a service out.
  explicit Backends(const std::map<std::string, std::string>& addresses);

  /// For what is known only later: the console's own.
  void SetAddress(const std::string& service, const std::string& address);

  /// In the order of names.
  std::vector<std::pair<std::string, std::string>> addresses() const;

  /// One call: serialized request in, serialized response out. Errors are the service's own, its
  /// name before the message; kUnavailable when its address is not set.
  Result<std::string> Call(const std::string& service, const std::string& method,
                           const std::string& request, std::chrono::milliseconds deadline) const;

  /// A call whose answer is a stream. `on_message` gets each message, and an empty pointer after
  /// each second without one; false ends the call. Returns how the service ended it.
  Result<void> Stream(const std::string& service, const std::string& method,
                      const std::string& request,
                      const std::function<bool(const std::string* message)>& on_message) const;

  /// What the service's own health says.
  rpc::HealthAnswer CheckHealth(const std::string& service,
                                std::chrono::milliseconds deadline) const;

 private:
  struct Backend {
    std::string address;
    std::shared_ptr<grpc::Channel> channel;  // Null: the platform has no such service.
  };
  Backend Find(const std::string& service) const;

  mutable std::shared_mutex mutex_;  // Guards backends_.
  std::map<std::string, Backend> backends_;
};

}  // namespace tidewheel::console
