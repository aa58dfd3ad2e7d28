#pragma once

#include <grpcpp/server_context.h>

#include "tidewheel/log/trace.h"

namespace tidewheel::rpc {

/// The trace of a call: what the caller sent, or what the server made when it sent none. Blocking
/// handlers have it as their thread's log::CurrentTrace() already; callback handlers take it along
/// to the threads that finish their work.
log::Trace TraceOf(const grpc::ServerContextBase& context);

}  // namespace tidewheel::rpc
