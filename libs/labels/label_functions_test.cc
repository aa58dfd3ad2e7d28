#include "tidewheel/labels/label_functions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace tidewheel::labels {
namespace {

using Matrix = std::vector<std::int32_t>;

FunctionVotes View(const Matrix& votes, std::size_t functions, std::size_t classes) {
  return {{votes, votes.size() / functions, functions}, classes};
}

TEST(SummarizeFunctionsTest, CountsByHand) {
  const Matrix votes = {0,  0,  -1,   // Two agree.
                        0,  1,  -1,   // Two differ.
                        -1, 1,  -1,   // One alone.
                        -1, -1, -1};  // Nobody.
  const std::vector<std::int32_t> gold = {0, 0, 1, kAbstain};

  const auto summary = SummarizeFunctions(View(votes, 3, 3), gold);

  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(summary->coverage, 0.75);
  EXPECT_EQ(summary->overlap, 0.5);
  EXPECT_EQ(summary->conflict, 0.25);
  const FunctionSummary& second = summary->functions[1];
  EXPECT_EQ(second.votes, 3U);
  EXPECT_EQ(second.coverage, 0.75);
  EXPECT_EQ(second.overlap, 0.5);
  EXPECT_EQ(second.conflict, 0.25);
  EXPECT_EQ(second.polarity, (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(second.judged, 3U);
  EXPECT_EQ(second.right, 2U);
  EXPECT_NEAR(*second.accuracy, 2.0 / 3, 1e-15);
  EXPECT_NEAR(second.accuracy_interval.low, 0.2077, 5e-5);  // Wilson 2/3.
  EXPECT_NEAR(second.accuracy_interval.high, 0.9385, 5e-5);
  const FunctionSummary& silent = summary->functions[2];
  EXPECT_EQ(silent.coverage, 0);
  EXPECT_TRUE(silent.polarity.empty());
  EXPECT_FALSE(silent.accuracy.has_value());
}

TEST(SummarizeFunctionsTest, NeedsNoGold) {
  const Matrix votes = {0, 1, 1, 1};

  const auto summary = SummarizeFunctions(View(votes, 2, 2));

  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(summary->functions[0].judged, 0U);
  EXPECT_FALSE(summary->functions[0].accuracy.has_value());
}

TEST(SummarizeFunctionsTest, NamesWhatItCannotUse) {
  const auto message = [](const FunctionVotes& votes, const std::vector<std::int32_t>& gold = {},
                          double confidence = 0.95) {
    const auto summary = SummarizeFunctions(votes, gold, confidence);
    return summary.ok() ? std::string() : summary.error().message;
  };
  const Matrix good = {0, 1, -1, 0};
  ASSERT_EQ(message(View(good, 2, 2)), "");
  EXPECT_NE(message({}), "");
  EXPECT_NE(message({{good, 3, 2}, 2}).find("do not fit"), std::string::npos);
  EXPECT_NE(message(View(good, 2, 1)).find("at least two"), std::string::npos);
  const Matrix wild = {0, 1, -2, 0};
  EXPECT_NE(message(View(wild, 2, 2)).find("row 1, function 0"), std::string::npos);
  const Matrix high = {0, 1, 1, 2};
  EXPECT_NE(message(View(high, 2, 2)).find("row 1, function 1"), std::string::npos);
  const Matrix mute = {-1, -1};
  EXPECT_NE(message(View(mute, 2, 2)).find("no function votes"), std::string::npos);
  EXPECT_NE(message(View(good, 2, 2), {0}).find("1 for 2 rows"), std::string::npos);
  EXPECT_NE(message(View(good, 2, 2), {0, 5}).find("row 1"), std::string::npos);
  EXPECT_NE(message(View(good, 2, 2), {0, 1}, 1).find("confidence"), std::string::npos);
  EXPECT_NE(message(View(good, 2, 2), {0, 1}, std::nan("")).find("confidence"), std::string::npos);
}

}  // namespace
}  // namespace tidewheel::labels
