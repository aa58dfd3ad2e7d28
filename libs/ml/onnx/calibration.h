#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/ml/onnx/quantize.h"

namespace tidewheel::ml {

/// How the range of 8 bits is taken from the numbers that were seen. Numbers beyond it are cut off
/// at its ends: a smaller range rounds the many more finely and loses the few.
enum class RangeRule {
  kMinMax,      // All that was seen.
  kPercentile,  // All but a share of 0.00005 at each end.
  kLeastError,  // Whose expected squared error, of rounding and of cutting off, is the least.
};

/// The numbers of one tensor, seen batch by batch: a histogram of 4,096 equal bins whose width
/// doubles as larger numbers come. O(1) memory.
class ObservedNumbers {
 public:
  /// Numbers that are not finite are left out.
  void Add(std::span<const float> numbers);

  /// Zero to zero when nothing was seen.
  ActivationRange Range(RangeRule rule) const;
  std::uint64_t count() const { return count_; }

 private:
  void Widen(float number);

  // Bin i holds [(i - kBins / 2) * width, (i + 1 - kBins / 2) * width).
  static constexpr std::size_t kBins = 4'096;
  std::vector<std::uint64_t> bins_ = std::vector<std::uint64_t>(kBins);
  float width_ = 0;
  float low_ = 0;
  float high_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace tidewheel::ml
