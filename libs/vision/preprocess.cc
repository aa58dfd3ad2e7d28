#include "tidewheel/vision/preprocess.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>

#include "tidewheel/vision/box_filter.h"

// Compiled with -ffp-contract=off: a fused multiply-add would round once where this file promises
// twice.

namespace tidewheel::vision {
namespace {

constexpr int kMaxSide = 4096;

struct Box {
  int left = 0;
  int top = 0;
  int width = 0;
  int height = 0;
};

// Pixels that keep their size need no filter: 256 values can occur. Quotients of equal fractions
// are equal, so this is the same result.
void PreprocessUnscaled(const Image& source, const PreprocessSpec& spec, std::span<float> out_chw) {
  const auto stride = static_cast<std::size_t>(source.channels);
  const std::size_t plane = source.pixels.size() / stride;
  std::array<float, 256> values{};
  for (std::size_t c = 0; c < static_cast<std::size_t>(spec.channels); ++c) {
    for (std::size_t value = 0; value < values.size(); ++value) {
      values[value] =
          static_cast<float>((static_cast<double>(value) / 255.0 - spec.mean[c]) / spec.std[c]);
    }
    const std::uint8_t* from = source.pixels.data() + std::min(c, stride - 1);
    for (std::size_t i = 0; i < plane; ++i) out_chw[c * plane + i] = values[from[i * stride]];
  }
}

// Where the picture lies in the output.
Box Place(const Image& image, const PreprocessSpec& spec) {
  if (spec.resize == Resize::kStretch) return {0, 0, spec.width, spec.height};
  const std::int64_t wide = std::int64_t{image.width} * spec.height;
  const std::int64_t tall = std::int64_t{image.height} * spec.width;
  Box box{0, 0, spec.width, spec.height};
  if (wide >= tall) {
    box.height = std::max(1, static_cast<int>((tall + image.width / 2) / image.width));
  } else {
    box.width = std::max(1, static_cast<int>((wide + image.height / 2) / image.height));
  }
  box.left = (spec.width - box.width) / 2;
  box.top = (spec.height - box.height) / 2;
  return box;
}

}  // namespace

std::string_view Name(Resize resize) {
  switch (resize) {
    case Resize::kStretch:
      return "stretch";
    case Resize::kFitPad:
      return "fit_pad";
  }
  return "stretch";
}

Result<Resize> ParseResize(std::string_view name) {
  for (const Resize resize : {Resize::kStretch, Resize::kFitPad}) {
    if (Name(resize) == name) return resize;
  }
  return Error{ErrorCode::kInvalidArgument,
               "resize '" + std::string(name) + "' is neither stretch nor fit_pad"};
}

Result<void> PreprocessSpec::Validate() const {
  std::string problems;
  const auto add = [&](const std::string& problem) {
    problems += (problems.empty() ? "" : "; ") + problem;
  };
  if (width < 1 || width > kMaxSide) add("width " + std::to_string(width) + " is not in 1..4096");
  if (height < 1 || height > kMaxSide)
    add("height " + std::to_string(height) + " is not in 1..4096");
  if (channels != 1 && channels != 3)
    add("channels " + std::to_string(channels) + " is neither 1 nor 3");
  const auto wanted = static_cast<std::size_t>(std::max(channels, 0));
  if (mean.size() != wanted)
    add(std::to_string(mean.size()) + " means for " + std::to_string(channels) + " channels");
  if (std.size() != wanted)
    add(std::to_string(std.size()) + " deviations for " + std::to_string(channels) + " channels");
  if (!std::all_of(mean.begin(), mean.end(), [](double value) { return std::isfinite(value); })) {
    add("a mean is not finite");
  }
  if (!std::all_of(std.begin(), std.end(),
                   [](double value) { return std::isfinite(value) && value > 0; })) {
    add("a deviation is not above zero");
  }
  if (problems.empty()) return {};
  return Error{ErrorCode::kInvalidArgument, "preprocessing: " + problems};
}

Result<void> Preprocess(const Image& image, const PreprocessSpec& spec, std::span<float> out_chw) {
  if (const auto valid = spec.Validate(); !valid) return valid.error();
  if (!IsWellFormed(image))
    return Error{ErrorCode::kInvalidArgument, "picture to preprocess is not well formed"};
  if (out_chw.size() != spec.OutputSize()) {
    return Error{ErrorCode::kInvalidArgument,
                 "preprocessing writes " + std::to_string(spec.OutputSize()) +
                     " values, the room is for " + std::to_string(out_chw.size())};
  }

  const bool to_grey = spec.channels == 1 && image.channels == 3;
  Image grey;
  if (to_grey) grey = ToGrey(image);
  const Image& source = to_grey ? grey : image;
  if (source.width == spec.width && source.height == spec.height) {
    PreprocessUnscaled(source, spec, out_chw);
    return {};
  }
  const Box box = Place(source, spec);
  const std::vector<std::uint64_t> sums = BoxSums(source, box.width, box.height);

  // 255 x the area is below 2^53, so each average is a quotient of two exact doubles.
  const double full =
      255.0 * static_cast<double>(source.width) * static_cast<double>(source.height);
  const auto stride = static_cast<std::size_t>(source.channels);
  const auto plane = static_cast<std::size_t>(spec.width) * static_cast<std::size_t>(spec.height);
  for (std::size_t c = 0; c < static_cast<std::size_t>(spec.channels); ++c) {
    const double mean = spec.mean[c];
    const double deviation = spec.std[c];
    const std::span<float> out = out_chw.subspan(c * plane, plane);
    if (box.width != spec.width || box.height != spec.height) {
      std::fill(out.begin(), out.end(), static_cast<float>((0.0 - mean) / deviation));
    }
    const std::uint64_t* from = sums.data() + std::min(c, stride - 1);
    for (int y = 0; y < box.height; ++y) {
      float* to = out.data() +
                  static_cast<std::size_t>(box.top + y) * static_cast<std::size_t>(spec.width) +
                  static_cast<std::size_t>(box.left);
      for (int x = 0; x < box.width; ++x, from += stride) {
        *to++ = static_cast<float>((static_cast<double>(*from) / full - mean) / deviation);
      }
    }
  }
  return {};
}

Result<Image> Restore(std::span<const float> chw, const PreprocessSpec& spec) {
  if (const auto valid = spec.Validate(); !valid) return valid.error();
  if (chw.size() != spec.OutputSize()) {
    return Error{ErrorCode::kInvalidArgument, "a picture of " + std::to_string(spec.OutputSize()) +
                                                  " values is restored, not " +
                                                  std::to_string(chw.size())};
  }
  Image image = Image::Filled(spec.width, spec.height, spec.channels, 0);
  const auto channels = static_cast<std::size_t>(spec.channels);
  const std::size_t plane = chw.size() / channels;
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t i = 0; i < plane; ++i) {
      const double value = static_cast<double>(chw[c * plane + i]) * spec.std[c] + spec.mean[c];
      if (!std::isfinite(value)) {
        return Error{ErrorCode::kInvalidArgument, "a value to restore is no number"};
      }
      image.pixels[i * channels + c] =
          static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0, 1.0) * 255.0));
    }
  }
  return image;
}

}  // namespace tidewheel::vision
