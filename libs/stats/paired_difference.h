#pragma once

#include <cstdint>

#include "tidewheel/base/result.h"
#include "tidewheel/stats/intervals.h"

namespace tidewheel::stats {

/// How often two models were right on the same samples.
struct PairedCounts {
  std::uint64_t both_right = 0;
  std::uint64_t only_baseline_right = 0;
  std::uint64_t only_candidate_right = 0;
  std::uint64_t neither_right = 0;

  std::uint64_t total() const {
    return both_right + only_baseline_right + only_candidate_right + neither_right;
  }
  std::uint64_t baseline_right() const { return both_right + only_baseline_right; }
  std::uint64_t candidate_right() const { return both_right + only_candidate_right; }
  /// Of the rates of being right: candidate less baseline, -1 to 1. total() is not 0.
  double difference() const;
};

/// Interval of the difference (candidate less baseline) of two rates on the same samples: Wilson's
/// intervals of both, joined by their correlation, which is corrected for continuity (Newcombe
/// 1998, method 10). Inside -1 to 1. O(1).
/// kInvalidArgument: no samples, or a confidence that is not above 0 and below 1.
Result<Interval> PairedDifferenceInterval(const PairedCounts& counts, double confidence);

/// One-sided p-value of "the difference is at least `bound`": small when the candidate is worse
/// than that. From the same interval: the level at which its end meets the bound; 1 less the value
/// is the p-value of "at most `bound`". O(1).
/// kInvalidArgument: no samples, or a bound that is not inside -1 to 1.
Result<double> PairedDifferencePValue(const PairedCounts& counts, double bound);

}  // namespace tidewheel::stats
