#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <chrono>

#include "tidewheel/base/clock.h"

namespace tidewheel::rpc {

google::protobuf::Timestamp ToProto(Timestamp time);
google::protobuf::Duration ToProto(std::chrono::microseconds duration);

/// Fractions beyond microseconds are cut. kInvalidArgument: outside the years 1 to 9999, or
/// nanoseconds outside a second.
Result<Timestamp> FromProto(const google::protobuf::Timestamp& time);
/// kInvalidArgument: over 10,000 years, nanoseconds outside a second, or parts of different sign.
Result<std::chrono::microseconds> FromProto(const google::protobuf::Duration& duration);

}  // namespace tidewheel::rpc
