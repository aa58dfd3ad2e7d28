#include "tidewheel/rpc/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tidewheel/rpc/page.h"

namespace tidewheel::rpc {
namespace {

using ::testing::HasSubstr;

constexpr ErrorCode kAll[] = {
    ErrorCode::kCancelled,         ErrorCode::kInvalidArgument,    ErrorCode::kDeadlineExceeded,
    ErrorCode::kNotFound,          ErrorCode::kAlreadyExists,      ErrorCode::kPermissionDenied,
    ErrorCode::kResourceExhausted, ErrorCode::kFailedPrecondition, ErrorCode::kAborted,
    ErrorCode::kOutOfRange,        ErrorCode::kUnimplemented,      ErrorCode::kUnavailable,
    ErrorCode::kDataLoss,          ErrorCode::kUnauthenticated};

TEST(StatusTest, EveryErrorButInternalCrossesTheWireAndComesBackAsItWas) {
  for (const ErrorCode code : kAll) {
    const Error error{code, "task traffic is not there"};
    const auto back = FromGrpcStatus(ToGrpcStatus(error));
    ASSERT_FALSE(back.ok());
    EXPECT_EQ(back.error(), error);
  }
}

TEST(StatusTest, AnInternalErrorIsLoggedInFullAndSaysNothingOutside) {
  ::testing::internal::CaptureStderr();
  const auto status = ToGrpcStatus(Error{ErrorCode::kInternal, "password is hunter2"});
  const std::string logged = ::testing::internal::GetCapturedStderr();

  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(status.error_message(), "internal error");
  EXPECT_THAT(logged, HasSubstr("hunter2"));
}

TEST(StatusTest, SuccessIsSuccessBothWays) {
  EXPECT_TRUE(ToGrpcStatus(Result<void>()).ok());
  EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK).ok());
}

TEST(StatusTest, UnknownIsInternalAndTheCalleeIsNamed) {
  const auto result =
      FromGrpcStatus({grpc::StatusCode::UNKNOWN, "Unexpected error"}, "model-registry");
  EXPECT_EQ(result.error(), (Error{ErrorCode::kInternal, "model-registry: Unexpected error"}));
}

TEST(PageSizeTest, IsClampedAndNeverNegative) {
  EXPECT_EQ(*PageSize(0), 100);
  EXPECT_EQ(*PageSize(7), 7);
  EXPECT_EQ(*PageSize(5'000), 1'000);
  EXPECT_EQ(*PageSize(0, 20, 50), 20);
  EXPECT_EQ(PageSize(-1).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace tidewheel::rpc
