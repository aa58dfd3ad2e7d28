#pragma once

#include <grpcpp/support/status.h>

#include <string_view>

#include "tidewheel/base/result.h"

namespace tidewheel::rpc {

/// The only mapping of errors to the wire. kInternal becomes "internal error" outside and is logged
/// in full here.
grpc::Status ToGrpcStatus(const Error& error);

/// `ToGrpcStatus` of a failure, OK of a success.
grpc::Status ToGrpcStatus(const Result<void>& result);

/// The failure that a callee answered; OK becomes a success. UNKNOWN (a handler threw, a foreign
/// server) is kInternal.
Result<void> FromGrpcStatus(const grpc::Status& status);

/// The same with words before its message that name the callee: "model-registry: no such task".
Result<void> FromGrpcStatus(const grpc::Status& status, std::string_view callee);

}  // namespace tidewheel::rpc
