#include "tidewheel/bus/contract/bus_contract.h"

#include <atomic>
#include <cstdio>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "tidewheel/base/ids.h"
#include "tidewheel/base/random.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/bus/consumer.h"
#include "tidewheel/bus/outbox_relay.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/postgres/outbox.h"
#include "tidewheel/postgres/pool.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/postgres_server.h"
#include "tidewheel/testing/subprocess.h"

namespace tidewheel::bus {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Eventually;

// Far above what any step takes; a test that gets here has failed.
constexpr seconds kPatience{40};
constexpr milliseconds kWait{200};

Message Numbered(const std::string& topic, const std::string& key, int number) {
  Message message;
  message.topic = topic;
  message.key = key;
  message.event_id = NewUuid();
  message.type = "tidewheel.test.Numbered";
  message.payload = std::to_string(number);
  return message;
}

int NumberOf(const Delivery& delivery) { return std::stoi(delivery.message.payload); }

/// Publishes until it works, as a relay does.
void PublishSurely(Publisher& publisher, std::span<const Message> messages) {
  Result<void> published;
  ASSERT_TRUE(Eventually(kPatience, [&] {
    published = publisher.Publish(messages);
    return published.ok();
  })) << published.error().message;
}

/// What a consumer with an inbox makes of what it gets: each event once, and whether each key's
/// numbers came in order. Thread-safe.
class Effects {
 public:
  /// Whether the event is new.
  bool Apply(const Delivery& delivery) {
    const std::lock_guard lock(mutex_);
    ++deliveries_;
    if (!seen_.insert(delivery.message.event_id).second) return false;
    int& last = last_[delivery.message.key];
    const int number = NumberOf(delivery);
    if (number != last + 1 && disorder_.empty()) {
      disorder_ =
          delivery.message.key + ": " + std::to_string(number) + " after " + std::to_string(last);
    }
    last = number;
    return true;
  }
  std::size_t events() const {
    const std::lock_guard lock(mutex_);
    return seen_.size();
  }
  std::size_t deliveries() const {
    const std::lock_guard lock(mutex_);
    return deliveries_;
  }
  bool Has(const std::string& event_id) const {
    const std::lock_guard lock(mutex_);
    return seen_.contains(event_id);
  }
  /// Empty when each key's numbers came as 1, 2, 3...
  std::string disorder() const {
    const std::lock_guard lock(mutex_);
    return disorder_;
  }

 private:
  mutable std::mutex mutex_;  // Guards the rest.
  std::set<std::string> seen_;
  std::map<std::string, int> last_;
  std::size_t deliveries_ = 0;
  std::string disorder_;
};

/// Polls until `count` deliveries came or patience ends; commits none.
std::vector<Delivery> PollUntil(Subscription& subscription, std::size_t count) {
  std::vector<Delivery> all;
  Eventually(kPatience, [&] {
    auto polled = subscription.Poll(count - all.size(), kWait);
    if (!polled) return false;
    for (Delivery& delivery : *polled) all.push_back(std::move(delivery));
    return all.size() >= count;
  });
  return all;
}

std::set<std::string> EventIds(std::span<const Delivery> deliveries) {
  std::set<std::string> ids;
  for (const Delivery& delivery : deliveries) ids.insert(delivery.message.event_id);
  return ids;
}

/// A member on a thread of its own that commits what it gets.
class Member {
 public:
  Member(std::unique_ptr<Subscription> subscription, Effects& effects)
      : subscription_(std::move(subscription)),
        worker_("member", [this, &effects](std::stop_token stop) {
          while (!stop.stop_requested()) {
            const auto polled = subscription_->Poll(50, milliseconds{50}, stop);
            partitions_ = subscription_->Assignment().size();
            if (!polled || polled->empty()) continue;
            for (const Delivery& delivery : *polled) effects.Apply(delivery);
            handled_ += polled->size();
            // Lost to another member: that one gets them again.
            if (!subscription_->CommitAfter(*polled)) ++refused_;
          }
        }) {}

  std::size_t partitions() const { return partitions_; }
  std::size_t handled() const { return handled_; }

 private:
  std::unique_ptr<Subscription> subscription_;
  std::atomic<std::size_t> partitions_ = 0;
  std::atomic<std::size_t> handled_ = 0;
  std::atomic<std::size_t> refused_ = 0;
  Worker worker_;
};

class Tally final : public Counter {
 public:
  void Add(double amount) override { total_ += static_cast<long>(amount); }
  long total() const { return total_; }

