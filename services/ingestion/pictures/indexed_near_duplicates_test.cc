#include "tidewheel/ingestion/pictures/indexed_near_duplicates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <thread>

#include "tidewheel/base/random.h"

namespace tidewheel::ingestion {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

/// A list that is read from a place on.
class FakeFeed final : public HashFeed {
 public:
  Result<std::vector<HashedSample>> ReadOn(const std::string& task, std::size_t limit,
                                           FeedPosition* position) override {
    ++readings;
    if (before_read) before_read();
    if (away) return Error{ErrorCode::kUnavailable, "PostgreSQL is away"};
    const std::lock_guard lock(mutex);
    std::vector<HashedSample> page;
    std::size_t place = position->transaction.empty() ? 0 : std::stoul(position->transaction);
    auto& samples = tasks[task];
    while (place < samples.size() && page.size() < limit) page.push_back(samples[place++]);
    position->transaction = std::to_string(place);
    return page;
  }
  Result<std::vector<HashedSample>> ReadRemoved(const std::string& task, std::size_t limit,
                                                FeedPosition* position) override {
    const std::lock_guard lock(mutex);
    std::vector<HashedSample> page;
    std::size_t place = position->transaction.empty() ? 0 : std::stoul(position->transaction);
    auto& samples = gone[task];
    while (place < samples.size() && page.size() < limit) page.push_back(samples[place++]);
    position->transaction = std::to_string(place);
    return page;
  }
  void Remove(const std::string& task, const PictureHash& hash, const std::string& id) {
    const std::lock_guard lock(mutex);
    gone[task].push_back({id, "group of " + id, hash});
  }
  void Store(const std::string& task, const PictureHash& hash, const std::string& id) {
    const std::lock_guard lock(mutex);
    tasks[task].push_back({id, "group of " + id, hash});
  }

