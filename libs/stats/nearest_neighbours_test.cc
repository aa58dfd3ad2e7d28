#include "tidewheel/stats/nearest_neighbours.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<float> RandomRows(Random& random, std::size_t rows, std::size_t columns, bool coarse) {
  std::vector<float> values(rows * columns);
  for (float& value : values) {
    // Coarse values make many ties.
    value = coarse ? static_cast<float>(random.Below(3)) : static_cast<float>(random.Normal());
  }
  return values;
}

double SquaredDistance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t c = 0; c < a.size(); ++c) {
    const double d = static_cast<double>(a[c]) - static_cast<double>(b[c]);
    sum += d * d;
  }
  return sum;
}

std::vector<std::uint32_t> Sorted(MatrixView<float> points, std::span<const float> query,
                                  std::int64_t without) {
  std::vector<std::uint32_t> order(points.rows);
  std::iota(order.begin(), order.end(), 0U);
  if (without >= 0) order.erase(order.begin() + without);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return SquaredDistance(points.Row(a), query) < SquaredDistance(points.Row(b), query);
  });
  return order;
}

TEST(NearestNeighboursTest, FindsTheNearestFirst) {
  const std::vector<double> points = {0, 0, 3, 4, 1, 0};
  const std::vector<double> query = {0, 0};

  const auto found = NearestNeighbours(MatrixView<double>{points, 3, 2},
                                       MatrixView<double>{query, 1, 2}, {.neighbours = 3});

  ASSERT_TRUE(found.ok());
  EXPECT_THAT(found->index, ElementsAre(0, 2, 1));
  EXPECT_THAT(found->squared_distance, ElementsAre(0, 1, 25));
}

TEST(NearestNeighboursTest, EqualDistancesComeInTheOrderOfTheirIndex) {
  const std::vector<double> points = {1, -1, 1, 0, -1};

  const auto found = NearestOthers(MatrixView<double>{points, 5, 1}, {.neighbours = 4});

  ASSERT_TRUE(found.ok());
  EXPECT_THAT(std::vector(found->index.begin() + 12, found->index.begin() + 16),
              ElementsAre(0, 1, 2, 4));
  EXPECT_EQ(found->index[0], 2U);  // An equal row is the nearest other row.
}

TEST(NearestNeighboursTest, AgreesWithSortingEveryPairOnManyShapes) {
  Random random(7);
  for (int round = 0; round < 60; ++round) {
    const std::size_t rows = 2 + random.Below(300);
    const std::size_t columns = 1 + random.Below(round % 10 == 0 ? 700 : 12);
    const std::size_t asked = 1 + random.Below(20);
    const std::size_t k = 1 + random.Below(std::min<std::size_t>(rows - 1, 17));
    const auto values = RandomRows(random, rows, columns, round % 2 == 0);
    const auto asking = RandomRows(random, asked, columns, round % 2 == 0);
    const MatrixView<float> points{values, rows, columns};
    const MatrixView<float> queries{asking, asked, columns};

    const auto found = NearestNeighbours(points, queries, {.neighbours = k});
    const auto others = NearestOthers(points, {.neighbours = k});

    ASSERT_TRUE(found.ok() && others.ok());
    for (std::size_t q = 0; q < asked; ++q) {
      const auto expected = Sorted(points, queries.Row(q), -1);
      for (std::size_t i = 0; i < k; ++i) {
        ASSERT_EQ(found->index[q * k + i], expected[i]) << rows << " x " << columns;
        ASSERT_EQ(found->squared_distance[q * k + i],
                  SquaredDistance(points.Row(expected[i]), queries.Row(q)));
      }
    }
    for (std::size_t q = 0; q < std::min<std::size_t>(rows, 20); ++q) {
      const auto expected = Sorted(points, points.Row(q), static_cast<std::int64_t>(q));
      for (std::size_t i = 0; i < k; ++i) ASSERT_EQ(others->index[q * k + i], expected[i]);
    }
  }
}

TEST(NearestNeighboursTest, AnswerDoesNotDependOnTheThreads) {
  Random random(3);
  const auto values = RandomRows(random, 1500, 5, true);
  const MatrixView<float> points{values, 1500, 5};

  const auto one = NearestOthers(points, {.neighbours = 7});
  const auto three = NearestOthers(points, {.neighbours = 7, .threads = 3});

  ASSERT_TRUE(one.ok() && three.ok());
  EXPECT_EQ(one->index, three->index);
  EXPECT_EQ(one->squared_distance, three->squared_distance);
}

TEST(NearestNeighboursTest, CountsWhatLiesWithinTheRadiusItFound) {
  Random random(5);
  for (const bool coarse : {true, false}) {
    const auto values = RandomRows(random, 400, 4, coarse);
    const MatrixView<float> points{values, 400, 4};
    const auto found = NearestNeighbours(points, points, {.neighbours = 9});
    ASSERT_TRUE(found.ok());
    std::vector<double> radius(400);
    for (std::size_t q = 0; q < 400; ++q) radius[q] = found->squared_distance[q * 9 + 8];

    const auto counts = CountWithin(points, points, radius);

    ASSERT_TRUE(counts.ok());
    for (std::size_t q = 0; q < 400; ++q) {
      std::uint64_t expected = 0;
      for (std::size_t p = 0; p < 400; ++p) {
        expected += SquaredDistance(points.Row(p), points.Row(q)) <= radius[q] ? 1 : 0;
      }
      ASSERT_EQ((*counts)[q], expected);
      ASSERT_GE((*counts)[q], 9U);
    }
  }
}

TEST(NearestNeighboursTest, RefusesWhatHasNoDistance) {
  const std::vector<double> good = {1, 2, 3, 4};
  const std::vector<double> bad = {1, 2, std::numeric_limits<double>::quiet_NaN(), 4};
  const std::vector<double> huge = {1, 2, 3, 1e200};
  const MatrixView<double> two{good, 2, 2};

  const auto message = [](const auto& result) { return result.ok() ? "" : result.error().message; };
  EXPECT_THAT(message(NearestNeighbours(MatrixView<double>{bad, 2, 2}, two, {.neighbours = 1})),
              HasSubstr("points: row 1, column 0"));
  EXPECT_THAT(message(NearestNeighbours(two, MatrixView<double>{huge, 2, 2}, {.neighbours = 1})),
              HasSubstr("queries: row 1, column 1"));
  EXPECT_THAT(message(NearestNeighbours(MatrixView<double>{good, 3, 2}, two, {.neighbours = 1})),
              HasSubstr("4 values are not 3 rows of 2"));
  EXPECT_THAT(message(NearestNeighbours(two, MatrixView<double>{good, 4, 1}, {.neighbours = 1})),
              HasSubstr("2 columns"));
  EXPECT_THAT(message(NearestNeighbours(MatrixView<double>{}, two, {.neighbours = 1})),
              HasSubstr("no points"));
  EXPECT_THAT(message(NearestOthers(two, {.neighbours = 1, .threads = 0})), HasSubstr("threads"));
  const auto few = NearestOthers(two, {.neighbours = 2});
  ASSERT_FALSE(few.ok());
  EXPECT_EQ(few.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(few.error().message, HasSubstr("2 neighbours cannot be found among 1 other points"));
  EXPECT_FALSE(NearestOthers(two, {.neighbours = 0}).ok());
  const std::vector<double> radius = {1, -1};
  EXPECT_THAT(message(CountWithin(two, two, radius)), HasSubstr("row 1"));
}

}  // namespace
}  // namespace tidewheel::stats
