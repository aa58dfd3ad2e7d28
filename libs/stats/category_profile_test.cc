#include "tidewheel/stats/category_profile.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/testing/hostile_bytes.h"

namespace tidewheel::stats {
namespace {

using Codes = std::vector<std::int32_t>;

CategoryProfile Of(const Codes& codes, std::size_t categories) {
  auto profile = *CategoryProfile::WithCategories(categories);
  EXPECT_TRUE(profile.Add(codes).ok());
  return profile;
}

Codes RandomCodes(std::size_t rows, std::uint64_t below, std::uint64_t seed) {
  Random random(seed);
  Codes codes;
  for (std::size_t i = 0; i < rows; ++i) {
    codes.push_back(static_cast<std::int32_t>(random.Below(below)) - 1);
  }
  return codes;
}

TEST(CategoryProfileTest, CountsMissingAndUnseenApart) {
  const auto profile = Of({0, 2, 2, -1, 3, 2'147'483'647, 0, 0, 0}, 3);

  EXPECT_EQ(profile.counts(), (std::vector<std::uint64_t>{4, 0, 2}));
  EXPECT_EQ(profile.missing(), 1);
  EXPECT_EQ(profile.unseen(), 2);
  EXPECT_EQ(profile.count(), 8);
}

TEST(CategoryProfileTest, MergedEqualsWhole) {
  const auto codes = RandomCodes(10'000, 40, 1);
  auto merged = *CategoryProfile::WithCategories(30);
  for (std::size_t begin = 0; begin < codes.size(); begin += 1'000) {
    const auto from = codes.begin() + static_cast<std::ptrdiff_t>(begin);
    ASSERT_TRUE(merged.Merge(Of(Codes(from, from + 1'000), 30)).ok());
  }
  EXPECT_EQ(merged, Of(codes, 30));
}

TEST(CategoryProfileTest, ComparesWithTheUnseenAsACategory) {
  const auto reference = Of({0, 0, 1, 1}, 2);

  const auto same = CompareCategories(reference, Of({1, 0, 0, 1, -1, -1, -1, -1}, 2));
  ASSERT_TRUE(same.ok());
  EXPECT_EQ(same->psi, 0);
  EXPECT_EQ(same->jensen_shannon, 0);
  EXPECT_EQ(same->total_variation, 0);
  EXPECT_EQ(same->missing_share_current, 0.5);

  const auto other = CompareCategories(reference, Of({5, 6, 7, 8}, 2));
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(other->unseen_share, 1);
  EXPECT_EQ(other->total_variation, 1);
  EXPECT_DOUBLE_EQ(other->jensen_shannon, 1);
  EXPECT_TRUE(std::isfinite(other->psi));
}

TEST(CategoryProfileTest, BadInputIsNamed) {
  EXPECT_FALSE(CategoryProfile::WithCategories(0).ok());
  EXPECT_FALSE(CategoryProfile::WithCategories(CategoryProfile::kMostCategories + 1).ok());
  auto profile = *CategoryProfile::WithCategories(2);
  EXPECT_EQ(profile.Add(Codes{0, -2}).error().message, "code -2 of row 1 is below -1");
  EXPECT_EQ(profile.count(), 0);
  const auto other = *CategoryProfile::WithCategories(3);
  EXPECT_EQ(profile.Merge(other).error().message,
            "profiles of 2 and 3 categories cannot be merged");
  EXPECT_FALSE(CompareCategories(profile, other).ok());
  EXPECT_EQ(CompareCategories(profile, profile).error().message,
            "not applicable, because the reference has no value");
  EXPECT_EQ(CompareCategories(Of({0}, 2), Of({-1}, 2)).error().message,
            "not applicable, because the current window has no value");
}

TEST(CategoryProfileTest, BytesHold) {
  ExpectBytesHold(Of(RandomCodes(1'000, 30, 2), 20), "category profile",
                  [](CategoryProfile& profile) { (void)profile.Merge(profile); });
}

}  // namespace
}  // namespace tidewheel::stats
