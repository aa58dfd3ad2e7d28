#pragma once

#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/vision/image.h"

namespace tidewheel::vision {

/// Writers for imports and tests. The same picture gives the same bytes (for one version of the
/// libraries). kInvalidArgument: the picture is not well formed, or does not fit the format.

/// Binary PGM (P5, maxval 255); one channel only.
Result<std::string> EncodePgm(const Image& image);
/// Binary PPM (P6, maxval 255); three channels only.
Result<std::string> EncodePpm(const Image& image);
/// Grey or RGB, 8 bits.
Result<std::string> EncodePng(const Image& image);
/// Baseline; chroma 4:2:0; quality 1..100.
Result<std::string> EncodeJpeg(const Image& image, int quality = 90);

}  // namespace tidewheel::vision
