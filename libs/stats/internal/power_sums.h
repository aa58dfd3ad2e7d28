#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/stats/moments.h"

namespace tidewheel::stats::internal {

/// Values of one column that are summed about one pivot.
constexpr std::size_t kBlockValues = 65'536;
/// Sums run in so many lanes on every machine: value i of a block belongs to lane i % 8.
constexpr std::size_t kLanes = 8;

/// The mean of the first 16 values that are not missing, exact where they are equal; 0 where there
/// is none. No value of a block of n is more than sqrt(n) standard deviations from its mean, so
/// this is near enough for sums of fourth powers.
template <typename T>
double Pivot(std::span<const T> block) {
  constexpr int kWanted = 16;
  double first = 0;
  double sum = 0;
  int found = 0;
  for (std::size_t i = 0; i < block.size() && found < kWanted; ++i) {
    const auto value = static_cast<double>(block[i]);
    if (std::isnan(value)) continue;
    if (found == 0) first = value;
    sum += value - first;
    ++found;
  }
  return found == 0 ? 0 : first + sum / found;
}

/// Why a block with a value that is infinite or too large cannot be added: the first such value,
/// called `place(i)`.
template <typename T, typename Place>
Error TooLarge(std::span<const T> block, Place place) {
  for (std::size_t i = 0; i < block.size(); ++i) {
    const auto value = static_cast<double>(block[i]);
    if (std::isinf(value)) return {ErrorCode::kInvalidArgument, place(i) + " is infinite"};
    if (std::abs(value) > Moments::kLargest) {
      return {ErrorCode::kOutOfRange, place(i) + " is above 1e70 in size"};
    }
  }
  return {ErrorCode::kInternal, "no value is too large"};
}

}  // namespace tidewheel::stats::internal
