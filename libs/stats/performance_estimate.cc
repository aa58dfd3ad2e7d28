#include "tidewheel/stats/performance_estimate.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tidewheel::stats {
namespace {

constexpr double kRowSumTolerance = 1e-3;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

std::string Chunk(std::size_t index) { return "reference chunk " + std::to_string(index) + ": "; }

std::size_t IndexOf(PerformanceMetric metric) { return static_cast<std::size_t>(metric); }

Result<void> CheckOptions(const EstimatorOptions& options, std::size_t chunks) {
  if (!(options.band_deviations > 0) || !(options.limit_deviations > 0)) {
    return Bad("bands and limits are a positive number of standard deviations wide");
  }
  if (chunks == 0) return Bad("the reference has no chunks");
  return {};
}

Interval InsideUnit(double centre, double half) {
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

/// Limits from the chunks' realized values, of which undefined ones are left out.
void SetLimits(MetricReference& reference, std::span<const double> realized,
               const EstimatorOptions& options, PerformanceMetric metric) {
  if (realized.size() < 2) {
    reference.missing =
        Error{ErrorCode::kFailedPrecondition,
              std::string(Name(metric)) + " is not applicable, because it is " + "defined in " +
                  std::to_string(realized.size()) + " reference chunks and alert limits need 2"};
    return;
  }
  const auto count = static_cast<double>(realized.size());
  double mean = 0;
  for (const double value : realized) mean += value / count;
  double variance = 0;
  for (const double value : realized) variance += (value - mean) * (value - mean) / count;
  reference.limits = InsideUnit(mean, options.limit_deviations * std::sqrt(variance));
}

MetricEstimate Finish(double value, const MetricReference& reference, std::size_t rows,
                      const EstimatorOptions& options) {
  MetricEstimate estimate;
  estimate.value = value;
  estimate.rows = rows;
  estimate.sampling_error = reference.deviation / std::sqrt(static_cast<double>(rows));
  estimate.band = InsideUnit(value, options.band_deviations * estimate.sampling_error);
  estimate.limits = reference.limits;
  estimate.alert = value < reference.limits.low || value > reference.limits.high;
  return estimate;
}

Result<void> CheckClasses(std::span<const std::int32_t> values, std::size_t rows,
                          std::size_t classes, const std::string& what) {
  if (values.size() != rows) {
    return Bad(std::to_string(values.size()) + " " + what + " for " + std::to_string(rows) +
               " rows");
  }
  for (std::size_t row = 0; row < rows; ++row) {
    if (values[row] < 0 || static_cast<std::size_t>(values[row]) >= classes) {
      return Bad("row " + std::to_string(row) + ": " + std::to_string(values[row]) + " among the " +
                 what + " is not a class below " + std::to_string(classes));
    }
  }
  return {};
}

Result<void> CheckRows(const MulticlassRows& rows) {
  const auto& p = rows.probabilities;
  if (!p.Fits() || p.rows == 0) return Bad("probabilities are not a matrix with rows");
  if (p.columns < 2) return Bad("a classifier has at least 2 classes");
  for (std::size_t row = 0; row < p.rows; ++row) {
    double sum = 0;
    for (const double value : p.Row(row)) {
      if (!(value >= 0 && value <= 1)) {
        return Bad("row " + std::to_string(row) + ": a probability is not in 0 to 1");
      }
      sum += value;
    }
    if (std::abs(sum - 1) > kRowSumTolerance) {
      return Bad("row " + std::to_string(row) + ": probabilities sum to " + std::to_string(sum));
    }
  }
  return CheckClasses(rows.predicted, p.rows, p.columns, "predictions");
}

Result<void> CheckLabels(const MulticlassRows& rows) {
  return CheckClasses(rows.labels, rows.probabilities.rows, rows.probabilities.columns, "labels");
}

/// One class against the others, as rows of two classes.
struct OneAgainstRest {
  OneAgainstRest(const MulticlassRows& from, std::size_t k) {
    const std::size_t rows = from.probabilities.rows;
    scores.resize(rows);
    predicted.resize(rows);
    labels.resize(from.labels.size());
    for (std::size_t row = 0; row < rows; ++row) {
      scores[row] = from.probabilities.Row(row)[k];
      predicted[row] = static_cast<std::size_t>(from.predicted[row]) == k ? 1 : 0;
    }
    for (std::size_t row = 0; row < labels.size(); ++row) {
      labels[row] = static_cast<std::size_t>(from.labels[row]) == k ? 1 : 0;
    }
  }
  BinaryRows view() const { return {scores, predicted, labels}; }

  std::vector<double> scores;
  std::vector<std::int32_t> predicted;
  std::vector<std::int32_t> labels;
};

/// Mean of a figure over the classes that have it; the last refusal where none has.
template <typename Figure>
Result<double> MeanOverClasses(std::size_t classes, const Figure& figure) {
  double sum = 0;
  double defined = 0;
  Error why;
  for (std::size_t k = 0; k < classes; ++k) {
    const Result<double> value = figure(k);
    if (value) {
      sum += *value;
      defined += 1;
    } else if (value.error().code == ErrorCode::kFailedPrecondition) {
      why = value.error();
    } else {
      return value.error();
    }
  }
  if (defined == 0) return why;
  return sum / defined;
}

double ShareRight(const MulticlassRows& rows) {
  double right = 0;
  for (std::size_t row = 0; row < rows.labels.size(); ++row) {
    right += rows.labels[row] == rows.predicted[row] ? 1 : 0;
  }
  return right / static_cast<double>(rows.labels.size());
}

Result<double> RealizedOfChecked(PerformanceMetric metric, const MulticlassRows& rows) {
  if (metric == PerformanceMetric::kAccuracy) return ShareRight(rows);
  return MeanOverClasses(rows.probabilities.columns, [&](std::size_t k) {
    return RealizedMetric(metric, OneAgainstRest(rows, k).view());
  });
}

/// Every chunk's rows in one table.
struct MulticlassTable {
  explicit MulticlassTable(std::span<const MulticlassRows> chunks) {
    for (const MulticlassRows& chunk : chunks) {
      const auto values = chunk.probabilities.values;
      probabilities.insert(probabilities.end(), values.begin(), values.end());
      predicted.insert(predicted.end(), chunk.predicted.begin(), chunk.predicted.end());
      labels.insert(labels.end(), chunk.labels.begin(), chunk.labels.end());
    }
    classes = chunks.front().probabilities.columns;
  }
  MulticlassRows view() const {
    return {{probabilities, predicted.size(), classes}, predicted, labels};
  }

  std::vector<double> probabilities;
  std::vector<std::int32_t> predicted;
  std::vector<std::int32_t> labels;
  std::size_t classes = 0;
};

/// Deviation of a mean over the classes that have the metric, taken for independent.
Result<double> MacroDeviation(PerformanceMetric metric, const MulticlassRows& rows,
                              std::uint64_t seed) {
  if (metric == PerformanceMetric::kAccuracy) {
    std::vector<std::int32_t> right(rows.labels.size());
    for (std::size_t row = 0; row < right.size(); ++row) {
      right[row] = rows.labels[row] == rows.predicted[row] ? 1 : 0;
    }
    const std::vector<double> scores(right.size(), 0.0);
    const std::vector<std::int32_t> one(right.size(), 1);
    return SamplingDeviation(PerformanceMetric::kAccuracy, {scores, one, right}, seed);
  }
  double defined = 0;
  const auto mean_variance = MeanOverClasses(rows.probabilities.columns, [&](std::size_t k) {
    auto deviation = SamplingDeviation(metric, OneAgainstRest(rows, k).view(), seed);
    if (!deviation) return deviation;
    defined += 1;
    return Result<double>(*deviation * *deviation);
  });
  if (!mean_variance) return mean_variance.error();
  return std::sqrt(*mean_variance / defined);
}

}  // namespace

Result<BinaryEstimator> BinaryEstimator::Fit(std::span<const BinaryRows> reference,
                                             const EstimatorOptions& options) {
  if (const auto good = CheckOptions(options, reference.size()); !good) return good.error();
  std::vector<double> scores;
  std::vector<std::int32_t> predicted;
  std::vector<std::int32_t> labels;
  for (std::size_t chunk = 0; chunk < reference.size(); ++chunk) {
    const BinaryRows& rows = reference[chunk];
    // Accuracy is defined for all good rows: its only refusals are of bad ones.
    const auto good = RealizedMetric(PerformanceMetric::kAccuracy, rows);
    if (!good) return Prefixed(Chunk(chunk), good.error());
    scores.insert(scores.end(), rows.scores.begin(), rows.scores.end());
    predicted.insert(predicted.end(), rows.predicted.begin(), rows.predicted.end());
    labels.insert(labels.end(), rows.labels.begin(), rows.labels.end());
  }
  for (const std::int32_t label : {0, 1}) {
    if (std::find(labels.begin(), labels.end(), label) == labels.end()) {
      return Error{ErrorCode::kFailedPrecondition,
                   "the reference has no row of class " + std::to_string(label)};
    }
  }
  auto calibrator = ProbabilityCalibrator::Fit(labels, scores, options.calibration);
  if (!calibrator) return calibrator.error();

  BinaryEstimator estimator(*std::move(calibrator), options);
  for (const PerformanceMetric metric : kPerformanceMetrics) {
    MetricReference& known = estimator.metrics_[IndexOf(metric)];
    const auto deviation =
        SamplingDeviation(metric, {scores, predicted, labels}, options.calibration.seed);
    if (!deviation) {
      known.missing = Prefixed("in the reference ", deviation.error());
      continue;
    }
    known.deviation = *deviation;
    std::vector<double> realized;
    for (const BinaryRows& rows : reference) {
      if (const auto value = RealizedMetric(metric, rows)) realized.push_back(*value);
    }
    SetLimits(known, realized, options, metric);
  }
  return estimator;
}

Result<std::vector<double>> BinaryEstimator::Probabilities(const BinaryRows& chunk) const {
  std::vector<double> probabilities(chunk.scores.size());
  for (std::size_t row = 0; row < probabilities.size(); ++row) {
    const double p = calibrator_(chunk.scores[row]);
    if (!(p >= 0 && p <= 1)) {
      return Bad("row " + std::to_string(row) + ": score " + std::to_string(chunk.scores[row]) +
                 " is no probability, as all scores of the reference are");
    }
    probabilities[row] = p;
  }
  return probabilities;
}

Result<MetricEstimate> BinaryEstimator::Estimate(PerformanceMetric metric,
                                                 const BinaryRows& chunk) const {
  const MetricReference& known = metrics_[IndexOf(metric)];
  if (known.missing) return *known.missing;
  const auto probabilities = Probabilities(chunk);
  if (!probabilities) return probabilities.error();
  const auto value = ExpectedMetric(metric, chunk, *probabilities);
  if (!value) return value.error();
  return Finish(*value, known, chunk.scores.size(), options_);
}

Result<ExpectedConfusion> BinaryEstimator::Confusion(const BinaryRows& chunk) const {
  const auto probabilities = Probabilities(chunk);
  if (!probabilities) return probabilities.error();
  return ExpectConfusion(chunk.predicted, *probabilities);
}

Result<MulticlassEstimator> MulticlassEstimator::Fit(std::span<const MulticlassRows> reference,
                                                     const EstimatorOptions& options) {
  if (const auto good = CheckOptions(options, reference.size()); !good) return good.error();
  const std::size_t classes = reference.front().probabilities.columns;
  for (std::size_t chunk = 0; chunk < reference.size(); ++chunk) {
    if (const auto good = CheckRows(reference[chunk]); !good) {
      return Prefixed(Chunk(chunk), good.error());
    }
    if (const auto good = CheckLabels(reference[chunk]); !good) {
      return Prefixed(Chunk(chunk), good.error());
    }
    if (reference[chunk].probabilities.columns != classes) {
      return Bad(Chunk(chunk) + std::to_string(reference[chunk].probabilities.columns) +
                 " classes, the first chunk has " + std::to_string(classes));
    }
  }
  const MulticlassTable table(reference);
  const MulticlassRows all = table.view();
  MulticlassEstimator estimator(options);
  for (std::size_t k = 0; k < classes; ++k) {
    const OneAgainstRest rows(all, k);
    auto calibrator = ProbabilityCalibrator::Fit(rows.labels, rows.scores, options.calibration);
    if (!calibrator) return Prefixed("class " + std::to_string(k) + ": ", calibrator.error());
    estimator.calibrators_.push_back(*std::move(calibrator));
  }
  for (const PerformanceMetric metric : kPerformanceMetrics) {
    MetricReference& known = estimator.metrics_[IndexOf(metric)];
    const auto deviation = MacroDeviation(metric, all, options.calibration.seed);
    if (!deviation) {
      known.missing = Prefixed("in the reference ", deviation.error());
      continue;
    }
    known.deviation = *deviation;
    std::vector<double> realized;
    for (const MulticlassRows& rows : reference) {
      if (const auto value = RealizedOfChecked(metric, rows)) realized.push_back(*value);
    }
    SetLimits(known, realized, options, metric);
  }
  return estimator;
}

Result<std::vector<double>> MulticlassEstimator::Probabilities(const MulticlassRows& chunk) const {
  if (const auto good = CheckRows(chunk); !good) return good.error();
  if (chunk.probabilities.columns != classes()) {
    return Bad(std::to_string(chunk.probabilities.columns) + " classes, the reference has " +
               std::to_string(classes()));
  }
  std::vector<double> calibrated(chunk.probabilities.values.size());
  for (std::size_t row = 0; row < chunk.probabilities.rows; ++row) {
    const auto given = chunk.probabilities.Row(row);
    const auto out = std::span(calibrated).subspan(row * classes(), classes());
    double sum = 0;
    for (std::size_t k = 0; k < classes(); ++k) sum += out[k] = calibrators_[k](given[k]);
    // Every fit says "never": the model's own word is all there is.
    if (!(sum > 0)) {
      std::copy(given.begin(), given.end(), out.begin());
      sum = 0;
      for (const double p : given) sum += p;
    }
    for (double& p : out) p = std::min(1.0, p / sum);
  }
  return calibrated;
}

Result<MetricEstimate> MulticlassEstimator::Estimate(PerformanceMetric metric,
                                                     const MulticlassRows& chunk) const {
  const MetricReference& known = metrics_[IndexOf(metric)];
  if (known.missing) return *known.missing;
  const auto probabilities = Probabilities(chunk);
  if (!probabilities) return probabilities.error();
  const std::size_t rows = chunk.probabilities.rows;
  if (metric == PerformanceMetric::kAccuracy) {
    double right = 0;
    for (std::size_t row = 0; row < rows; ++row) {
      right += (*probabilities)[row * classes() + static_cast<std::size_t>(chunk.predicted[row])];
    }
    return Finish(right / static_cast<double>(rows), known, rows, options_);
  }
  std::vector<double> column(rows);
  const auto value = MeanOverClasses(classes(), [&](std::size_t k) {
    for (std::size_t row = 0; row < rows; ++row)
      column[row] = (*probabilities)[row * classes() + k];
    return ExpectedMetric(metric, OneAgainstRest(chunk, k).view(), column);
  });
  if (!value) return value.error();
  return Finish(*value, known, rows, options_);
}

Result<std::vector<double>> MulticlassEstimator::Confusion(const MulticlassRows& chunk) const {
  const auto probabilities = Probabilities(chunk);
  if (!probabilities) return probabilities.error();
  std::vector<double> counts(classes() * classes());
  for (std::size_t row = 0; row < chunk.probabilities.rows; ++row) {
    const auto predicted = static_cast<std::size_t>(chunk.predicted[row]);
    for (std::size_t k = 0; k < classes(); ++k) {
      counts[k * classes() + predicted] += (*probabilities)[row * classes() + k];
    }
  }
  return counts;
}

Result<double> RealizedMetric(PerformanceMetric metric, const MulticlassRows& rows) {
  if (const auto good = CheckRows(rows); !good) return good.error();
  if (const auto good = CheckLabels(rows); !good) return good.error();
  return RealizedOfChecked(metric, rows);
}

}  // namespace tidewheel::stats
