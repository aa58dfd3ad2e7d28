#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::explain {

/// A picture's values, plane by plane: channels x height x width, as models take them.
struct Planes {
  std::span<const float> values;
  std::size_t channels = 0;
  std::size_t height = 0;
  std::size_t width = 0;
};

struct SuperpixelOptions {
  std::size_t wanted = 50;   // About so many; at least 1.
  double compactness = 0.1;  // Of nearness in place against nearness in value, values in [0, 1].
  std::size_t rounds = 10;
};

/// A picture cut into connected regions of like values.
struct Superpixels {
  std::size_t count = 0;
  std::vector<std::uint32_t> region;  // Height x width; each below count.
};

/// Simple linear iterative clustering (Achanta et al. 2012) on the planes' values, scaled to [0, 1]
/// by the picture's own smallest and largest; pieces smaller than a quarter of the mean region join
/// the neighbour that was met first. Deterministic. O(rounds x pixels).
/// kInvalidArgument: sizes that do not fit or are 0, more than 2^24 pixels, a value that is not
/// finite, nothing wanted or more than pixels.
Result<Superpixels> FindSuperpixels(const Planes& picture, const SuperpixelOptions& options = {});

/// The picture with the mean of its region in place of each pixel whose region is not kept: one
/// row of count() rows for a model. `kept` holds one number a region; `out` channels x height x
/// width.
void HideRegions(const Planes& picture, const Superpixels& regions,
                 std::span<const float> region_means, std::span<const std::uint8_t> kept,
                 std::span<float> out);

/// Per channel and region, channel by channel: what HideRegions paints.
std::vector<float> RegionMeans(const Planes& picture, const Superpixels& regions);

}  // namespace tidewheel::explain
