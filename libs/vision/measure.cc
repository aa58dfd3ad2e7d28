#include "tidewheel/vision/measure.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "tidewheel/vision/box_filter.h"

namespace tidewheel::vision {
namespace {

constexpr std::size_t kDarkest = 16;
constexpr std::size_t kBrightest = 239;

using Histogram = std::array<std::uint64_t, 256>;

Histogram Count(const Image& grey) {
  // Two tables: neighbours are often equal, and one counter would wait for itself.
  Histogram even{};
  Histogram odd{};
  const std::size_t size = grey.pixels.size();
  std::size_t i = 0;
  for (; i + 1 < size; i += 2) {
    ++even[grey.pixels[i]];
    ++odd[grey.pixels[i + 1]];
  }
  if (i < size) ++even[grey.pixels[i]];
  for (std::size_t value = 0; value < even.size(); ++value) even[value] += odd[value];
  return even;
}

// Nearest rank: the smallest value that at least `percent` of the pixels do not exceed.
int Percentile(const Histogram& histogram, std::uint64_t count, std::uint64_t percent) {
  const std::uint64_t rank = std::max<std::uint64_t>(1, (count * percent + 99) / 100);
  std::uint64_t seen = 0;
  for (std::size_t value = 0; value < histogram.size(); ++value) {
    seen += histogram[value];
    if (seen >= rank) return static_cast<int>(value);
  }
  return 255;
}

// Exact sums of whole numbers, rounded once.
struct Moments {
  std::int64_t sum = 0;
  std::int64_t squares = 0;
  std::int64_t count = 0;

