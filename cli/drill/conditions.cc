#include "tidewheel/cli/drill/conditions.h"

#include <algorithm>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/vision/decode.h"
#include "tidewheel/vision/encode.h"

namespace tidewheel::cli::drill {
namespace {

using vision::Image;

constexpr int kJpegQuality = 92;

/// The mean of 2 * radius + 1 pixels along one axis; the border repeats.
Image BoxMean(const Image& image, int radius, bool along_x) {
  Image mean = image;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      for (int c = 0; c < image.channels; ++c) {
        int sum = 0;
        for (int offset = -radius; offset <= radius; ++offset) {
          const int at_x = along_x ? std::clamp(x + offset, 0, image.width - 1) : x;
          const int at_y = along_x ? y : std::clamp(y + offset, 0, image.height - 1);
          sum += image.pixels[image.Offset(at_x, at_y) + static_cast<std::size_t>(c)];
        }
        mean.pixels[image.Offset(x, y) + static_cast<std::size_t>(c)] =
            static_cast<std::uint8_t>((sum + radius) / (2 * radius + 1));
      }
    }
  }
  return mean;
}

}  // namespace

std::string_view Name(Condition condition) {
  switch (condition) {
    case Condition::kOld:
      return "old";
    case Condition::kTurned:
      return "turned";
    case Condition::kFaulty:
      return "faulty";
  }
  return "unknown";
}

Image TurnedLeft(const Image& image) {
  Image turned = Image::Filled(image.height, image.width, image.channels, 0);
  for (int y = 0; y < turned.height; ++y) {
    for (int x = 0; x < turned.width; ++x) {
      const std::size_t from = image.Offset(image.width - 1 - y, x);
      const std::size_t to = turned.Offset(x, y);
      for (std::size_t c = 0; c < static_cast<std::size_t>(image.channels); ++c) {
        turned.pixels[to + c] = image.pixels[from + c];
      }
    }
  }
  return turned;
}

Image Darkened(const Image& image, std::uint64_t seed) {
  Random random(seed);
  Image dark = image;
  for (auto& value : dark.pixels) {
    value = static_cast<std::uint8_t>(value / 128 + static_cast<int>(random.Below(3)));
  }
  return dark;
}

Image Blurred(const Image& image) {
  const int radius = std::max(3, std::min(image.width, image.height) / 6);
  Image blurred = image;
  // Three boxes are nearly a gaussian.
  for (int round = 0; round < 3; ++round) {
    blurred = BoxMean(BoxMean(blurred, radius, true), radius, false);
  }
  return blurred;
}

Result<std::string> PayloadIn(Condition condition, std::string_view payload, std::uint64_t seed) {
  if (condition == Condition::kOld) return std::string(payload);
  const auto image = vision::Decode(payload);
  if (!image) return image.error();
  if (condition == Condition::kTurned) return vision::EncodeJpeg(TurnedLeft(*image), kJpegQuality);
  const std::uint64_t draw = StableHash(payload, seed);
  // PNG: what JPEG makes of noise and of smooth planes is neither.
  return vision::EncodePng(draw % 2 == 0 ? Darkened(*image, draw) : Blurred(*image));
}

}  // namespace tidewheel::cli::drill
