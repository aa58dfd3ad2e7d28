#include "tidewheel/explain/superpixels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace tidewheel::explain {
namespace {

constexpr std::size_t kMaxPixels = std::size_t{1} << 24;
constexpr auto kNoRegion = std::numeric_limits<std::uint32_t>::max();

Error Invalid(std::string message) {
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

Result<void> CheckPicture(const Planes& picture, const SuperpixelOptions& options) {
  if (picture.channels == 0 || picture.height == 0 || picture.width == 0 ||
      picture.width > kMaxPixels || picture.height > kMaxPixels / picture.width ||
      picture.values.size() % (picture.height * picture.width) != 0 ||
      picture.values.size() / (picture.height * picture.width) != picture.channels) {
    return Invalid("a picture's channels, height and width do not fit its " +
                   std::to_string(picture.values.size()) + " values, or are more than 2^24 pixels");
  }
  if (options.wanted == 0 || options.wanted > picture.height * picture.width) {
    return Invalid("from 1 superpixel to as many as there are pixels can be wanted, not " +
                   std::to_string(options.wanted));
  }
  if (!(options.compactness >= 0) || !std::isfinite(options.compactness)) {
    return Invalid("the superpixels' compactness must not be negative");
  }
  for (std::size_t i = 0; i < picture.values.size(); ++i) {
    if (!std::isfinite(picture.values[i])) {
      return Invalid("value " + std::to_string(i) + " of the picture is no number");
    }
  }
  return {};
}

class Clustering {
 public:
  Clustering(const Planes& picture, const SuperpixelOptions& options)
      : channels_(picture.channels), height_(picture.height), width_(picture.width) {
    const auto [low, high] = std::minmax_element(picture.values.begin(), picture.values.end());
    const float scale = *high > *low ? 1 / (*high - *low) : 0;
    values_.resize(picture.values.size());
    const std::size_t pixels = height_ * width_;
    // Pixel by pixel, as they are read.
    for (std::size_t c = 0; c < channels_; ++c) {
      for (std::size_t i = 0; i < pixels; ++i) {
        values_[i * channels_ + c] = (picture.values[c * pixels + i] - *low) * scale;
      }
    }
    step_ = std::sqrt(static_cast<double>(pixels) / static_cast<double>(options.wanted));
    place_weight_ = options.compactness * options.compactness / (step_ * step_);
    PlaceCentres();
    region_.assign(pixels, 0);
    for (std::size_t round = 0; round < options.rounds; ++round) {
      Assign();
      if (!MoveCentres()) break;
    }
  }

  Superpixels Connected() const {
    const std::size_t pixels = region_.size();
    const std::size_t least = std::max<std::size_t>(1, pixels / (4 * centres_.size()));
    Superpixels found{0, std::vector<std::uint32_t>(pixels, kNoRegion)};
    std::vector<std::size_t> piece;
    for (std::size_t start = 0; start < pixels; ++start) {
      if (found.region[start] != kNoRegion) continue;
      const auto name = static_cast<std::uint32_t>(found.count);
      std::uint32_t neighbour = kNoRegion;
      piece.assign(1, start);
      found.region[start] = name;
      for (std::size_t at = 0; at < piece.size(); ++at) {
        ForNeighbours(piece[at], [&](std::size_t next) {
          if (found.region[next] == kNoRegion && region_[next] == region_[start]) {
            found.region[next] = name;
            piece.push_back(next);
          } else if (found.region[next] != kNoRegion && found.region[next] != name &&
                     neighbour == kNoRegion) {
            neighbour = found.region[next];
          }
        });
      }
      if (piece.size() < least && neighbour != kNoRegion) {
        for (const std::size_t pixel : piece) found.region[pixel] = neighbour;
      } else {
        ++found.count;
      }
    }
    return found;
  }

 private:
  struct Centre {
    double y = 0;
    double x = 0;
    std::vector<double> value;
  };

  void PlaceCentres() {
    const auto across = [this](std::size_t length) {
      return std::max<std::size_t>(
          1, static_cast<std::size_t>(std::llround(static_cast<double>(length) / step_)));
    };
    const std::size_t rows = across(height_);
    const std::size_t columns = across(width_);
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t c = 0; c < columns; ++c) {
        Centre centre;
        centre.y = (static_cast<double>(r) + 0.5) * static_cast<double>(height_) /
                   static_cast<double>(rows);
        centre.x = (static_cast<double>(c) + 0.5) * static_cast<double>(width_) /
                   static_cast<double>(columns);
        const auto y = std::min(static_cast<std::size_t>(centre.y), height_ - 1);
        const auto x = std::min(static_cast<std::size_t>(centre.x), width_ - 1);
        const float* value = values_.data() + (y * width_ + x) * channels_;
        centre.value.assign(value, value + channels_);
        centres_.push_back(std::move(centre));
      }
    }
  }

