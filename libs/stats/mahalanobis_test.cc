#include "tidewheel/stats/mahalanobis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using ::testing::HasSubstr;

/// Rows of independent normals with these deviations about these means.
std::vector<double> Normals(std::size_t rows, const std::vector<double>& means,
                            const std::vector<double>& deviations, std::uint64_t seed) {
  Random random(seed);
  std::vector<double> values;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t i = 0; i < means.size(); ++i) {
      values.push_back(means[i] + deviations[i] * random.Normal());
    }
  }
  return values;
}

TEST(ShrunkCovarianceTest, ManyRowsGiveTheirOwnCovariance) {
  auto values = Normals(20'000, {5, -3}, {2, 1}, 1);
  for (std::size_t row = 0; row < 20'000; ++row) values[2 * row + 1] += values[2 * row];
  const auto estimate = EstimateShrunkCovariance({values, 20'000, 2}).value();
  EXPECT_NEAR(estimate.mean[0], 5, 0.05);
  EXPECT_NEAR(estimate.mean[1], 2, 0.05);
  EXPECT_NEAR(estimate.covariance[0], 4, 0.15);
  EXPECT_NEAR(estimate.covariance[1], 4, 0.15);
  EXPECT_EQ(estimate.covariance[1], estimate.covariance[2]);
  EXPECT_NEAR(estimate.covariance[3], 5, 0.15);
  EXPECT_LT(estimate.shrinkage, 0.001);
}

TEST(ShrunkCovarianceTest, FewRowsOfManyNumbersCanBeInvertedAndAreCloserToTheTruth) {
  constexpr std::size_t kSize = 16;
  const std::vector<double> zeros(kSize);
  const std::vector<double> ones(kSize, 1);
  const auto values = Normals(10, zeros, ones, 3);
  const auto estimate = EstimateShrunkCovariance({values, 10, kSize}).value();
  EXPECT_GT(estimate.shrinkage, 0.3);
  ASSERT_TRUE(MahalanobisDistance::Create(estimate.mean, estimate.covariance).ok());
  double error = 0;
  for (std::size_t i = 0; i < kSize; ++i) {
    for (std::size_t k = 0; k < kSize; ++k) {
      error += std::pow(estimate.covariance[i * kSize + k] - (i == k ? 1 : 0), 2);
    }
  }
  // Their own covariance would be off by about D^2 / N = 26.
  EXPECT_LT(error, 10);
}

TEST(ShrunkCovarianceTest, DegenerateRowsCanBeInvertedToo) {
  // A dead column, one that repeats another, one row, equal rows.
  std::vector<double> values;
  Random random(1);
  for (int row = 0; row < 50; ++row) {
    const double value = random.Normal();
    values.insert(values.end(), {value, 0, value});
  }
  for (const auto& [numbers, rows] :
       {std::pair{values, std::size_t{50}}, std::pair{std::vector<double>{1, 2, 3}, std::size_t{1}},
        std::pair{std::vector<double>(30, 7), std::size_t{10}}}) {
    const auto estimate = EstimateShrunkCovariance({numbers, rows, 3});
    ASSERT_TRUE(estimate.ok());
    const auto distance = MahalanobisDistance::Create(estimate->mean, estimate->covariance);
    ASSERT_TRUE(distance.ok());
    EXPECT_TRUE(std::isfinite(distance->Squared(std::span<const double>(numbers).first(3))));
  }
}

TEST(ShrunkCovarianceTest, WhatIsNoTableIsRefused) {
  EXPECT_FALSE(EstimateShrunkCovariance({{}, 0, 3}).ok());
  const std::vector<double> three = {1, 2, 3};
  EXPECT_FALSE(EstimateShrunkCovariance({three, 2, 2}).ok());
  const std::vector<double> broken = {1, 2, 3, std::numeric_limits<double>::quiet_NaN()};
  EXPECT_THAT(EstimateShrunkCovariance({broken, 2, 2}).error().message,
              HasSubstr("row 1, column 1"));
  const std::vector<double> huge = {1e200, -1e200};
  EXPECT_THAT(EstimateShrunkCovariance({huge, 2, 1}).error().message, HasSubstr("too large"));
}

TEST(MahalanobisDistanceTest, MeasuresInUnitsOfTheSpread) {
  const auto distance =
      MahalanobisDistance::Create(std::vector<double>{1, 1}, std::vector<double>{4, 0, 0, 1})
          .value();
  EXPECT_EQ(distance.Squared(std::vector<double>{1, 1}), 0);
  EXPECT_NEAR(distance.Squared(std::vector<double>{3, 1}), 1, 1e-12);
  EXPECT_NEAR(distance.Squared(std::vector<float>{3, 3}), 5, 1e-12);
  // Correlated: (1, 1) is nearer than (1, -1).
  const auto tilted =
      MahalanobisDistance::Create(std::vector<double>{0, 0}, std::vector<double>{1, .5, .5, 1})
          .value();
  EXPECT_NEAR(tilted.Squared(std::vector<double>{1, 1}), 4.0 / 3, 1e-12);
  EXPECT_NEAR(tilted.Squared(std::vector<double>{1, -1}), 4, 1e-12);
}

TEST(MahalanobisDistanceTest, OfNormalRowsIsChiSquare) {
  constexpr std::size_t kSize = 8;
  const std::vector<double> means(kSize, 2);
  const std::vector<double> deviations = {1, 2, 3, 4, 5, 6, 7, 8};
  const auto values = Normals(4'000, means, deviations, 9);
  const auto estimate = EstimateShrunkCovariance({values, 4'000, kSize}).value();
  const auto distance = MahalanobisDistance::Create(estimate.mean, estimate.covariance).value();
  double sum = 0;
  for (std::size_t row = 0; row < 4'000; ++row) {
    sum += distance.Squared(std::span<const double>(values).subspan(row * kSize, kSize));
  }
  EXPECT_NEAR(sum / 4'000, kSize, 0.3);
}

TEST(MahalanobisDistanceTest, WhatIsNoCovarianceIsRefused) {
  const std::vector<double> mean = {0, 0};
  EXPECT_FALSE(MahalanobisDistance::Create({}, {}).ok());
  EXPECT_FALSE(MahalanobisDistance::Create(mean, std::vector<double>{1, 0, 0}).ok());
  EXPECT_THAT(MahalanobisDistance::Create(mean, std::vector<double>{1, 2, 2, 1}).error().message,
              HasSubstr("positive definite"));
  EXPECT_FALSE(MahalanobisDistance::Create(mean, std::vector<double>{1, 0, 0, INFINITY}).ok());
}

}  // namespace
}  // namespace tidewheel::stats
