#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tidewheel/base/ids.h"
#include "tidewheel/base/random.h"
#include "tidewheel/bus/buffered_publisher.h"
#include "tidewheel/bus/memory_journal.h"
#include "tidewheel/bus/message_frame.h"
#include "tidewheel/bus/spill_log.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/subprocess.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::bus {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Eventually;

constexpr seconds kPatience{20};

Message Numbered(int number) {
  Message message;
  message.topic = "tidewheel.predictions";
  message.key = "k";
  message.event_id = std::to_string(number);
  message.time = Timestamp{std::chrono::seconds{1'700'000'000}};
  message.payload = std::string(static_cast<std::size_t>(number % 50), '\0') + "x";
  return message;
}

std::vector<Message> Numbers(int first, int last) {
  std::vector<Message> messages;
  for (int number = first; number <= last; ++number) messages.push_back(Numbered(number));
  return messages;
}

std::vector<int> NumbersOf(const std::vector<Message>& messages) {
  std::vector<int> numbers;
  for (const Message& message : messages) numbers.push_back(std::stoi(message.event_id));
  return numbers;
}

std::vector<int> Range(int first, int last) {
  std::vector<int> numbers;
  for (int number = first; number <= last; ++number) numbers.push_back(number);
  return numbers;
}

class Tally final : public Counter {
 public:
  void Add(double amount) override { total_ += static_cast<int>(amount); }
  int total() const { return total_; }

 private:
  std::atomic<int> total_ = 0;
};

std::unique_ptr<SpillLog> Open(const std::filesystem::path& folder, Counter& damaged,
                               std::uint64_t segment_bytes = 1u << 20,
                               std::uint64_t limit_bytes = 1u << 30) {
  auto log = SpillLog::Open({.folder = folder,
                             .limit_bytes = limit_bytes,
                             .segment_bytes = segment_bytes,
                             .sync = false,
                             .damaged = damaged});
  EXPECT_TRUE(log.ok()) << log.error().message;
  return std::move(*log);
}

std::vector<std::filesystem::path> Segments(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".spill") found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// Everything, read and removed in small bites.
std::vector<int> DrainAll(SpillLog& log) {
  std::vector<int> all;
  while (true) {
    const auto some = log.Peek(3);
    EXPECT_TRUE(some.ok());
    if (!some.ok() || some->empty()) return all;
    for (const int number : NumbersOf(*some)) all.push_back(number);
    EXPECT_TRUE(log.Advance().ok());
  }
}

TEST(MessageFrameTest, ChecksumIsTheKnownOne) {
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);  // RFC 3720, B.4.
}

TEST(MessageFrameTest, CarriesEveryField) {
  Message message = Numbered(7);
  message.type = "t";
  message.source = "s";
  message.traceparent = "00-";
  message.schema_version = -3;
  message.headers = {{"a", ""}, {"b", std::string("\0\xFF", 2)}};
  std::string bytes;
  AppendFrame(message, bytes);
  AppendFrame(Message{}, bytes);

  const FrameView first = NextFrame(bytes);
  ASSERT_EQ(first.state, FrameView::State::kWhole);
  EXPECT_EQ(*DecodeBody(first.body), message);
  const FrameView second = NextFrame(std::string_view(bytes).substr(first.size));
  ASSERT_EQ(second.state, FrameView::State::kWhole);
  EXPECT_EQ(*DecodeBody(second.body), Message{});
}

TEST(MessageFrameTest, EveryCutIsTornAndEveryFlippedBodyBitIsDamage) {
  std::string bytes;
  AppendFrame(Numbered(20), bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(NextFrame(std::string_view(bytes).substr(0, size)).state, FrameView::State::kTorn);
  }
  for (std::size_t i = 4; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      EXPECT_EQ(NextFrame(flipped).state, FrameView::State::kDamaged);
    }
  }
  EXPECT_EQ(NextFrame(std::string(64, '\0')).state, FrameView::State::kTorn);
}

