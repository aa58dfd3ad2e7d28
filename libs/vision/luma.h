#pragma once

#include <cstdint>

namespace tidewheel::vision {

/// Luma of one pixel, ITU-R BT.601 in eight-bit fixed point: white is 255, black is 0.
constexpr std::uint8_t Luma(std::uint8_t red, std::uint8_t green, std::uint8_t blue) {
  return static_cast<std::uint8_t>((77U * red + 150U * green + 29U * blue + 128U) >> 8);
}

}  // namespace tidewheel::vision
