#include "tidewheel/labels/neighbour_agreement.h"

#include <algorithm>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tidewheel/base/random.h"

namespace tidewheel::labels {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::ElementsAre;

TEST(NeighbourAgreementTest, CloseNeighboursWeighMore) {
  // The second row's neighbours: one of its label at 1, one of another at 2.
  const std::vector<float> points{0, 1, 3};
  const std::vector<std::int32_t> labels{7, 7, 5};
  const auto agreement = NeighbourAgreement(points, 1, labels, 2).value();
  EXPECT_THAT(agreement, ElementsAre(DoubleNear(0.75, 1e-12), DoubleNear(2.0 / 3, 1e-12), 0.0));
}

TEST(NeighbourAgreementTest, RowsThatCoincideAreCountedAlike) {
  const std::vector<float> points{1, 1, 1, 1};
  const std::vector<std::int32_t> labels{0, 0, 1, 0};
  EXPECT_THAT(NeighbourAgreement(points, 1, labels, 9).value(),
              ElementsAre(DoubleNear(2.0 / 3, 1e-12), DoubleNear(2.0 / 3, 1e-12), 0.0,
                          DoubleNear(2.0 / 3, 1e-12)));
}

TEST(NeighbourAgreementTest, AWrongLabelInACloudAgreesLeast) {
  constexpr std::size_t kRows = 60;
  constexpr std::size_t kWidth = 4;
  Random random(3);
  std::vector<float> points;
  std::vector<std::int32_t> labels;
  for (std::size_t i = 0; i < kRows; ++i) {
    labels.push_back(static_cast<std::int32_t>(i % 3));
    for (std::size_t k = 0; k < kWidth; ++k) {
      const double center = k == i % 3 ? 8 : 0;
      points.push_back(static_cast<float>(center + random.Normal()));
    }
  }
  EXPECT_THAT(NeighbourAgreement(points, kWidth, labels, 9).value(), Each(1.0));
  labels[20] = 0;
  const auto agreement = NeighbourAgreement(points, kWidth, labels, 9).value();
  EXPECT_EQ(std::min_element(agreement.begin(), agreement.end()) - agreement.begin(), 20);
  EXPECT_EQ(agreement[20], 0);
}

TEST(NeighbourAgreementTest, WhatDoesNotFitIsNamed) {
  const std::vector<float> points{0, 1, 2, 3};
  const std::vector<std::int32_t> two{0, 1};
  EXPECT_TRUE(NeighbourAgreement(points, 2, two, 1).ok());
  EXPECT_THAT(NeighbourAgreement(points, 3, two, 1).error().message,
              ::testing::HasSubstr("4 numbers are not 2 rows of 3"));
  EXPECT_FALSE(NeighbourAgreement(points, 0, two, 1).ok());
  EXPECT_FALSE(NeighbourAgreement(points, 2, two, 0).ok());
  EXPECT_FALSE(NeighbourAgreement({}, 2, {}, 1).ok());
  const std::vector<float> odd{0, 1, 2, std::numeric_limits<float>::infinity()};
  EXPECT_FALSE(NeighbourAgreement(odd, 2, two, 1).ok());
}

}  // namespace
}  // namespace tidewheel::labels