 private:
  std::atomic<long> total_ = 0;
};

/// The program's one server, whichever driver it is built for.
Result<BusServer*> SharedServer(BusServerFactory factory) {
  static const auto server = factory();
  static const auto prepared = server->Prepare();
  if (!prepared) return prepared.error();
  return server.get();
}

testing::Subprocess StartMember(const BrokerOptions& options, const std::string& group,
                                const std::string& topic, milliseconds pause) {
  auto started = testing::Subprocess::Start(
      {"/proc/self/exe", "member", options.driver, options.address, group, topic,
       std::to_string(options.session_timeout.count()), std::to_string(pause.count())},
      {.pipe_stdout = true});
  EXPECT_TRUE(started.ok());
  return std::move(*started);
}

/// A schema with an outbox, and a relay's pool to it.
struct OutboxSchema {
  testing::TestDatabase database;
  std::unique_ptr<postgres::Pool> pool;
};

Result<OutboxSchema> MakeOutbox() {
  const auto server = testing::SharedPostgresServer();
  if (!server) return server.error();
  const auto database = (*server)->CreateDatabase();
  if (!database) return database.error();
  if (const auto migrated =
          postgres::Migrate(database->admin_dsn, "ingestion", "tidewheel_ingestion", {});
      !migrated) {
    return migrated.error();
  }
  return OutboxSchema{*database, std::make_unique<postgres::Pool>(postgres::PoolOptions{
                                     .dsn = database->DsnOf("tidewheel_ingestion"),
                                     .search_path = "ingestion",
                                     .connections = 8})};
}

postgres::OutboxMessage Queued(const Message& message) {
  return {.event_id = message.event_id,
          .topic = message.topic,
          .key = message.key,
          .type = message.type,
          .headers = {{"ce_dataschemaversion", "3"}},
          .payload = message.payload,
          .traceparent = ""};
}

}  // namespace

int RunMember(const std::vector<std::string>& arguments) {
  BrokerOptions options;
  options.driver = arguments.at(0);
  options.address = arguments.at(1);
  options.session_timeout = milliseconds{std::stol(arguments.at(4))};
  const milliseconds pause{std::stol(arguments.at(5))};
  auto broker = OpenBroker(options);
  if (!broker) return 1;
  const std::vector<std::string> topics = {arguments.at(3)};
  auto subscription = (*broker)->Subscribe(arguments.at(2), topics);
  if (!subscription) return 1;
  while (true) {
    const auto polled = (*subscription)->Poll(20, milliseconds{100});
    if (!polled || polled->empty()) continue;
    for (const Delivery& delivery : *polled) {
      std::printf("d %d %lld %s\n", delivery.partition, static_cast<long long>(delivery.offset),
                  delivery.message.event_id.c_str());
    }
    std::fflush(stdout);
    std::this_thread::sleep_for(pause);
    const auto committed = (*subscription)->CommitAfter(*polled);
    std::printf("c %s\n",
                committed.ok() ? "OK" : std::string(Name(committed.error().code)).c_str());
    std::fflush(stdout);
  }
}

void BusContractTest::SetUp() {
  const auto server = SharedServer(GetParam());
  if (!server && server.error().code == ErrorCode::kNotFound)
    GTEST_SKIP() << server.error().message;
  ASSERT_TRUE(server.ok()) << server.error().message;
  server_ = *server;
  group_ = "group." + NewUuid();
  options_ = server_->Options();
  options_.source = "contract";
  options_.session_timeout = milliseconds{1'500};
  auto broker = OpenBroker(options_);
  ASSERT_TRUE(broker.ok()) << broker.error().message;
  broker_ = std::move(*broker);
}

std::string BusContractTest::NewTopic(int partitions) {
  const std::string topic = "test." + NewUuid();
  const auto ensured = broker_->EnsureTopics({&topic, 1}, partitions);
  EXPECT_TRUE(ensured.ok()) << ensured.error().message;
  return topic;
}

std::unique_ptr<Publisher> BusContractTest::NewPublisher() {
  auto publisher = broker_->NewPublisher();
  EXPECT_TRUE(publisher.ok()) << publisher.error().message;
  return std::move(*publisher);
}

std::unique_ptr<Subscription> BusContractTest::Subscribe(const std::string& group,
                                                         const std::string& topic) {
  auto subscription = broker_->Subscribe(group, {&topic, 1});
  EXPECT_TRUE(subscription.ok()) << subscription.error().message;
  return std::move(*subscription);
}

TEST_P(BusContractTest, CarriesEveryFieldUnchanged) {
  const std::string topic = NewTopic(1);
  Message message;
  message.topic = topic;
  message.key = "sample-\xC3\xA9";
  message.event_id = NewUuid();
  message.type = "tidewheel.events.v1.SampleAccepted";
  message.source = "ingestion";
  message.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  message.time = *ParseUtc("2026-01-02T10:00:00.123456Z");
  message.schema_version = 7;
  message.payload = std::string("\0\x01\xFF\\\"{}", 7);
  message.headers = {
      {"plain", "value"}, {"odd", "a,\"b\"\\ {c}\n"}, {"empty", ""}, {"null", "NULL"}};
  Message bare;
  bare.topic = topic;

  ASSERT_TRUE(NewPublisher()->Publish(std::vector{message, bare}).ok());
  const auto got = PollUntil(*Subscribe(group_, topic), 2);

  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].message, message);
  EXPECT_EQ(got[0].partition, 0);
  EXPECT_LT(got[0].offset, got[1].offset);
  EXPECT_TRUE(IsUuid(got[1].message.event_id));
  EXPECT_GT(got[1].message.time, message.time);
  EXPECT_EQ(got[1].message.source, "contract");
  EXPECT_EQ(got[1].message.payload, "");
}