TEST(MessageFrameTest, NoBodyOfForeignBytesIsTaken) {
  Random random(1);
  for (int i = 0; i < 10'000; ++i) {
    std::string body(random.Below(80), '\0');
    for (char& c : body) c = static_cast<char>(random.Next());
    if (!body.empty()) body[0] = 1;
    EXPECT_FALSE(DecodeBody(body).ok() && body.size() < 40);
  }
}

TEST(SpillLogTest, GivesBackInOrderAlsoAfterAReopening) {
  const testing::TempFolder folder;
  Tally damaged;
  {
    const auto log = Open(folder.path(), damaged, 300);
    ASSERT_TRUE(log->Append(Numbers(1, 10)).ok());
    ASSERT_TRUE(log->Append(Numbers(11, 20)).ok());
    EXPECT_EQ(NumbersOf(*log->Peek(4)), Range(1, 4));
    EXPECT_EQ(NumbersOf(*log->Peek(2)), Range(1, 2));
    ASSERT_TRUE(log->Advance().ok());
    EXPECT_FALSE(log->empty());
  }
  const auto log = Open(folder.path(), damaged, 300);
  ASSERT_TRUE(log->Append(Numbers(21, 25)).ok());
  EXPECT_EQ(DrainAll(*log), Range(3, 25));
  EXPECT_TRUE(log->empty());
  EXPECT_EQ(log->bytes(), 0u);
  EXPECT_TRUE(Segments(folder.path()).empty());
  EXPECT_EQ(damaged.total(), 0);
}

TEST(SpillLogTest, KeepsWhatIsAppendedBetweenPeekAndAdvance) {
  const testing::TempFolder folder;
  Tally damaged;
  const auto log = Open(folder.path(), damaged);
  ASSERT_TRUE(log->Append(Numbers(1, 3)).ok());
  ASSERT_EQ(NumbersOf(*log->Peek(10)), Range(1, 3));
  ASSERT_TRUE(log->Append(Numbers(4, 6)).ok());
  ASSERT_TRUE(log->Advance().ok());
  EXPECT_EQ(DrainAll(*log), Range(4, 6));
}

TEST(SpillLogTest, PassesOverATornTail) {
  const testing::TempFolder folder;
  Tally damaged;
  Open(folder.path(), damaged)->Append(Numbers(1, 5)).ok();
  const auto segment = Segments(folder.path()).at(0);
  std::filesystem::resize_file(segment, std::filesystem::file_size(segment) - 3);

  const auto log = Open(folder.path(), damaged);
  ASSERT_TRUE(log->Append(Numbers(6, 8)).ok());
  EXPECT_EQ(DrainAll(*log), (std::vector{1, 2, 3, 4, 6, 7, 8}));
  EXPECT_EQ(damaged.total(), 1);
}

TEST(SpillLogTest, IsEmptyWhenOnlyATornTailIsLeft) {
  const testing::TempFolder folder;
  Tally damaged;
  Open(folder.path(), damaged)->Append(Numbers(1, 1)).ok();
  std::filesystem::resize_file(Segments(folder.path()).at(0), 9);

  const auto log = Open(folder.path(), damaged);
  EXPECT_TRUE(log->empty());
  EXPECT_TRUE(log->Peek(10)->empty());
}

TEST(SpillLogTest, SkipsAndCountsADamagedFrame) {
  const testing::TempFolder folder;
  Tally damaged;
  Open(folder.path(), damaged)->Append(Numbers(1, 5)).ok();
  const auto segment = Segments(folder.path()).at(0);
  std::string frame;
  AppendFrame(Numbered(1), frame);
  {
    std::fstream file(segment, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(frame.size()) + 20);
    file.put('!');
  }

  const auto log = Open(folder.path(), damaged);
  EXPECT_EQ(NumbersOf(*log->Peek(10)), (std::vector{1, 3, 4, 5}));
  EXPECT_EQ(DrainAll(*log), (std::vector{1, 3, 4, 5}));
  EXPECT_EQ(damaged.total(), 1);  // Though it was looked at twice.
}

