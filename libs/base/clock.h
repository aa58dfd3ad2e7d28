#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"

namespace tidewheel {

/// Microseconds since 1970 in UTC: what PostgreSQL's timestamptz keeps.
using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;

/// Where time comes from, so that a test can say what time it is. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp Now() const = 0;
};

/// The machine's clock.
class SystemClock final : public Clock {
 public:
  Timestamp Now() const override;
};

/// "2026-11-22T10:00:00.000000Z".
std::string FormatUtc(Timestamp time);

/// Reads RFC 3339 with `Z` or an offset; fractions beyond microseconds are cut. kInvalidArgument
/// names the text.
Result<Timestamp> ParseUtc(std::string_view text);

}  // namespace tidewheel