TEST_P(BusContractTest, MakesTopicsOnceWhoeverAsks) {
  const std::string topic = "test." + NewUuid();
  std::atomic<int> failures = 0;
  {
    std::vector<std::jthread> services;
    for (int i = 0; i < 4; ++i) {
      services.emplace_back([&] {
        failures += broker_->EnsureTopics({&topic, 1}, 3).ok() ? 0 : 1;
      });
    }
  }
  EXPECT_EQ(failures, 0);
  EXPECT_TRUE(broker_->EnsureTopics({&topic, 1}, 9).ok());  // Keeps what it has.
  EXPECT_EQ(broker_->Extent(topic)->size(), 3u);
  EXPECT_EQ(broker_->Extent(DeadLetterTopic(topic))->size(), 1u);
  EXPECT_TRUE(broker_->Ping().ok());
}

TEST_P(BusContractTest, RefusesATopicThatIsNotThere) {
  const std::string topic = "test." + NewUuid();
  const auto published = NewPublisher()->Publish(std::vector{Numbered(topic, "k", 1)});

  ASSERT_FALSE(published.ok());
  EXPECT_EQ(published.error().code, ErrorCode::kNotFound) << published.error().message;
  EXPECT_EQ(broker_->Extent(topic).error().code, ErrorCode::kNotFound);
}

TEST_P(BusContractTest, KeepsTheOrderOfEachKey) {
  constexpr int kKeys = 20;
  constexpr int kEach = 60;
  const std::string topic = NewTopic(4);
  {
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < 2; ++writer) {
      writers.emplace_back([&, writer] {
        const auto publisher = NewPublisher();
        for (int number = 1; number <= kEach; number += 3) {
          std::vector<Message> messages;
          for (int i = 0; i < 3; ++i) {
            for (int key = writer; key < kKeys; key += 2) {
              messages.push_back(Numbered(topic, "key-" + std::to_string(key), number + i));
            }
          }
          PublishSurely(*publisher, messages);
        }
      });
    }
  }

  Effects effects;
  for (const Delivery& delivery : PollUntil(*Subscribe(group_, topic), kKeys * kEach)) {
    effects.Apply(delivery);
  }
  EXPECT_EQ(effects.events(), std::size_t{kKeys * kEach});
  EXPECT_EQ(effects.deliveries(), std::size_t{kKeys * kEach});
  EXPECT_EQ(effects.disorder(), "");
}

TEST_P(BusContractTest, DeliversAgainWhatWasNotCommitted) {
  const std::string topic = NewTopic(1);
  std::vector<Message> messages;
  for (int i = 1; i <= 10; ++i) messages.push_back(Numbered(topic, "k", i));
  ASSERT_TRUE(NewPublisher()->Publish(messages).ok());

  {
    const auto first = Subscribe(group_, topic);
    const auto got = PollUntil(*first, 10);
    ASSERT_EQ(got.size(), 10u);
    ASSERT_TRUE(first->CommitAfter(std::span(got).first(4)).ok());
  }
  const auto again = PollUntil(*Subscribe(group_, topic), 6);

  ASSERT_EQ(again.size(), 6u);
  EXPECT_EQ(NumberOf(again.front()), 5);
  EXPECT_EQ(NumberOf(again.back()), 10);
}

TEST_P(BusContractTest, GivesEveryGroupAllAndSharesWithinAGroup) {
  const std::string topic = NewTopic(4);
  Effects alone;
  Effects shared;
  const Member single(Subscribe("alone." + topic, topic), alone);
  const Member one(Subscribe("shared." + topic, topic), shared);
  const Member two(Subscribe("shared." + topic, topic), shared);
  ASSERT_TRUE(
      Eventually(kPatience, [&] { return one.partitions() == 2 && two.partitions() == 2; }));

  const auto publisher = NewPublisher();
  for (int number = 1; number <= 10; ++number) {
    std::vector<Message> messages;
    for (int key = 0; key < 40; ++key) {
      messages.push_back(Numbered(topic, "key-" + std::to_string(key), number));
    }
    ASSERT_TRUE(publisher->Publish(messages).ok());
  }

  EXPECT_TRUE(
      Eventually(kPatience, [&] { return alone.events() == 400 && shared.events() == 400; }));
  EXPECT_EQ(single.partitions(), 4u);
  EXPECT_EQ(one.handled() + two.handled(), 400u);
  EXPECT_GT(one.handled(), 0u);
  EXPECT_GT(two.handled(), 0u);
  EXPECT_EQ(alone.disorder(), "");
  EXPECT_EQ(shared.disorder(), "");
}

