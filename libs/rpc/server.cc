#include "tidewheel/rpc/server.h"

#include <absl/synchronization/mutex.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/server_builder_option.h>
#include <grpcpp/impl/server_builder_plugin.h>
#include <grpcpp/impl/server_initializer.h>

#include <algorithm>
#include <functional>
#include <set>
#include <thread>
#include <utility>

#include "tidewheel/base/worker.h"
#include "tidewheel/log/log.h"
#include "tidewheel/rpc/internal/call_observer.h"
#include "tidewheel/rpc/internal/front.h"
#include "tidewheel/rpc/internal/health_service.h"

namespace tidewheel::rpc {
namespace {

/// Tells the names of the services, in the order they were added, before the first call can come.
class NameTeller final : public grpc::ServerBuilderPlugin {
 public:
  using Tell = std::function<void(const std::vector<std::string>&)>;
  explicit NameTeller(Tell tell) : tell_(std::move(tell)) {}
  std::string name() override { return "tidewheel_service_names"; }
  void InitServer(grpc::ServerInitializer* server) override { tell_(*server->GetServiceList()); }
  void Finish(grpc::ServerInitializer* /*server*/) override {}
  void ChangeArguments(const std::string& /*name*/, void* /*value*/) override {}

 private:
  Tell tell_;
};

class WithNames final : public grpc::ServerBuilderOption {
 public:
  explicit WithNames(NameTeller::Tell tell) : tell_(std::move(tell)) {}
  void UpdateArguments(grpc::ChannelArguments* /*arguments*/) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    plugins->push_back(std::make_unique<NameTeller>(tell_));
  }

 private:
  NameTeller::Tell tell_;
};

std::string WithPort(const std::string& address, int port) {
  if (address.starts_with("unix:")) return address;
  return address.substr(0, address.rfind(':') + 1) + std::to_string(port);
}

/// Debian's Abseil looks for deadlocks whenever one of its mutexes is locked, and gRPC's mutexes
/// are Abseil's: a few percent of a small call.
void LookForNoDeadlocks() { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); }

}  // namespace

void ServerOptions::Read(config::Reader& reader) {
  reader.Read("listen", &listen);
  if (listen.empty()) reader.Fail("listen", "must name at least one address");
  reader.Read("max_message", &max_message, config::KiB(64), config::GiB(1));
  reader.Read("max_control_calls", &max_control_calls, 1, 1'000);
  reader.Read("max_connection_calls", &max_connection_calls, 1, 1'000'000);
  reader.Read("drain", &drain, std::chrono::milliseconds(0), std::chrono::minutes(10));
}

struct Server::Parts {
  Parts(ServerOptions with, metrics::Registry& registry)
      : options(std::move(with)),
        observer(registry, options.hot_methods),
        health(options.other_health) {}

  ServerOptions options;
  CallObserver observer;
  HealthService health;
  std::vector<grpc::Service*> added;
  std::vector<std::string> services;
  std::vector<std::string> addresses;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<Front> front;  // Where there are direct methods; the server then listens to it.
  std::unique_ptr<Worker> watching;  // Null: nobody else is asked about.
};

Server::Server(ServerOptions options, metrics::Registry& registry)
    : parts_(std::make_unique<Parts>(std::move(options), registry)) {
  LookForNoDeadlocks();
}

Server::~Server() { Shutdown(); }

void Server::Add(grpc::Service& service) { parts_->added.push_back(&service); }

Result<void> Server::Start() {
  Parts& parts = *parts_;
  const ServerOptions& options = parts.options;
  if (parts.server != nullptr) {
    return Error{ErrorCode::kFailedPrecondition, "the server runs already"};
  }

  // The library does this when it is loaded; saying so here keeps it from being left out by the
  // linker.
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  // Otherwise a second process would share a taken port in silence, and get half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_connection_calls);
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_message.bytes));
  builder.SetMaxSendMessageSize(static_cast<int>(options.max_message.bytes));

  // One thread waits for calls while the others work: with none left to wait, gRPC refuses the
  // call.
  grpc::ResourceQuota quota("tidewheel");
  quota.SetMaxThreads(options.max_control_calls + 1);
  builder.SetResourceQuota(quota);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 2);

  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(MakeServerInterceptors(parts.observer));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));

  for (auto* const service : parts.added) builder.RegisterService(service);
  builder.RegisterService(&parts.health);
  builder.SetOption(std::make_unique<WithNames>([&parts](const std::vector<std::string>& names) {
    std::set<std::string> blocking;
    parts.services.clear();
    for (std::size_t i = 0; i < parts.added.size() && i < names.size(); ++i) {
      parts.services.push_back(names[i]);
      const auto& service = *parts.added[i];
      if (service.has_synchronous_methods() && !service.has_callback_methods()) {
        blocking.insert(names[i]);
      }
    }
    parts.observer.Register(names, blocking);
    parts.health.Set("", false);
    for (const auto& name : parts.services) parts.health.Set(name, false);
  }));

  if (auto opened = options.direct_methods.empty() ? Listen(builder) : ListenInFront(builder);
      !opened) {
    return opened;
  }
  if (options.other_health) {
    parts.watching =
        std::make_unique<Worker>("health-watch", [&parts](const std::stop_token& stop) {
          const ServerOptions& its = parts.options;
          const auto changed =
              its.other_health_changed ? its.other_health_changed : std::make_shared<Pause>();
          while (changed->Wait(stop, its.other_health_every)) parts.health.Refresh();
        });
  }
  log::Info("server listens", {{"addresses", parts.addresses}, {"services", parts.services}});
  return {};
}

