#include "tidewheel/stats/loss_estimate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using testing::HasSubstr;

constexpr RegressionMetric kMetrics[] = {
    RegressionMetric::kMeanAbsoluteError, RegressionMetric::kMeanSquaredError,
    RegressionMetric::kRootMeanSquaredError, RegressionMetric::kMeanAbsolutePercentageError,
    RegressionMetric::kMeanSquaredLogError};

struct Table {
  std::vector<double> features;
  std::vector<double> predictions;
  std::vector<double> targets;

  RegressionRows view() const { return {{features, predictions.size(), 2}, predictions, targets}; }
  RegressionRows unlabeled() const { return {{features, predictions.size(), 2}, predictions, {}}; }
};

/// A model whose error grows with the first feature, which lies around `centre`.
Table Rows(std::size_t n, double centre, std::uint64_t seed) {
  Random random(seed);
  Table table;
  for (std::size_t i = 0; i < n; ++i) {
    const double x = std::max(0.0, centre + 0.15 * random.Normal());
    const double y = random.Uniform();
    table.features.insert(table.features.end(), {x, y});
    table.predictions.push_back(10 + 3 * y);
    table.targets.push_back(10 + 3 * y + x * random.Normal());
  }
  return table;
}

struct Reference {
  Reference() {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
      tables.push_back(Rows(700, 0.2 + 0.1 * static_cast<double>(seed), seed));
    }
    for (const Table& table : tables) chunks.push_back(table.view());
  }
  std::vector<Table> tables;
  std::vector<RegressionRows> chunks;
};

TEST(RegressionMetricTest, RealizedAgreesWithAHandCount) {
  const std::vector<double> targets = {1, 2, 4};
  const std::vector<double> predictions = {2, 2, 1};
  const RegressionRows rows = {{}, predictions, targets};
  EXPECT_DOUBLE_EQ(*RealizedMetric(RegressionMetric::kMeanAbsoluteError, rows), 4.0 / 3);
  EXPECT_DOUBLE_EQ(*RealizedMetric(RegressionMetric::kMeanSquaredError, rows), 10.0 / 3);
  EXPECT_DOUBLE_EQ(*RealizedMetric(RegressionMetric::kRootMeanSquaredError, rows),
                   std::sqrt(10.0 / 3));
  EXPECT_DOUBLE_EQ(*RealizedMetric(RegressionMetric::kMeanAbsolutePercentageError, rows),
                   (1 + 0.75) / 3);
  EXPECT_NEAR(*RealizedMetric(RegressionMetric::kMeanSquaredLogError, rows),
              (std::pow(std::log(3.0 / 2), 2) + std::pow(std::log(2.0 / 5), 2)) / 3, 1e-15);
}

TEST(LossEstimatorTest, EstimatesWhatLabelsLaterShowWhenOnlyTheInputsMove) {
  const Reference reference;
  for (const RegressionMetric metric : kMetrics) {
    const auto estimator = LossEstimator::Fit(metric, reference.chunks);
    ASSERT_TRUE(estimator.ok()) << estimator.error().message;
    for (const double centre : {0.45, 0.7}) {
      const Table moved = Rows(4'000, centre, 99);
      const auto estimate = estimator->Estimate(moved.unlabeled());
      ASSERT_TRUE(estimate.ok()) << estimate.error().message;
      const double realized = *RealizedMetric(metric, moved.view());
      EXPECT_NEAR(estimate->value / realized, 1, 0.15) << Name(metric) << " at " << centre;
      EXPECT_GT(estimate->sampling_error, 0);
      EXPECT_LE(estimate->band.low, estimate->value);
    }
  }
}

TEST(LossEstimatorTest, InputsWhereTheModelIsBadRaiseAnAlert) {
  std::vector<Table> tables;
  std::vector<RegressionRows> chunks;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    Table table = Rows(700, 0.3, seed);
    const Table bad = Rows(60, 1, seed + 50);  // Some such rows are in every chunk.
    table.features.insert(table.features.end(), bad.features.begin(), bad.features.end());
    table.predictions.insert(table.predictions.end(), bad.predictions.begin(),
                             bad.predictions.end());
    table.targets.insert(table.targets.end(), bad.targets.begin(), bad.targets.end());
    tables.push_back(table);
  }
  for (const Table& table : tables) chunks.push_back(table.view());
  const auto estimator = LossEstimator::Fit(RegressionMetric::kRootMeanSquaredError, chunks);
  EXPECT_FALSE(estimator->Estimate(tables[0].unlabeled())->alert);
  EXPECT_TRUE(estimator->Estimate(Rows(500, 1, 77).unlabeled())->alert);
}

