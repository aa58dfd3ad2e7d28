#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/vision/image.h"

namespace tidewheel::vision {

/// What a foreign picture may cost. Sizes are read from the header and refused before a pixel is
/// allocated.
struct DecodeLimits {
  std::size_t max_bytes = 32U << 20;     ///< Of the encoded picture.
  std::int64_t max_pixels = 40'000'000;  ///< Width x height: 120 MB decoded; a progressive JPEG
                                         ///< takes three times that on the way.
  int max_side = 16'384;                 ///< Pixels.
};

/// What the first bytes promise; the rest may still be damaged.
struct ImageHeader {
  ImageFormat format = ImageFormat::kJpeg;
  int width = 0;
  int height = 0;
  int channels = 0;  ///< Of the decoded picture: 1 or 3.
};

/// Transparent pixels are laid over this grey (white), on the stored values.
inline constexpr std::uint8_t kAlphaBackground = 255;

/// The header of a picture; allocates nothing that grows with its size.
/// kInvalidArgument: no known format, or a damaged header. kUnimplemented: a form that is not read
/// (CMYK JPEG, animated WebP, GIF ...).
Result<ImageHeader> Probe(std::string_view bytes);

/// The pixels of a JPEG (grey, YCbCr, RGB; baseline or progressive), PNG (every colour type and
/// depth, interlaced too; 16 bits are rounded to 8, alpha laid over kAlphaBackground), PGM or PPM
/// (P5, P6; up to 16 bits) or still WebP. Grey pictures have one channel, all others three. Colour
/// profiles, gamma and Exif orientation are not applied. A picture that ends early or whose data
/// its library complains about is undecodable; what follows a complete picture is ignored.
/// kOutOfRange: over a limit (before anything is allocated); otherwise the errors of Probe.
/// Reentrant.
Result<Image> Decode(std::string_view bytes, const DecodeLimits& limits = {});

}  // namespace tidewheel::vision
