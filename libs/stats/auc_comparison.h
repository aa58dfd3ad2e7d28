#pragma once

#include <cstdint>
#include <span>

#include "tidewheel/base/result.h"
#include "tidewheel/stats/classification.h"

namespace tidewheel::stats {

/// Two areas under the ROC curve on the same samples.
struct AucComparison {
  Estimate baseline;
  Estimate candidate;
  Estimate difference;     // Candidate less baseline.
  double correlation = 0;  // Of the two areas; 0 where one has no variance.
  double z = 0;            // Difference over its standard deviation; 0 for equal areas.
  double p_value = 1;      // Two-sided.
};

/// DeLong, DeLong, Clarke-Pearson (1988): areas, their covariance from the placements of each class
/// among the other (ties half), and normal intervals, cut to what is possible. By sorting (as Sun,
/// Xu 2014), O(N log N) time and O(N) memory, with the same result as the definition over all
/// pairs. `labels` are N numbers 0 or 1, the scores N finite numbers each; only their order
/// matters. kInvalidArgument: no rows, shapes that differ, another label or a score that is not
/// finite (named with its row), another confidence. kFailedPrecondition: fewer than 2 rows of a
/// class, or areas that differ while both have no variance (each perfect, or perfectly wrong).
Result<AucComparison> CompareAuc(std::span<const std::int32_t> labels,
                                 std::span<const double> baseline_scores,
                                 std::span<const double> candidate_scores,
                                 double confidence = 0.95);

}  // namespace tidewheel::stats
