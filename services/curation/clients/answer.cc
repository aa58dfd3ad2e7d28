#include "tidewheel/curation/clients/answer.h"

#include "tidewheel/rpc/status.h"

namespace tidewheel::curation {

Result<void> AnswerOf(const grpc::Status& status, std::string_view callee) {
  auto answered = rpc::FromGrpcStatus(status, callee);
  if (answered) return answered;
  Error error = answered.error();
  if (error.code == ErrorCode::kDeadlineExceeded) error.code = ErrorCode::kUnavailable;
  return error;
}

Result<void> CheckKnown(const std::shared_ptr<grpc::Channel>& channel, std::string_view callee) {
  if (channel) return {};
  return Error{ErrorCode::kUnavailable,
               std::string(callee) + ": no address of this service is configured"};
}

}  // namespace tidewheel::curation
