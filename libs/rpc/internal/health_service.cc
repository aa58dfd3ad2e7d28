#include "tidewheel/rpc/internal/health_service.h"

#include <optional>
#include <utility>
#include <vector>

namespace tidewheel::rpc {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

/// One stream of states. Writes one at a time; a state that is overtaken while another is written
/// is left out.
class HealthService::Watcher final : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  Watcher(HealthService& owner, std::string service)
      : owner_(owner), service_(std::move(service)) {}

  const std::string& service() const { return service_; }
  void Keep(std::shared_ptr<Watcher> self) { self_ = std::move(self); }

  void Tell(Status status) {
    Act([&] { next_ = status; });
  }
  void End(grpc::Status with) {
    Act([&] {
      if (!end_) end_ = std::move(with);
    });
  }

  void OnWriteDone(bool ok) override {
    Act([&] {
      writing_ = false;
      if (!ok && !end_) end_ = grpc::Status(grpc::StatusCode::CANCELLED, "the watcher is gone");
    });
  }
  void OnCancel() override { End({grpc::StatusCode::CANCELLED, "the watcher is gone"}); }
  void OnDone() override {
    const auto self = std::move(self_);
    owner_.Forget(self);
  }

 private:
  template <typename Change>
  void Act(Change change) {
    enum { kNothing, kWrite, kFinish } act = kNothing;
    {
      const std::lock_guard lock(mutex_);
      change();
      if (writing_ || finished_) return;
      if (next_ && next_ != last_) {
        act = kWrite;
        writing_ = true;
        last_ = next_;
        response_.set_status(*next_);
      } else if (end_) {
        act = kFinish;
        finished_ = true;
      }
      next_.reset();
    }
    if (act == kWrite) StartWrite(&response_);
    if (act == kFinish) Finish(*end_);
  }

  HealthService& owner_;
  const std::string service_;
  std::shared_ptr<Watcher> self_;  // Until gRPC is done with it.
  std::mutex mutex_;               // Guards the rest.
  bool writing_ = false;
  bool finished_ = false;
  std::optional<Status> next_;
  std::optional<Status> last_;
  std::optional<grpc::Status> end_;
  HealthCheckResponse response_;
};

void HealthService::Change(const std::string& service, Status status, Notes* notes) {
  states_[service] = status;
  for (const auto& watcher : watchers_) {
    if (watcher->service() == service) notes->emplace_back(watcher, status);
  }
}

void HealthService::Set(const std::string& service, bool serving) {
  Notes notes;
  {
    const std::lock_guard lock(mutex_);
    if (down_) return;
    Change(service, serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING,
           &notes);
  }
  for (const auto& [watcher, status] : notes) watcher->Tell(status);
}

void HealthService::SetAll(bool serving) {
  Notes notes;
  {
    const std::lock_guard lock(mutex_);
    if (down_) return;
    for (const auto& [service, status] : states_) {
      Change(service, serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING,
             &notes);
    }
  }
  for (const auto& [watcher, status] : notes) watcher->Tell(status);
}

std::optional<HealthService::Status> HealthService::AskOthers(const std::string& service) const {
  const auto serves = others_ ? others_(service) : std::nullopt;
  if (!serves) return std::nullopt;
  return *serves ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

void HealthService::Refresh() {
  std::vector<std::shared_ptr<Watcher>> others;
  {
    const std::lock_guard lock(mutex_);
    if (down_) return;
    for (const auto& watcher : watchers_) {
      if (!states_.contains(watcher->service())) others.push_back(watcher);
    }
  }
  // What did not change is not told again.
  for (const auto& watcher : others) {
    watcher->Tell(AskOthers(watcher->service()).value_or(HealthCheckResponse::SERVICE_UNKNOWN));
  }
}

void HealthService::Shutdown() {
  Notes notes;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(down_, true)) return;
    for (auto& [service, status] : states_) status = HealthCheckResponse::NOT_SERVING;
    for (const auto& watcher : watchers_) {
      notes.emplace_back(watcher, HealthCheckResponse::NOT_SERVING);
    }
  }
  for (const auto& [watcher, status] : notes) {
    watcher->Tell(status);
    watcher->End({grpc::StatusCode::UNAVAILABLE, "the server shuts down"});
  }
}

void HealthService::Forget(const std::shared_ptr<Watcher>& watcher) {
  const std::lock_guard lock(mutex_);
  watchers_.erase(watcher);
}

grpc::ServerUnaryReactor* HealthService::Check(grpc::CallbackServerContext* context,
                                               const HealthCheckRequest* request,
                                               HealthCheckResponse* response) {
  auto* const reactor = context->DefaultReactor();
  std::optional<Status> state;
  bool down = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = states_.find(request->service());
    if (found != states_.end()) state = found->second;
    down = down_;
  }
  if (!state) state = AskOthers(request->service());
  if (state && down) state = HealthCheckResponse::NOT_SERVING;
  if (!state) {
    reactor->Finish({grpc::StatusCode::NOT_FOUND, "no such service"});
  } else {
    response->set_status(*state);
    reactor->Finish(grpc::Status::OK);
  }
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(
    grpc::CallbackServerContext* /*context*/, const HealthCheckRequest* request) {
  const auto watcher = std::make_shared<Watcher>(*this, request->service());
  watcher->Keep(watcher);
  std::optional<Status> state;
  bool down = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = states_.find(request->service());
    if (found != states_.end()) state = found->second;
    down = down_;
    watchers_.insert(watcher);
  }
  if (!state) state = down ? std::nullopt : AskOthers(request->service());
  watcher->Tell(state.value_or(HealthCheckResponse::SERVICE_UNKNOWN));
  if (down) watcher->End({grpc::StatusCode::UNAVAILABLE, "the server shuts down"});
  return watcher.get();
}

}  // namespace tidewheel::rpc
