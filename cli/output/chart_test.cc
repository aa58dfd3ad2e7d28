#include "tidewheel/cli/output/chart.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tidewheel/cli/output/table.h"

namespace tidewheel::cli {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines(1);
  for (const char c : text) {
    if (c == '\n') {
      lines.emplace_back();
    } else {
      lines.back() += c;
    }
  }
  lines.pop_back();  // After the last line end.
  return lines;
}

TEST(ChartTest, BarsAreAsLongAsTheirValues) {
  const std::vector<Bar> bars = {{"red", 4, "4"}, {"blue", 2, "2"}, {"none", 0, "0"}};

  EXPECT_EQ(BarChart(bars, 4), "red   ████  4\nblue  ██    2\nnone        0\n");
}

TEST(ChartTest, ASmallBarIsSeenAndWhatIsNoNumberIsNot) {
  const std::vector<Bar> bars = {{"a", 1e6, ""}, {"b", 1, ""}, {"c", kNone, ""}, {"d", -3, ""}};

  EXPECT_EQ(Lines(BarChart(bars, 10)),
            (std::vector<std::string>{"a  ██████████", "b  ▏", "c  ", "d  "}));
}

TEST(ChartTest, ASparklineHasAColumnAValue) {
  const std::vector<double> values = {0, 1, 4, 8, kNone};

  EXPECT_EQ(Sparkline(values), " ▁▄█ ");
  EXPECT_EQ(Sparkline(values, 16), " ▁▂▄ ");
  EXPECT_EQ(Sparkline({}), "");
}

TEST(ChartTest, ALineStandsAtTheHeightOfItsValues) {
  const std::vector<double> values = {0, 1, kNone, 0.5};

  const auto lines = Lines(LineChart(values, {.height = 2, .marks = {1}}));

  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], "1 │ █ ▁");
  EXPECT_EQ(lines[1], "0 │▁   ");
  EXPECT_EQ(lines[2], "    ▲  ");
}

TEST(ChartTest, MoreValuesThanColumnsAreAveraged) {
  std::vector<double> values(1'000, 0);
  std::fill(values.begin() + 500, values.end(), 1.0);

  const auto lines = Lines(LineChart(values, {.width = 10, .height = 1}));

  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0], "1 │▁▁▁▁▁█████");
}

TEST(ChartTest, LimitsAreDottedAndBelongToTheAxis) {
  const std::vector<double> values = {1, 1};

  const auto lines = Lines(LineChart(values, {.height = 3, .limits = {0, 3}}));

  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], "3 │··");
  EXPECT_EQ(lines[2], "0 │··");
}

TEST(ChartTest, NothingToDrawDrawsNothing) {
  const std::vector<double> nothing = {kNone, kNone};

  EXPECT_EQ(LineChart({}, {}), "");
  EXPECT_EQ(LineChart(nothing, {}), "");
  EXPECT_EQ(BarChart({}, 10), "");
}

TEST(ChartTest, ALevelLineIsDrawnInTheMiddle) {
  const std::vector<double> values(5, 7.0);

  const auto lines = Lines(LineChart(values, {.height = 4}));

  EXPECT_EQ(std::count_if(
                lines.begin(), lines.end(),
                [](const std::string& line) { return line.find("▁▁▁▁▁") != std::string::npos; }),
            1);
}

}  // namespace
}  // namespace tidewheel::cli
