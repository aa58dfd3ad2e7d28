#pragma once

// Inside of this library: gRPC's standard health service.

#include <grpc/health/v1/health.grpc.pb.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tidewheel::rpc {

/// Answers Check and Watch. gRPC's own answers too, but is not known to reflection and keeps its
/// watchers when the server drains. Thread-safe.
class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  using Status = grpc::health::v1::HealthCheckResponse::ServingStatus;
  /// Whether a name that was never Set serves; nothing: it is not known. May be empty.
  using Others = std::function<std::optional<bool>(const std::string&)>;

  explicit HealthService(Others others = {}) : others_(std::move(others)) {}

  /// Makes the service known or changes its state; "" is the whole server.
  void Set(const std::string& service, bool serving);
  void SetAll(bool serving);
  /// Tells those who watch other names what has changed.
  void Refresh();
  /// Everything is NOT_SERVING for good; watchers are told and let go.
  void Shutdown();

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const grpc::health::v1::HealthCheckRequest* request,
                                  grpc::health::v1::HealthCheckResponse* response) override;
  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthCheckRequest* request) override;

 private:
  class Watcher;
  /// What to tell and whom, gathered under the lock and told outside of it.
  using Notes = std::vector<std::pair<std::shared_ptr<Watcher>, Status>>;
  void Change(const std::string& service, Status status, Notes* notes);
  void Forget(const std::shared_ptr<Watcher>& watcher);
  /// Of a name that was never Set.
  std::optional<Status> AskOthers(const std::string& service) const;

  const Others others_;
  std::mutex mutex_;  // Guards the rest.
  bool down_ = false;
  std::map<std::string, Status> states_;
  std::set<std::shared_ptr<Watcher>> watchers_;
};

}  // namespace tidewheel::rpc
