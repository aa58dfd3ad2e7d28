#pragma once

#include <cstdint>

namespace tidewheel::inference {

/// What a good input of the task looks like, as the registry hands it on; a limit of zero switches
/// its rule off. The units are those of the task's quality policy.
struct QualityRules {
  std::uint64_t max_payload_bytes = 0;
  std::uint64_t max_pixels = 0;
  std::uint32_t min_side = 0;
  std::uint32_t max_side = 0;
  double min_mean_luminance = 0;
  double max_mean_luminance = 0;
  double max_dark_share = 0;
  double max_bright_share = 0;
  double min_sharpness = 0;

  friend bool operator==(const QualityRules&, const QualityRules&) = default;
};

}  // namespace tidewheel::inference
