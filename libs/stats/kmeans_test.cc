#include "tidewheel/stats/kmeans.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(KMeansTest, FindsGroupsThatLieApartLargestFirst) {
  Random random(2);
  std::vector<float> values;
  for (int i = 0; i < 300; ++i) {
    const float centre = i % 6 == 0 ? 0.0F : i % 3 == 0 ? 50.0F : 100.0F;  // 50, 50 and 200 rows.
    values.push_back(centre + static_cast<float>(random.Normal()));
    values.push_back(centre - static_cast<float>(random.Normal()));
  }

  const auto means = ClusterRows(MatrixView<float>{values, 300, 2}, {.clusters = 3});

  ASSERT_TRUE(means.ok());
  EXPECT_THAT(means->sizes, ElementsAre(200, 50, 50));
  EXPECT_EQ(means->assignment[0], 1U);  // Of two equally large the one with the first row.
  EXPECT_EQ(means->assignment[3], 2U);
  EXPECT_NEAR(means->centroids[0], 100, 0.5);
  EXPECT_LT(means->inertia, 300 * 2 * 1.3);
}

TEST(KMeansTest, EveryRowIsWithItsNearestCentroidAndEveryCentroidIsAMean) {
  Random random(11);
  for (int round = 0; round < 25; ++round) {
    const std::size_t rows = 30 + random.Below(200);
    const std::size_t columns = 1 + random.Below(6);
    const std::size_t clusters = 1 + random.Below(9);
    std::vector<double> values(rows * columns);
    for (double& value : values) value = random.Normal();
    const MatrixView<double> view{values, rows, columns};

    const auto means = ClusterRows(
        view, {.clusters = clusters, .rounds = 1000, .tolerance = 0, .seed = random.Next()});

    ASSERT_TRUE(means.ok());
    const auto again = AssignToClusters(*means, view);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(means->assignment, *again);
    double inertia = 0;
    std::vector<double> sums(clusters * columns, 0);
    std::vector<std::uint64_t> sizes(clusters, 0);
    for (std::size_t row = 0; row < rows; ++row) {
      const std::size_t cluster = means->assignment[row];
      ++sizes[cluster];
      for (std::size_t c = 0; c < columns; ++c) {
        sums[cluster * columns + c] += view.Row(row)[c];
        inertia += std::pow(view.Row(row)[c] - means->centroids[cluster * columns + c], 2);
      }
    }
    EXPECT_EQ(sizes, means->sizes);
    EXPECT_NEAR(inertia, means->inertia, 1e-9 * inertia + 1e-12);
    for (std::size_t cluster = 0; cluster < clusters; ++cluster) {
      ASSERT_GT(sizes[cluster], 0U);
      for (std::size_t c = 0; c < columns; ++c) {
        EXPECT_NEAR(sums[cluster * columns + c] / static_cast<double>(sizes[cluster]),
                    means->centroids[cluster * columns + c], 1e-9);
      }
    }
  }
}

TEST(KMeansTest, OneClusterIsTheMeanAndItsInertiaTheVariance) {
  const std::vector<double> values = {1, 2, 3, 6};

  const auto means = ClusterRows(MatrixView<double>{values, 4, 1}, {.clusters = 1});

  ASSERT_TRUE(means.ok());
  EXPECT_DOUBLE_EQ(means->centroids[0], 3);
  EXPECT_DOUBLE_EQ(means->inertia, 4 + 1 + 0 + 9);
}

TEST(KMeansTest, TheSameSeedGivesTheSameClustersWhateverTheThreads) {
  Random random(4);
  std::vector<float> values(3000);
  for (float& value : values) value = static_cast<float>(random.Normal());
  const MatrixView<float> rows{values, 1000, 3};

  const auto one = ClusterRows(rows, {.clusters = 7, .seed = 5});
  const auto two = ClusterRows(rows, {.clusters = 7, .seed = 5, .threads = 2});

  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_EQ(one->assignment, two->assignment);
  EXPECT_EQ(one->centroids, two->centroids);
}

TEST(KMeansTest, AsManyClustersAsDifferentRowsLeaveNothingOver) {
  const std::vector<double> values = {5, 1, 5, 9, 1, 5};

  const auto means = ClusterRows(MatrixView<double>{values, 6, 1}, {.clusters = 3});

  ASSERT_TRUE(means.ok());
  EXPECT_EQ(means->inertia, 0);
  EXPECT_THAT(means->assignment, ElementsAre(0, 1, 0, 2, 1, 0));
}

TEST(KMeansTest, RefusesTooFewDifferentRowsAndWhatIsNoNumber) {
  const std::vector<double> same = {5, 1, 5, 5, 1, 5};
  const auto few = ClusterRows(MatrixView<double>{same, 6, 1}, {.clusters = 3});
  ASSERT_FALSE(few.ok());
  EXPECT_EQ(few.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(few.error().message, HasSubstr("only 2 different rows for 3 clusters"));
  EXPECT_EQ(ClusterRows(MatrixView<double>{same, 6, 1}, {.clusters = 7}).error().code,
            ErrorCode::kFailedPrecondition);

  const std::vector<double> bad = {5, std::numeric_limits<double>::infinity(), 1, 2};
  const auto infinite = ClusterRows(MatrixView<double>{bad, 2, 2}, {.clusters = 2});
  ASSERT_FALSE(infinite.ok());
  EXPECT_THAT(infinite.error().message, HasSubstr("row 0, column 1"));
  EXPECT_FALSE(ClusterRows(MatrixView<double>{same, 5, 1}, {.clusters = 1}).ok());
  EXPECT_FALSE(ClusterRows(MatrixView<double>{}, {.clusters = 1}).ok());
  EXPECT_FALSE(ClusterRows(MatrixView<double>{same, 6, 1}, {.clusters = 0}).ok());
  EXPECT_FALSE(ClusterRows(MatrixView<double>{same, 6, 1}, {.clusters = 1, .rounds = 0}).ok());
  EXPECT_FALSE(ClusterRows(MatrixView<double>{same, 6, 1}, {.clusters = 1, .tolerance = -1}).ok());
}

}  // namespace
}  // namespace tidewheel::stats
