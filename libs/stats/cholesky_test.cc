#include "tidewheel/stats/cholesky.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

TEST(CholeskyTest, TheRootTimesItselfIsTheMatrixAndSolvesIt) {
  Random random(7);
  for (const std::size_t size : {1U, 2U, 5U, 17U}) {
    std::vector<double> mixed(size * size);
    for (double& number : mixed) number = random.Uniform() - 0.5;
    std::vector<double> matrix(size * size, 0);
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t j = 0; j < size; ++j) {
        for (std::size_t k = 0; k < size; ++k) {
          matrix[i * size + j] += mixed[i * size + k] * mixed[j * size + k];
        }
      }
      matrix[i * size + i] += 1;
    }
    std::vector<double> root = matrix;
    // What is above the diagonal is not looked at.
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t j = i + 1; j < size; ++j) {
        root[i * size + j] = std::numeric_limits<double>::quiet_NaN();
      }
    }
    ASSERT_TRUE(FactorCholesky(root, size));

    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        double product = 0;
        for (std::size_t k = 0; k <= j; ++k) product += root[i * size + k] * root[j * size + k];
        EXPECT_NEAR(product, matrix[i * size + j], 1e-12);
      }
    }
    std::vector<double> wanted(size);
    for (double& number : wanted) number = random.Uniform();
    std::vector<double> values(size, 0);
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t j = 0; j < size; ++j) values[i] += matrix[i * size + j] * wanted[j];
    }
    SolveCholesky(root, size, values);
    for (std::size_t i = 0; i < size; ++i) EXPECT_NEAR(values[i], wanted[i], 1e-10);
  }
}

TEST(CholeskyTest, RefusesWhatIsNotPositiveDefinite) {
  for (std::vector<double> matrix :
       {std::vector<double>{1, 0, 2, 1}, std::vector<double>{0, 0, 0, 1},
        std::vector<double>{1, 0, 1, 1}}) {
    EXPECT_FALSE(FactorCholesky(matrix, 2));
  }
}

}  // namespace
}  // namespace tidewheel::stats