TEST(LossEstimatorTest, AnyModelMayLearnTheLoss) {
  const Reference reference;
  std::size_t columns = 0;
  LossEstimatorOptions options;
  options.trainer = [&](MatrixView<double> features,
                        std::span<const double> losses) -> Result<LossModel> {
    columns = features.columns;
    EXPECT_EQ(features.rows, losses.size());
    return LossModel([](std::span<const double> row) { return row[0] - 10 * row[2]; });
  };
  const auto estimator =
      LossEstimator::Fit(RegressionMetric::kMeanAbsoluteError, reference.chunks, options);
  EXPECT_EQ(columns, 3U);  // Two features and the prediction.
  EXPECT_EQ(estimator->Estimate(reference.tables[0].unlabeled())->value, 0);  // Below 0 is 0.

  options.trainer = [](MatrixView<double>, std::span<const double>) -> Result<LossModel> {
    return LossModel([](std::span<const double>) { return std::nan(""); });
  };
  const auto broken =
      LossEstimator::Fit(RegressionMetric::kMeanAbsoluteError, reference.chunks, options);
  EXPECT_EQ(broken->Estimate(reference.tables[0].view()).error().code, ErrorCode::kInternal);

  options.trainer = [](MatrixView<double>, std::span<const double>) -> Result<LossModel> {
    return Error{ErrorCode::kUnavailable, "no model today"};
  };
  EXPECT_EQ(LossEstimator::Fit(RegressionMetric::kMeanAbsoluteError, reference.chunks, options)
                .error()
                .message,
            "no model today");
}

TEST(LossEstimatorTest, BadInputIsNamed) {
  Reference reference;
  const auto problem = [&](RegressionMetric metric = RegressionMetric::kMeanAbsoluteError) {
    const auto estimator = LossEstimator::Fit(metric, reference.chunks);
    return estimator.ok() ? std::string("taken") : estimator.error().message;
  };
  reference.tables[1].features[5] = NAN;
  EXPECT_THAT(problem(), HasSubstr("reference chunk 1: row 2, column 1"));
  reference.tables[1].features[5] = 0;
  reference.tables[3].targets[4] = 0;
  EXPECT_THAT(problem(RegressionMetric::kMeanAbsolutePercentageError),
              HasSubstr("reference chunk 3: row 4: a percentage"));
  reference.tables[3].targets[4] = -2;
  EXPECT_THAT(problem(RegressionMetric::kMeanSquaredLogError), HasSubstr("above -1"));
  reference.tables[3].targets[4] = INFINITY;
  EXPECT_THAT(problem(), HasSubstr("row 4: the target"));
  reference.tables[3].targets[4] = 10;
  reference.tables[0].predictions[6] = NAN;
  EXPECT_THAT(problem(), HasSubstr("row 6: the prediction"));
  reference.tables[0].predictions[6] = 10;
  EXPECT_EQ(problem(), "taken");

  const auto estimator = LossEstimator::Fit(RegressionMetric::kMeanAbsoluteError, reference.chunks);
  RegressionRows wide = reference.tables[0].unlabeled();
  wide.features = {reference.tables[0].features, 350, 4};
  EXPECT_THAT(estimator->Estimate(wide).error().message, HasSubstr("350 rows for 700"));
  wide.predictions = wide.predictions.first(350);
  EXPECT_THAT(estimator->Estimate(wide).error().message, HasSubstr("4 columns"));
  reference.chunks[2] = reference.tables[2].unlabeled();
  EXPECT_THAT(problem(), HasSubstr("reference chunk 2: 0 targets"));
  reference.chunks.resize(1);
  EXPECT_THAT(problem(), HasSubstr("alert limits need 2"));
}

}  // namespace
}  // namespace tidewheel::stats
