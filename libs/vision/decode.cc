#include "tidewheel/vision/decode.h"

#include <algorithm>
#include <string>

#include "tidewheel/vision/formats/format.h"

namespace tidewheel::vision {
namespace {

using namespace formats;  // NOLINT(google-build-using-namespace): the readers that this file
                          // chooses from.

bool StartsWith(std::string_view bytes, std::string_view signature) {
  return bytes.substr(0, signature.size()) == signature;
}

Error UnknownFormat(std::string_view bytes) {
  if (bytes.empty()) return {ErrorCode::kInvalidArgument, "picture of 0 bytes"};
  std::string_view known;
  if (StartsWith(bytes, "GIF8")) known = "GIF";
  if (StartsWith(bytes, "BM")) known = "BMP";
  if (StartsWith(bytes, std::string_view("II*\0", 4)) ||
      StartsWith(bytes, std::string_view("MM\0*", 4)))
    known = "TIFF";
  if (bytes.size() >= 12 && (bytes.substr(4, 8) == "ftypavif" || bytes.substr(4, 8) == "ftypheic"))
    known = "HEIF or AVIF";
  if (!known.empty()) {
    return {ErrorCode::kUnimplemented,
            std::string(known) + " pictures are not read; JPEG, PNG, PGM, PPM and WebP are"};
  }
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "unknown picture format (first bytes";
  for (const char c : bytes.substr(0, 4)) {
    const auto byte = static_cast<unsigned char>(c);
    text += {' ', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return {ErrorCode::kInvalidArgument, text + "); JPEG, PNG, PGM, PPM and WebP are read"};
}

Result<void> Within(const ImageHeader& header, const DecodeLimits& limits) {
  const std::string subject = std::string(Name(header.format)) + " of " +
                              std::to_string(header.width) + " x " + std::to_string(header.height) +
                              " pixels";
  if (std::int64_t{header.width} * header.height > limits.max_pixels) {
    return Error{ErrorCode::kOutOfRange, subject + " is over the limit of " +
                                             std::to_string(limits.max_pixels) + " pixels"};
  }
  if (std::max(header.width, header.height) > limits.max_side) {
    return Error{ErrorCode::kOutOfRange, subject + " is over the limit of " +
                                             std::to_string(limits.max_side) + " pixels a side"};
  }
  return {};
}

}  // namespace

Result<ImageHeader> Probe(std::string_view bytes) {
  if (IsJpeg(bytes)) return ProbeJpeg(bytes);
  if (IsPng(bytes)) return ProbePng(bytes);
  if (IsPnm(bytes)) return ProbePnm(bytes);
  if (IsWebp(bytes)) return ProbeWebp(bytes);
  return UnknownFormat(bytes);
}

Result<Image> Decode(std::string_view bytes, const DecodeLimits& limits) {
  if (bytes.size() > limits.max_bytes) {
    return Error{ErrorCode::kOutOfRange, "picture of " + std::to_string(bytes.size()) +
                                             " bytes is over the limit of " +
                                             std::to_string(limits.max_bytes) + " bytes"};
  }
  const auto header = Probe(bytes);
  if (!header) return header.error();
  if (const auto within = Within(*header, limits); !within) return within.error();

  switch (header->format) {
    case ImageFormat::kJpeg:
      return ReadJpeg(bytes, *header);
    case ImageFormat::kPng:
      return ReadPng(bytes, *header);
    case ImageFormat::kPgm:
    case ImageFormat::kPpm:
      return ReadPnm(bytes, *header);
    case ImageFormat::kWebp:
      return ReadWebp(bytes, *header);
  }
  return UnknownFormat(bytes);
}

}  // namespace tidewheel::vision
