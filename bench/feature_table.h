#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel {

/// Column by column: normal, lognormal and of few values in turn; `width` scales the normal values
/// behind all of them.
inline std::vector<float> FeatureTable(std::size_t rows, std::size_t features, std::uint64_t seed,
                                       double width) {
  Random random(seed);
  std::vector<float> values(rows * features);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double normal = random.Normal() * width;
    const std::size_t kind = i / rows % 5;
    values[i] = static_cast<float>(kind < 3    ? normal
                                   : kind == 3 ? std::exp(normal)
                                               : std::round(4 * normal));
  }
  return values;
}

}  // namespace tidewheel
