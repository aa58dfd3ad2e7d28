#include "tidewheel/postgres/outbox.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "tidewheel/base/ids.h"
#include "tidewheel/base/worker.h"
#include "tidewheel/postgres/inbox.h"
#include "tidewheel/postgres/listener.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/testing/postgres_server.h"

namespace tidewheel::postgres {
namespace {

using namespace std::chrono_literals;

class OutboxTest : public testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const auto migrated = Migrate(database_.admin_dsn, "ingestion", "tidewheel_ingestion", {});
    ASSERT_TRUE(migrated.ok()) << migrated.error().message;
    pool_.emplace(
        PoolOptions{.dsn = database_.DsnOf("tidewheel_ingestion"), .search_path = "ingestion"});
  }

  static OutboxMessage Message(std::string key, std::string payload = "payload") {
    return {.event_id = NewUuid(),
            .topic = "tidewheel.samples",
            .key = std::move(key),
            .type = "added",
            .headers = {},
            .payload = std::move(payload),
            .traceparent = ""};
  }
  Result<void> Enqueue(std::span<const OutboxMessage> messages) {
    return pool_->InTransaction([&](pqxx::work& tx) { return outbox_.Enqueue(tx, messages); });
  }
  std::vector<QueuedMessage> TakeAndDelete(std::size_t limit) {
    auto batch = pool_->InTransaction([&](pqxx::work& tx) -> Result<std::vector<QueuedMessage>> {
      auto taken = outbox_.TakeBatch(tx, limit);
      EXPECT_TRUE(taken.has_value());
      std::vector<std::int64_t> ids;
      for (const auto& message : *taken) ids.push_back(message.id);
      outbox_.Delete(tx, ids);
      return *taken;
    });
    EXPECT_TRUE(batch.ok()) << batch.error().message;
    return batch.ok() ? *batch : std::vector<QueuedMessage>{};
  }

  std::optional<Pool> pool_;
  const Outbox outbox_{"ingestion"};
  const Inbox inbox_{"ingestion"};
};

TEST_F(OutboxTest, EveryByteComesBackInOrder) {
  std::vector<OutboxMessage> messages;
  for (int i = 0; i < 3000; ++i)
    messages.push_back(Message(std::to_string(i), std::string("\0\xff\\", 3)));
  messages[0].headers = {{"ce_type", "a \"quoted\" \\ text"},
                         {"line", "one\ntwo\ttab\x01"},
                         {"größe", "ü,:{}"},
                         {"", ""}};
  messages[0].traceparent = "00-abc-def-01";

  ASSERT_TRUE(Enqueue(messages).ok());
  const auto first = TakeAndDelete(1000);
  const auto rest = TakeAndDelete(10000);

  ASSERT_EQ(first.size(), 1000u);
  ASSERT_EQ(rest.size(), 2000u);
  EXPECT_EQ(first[0].message.headers, messages[0].headers);
  EXPECT_EQ(first[0].message.payload, messages[0].payload);
  EXPECT_EQ(first[0].message.event_id, messages[0].event_id);
  EXPECT_EQ(first[0].message.traceparent, messages[0].traceparent);
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(first[static_cast<std::size_t>(i)].message.key, std::to_string(i));
  for (int i = 0; i < 2000; ++i)
    EXPECT_EQ(rest[static_cast<std::size_t>(i)].message.key, std::to_string(1000 + i));
  EXPECT_TRUE(TakeAndDelete(10).empty());
}

TEST_F(OutboxTest, RolledBackEventIsNeverSeen) {
  const auto message = Message("k");
  const auto failed = pool_->InTransaction([&](pqxx::work& tx) -> Result<void> {
    if (auto queued = outbox_.Enqueue(tx, message); !queued) return queued;
    return Error{ErrorCode::kAborted, "no"};
  });

  EXPECT_FALSE(failed.ok());
  EXPECT_TRUE(TakeAndDelete(10).empty());
}

