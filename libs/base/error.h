#pragma once

#include <string>
#include <string_view>

namespace tidewheel {

/// What kind of failure, in gRPC's words, so that nothing is lost at the wire.
enum class ErrorCode {
  kCancelled,
  kInvalidArgument,
  kDeadlineExceeded,
  kNotFound,
  kAlreadyExists,
  kPermissionDenied,
  kResourceExhausted,
  kFailedPrecondition,
  kAborted,
  kOutOfRange,
  kUnimplemented,
  kInternal,
  kUnavailable,
  kDataLoss,
  kUnauthenticated,
};

/// "INVALID_ARGUMENT" and so on; never empty.
std::string_view Name(ErrorCode code);

/// A failure: the message names the thing and the limit, not the function.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;

  friend bool operator==(const Error&, const Error&) = default;
};

/// The same error with words before its message: "dataset traffic/v3: " + message.
Error Prefixed(std::string_view prefix, Error error);

/// Whether the same call may succeed later without a change: UNAVAILABLE, RESOURCE_EXHAUSTED,
/// ABORTED.
bool IsTransient(ErrorCode code);

}  // namespace tidewheel