TEST_P(BusContractTest, HandsPartitionsOverWhenMembersJoinAndLeave) {
  constexpr int kKeys = 16;
  const std::string topic = NewTopic(4);
  Effects effects;
  std::atomic<int> published = 0;
  Worker writer("writer", [&](std::stop_token stop) {
    const auto publisher = NewPublisher();
    for (int number = 1; !stop.stop_requested(); ++number) {
      std::vector<Message> messages;
      for (int key = 0; key < kKeys; ++key) {
        messages.push_back(Numbered(topic, "key-" + std::to_string(key), number));
      }
      PublishSurely(*publisher, messages);
      published += kKeys;
      Pause().Wait(stop, milliseconds{5});
    }
  });

  const Member first(Subscribe(group_, topic), effects);
  ASSERT_TRUE(
      Eventually(kPatience, [&] { return first.partitions() == 4 && first.handled() > 0; }));
  {
    const Member second(Subscribe(group_, topic), effects);
    ASSERT_TRUE(
        Eventually(kPatience, [&] { return first.partitions() == 2 && second.partitions() == 2; }));
    const Member third(Subscribe(group_, topic), effects);
    ASSERT_TRUE(Eventually(kPatience, [&] {
      return third.partitions() >= 1 && second.partitions() >= 1 && first.partitions() >= 1 &&
             first.partitions() + second.partitions() + third.partitions() == 4;
    }));
    const auto before = third.handled();
    ASSERT_TRUE(Eventually(kPatience, [&] { return third.handled() > before; }));
  }
  ASSERT_TRUE(Eventually(kPatience, [&] { return first.partitions() == 4; }));
  writer.RequestStop();

  EXPECT_TRUE(Eventually(kPatience,
                         [&] { return effects.events() == static_cast<std::size_t>(published); }))
      << effects.events() << " of " << published;
  EXPECT_EQ(effects.disorder(), "");
}

TEST_P(BusContractTest, LetsMembersGoAtAnyMoment) {
  const std::string topic = NewTopic(1);
  Effects effects;
  const Member owner(Subscribe(group_, topic), effects);
  ASSERT_TRUE(Eventually(kPatience, [&] { return owner.partitions() == 1; }));
  // Also before it is told what it gets, and when there is nothing left for it.
  for (int delay = 0; delay < 8; ++delay) {
    const auto visitor = Subscribe(group_, topic);
    (void)visitor->Poll(1, milliseconds{delay * 4});
    const auto alone = Subscribe(group_ + "." + std::to_string(delay), topic);
    (void)alone->Poll(1, milliseconds{delay * 4});
  }
  ASSERT_TRUE(NewPublisher()->Publish(std::vector{Numbered(topic, "k", 1)}).ok());
  EXPECT_TRUE(Eventually(kPatience, [&] { return effects.events() == 1; }));
}

TEST_P(BusContractTest, LetsManyMembersGoAtOnceAtAnyMoment) {
  constexpr int kThreads = 5;
  constexpr int kRounds = 6;
  const std::string topic = NewTopic(4);
  Effects effects;
  {
    const Member owner(Subscribe(group_, topic), effects);
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        Random random(StableHash("member", static_cast<std::uint64_t>(thread)));
        for (int round = 0; round < kRounds; ++round) {
          auto visitor = broker_->Subscribe(group_, {&topic, 1});
          EXPECT_TRUE(visitor.ok());
          if (!visitor) return;
          // From before it has joined until it has its share; a rebalance runs nearly always.
          const milliseconds stay{1 << random.Below(10)};
          (void)(*visitor)->Poll(1, stay);
          if (random.Below(2) == 0) (*visitor)->KeepAlive();
        }
      });
    }
  }
  ASSERT_TRUE(NewPublisher()->Publish(std::vector{Numbered(topic, "k", 1)}).ok());
  const Member last(Subscribe(group_, topic), effects);
  EXPECT_TRUE(Eventually(kPatience, [&] { return effects.events() == 1; }));
}

TEST_P(BusContractTest, ReadsOnWhenPartitionsMoveWhileAHandlerWaits) {
  const std::string topic = NewTopic(2);
  Effects effects;
  std::atomic<bool> repaired = false;
  const Consumer consumer(*broker_,
                          {.group = group_,
                           .topics = {topic},
                           .wait = milliseconds{100},
                           .first_backoff = milliseconds{10},
                           .last_backoff = milliseconds{20}},
                          Consumer::OneByOne([&](const Delivery& delivery) -> Result<void> {
                            if (!repaired) return Error{ErrorCode::kUnavailable, "not now"};
                            effects.Apply(delivery);
                            return {};
                          }));
  const auto publisher = NewPublisher();
  const auto publish = [&](int number) {
    for (const char* key : {"a", "b", "c", "d"}) {
      PublishSurely(*publisher, std::vector{Numbered(topic, key, number)});
    }
  };
  publish(1);
  for (int visit = 0; visit < 3; ++visit) {
    // A driver may leave its partitions to a member as long as its handler waits.
    const auto visitor = Subscribe(group_, topic);
    for (int poll = 0; poll < 40 && visitor->Assignment().empty(); ++poll) {
      (void)visitor->Poll(1, milliseconds{50});
    }
  }
  repaired = true;
  publish(2);
  EXPECT_TRUE(Eventually(kPatience, [&] { return effects.events() == 8; })) << effects.events();
  EXPECT_EQ(effects.disorder(), "");
}

TEST_P(BusContractTest, TakesOverFromAKilledMember) {
  const std::string topic = NewTopic(2);
  auto victim = StartMember(options_, group_, topic, seconds{60});
  std::vector<Message> messages;
  for (int i = 1; i <= 10; ++i) {
    messages.push_back(Numbered(topic, "a", i));
    messages.push_back(Numbered(topic, "b", i));
    messages.push_back(Numbered(topic, "c", i));
  }
  ASSERT_TRUE(NewPublisher()->Publish(messages).ok());
  ASSERT_TRUE(victim.ReadLine(kPatience).has_value());  // It handles, and has committed nothing.

  Effects effects;
  const Member survivor(Subscribe(group_, topic), effects);
  victim.Kill(SIGKILL);

  EXPECT_TRUE(Eventually(kPatience, [&] { return effects.events() == 30; })) << effects.events();
  EXPECT_EQ(survivor.partitions(), 2u);
  EXPECT_EQ(effects.disorder(), "");
}

