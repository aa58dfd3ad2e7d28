#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tidewheel/base/result.h"
#include "tidewheel/stats/contingency.h"
#include "tidewheel/stats/intervals.h"

namespace tidewheel::stats {

/// Whether one feature has drifted: one statistic for every number of rows, as an effect size with
/// an interval, held against a threshold that a false-alarm budget sets. More rows make the
/// threshold lower and the interval narrower, without a step anywhere.

enum class NumericMeasure {
  kKolmogorovSmirnov,  // In [0, 1]; the same for any growing transformation of the values.
  kWasserstein,        // In standard deviations of the reference, which are taken as fixed.
};

enum class CategoricalMeasure {
  kTotalVariation,  // All three in [0, 1].
  kJensenShannon,   // The distance to base 2.
  kHellinger,
};

struct DriftPolicy {
  /// Share of the windows without drift that may be called drifted; see FalseAlarmRateEach for more
  /// than one feature. At least 1 / (resamples + 1).
  double false_alarm_rate = 0.01;
  /// A drift below this is not called one, however sure it is. 0: any that is sure.
  double smallest_effect = 0;
  double confidence = 0.95;  // Of the intervals.
  NumericMeasure numeric = NumericMeasure::kKolmogorovSmirnov;
  CategoricalMeasure categorical = CategoricalMeasure::kTotalVariation;
  std::size_t min_rows = 20;  // Of each sample, without the missing ones.
  std::size_t resamples = 1000;
  /// Of each sample in a resample, at most (for categories 20 for each of them if that is more).
  /// Larger samples are resampled at this size and brought to their own by the square root of
  /// n m / (n + m), of which all these measures are multiples.
  std::size_t resampled_rows = 2000;
  std::uint64_t seed = 1;
};

struct DriftVerdict {
  bool drifted = false;  // effect > threshold, and effect >= smallest_effect.
  double effect = 0;
  Interval interval;
  double threshold = 0;  // Exceeded with probability `false_alarm_rate` without drift.
  double p_value = 1;    // Share of the resamples without drift with at least this effect.
  std::size_t reference_rows = 0;  // Used: those not missing.
  std::size_t current_rows = 0;
  TwoProportions missing;  // Share of missing rows; not part of `drifted`.
};

/// The threshold comes from pairs of samples of the two sizes drawn with replacement from the
/// reference alone. The interval is the effect less and plus what chance can do to it: all these
/// measures obey the triangle's inequality, so the error is at most the measure's norm of the
/// sampling errors of both samples, the distribution of which is bootstrapped (Bickel, Freedman
/// 1981). It holds with or without drift, where the usual bootstrap of a measure that cannot be
/// negative does not; for a large drift it is wider than it need be. Its lower end leaves 0 about
/// where a threshold for a false-alarm rate of 1 - `confidence` lies.
/// O(n log n + resamples x resampled_rows) time, O(n) memory. Deterministic in the seed.
/// kInvalidArgument: an empty sample, an infinite value (named), a policy out of range.
/// kFailedPrecondition, "not applicable, because ...": fewer than `min_rows` rows that are not
/// missing, all missing, or a reference with one value only, which tells nothing of chance.
/// Missing is NaN.
Result<DriftVerdict> NumericDrift(std::span<const double> reference,
                                  std::span<const double> current, const DriftPolicy& policy = {});

/// The same for categories 0 to K - 1; missing is -1. A category that the reference does not have
/// counts like any other. kInvalidArgument also: another category (named), K of 0 or above 10,000.
Result<DriftVerdict> CategoricalDrift(std::span<const std::int32_t> reference,
                                      std::span<const std::int32_t> current, std::size_t categories,
                                      const DriftPolicy& policy = {});

/// The rate for each of `features` independent features, so that a window without drift has any
/// false alarm with probability `rate_of_all` (Sidak 1967); dependent features make it less.
/// kInvalidArgument: a rate outside (0, 1), no features.
Result<double> FalseAlarmRateEach(double rate_of_all, std::size_t features);

}  // namespace tidewheel::stats
