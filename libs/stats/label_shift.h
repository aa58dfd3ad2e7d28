#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"
#include "tidewheel/stats/intervals.h"

namespace tidewheel::stats {

struct LabelShiftOptions {
  double confidence = 0.95;
  double max_condition = 1'000;  // Of the classifier's confusion: above it nothing can be said.
};

/// How the classes' shares differ between labeled rows (the source) and unlabeled ones (the
/// target). All vectors have one entry per class.
struct LabelShift {
  std::vector<double> weights;             // Target share / source share, at least 0.
  std::vector<Interval> weight_intervals;  // Not below 0.
  std::vector<double> shares;              // Of the classes in the target; sum to 1.
  std::vector<Interval> share_intervals;   // Inside 0 to 1.
  double condition = 1;                    // 1-norm condition of P(predicted | true).
};

/// Black-box shift estimation (Lipton, Wang, Smola 2018): if only the classes' shares moved and not
/// what their samples look like, the predicted shares of the target are the source's confusion
/// times the target's true shares, which is solved for them. Right for any classifier that tells
/// the classes apart, calibrated or not. `confusion` are K x K counts of labeled rows, row by row:
/// given class, then predicted class (as ClassificationReport has them); `predicted` are K counts
/// of the target's predictions. Intervals by the delta method over the sampling of both, of the
/// solution before negative shares are set to 0. O(K^3) time, O(K^2) memory. kInvalidArgument: K
/// below 2, shapes that differ, no target, options out of range. kFailedPrecondition: a class
/// without labeled rows, or a confusion that is singular or whose condition is above the limit (the
/// classifier cannot tell some classes apart).
Result<LabelShift> EstimateLabelShift(std::span<const std::uint64_t> confusion,
                                      std::span<const std::uint64_t> predicted,
                                      const LabelShiftOptions& options = {});

struct PriorsEstimate {
  std::vector<double> shares;  // Of the classes in the target; sum to 1.
  int rounds = 0;
  bool converged = false;
};

/// The same shares by expectation maximisation (Saerens, Latinne, Decaestecker 2002): a second
/// opinion, better than the first where `probabilities` (N x K of the target, rows summing to 1
/// within 1e-3) are calibrated on the source, worse where they are not. `source_shares` are K
/// positive numbers that sum to 1 within 1e-6. Stops when no share moves by more than `tolerance`
/// in a round. Deterministic. O(N K rounds) time, O(K) memory.
/// kInvalidArgument names the row or class of a bad number.
Result<PriorsEstimate> EstimatePriors(MatrixView<double> probabilities,
                                      std::span<const double> source_shares, int max_rounds = 1'000,
                                      double tolerance = 1e-9);

}  // namespace tidewheel::stats