TEST_F(OutboxTest, BadMessagesAreRefused) {
  auto no_uuid = Message("k");
  no_uuid.event_id = "7";
  auto no_topic = Message("k");
  no_topic.topic = "";

  EXPECT_EQ(Enqueue({&no_uuid, 1}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Enqueue({&no_topic, 1}).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(OutboxTest, OneRelayAtATime) {
  const auto message = Message("k");
  ASSERT_TRUE(Enqueue({&message, 1}).ok());

  const auto outer = pool_->InTransaction([&](pqxx::work& tx) -> Result<void> {
    EXPECT_EQ(outbox_.TakeBatch(tx, 10)->size(), 1u);
    const auto other = pool_->InTransaction([&](pqxx::work& other_tx) -> Result<bool> {
      return outbox_.TakeBatch(other_tx, 10).has_value();
    });
    EXPECT_FALSE(*other);
    return {};
  });

  EXPECT_TRUE(outer.ok());
  EXPECT_EQ(TakeAndDelete(10).size(), 1u);
}

TEST_F(OutboxTest, LateCommitIsTakenLater) {
  const auto late = Message("late");
  const auto early = Message("early");
  const auto outer = pool_->InTransaction([&](pqxx::work& tx) -> Result<void> {
    if (auto queued = outbox_.Enqueue(tx, late); !queued) return queued;  // The lower id.
    EXPECT_TRUE(Enqueue({&early, 1}).ok());
    const auto seen = TakeAndDelete(10);
    EXPECT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].message.key, "early");
    return {};
  });
  ASSERT_TRUE(outer.ok());

  const auto seen = TakeAndDelete(10);

  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].message.key, "late");
}

TEST_F(OutboxTest, OrderPerEntityHoldsUnderConcurrentWriters) {
  ASSERT_TRUE(pool_
                  ->InTransaction([](pqxx::work& tx) -> Result<void> {
                    tx.exec("INSERT INTO inbox VALUES ('entity', gen_random_uuid())");
                    return {};
                  })
                  .ok());
  std::atomic<int> version = 0;
  std::vector<int> seen;
  {
    std::vector<std::jthread> writers;
    for (int w = 0; w < 4; ++w) {
      writers.emplace_back([&] {
        for (int i = 0; i < 50; ++i) {
          const auto done = pool_->InTransaction([&](pqxx::work& tx) -> Result<void> {
            tx.exec(
                "UPDATE inbox SET received_at = now() WHERE consumer = 'entity'");  // The entity's
                                                                                    // row lock.
            return outbox_.Enqueue(tx, Message("entity", std::to_string(++version)));
          });
          ASSERT_TRUE(done.ok()) << done.error().message;
        }
      });
    }
    while (seen.size() < 200) {
      for (const auto& message : TakeAndDelete(7))
        seen.push_back(std::stoi(message.message.payload));
    }
  }

  for (std::size_t i = 0; i < seen.size(); ++i) ASSERT_EQ(seen[i], static_cast<int>(i) + 1);
}

TEST_F(OutboxTest, BacklogTellsCountAndAge) {
  const auto backlog = [&] {
    return *pool_->ReadOnly(
        [&](pqxx::transaction_base& tx) -> Result<OutboxBacklog> { return outbox_.Backlog(tx); });
  };
  EXPECT_EQ(backlog().messages, 0);
  EXPECT_FALSE(backlog().oldest.has_value());
  const auto message = Message("k");
  ASSERT_TRUE(Enqueue({&message, 1}).ok());

  EXPECT_EQ(backlog().messages, 1);
  ASSERT_TRUE(backlog().oldest.has_value());
  EXPECT_LT(SystemClock().Now() - *backlog().oldest, 1h);
}

