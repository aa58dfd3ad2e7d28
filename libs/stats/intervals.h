#pragma once

#include <cstdint>

#include "tidewheel/base/result.h"

namespace tidewheel::stats {

struct Interval {
  double low = 0;
  double high = 0;
};

/// The score interval of a rate (Wilson 1927): successes of trials at `confidence` in (0, 1).
/// kInvalidArgument: no trials, more successes than trials, or another confidence.
Result<Interval> WilsonInterval(std::uint64_t successes, std::uint64_t trials, double confidence);

}  // namespace tidewheel::stats
