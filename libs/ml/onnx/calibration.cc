#include "tidewheel/ml/onnx/calibration.h"

#include <algorithm>
#include <cmath>

namespace tidewheel::ml {
namespace {

constexpr double kCutShare = 5e-5;  // At each end.
constexpr double kLevels = 255;

}  // namespace

void ObservedNumbers::Widen(float number) {
  const float size = std::abs(number);
  if (width_ == 0) width_ = size * 2 / static_cast<float>(kBins);
  while (!(size < width_ * static_cast<float>(kBins / 2))) {
    // Two bins become one, around the middle.
    std::vector<std::uint64_t> wider(kBins);
    for (std::size_t i = 0; i < kBins; ++i) wider[kBins / 4 + i / 2] += bins_[i];
    bins_ = std::move(wider);
    width_ *= 2;
  }
}

void ObservedNumbers::Add(std::span<const float> numbers) {
  for (const float number : numbers) {
    if (!std::isfinite(number) || std::abs(number) > 1e30F) continue;
    ++count_;
    if (number == 0) continue;  // Which 8 bits hold exactly, whatever the range.
    low_ = std::min(low_, number);
    high_ = std::max(high_, number);
    if (!(std::abs(number) < width_ * static_cast<float>(kBins / 2))) Widen(number);
    const auto bin = static_cast<std::ptrdiff_t>(std::floor(number / width_)) +
                     static_cast<std::ptrdiff_t>(kBins / 2);
    ++bins_[static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(bin, 0, kBins - 1))];
  }
}

ActivationRange ObservedNumbers::Range(RangeRule rule) const {
  const ActivationRange all{.low = low_, .high = high_};
  if (rule == RangeRule::kMinMax || count_ == 0 || width_ == 0) return all;

  const auto start_of = [&](std::size_t bin) {
    return (static_cast<float>(bin) - static_cast<float>(kBins / 2)) * width_;
  };
  if (rule == RangeRule::kPercentile) {
    const double cut = kCutShare * static_cast<double>(count_);
    ActivationRange range = all;
    double seen = 0;
    for (std::size_t i = 0; i < kBins / 2; ++i) {
      seen += static_cast<double>(bins_[i]);
      if (seen > cut) {
        range.low = std::max(low_, start_of(i));
        break;
      }
    }
    seen = 0;
    for (std::size_t i = kBins; i-- > kBins / 2;) {
      seen += static_cast<double>(bins_[i]);
      if (seen > cut) {
        range.high = std::min(high_, start_of(i + 1));
        break;
      }
    }
    return range;
  }

  // Both ends shrink together by shares of what was seen. The error of a number inside is that of
  // rounding, step^2 / 12; of one outside the distance to the end.
  ActivationRange best = all;
  double least = INFINITY;
  for (int tried = 100; tried >= 30; tried -= 2) {
    const float share = static_cast<float>(tried) / 100;
    const ActivationRange range{.low = low_ * share, .high = high_ * share};
    const double step = (double{range.high} - double{range.low}) / kLevels;
    double error = 0;
    for (std::size_t i = 0; i < kBins; ++i) {
      if (bins_[i] == 0) continue;
      const double middle = double{start_of(i)} + double{width_} / 2;
      const double beyond =
          std::max({double{range.low} - middle, middle - double{range.high}, 0.0});
      error += static_cast<double>(bins_[i]) * (beyond > 0 ? beyond * beyond : step * step / 12);
    }
    if (error < least) {
      least = error;
      best = range;
    }
  }
  return best;
}

}  // namespace tidewheel::ml