TEST_P(BusContractTest, RefusesTheCommitOfAFrozenMember) {
  const std::string topic = NewTopic(1);
  auto zombie = StartMember(options_, group_, topic, milliseconds{300});
  const auto publisher = NewPublisher();
  ASSERT_TRUE(publisher->Publish(std::vector{Numbered(topic, "k", 1)}).ok());
  const auto handled = zombie.ReadLine(kPatience);
  ASSERT_TRUE(handled.has_value());
  zombie.Kill(SIGSTOP);

  Effects effects;
  const Member successor(Subscribe(group_, topic), effects);
  ASSERT_TRUE(Eventually(kPatience, [&] { return effects.events() == 1; }));
  ASSERT_TRUE(publisher->Publish(std::vector{Numbered(topic, "k", 2)}).ok());
  ASSERT_TRUE(Eventually(kPatience, [&] {
    const auto lag = broker_->Lag(group_);
    return effects.events() == 2 && lag.ok() && lag->size() == 1 && lag->front().lag == 0;
  }));
  zombie.Kill(SIGCONT);

  std::optional<std::string> line = zombie.ReadLine(kPatience);
  EXPECT_EQ(line.value_or("nothing"), "c ABORTED");
  const auto lag = broker_->Lag(group_);
  ASSERT_TRUE(lag.ok());
  EXPECT_EQ(lag->front().lag, 0);  // It did not move the position back.
}

TEST_P(BusContractTest, RefusesTheCommitOfAMemberThatHandlesForTooLong) {
  options_.max_handling = options_.session_timeout;
  auto impatient = OpenBroker(options_);
  ASSERT_TRUE(impatient.ok());
  const std::string topic = NewTopic(1);
  ASSERT_TRUE(NewPublisher()->Publish(std::vector{Numbered(topic, "k", 1)}).ok());
  auto slow = (*impatient)->Subscribe(group_, {&topic, 1});
  ASSERT_TRUE(slow.ok());
  const auto got = PollUntil(**slow, 1);
  ASSERT_EQ(got.size(), 1u);

  // It lives, but neither polls nor keeps alive.
  Effects effects;
  {
    const Member successor(Subscribe(group_, topic), effects);
    ASSERT_TRUE(Eventually(kPatience, [&] { return effects.events() == 1; }));
  }
  const auto committed = (*slow)->CommitAfter(got);

  ASSERT_FALSE(committed.ok());
  EXPECT_EQ(committed.error().code, ErrorCode::kAborted) << committed.error().message;
}

TEST_P(BusContractTest, KeepsThePartitionsOfAMemberThatKeepsAlive) {
  options_.max_handling = options_.session_timeout;
  auto impatient = OpenBroker(options_);
  ASSERT_TRUE(impatient.ok());
  const std::string topic = NewTopic(1);
  ASSERT_TRUE(
      NewPublisher()->Publish(std::vector{Numbered(topic, "k", 1), Numbered(topic, "k", 2)}).ok());
  auto slow = (*impatient)->Subscribe(group_, {&topic, 1});
  ASSERT_TRUE(slow.ok());
  const auto got = PollUntil(**slow, 1);
  ASSERT_EQ(got.size(), 1u);

  const auto end = std::chrono::steady_clock::now() + 3 * options_.session_timeout;
  Eventually(kPatience, [&] {
    (*slow)->KeepAlive();
    return std::chrono::steady_clock::now() > end;
  });

  EXPECT_TRUE((*slow)->CommitAfter(got).ok());
  const auto next = PollUntil(**slow, 1);
  ASSERT_EQ(next.size(), 1u);  // And what came meanwhile was not lost.
  EXPECT_EQ(NumberOf(next[0]), 2);
}

