#include "tidewheel/vision/image.h"

#include "tidewheel/vision/luma.h"

namespace tidewheel::vision {

Image Image::Filled(int width, int height, int channels, std::uint8_t value) {
  Image image{width, height, channels, {}};
  image.pixels.assign(image.Offset(0, height), value);
  return image;
}

bool IsWellFormed(const Image& image) {
  return image.width > 0 && image.height > 0 && (image.channels == 1 || image.channels == 3) &&
         image.pixels.size() == image.Offset(0, image.height);
}

Image ToGrey(const Image& image) {
  if (image.channels == 1) return image;
  Image grey = Image::Filled(image.width, image.height, 1, 0);
  const std::uint8_t* rgb = image.pixels.data();
  for (std::uint8_t& value : grey.pixels) {
    value = Luma(rgb[0], rgb[1], rgb[2]);
    rgb += 3;
  }
  return grey;
}

std::string_view Name(ImageFormat format) {
  switch (format) {
    case ImageFormat::kJpeg:
      return "JPEG";
    case ImageFormat::kPng:
      return "PNG";
    case ImageFormat::kPgm:
      return "PGM";
    case ImageFormat::kPpm:
      return "PPM";
    case ImageFormat::kWebp:
      return "WebP";
  }
  return "picture";
}

}  // namespace tidewheel::vision
