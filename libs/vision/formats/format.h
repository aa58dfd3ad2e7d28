#pragma once

#include <string_view>

#include "tidewheel/base/result.h"
#include "tidewheel/vision/decode.h"

/// One reader per format, each in a file of its own beside its third party. A Read* is called with
/// a header that its Probe* made from the same bytes and that is within the limits.
namespace tidewheel::vision::formats {

bool IsJpeg(std::string_view bytes);
Result<ImageHeader> ProbeJpeg(std::string_view bytes);
Result<Image> ReadJpeg(std::string_view bytes, const ImageHeader& header);

bool IsPng(std::string_view bytes);
Result<ImageHeader> ProbePng(std::string_view bytes);
Result<Image> ReadPng(std::string_view bytes, const ImageHeader& header);

bool IsPnm(std::string_view bytes);
Result<ImageHeader> ProbePnm(std::string_view bytes);
Result<Image> ReadPnm(std::string_view bytes, const ImageHeader& header);

bool IsWebp(std::string_view bytes);
Result<ImageHeader> ProbeWebp(std::string_view bytes);
Result<Image> ReadWebp(std::string_view bytes, const ImageHeader& header);

/// `value` with opacity `alpha`, laid over kAlphaBackground.
constexpr std::uint8_t OverBackground(unsigned value, unsigned alpha) {
  return static_cast<std::uint8_t>((value * alpha + kAlphaBackground * (255U - alpha) + 127U) /
                                   255U);
}

}  // namespace tidewheel::vision::formats
