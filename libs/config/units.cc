#include "tidewheel/config/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace tidewheel::config {
namespace {

using std::chrono::milliseconds;

struct DurationUnit {
  std::string_view name;
  std::int64_t length;  // Milliseconds.
};
constexpr std::array<DurationUnit, 5> kDurations{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::int64_t kCentury = std::int64_t{36'525} * 86'400'000;

struct ByteUnit {
  std::string_view name;
  std::uint64_t size;
};
constexpr std::array<ByteUnit, 9> kBytes{{{"TiB", std::uint64_t{1} << 40},
                                          {"GiB", std::uint64_t{1} << 30},
                                          {"MiB", std::uint64_t{1} << 20},
                                          {"KiB", std::uint64_t{1} << 10},
                                          {"TB", 1'000'000'000'000},
                                          {"GB", 1'000'000'000},
                                          {"MB", 1'000'000},
                                          {"kB", 1'000},
                                          {"B", 1}}};

Error NotADuration(std::string_view text) {
  return {ErrorCode::kInvalidArgument,
          "must be a duration such as 250ms, 10s, 5m, 2h or 7d, not \"" +
              std::string(text.substr(0, 60)) + "\""};
}

Error NotBytes(std::string_view text) {
  return {ErrorCode::kInvalidArgument, "must be a size such as 4096, 64KiB, 16MiB or 2GB, not \"" +
                                           std::string(text.substr(0, 60)) + "\""};
}

}  // namespace

Result<milliseconds> ParseDuration(std::string_view text) {
  double number = 0;
  const auto [end, failure] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (failure != std::errc{} || !std::isfinite(number) || number < 0) return NotADuration(text);
  const std::string_view name(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (name.empty()) {
    if (number == 0) return milliseconds{0};
    return NotADuration(text);
  }
  for (const auto& unit : kDurations) {
    if (unit.name != name) continue;
    const double length = number * static_cast<double>(unit.length);
    if (length > static_cast<double>(kCentury)) {
      return Error{ErrorCode::kInvalidArgument, "must be at most 100 years"};
    }
    const double whole = std::round(length);
    if (std::abs(length - whole) > 1e-6) {
      return Error{ErrorCode::kInvalidArgument, "must be whole milliseconds"};
    }
    return milliseconds{static_cast<std::int64_t>(whole)};
  }
  return NotADuration(text);
}

std::string FormatDuration(milliseconds duration) {
  const std::int64_t count = duration.count();
  for (const auto& unit : kDurations) {
    if (count != 0 && count % unit.length == 0) {
      return std::to_string(count / unit.length) + std::string(unit.name);
    }
  }
  return "0ms";
}

Result<ByteCount> ParseByteCount(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failure != std::errc{}) return NotBytes(text);
  const std::string_view name(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (name.empty()) return ByteCount{number};
  for (const auto& unit : kBytes) {
    if (unit.name != name) continue;
    if (number > std::numeric_limits<std::uint64_t>::max() / unit.size) return NotBytes(text);
    return ByteCount{number * unit.size};
  }
  return NotBytes(text);
}

std::string FormatByteCount(ByteCount count) {
  for (std::size_t i = 0; i < 4; ++i) {  // The powers of 1024.
    const auto& unit = kBytes[i];
    if (count.bytes != 0 && count.bytes % unit.size == 0) {
      return std::to_string(count.bytes / unit.size) + std::string(unit.name);
    }
  }
  return std::to_string(count.bytes);
}

}  // namespace tidewheel::config
