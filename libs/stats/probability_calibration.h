#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "tidewheel/base/result.h"
#include "tidewheel/stats/isotonic.h"

namespace tidewheel::stats {

/// Expected calibration error of the probability of class 1: rows in the order of probability in
/// `bins` bins of equal frequency, mean over the bins of |mean probability - share of class 1|,
/// weighted by rows. Rows with one probability share their labels evenly, also across an edge, so
/// the order of rows says nothing. `labels` are N numbers 0 or 1, `probabilities` N numbers in 0 to
/// 1. 0 to 1, 0 is calibrated. O(N log N).
/// kInvalidArgument: no rows, shapes that differ, less than one bin, another label or probability
/// (named with its row).
Result<double> ExpectedCalibrationError(std::span<const std::int32_t> labels,
                                        std::span<const double> probabilities, int bins = 10);

struct ProbabilityCalibrationOptions {
  int rounds = 10;        // Random splits of the rows, class by class.
  double held_out = 0.1;  // Share of each class a split keeps for the judgement.
  int bins = 10;
  std::uint64_t seed = 1;
};

/// Whether scores were mapped to probabilities, and why.
struct CalibrationDecision {
  bool calibrate = false;
  double error_before = 0;  // Expected calibration error of the held-out rows as scored, ...
  double error_after = 0;   // ... and as mapped by a fit to the other rows. Both 0 if not measured.
  std::string reason;
};

/// Turns scores into probabilities of class 1. An isotonic fit is used only if it lowers the
/// expected calibration error of rows it has not seen (all splits' held-out rows pooled); else
/// scores stay as they are. Scores that are no probabilities (outside 0 to 1) are always mapped.
/// Immutable once made, so any number of threads may ask it.
class ProbabilityCalibrator {
 public:
  /// `labels` are N numbers 0 or 1, `scores` N finite numbers. Deterministic, and independent of
  /// the order of rows. O(rounds N log N) time, O(rounds x held_out x N) memory.
  /// kInvalidArgument: no rows, shapes that differ, another label, a score that is not finite, or
  /// options out of range. kFailedPrecondition: a class without rows while scores are no
  /// probabilities.
  static Result<ProbabilityCalibrator> Fit(std::span<const std::int32_t> labels,
                                           std::span<const double> scores,
                                           const ProbabilityCalibrationOptions& options = {});

  /// O(log N). NaN gives NaN.
  double operator()(double score) const { return function_ ? (*function_)(score) : score; }
  const CalibrationDecision& decision() const { return decision_; }

 private:
  ProbabilityCalibrator() = default;

  std::optional<IsotonicFunction> function_;
  CalibrationDecision decision_;
};

}  // namespace tidewheel::stats
