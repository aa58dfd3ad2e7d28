#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"

namespace tidewheel::config {

/// A number of bytes that says so.
struct ByteCount {
  std::uint64_t bytes = 0;

  friend auto operator<=>(const ByteCount&, const ByteCount&) = default;
};

constexpr ByteCount KiB(std::uint64_t n) { return {n << 10}; }
constexpr ByteCount MiB(std::uint64_t n) { return {n << 20}; }
constexpr ByteCount GiB(std::uint64_t n) { return {n << 30}; }

/// "250ms", "1.5s", "10m", "2h", "7d"; a bare 0 too. kInvalidArgument: another form, negative, or
/// over 100 years.
Result<std::chrono::milliseconds> ParseDuration(std::string_view text);
/// The shortest of these forms: "250ms", "10s", "5m".
std::string FormatDuration(std::chrono::milliseconds duration);

/// "512", "64KiB", "16MiB", "2GiB", "1TiB" (powers of 1024), "10kB", "5MB", "1GB" (powers of 1000).
Result<ByteCount> ParseByteCount(std::string_view text);
/// "16MiB" when it is a whole number of a unit, else the bytes.
std::string FormatByteCount(ByteCount count);

}  // namespace tidewheel::config
