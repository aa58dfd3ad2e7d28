#pragma once

#include <cstdint>

#include "tidewheel/base/result.h"

namespace tidewheel::stats {

/// P(X >= least), where X is how many of `marked` things come up when `draws` of `population` are
/// drawn without putting back: how surprising it is to see so many. Relative error about 1e-12;
/// below 1e-300 it may be 0. By recurrence from the mode, O(distance of `least` from the mode +
/// sqrt(draws)) time. kInvalidArgument: more marked or more draws than the population.
Result<double> HypergeometricTail(std::uint64_t least, std::uint64_t population,
                                  std::uint64_t marked, std::uint64_t draws);

}  // namespace tidewheel::stats