  double Mean() const { return static_cast<double>(sum) / static_cast<double>(count); }
  double Variance() const {
    if (count == 0) return 0;
    const double mean = Mean();
    return std::max(0.0, static_cast<double>(squares) / static_cast<double>(count) - mean * mean);
  }
};

Moments Of(const Histogram& histogram) {
  Moments moments;
  for (std::size_t value = 0; value < histogram.size(); ++value) {
    const auto v = static_cast<std::int64_t>(value);
    const auto n = static_cast<std::int64_t>(histogram[value]);
    moments.sum += v * n;
    moments.squares += v * v * n;
    moments.count += n;
  }
  return moments;
}

template <typename Value>
Moments Laplacian(const Value* values, int width, int height) {
  Moments moments;
  if (width < 3 || height < 3) return moments;
  const auto stride = static_cast<std::ptrdiff_t>(width);
  for (int y = 1; y + 1 < height; ++y) {
    const Value* row = values + y * stride;
    std::int32_t row_sum = 0;
    std::int64_t row_squares = 0;
    for (std::ptrdiff_t x = 1; x + 1 < stride; ++x) {
      const int value = row[x - 1] + row[x + 1] + row[x - stride] + row[x + stride] - 4 * row[x];
      row_sum += value;
      row_squares += value * value;
    }
    moments.sum += row_sum;
    moments.squares += row_squares;
  }
  moments.count = std::int64_t{width - 2} * (height - 2);
  return moments;
}

int Scaled(int length, int side, int wanted) {
  return std::max(1, static_cast<int>((std::int64_t{length} * wanted + side / 2) / side));
}

double Sharpness(const Image& grey) {
  const int side = std::max(grey.width, grey.height);
  if (side <= kSharpnessSide)
    return Laplacian(grey.pixels.data(), grey.width, grey.height).Variance();
  const Image small = BoxResize(grey, Scaled(grey.width, side, kSharpnessSide),
                                Scaled(grey.height, side, kSharpnessSide));
  return Laplacian(small.pixels.data(), small.width, small.height).Variance();
}

double RelativeSharpness(const Image& grey) {
  // Sixteenths of a grey level: whole ones would add a noise of their own.
  constexpr std::int64_t kParts = 16;
  const int side = std::min(grey.width, grey.height);
  int width = grey.width;
  int height = grey.height;
  std::vector<std::int32_t> values;
  if (side <= kRelativeSharpnessSide) {
    values.assign(grey.pixels.begin(), grey.pixels.end());
    for (std::int32_t& value : values) value *= kParts;
  } else {
    width = Scaled(width, side, kRelativeSharpnessSide);
    height = Scaled(height, side, kRelativeSharpnessSide);
    const auto area = static_cast<std::uint64_t>(grey.pixels.size());
    for (const std::uint64_t sum : BoxSums(grey, width, height)) {
      values.push_back(static_cast<std::int32_t>((sum * kParts + area / 2) / area));
    }
  }
  Moments luminance;
  for (const std::int32_t value : values) {
    luminance.sum += value;
    luminance.squares += std::int64_t{value} * value;
  }
  luminance.count = static_cast<std::int64_t>(values.size());
  const double variance = luminance.Variance();
  const double detail =
      Laplacian(values.data(), width, height).Variance() - kSharpnessFloor * kParts * kParts;
  return variance > 0 ? std::max(0.0, detail) / variance : 0;
}

void MeasureColour(const Image& image, Measures& measures) {
  double saturation = 0;
  Moments red_green;    // R - G.
  Moments yellow_blue;  // R + G - 2B: twice the paper's, which halves.
  const std::size_t size = image.pixels.size();
  for (std::size_t i = 0; i < size; i += 3) {
    const int red = image.pixels[i];
    const int green = image.pixels[i + 1];
    const int blue = image.pixels[i + 2];
    const int highest = std::max({red, green, blue});
    const int lowest = std::min({red, green, blue});
    if (highest > 0)
      saturation += static_cast<double>(highest - lowest) / static_cast<double>(highest);
    const int rg = red - green;
    const int yb = red + green - 2 * blue;
    red_green.sum += rg;
    red_green.squares += rg * rg;
    yellow_blue.sum += yb;
    yellow_blue.squares += yb * yb;
  }
  const auto count = static_cast<std::int64_t>(size / 3);
  red_green.count = count;
  yellow_blue.count = count;
  measures.saturation = saturation / static_cast<double>(count);
  const double spread = std::sqrt(red_green.Variance() + yellow_blue.Variance() / 4);
  const double rg_mean = red_green.Mean();
  const double yb_mean = yellow_blue.Mean() / 2;
  measures.colourfulness = (spread + 0.3 * std::sqrt(rg_mean * rg_mean + yb_mean * yb_mean)) / 255;
}

}  // namespace

std::array<double, kMeasureNames.size()> ToArray(const Measures& m) {
  return {m.width,      m.height,       m.aspect_ratio, m.luminance_mean, m.luminance_std,
          m.dark_share, m.bright_share, m.contrast,     m.sharpness,      m.relative_sharpness,
          m.saturation, m.colourfulness};
}

Measures Measure(const Image& image) {
  Measures measures;
  if (!IsWellFormed(image)) return measures;
  measures.width = image.width;
  measures.height = image.height;
  measures.aspect_ratio = measures.width / measures.height;

  Image own;
  if (image.channels == 3) own = ToGrey(image);
  const Image& grey = image.channels == 3 ? own : image;
  const Histogram histogram = Count(grey);
  const Moments moments = Of(histogram);
  const auto count = static_cast<std::uint64_t>(moments.count);
  std::uint64_t dark = 0;
  std::uint64_t bright = 0;
  for (std::size_t value = 0; value <= kDarkest; ++value) dark += histogram[value];
  for (std::size_t value = kBrightest; value < histogram.size(); ++value)
    bright += histogram[value];
  measures.luminance_mean = moments.Mean() / 255;
  measures.luminance_std = std::sqrt(moments.Variance()) / 255;
  measures.dark_share = static_cast<double>(dark) / static_cast<double>(count);
  measures.bright_share = static_cast<double>(bright) / static_cast<double>(count);
  measures.contrast = (Percentile(histogram, count, 95) - Percentile(histogram, count, 5)) / 255.0;
  measures.sharpness = Sharpness(grey);
  measures.relative_sharpness = RelativeSharpness(grey);
  if (image.channels == 3) MeasureColour(image, measures);
  return measures;
}

}  // namespace tidewheel::vision
