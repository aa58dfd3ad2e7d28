#include "tidewheel/stats/loss_estimate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace tidewheel::stats {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> CheckPredictions(const RegressionRows& rows) {
  if (rows.predictions.empty()) return Bad("there are no rows");
  for (std::size_t row = 0; row < rows.predictions.size(); ++row) {
    if (!std::isfinite(rows.predictions[row])) {
      return Bad("row " + std::to_string(row) + ": the prediction is not a finite number");
    }
  }
  return {};
}

Result<void> CheckFeatures(const RegressionRows& rows) {
  if (const auto good = CheckPredictions(rows); !good) return good;
  const auto& features = rows.features;
  if (!features.Fits() || features.rows != rows.predictions.size()) {
    return Bad("features of " + std::to_string(features.rows) + " rows for " +
               std::to_string(rows.predictions.size()) + " predictions");
  }
  for (std::size_t i = 0; i < features.values.size(); ++i) {
    if (!std::isfinite(features.values[i])) {
      return Bad("row " + std::to_string(i / features.columns) + ", column " +
                 std::to_string(i % features.columns) + ": the feature is not a finite number");
    }
  }
  return {};
}

/// What each row adds to the mean that the metric is (but for a root at the end).
Result<std::vector<double>> Losses(RegressionMetric metric, const RegressionRows& rows) {
  if (const auto good = CheckPredictions(rows); !good) return good.error();
  if (rows.targets.size() != rows.predictions.size()) {
    return Bad(std::to_string(rows.targets.size()) + " targets for " +
               std::to_string(rows.predictions.size()) + " rows");
  }
  std::vector<double> losses(rows.targets.size());
  for (std::size_t row = 0; row < losses.size(); ++row) {
    const double target = rows.targets[row];
    const double prediction = rows.predictions[row];
    const auto refuse = [&](const std::string& why) {
      return Bad("row " + std::to_string(row) + ": " + why);
    };
    if (!std::isfinite(target)) return refuse("the target is not a finite number");
    const double error = prediction - target;
    switch (metric) {
      case RegressionMetric::kMeanAbsoluteError:
        losses[row] = std::abs(error);
        break;
      case RegressionMetric::kMeanSquaredError:
      case RegressionMetric::kRootMeanSquaredError:
        losses[row] = error * error;
        break;
      case RegressionMetric::kMeanAbsolutePercentageError:
        if (target == 0) return refuse("a percentage of a target of 0 is not defined");
        losses[row] = std::abs(error / target);
        break;
      case RegressionMetric::kMeanSquaredLogError: {
        if (!(target > -1 && prediction > -1)) {
          return refuse("a log error needs target and prediction above -1");
        }
        const double difference = std::log1p(prediction) - std::log1p(target);
        losses[row] = difference * difference;
        break;
      }
    }
    if (!std::isfinite(losses[row])) return refuse("the loss is not a finite number");
  }
  return losses;
}