  std::mutex mutex;  // Guards tasks.
  std::map<std::string, std::vector<HashedSample>> tasks;
  std::map<std::string, std::vector<HashedSample>> gone;
  std::function<void()> before_read;
  std::atomic<bool> away = false;
  std::atomic<int> readings = 0;
};

PictureHash RandomHash(Random& random) { return {random.Next(), random.Next()}; }

PictureHash WithFlipped(PictureHash hash, int bits, Random& random) {
  std::vector<int> places;
  while (static_cast<int>(places.size()) < bits) {
    const int place = static_cast<int>(random.Below(128));
    if (std::find(places.begin(), places.end(), place) == places.end()) places.push_back(place);
  }
  for (const int place : places) {
    hash[static_cast<std::size_t>(place / 64)] ^= std::uint64_t{1} << (place % 64);
  }
  return hash;
}

TEST(IndexedNearDuplicatesTest, ReadsTheWholeHistoryInPagesBeforeTheFirstAnswer) {
  FakeFeed feed;
  Random random(1);
  std::vector<PictureHash> hashes;
  for (int i = 0; i < 1'000; ++i) {
    hashes.push_back(RandomHash(random));
    feed.Store("lights", hashes.back(), std::to_string(i));
  }
  IndexedNearDuplicates near(feed, {.follow_interval = hours(1), .page = 64});

  for (int i = 0; i < 1'000; ++i) {
    const int flipped = static_cast<int>(random.Below(7));
    const auto hash = WithFlipped(hashes[static_cast<std::size_t>(i)], flipped, random);
    const auto found = near.Nearest("lights", hash, 6);
    ASSERT_TRUE(found.ok() && found->has_value());
    EXPECT_EQ((*found)->sample_id, std::to_string(i));
    EXPECT_EQ((*found)->group, "group of " + std::to_string(i));
    EXPECT_EQ((*found)->distance, flipped);
  }
  EXPECT_EQ(feed.readings, 16);
  EXPECT_FALSE(near.Nearest("dogs", hashes[0], 6)->has_value());
}

TEST(IndexedNearDuplicatesTest, OwnSamplesAreThereAtOnceAndComingTwiceChangesNothing) {
  FakeFeed feed;
  Random random(2);
  const auto hash = RandomHash(random);
  IndexedNearDuplicates near(feed, {.follow_interval = milliseconds(0)});
  ASSERT_FALSE(near.Nearest("lights", hash, 4)->has_value());

  near.Add("lights", hash, "mine", "g");
  EXPECT_EQ((*near.Nearest("lights", hash, 4))->sample_id, "mine");

  feed.Store("lights", hash, "mine");
  EXPECT_EQ((*near.Nearest("lights", hash, 4))->sample_id, "mine");
  EXPECT_EQ((*near.Nearest("lights", hash, 4))->group, "g");
}

TEST(IndexedNearDuplicatesTest, FollowsWhatOthersStoreOnceAnInterval) {
  FakeFeed feed;
  Random random(3);
  const auto hash = RandomHash(random);
  IndexedNearDuplicates seldom(feed, {.follow_interval = hours(1)});
  IndexedNearDuplicates often(feed, {.follow_interval = milliseconds(0)});
  ASSERT_FALSE(seldom.Nearest("lights", hash, 4)->has_value());
  ASSERT_FALSE(often.Nearest("lights", hash, 4)->has_value());

  feed.Store("lights", hash, "theirs");
  const int readings = feed.readings;

  EXPECT_FALSE(seldom.Nearest("lights", hash, 4)->has_value());
  EXPECT_EQ(feed.readings, readings);
  EXPECT_TRUE(often.Nearest("lights", hash, 4)->has_value());
}

TEST(IndexedNearDuplicatesTest, DeactivatedSamplesAnswerNoMore) {
  FakeFeed feed;
  Random random(7);
  const auto hash = RandomHash(random);
  const auto near_by = WithFlipped(hash, 3, random);
  feed.Store("lights", hash, "first");
  feed.Store("lights", hash, "twin");
  feed.Store("lights", near_by, "near");
  IndexedNearDuplicates near(feed, {.follow_interval = milliseconds(0)});
  EXPECT_EQ((*near.Nearest("lights", hash, 4))->sample_id, "first");

  feed.Remove("lights", hash, "first");
  feed.Remove("lights", hash, "first");  // Read twice, or never stored: no matter.
  feed.Remove("lights", RandomHash(random), "never stored");
  EXPECT_EQ((*near.Nearest("lights", hash, 4))->sample_id, "twin");
  EXPECT_EQ((*near.Nearest("lights", hash, 4))->distance, 0);
  feed.Remove("lights", hash, "twin");
  EXPECT_EQ((*near.Nearest("lights", hash, 4))->sample_id, "near");
  EXPECT_EQ((*near.Nearest("lights", hash, 4))->distance, 3);
  feed.Remove("lights", near_by, "near");
  EXPECT_FALSE(near.Nearest("lights", hash, 4)->has_value());

  feed.Store("lights", hash, "again");
  EXPECT_EQ((*near.Nearest("lights", hash, 4))->sample_id, "again");
}

TEST(IndexedNearDuplicatesTest, ManyGoneAndTheRestIsStillFound) {
  FakeFeed feed;
  Random random(8);
  std::vector<PictureHash> hashes;
  for (int i = 0; i < 4'000; ++i) {
    hashes.push_back(RandomHash(random));
    feed.Store("lights", hashes.back(), std::to_string(i));
  }
  IndexedNearDuplicates near(feed, {.follow_interval = milliseconds(0), .page = 500});
  ASSERT_TRUE(near.Nearest("lights", hashes[0], 4)->has_value());
  for (int i = 0; i < 3'000; ++i) {
    feed.Remove("lights", hashes[static_cast<std::size_t>(i)], std::to_string(i));
  }

  for (int i = 0; i < 4'000; ++i) {
    const auto found = near.Nearest("lights", hashes[static_cast<std::size_t>(i)], 4);
    ASSERT_TRUE(found.ok());
    ASSERT_EQ(found->has_value(), i >= 3'000) << i;
    if (found->has_value()) {
      EXPECT_EQ((*found)->sample_id, std::to_string(i));
    }
  }
}

TEST(IndexedNearDuplicatesTest, ALargerRadiusThanBeforeFindsWhatWasAddedBefore) {
  FakeFeed feed;
  Random random(4);
  const auto hash = RandomHash(random);
  feed.Store("lights", hash, "a");
  IndexedNearDuplicates near(feed, {});
  EXPECT_FALSE(near.Nearest("lights", WithFlipped(hash, 8, random), 2)->has_value());
  EXPECT_TRUE(near.Nearest("lights", WithFlipped(hash, 8, random), 8)->has_value());
}

TEST(IndexedNearDuplicatesTest, AFeedThatIsAwayIsAnErrorAndTheNextLookUpTriesAgain) {
  FakeFeed feed;
  Random random(5);
  const auto hash = RandomHash(random);
  feed.Store("lights", hash, "a");
  feed.away = true;
  IndexedNearDuplicates near(feed, {.follow_interval = hours(1)});
  EXPECT_EQ(near.Nearest("lights", hash, 4).error().code, ErrorCode::kUnavailable);
  feed.away = false;
  EXPECT_TRUE(near.Nearest("lights", hash, 4)->has_value());
}

TEST(IndexedNearDuplicatesTest, EveryThreadWaitsForTheHistoryAndNoneForLaterReadings) {
  FakeFeed feed;
  Random random(6);
  const auto hash = RandomHash(random);
  feed.Store("lights", hash, "a");
  std::promise<void> open;
  const auto opened = open.get_future().share();
  feed.before_read = [&opened] { opened.wait(); };
  IndexedNearDuplicates near(feed, {.follow_interval = milliseconds(0)});
  std::vector<std::future<bool>> found;
  for (int i = 0; i < 4; ++i) {
    found.push_back(std::async(std::launch::async,
                               [&] { return near.Nearest("lights", hash, 4)->has_value(); }));
  }
  EXPECT_EQ(found[0].wait_for(milliseconds(20)), std::future_status::timeout);
  open.set_value();
  for (auto& each : found) EXPECT_TRUE(each.get());

  // One reads on and is held; another is answered meanwhile.
  std::promise<void> open_again;
  const auto opened_again = open_again.get_future().share();
  std::atomic<int> held = 0;
  feed.before_read = [&] {
    if (held++ == 0) opened_again.wait();
  };
  auto reader =
      std::async(std::launch::async, [&] { return near.Nearest("lights", hash, 4)->has_value(); });
  while (held == 0) std::this_thread::yield();
  EXPECT_TRUE(near.Nearest("lights", hash, 4)->has_value());
  open_again.set_value();
  EXPECT_TRUE(reader.get());
}

}  // namespace
}  // namespace tidewheel::ingestion
