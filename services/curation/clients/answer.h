#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include <memory>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"

namespace tidewheel::curation {

/// The callee's answer as ours: its name goes before the message, and a call that was not answered
/// in time is kUnavailable too.
Result<void> AnswerOf(const grpc::Status& status, std::string_view callee);

/// kUnavailable when no address of `callee` is known.
Result<void> CheckKnown(const std::shared_ptr<grpc::Channel>& channel, std::string_view callee);

}  // namespace tidewheel::curation
