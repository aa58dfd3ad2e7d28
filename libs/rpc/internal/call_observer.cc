#include "tidewheel/rpc/internal/call_observer.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "tidewheel/base/error.h"
#include "tidewheel/log/log.h"
#include "tidewheel/log/trace.h"
#include "tidewheel/rpc/call.h"

namespace tidewheel::rpc {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;
using Metadata = std::multimap<grpc::string_ref, grpc::string_ref>;

constexpr std::array<const char*, 17> kCodes{
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

int Known(int code) { return code >= 0 && code < 17 ? code : 2; }

std::string_view View(grpc::string_ref text) { return {text.data(), text.size()}; }

std::string_view Value(const Metadata& metadata, const char* key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? std::string_view() : View(found->second);
}

/// An id that is fit for logs and headers: short and printable.
bool IsRequestId(std::string_view text) {
  return !text.empty() && text.size() <= 128 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

log::Trace Received(std::string_view trace_parent, std::string_view request_id) {
  log::Trace trace = log::ParseTraceParent(trace_parent).value_or(log::Trace{});
  if (IsRequestId(request_id)) trace.request_id = std::string(request_id);
  return trace;
}

log::Trace Received(const Metadata& metadata) {
  return Received(Value(metadata, kTraceParentKey), Value(metadata, kRequestIdKey));
}

log::Level LevelOf(const CallObserver::Method& method) {
  return method.hot ? log::Level::kDebug : log::Level::kInfo;
}

void LogCall(const CallObserver::Method& method, const grpc::Status& status,
             std::chrono::duration<double> took, const log::Trace& trace) {
  const auto code = static_cast<std::size_t>(Known(status.error_code()));
  std::vector<log::Field> fields{
      {"method", method.path}, {"code", kCodes[code]}, {"took_seconds", took}};
  if (!status.ok()) fields.emplace_back("status", status.error_message().substr(0, 300));
  log::Write(LevelOf(method), "call handled", fields, trace);
}

/// One call: its life is the call's.
class ObservedCall final : public grpc::experimental::Interceptor {
 public:
  ObservedCall(CallObserver& observer, CallObserver::Method& method)
      : observer_(observer), method_(method) {}
  ~ObservedCall() override {
    if (begun_ && !ended_) End(grpc::Status(grpc::StatusCode::CANCELLED, "never answered"));
  }

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      Begin(*methods->GetRecvInitialMetadata());
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      End(methods->GetSendStatus());
    }
    methods->Proceed();
  }

 private:
  void Begin(Metadata& metadata) {
    begun_ = true;
    began_ = std::chrono::steady_clock::now();
    method_.started->Add();
    trace_ = log::NextStep(Received(metadata));
    // The handler reads its own step of the trace (TraceOf); the text lives as long as the call.
    trace_parent_ = log::FormatTraceParent(trace_);
    metadata.erase(kTraceParentKey);
    metadata.emplace(grpc::string_ref(kTraceParentKey),
                     grpc::string_ref(trace_parent_.data(), trace_parent_.size()));
    // A blocking handler runs on this thread, and its status is sent from it.
    if (method_.blocking) context_.emplace(trace_);
  }

  void End(const grpc::Status& status) {
    if (std::exchange(ended_, true)) return;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began_;
    const int code = Known(status.error_code());
    method_.seconds->Observe(took.count());
    observer_.Handled(method_, code).Add();
    if (log::Enabled(LevelOf(method_))) LogCall(method_, status, took, trace_);
    context_.reset();
  }

  CallObserver& observer_;
  CallObserver::Method& method_;
  bool begun_ = false;
  bool ended_ = false;
  std::chrono::steady_clock::time_point began_;
  log::Trace trace_;
  std::string trace_parent_;
  std::optional<log::Context> context_;
};

class ObservedCalls final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit ObservedCalls(CallObserver& observer) : observer_(observer) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    return new ObservedCall(observer_, observer_.Find(info->method()));
  }

 private:
  CallObserver& observer_;
};

