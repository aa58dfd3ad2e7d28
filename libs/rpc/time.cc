#include "tidewheel/rpc/time.h"

#include <cstdint>
#include <string>

namespace tidewheel::rpc {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

constexpr std::int64_t kFirstSecond = -62'135'596'800;  // 0001-01-01T00:00:00Z.
constexpr std::int64_t kLastSecond = 253'402'300'799;   // 9999-12-31T23:59:59Z.
constexpr std::int64_t kMostSeconds = 315'576'000'000;  // About 10,000 years.
constexpr std::int32_t kNanosInSecond = 1'000'000'000;

Error Invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

}  // namespace

google::protobuf::Timestamp ToProto(Timestamp time) {
  const auto whole = std::chrono::floor<seconds>(time);
  google::protobuf::Timestamp proto;
  proto.set_seconds(whole.time_since_epoch().count());
  proto.set_nanos(static_cast<std::int32_t>((time - whole).count() * 1'000));
  return proto;
}

google::protobuf::Duration ToProto(microseconds duration) {
  // Both parts have the duration's sign: division cuts towards zero.
  google::protobuf::Duration proto;
  proto.set_seconds(duration.count() / 1'000'000);
  proto.set_nanos(static_cast<std::int32_t>(duration.count() % 1'000'000 * 1'000));
  return proto;
}

Result<Timestamp> FromProto(const google::protobuf::Timestamp& time) {
  if (time.seconds() < kFirstSecond || time.seconds() > kLastSecond) {
    return Invalid("time must be in the years 1 to 9999, not at second " +
                   std::to_string(time.seconds()));
  }
  if (time.nanos() < 0 || time.nanos() >= kNanosInSecond) {
    return Invalid("time must have 0 to 999999999 nanoseconds, not " +
                   std::to_string(time.nanos()));
  }
  return Timestamp(seconds(time.seconds()) + microseconds(time.nanos() / 1'000));
}

Result<microseconds> FromProto(const google::protobuf::Duration& duration) {
  if (duration.seconds() < -kMostSeconds || duration.seconds() > kMostSeconds) {
    return Invalid("duration must be within 10,000 years, not " +
                   std::to_string(duration.seconds()) + " s");
  }
  if (duration.nanos() <= -kNanosInSecond || duration.nanos() >= kNanosInSecond) {
    return Invalid("duration must have less than a second of nanoseconds, not " +
                   std::to_string(duration.nanos()));
  }
  if ((duration.seconds() > 0 && duration.nanos() < 0) ||
      (duration.seconds() < 0 && duration.nanos() > 0)) {
    return Invalid("duration must have seconds and nanoseconds of the same sign");
  }
  return seconds(duration.seconds()) + microseconds(duration.nanos() / 1'000);
}

}  // namespace tidewheel::rpc
