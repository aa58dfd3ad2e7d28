#include "tidewheel/rpc/status.h"

#include <string>

#include "tidewheel/log/log.h"

namespace tidewheel::rpc {

grpc::Status ToGrpcStatus(const Error& error) {
  using grpc::StatusCode;
  const auto status = [&](StatusCode code) { return grpc::Status(code, error.message); };
  switch (error.code) {
    case ErrorCode::kCancelled:
      return status(StatusCode::CANCELLED);
    case ErrorCode::kInvalidArgument:
      return status(StatusCode::INVALID_ARGUMENT);
    case ErrorCode::kDeadlineExceeded:
      return status(StatusCode::DEADLINE_EXCEEDED);
    case ErrorCode::kNotFound:
      return status(StatusCode::NOT_FOUND);
    case ErrorCode::kAlreadyExists:
      return status(StatusCode::ALREADY_EXISTS);
    case ErrorCode::kPermissionDenied:
      return status(StatusCode::PERMISSION_DENIED);
    case ErrorCode::kResourceExhausted:
      return status(StatusCode::RESOURCE_EXHAUSTED);
    case ErrorCode::kFailedPrecondition:
      return status(StatusCode::FAILED_PRECONDITION);
    case ErrorCode::kAborted:
      return status(StatusCode::ABORTED);
    case ErrorCode::kOutOfRange:
      return status(StatusCode::OUT_OF_RANGE);
    case ErrorCode::kUnimplemented:
      return status(StatusCode::UNIMPLEMENTED);
    case ErrorCode::kInternal:
      log::Error("internal error", {{"error", error.message}});
      return {StatusCode::INTERNAL, "internal error"};
    case ErrorCode::kUnavailable:
      return status(StatusCode::UNAVAILABLE);
    case ErrorCode::kDataLoss:
      return status(StatusCode::DATA_LOSS);
    case ErrorCode::kUnauthenticated:
      return status(StatusCode::UNAUTHENTICATED);
  }
  return {StatusCode::INTERNAL, "internal error"};
}

grpc::Status ToGrpcStatus(const Result<void>& result) {
  return result ? grpc::Status::OK : ToGrpcStatus(result.error());
}

Result<void> FromGrpcStatus(const grpc::Status& status) {
  using grpc::StatusCode;
  const auto error = [&](ErrorCode code) { return Error{code, status.error_message()}; };
  switch (status.error_code()) {
    case StatusCode::OK:
      return {};
    case StatusCode::CANCELLED:
      return error(ErrorCode::kCancelled);
    case StatusCode::INVALID_ARGUMENT:
      return error(ErrorCode::kInvalidArgument);
    case StatusCode::DEADLINE_EXCEEDED:
      return error(ErrorCode::kDeadlineExceeded);
    case StatusCode::NOT_FOUND:
      return error(ErrorCode::kNotFound);
    case StatusCode::ALREADY_EXISTS:
      return error(ErrorCode::kAlreadyExists);
    case StatusCode::PERMISSION_DENIED:
      return error(ErrorCode::kPermissionDenied);
    case StatusCode::UNAUTHENTICATED:
      return error(ErrorCode::kUnauthenticated);
    case StatusCode::RESOURCE_EXHAUSTED:
      return error(ErrorCode::kResourceExhausted);
    case StatusCode::FAILED_PRECONDITION:
      return error(ErrorCode::kFailedPrecondition);
    case StatusCode::ABORTED:
      return error(ErrorCode::kAborted);
    case StatusCode::OUT_OF_RANGE:
      return error(ErrorCode::kOutOfRange);
    case StatusCode::UNIMPLEMENTED:
      return error(ErrorCode::kUnimplemented);
    case StatusCode::UNAVAILABLE:
      return error(ErrorCode::kUnavailable);
    case StatusCode::DATA_LOSS:
      return error(ErrorCode::kDataLoss);
    case StatusCode::INTERNAL:
    case StatusCode::UNKNOWN:
    case StatusCode::DO_NOT_USE:
      return error(ErrorCode::kInternal);
  }
  return error(ErrorCode::kInternal);  // A number that no version of gRPC has named yet.
}

Result<void> FromGrpcStatus(const grpc::Status& status, std::string_view callee) {
  const auto result = FromGrpcStatus(status);
  if (result) return {};
  return Prefixed(std::string(callee) + ": ", result.error());
}

}  // namespace tidewheel::rpc
