#include "tidewheel/stats/frequent_items.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/testing/hostile_bytes.h"

namespace tidewheel::stats {
namespace {

using Truth = std::map<std::string, std::uint64_t>;

/// Few frequent items and a long tail of rare ones.
std::vector<std::string> Stream(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  std::vector<std::string> items;
  for (std::size_t i = 0; i < size; ++i) {
    const double rank = std::pow(1 - random.Uniform(), -1.2);
    items.push_back("item" + std::to_string(static_cast<std::uint64_t>(std::min(rank, 1e9))));
  }
  return items;
}

FrequentItems Of(std::span<const std::string> items, std::size_t capacity) {
  auto frequent = *FrequentItems::WithCapacity(capacity);
  for (const std::string& item : items) EXPECT_TRUE(frequent.Add(item).ok());
  return frequent;
}

void ExpectBounds(const FrequentItems& frequent, const Truth& truth) {
  std::uint64_t total = 0;
  for (const auto& [name, count] : truth) {
    total += count;
    const auto item = frequent.Find(name);
    EXPECT_LE(item.at_least, count) << name;
    EXPECT_GE(item.at_most, count) << name;
  }
  EXPECT_EQ(frequent.total(), total);
  EXPECT_LE(frequent.Shortfall(), total / (frequent.capacity() + 1));
  for (const auto& item : frequent.Top(1'000'000)) EXPECT_TRUE(truth.contains(item.name));

  const double share = 1.0 / static_cast<double>(frequent.capacity());
  const auto heavy = frequent.AtLeast(share);
  ASSERT_TRUE(heavy.ok());
  for (const auto& [name, count] : truth) {
    if (static_cast<double>(count) < share * static_cast<double>(total)) continue;
    EXPECT_TRUE(std::any_of(heavy->begin(), heavy->end(), [&](const auto& item) {
      return item.name == name;
    })) << name;
  }
}

TEST(FrequentItemsTest, CountsExactlyWhatFits) {
  auto frequent = *FrequentItems::WithCapacity(4);
  ASSERT_TRUE(frequent.Add("b", 3).ok());
  ASSERT_TRUE(frequent.Add("a", 3).ok());
  ASSERT_TRUE(frequent.Add("c").ok());
  ASSERT_TRUE(frequent.Add("c", 4).ok());
  ASSERT_TRUE(frequent.Add("d", 0).ok());

  EXPECT_EQ(frequent.Top(2), (std::vector<FrequentItems::Item>{{"c", 5, 5}, {"a", 3, 3}}));
  EXPECT_EQ(frequent.Top(9).size(), 3);
  EXPECT_EQ(frequent.Find("d"), (FrequentItems::Item{"d", 0, 0}));
  EXPECT_EQ(frequent.Shortfall(), 0);
  EXPECT_EQ(frequent.total(), 11);
  EXPECT_EQ(frequent.AtLeast(0.4)->size(), 1);
}

TEST(FrequentItemsTest, BoundsHoldForAnyStreamAndAnyMerging) {
  Random random(2);
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const auto items = Stream(20'000, seed);
    Truth truth;
    for (const auto& item : items) ++truth[item];
    for (const std::size_t capacity : {1, 7, 64, 300}) {
      SCOPED_TRACE(capacity);
      ExpectBounds(Of(items, capacity), truth);

      std::vector<FrequentItems> parts;
      for (std::size_t begin = 0; begin < items.size();) {
        const std::size_t size =
            std::min<std::size_t>(items.size() - begin, 1 + random.Below(4'000));
        parts.push_back(Of(std::span(items).subspan(begin, size), capacity));
        begin += size;
      }
      while (parts.size() > 1) {
        const FrequentItems taken = parts.back();
        parts.pop_back();
        ASSERT_TRUE(parts[random.Below(parts.size())].Merge(taken).ok());
      }
      ExpectBounds(parts[0], truth);
    }
  }
}

TEST(FrequentItemsTest, MergedEqualsWholeWhereCountingIsExact) {
  const auto items = Stream(5'000, 1);
  std::vector<std::string> few;
  for (const auto& item : items) few.push_back(item.substr(0, 5));
  auto merged = *FrequentItems::WithCapacity(10);
  for (std::size_t begin = 0; begin < few.size(); begin += 1'000) {
    ASSERT_TRUE(merged.Merge(Of(std::span(few).subspan(begin, 1'000), 10)).ok());
  }

  EXPECT_EQ(merged, Of(few, 10));
  EXPECT_EQ(merged.ToBytes(), Of(few, 10).ToBytes());
  auto doubled = merged;
  ASSERT_TRUE(doubled.Merge(doubled).ok());
  EXPECT_EQ(doubled.Top(1)[0].at_least, 2 * merged.Top(1)[0].at_least);
}

TEST(FrequentItemsTest, SaysWhenAShareIsTooSmallToTell) {
  std::vector<std::string> items;
  for (int i = 0; i < 10'000; ++i) items.push_back(std::to_string(i));
  const auto frequent = Of(items, 50);

  const auto rare = frequent.AtLeast(1e-4);
  ASSERT_FALSE(rare.ok());
  EXPECT_EQ(rare.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(rare.error().message.rfind("not applicable, because counts may be short by ", 0), 0);
  EXPECT_TRUE(frequent.AtLeast(0.5)->empty());
}

TEST(FrequentItemsTest, BadInputIsNamed) {
  EXPECT_FALSE(FrequentItems::WithCapacity(0).ok());
  EXPECT_EQ(FrequentItems::WithCapacity(65'537).error().message,
            "the capacity of frequent items is 1 to 65536, not 65537");
  auto frequent = *FrequentItems::WithCapacity(3);
  EXPECT_EQ(frequent.Add(std::string(1'025, 'x')).error().message,
            "an item of 1025 bytes is longer than the limit of 1024");
  ASSERT_TRUE(frequent.Add("x", std::uint64_t{1} << 62).ok());
  EXPECT_EQ(frequent.Add("x").error().code, ErrorCode::kOutOfRange);
  EXPECT_EQ(frequent.Merge(frequent).error().code, ErrorCode::kOutOfRange);
  EXPECT_FALSE(frequent.Merge(*FrequentItems::WithCapacity(4)).ok());
  EXPECT_FALSE(frequent.AtLeast(0).ok());
  EXPECT_FALSE(frequent.AtLeast(1.5).ok());
}

TEST(FrequentItemsTest, BytesHold) {
  const auto use = [](FrequentItems& frequent) {
    (void)frequent.Add("one more", 3);
    (void)frequent.Merge(frequent);
    (void)frequent.Top(5);
    (void)frequent.AtLeast(0.1);
  };
  ExpectBytesHold(*FrequentItems::WithCapacity(8), "frequent items", use);
  ExpectBytesHold(Of(Stream(3'000, 3), 20), "frequent items", use);
}

}  // namespace
}  // namespace tidewheel::stats
