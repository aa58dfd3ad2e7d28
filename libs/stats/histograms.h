#pragma once

#include <cstdint>
#include <span>

#include "tidewheel/base/result.h"

namespace tidewheel::stats {

/// Distances of two histograms over the same bins, given as counts. kInvalidArgument: no bins,
/// different numbers of bins, or a histogram without a count.

/// Half the sum of the differences of shares: 0 for equal shares, 1 where no bin is in both. The
/// largest difference of probability that any set of bins can have.
Result<double> TotalVariation(std::span<const std::uint64_t> reference,
                              std::span<const std::uint64_t> current);

/// The population stability index: the sum of (q - p) ln(q / p) over the bins, 0 for equal shares,
/// without an upper bound; it does not matter which histogram comes first. `smoothing` is added to
/// each count, so that a bin that is empty on one side says "rare" and not "impossible".
/// kInvalidArgument also: a smoothing below 0, or of 0 where a bin is empty on one side only.
Result<double> PopulationStabilityIndex(std::span<const std::uint64_t> reference,
                                        std::span<const std::uint64_t> current,
                                        double smoothing = 0.5);

}  // namespace tidewheel::stats
