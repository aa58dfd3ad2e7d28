#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"

namespace tidewheel::stats {

/// What a threshold catches: the rows whose score is at least `threshold`.
struct ThresholdCounts {
  double threshold = 0;
  std::uint64_t true_positives = 0;
  std::uint64_t false_positives = 0;
};

/// How well scores rank rows of class 1 before rows of class 0. `labels` are N numbers 0 or 1,
/// `scores` N finite numbers of which only the order matters (infinite ones are refused too, as
/// they are nearly always a mistake). Rows with equal scores are caught together, so nothing here
/// depends on the order of rows. O(N log N) time, O(N) memory each.
/// kInvalidArgument: no rows, shapes that differ, another label or a score that is not finite
/// (named with its row). kFailedPrecondition: a class without rows, where the figure needs it.

/// One entry per distinct score, from the largest down; the last one catches every row.
/// One class alone is no error here.
Result<std::vector<ThresholdCounts>> CountByThreshold(std::span<const std::int32_t> labels,
                                                      std::span<const double> scores);

/// Probability that a row of class 1 scores above one of class 0, ties half (Hanley, McNeil 1982).
/// Exact: counted in integers. Needs both classes.
Result<double> RocAuc(std::span<const std::int32_t> labels, std::span<const double> scores);

/// Sum over the thresholds of precision times the recall gained (no interpolation). Needs class 1.
Result<double> AveragePrecision(std::span<const std::int32_t> labels,
                                std::span<const double> scores);

/// Area under precision over recall by trapezoids, begun at recall 0 with precision 1: larger than
/// the average precision where few scores differ (Davis, Goadrich 2006). Needs class 1.
Result<double> PrecisionRecallAuc(std::span<const std::int32_t> labels,
                                  std::span<const double> scores);

/// Mean over the classes of the area for "this class or another" by the class's own column.
/// `labels` are N classes below K, `scores` N x K. Every class needs a row, and at least two exist.
Result<double> MacroRocAuc(std::span<const std::int32_t> labels, MatrixView<double> scores);
Result<double> MacroAveragePrecision(std::span<const std::int32_t> labels,
                                     MatrixView<double> scores);

}  // namespace tidewheel::stats