TEST_P(BusContractTest, ReadsAgainFromAnywhere) {
  const std::string topic = NewTopic(1);
  const auto publisher = NewPublisher();
  for (int i = 1; i <= 5; ++i) {
    ASSERT_TRUE(publisher->Publish(std::vector{Numbered(topic, "k", i)}).ok());
  }
  // Kafka keeps milliseconds: the next ones are surely later than this.
  std::this_thread::sleep_for(milliseconds{20});
  const Timestamp between = SystemClock().Now();
  std::this_thread::sleep_for(milliseconds{20});
  for (int i = 6; i <= 10; ++i) {
    ASSERT_TRUE(publisher->Publish(std::vector{Numbered(topic, "k", i)}).ok());
  }
  auto subscription = Subscribe(group_, topic);
  const auto all = PollUntil(*subscription, 10);
  ASSERT_EQ(all.size(), 10u);
  ASSERT_TRUE(subscription->CommitAfter(all).ok());

  ASSERT_TRUE(subscription->Seek(topic, 0, StartFrom::Beginning()).ok());
  EXPECT_EQ(EventIds(PollUntil(*subscription, 10)), EventIds(all));
  ASSERT_TRUE(subscription->Seek(topic, 0, StartFrom::Offset(all[7].offset)).ok());
  EXPECT_EQ(NumberOf(PollUntil(*subscription, 3).front()), 8);
  ASSERT_TRUE(subscription->Seek(topic, 0, StartFrom::Time(between)).ok());
  EXPECT_EQ(NumberOf(PollUntil(*subscription, 5).front()), 6);
  ASSERT_TRUE(subscription->Seek(topic, 0, StartFrom::End()).ok());
  ASSERT_TRUE(publisher->Publish(std::vector{Numbered(topic, "k", 11)}).ok());
  EXPECT_EQ(NumberOf(PollUntil(*subscription, 1).front()), 11);
  EXPECT_EQ(subscription->Seek(topic, 5, StartFrom::End()).error().code,
            ErrorCode::kFailedPrecondition);

  EXPECT_EQ(broker_->Replay(group_, topic, StartFrom::Beginning()).error().code,
            ErrorCode::kFailedPrecondition);
  subscription.reset();
  Result<void> replayed;
  ASSERT_TRUE(Eventually(kPatience, [&] {
    replayed = broker_->Replay(group_, topic, StartFrom::Time(between));
    return replayed.ok();
  })) << replayed.error().message;
  subscription = Subscribe(group_, topic);
  const auto again = PollUntil(*subscription, 6);
  ASSERT_EQ(again.size(), 6u);
  EXPECT_EQ(NumberOf(again.front()), 6);
}

TEST_P(BusContractTest, TellsHowFarAGroupIsBehind) {
  const std::string topic = NewTopic(2);
  std::vector<Message> messages;
  for (int i = 1; i <= 10; ++i) messages.push_back(Numbered(topic, "key-" + std::to_string(i), 1));
  ASSERT_TRUE(NewPublisher()->Publish(messages).ok());
  const auto behind = [&] {
    std::int64_t lag = 0;
    const auto rows = broker_->Lag(group_);
    EXPECT_TRUE(rows.ok());
    for (const PartitionLag& row : *rows) lag += row.lag;
    return lag;
  };

  const auto subscription = Subscribe(group_, topic);
  const auto got = PollUntil(*subscription, 10);
  ASSERT_EQ(got.size(), 10u);
  std::map<int, std::int64_t> ends;
  for (const Delivery& delivery : got) ends[delivery.partition] = delivery.offset + 1;
  ASSERT_TRUE(subscription->CommitAfter(got).ok());
  EXPECT_EQ(behind(), 0);
  const auto extents = broker_->Extent(topic);
  ASSERT_TRUE(extents.ok());
  for (const PartitionExtent& extent : *extents) {
    EXPECT_EQ(extent.begin, 0);
    EXPECT_EQ(extent.end, ends[extent.partition]);
  }

  ASSERT_TRUE(NewPublisher()->Publish(std::vector{Numbered(topic, "k", 1)}).ok());
  EXPECT_EQ(behind(), 1);
}

TEST_P(BusContractTest, RetriesInOrderAndPutsAsideWhatFailsForGood) {
  const std::string topic = NewTopic(1);
  std::vector<Message> messages;
  for (int i = 1; i <= 20; ++i) messages.push_back(Numbered(topic, "k", i));
  messages[6].headers["kept"] = "yes";
  ASSERT_TRUE(NewPublisher()->Publish(messages).ok());

  Tally handled;
  Tally dead;
  Tally retried;
  std::atomic<bool> repaired = false;
  std::atomic<int> refusals = 3;
  std::mutex mutex;  // Guards numbers and headers.
  std::vector<int> numbers;
  std::map<std::string, std::string> headers;
  const Consumer consumer(
      *broker_,
      {.group = group_,
       .topics = {topic},
       .wait = milliseconds{100},
       .first_backoff = milliseconds{10},
       .counters = {.handled = handled, .dead_lettered = dead, .retried = retried}},
      Consumer::OneByOne([&](const Delivery& delivery) -> Result<void> {
        const int number = NumberOf(delivery);
        if (number == 3 && refusals-- > 0) return Error{ErrorCode::kUnavailable, "not now"};
        if ((number == 7 || number == 13) && !repaired) {
          return Error{ErrorCode::kInvalidArgument, "number " + std::to_string(number)};
        }
        const std::lock_guard lock(mutex);
        if (numbers.empty() || std::find(numbers.begin(), numbers.end(), number) == numbers.end()) {
          numbers.push_back(number);
        }
        if (number == 7) headers = delivery.message.headers;
        return {};
      }));
  const auto count = [&] {
    const std::lock_guard lock(mutex);
    return numbers.size();
  };
  ASSERT_TRUE(Eventually(kPatience, [&] { return count() == 18 && dead.total() == 2; }));
  {
    const std::lock_guard lock(mutex);
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
  }
  EXPECT_EQ(retried.total(), 3);
  EXPECT_TRUE(consumer.connected());

  const auto letters = PollUntil(*Subscribe("watch." + topic, DeadLetterTopic(topic)), 2);
  ASSERT_EQ(letters.size(), 2u);
  EXPECT_EQ(letters[0].message.event_id, messages[6].event_id);
  EXPECT_EQ(letters[0].message.payload, "7");
  auto told = letters[0].message.headers;
  EXPECT_EQ(told["dlq_reason"], "INVALID_ARGUMENT: number 7");
  EXPECT_EQ(told["dlq_topic"], topic);
  EXPECT_EQ(told["dlq_partition"], "0");
  EXPECT_EQ(told["dlq_offset"], "6");
  EXPECT_EQ(told["dlq_group"], group_);
  EXPECT_EQ(told["kept"], "yes");

  repaired = true;
  const auto moved = ReplayDeadLetters(*broker_, topic);
  ASSERT_TRUE(moved.ok()) << moved.error().message;
  EXPECT_EQ(*moved, 2u);
  EXPECT_TRUE(Eventually(kPatience, [&] { return count() == 20; }));
  {
    const std::lock_guard lock(mutex);
    EXPECT_EQ(headers, (std::map<std::string, std::string>{{"dlq_replays", "1"}, {"kept", "yes"}}));
  }
  const auto again = ReplayDeadLetters(*broker_, topic);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(*again, 0u);
}

