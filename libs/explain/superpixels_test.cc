#include "tidewheel/explain/superpixels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tidewheel/base/random.h"

namespace tidewheel::explain {
namespace {

using testing::HasSubstr;

/// How many connected pieces a region falls into.
std::size_t Pieces(const Superpixels& found, std::size_t height, std::size_t width,
                   std::uint32_t region) {
  std::set<std::size_t> left;
  for (std::size_t i = 0; i < height * width; ++i) {
    if (found.region[i] == region) left.insert(i);
  }
  std::size_t pieces = 0;
  while (!left.empty()) {
    ++pieces;
    std::vector<std::size_t> stack = {*left.begin()};
    left.erase(left.begin());
    while (!stack.empty()) {
      const std::size_t at = stack.back();
      stack.pop_back();
      const auto visit = [&](bool inside, std::size_t next) {
        if (inside && left.erase(next) > 0) stack.push_back(next);
      };
      visit(at % width > 0, at - 1);
      visit(at % width + 1 < width, at + 1);
      visit(at >= width, at - width);
      visit(at + width < height * width, at + width);
    }
  }
  return pieces;
}

TEST(SuperpixelsTest, FollowsTheEdgeBetweenTwoHalves) {
  constexpr std::size_t kHeight = 24;
  constexpr std::size_t kWidth = 31;
  std::vector<float> values(kHeight * kWidth);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = i % kWidth < 13 ? 10 : 200;
  const auto found = FindSuperpixels({values, 1, kHeight, kWidth}, {.wanted = 20});
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_GE(found->count, 10U);
  EXPECT_LE(found->count, 40U);
  std::set<std::uint32_t> left;
  std::set<std::uint32_t> right;
  for (std::size_t i = 0; i < values.size(); ++i) {
    (i % kWidth < 13 ? left : right).insert(found->region[i]);
  }
  for (const std::uint32_t region : left) EXPECT_EQ(right.count(region), 0U) << region;
}

TEST(SuperpixelsTest, RegionsAreConnectedCoverAllAndAreCountedRight) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    const std::size_t height = 1 + random.Below(40);
    const std::size_t width = 1 + random.Below(40);
    const std::size_t channels = 1 + random.Below(3);
    std::vector<float> values(channels * height * width);
    for (float& value : values) value = static_cast<float>(random.Uniform());
    const auto found = FindSuperpixels({values, channels, height, width},
                                       {.wanted = 1 + random.Below(height * width)});
    ASSERT_TRUE(found.ok()) << found.error().message;
    std::set<std::uint32_t> names(found->region.begin(), found->region.end());
    ASSERT_EQ(names.size(), found->count) << "seed " << seed;
    ASSERT_EQ(*names.rbegin(), found->count - 1);
    for (const std::uint32_t region : names) {
      ASSERT_EQ(Pieces(*found, height, width, region), 1U) << "seed " << seed;
    }
  }
}

TEST(SuperpixelsTest, HiddenRegionsShowTheirMean) {
  const std::vector<float> values = {1, 3, 10, 20, 5, 7, 30, 30};
  const Planes picture{values, 2, 1, 4};
  const Superpixels regions{2, {0, 0, 1, 1}};
  const auto means = RegionMeans(picture, regions);
  EXPECT_THAT(means, testing::ElementsAre(2, 15, 6, 30));
  std::vector<float> out(values.size());
  HideRegions(picture, regions, means, std::vector<std::uint8_t>{0, 1}, out);
  EXPECT_THAT(out, testing::ElementsAre(2, 2, 10, 20, 6, 6, 30, 30));
}

TEST(SuperpixelsTest, NamesWhatIsWrong) {
  const std::vector<float> values(12, 1);
  EXPECT_THAT(FindSuperpixels({values, 1, 3, 5}).error().message, HasSubstr("12 values"));
  EXPECT_THAT(FindSuperpixels({values, 1, 3, 4}, {.wanted = 13}).error().message, HasSubstr("13"));
  std::vector<float> broken = values;
  broken[7] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(FindSuperpixels({broken, 1, 3, 4}, {.wanted = 2}).error().message,
              HasSubstr("value 7"));
}

}  // namespace
}  // namespace tidewheel::explain