Result<void> Server::Listen(grpc::ServerBuilder& builder) {
  Parts& parts = *parts_;
  const auto& listen = parts.options.listen;
  std::vector<int> ports(listen.size(), 0);
  for (std::size_t i = 0; i < listen.size(); ++i) {
    builder.AddListeningPort(listen[i], grpc::InsecureServerCredentials(), &ports[i]);
  }
  parts.server = builder.BuildAndStart();
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (ports[i] > 0) continue;
    parts.server.reset();
    return Error{ErrorCode::kUnavailable, "address " + listen[i] + " cannot be bound"};
  }
  if (parts.server == nullptr) {
    return Error{ErrorCode::kInternal, "the server did not start on " + listen.front()};
  }
  parts.addresses.clear();
  for (std::size_t i = 0; i < ports.size(); ++i) {
    parts.addresses.push_back(WithPort(listen[i], ports[i]));
  }
  return {};
}

Result<void> Server::ListenInFront(grpc::ServerBuilder& builder) {
  Parts& parts = *parts_;
  const ServerOptions& options = parts.options;
  parts.server = builder.BuildAndStart();
  if (parts.server == nullptr) {
    return Error{ErrorCode::kInternal, "the server did not start behind " + options.listen.front()};
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  FrontOptions front;
  front.listen = options.listen;
  front.max_message_bytes = static_cast<std::size_t>(options.max_message.bytes);
  front.max_connection_calls = static_cast<std::uint32_t>(options.max_connection_calls);
  front.drain = options.drain;
  front.threads = std::clamp<std::size_t>(std::thread::hardware_concurrency() / 2, 2, 8);
  auto started = Front::Start(front, options.direct_methods, parts.observer,
                              parts.server->InProcessChannel(arguments));
  if (!started) {
    parts.server.reset();
    return started.error();
  }
  parts.front = *std::move(started);
  parts.addresses = parts.front->addresses();
  return {};
}

const std::vector<std::string>& Server::addresses() const { return parts_->addresses; }

const std::string& Server::address() const {
  static const std::string none;
  return parts_->addresses.empty() ? none : parts_->addresses.front();
}

const std::vector<std::string>& Server::services() const { return parts_->services; }

void Server::SetServing(bool serving) { parts_->health.SetAll(serving); }

void Server::SetServing(const std::string& service, bool serving) {
  parts_->health.Set(service, serving);
}

void Server::Shutdown() {
  parts_->watching.reset();
  parts_->health.Shutdown();
  if (parts_->server == nullptr) return;
  if (parts_->front != nullptr) parts_->front->Shutdown();
  parts_->server->Shutdown(std::chrono::system_clock::now() + parts_->options.drain);
  parts_->server->Wait();
  parts_->front.reset();
  parts_->server.reset();
  log::Info("server stopped", {{"addresses", parts_->addresses}});
}

}  // namespace tidewheel::rpc
