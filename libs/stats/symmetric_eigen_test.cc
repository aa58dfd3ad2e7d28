#include "tidewheel/stats/symmetric_eigen.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <numbers>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

MatrixView<double> Square(const std::vector<double>& values) {
  const auto size = static_cast<std::size_t>(std::lround(std::sqrt(values.size())));
  return {values, size, size};
}

TEST(EigenOfSymmetricTest, SolvesTheTwoByTwoCase) {
  const std::vector<double> matrix = {2, 1, 1, 2};
  const auto eigen = EigenOfSymmetric(Square(matrix));

  ASSERT_TRUE(eigen.ok());
  EXPECT_NEAR(eigen->values[0], 3, 1e-15);
  EXPECT_NEAR(eigen->values[1], 1, 1e-15);
  EXPECT_NEAR(eigen->vectors[0], std::sqrt(0.5), 1e-15);
  EXPECT_NEAR(eigen->vectors[1], std::sqrt(0.5), 1e-15);
  EXPECT_NEAR(eigen->vectors[2], std::sqrt(0.5), 1e-15);
  EXPECT_NEAR(eigen->vectors[3], -std::sqrt(0.5), 1e-15);
}

TEST(EigenOfSymmetricTest, FindsTheKnownValuesOfTheSecondDifference) {
  // 2 on the diagonal, -1 beside it: 2 - 2 cos(k pi / (n + 1)).
  constexpr std::size_t kSize = 40;
  std::vector<double> matrix(kSize * kSize);
  for (std::size_t i = 0; i < kSize; ++i) {
    matrix[i * kSize + i] = 2;
    if (i + 1 < kSize) matrix[i * kSize + i + 1] = matrix[(i + 1) * kSize + i] = -1;
  }
  const auto eigen = EigenOfSymmetric(Square(matrix));

  for (std::size_t k = 0; k < kSize; ++k) {
    const double angle = static_cast<double>(kSize - k) * std::numbers::pi / (kSize + 1);
    EXPECT_NEAR(eigen->values[k], 2 - 2 * std::cos(angle), 1e-13);
  }
}

TEST(EigenOfSymmetricTest, VectorsAreOrthonormalAndGiveTheMatrixBack) {
  Random random(1);
  for (const std::size_t size : {1U, 2U, 3U, 17U, 60U}) {
    std::vector<double> matrix(size * size);
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        // Small whole numbers make equal eigenvalues and a rank that is not full likely.
        const double value = size == 17 ? static_cast<double>(random.Below(2)) : random.Normal();
        matrix[i * size + j] = matrix[j * size + i] = value;
      }
    }
    const auto eigen = EigenOfSymmetric(Square(matrix));
    ASSERT_TRUE(eigen.ok());
    for (std::size_t i = 0; i < size; ++i) {
      if (i > 0) {
        EXPECT_LE(eigen->values[i], eigen->values[i - 1]);
      }
      for (std::size_t j = 0; j < size; ++j) {
        double product = 0;
        double back = 0;
        for (std::size_t k = 0; k < size; ++k) {
          product += eigen->vectors[i * size + k] * eigen->vectors[j * size + k];
          back += eigen->values[k] * eigen->vectors[k * size + i] * eigen->vectors[k * size + j];
        }
        EXPECT_NEAR(product, i == j ? 1 : 0, 1e-12);
        EXPECT_NEAR(back, matrix[i * size + j], 1e-12);
      }
    }
  }
}

TEST(EigenOfSymmetricTest, LeavesTheZeroMatrixAlone) {
  const std::vector<double> matrix(9);
  const auto eigen = EigenOfSymmetric(Square(matrix));

  EXPECT_EQ(eigen->values, (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(eigen->vectors, (std::vector<double>{1, 0, 0, 0, 1, 0, 0, 0, 1}));
}

TEST(EigenOfSymmetricTest, RefusesWhatIsNotSymmetric) {
  const std::vector<double> skew = {1, 2, 3, 4};
  const std::vector<double> nan = {1, std::nan(""), 0, 1};
  const std::vector<double> large(513 * 513);

  EXPECT_EQ(EigenOfSymmetric(Square(skew)).error().message,
            "the matrix is not symmetric at row 1, column 0");
  EXPECT_EQ(EigenOfSymmetric(Square(nan)).error().message,
            "row 0, column 1 of the matrix is not a finite number");
  EXPECT_EQ(EigenOfSymmetric({skew, 1, 4}).error().message, "a matrix of 1 x 4 is not square");
  EXPECT_EQ(EigenOfSymmetric(Square(large)).error().message,
            "a matrix of 513 rows is above the limit of 512");
  EXPECT_FALSE(EigenOfSymmetric({}).ok());
}

}  // namespace
}  // namespace tidewheel::stats