TEST(SpillLogTest, RefusesMoreThanItsLimit) {
  const testing::TempFolder folder;
  Tally damaged;
  const auto log = Open(folder.path(), damaged, 1'000, 2'000);
  int written = 0;
  Result<void> appended;
  while (appended.ok() && written < 1'000) {
    appended = log->Append(Numbers(written + 1, written + 1));
    if (appended.ok()) ++written;
  }
  ASSERT_FALSE(appended.ok());
  EXPECT_EQ(appended.error().code, ErrorCode::kResourceExhausted);
  EXPECT_LE(log->bytes(), 2'000u);
  EXPECT_EQ(DrainAll(*log), Range(1, written));
  EXPECT_TRUE(log->Append(Numbers(1, 1)).ok());  // Room again.
}

TEST(SpillLogTest, PutsBeforeTheOthersWhatIsOlder) {
  const testing::TempFolder folder;
  Tally damaged;
  {
    const auto log = Open(folder.path(), damaged);
    ASSERT_TRUE(log->Append(Numbers(4, 6)).ok());
    ASSERT_TRUE(log->Prepend(Numbers(1, 3)).ok());
    ASSERT_TRUE(log->Append(Numbers(7, 9)).ok());
  }
  const auto log = Open(folder.path(), damaged);
  EXPECT_EQ(NumbersOf(*log->Peek(2)), Range(1, 2));
  ASSERT_TRUE(log->Advance().ok());
  EXPECT_EQ(log->Prepend(Numbers(100, 101)).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(DrainAll(*log), Range(3, 9));
  ASSERT_TRUE(log->Prepend(Numbers(10, 11)).ok());  // Empty: like an append.
  EXPECT_EQ(DrainAll(*log), Range(10, 11));
}

TEST(SpillLogTest, BelongsToOneProcess) {
  const testing::TempFolder folder;
  Tally damaged;
  auto log = Open(folder.path(), damaged);
  const auto second = SpillLog::Open({.folder = folder.path()});
  EXPECT_EQ(second.error().code, ErrorCode::kFailedPrecondition);
  log.reset();
  EXPECT_TRUE(SpillLog::Open({.folder = folder.path()}).ok());
}

TEST(SpillLogTest, BehavesLikeAQueueWhateverTheOrderOfCalls) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const testing::TempFolder folder;
    Tally damaged;
    Random random(seed);
    std::deque<int> model;
    int next = 1;
    auto log = Open(folder.path(), damaged, 400);
    for (int step = 0; step < 150; ++step) {
      switch (random.Below(5)) {
        case 0:
        case 1: {
          const int last = next + static_cast<int>(random.Below(8));
          ASSERT_TRUE(log->Append(Numbers(next, last)).ok());
          for (; next <= last; ++next) model.push_back(next);
          break;
        }
        case 2:
        case 3: {
          const std::size_t count = 1 + random.Below(12);
          const auto peeked = log->Peek(count);
          ASSERT_TRUE(peeked.ok());
          const auto want = std::vector<int>(
              model.begin(),
              model.begin() + static_cast<std::ptrdiff_t>(std::min(count, model.size())));
          ASSERT_EQ(NumbersOf(*peeked), want) << "seed " << seed << " step " << step;
          if (random.Below(2) == 0) {
            ASSERT_TRUE(log->Advance().ok());
            model.erase(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(want.size()));
          }
          break;
        }
        default:
          log.reset();
          log = Open(folder.path(), damaged, 400);
      }
      ASSERT_EQ(log->empty(), model.empty()) << "seed " << seed << " step " << step;
    }
    EXPECT_EQ(DrainAll(*log), std::vector<int>(model.begin(), model.end()));
    EXPECT_EQ(damaged.total(), 0);
  }
}

