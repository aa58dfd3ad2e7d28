#include "tidewheel/vision/box_filter.h"

#include <algorithm>

namespace tidewheel::vision {
namespace {

// Calls visit(source, weight) for each source pixel that output pixel `index` covers; the weights
// add up to `source_size`.
template <typename Visit>
void ForEachCovered(std::int64_t index, std::int64_t source_size, std::int64_t size, Visit visit) {
  const std::int64_t begin = index * source_size;
  const std::int64_t end = begin + source_size;
  for (std::int64_t source = begin / size; source * size < end; ++source) {
    visit(source, std::min(end, (source + 1) * size) - std::max(begin, source * size));
  }
}

}  // namespace

std::vector<std::uint64_t> BoxSums(const Image& image, int width, int height) {
  const auto channels = static_cast<std::size_t>(image.channels);
  const std::size_t row_samples = static_cast<std::size_t>(image.width) * channels;
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(width) *
                                  static_cast<std::size_t>(height) * channels);
  std::vector<std::uint32_t> column(row_samples);  // At most 255 x the picture's height.
  std::uint64_t* out = sums.data();
  for (int y = 0; y < height; ++y) {
    std::fill(column.begin(), column.end(), 0U);
    ForEachCovered(y, image.height, height, [&](std::int64_t row, std::int64_t weight) {
      const std::uint8_t* from = image.pixels.data() + static_cast<std::size_t>(row) * row_samples;
      const auto factor = static_cast<std::uint32_t>(weight);
      for (std::size_t i = 0; i < row_samples; ++i) column[i] += factor * from[i];
    });
    for (int x = 0; x < width; ++x, out += channels) {
      ForEachCovered(x, image.width, width, [&](std::int64_t pixel, std::int64_t weight) {
        const std::uint32_t* from = column.data() + static_cast<std::size_t>(pixel) * channels;
        for (std::size_t c = 0; c < channels; ++c)
          out[c] += static_cast<std::uint64_t>(weight) * from[c];
      });
    }
  }
  return sums;
}

Image BoxResize(const Image& image, int width, int height) {
  if (width == image.width && height == image.height) return image;
  const std::vector<std::uint64_t> sums = BoxSums(image, width, height);
  const std::uint64_t area =
      static_cast<std::uint64_t>(image.width) * static_cast<std::uint64_t>(image.height);
  Image resized = Image::Filled(width, height, image.channels, 0);
  for (std::size_t i = 0; i < sums.size(); ++i) {
    resized.pixels[i] = static_cast<std::uint8_t>((sums[i] + area / 2) / area);
  }
  return resized;
}

}  // namespace tidewheel::vision
