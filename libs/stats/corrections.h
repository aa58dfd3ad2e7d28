#pragma once

#include <span>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::stats {

/// Adjusted p-values of a family of tests, in the order given: reject those that are at most the
/// level wanted for the family. O(k log k) time. Pure, safe from many threads. kInvalidArgument: no
/// p-values, or which one is not in [0, 1].

/// At most `level` chance of any false rejection, whatever the dependence: p times k.
Result<std::vector<double>> BonferroniAdjusted(std::span<const double> p_values);

/// The same promise with more power (Holm 1979).
Result<std::vector<double>> HolmAdjusted(std::span<const double> p_values);

/// At most a share `level` of the rejections false on average, for independent or positively
/// dependent tests (Benjamini, Hochberg 1995).
Result<std::vector<double>> BenjaminiHochbergAdjusted(std::span<const double> p_values);

}  // namespace tidewheel::stats