TEST(SpillLogTest, KeepsWhatItAcknowledgedWhenItsProcessIsKilled) {
  const testing::TempFolder folder;
  auto writer = testing::Subprocess::Fork(
      [&] {
        auto log = SpillLog::Open({.folder = folder.path(), .segment_bytes = 2'000});
        for (int number = 1; log.ok(); number += 3) {
          if (!(*log)->Append(Numbers(number, number + 2)).ok()) return 1;
          const std::string line = std::to_string(number + 2) + "\n";
          if (write(1, line.data(), line.size()) < 0) return 1;
        }
        return 1;
      },
      {.pipe_stdout = true});
  ASSERT_TRUE(writer.ok());
  int acknowledged = 0;
  for (int i = 0; i < 40; ++i) {
    const auto line = writer->ReadLine(kPatience);
    ASSERT_TRUE(line.has_value());
    acknowledged = std::stoi(*line);
  }
  writer->Kill(SIGKILL);
  ASSERT_TRUE(writer->Wait(kPatience).has_value());

  Tally damaged;
  const auto found = DrainAll(*Open(folder.path(), damaged));
  EXPECT_GE(static_cast<int>(found.size()), acknowledged);
  EXPECT_EQ(found, Range(1, static_cast<int>(found.size())));
}

/// A bus that a test can take away, block, or make refuse one message.
class FakeBroker final : public Broker {
 public:
  enum class Mood { kWell, kAway, kStuck };

  void Become(Mood mood) {
    {
      const std::lock_guard lock(mutex_);
      mood_ = mood;
    }
    changed_.notify_all();
  }
  void Refuse(const std::string& event_id) {
    const std::lock_guard lock(mutex_);
    refused_ = event_id;
  }
  std::vector<int> published() const {
    const std::lock_guard lock(mutex_);
    return NumbersOf(published_);
  }

  Result<std::unique_ptr<Publisher>> NewPublisher(std::optional<milliseconds>) override {
    class FakePublisher final : public Publisher {
     public:
      explicit FakePublisher(FakeBroker& broker) : broker_(broker) {}
      Result<void> Publish(std::span<const Message> messages) override {
        return broker_.Take(messages);
      }

     private:
      FakeBroker& broker_;
    };
    return std::unique_ptr<Publisher>(std::make_unique<FakePublisher>(*this));
  }

  Result<void> EnsureTopics(std::span<const std::string>, int) override { return None(); }
  Result<std::unique_ptr<Subscription>> Subscribe(const std::string&,
                                                  std::span<const std::string>) override {
    return None();
  }
  Result<void> Ping() override { return None(); }
  Result<std::vector<PartitionExtent>> Extent(const std::string&) override { return None(); }
  Result<std::vector<PartitionLag>> Lag(const std::string&) override { return None(); }
  Result<void> Replay(const std::string&, const std::string&, StartFrom) override { return None(); }
  Result<std::int64_t> RemoveBefore(const std::string&, Timestamp, bool) override { return None(); }

 private:
  static Error None() { return Error{ErrorCode::kUnimplemented, "only publishes"}; }

  Result<void> Take(std::span<const Message> messages) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return mood_ != Mood::kStuck; });
    if (mood_ == Mood::kAway) return Error{ErrorCode::kUnavailable, "away"};
    for (const Message& message : messages) {
      if (message.event_id == refused_) return Error{ErrorCode::kInvalidArgument, "too odd"};
    }
    published_.insert(published_.end(), messages.begin(), messages.end());
    return {};
  }

  mutable std::mutex mutex_;  // Guards the rest.
  std::condition_variable changed_;
  Mood mood_ = Mood::kWell;
  std::string refused_;
  std::vector<Message> published_;
};

class BufferedPublisherTest : public ::testing::Test {
 protected:
  std::unique_ptr<BufferedPublisher> Open(std::size_t memory_messages = 1'000,
                                          std::uint64_t spill_bytes = 1u << 24) {
    auto opened = BufferedPublisher::Open(
        broker_, {.folder = folder_.path() / "spill",
                  .memory_messages = memory_messages,
                  .spill_bytes = spill_bytes,
                  .batch = 50,
                  .spill_after = milliseconds{20},
                  .first_backoff = milliseconds{5},
                  .last_backoff = milliseconds{20},
                  .counters = {.published = published_, .spilled = spilled_, .dropped = dropped_}});
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    return std::move(*opened);
  }

  const testing::TempFolder folder_;
  Tally published_;
  Tally spilled_;
  Tally dropped_;
  FakeBroker broker_;
};

