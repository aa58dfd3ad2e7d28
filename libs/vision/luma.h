#pragma once

#include <cstdint>

namespace tidewheel::vision {

/// Luma of one pixel, ITU-R BT.601 in sixteen-bit fixed point: white is 255, black is 0.
constexpr std::uint8_t Luma(std::uint8_t red, std::uint8_t green, std::uint8_t blue) {
  return static_cast<std::uint8_t>((19595U * red + 38470U * green + 7471U * blue + 32768U) >> 16);
}

}  // namespace tidewheel::vision