TEST_F(OutboxTest, InboxKnowsRepeats) {
  const std::string a = "AAAAAAAA-0000-7000-8000-000000000001";
  const std::string b = NewUuid();
  const auto ask = [&](const std::string& consumer, std::vector<std::string> ids) {
    return *pool_->InTransaction(
        [&](pqxx::work& tx) { return inbox_.FirstTimes(tx, consumer, ids); });
  };

  EXPECT_EQ(ask("one", {a, b, a}), (std::vector<bool>{true, true, false}));
  EXPECT_EQ(ask("one", {b, a}), (std::vector<bool>{false, false}));
  EXPECT_EQ(ask("two", {b}), std::vector<bool>{true});
  EXPECT_TRUE(ask("two", {}).empty());
  const auto single =
      pool_->InTransaction([&](pqxx::work& tx) { return inbox_.FirstTime(tx, "two", b); });
  EXPECT_FALSE(*single);
  const auto bad =
      pool_->InTransaction([&](pqxx::work& tx) { return inbox_.FirstTime(tx, "two", "x"); });
  EXPECT_EQ(bad.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(OutboxTest, InboxForgetsWhatIsOld) {
  const std::string id = NewUuid();
  ASSERT_TRUE(*pool_->InTransaction([&](pqxx::work& tx) { return inbox_.FirstTime(tx, "c", id); }));
  ASSERT_TRUE(pool_
                  ->InTransaction([](pqxx::work& tx) -> Result<void> {
                    tx.exec("UPDATE inbox SET received_at = now() - interval '2 days'");
                    return {};
                  })
                  .ok());
  const auto prune = [&](std::chrono::seconds age) {
    return *pool_->InTransaction(
        [&](pqxx::work& tx) -> Result<std::int64_t> { return inbox_.Prune(tx, age); });
  };

  EXPECT_EQ(prune(72h), 0);
  EXPECT_EQ(prune(24h), 1);
}

TEST_F(OutboxTest, ListenerWakesOnCommit) {
  Listener listener(database_.DsnOf("tidewheel_ingestion"), {outbox_.channel()});
  const auto connected = listener.Wait({}, 10s);
  ASSERT_TRUE(connected.ok()) << connected.error().message;
  EXPECT_EQ(connected->size(), 1u);  // Something may have been missed before.
  EXPECT_TRUE(listener.Wait({}, 20ms)->empty());
  std::jthread writer([&] {
    const auto message = Message("k");
    EXPECT_TRUE(Enqueue({&message, 1}).ok());
  });

  const auto woken = listener.Wait({}, 30s);

  ASSERT_TRUE(woken.ok());
  ASSERT_EQ(woken->size(), 1u);
  EXPECT_EQ(woken->front().channel, "outbox_ingestion");
}

TEST_F(OutboxTest, ListenerStopsAtOnce) {
  Listener listener(database_.DsnOf("tidewheel_ingestion"), {outbox_.channel()});
  ASSERT_TRUE(listener.Wait({}, 10s).ok());
  std::stop_source source;
  std::jthread stopper([&] { source.request_stop(); });
  const auto start = std::chrono::steady_clock::now();

  const auto stopped = listener.Wait(source.get_token(), 60s);

  ASSERT_TRUE(stopped.ok());
  EXPECT_TRUE(stopped->empty());
  EXPECT_LT(std::chrono::steady_clock::now() - start, 30s);
  EXPECT_TRUE(listener.Wait({}, 10ms)->empty());
}

TEST(ListenerCrashTest, ConnectsAgainAndSaysThatItMayHaveMissedSomething) {
  auto server = testing::PostgresServer::Start();
  if (!server && server.error().code == ErrorCode::kNotFound)
    GTEST_SKIP() << server.error().message;
  ASSERT_TRUE(server.ok()) << server.error().message;
  const auto database = (*server)->CreateDatabase(false);
  ASSERT_TRUE(database.ok());
  Listener listener(database->admin_dsn, {"a", "b"});
  ASSERT_TRUE(listener.Wait({}, 10s).ok());

  (*server)->Kill();
  const auto lost = listener.Wait({}, 200ms);
  ASSERT_TRUE((*server)->Restart().ok());
  const auto again = listener.Wait({}, 10s);

  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.error().code, ErrorCode::kUnavailable);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->size(), 2u);
}

}  // namespace
}  // namespace tidewheel::postgres
