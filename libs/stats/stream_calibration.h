#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "tidewheel/base/result.h"
#include "tidewheel/stats/intervals.h"
#include "tidewheel/stats/stream_detector.h"

namespace tidewheel::stats {

/// Detectors that differ in one threshold: make(t) for low <= t <= high, and the larger t the fewer
/// alarms. `logarithmic`: t is a scale, searched by its logarithm; low is then above 0.
struct ThresholdFamily {
  std::function<Result<std::unique_ptr<StreamDetector>>(double threshold)> make;
  double low = 0;
  double high = 1;
  bool logarithmic = false;
};

/// The default detector of a kind with its threshold open. The threshold is, for adwin, hddm_a,
/// hddm_w and kswin, -log10 of delta, of the drift confidence, of alpha; for ddm and ewma, standard
/// deviations; for eddm, 1 - drift share; for page_hinkley and cusum, the threshold itself.
/// Warnings stay in the proportion of the defaults.
ThresholdFamily OpenThreshold(DetectorKind kind);

/// "At most one false alarm in `days` at `per_day` values a day", in values between two alarms.
/// kInvalidArgument: not above 0, or the product is not finite.
Result<double> ValuesPerAlarm(double days, double per_day);

struct CalibrationOptions {
  double values_per_alarm = 0;  // The budget: one false alarm in so many values; at least 1.
  /// Values of each simulated stream, which begins with a fresh detector; 0: values_per_alarm.
  std::uint64_t horizon = 0;
  double expected_alarms = 100;  // Alarms the budget allows in all streams together; at least 20.
  /// Mean length of the blocks that are resampled. 1: the reference's values are independent. 0:
  /// chosen from its autocorrelation (Politis, White 2004; Patton, Politis, White 2009).
  double block_length = 1;
  double confidence = 0.95;  // Of the interval.
  double tolerance = 1e-3;   // Relative, of the threshold.
  std::uint64_t seed = 1;
  std::uint32_t threads = 1;              // At most 256; the result does not depend on it.
  std::uint64_t max_values = 50'000'000;  // Simulated for each threshold that is tried.
};

/// How often a detector alarms on resampled streams in which nothing changes.
struct FalseAlarmRate {
  std::uint64_t alarms = 0;
  std::uint64_t values = 0;      // Simulated, all streams together.
  double per_budget = 0;         // Alarms in values_per_alarm values; the budget is 1.
  Interval per_budget_interval;  // Exact Poisson (Garwood 1936), widened by the dispersion.
  double dispersion = 1;  // Variance over mean of the alarms of a stream, at least 1: they cluster.
  double block_length = 1;  // That was used.
  /// In the reference itself, once in its order. More than a few: it holds a change, or more
  /// memory than the blocks keep, and the calibration is not to be trusted.
  std::uint64_t reference_alarms = 0;
};

/// Resamples the reference (iid, or in blocks of random length: the stationary bootstrap, Politis,
/// Romano 1994) and counts the alarms of copies of `detector`, reset. O(values) updates, memory for
/// the reference. Deterministic. kInvalidArgument: fewer than 50 values, a value the detector
/// refuses (the row is named), an option outside its range, or a budget that needs more than
/// max_values to see 20 alarms. kFailedPrecondition: a constant reference.
Result<FalseAlarmRate> EstimateFalseAlarms(std::span<const double> reference,
                                           const StreamDetector& detector,
                                           const CalibrationOptions& options);

struct Calibration {
  double threshold = 0;
  FalseAlarmRate rate;  // Reached at the threshold; per_budget <= 1.
  std::uint32_t thresholds_tried = 0;
};

/// The smallest threshold of the family whose false alarms on the resampled reference stay in the
/// budget, by bisection on the same streams. About 20 times EstimateFalseAlarms(), most of them cut
/// short. Errors as there, and kFailedPrecondition "not reachable" where even family.high alarms
/// too often; errors of family.make are passed on.
Result<Calibration> CalibrateThreshold(std::span<const double> reference,
                                       const ThresholdFamily& family,
                                       const CalibrationOptions& options);

/// Mean block length for the stationary bootstrap of a series, from its autocorrelation (see
/// CalibrationOptions::block_length); 1 for independent values. kInvalidArgument: fewer than 50
/// values or one that is not finite. kFailedPrecondition: constant.
Result<double> ChooseBlockLength(std::span<const double> series);

}  // namespace tidewheel::stats
