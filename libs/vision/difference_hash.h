#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/vision/image.h"

namespace tidewheel::vision {

/// 128 bits that are nearly the same for pictures that look nearly the same.
struct Hash128 {
  std::uint64_t high = 0;  ///< Rows 0..7: row 0, column 0 is the highest bit.
  std::uint64_t low = 0;   ///< Rows 8..15.

  /// 32 lower-case hexadecimal digits, first row first.
  std::string Hex() const;
  /// kInvalidArgument: not 32 hexadecimal digits.
  static Result<Hash128> FromHex(std::string_view hex);

  friend bool operator==(const Hash128&, const Hash128&) = default;
};

/// The difference hash: the grey picture is reduced to 9 columns x 16 rows by a triangle filter
/// that spans two output pixels, first along the rows, then along the columns, each result rounded
/// to eight bits; bit (row, column), column 0..7, says that the value at column + 1 is greater than
/// the one at column. Flat regions give 0. All zero for a picture that is not well formed.
Hash128 DifferenceHash(const Image& image);

/// The number of bits that differ, 0..128.
int HammingDistance(const Hash128& a, const Hash128& b);

}  // namespace tidewheel::vision

template <>
struct std::hash<tidewheel::vision::Hash128> {
  std::size_t operator()(const tidewheel::vision::Hash128& key) const noexcept {
    std::uint64_t mixed = (key.high ^ (key.low >> 31) ^ (key.low << 33)) * 0x9E3779B97F4A7C15ULL;
    mixed ^= mixed >> 32;
    return static_cast<std::size_t>(mixed * 0xD6E8FEB86659FD93ULL);
  }
};
