#pragma once

#include <cstdint>
#include <span>

#include "tidewheel/base/result.h"

namespace tidewheel::stats {

/// How far two samples are apart. Pure functions, safe from many threads; see histograms.h for
/// total variation and the population stability index.

/// The 1-Wasserstein distance of two samples: the area between their distribution functions, in the
/// unit of the values; the least work to turn one into the other. Exact; symmetric. O(n + m) time
/// and memory (radix sort). kInvalidArgument: an empty sample, a NaN or infinite value.
/// kOutOfRange: values so far apart that the distance is above the range of a double.
Result<double> Wasserstein(std::span<const double> reference, std::span<const double> current);
Result<double> Wasserstein(std::span<const float> reference, std::span<const float> current);

/// The same in units of the reference's standard deviation (divisor n), which makes features
/// comparable. kFailedPrecondition also: a constant reference, which has no such unit.
Result<double> ScaledWasserstein(std::span<const double> reference,
                                 std::span<const double> current);
Result<double> ScaledWasserstein(std::span<const float> reference, std::span<const float> current);

/// Distances of two histograms over the same bins, given as counts; O(K). kInvalidArgument: no
/// bins, different numbers of bins, a histogram without a count.

/// Jensen-Shannon divergence (Lin 1991): the mean divergence of both from their middle. `base` of
/// the logarithm: 2 gives bits in [0, 1]; e gives nats in [0, ln 2], as scipy does by default.
/// kInvalidArgument also: a base that is not a number above 1.
Result<double> JensenShannonDivergence(std::span<const std::uint64_t> reference,
                                       std::span<const std::uint64_t> current, double base = 2);
/// Its square root, which is a metric (Endres, Schindelin 2003).
Result<double> JensenShannonDistance(std::span<const std::uint64_t> reference,
                                     std::span<const std::uint64_t> current, double base = 2);

/// The Hellinger distance sqrt(1/2 sum (sqrt p - sqrt q)^2), in [0, 1].
Result<double> Hellinger(std::span<const std::uint64_t> reference,
                         std::span<const std::uint64_t> current);

}  // namespace tidewheel::stats