TEST_P(BusContractTest, MovesAHundredThousandMessagesWithoutLossOrRepeatInEffect) {
  constexpr int kKeys = 100;
  constexpr int kEach = 1'000;
  const std::string topic = NewTopic(4);
  Effects effects;
  Tally handled;
  const auto handler = [&](std::span<const Delivery> deliveries) -> Result<void> {
    for (const Delivery& delivery : deliveries) effects.Apply(delivery);
    return {};
  };
  const ConsumerOptions options{.group = group_,
                                .topics = {topic},
                                .at_most = 1'000,
                                .wait = milliseconds{200},
                                .counters = {.handled = handled}};
  const Consumer one(*broker_, options, Consumer::Handler(handler));
  auto two = std::make_unique<Consumer>(*broker_, options, Consumer::Handler(handler));
  {
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < 2; ++writer) {
      writers.emplace_back([&, writer] {
        const auto publisher = NewPublisher();
        for (int number = 1; number <= kEach; number += 10) {
          std::vector<Message> messages;
          for (int i = 0; i < 10; ++i) {
            for (int key = writer; key < kKeys; key += 2) {
              messages.push_back(Numbered(topic, "key-" + std::to_string(key), number + i));
            }
          }
          PublishSurely(*publisher, messages);
        }
      });
    }
    // A rebalance in the middle of it.
    EXPECT_TRUE(Eventually(kPatience, [&] { return effects.events() > 20'000; }));
    two.reset();
  }

  EXPECT_TRUE(Eventually(kPatience, [&] { return effects.events() == kKeys * kEach; }))
      << effects.events();
  EXPECT_EQ(effects.disorder(), "");
}

TEST_P(BusContractTest, NeverSkipsAMessageOfAConcurrentPublisher) {
  constexpr int kWriters = 6;
  constexpr int kEach = 80;
  const std::string topic = NewTopic(1);
  Effects effects;
  const Member reader(Subscribe(group_, topic), effects);
  {
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < kWriters; ++writer) {
      writers.emplace_back([&, writer] {
        const auto publisher = NewPublisher();
        for (int number = 1; number <= kEach; ++number) {
          PublishSurely(*publisher,
                        std::vector{Numbered(topic, "writer-" + std::to_string(writer), number)});
        }
      });
    }
  }
  EXPECT_TRUE(Eventually(kPatience, [&] { return effects.events() == kWriters * kEach; }))
      << effects.events();
  EXPECT_EQ(effects.disorder(), "");
}

TEST_P(BusContractTest, NeverSkipsALateCommitOfTheOutbox) {
  constexpr int kWriters = 4;
  constexpr int kEach = 50;
  auto outbox_schema = MakeOutbox();
  if (!outbox_schema && outbox_schema.error().code == ErrorCode::kNotFound) {
    GTEST_SKIP() << outbox_schema.error().message;
  }
  ASSERT_TRUE(outbox_schema.ok()) << outbox_schema.error().message;
  postgres::Pool& pool = *outbox_schema->pool;
  const postgres::Outbox outbox("ingestion");
  const std::string topic = NewTopic(2);
  Effects effects;
  const Member reader(Subscribe(group_, topic), effects);
  Tally relayed;
  // Two copies of the service.
  const OutboxRelay relay(pool, *broker_, {.schema = "ingestion", .relayed = relayed});
  const OutboxRelay standby(pool, *broker_, {.schema = "ingestion", .relayed = relayed});

  // Takes the lowest ids first, and commits last.
  const Message late = Numbered(topic, "late", 1);
  const auto committed = pool.InTransaction([&](pqxx::work& tx) -> Result<void> {
    if (auto queued = outbox.Enqueue(tx, Queued(late)); !queued) return queued;
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < kWriters; ++writer) {
      writers.emplace_back([&, writer] {
        for (int number = 1; number <= kEach; ++number) {
          const auto done = pool.InTransaction([&](pqxx::work& own) {
            return outbox.Enqueue(
                own, Queued(Numbered(topic, "writer-" + std::to_string(writer), number)));
          });
          EXPECT_TRUE(done.ok());
        }
      });
    }
    writers.clear();
    EXPECT_TRUE(Eventually(kPatience, [&] { return effects.events() == kWriters * kEach; }))
        << effects.events();
    return {};
  });
  ASSERT_TRUE(committed.ok());

  EXPECT_TRUE(Eventually(kPatience, [&] { return effects.Has(late.event_id); }));
  EXPECT_EQ(effects.events(), std::size_t{kWriters * kEach + 1});
  EXPECT_EQ(effects.disorder(), "");
  EXPECT_TRUE(Eventually(kPatience, [&] {
    return pool.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::int64_t> {
                 return outbox.Backlog(tx).messages;
               })
               .value() == 0;
  }));
  EXPECT_EQ(relayed.total(), kWriters * kEach + 1);
}

