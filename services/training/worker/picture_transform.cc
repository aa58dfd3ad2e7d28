#include "tidewheel/training/worker/picture_transform.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::training {
namespace {

constexpr double kFullScale = 255;
constexpr int kWidestBlur = 64;  // Pixels to each side.

std::uint8_t Clamped(double value) {
  return static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0, kFullScale)));
}

void Add(vision::Image& image, double amount) {
  for (std::uint8_t& value : image.pixels)
    value = Clamped(static_cast<double>(value) + amount * kFullScale);
}

vision::Image Shifted(const vision::Image& image, double amount) {
  const int pixels = static_cast<int>(std::lround(
      std::clamp(amount, 0.0, static_cast<double>(std::max(image.width, image.height)))));
  vision::Image out = image;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const std::size_t from = image.Offset(std::max(0, x - pixels), std::max(0, y - pixels));
      const std::size_t to = image.Offset(x, y);
      std::copy_n(image.pixels.begin() + static_cast<std::ptrdiff_t>(from), image.channels,
                  out.pixels.begin() + static_cast<std::ptrdiff_t>(to));
    }
  }
  return out;
}

/// One axis of a Gaussian, the edge repeated.
std::vector<double> BlurredOnce(const std::vector<double>& values, const vision::Image& shape,
                                const std::vector<double>& kernel, bool across) {
  const int reach = static_cast<int>(kernel.size() / 2);
  std::vector<double> out(values.size());
  for (int y = 0; y < shape.height; ++y) {
    for (int x = 0; x < shape.width; ++x) {
      for (int channel = 0; channel < shape.channels; ++channel) {
        double sum = 0;
        for (int i = -reach; i <= reach; ++i) {
          const int from_x = across ? std::clamp(x + i, 0, shape.width - 1) : x;
          const int from_y = across ? y : std::clamp(y + i, 0, shape.height - 1);
          sum += kernel[static_cast<std::size_t>(i + reach)] *
                 values[shape.Offset(from_x, from_y) + static_cast<std::size_t>(channel)];
        }
        out[shape.Offset(x, y) + static_cast<std::size_t>(channel)] = sum;
      }
    }
  }
  return out;
}

vision::Image Blurred(const vision::Image& image, double sigma) {
  const int reach = std::min(kWidestBlur, static_cast<int>(std::ceil(3 * std::min(sigma, 1e3))));
  std::vector<double> kernel;
  double sum = 0;
  for (int i = -reach; i <= reach; ++i) {
    kernel.push_back(std::exp(-0.5 * i * i / (sigma * sigma)));
    sum += kernel.back();
  }
  for (double& weight : kernel) weight /= sum;
  const std::vector<double> values(image.pixels.begin(), image.pixels.end());
  const auto blurred = BlurredOnce(BlurredOnce(values, image, kernel, true), image, kernel, false);
  vision::Image out = image;
  std::transform(blurred.begin(), blurred.end(), out.pixels.begin(), Clamped);
  return out;
}

}  // namespace

Result<PictureTransform> ParsePictureTransform(std::string_view word) {
  static constexpr std::pair<std::string_view, PictureTransform> kWords[] = {
      {"brighten", PictureTransform::kBrighten},
      {"darken", PictureTransform::kDarken},
      {"shift", PictureTransform::kShift},
      {"blur", PictureTransform::kBlur},
      {"noise", PictureTransform::kNoise}};
  for (const auto& [name, transform] : kWords) {
    if (name == word) return transform;
  }
  return Error{ErrorCode::kInvalidArgument,
               "no transform \"" + std::string(word) +
                   "\"; there are brighten, darken, shift, blur and noise"};
}

vision::Image Transformed(const vision::Image& image, PictureTransform transform, double amount,
                          std::uint64_t seed) {
  if (!(amount > 0)) return image;
  vision::Image out = image;
  switch (transform) {
    case PictureTransform::kBrighten:
      Add(out, amount);
      return out;
    case PictureTransform::kDarken:
      Add(out, -amount);
      return out;
    case PictureTransform::kShift:
      return Shifted(image, amount);
    case PictureTransform::kBlur:
      return Blurred(image, amount);
    case PictureTransform::kNoise: {
      Random random(seed);
      for (std::uint8_t& value : out.pixels) {
        value = Clamped(static_cast<double>(value) + amount * kFullScale * random.Normal());
      }
      return out;
    }
  }
  return out;
}

vision::Image Varied(const vision::Image& image, std::uint64_t seed) {
  Random random(seed);
  const double gain = 0.8 + 0.4 * random.Uniform();
  const double added = kFullScale * 0.08 * (random.Uniform() - 0.5);
  const double noise = kFullScale * 0.016;
  const auto move = [&random](int side) {
    const int most = std::max(1, side / 10);
    return static_cast<int>(random.Below(static_cast<std::uint64_t>(2 * most + 1))) - most;
  };
  const int right = move(image.width);
  const int down = move(image.height);
  vision::Image out = image;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const std::size_t from = image.Offset(std::clamp(x - right, 0, image.width - 1),
                                            std::clamp(y - down, 0, image.height - 1));
      const std::size_t to = image.Offset(x, y);
      for (std::size_t c = 0; c < static_cast<std::size_t>(image.channels); ++c) {
        out.pixels[to + c] = Clamped(static_cast<double>(image.pixels[from + c]) * gain + added +
                                     noise * random.Normal());
      }
    }
  }
  return out;
}

}  // namespace tidewheel::training
