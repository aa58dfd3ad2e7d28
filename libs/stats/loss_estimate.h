#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>
#include <utility>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"
#include "tidewheel/stats/boosted_trees.h"
#include "tidewheel/stats/performance_estimate.h"

namespace tidewheel::stats {

/// Figures of a regression, all at least 0, smaller is better.
enum class RegressionMetric {
  kMeanAbsoluteError,
  kMeanSquaredError,
  kRootMeanSquaredError,
  kMeanAbsolutePercentageError,  // A share, not per cent. Targets are not 0.
  kMeanSquaredLogError,          // Of log(1 + x). Targets and predictions are above -1.
};

/// "mean_absolute_error" and so on.
std::string_view Name(RegressionMetric metric);

/// Rows of a regression. Views: the numbers belong to the caller.
struct RegressionRows {
  MatrixView<double> features;          // N x D, finite: what the loss may depend on.
  std::span<const double> predictions;  // N finite numbers.
  std::span<const double> targets;      // N finite numbers; empty where nobody knows them yet.
};

/// The realized metric. O(N). kInvalidArgument names the row of a number that is not finite, or
/// where the metric's loss is not defined (a target of 0 for a percentage, and so on).
Result<double> RealizedMetric(RegressionMetric metric, const RegressionRows& rows);

/// The expected loss of a row of features (D numbers) followed by its prediction.
using LossModel = std::function<double(std::span<const double>)>;
/// Learns a loss model from N x (D + 1) features and N losses. Called once, by Fit.
using LossTrainer =
    std::function<Result<LossModel>(MatrixView<double> features, std::span<const double> losses)>;

/// The default trainer: BoostedTrees.
LossTrainer BoostedTreesTrainer(const BoostedTreesOptions& options = {});

struct LossEstimatorOptions {
  LossTrainer trainer = BoostedTreesTrainer();
  double band_deviations = 3;
  double limit_deviations = 3;
};

/// Direct loss estimation for a regression: a second model learns the first one's loss row by row
/// from the features and the prediction, and its mean over a chunk nobody has labeled is the
/// expected metric. Sees that inputs moved to where the model is known to be bad; does not see a
/// change of the concept, which is why estimates are audited (estimate_audit.h).
/// Once made it may be asked by any number of threads, if its loss model may.
class LossEstimator {
 public:
  /// `reference` are labeled chunks the regression was not trained on. Alert limits are mean +/-
  /// `limit_deviations` standard deviations (of the population of chunks) of the realized metric
  /// over the chunks, at least two, and not below 0. The trainer's errors come back as they are.
  /// kInvalidArgument: fewer than two chunks, bad rows (named with chunk and row), chunks that
  /// differ in D, options out of range.
  static Result<LossEstimator> Fit(RegressionMetric metric,
                                   std::span<const RegressionRows> reference,
                                   const LossEstimatorOptions& options = {});

  /// The band is not below 0. Targets, where `chunk` has them, are not looked at. A loss model that
  /// answers below 0 is taken for 0. kInvalidArgument: bad rows, or another D than the reference's.
  /// kInternal: the loss model answers something that is not finite.
  Result<MetricEstimate> Estimate(const RegressionRows& chunk) const;

  RegressionMetric metric() const { return metric_; }

 private:
  LossEstimator(RegressionMetric metric, LossEstimatorOptions options)
      : metric_(metric), options_(std::move(options)) {}

  RegressionMetric metric_;
  LossEstimatorOptions options_;
  LossModel model_;
  std::size_t columns_ = 0;
  MetricReference reference_;
};

}  // namespace tidewheel::stats
