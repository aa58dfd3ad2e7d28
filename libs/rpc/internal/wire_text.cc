#include "tidewheel/rpc/internal/wire_text.h"

#include <absl/strings/escaping.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace tidewheel::rpc {

std::optional<std::chrono::nanoseconds> ParseGrpcTimeout(std::string_view text) {
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  std::int64_t count = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size() - 1, count);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() - 1 || count < 0) {
    return std::nullopt;
  }
  switch (text.back()) {
    case 'H':
      // Eight digits of hours are more than nanoseconds can count.
      return std::chrono::hours(std::min<std::int64_t>(count, 1'000'000));
    case 'M':
      return std::chrono::minutes(std::min<std::int64_t>(count, 60'000'000));
    case 'S':
      return std::chrono::seconds(count);
    case 'm':
      return std::chrono::milliseconds(count);
    case 'u':
      return std::chrono::microseconds(count);
    case 'n':
      return std::chrono::nanoseconds(count);
    default:
      return std::nullopt;
  }
}

std::string PercentEncoded(std::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte <= 0x7E && c != '%') {
      encoded += c;
    } else {
      encoded += '%';
      encoded += kDigits[byte >> 4];
      encoded += kDigits[byte & 15];
    }
  }
  return encoded;
}

bool IsReservedHeader(std::string_view name) {
  return name.empty() || name.front() == ':' || name == "te" || name == "content-type" ||
         name == "content-length" || name == "user-agent" || name == "host" ||
         name.starts_with("grpc-");
}

bool IsMetadata(std::string_view name, std::string_view value) {
  const auto in_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  if (name.empty() || !std::all_of(name.begin(), name.end(), in_name)) return false;
  if (name.ends_with("-bin")) return FromBase64(value).has_value();
  return std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

std::optional<std::string> FromBase64(std::string_view text) {
  std::string bytes;
  if (!absl::Base64Unescape({text.data(), text.size()}, &bytes)) return std::nullopt;
  return bytes;
}

std::string ToBase64(std::string_view bytes) {
  std::string text = absl::Base64Escape({bytes.data(), bytes.size()});
  while (!text.empty() && text.back() == '=') text.pop_back();
  return text;
}

}  // namespace tidewheel::rpc
