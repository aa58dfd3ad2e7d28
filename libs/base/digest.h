#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "tidewheel/base/result.h"

namespace tidewheel {

/// A SHA-256 value: the content address of payloads, datasets and packages. libs/blob computes it.
struct Digest {
  std::array<std::uint8_t, 32> bytes{};

  /// 64 lower-case hexadecimal digits.
  std::string Hex() const;
  /// kInvalidArgument: not 64 hexadecimal digits.
  static Result<Digest> FromHex(std::string_view hex);

  friend auto operator<=>(const Digest&, const Digest&) = default;
};

}  // namespace tidewheel

template <>
struct std::hash<tidewheel::Digest> {
  std::size_t operator()(const tidewheel::Digest& digest) const noexcept {
    std::size_t value = 0;
    std::memcpy(&value, digest.bytes.data(), sizeof value);
    return value;
  }
};
