#include "tidewheel/vision/near_duplicate_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tidewheel/base/random.h"

namespace tidewheel::vision {
namespace {

using Match = NearDuplicateIndex::Match;
using testing::ElementsAre;
using testing::Optional;

Hash128 Flip(Hash128 hash, int bits, Random& random) {
  for (int flipped = 0; flipped < bits;) {
    const std::uint64_t bit = random.Below(128);
    Hash128 next = hash;
    (bit < 64 ? next.high : next.low) ^= std::uint64_t{1} << (bit % 64);
    hash = next;
    ++flipped;
  }
  return hash;
}

TEST(NearDuplicateIndexTest, AgreesWithBruteForceAtEveryRadius) {
  Random random(1);
  std::vector<Hash128> hashes;
  for (int i = 0; i < 600; ++i) hashes.push_back({random.Next(), random.Next()});
  for (std::size_t i = 0; i < 600; ++i)
    hashes.push_back(Flip(hashes[i], static_cast<int>(i % 12), random));

  for (int radius = 0; radius <= NearDuplicateIndex::kMaxRadius; ++radius) {
    NearDuplicateIndex index({.radius = radius});
    for (std::size_t i = 0; i < hashes.size(); ++i) {
      std::optional<Match> nearest;
      for (std::size_t j = 0; j < i; ++j) {
        const int distance = HammingDistance(hashes[i], hashes[j]);
        if (distance <= radius && (!nearest || distance < nearest->distance))
          nearest = Match{j, distance};
      }
      ASSERT_EQ(index.Nearest(hashes[i], radius), nearest) << i << " at radius " << radius;
      index.Add(hashes[i], i);
    }
    EXPECT_EQ(index.size(), hashes.size());
  }
}

TEST(NearDuplicateIndexTest, ASmallerRadiusThanItsOwnIsExactToo) {
  Random random(2);
  const Hash128 hash{random.Next(), random.Next()};
  NearDuplicateIndex index({.radius = 8});
  index.Add({hash.high ^ 0b111, hash.low}, 5);

  EXPECT_EQ(index.Nearest(hash, 2), std::nullopt);
  EXPECT_THAT(index.Nearest(hash, 3), Optional(Match{5, 3}));
  EXPECT_EQ(index.Nearest(hash, -1), std::nullopt);
}

TEST(NearDuplicateIndexTest, WithinListsTheNearestFirstAndEveryPictureOfAHash) {
  NearDuplicateIndex index;
  index.Add({0, 0b1}, 10);
  index.Add({0, 0}, 11);
  index.Add({0, 0}, 12);
  index.Add({0, 0xFFFF}, 13);

  EXPECT_THAT(index.Within({0, 0}, 6, 100), ElementsAre(Match{11, 0}, Match{12, 0}, Match{10, 1}));
  EXPECT_THAT(index.Within({0, 0}, 6, 2), ElementsAre(Match{11, 0}, Match{12, 0}));
}

TEST(NearDuplicateIndexTest, NearestOrAddKeepsTheFirstOfEachGroup) {
  NearDuplicateIndex index;

  EXPECT_EQ(index.NearestOrAdd({7, 7}, 1, 4), std::nullopt);
  EXPECT_THAT(index.NearestOrAdd({7, 6}, 2, 4), Optional(Match{1, 1}));
  EXPECT_EQ(index.size(), 1U);
}

TEST(NearDuplicateIndexTest, DegenerateHashesCostNoMoreThanTheBound) {
  // All equal, then all agreeing in every key but one: a scan of all pairs would take minutes.
  NearDuplicateIndex index;
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    index.Add({0, 0}, i);
    (void)index.Nearest({0, 0}, 6);
  }
  for (std::uint64_t i = 0; i < 30'000; ++i) {
    const Hash128 hash{i * 0x81, 0};
    (void)index.Nearest(hash, 6);
    index.Add(hash, i);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  EXPECT_THAT(index.Nearest({0, 0}, 6), Optional(Match{0, 0}));
}

TEST(NearDuplicateIndexTest, OfEqualPicturesThatArriveTogetherOneIsNew) {
  NearDuplicateIndex index;
  std::atomic<int> added{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (std::uint64_t i = 0; i < 500; ++i) {
          const Hash128 hash{StableHash("a", i), StableHash("b", i)};
          if (!index.NearestOrAdd(hash, i, 6)) ++added;
          (void)index.Nearest(hash, 6);
        }
      });
    }
  }
  EXPECT_EQ(added, 500);
}

}  // namespace
}  // namespace tidewheel::vision
