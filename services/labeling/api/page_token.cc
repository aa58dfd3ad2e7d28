#include "tidewheel/labeling/api/page_token.h"

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>
#include <utility>

#include "tidewheel/base/random.h"

namespace tidewheel::labeling {
namespace {

constexpr std::size_t kSealDigits = 16;

/// Ties the cursor to the list it belongs to; guards against mistakes, not against malice.
std::string Seal(std::string_view filter, std::string_view cursor) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::uint64_t hash = StableHash(cursor, StableHash(filter));
  std::string seal(kSealDigits, '0');
  for (std::size_t i = kSealDigits; i-- > 0; hash >>= 4U) seal[i] = kHex[hash & 15U];
  return seal;
}

std::optional<std::string> FromHex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    std::uint8_t byte = 0;
    const char* const end = hex.data() + i + 2;
    const auto read = std::from_chars(hex.data() + i, end, byte, 16);
    if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

}  // namespace

std::string MakePageToken(std::string_view filter, std::string_view cursor) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string token = Seal(filter, cursor);
  for (const char c : cursor) {
    const auto byte = static_cast<unsigned char>(c);
    token += kHex[byte >> 4];
    token += kHex[byte & 15];
  }
  return token;
}

Result<std::string> ReadPageToken(std::string_view filter, std::string_view token) {
  if (token.empty()) return std::string();
  if (token.size() > kSealDigits) {
    auto cursor = FromHex(token.substr(kSealDigits));
    if (cursor && Seal(filter, *cursor) == token.substr(0, kSealDigits)) return std::move(*cursor);
  }
  return Error{ErrorCode::kInvalidArgument, "page_token does not belong to this list and filter"};
}

}  // namespace tidewheel::labeling
