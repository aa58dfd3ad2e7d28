#include "tidewheel/vision/difference_hash.h"

#include <bit>

#include "tidewheel/vision/box_filter.h"

namespace tidewheel::vision {
namespace {

constexpr int kColumns = 9;
constexpr int kRows = 16;
constexpr char kDigits[] = "0123456789abcdef";

}  // namespace

Hash128 DifferenceHash(const Image& image) {
  Hash128 hash;
  if (!IsWellFormed(image)) return hash;
  const Image small = BoxResize(ToGrey(image), kColumns, kRows);
  for (int y = 0; y < kRows; ++y) {
    std::uint64_t& word = y < kRows / 2 ? hash.high : hash.low;
    const std::uint8_t* row = small.pixels.data() + small.Offset(0, y);
    for (int x = 0; x + 1 < kColumns; ++x) word = word << 1 | (row[x + 1] > row[x] ? 1U : 0U);
  }
  return hash;
}

int HammingDistance(const Hash128& a, const Hash128& b) {
  return std::popcount(a.high ^ b.high) + std::popcount(a.low ^ b.low);
}

std::string Hash128::Hex() const {
  std::string hex;
  hex.reserve(32);
  for (const std::uint64_t word : {high, low}) {
    for (int shift = 60; shift >= 0; shift -= 4) hex += kDigits[(word >> shift) & 15];
  }
  return hex;
}

Result<Hash128> Hash128::FromHex(std::string_view hex) {
  const Error error{ErrorCode::kInvalidArgument,
                    "'" + std::string(hex.substr(0, 40)) + "' is not 32 hexadecimal digits"};
  if (hex.size() != 32) return error;
  Hash128 hash;
  for (std::size_t i = 0; i < hex.size(); ++i) {
    std::uint64_t digit = 0;
    if (hex[i] >= '0' && hex[i] <= '9') {
      digit = static_cast<std::uint64_t>(hex[i] - '0');
    } else if (hex[i] >= 'a' && hex[i] <= 'f') {
      digit = static_cast<std::uint64_t>(hex[i] - 'a') + 10;
    } else {
      return error;
    }
    std::uint64_t& word = i < 16 ? hash.high : hash.low;
    word = word << 4 | digit;
  }
  return hash;
}

}  // namespace tidewheel::vision
