#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"
#include "tidewheel/stats/intervals.h"
#include "tidewheel/stats/performance_metrics.h"
#include "tidewheel/stats/probability_calibration.h"

namespace tidewheel::stats {

/// What a metric is expected to be in a chunk of rows nobody has labeled.
struct MetricEstimate {
  double value = 0;
  double sampling_error = 0;  // One standard deviation, of the chunk's size.
  Interval band;              // value +/- band_deviations sampling errors, inside 0 to 1.
  Interval limits;            // What the reference's chunks were like; outside means an alert.
  bool alert = false;
  std::size_t rows = 0;
};

struct EstimatorOptions {
  ProbabilityCalibrationOptions calibration = {};
  double band_deviations = 3;
  double limit_deviations = 3;
};

/// What a metric's estimates need to know of the reference; an error where it is not defined there.
struct MetricReference {
  std::optional<Error> missing;
  double deviation = 0;  // SamplingDeviation of all the reference's rows.
  Interval limits;       // Mean +/- deviations of the realized metric over its chunks.
};

/// Confidence-based performance estimation for a classifier of two classes: the probabilities it
/// gives, calibrated on labeled reference rows, say how many of its answers are expected to be
/// right. Valid while the relation of score and label stays as it was: a change of the inputs alone
/// is seen, a change of the concept is not, which is why estimates are audited (estimate_audit.h).
/// Immutable once made, so any number of threads may ask it.
class BinaryEstimator {
 public:
  /// `reference` are labeled chunks (say, months) in any order; each row belongs to one. Alert
  /// limits are mean +/- `limit_deviations` standard deviations (of the population of chunks) of
  /// the realized metric over the chunks where it is defined, inside 0 to 1. O(N log N), with the
  /// constant of ProbabilityCalibrationOptions::rounds.
  /// kInvalidArgument: a chunk without rows, bad rows (named with chunk and row), options out of
  /// range. kFailedPrecondition: a class has no row in the whole reference.
  static Result<BinaryEstimator> Fit(std::span<const BinaryRows> reference,
                                     const EstimatorOptions& options = {});

  /// Labels, where `chunk` has them, are not looked at. O(n log n).
  /// kInvalidArgument: bad rows. kFailedPrecondition: the metric is not defined for this chunk, in
  /// the reference, or in at least two of its chunks (the limits need them).
  Result<MetricEstimate> Estimate(PerformanceMetric metric, const BinaryRows& chunk) const;
  Result<ExpectedConfusion> Confusion(const BinaryRows& chunk) const;

  double Probability(double score) const { return calibrator_(score); }
  const CalibrationDecision& calibration() const { return calibrator_.decision(); }

 private:
  BinaryEstimator(ProbabilityCalibrator calibrator, EstimatorOptions options)
      : calibrator_(std::move(calibrator)), options_(options) {}

  Result<std::vector<double>> Probabilities(const BinaryRows& chunk) const;

  ProbabilityCalibrator calibrator_;
  EstimatorOptions options_;
  std::array<MetricReference, kPerformanceMetrics.size()> metrics_;
};

/// Rows of a classifier of K classes. Views: the numbers belong to the caller.
struct MulticlassRows {
  MatrixView<double> probabilities;         // N x K, rows summing to 1 within 1e-3.
  std::span<const std::int32_t> predicted;  // N classes below K.
  std::span<const std::int32_t> labels;     // N classes below K; empty where nobody knows them yet.
};

/// The same for K classes: each class against the others, calibrated on its own, the row's
/// probabilities then scaled to sum to 1. Accuracy is over all rows; every other metric is the mean
/// over the classes for which it is defined (precision: those predicted, recall: those that occur,
/// ...), and its sampling error takes the classes for independent.
/// Immutable once made, so any number of threads may ask it.
class MulticlassEstimator {
 public:
  /// As BinaryEstimator::Fit; O(K N log N) time. kInvalidArgument also: chunks that differ in K, or
  /// K below 2.
  static Result<MulticlassEstimator> Fit(std::span<const MulticlassRows> reference,
                                         const EstimatorOptions& options = {});
  Result<MetricEstimate> Estimate(PerformanceMetric metric, const MulticlassRows& chunk) const;

  /// Expected counts, K x K row by row: true class, then predicted class.
  Result<std::vector<double>> Confusion(const MulticlassRows& chunk) const;

  std::size_t classes() const { return calibrators_.size(); }
  /// `k` is below classes().
  const CalibrationDecision& calibration(std::size_t k) const { return calibrators_[k].decision(); }

 private:
  explicit MulticlassEstimator(EstimatorOptions options) : options_(options) {}

  Result<std::vector<double>> Probabilities(const MulticlassRows& chunk) const;

  EstimatorOptions options_;
  std::vector<ProbabilityCalibrator> calibrators_;
  std::array<MetricReference, kPerformanceMetrics.size()> metrics_;
};

/// The realized counterpart, defined over classes as MulticlassEstimator says.
Result<double> RealizedMetric(PerformanceMetric metric, const MulticlassRows& rows);

}  // namespace tidewheel::stats
