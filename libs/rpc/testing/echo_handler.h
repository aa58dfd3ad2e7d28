#pragma once

// What the tests of this library serve, once with blocking handlers and once with callbacks.

#include <echo_service.grpc.pb.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tidewheel/log/trace.h"
#include "tidewheel/rpc/call.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::rpc::testing {

class BlockingEcho final : public EchoService::Service {
 public:
  grpc::Status Echo(grpc::ServerContext* context, const EchoRequest* request,
                    EchoResponse* response) override {
    if (request->wait()) Hold(*context);
    response->set_text(request->text());
    const auto trace = log::CurrentTrace();
    response->set_traceparent(log::FormatTraceParent(trace));
    response->set_request_id(trace.request_id);
    return grpc::Status::OK;
  }

  /// Fails with `failure` as often as `failures` says, then answers.
  grpc::Status FailEcho(grpc::ServerContext* /*context*/, const EchoRequest* request,
                        EchoResponse* response) override {
    ++asked;
    if (failures.fetch_sub(1) > 0) return ToGrpcStatus(failure);
    response->set_text(request->text());
    return grpc::Status::OK;
  }

  void WaitUntilHeld(int calls) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return held_ >= calls; });
  }
  void LetGo() {
    const std::lock_guard lock(mutex_);
    go_ = true;
    changed_.notify_all();
  }

  Error failure{ErrorCode::kUnavailable, "not now"};
  std::atomic<int> failures{0};
  std::atomic<int> asked{0};

 private:
  void Hold(const grpc::ServerContext& context) {
    std::unique_lock lock(mutex_);
    ++held_;
    changed_.notify_all();
    while (!go_ && !context.IsCancelled()) {
      changed_.wait_for(lock, std::chrono::milliseconds(10));
    }
  }

  std::mutex mutex_;  // Guards the rest.
  std::condition_variable changed_;
  int held_ = 0;
  bool go_ = false;
};

class CallbackEcho final : public EchoService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Echo(grpc::CallbackServerContext* context, const EchoRequest* request,
                                 EchoResponse* response) override {
    auto* const reactor = context->DefaultReactor();
    const auto trace = TraceOf(*context);
    response->set_text(request->text());
    response->set_traceparent(log::FormatTraceParent(trace));
    response->set_request_id(trace.request_id);
    thread_had_trace = thread_had_trace || !log::CurrentTrace().trace_id.empty();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  std::atomic<bool> thread_had_trace{false};
};

}  // namespace tidewheel::rpc::testing
