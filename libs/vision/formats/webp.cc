#include <webp/decode.h>

#include <string>

#include "tidewheel/vision/formats/format.h"

namespace tidewheel::vision::formats {
namespace {

const std::uint8_t* Bytes(std::string_view bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}

Error Damaged(VP8StatusCode status) {
  const bool early = status == VP8_STATUS_NOT_ENOUGH_DATA || status == VP8_STATUS_SUSPENDED;
  return {
      ErrorCode::kInvalidArgument,
      std::string("WebP is damaged: ") + (early ? "it ends early" : "its bit stream is not valid")};
}

Result<WebPBitstreamFeatures> Features(std::string_view bytes) {
  WebPBitstreamFeatures features{};
  const VP8StatusCode status = WebPGetFeatures(Bytes(bytes), bytes.size(), &features);
  if (status != VP8_STATUS_OK) return Damaged(status);
  if (features.has_animation != 0)
    return Error{ErrorCode::kUnimplemented, "animated WebP is not read; still WebP is"};
  return features;
}

}  // namespace

bool IsWebp(std::string_view bytes) {
  return bytes.size() >= 12 && bytes.substr(0, 4) == "RIFF" && bytes.substr(8, 4) == "WEBP";
}

Result<ImageHeader> ProbeWebp(std::string_view bytes) {
  const auto features = Features(bytes);
  if (!features) return features.error();
  return ImageHeader{ImageFormat::kWebp, features->width, features->height, 3};
}

Result<Image> ReadWebp(std::string_view bytes, const ImageHeader& header) {
  const auto features = Features(bytes);
  if (!features) return features.error();
  const bool transparent = features->has_alpha != 0;

  Image image = Image::Filled(header.width, header.height, transparent ? 4 : 3, 0);
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0)
    return Error{ErrorCode::kInternal, "WebP library of another version"};
  config.output.colorspace = transparent ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = image.pixels.data();
  config.output.u.RGBA.stride = header.width * image.channels;
  config.output.u.RGBA.size = image.pixels.size();
  const VP8StatusCode status = WebPDecode(Bytes(bytes), bytes.size(), &config);
  if (status != VP8_STATUS_OK) return Damaged(status);

  if (transparent) {
    const std::uint8_t* from = image.pixels.data();
    std::uint8_t* to = image.pixels.data();
    const std::size_t pixels = image.pixels.size() / 4;
    for (std::size_t i = 0; i < pixels; ++i, from += 4) {
      const unsigned alpha = from[3];
      for (int c = 0; c < 3; ++c) *to++ = OverBackground(from[c], alpha);
    }
    image.channels = 3;
    image.pixels.resize(pixels * 3);
  }
  return image;
}

}  // namespace tidewheel::vision::formats
