#include "tidewheel/stats/thin_spots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<float> Rows(Random& random, std::size_t rows, std::size_t columns, float centre) {
  std::vector<float> values(rows * columns);
  for (float& value : values) value = centre + static_cast<float>(random.Normal());
  return values;
}

TEST(ThinSpotsTest, FindsTheRegionThatTrainingLacks) {
  Random random(1);
  const auto training = Rows(random, 2000, 8, 0);
  auto production = Rows(random, 800, 8, 0);
  const auto strange = Rows(random, 60, 8, 6);  // Rows 800 to 859.
  production.insert(production.end(), strange.begin(), strange.end());

  const auto report =
      FindThinSpots(MatrixView<float>{training, 2000, 8}, MatrixView<float>{production, 860, 8});

  ASSERT_TRUE(report.ok());
  ASSERT_FALSE(report->spots.empty());
  EXPECT_NEAR(static_cast<double>(report->thin_rows), 60, 5);
  for (const ThinSpot& spot : report->spots) {
    EXPECT_GE(spot.centre, 800U);
    EXPECT_EQ(spot.training_rows, 0U);
    EXPECT_EQ(spot.production_rows, 21U);
    EXPECT_GT(spot.density_ratio, 40);
    EXPECT_EQ(spot.representatives.size(), 5U);
    EXPECT_EQ(spot.representatives[0], spot.centre);
  }
}

TEST(ThinSpotsTest, WhereBothAreDrawnAlikeNothingIsThin) {
  Random random(2);
  int reports = 0;
  for (int round = 0; round < 60; ++round) {
    // Whatever the dimension and the sizes.
    const std::size_t columns = 1 + random.Below(20);
    const std::size_t training_rows = 100 + random.Below(400);
    const std::size_t production_rows = 100 + random.Below(400);
    const auto training = Rows(random, training_rows, columns, 0);
    const auto production = Rows(random, production_rows, columns, 0);

    const auto report = FindThinSpots(MatrixView<float>{training, training_rows, columns},
                                      MatrixView<float>{production, production_rows, columns},
                                      {.neighbours = 1 + random.Below(25)});

    ASSERT_TRUE(report.ok());
    reports += report->spots.empty() ? 0 : 1;
  }
  EXPECT_LE(reports, 7);  // 5 % of 60, and 2.5 deviations.
}

TEST(ThinSpotsTest, AMissingNeighbourhoodOnALineHasItsExactProbability) {
  // Production 0..9 without training near: of 9 others and 10 training rows, the 9 nearest are all
  // production with probability 1 / C(19, 9).
  std::vector<double> training, production;
  for (int i = 0; i < 10; ++i) {
    production.push_back(i);
    training.push_back(1000 + i);
  }

  const auto report = FindThinSpots(MatrixView<double>{training, 10, 1},
                                    MatrixView<double>{production, 10, 1}, {.neighbours = 9});

  ASSERT_TRUE(report.ok());
  for (const double p : report->adjusted_p) EXPECT_NEAR(p * 92'378, 1, 1e-9);
  EXPECT_EQ(report->thin_rows, 10U);
  ASSERT_EQ(report->spots.size(), 1U);
  EXPECT_TRUE(report->spots[0].centre == 4 || report->spots[0].centre == 5);
  EXPECT_EQ(report->spots[0].centre, 4U);  // Of equal neighbourhoods that of the first row.
  EXPECT_EQ(report->spots[0].thin_rows, 10U);
  EXPECT_DOUBLE_EQ(report->spots[0].radius, 5);
  EXPECT_DOUBLE_EQ(report->spots[0].expected_training_rows, 9);
  EXPECT_DOUBLE_EQ(report->spots[0].density_ratio, 10);
}

TEST(ThinSpotsTest, DoesNotDependOnScaleShiftOrThreads) {
  Random random(3);
  auto training = Rows(random, 400, 3, 0);
  auto production = Rows(random, 300, 3, 0.8F);
  const MatrixView<float> t{training, 400, 3};
  const MatrixView<float> p{production, 300, 3};

  const auto before = FindThinSpots(t, p);
  const auto threads = FindThinSpots(t, p, {.threads = 3});
  for (auto* values : {&training, &production}) {
    for (float& value : *values) value *= 4;  // Exact in floating point.
  }
  const auto after = FindThinSpots(t, p);

  ASSERT_TRUE(before.ok() && after.ok() && threads.ok());
  EXPECT_EQ(before->density_ratio, after->density_ratio);
  EXPECT_EQ(before->adjusted_p, after->adjusted_p);
  EXPECT_EQ(before->density_ratio, threads->density_ratio);
  ASSERT_EQ(before->spots.size(), after->spots.size());
  EXPECT_GT(before->spots.size(), 0U);
  std::set<std::uint32_t> centres;
  for (const ThinSpot& spot : before->spots) centres.insert(spot.centre);
  EXPECT_EQ(centres.size(), before->spots.size());
}

TEST(ThinSpotsTest, NamesAtMostTheSpotsAndRowsAskedFor) {
  Random random(4);
  const auto training = Rows(random, 300, 2, 50);
  const auto production = Rows(random, 300, 2, 0);

  const auto report =
      FindThinSpots(MatrixView<float>{training, 300, 2}, MatrixView<float>{production, 300, 2},
                    {.neighbours = 10, .spots = 3, .representatives = 2});

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->thin_rows, 300U);
  ASSERT_EQ(report->spots.size(), 3U);
  for (const ThinSpot& spot : report->spots) EXPECT_EQ(spot.representatives.size(), 2U);
}

TEST(ThinSpotsTest, RefusesWhatHasNoNeighbourhood) {
  std::vector<float> rows(60, 1);
  const MatrixView<float> thirty{rows, 30, 2};
  const auto message = [](const auto& result) { return result.ok() ? "" : result.error().message; };

  EXPECT_EQ(FindThinSpots(thirty, MatrixView<float>{rows, 30, 2}, {.neighbours = 30}).error().code,
            ErrorCode::kFailedPrecondition);
  EXPECT_THAT(message(FindThinSpots(MatrixView<float>{}, thirty)), HasSubstr("training: "));
  EXPECT_FALSE(FindThinSpots(MatrixView<float>{rows, 60, 1}, thirty).ok());
  EXPECT_FALSE(FindThinSpots(thirty, thirty, {.false_discovery_rate = 0}).ok());
  EXPECT_FALSE(FindThinSpots(thirty, thirty, {.threads = 0}).ok());
  // All alike: every training row is within a radius of 0.
  ASSERT_TRUE(FindThinSpots(thirty, thirty).ok());
  EXPECT_THAT(FindThinSpots(thirty, thirty)->spots, IsEmpty());
  std::vector<float> bad = rows;
  bad[7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(message(FindThinSpots(thirty, MatrixView<float>{bad, 30, 2})),
              HasSubstr("production: points: row 3, column 1"));
  EXPECT_THAT(message(FindThinSpots(MatrixView<float>{bad, 30, 2}, thirty)),
              HasSubstr("training: points: row 3, column 1"));
}

}  // namespace
}  // namespace tidewheel::stats
