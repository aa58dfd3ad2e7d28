#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tidewheel::vision {

/// A decoded picture: 8 bits a channel, rows from the top, pixels from the left, channels
/// interleaved (HWC).
struct Image {
  int width = 0;
  int height = 0;
  int channels = 0;  ///< 1: grey; 3: red, green, blue. Values as stored (sRGB), not linear light.
  std::vector<std::uint8_t> pixels;  ///< height x width x channels.

  /// A picture of one value.
  static Image Filled(int width, int height, int channels, std::uint8_t value);

  std::size_t Offset(int x, int y) const {
    return (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
            static_cast<std::size_t>(x)) *
           static_cast<std::size_t>(channels);
  }

  friend bool operator==(const Image&, const Image&) = default;
};

/// Whether the sizes are positive, the channels 1 or 3, and the pixels as many as they say.
bool IsWellFormed(const Image& image);

/// One channel: round(0.299 R + 0.587 G + 0.114 B) in sixteen-bit fixed point (ITU-R BT.601); a
/// grey picture is returned as it is.
Image ToGrey(const Image& image);

enum class ImageFormat { kJpeg, kPng, kPgm, kPpm, kWebp };

/// "JPEG", "PNG", "PGM", "PPM", "WebP".
std::string_view Name(ImageFormat format);

}  // namespace tidewheel::vision