  void Assign() {
    std::vector<double> nearest(region_.size(), std::numeric_limits<double>::infinity());
    const double reach = 2 * step_;
    for (std::size_t k = 0; k < centres_.size(); ++k) {
      const Centre& centre = centres_[k];
      const auto from = [](double at) { return static_cast<std::size_t>(std::max(at, 0.0)); };
      const std::size_t y_end = std::min(height_, from(centre.y + reach) + 1);
      const std::size_t x_end = std::min(width_, from(centre.x + reach) + 1);
      for (std::size_t y = from(centre.y - reach); y < y_end; ++y) {
        for (std::size_t x = from(centre.x - reach); x < x_end; ++x) {
          const double dy = static_cast<double>(y) + 0.5 - centre.y;
          const double dx = static_cast<double>(x) + 0.5 - centre.x;
          double distance = place_weight_ * (dy * dy + dx * dx);
          const float* value = values_.data() + (y * width_ + x) * channels_;
          for (std::size_t c = 0; c < channels_; ++c) {
            const double difference = static_cast<double>(value[c]) - centre.value[c];
            distance += difference * difference;
          }
          if (distance < nearest[y * width_ + x]) {
            nearest[y * width_ + x] = distance;
            region_[y * width_ + x] = static_cast<std::uint32_t>(k);
          }
        }
      }
    }
  }

  /// Whether one has moved.
  bool MoveCentres() {
    std::vector<Centre> sums(centres_.size());
    for (Centre& sum : sums) sum.value.assign(channels_, 0);
    std::vector<std::size_t> sizes(centres_.size(), 0);
    for (std::size_t i = 0; i < region_.size(); ++i) {
      Centre& sum = sums[region_[i]];
      ++sizes[region_[i]];
      sum.y += static_cast<double>(i / width_) + 0.5;
      sum.x += static_cast<double>(i % width_) + 0.5;
      for (std::size_t c = 0; c < channels_; ++c) {
        sum.value[c] += static_cast<double>(values_[i * channels_ + c]);
      }
    }
    bool moved = false;
    for (std::size_t k = 0; k < centres_.size(); ++k) {
      if (sizes[k] == 0) continue;
      const auto size = static_cast<double>(sizes[k]);
      sums[k].y /= size;
      sums[k].x /= size;
      for (double& value : sums[k].value) value /= size;
      moved = moved || sums[k].y != centres_[k].y || sums[k].x != centres_[k].x;
      centres_[k] = std::move(sums[k]);
    }
    return moved;
  }

  template <typename Visit>
  void ForNeighbours(std::size_t pixel, Visit visit) const {
    const std::size_t x = pixel % width_;
    if (x > 0) visit(pixel - 1);
    if (pixel >= width_) visit(pixel - width_);
    if (x + 1 < width_) visit(pixel + 1);
    if (pixel + width_ < region_.size()) visit(pixel + width_);
  }

  const std::size_t channels_;
  const std::size_t height_;
  const std::size_t width_;
  std::vector<float> values_;
  double step_ = 1;
  double place_weight_ = 0;
  std::vector<Centre> centres_;
  std::vector<std::uint32_t> region_;
};

}  // namespace

Result<Superpixels> FindSuperpixels(const Planes& picture, const SuperpixelOptions& options) {
  if (auto checked = CheckPicture(picture, options); !checked.ok()) return checked.error();
  return Clustering(picture, options).Connected();
}

std::vector<float> RegionMeans(const Planes& picture, const Superpixels& regions) {
  const std::size_t pixels = regions.region.size();
  std::vector<double> sums(picture.channels * regions.count, 0);
  std::vector<double> sizes(regions.count, 0);
  for (const std::uint32_t region : regions.region) ++sizes[region];
  std::vector<float> means(sums.size());
  for (std::size_t c = 0; c < picture.channels; ++c) {
    for (std::size_t i = 0; i < pixels; ++i) {
      sums[c * regions.count + regions.region[i]] +=
          static_cast<double>(picture.values[c * pixels + i]);
    }
    for (std::size_t k = 0; k < regions.count; ++k) {
      means[c * regions.count + k] = static_cast<float>(sums[c * regions.count + k] / sizes[k]);
    }
  }
  return means;
}

void HideRegions(const Planes& picture, const Superpixels& regions,
                 std::span<const float> region_means, std::span<const std::uint8_t> kept,
                 std::span<float> out) {
  const std::size_t pixels = regions.region.size();
  for (std::size_t c = 0; c < picture.channels; ++c) {
    for (std::size_t i = 0; i < pixels; ++i) {
      const std::uint32_t region = regions.region[i];
      out[c * pixels + i] = kept[region] != 0 ? picture.values[c * pixels + i]
                                              : region_means[c * regions.count + region];
    }
  }
}

}  // namespace tidewheel::explain
