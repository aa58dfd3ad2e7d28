#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/stats/intervals.h"

namespace tidewheel::stats {

/// A figure with its interval.
struct Estimate {
  double value = 0;
  Interval interval;
};

struct ClassFigures {
  Estimate precision;  // 0 with the interval 0..1 when the class was never predicted.
  Estimate recall;     // 0 with the interval 0..1 when the class has no samples.
  Estimate f1;
};

/// What can be said of a classifier on labeled samples.
struct ClassificationReport {
  std::size_t samples = 0;
  std::vector<std::uint64_t> confusion;  // K x K, row by row: given class, then predicted class.
  std::vector<std::uint32_t>
      predicted;  // The class of the largest probability; the smaller index where they tie.
  Estimate accuracy;
  Estimate balanced_accuracy;  // Mean recall of the classes that have samples.
  Estimate macro_f1;           // Mean F1 of the classes that have samples or predictions.
  Estimate matthews;           // Gorodkin's K-class correlation (2004); 0 when it is not defined.
  Estimate calibration_error;  // Expected, over 10 bins of equal frequency of the confidence.
  Estimate log_loss;           // Natural logarithm, probabilities clipped at 1e-15.
  std::vector<ClassFigures> classes;
};

struct ReportOptions {
  double confidence = 0.95;
  int resamples = 400;
  std::uint64_t seed = 1;
};

/// Rates (accuracy, precision, recall) get Wilson intervals; everything else a percentile interval
/// of `resamples` bootstrap samples, drawn within each given class so that rare classes stay
/// (Efron, Tibshirani 1993). `labels` are N classes, `probabilities` N x K row by row, rows summing
/// to 1 within 1e-3. O((N + K^2) x resamples) time, O(N K) memory. kInvalidArgument names the row
/// and what is wrong with it.
Result<ClassificationReport> ReportClassification(std::span<const std::uint32_t> labels,
                                                  std::span<const float> probabilities,
                                                  std::size_t classes,
                                                  const ReportOptions& options = {});

/// Largest over smallest count. kInvalidArgument: no classes; a class without samples gives
/// infinity.
Result<double> Imbalance(std::span<const std::uint64_t> counts);

/// Weights inverse to the classes' shares, 1 on average over the samples; 0 for a class without
/// samples.
Result<std::vector<double>> InverseFrequencyWeights(std::span<const std::uint64_t> counts);
/// Weights (1 - beta) / (1 - beta^n) (Cui et al. 2019), 1 on average over the samples; beta in [0,
/// 1).
Result<std::vector<double>> EffectiveNumberWeights(std::span<const std::uint64_t> counts,
                                                   double beta);

/// The value below which a share of the values lies: nearest rank, the smallest for 0. `sorted` is
/// in order and not empty.
double NearestRank(std::span<const double> sorted, double share);

}  // namespace tidewheel::stats
