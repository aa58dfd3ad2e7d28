#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "tidewheel/base/result.h"

namespace tidewheel::stats {

/// Figures of a classifier of two classes, all 0 to 1, larger is better.
enum class PerformanceMetric {
  kAccuracy,
  kPrecision,
  kRecall,
  kSpecificity,
  kF1,
  kRocAuc,
  kAveragePrecision,
};

inline constexpr std::array kPerformanceMetrics = {
    PerformanceMetric::kAccuracy,        PerformanceMetric::kPrecision, PerformanceMetric::kRecall,
    PerformanceMetric::kSpecificity,     PerformanceMetric::kF1,        PerformanceMetric::kRocAuc,
    PerformanceMetric::kAveragePrecision};

/// "accuracy", "roc_auc" and so on.
std::string_view Name(PerformanceMetric metric);

/// Rows of a classifier of two classes. Views: the numbers belong to the caller.
struct BinaryRows {
  std::span<const double> scores;           // N finite numbers; larger speaks for class 1.
  std::span<const std::int32_t> predicted;  // N numbers, 0 or 1.
  std::span<const std::int32_t> labels;     // N numbers, 0 or 1; empty where nobody knows them yet.
};

/// A confusion matrix in rows, that probabilities expect: fractions are meant.
struct ExpectedConfusion {
  double true_positives = 0;
  double false_positives = 0;
  double true_negatives = 0;
  double false_negatives = 0;
};

/// The functions below need N >= 1 rows whose spans agree. None depends on the order of rows.
/// kInvalidArgument names the row of a bad number. kFailedPrecondition: the metric is not defined
/// for these rows (precision without a row predicted 1, and so on); the message says why.

/// What the metric is, by the labels. O(N), for the ranking metrics O(N log N).
Result<double> RealizedMetric(PerformanceMetric metric, const BinaryRows& rows);

/// Expected counts when row i is of class 1 with probability `probabilities[i]`. O(N).
Result<ExpectedConfusion> ExpectConfusion(std::span<const std::int32_t> predicted,
                                          std::span<const double> probabilities);

/// What the metric is expected to be. Ranking metrics rank by `rows.scores`, and weigh by the
/// probabilities: true positives are their running sum, false positives the rank less that sum;
/// rows with equal scores are caught together. `rows.labels` are not looked at.
Result<double> ExpectedMetric(PerformanceMetric metric, const BinaryRows& rows,
                              std::span<const double> probabilities);

/// Standard deviation that sampling alone gives the metric, times the square root of the number of
/// rows: divide by sqrt(n) for a chunk of n. Rates: of a share of the rows that count for it; F1 by
/// the delta method; ROC AUC from the placements of the rarer class among the other (Mann-Whitney
/// statistic, ties half), the other class' share of the variance left out; average precision by 200
/// seeded resamples of at most 20,000 rows. A rate without a single mistake (or hit) is taken for
/// one with half a mistake, as no deviation at all would claim certainty. `rows.labels` are needed.
Result<double> SamplingDeviation(PerformanceMetric metric, const BinaryRows& rows,
                                 std::uint64_t seed = 1);

}  // namespace tidewheel::stats
