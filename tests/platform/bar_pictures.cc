#include "tidewheel/tests/platform/bar_pictures.h"

#include <algorithm>
#include <cstdlib>

#include "tidewheel/base/random.h"

namespace tidewheel::tests {

std::string BarTaskYaml(const std::string& name) {
  return "task: " + name +
         "\n"
         "classes: [standing, lying, slanting]\n"
         "preprocessing: {width: 28, height: 28, channels: 1}\n"
         "quality: {max_payload: 1MiB, near_duplicate_quarantine_distance: -1, "
         "near_duplicate_group_distance: -1}\n"
         "splits: {validation_share: 0.2, test_share: 0.2}\n"
         "gate: {primary_metric: accuracy, min_primary_metric: 0.5}\n"
         "monitoring: {window_predictions: 100}\n";
}

BarPicture MakeBarPicture(std::uint64_t number) {
  constexpr int kSide = 28;
  Random random(StableHash("bars", number));
  const auto kind = static_cast<std::size_t>(number % kBarClasses.size());
  const int shift = static_cast<int>(random.Below(5)) - 2;
  BarPicture picture;
  picture.name = "bars/" + std::to_string(number) + ".pgm";
  picture.class_name = kBarClasses[kind];
  picture.payload = "P5\n28 28\n255\n";
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      // Where it stands or lies hardly differs, so that a linear model learns it as well.
      const int from_bar = kind == 0 ? x - 14 : kind == 1 ? y - 14 : x - y;
      const int level = std::abs(from_bar + shift) < 5 ? 190 : 60;
      const int noise = static_cast<int>(random.Below(61)) - 30;
      picture.payload.push_back(static_cast<char>(std::clamp(level + noise, 0, 255)));
    }
  }
  return picture;
}

}  // namespace tidewheel::tests
