#include <limits>
#include <optional>
#include <string>

#include "tidewheel/vision/encode.h"
#include "tidewheel/vision/formats/format.h"

namespace tidewheel::vision {
namespace {

struct PnmHeader {
  bool coloured = false;
  int width = 0;
  int height = 0;
  int max_value = 0;
  std::size_t raster = 0;  // Where the pixels begin.
};

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// The next whole number, after white space and comments; nothing when there is none or it is too
// long to be a size.
std::optional<int> NextNumber(std::string_view bytes, std::size_t& at) {
  while (at < bytes.size() && (IsSpace(bytes[at]) || bytes[at] == '#')) {
    if (bytes[at] == '#') {
      while (at < bytes.size() && bytes[at] != '\n' && bytes[at] != '\r') ++at;
    } else {
      ++at;
    }
  }
  std::int64_t value = 0;
  const std::size_t first = at;
  for (; at < bytes.size() && bytes[at] >= '0' && bytes[at] <= '9'; ++at) {
    value = value * 10 + (bytes[at] - '0');
    if (value > std::numeric_limits<int>::max()) return std::nullopt;
  }
  if (at == first) return std::nullopt;
  return static_cast<int>(value);
}

ImageFormat FormatOf(bool coloured) { return coloured ? ImageFormat::kPpm : ImageFormat::kPgm; }

Result<PnmHeader> ParseHeader(std::string_view bytes) {
  PnmHeader header;
  header.coloured = bytes[1] == '6';
  const std::string damaged = std::string(Name(FormatOf(header.coloured))) + " is damaged: ";
  std::size_t at = 2;
  const auto width = NextNumber(bytes, at);
  const auto height = width ? NextNumber(bytes, at) : std::nullopt;
  const auto max_value = height ? NextNumber(bytes, at) : std::nullopt;
  if (!max_value || at >= bytes.size() || !IsSpace(bytes[at])) {
    return Error{ErrorCode::kInvalidArgument,
                 damaged + "its header is not width, height and largest value"};
  }
  if (*width == 0 || *height == 0) {
    return Error{ErrorCode::kInvalidArgument, damaged + "its size is " + std::to_string(*width) +
                                                  " x " + std::to_string(*height) + " pixels"};
  }
  if (*max_value == 0 || *max_value > 65'535) {
    return Error{ErrorCode::kInvalidArgument, damaged + "its largest value is " +
                                                  std::to_string(*max_value) + ", not in 1..65535"};
  }
  header.width = *width;
  header.height = *height;
  header.max_value = *max_value;
  header.raster = at + 1;
  return header;
}

Result<std::string> EncodePnm(const Image& image, int channels) {
  const std::string format(Name(FormatOf(channels == 3)));
  if (!IsWellFormed(image) || image.channels != channels) {
    return Error{ErrorCode::kInvalidArgument, format + " takes a well formed picture of " +
                                                  std::to_string(channels) +
                                                  (channels == 1 ? " channel" : " channels")};
  }
  std::string bytes = (channels == 3 ? "P6\n" : "P5\n") + std::to_string(image.width) + " " +
                      std::to_string(image.height) + "\n255\n";
  bytes.append(image.pixels.begin(), image.pixels.end());
  return bytes;
}

}  // namespace

namespace formats {

bool IsPnm(std::string_view bytes) {
  return bytes.size() >= 3 && bytes[0] == 'P' && (bytes[1] == '5' || bytes[1] == '6') &&
         (IsSpace(bytes[2]) || bytes[2] == '#');
}

Result<ImageHeader> ProbePnm(std::string_view bytes) {
  const auto header = ParseHeader(bytes);
  if (!header) return header.error();
  return ImageHeader{FormatOf(header->coloured), header->width, header->height,
                     header->coloured ? 3 : 1};
}

Result<Image> ReadPnm(std::string_view bytes, const ImageHeader& /*header*/) {
  const auto header = ParseHeader(bytes);
  if (!header) return header.error();
  const std::string damaged = std::string(Name(FormatOf(header->coloured))) + " is damaged: ";

  const std::size_t samples = static_cast<std::size_t>(header->width) *
                              static_cast<std::size_t>(header->height) *
                              (header->coloured ? 3U : 1U);
  const std::size_t sample_bytes = header->max_value > 255 ? 2U : 1U;
  const std::string_view raster = bytes.substr(header->raster);
  if (raster.size() < samples * sample_bytes) {
    return Error{ErrorCode::kInvalidArgument,
                 damaged + "it ends early, after " + std::to_string(raster.size()) + " of " +
                     std::to_string(samples * sample_bytes) + " bytes of pixels"};
  }
  Image image{header->width, header->height, header->coloured ? 3 : 1, {}};
  const auto* from = reinterpret_cast<const std::uint8_t*>(raster.data());
  if (header->max_value == 255) {
    image.pixels.assign(from, from + samples);
    return image;
  }
  image.pixels.resize(samples);
  const auto max_value = static_cast<unsigned>(header->max_value);
  for (std::uint8_t& pixel : image.pixels) {
    unsigned value = *from++;
    if (sample_bytes == 2) value = value << 8 | *from++;
    if (value > max_value) {
      return Error{ErrorCode::kInvalidArgument, damaged + "value " + std::to_string(value) +
                                                    " is over its largest value " +
                                                    std::to_string(max_value)};
    }
    pixel = static_cast<std::uint8_t>((value * 255U + max_value / 2U) / max_value);
  }
  return image;
}

}  // namespace formats

Result<std::string> EncodePgm(const Image& image) { return EncodePnm(image, 1); }

Result<std::string> EncodePpm(const Image& image) { return EncodePnm(image, 3); }

}  // namespace tidewheel::vision
