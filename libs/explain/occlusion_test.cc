#include "tidewheel/explain/occlusion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tidewheel::explain {
namespace {

using testing::HasSubstr;

/// Answers with the value of one pixel of the first channel.
AnswerRows PixelOf(std::size_t columns, std::size_t pixel) {
  return [columns, pixel](std::span<const float> rows, std::size_t count,
                          std::span<double> answers) -> Result<void> {
    for (std::size_t i = 0; i < count; ++i) {
      answers[i] = static_cast<double>(rows[i * columns + pixel]);
    }
    return {};
  };
}

TEST(OcclusionTest, FindsThePlaceThatTheAnswerComesFrom) {
  std::vector<float> values(2 * 9 * 11, 0.5F);
  values[4 * 11 + 6] = 1;
  const Planes picture{values, 2, 9, 11};
  const auto explained = ExplainByOcclusion(picture, PixelOf(values.size(), 4 * 11 + 6),
                                            {.patch = 3, .stride = 1}, {.batch = 8});
  ASSERT_TRUE(explained.ok()) << explained.error().message;
  EXPECT_TRUE(explained->complete);
  EXPECT_EQ(explained->squares, 7U * 9U);
  EXPECT_DOUBLE_EQ(explained->answer, 1);
  EXPECT_DOUBLE_EQ(explained->highest_drop, 1);
  // Every square over the pixel covers it; of those over its neighbour two of three.
  EXPECT_DOUBLE_EQ(explained->drop[4 * 11 + 6], 1);
  EXPECT_NEAR(explained->drop[4 * 11 + 7], 2.0 / 3, 1e-12);
  EXPECT_DOUBLE_EQ(explained->drop[0], 0);
}

TEST(OcclusionTest, SquaresReachTheEdgesWhateverTheStride) {
  const std::vector<float> values(7 * 8, 1);
  const auto explained =
      ExplainByOcclusion({values, 1, 7, 8}, PixelOf(56, 55), {.patch = 3, .stride = 3}, {});
  ASSERT_TRUE(explained.ok());
  EXPECT_EQ(explained->possible, 9U);
  for (const double drop : explained->drop) EXPECT_TRUE(std::isfinite(drop));
  EXPECT_DOUBLE_EQ(explained->drop[55], 1);
}

TEST(OcclusionTest, ABudgetThatEndsEarlyLeavesSquaresAllOverThePicture) {
  const std::vector<float> values(32 * 32, 1);
  std::size_t asked = 0;
  std::stop_source unused;
  Budget budget{.batch = 4};
  const AnswerRows model = [&](std::span<const float>, std::size_t count,
                               std::span<double> answers) -> Result<void> {
    asked += count;
    for (double& answer : answers) answer = 1;
    if (asked > 12) budget.deadline = std::chrono::steady_clock::now();
    return {};
  };
  const auto explained =
      ExplainByOcclusion({values, 1, 32, 32}, model, {.patch = 4, .stride = 4}, budget);
  ASSERT_TRUE(explained.ok());
  EXPECT_FALSE(explained->complete);
  EXPECT_EQ(explained->squares, 12U);
  EXPECT_EQ(explained->possible, 64U);
  // Of the four quarters of the picture each has a part that was covered.
  for (const std::size_t top : {0U, 16U}) {
    for (const std::size_t left : {0U, 16U}) {
      std::size_t covered = 0;
      for (std::size_t y = top; y < top + 16; ++y) {
        for (std::size_t x = left; x < left + 16; ++x) {
          covered += std::isfinite(explained->drop[y * 32 + x]) ? 1 : 0;
        }
      }
      EXPECT_GT(covered, 0U) << top << " " << left;
    }
  }
}

TEST(OcclusionTest, NamesWhatIsWrong) {
  const std::vector<float> values(16, 1);
  const Planes picture{values, 1, 4, 4};
  EXPECT_THAT(ExplainByOcclusion(picture, PixelOf(16, 0), {.patch = 5}, {}).error().message,
              HasSubstr("4 x 4"));
  EXPECT_THAT(
      ExplainByOcclusion(picture, PixelOf(16, 0), {.patch = 2, .stride = 3}, {}).error().message,
      HasSubstr("not 3"));
  EXPECT_THAT(ExplainByOcclusion({values, 1, 3, 4}, PixelOf(16, 0), {}, {}).error().message,
              HasSubstr("16 values"));
  const auto late = ExplainByOcclusion(picture, PixelOf(16, 0), {.patch = 2, .stride = 2},
                                       {.deadline = std::chrono::steady_clock::now()});
  EXPECT_EQ(late.error().code, ErrorCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace tidewheel::explain