class TraceForwarder final : public grpc::experimental::Interceptor {
 public:
  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      auto& metadata = *methods->GetSendInitialMetadata();
      const log::Trace trace = log::CurrentTrace();
      // What the caller set by hand stays.
      if (!trace.trace_id.empty() && !metadata.contains(kTraceParentKey)) {
        metadata.emplace(kTraceParentKey, log::FormatTraceParent(trace));
      }
      if (IsRequestId(trace.request_id) && !metadata.contains(kRequestIdKey)) {
        metadata.emplace(kRequestIdKey, trace.request_id);
      }
    }
    methods->Proceed();
  }
};

class TraceForwarders final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* /*info*/) override {
    return new TraceForwarder;
  }
};

}  // namespace

log::Trace TraceOf(const grpc::ServerContextBase& context) {
  return Received(context.client_metadata());
}

CallObserver::CallObserver(metrics::Registry& registry, std::vector<std::string> hot_methods)
    : registry_(registry),
      hot_methods_(hot_methods.begin(), hot_methods.end()),
      unknown_(Make("unknown", "unknown", false)) {}

void CallObserver::Register(const std::vector<std::string>& services,
                            const std::set<std::string>& blocking) {
  const auto* const pool = google::protobuf::DescriptorPool::generated_pool();
  for (const auto& name : services) {
    const auto* const service = pool->FindServiceByName(name);
    if (service == nullptr) continue;
    for (int i = 0; i < service->method_count(); ++i) {
      auto method = Make(name, service->method(i)->name(), blocking.contains(name));
      methods_.emplace(method->path, std::move(method));
    }
  }
}

std::unique_ptr<CallObserver::Method> CallObserver::Make(const std::string& service,
                                                         const std::string& name, bool blocking) {
  auto method = std::make_unique<Method>();
  method->path = "/" + service + "/" + name;
  method->service = service;
  method->name = name;
  // What probes and tools ask all day is no news either.
  method->hot = hot_methods_.contains(name) || service.starts_with("grpc.");
  method->blocking = blocking;
  const metrics::Labels labels{{"service", service}, {"method", name}};
  method->started =
      &registry_.Counter("tidewheel_rpc_calls_started_total", "Calls that arrived.", labels);
  method->seconds = &registry_.Histogram("tidewheel_rpc_call_seconds",
                                         "From a call's arrival to its answer.", labels);
  return method;
}

CallObserver::Method& CallObserver::Find(std::string_view path) {
  const auto found = methods_.find(path);
  return found == methods_.end() ? *unknown_ : *found->second;
}

void CallObserver::Began(const DirectMethod& method) { Find(method.path).started->Add(); }

void CallObserver::Ended(const DirectMethod& method, const DirectCall& call,
                         const grpc::Status& status, std::chrono::duration<double> took) {
  Method& known = Find(method.path);
  known.seconds->Observe(took.count());
  Handled(known, Known(status.error_code())).Add();
  if (!log::Enabled(LevelOf(known))) return;
  LogCall(known, status, took,
          log::NextStep(Received(call.Header(kTraceParentKey), call.Header(kRequestIdKey))));
}

Counter& CallObserver::Handled(Method& method, int code) {
  auto& slot = method.handled[static_cast<std::size_t>(code)];
  Counter* counter = slot.load(std::memory_order_acquire);
  if (counter == nullptr) {
    // Two threads may both ask: the registry gives them the same one.
    counter = &registry_.Counter("tidewheel_rpc_calls_handled_total", "Calls that were answered.",
                                 {{"service", method.service},
                                  {"method", method.name},
                                  {"code", kCodes[static_cast<std::size_t>(code)]}});
    slot.store(counter, std::memory_order_release);
  }
  return *counter;
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeServerInterceptors(
    CallObserver& observer) {
  return std::make_unique<ObservedCalls>(observer);
}

std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> MakeTraceForwarder() {
  return std::make_unique<TraceForwarders>();
}

}  // namespace tidewheel::rpc