TEST_F(BufferedPublisherTest, PublishesInOrder) {
  const auto publisher = Open();
  for (int i = 1; i <= 500; ++i) EXPECT_TRUE(publisher->Offer(Numbered(i)));
  EXPECT_TRUE(publisher->Drain(kPatience));
  EXPECT_EQ(broker_.published(), Range(1, 500));
  EXPECT_EQ(published_.total(), 500);
  EXPECT_EQ(dropped_.total(), 0);
}

TEST_F(BufferedPublisherTest, SpillsWhileTheBusIsAwayAndComesBackInOrder) {
  const auto publisher = Open(200);
  for (int i = 1; i <= 30; ++i) publisher->Offer(Numbered(i));
  ASSERT_TRUE(publisher->Drain(kPatience));
  broker_.Become(FakeBroker::Mood::kAway);
  // Many times what memory holds; the caller waits for the disk, which Offer does not.
  for (int i = 31; i <= 2'000; ++i) {
    ASSERT_TRUE(Eventually(kPatience, [&] {
      const bool room = i - 1 - published_.total() - spilled_.total() < 90;
      return room && publisher->Offer(Numbered(i));
    }));
  }
  broker_.Become(FakeBroker::Mood::kWell);
  for (int i = 2'001; i <= 2'050; ++i) publisher->Offer(Numbered(i));

  EXPECT_TRUE(publisher->Drain(kPatience));
  EXPECT_EQ(broker_.published(), Range(1, 2'050));
  EXPECT_EQ(dropped_.total(), 0);
}

TEST_F(BufferedPublisherTest, ComesBackInOrderAfterARestart) {
  broker_.Become(FakeBroker::Mood::kAway);
  {
    const auto publisher = Open();
    for (int i = 1; i <= 300; ++i) publisher->Offer(Numbered(i));
  }
  broker_.Become(FakeBroker::Mood::kWell);
  const auto publisher = Open();
  for (int i = 301; i <= 400; ++i) publisher->Offer(Numbered(i));
  EXPECT_TRUE(publisher->Drain(kPatience));
  EXPECT_EQ(broker_.published(), Range(1, 400));
  EXPECT_EQ(dropped_.total(), 0);
}

TEST_F(BufferedPublisherTest, LosesNothingThatItTookWhenItsProcessIsKilled) {
  auto taker = testing::Subprocess::Fork(
      [&] {
        FakeBroker stuck;  // What is offered stays in memory, or goes to disk behind it.
        stuck.Become(FakeBroker::Mood::kStuck);
        auto publisher = BufferedPublisher::Open(
            stuck, {.folder = folder_.path() / "spill", .spill_after = milliseconds{5}});
        for (int number = 1; publisher.ok() && (*publisher)->Offer(Numbered(number)); ++number) {
          const std::string line = std::to_string(number) + "\n";
          if (write(1, line.data(), line.size()) < 0) return 1;
        }
        return 1;
      },
      {.pipe_stdout = true});
  ASSERT_TRUE(taker.ok());
  int taken = 0;
  for (int i = 0; i < 400; ++i) {
    const auto line = taker->ReadLine(kPatience);
    ASSERT_TRUE(line.has_value());
    taken = std::stoi(*line);
  }
  taker->Kill(SIGKILL);
  ASSERT_TRUE(taker->Wait(kPatience).has_value());

  const auto publisher = Open();
  ASSERT_TRUE(publisher->Drain(kPatience));
  const auto published = broker_.published();
  const std::set<int> distinct(published.begin(), published.end());
  for (int number = 1; number <= taken; ++number) EXPECT_TRUE(distinct.contains(number)) << number;
  EXPECT_EQ(dropped_.total(), 0);
}

TEST(MemoryJournalTest, KeepsWhatIsNotDoneInOrder) {
  const testing::TempFolder folder;
  const auto left = [&] {
    std::size_t damaged = 7;
    const auto found = MemoryJournal::Left(folder.path(), damaged);
    EXPECT_TRUE(found.ok());
    EXPECT_EQ(damaged, 0U);
    return NumbersOf(*found);
  };
  {
    MemoryJournal journal(folder.path(), 1'000);  // A few messages for each segment.
    std::vector<MemoryJournal::Place> places;
    for (int number = 1; number <= 50; ++number) {
      std::string frame;
      AppendFrame(Numbered(number), frame);
      const auto place = journal.Add(frame);
      ASSERT_TRUE(place.ok()) << place.error().message;
      places.push_back(*place);
      ASSERT_EQ(left(), Range(1, number));  // As one would find it that comes now.
    }
    ASSERT_GT(places.back(), places.front() + 3);
    // What is done goes with its segment; what is not, stays, oldest first.
    for (std::size_t i = 0; i < 30; ++i) journal.Done(places[i]);
    const auto rest = left();
    ASSERT_GE(rest.size(), 20U);
    EXPECT_EQ(rest.back(), 50);
    EXPECT_EQ(rest, Range(rest.front(), 50));
    EXPECT_GT(rest.front(), 1);
    for (std::size_t i = 30; i < 50; ++i) journal.Done(places[i]);
    EXPECT_TRUE(left().empty());
    // One that is longer than a segment, and one that begins a segment anew.
    Message big = Numbered(51);
    big.payload.assign(5'000, 'x');
    for (const Message& message : {big, Numbered(52)}) {
      std::string frame;
      AppendFrame(message, frame);
      ASSERT_TRUE(journal.Add(frame).ok());
    }
  }
  EXPECT_EQ(left(), Range(51, 52));  // Not done when it went.
  MemoryJournal::Remove(folder.path());
  EXPECT_TRUE(left().empty());
}

TEST(MemoryJournalTest, LeavesNoFileBehindWhenAllIsDone) {
  const testing::TempFolder folder;
  {
    MemoryJournal journal(folder.path());
    std::string frame;
    AppendFrame(Numbered(1), frame);
    const auto place = journal.Add(frame);
    ASSERT_TRUE(place.ok());
    journal.Done(*place);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST_F(BufferedPublisherTest, NeverWaitsForABusThatHangs) {
  broker_.Become(FakeBroker::Mood::kStuck);
  const auto publisher = Open(200);
  publisher->Offer(Numbered(1));
  const auto start = std::chrono::steady_clock::now();
  for (int i = 2; i <= 150; ++i) EXPECT_TRUE(publisher->Offer(Numbered(i)));
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds{5});
  // What waits behind the hanging batch is safe on disk meanwhile.
  EXPECT_TRUE(Eventually(kPatience, [&] { return spilled_.total() >= 99; })) << spilled_.total();
  broker_.Become(FakeBroker::Mood::kWell);
  EXPECT_TRUE(publisher->Drain(kPatience));
  EXPECT_EQ(broker_.published(), Range(1, 150));
}

TEST_F(BufferedPublisherTest, CountsWhatItDropsWhenMemoryAndDiskAreFull) {
  broker_.Become(FakeBroker::Mood::kAway);
  const auto publisher = Open(50, 4'000);
  int taken = 0;
  ASSERT_TRUE(Eventually(kPatience, [&] {
    if (publisher->Offer(Numbered(taken + 1))) ++taken;
    return dropped_.total() >= 100;
  }));
  broker_.Become(FakeBroker::Mood::kWell);
  EXPECT_TRUE(publisher->Drain(kPatience));
  const auto got = broker_.published();
  EXPECT_TRUE(std::is_sorted(got.begin(), got.end()));
  EXPECT_GE(got.size(), 50u);
  EXPECT_EQ(static_cast<int>(got.size()), published_.total());
}

TEST_F(BufferedPublisherTest, DropsOnlyTheMessageThatTheBusRefuses) {
  broker_.Become(FakeBroker::Mood::kAway);
  const auto publisher = Open();
  for (int i = 1; i <= 40; ++i) publisher->Offer(Numbered(i));
  broker_.Refuse("17");
  broker_.Become(FakeBroker::Mood::kWell);
  EXPECT_TRUE(publisher->Drain(kPatience));
  auto want = Range(1, 40);
  want.erase(want.begin() + 16);
  EXPECT_EQ(broker_.published(), want);
  EXPECT_EQ(dropped_.total(), 1);
}

}  // namespace
}  // namespace tidewheel::bus
