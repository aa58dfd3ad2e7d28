#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tidewheel/base/bounded_queue.h"
#include "tidewheel/base/build_identity.h"
#include "tidewheel/base/clock.h"
#include "tidewheel/base/digest.h"
#include "tidewheel/base/ids.h"
#include "tidewheel/base/page_token.h"
#include "tidewheel/base/random.h"
#include "tidewheel/base/result.h"
#include "tidewheel/base/worker.h"

namespace tidewheel {
namespace {

TEST(ResultTest, HoldsAValueOrAnError) {
  const Result<int> good = 3;
  const Result<int> bad = Error{ErrorCode::kNotFound, "no sample x"};

  EXPECT_EQ(*good, 3);
  EXPECT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().message, "no sample x");
}

TEST(ResultTest, AskingAFailureForItsValueEndsTheProcess) {
  const Result<int> bad = Error{ErrorCode::kNotFound, "no sample x"};
  EXPECT_DEATH((void)bad.value(), "no sample x");
}

TEST(UuidTest, IsUniqueAndOrderedByTime) {
  std::set<std::string> seen;
  for (int i = 0; i < 1'000; ++i) {
    const std::string id = NewUuid();
    EXPECT_TRUE(IsUuid(id)) << id;
    EXPECT_EQ(id[14], '7');
    seen.insert(id);
  }
  EXPECT_EQ(seen.size(), 1'000U);
  const std::string earlier = NewUuid();
  while (NewUuid().substr(0, 13) == earlier.substr(0, 13)) {
  }  // The id's own resolution is one millisecond.
  EXPECT_LT(earlier, NewUuid());
}

TEST(ClockTest, TextAndTimeAgree) {
  const auto time = ParseUtc("2026-11-22T10:00:00.250Z");
  ASSERT_TRUE(time.ok());
  EXPECT_EQ(FormatUtc(*time), "2026-11-22T10:00:00.250000Z");
  EXPECT_EQ(*ParseUtc("2026-11-22T12:00:00.25+02:00"), *time);
  for (const char* bad :
       {"", "2026-13-01T00:00:00Z", "2026-11-22", "2026-11-22T10:00:00", "2026-11-22T10:00:00.Z"}) {
    EXPECT_FALSE(ParseUtc(bad).ok()) << bad;
  }
}

TEST(DigestTest, HexRoundTrip) {
  const std::string hex(64, 'a');
  EXPECT_EQ(Digest::FromHex(hex)->Hex(), hex);
  EXPECT_FALSE(Digest::FromHex("abc").ok());
  EXPECT_FALSE(Digest::FromHex(std::string(64, 'g')).ok());
}

TEST(RandomTest, GivesTheSameNumbersForTheSameSeed) {
  Random a(1);
  Random b(1);
  Random c(2);
  EXPECT_EQ(a.Next(), b.Next());
  EXPECT_NE(a.Next(), c.Next());
  double sum = 0;
  for (int i = 0; i < 20'000; ++i) {
    const double u = a.Uniform();
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    ASSERT_LT(a.Below(7), 7U);
  }
  EXPECT_NEAR(sum / 20'000, 0.5, 0.01);
}

TEST(StableHashTest, NeverChanges) {
  // Splits of existing datasets hang on these values.
  EXPECT_EQ(StableHash(""), StableHash("", 0));
  EXPECT_NE(StableHash("a"), StableHash("b"));
  EXPECT_NE(StableHash("a", 1), StableHash("a", 2));
  EXPECT_EQ(StableHash("tidewheel"), 15153146599777278155ULL);
}

TEST(BoundedQueueTest, RefusesWhenFullAndDrainsAfterClose) {
  BoundedQueue<int> queue(2);
  EXPECT_TRUE(queue.TryPush(1));
  EXPECT_TRUE(queue.TryPush(2));
  EXPECT_FALSE(queue.TryPush(3));
  queue.Close();
  EXPECT_FALSE(queue.TryPush(4));
  EXPECT_THAT(queue.PopSome({}, 10), testing::ElementsAre(1, 2));
  EXPECT_TRUE(queue.PopSome({}, 10).empty());
}

TEST(WorkerTest, StopsWhenItsOwnerGoes) {
  Pause pause;
  bool stopped = false;
  {
    const Worker worker("test", [&](std::stop_token stop) {
      while (pause.Wait(stop, std::chrono::hours(1))) {
      }
      stopped = true;
    });
  }
  EXPECT_TRUE(stopped);
}

TEST(WorkerTest, AThreadMayHaveShortTurnsAndKeepsItsShare) {
  struct Attributes {
    std::uint32_t size, policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t turn, deadline, period;
  };
  const auto asked = [] {
    Attributes attributes{};
    EXPECT_EQ(syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0), 0);
    return attributes;
  };
  const Attributes before = asked();
  Attributes after{};
  std::thread([&] {
    TakeShortTurns();
    TakeShortTurns();
    after = asked();
  }).join();

  EXPECT_EQ(after.policy, before.policy);
  EXPECT_EQ(after.nice, before.nice);
  utsname kernel{};
  ASSERT_EQ(uname(&kernel), 0);
  int major = 0;
  int minor = 0;
  ASSERT_EQ(std::sscanf(kernel.release, "%d.%d", &major, &minor), 2);
  const bool has_turns = major > 6 || (major == 6 && minor >= 12);
  if (has_turns) {
    EXPECT_EQ(after.turn, 100'000U);
  } else {
    EXPECT_EQ(after.turn, before.turn);
  }
  EXPECT_EQ(asked().turn, before.turn);  // Of this thread.
}

TEST(BuildIdentityTest, NamesTheCode) {
  EXPECT_FALSE(CurrentBuild().version.empty());
  EXPECT_FALSE(CurrentBuild().commit.empty());
}

TEST(PageTokenTest, ReturnsTheKeysOfTheSameQuery) {
  const std::vector<std::string> keys = {"2026-11-22", "", std::string("\0any\xff", 5)};

  const auto token = EncodePageToken("samples traffic", keys);
  const auto read = DecodePageToken("samples traffic", token, 3);

  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read, keys);
  EXPECT_EQ(
      token.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
      std::string::npos);
  EXPECT_TRUE(DecodePageToken("samples traffic", "", 3)->empty());
}

TEST(PageTokenTest, RefusesAnotherQueryAndAnyChange) {
  const auto token = EncodePageToken("samples traffic", {"key", "more"});

  EXPECT_EQ(DecodePageToken("samples fashion", token, 2).error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(DecodePageToken("samples traffic", token, 1).ok());
  EXPECT_FALSE(DecodePageToken("samples traffic", "not a token", 2).ok());
  for (std::size_t i = 0; i + 1 < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(DecodePageToken("samples traffic", changed, 2).ok()) << i;
    EXPECT_FALSE(DecodePageToken("samples traffic", token.substr(0, i + 1), 2).ok()) << i;
  }
}

}  // namespace
}  // namespace tidewheel