double Mean(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

/// Of the population of values.
double Deviation(std::span<const double> values) {
  const double mean = Mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

double Finished(RegressionMetric metric, double mean_loss) {
  return metric == RegressionMetric::kRootMeanSquaredError ? std::sqrt(mean_loss) : mean_loss;
}

Interval NotBelowZero(double centre, double half) {
  return {std::max(0.0, centre - half), centre + half};
}

/// Each row's features and, as one more column, its prediction.
void AppendRows(const RegressionRows& rows, std::vector<double>& table) {
  for (std::size_t row = 0; row < rows.predictions.size(); ++row) {
    const auto features = rows.features.Row(row);
    table.insert(table.end(), features.begin(), features.end());
    table.push_back(rows.predictions[row]);
  }
}

}  // namespace

std::string_view Name(RegressionMetric metric) {
  switch (metric) {
    case RegressionMetric::kMeanAbsoluteError:
      return "mean_absolute_error";
    case RegressionMetric::kMeanSquaredError:
      return "mean_squared_error";
    case RegressionMetric::kRootMeanSquaredError:
      return "root_mean_squared_error";
    case RegressionMetric::kMeanAbsolutePercentageError:
      return "mean_absolute_percentage_error";
    case RegressionMetric::kMeanSquaredLogError:
      return "mean_squared_log_error";
  }
  return "";
}

Result<double> RealizedMetric(RegressionMetric metric, const RegressionRows& rows) {
  const auto losses = Losses(metric, rows);
  if (!losses) return losses.error();
  return Finished(metric, Mean(*losses));
}

LossTrainer BoostedTreesTrainer(const BoostedTreesOptions& options) {
  return
      [options](MatrixView<double> features, std::span<const double> losses) -> Result<LossModel> {
        auto trees = BoostedTrees::Fit(features, losses, options);
        if (!trees) return trees.error();
        const auto shared = std::make_shared<const BoostedTrees>(*std::move(trees));
        return LossModel([shared](std::span<const double> row) { return (*shared)(row); });
      };
}

Result<LossEstimator> LossEstimator::Fit(RegressionMetric metric,
                                         std::span<const RegressionRows> reference,
                                         const LossEstimatorOptions& options) {
  if (!(options.band_deviations > 0) || !(options.limit_deviations > 0)) {
    return Bad("bands and limits are a positive number of standard deviations wide");
  }
  if (!options.trainer) return Bad("there is no trainer of the loss model");
  if (reference.size() < 2) {
    return Bad("alert limits need 2 reference chunks, not " + std::to_string(reference.size()));
  }
  LossEstimator estimator(metric, options);
  estimator.columns_ = reference.front().features.columns;
  std::vector<double> table;
  std::vector<double> losses;
  std::vector<double> realized;
  for (std::size_t chunk = 0; chunk < reference.size(); ++chunk) {
    const std::string name = "reference chunk " + std::to_string(chunk) + ": ";
    const RegressionRows& rows = reference[chunk];
    if (const auto good = CheckFeatures(rows); !good) return Prefixed(name, good.error());
    if (rows.features.columns != estimator.columns_) {
      return Bad(name + std::to_string(rows.features.columns) + " columns, the first chunk has " +
                 std::to_string(estimator.columns_));
    }
    const auto of_chunk = Losses(metric, rows);
    if (!of_chunk) return Prefixed(name, of_chunk.error());
    AppendRows(rows, table);
    losses.insert(losses.end(), of_chunk->begin(), of_chunk->end());
    realized.push_back(Finished(metric, Mean(*of_chunk)));
  }
  auto model = options.trainer({table, losses.size(), estimator.columns_ + 1}, losses);
  if (!model) return model.error();
  estimator.model_ = *std::move(model);

  estimator.reference_.deviation = Deviation(losses);
  const double mean_loss = Mean(losses);
  if (metric == RegressionMetric::kRootMeanSquaredError && mean_loss > 0) {
    estimator.reference_.deviation /= 2 * std::sqrt(mean_loss);  // Delta method.
  }
  estimator.reference_.limits =
      NotBelowZero(Mean(realized), options.limit_deviations * Deviation(realized));
  return estimator;
}

Result<MetricEstimate> LossEstimator::Estimate(const RegressionRows& chunk) const {
  if (const auto good = CheckFeatures(chunk); !good) return good.error();
  if (chunk.features.columns != columns_) {
    return Bad(std::to_string(chunk.features.columns) + " columns, the reference has " +
               std::to_string(columns_));
  }
  std::vector<double> table;
  AppendRows(chunk, table);
  const std::size_t rows = chunk.predictions.size();
  double sum = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    const double loss = model_(std::span(table).subspan(row * (columns_ + 1), columns_ + 1));
    if (!std::isfinite(loss)) {
      return Error{ErrorCode::kInternal, "the loss model's answer for row " + std::to_string(row) +
                                             " is not a finite number"};
    }
    sum += std::max(0.0, loss);
  }
  MetricEstimate estimate;
  estimate.rows = rows;
  estimate.value = Finished(metric_, sum / static_cast<double>(rows));
  estimate.sampling_error = reference_.deviation / std::sqrt(static_cast<double>(rows));
  estimate.band = NotBelowZero(estimate.value, options_.band_deviations * estimate.sampling_error);
  estimate.limits = reference_.limits;
  estimate.alert = estimate.value < estimate.limits.low || estimate.value > estimate.limits.high;
  return estimate;
}

}  // namespace tidewheel::stats