TEST_P(BusContractTest, KeepsAnOutboxRowThatTheBusRefuses) {
  auto outbox_schema = MakeOutbox();
  if (!outbox_schema && outbox_schema.error().code == ErrorCode::kNotFound) {
    GTEST_SKIP() << outbox_schema.error().message;
  }
  ASSERT_TRUE(outbox_schema.ok()) << outbox_schema.error().message;
  postgres::Pool& pool = *outbox_schema->pool;
  const postgres::Outbox outbox("ingestion");
  const std::string topic = NewTopic(1);
  const std::string missing = "test." + NewUuid();
  const std::vector<postgres::OutboxMessage> messages = {Queued(Numbered(topic, "k", 1)),
                                                         Queued(Numbered(missing, "k", 1)),
                                                         Queued(Numbered(topic, "k", 2))};
  ASSERT_TRUE(
      pool.InTransaction([&](pqxx::work& tx) { return outbox.Enqueue(tx, messages); }).ok());

  Effects effects;
  Tally refused;
  const Member reader(Subscribe(group_, topic), effects);
  const OutboxRelay relay(
      pool, *broker_,
      {.schema = "ingestion", .poll_interval = milliseconds{100}, .refused = refused});
  EXPECT_TRUE(Eventually(kPatience, [&] { return effects.events() == 2 && refused.total() == 1; }));

  // Once there is a place for it, it goes.
  ASSERT_TRUE(broker_->EnsureTopics({&missing, 1}, 1).ok());
  const auto got = PollUntil(*Subscribe("other." + topic, missing), 1);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].message.event_id, messages[1].event_id);
  EXPECT_EQ(got[0].message.schema_version, 3);
}

TEST_P(BusContractTest, LosesNothingWhenTheServerIsKilled) {
  constexpr int kKeys = 8;
  const std::string topic = NewTopic(4);
  std::mutex mutex;  // Guards acknowledged.
  std::vector<std::string> acknowledged;
  Effects effects;
  const Consumer consumer(
      *broker_, {.group = group_, .topics = {topic}, .at_most = 50, .wait = milliseconds{100}},
      Consumer::Handler([&](std::span<const Delivery> deliveries) {
        for (const Delivery& delivery : deliveries) effects.Apply(delivery);
        return Result<void>();
      }));
  std::vector<std::unique_ptr<Worker>> writers;
  for (int writer = 0; writer < 2; ++writer) {
    writers.push_back(std::make_unique<Worker>("writer", [&, writer](std::stop_token stop) {
      const auto publisher = NewPublisher();
      for (int number = 1; !stop.stop_requested(); ++number) {
        std::vector<Message> messages;
        for (int key = writer; key < kKeys; key += 2) {
          messages.push_back(Numbered(topic, "key-" + std::to_string(key), number));
        }
        PublishSurely(*publisher, messages);  // Again until acknowledged.
        const std::lock_guard lock(mutex);
        for (const Message& message : messages) acknowledged.push_back(message.event_id);
      }
    }));
  }
  ASSERT_TRUE(Eventually(kPatience, [&] { return effects.events() > 1'000; }));

  server_->Kill();
  ASSERT_TRUE(Eventually(kPatience, [&] { return !broker_->Ping().ok(); }));
  const auto restarted = server_->Restart();
  ASSERT_TRUE(restarted.ok()) << restarted.error().message;
  const auto before = effects.events();
  ASSERT_TRUE(Eventually(kPatience, [&] { return effects.events() > before + 1'000; }));
  writers.clear();

  EXPECT_TRUE(Eventually(kPatience,
                         [&] {
                           const std::lock_guard lock(mutex);
                           for (const std::string& event_id : acknowledged) {
                             if (!effects.Has(event_id)) return false;
                           }
                           return effects.events() == acknowledged.size();
                         }))
      << effects.events() << " of " << acknowledged.size();
  EXPECT_EQ(effects.disorder(), "");
}

}  // namespace tidewheel::bus

#ifdef __SANITIZE_ADDRESS__
// libpqxx 6.4 forgets one result when a server dies in the middle of a statement.
extern "C" const char* __lsan_default_suppressions() { return "leak:libpqxx\n"; }
#endif

int main(int count, char** words) {
  const std::vector<std::string> arguments(words + 1, words + count);
  if (!arguments.empty() && arguments[0] == "member") {
    return tidewheel::bus::RunMember({arguments.begin() + 1, arguments.end()});
  }
  ::testing::InitGoogleTest(&count, words);
  return RUN_ALL_TESTS();
}
