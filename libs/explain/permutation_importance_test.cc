#include "tidewheel/explain/permutation_importance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tidewheel/base/random.h"

namespace tidewheel::explain {
namespace {

using testing::HasSubstr;

std::vector<float> Rows(std::size_t count, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> rows(count * 3);
  for (float& value : rows) value = static_cast<float>(random.Normal());
  return rows;
}

/// How often the sign of 2 a + b is that of the unchanged rows.
ScoreRows Accuracy(std::vector<float> truth_rows) {
  return [truth = std::move(truth_rows)](MatrixView<float> rows) -> Result<double> {
    const auto is_above = [](std::span<const float> row) { return 2 * row[0] + row[1] > 0; };
    double right = 0;
    for (std::size_t i = 0; i < rows.rows; ++i) {
      right += is_above(rows.Row(i)) == is_above(std::span(truth).subspan(i * 3, 3)) ? 1 : 0;
    }
    return right / static_cast<double>(rows.rows);
  };
}

TEST(PermutationImportanceTest, OrdersColumnsByWhatTheModelTakesFromThem) {
  const auto rows = Rows(2'000, 1);
  const auto found = ImportanceByPermutation({rows, 2'000, 3}, Accuracy(rows), {}, {});
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->score, 1);
  ASSERT_EQ(found->columns.size(), 3U);
  EXPECT_EQ(found->columns[0].column, 0U);
  EXPECT_EQ(found->columns[1].column, 1U);
  EXPECT_EQ(found->columns[2].column, 2U);
  EXPECT_EQ(found->columns[2].drop, 0);
  // Independent normal numbers: the angle between (2, 1) before and after gives the share that
  // turns, acos of the correlation 1/5 and 4/5, over pi.
  EXPECT_NEAR(found->columns[0].drop, std::acos(0.2) / M_PI, 0.02);
  EXPECT_NEAR(found->columns[1].drop, std::acos(0.8) / M_PI, 0.02);
  EXPECT_GT(found->columns[0].standard_error, 0);
  EXPECT_EQ(found->columns[0].repeats, 10U);
}

TEST(PermutationImportanceTest, ABudgetThatEndsEarlyCostsRepeatsNotColumns) {
  const auto rows = Rows(50, 2);
  Budget budget;
  int asked = 0;
  const ScoreRows score = [&](MatrixView<float>) -> Result<double> {
    if (++asked == 1 + 3 * 4 + 1) budget.deadline = std::chrono::steady_clock::now();
    return 1.0;
  };
  const auto found = ImportanceByPermutation({rows, 50, 3}, score, {}, budget);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_FALSE(found->complete);
  std::size_t repeats = 0;
  for (const auto& each : found->columns) {
    EXPECT_GE(each.repeats, 4U);
    repeats += each.repeats;
  }
  EXPECT_EQ(repeats, 13U);
}

TEST(PermutationImportanceTest, NamesWhatIsWrong) {
  const auto rows = Rows(4, 3);
  const auto score = Accuracy(rows);
  EXPECT_THAT(ImportanceByPermutation({rows, 3, 3}, score, {}, {}).error().message,
              HasSubstr("shape"));
  EXPECT_THAT(ImportanceByPermutation({rows, 4, 3}, score, {.repeats = 1}, {}).error().message,
              HasSubstr("2 repeats"));
  const auto late = ImportanceByPermutation({rows, 4, 3}, score, {},
                                            {.deadline = std::chrono::steady_clock::now()});
  EXPECT_EQ(late.error().code, ErrorCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace tidewheel::explain
