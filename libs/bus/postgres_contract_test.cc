#include <atomic>
#include <thread>

#include "tidewheel/base/ids.h"
#include "tidewheel/bus/contract/bus_contract.h"
#include "tidewheel/bus/postgres_broker.h"
#include "tidewheel/bus/retention.h"
#include "tidewheel/postgres/pool.h"
#include "tidewheel/testing/eventually.h"
#include "tidewheel/testing/postgres_server.h"

namespace tidewheel::bus {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class PostgresBus final : public BusServer {
 public:
  Result<void> Prepare() override {
    const auto server = testing::SharedPostgresServer();
    if (!server) return server.error();
    server_ = *server;
    auto database = server_->CreateDatabase();
    if (!database) return database.error();
    database_ = *database;
    return MigratePostgresBus(database_.admin_dsn);
  }
  BrokerOptions Options() const override {
    BrokerOptions options;
    options.driver = "postgres";
    options.address = database_.DsnOf("tidewheel_inference");  // Owns nothing, as least as can be.
    return options;
  }
  void Kill() override { server_->Kill(); }
  Result<void> Restart() override { return server_->Restart(); }

 private:
  testing::PostgresServer* server_ = nullptr;
  testing::TestDatabase database_;
};

INSTANTIATE_TEST_SUITE_P(Postgres, BusContractTest, ::testing::Values(BusServerFactory([] {
                           return std::unique_ptr<BusServer>(new PostgresBus);
                         })));

/// What only this driver has.
class PostgresBusTest : public testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped()) return;
    const auto migrated = MigratePostgresBus(database_.admin_dsn);
    ASSERT_TRUE(migrated.ok()) << migrated.error().message;
    BrokerOptions options;
    options.address = database_.DsnOf("tidewheel_ingestion");
    broker_ = std::move(*OpenPostgresBroker(options));
    ASSERT_TRUE(broker_->EnsureTopics({&topic_, 1}, 1).ok());
  }

  Message Make(const std::string& payload) const {
    Message message;
    message.topic = topic_;
    message.key = "k";
    message.payload = payload;
    return message;
  }

  const std::string topic_ = "tidewheel.samples";
  std::unique_ptr<Broker> broker_;
};

TEST_F(PostgresBusTest, LetsNobodyCommitBehindAReader) {
  postgres::Pool pool({.dsn = database_.DsnOf("tidewheel_labeling"), .search_path = "bus"});
  auto subscription = std::move(*broker_->Subscribe("g", {&topic_, 1}));
  const auto publisher = std::move(*broker_->NewPublisher());
  std::atomic<bool> second_done = false;
  std::jthread second;

  const auto first = pool.InTransaction([&](pqxx::work& tx) -> Result<void> {
    // The first offset is given out and not committed.
    tx.exec(
        "SELECT append(ARRAY[(SELECT min(id) FROM partitions WHERE topic = 'tidewheel.samples')],"
        " ARRAY['k'], ARRAY['first'], ARRAY['t'], ARRAY['s'], ARRAY[now()], ARRAY[1], ARRAY[''],"
        " ARRAY['{}'], ARRAY['first'::bytea])");
    second = std::jthread([&] {
      EXPECT_TRUE(publisher->Publish(std::vector{Make("second")}).ok());
      second_done = true;
    });
    // The second waits for the first: wherever a reader looks meanwhile, nothing is ahead of it.
    EXPECT_TRUE(testing::Eventually(seconds{20}, [&] {
      return pool
          .ReadOnly([](pqxx::transaction_base& other) -> Result<bool> {
            return other.exec1("SELECT count(*) FROM pg_locks WHERE NOT granted")[0].as<int>() > 0;
          })
          .value();
    }));
    EXPECT_TRUE(subscription->Poll(10, milliseconds{100})->empty());
    EXPECT_FALSE(second_done);
    return {};
  });
  ASSERT_TRUE(first.ok()) << first.error().message;
  second.join();

  std::vector<std::string> payloads;
  EXPECT_TRUE(testing::Eventually(seconds{20}, [&] {
    const auto polled = subscription->Poll(10, milliseconds{100});
    if (!polled) return false;
    for (const Delivery& delivery : *polled) {
      EXPECT_EQ(delivery.offset, static_cast<std::int64_t>(payloads.size()));
      payloads.push_back(delivery.message.payload);
    }
    return payloads.size() == 2;
  }));
  EXPECT_EQ(payloads, (std::vector<std::string>{"first", "second"}));
}

TEST_F(PostgresBusTest, RemovesOnlyWhatIsOldAndRead) {
  const auto publisher = std::move(*broker_->NewPublisher());
  ASSERT_TRUE(publisher->Publish(std::vector{Make("1"), Make("2"), Make("3")}).ok());
  const Timestamp future = SystemClock().Now() + std::chrono::hours{1};
  auto subscription = std::move(*broker_->Subscribe("g", {&topic_, 1}));
  EXPECT_EQ(*broker_->RemoveBefore(topic_, future), 0);  // The group has read nothing.

  auto got = subscription->Poll(2, milliseconds{1'000});
  ASSERT_EQ(got->size(), 2u);
  ASSERT_TRUE(subscription->CommitAfter(*got).ok());
  EXPECT_EQ(*broker_->RemoveBefore(topic_, SystemClock().Now() - std::chrono::hours{1}), 0);
  EXPECT_EQ(*broker_->RemoveBefore(topic_, future), 2);
  EXPECT_EQ(broker_->Extent(topic_)->front().begin, 2);
  EXPECT_EQ(broker_->Lag("g")->front().lag, 1);

  // A group that comes later begins with what is left.
  auto late = std::move(*broker_->Subscribe("late", {&topic_, 1}));
  got = late->Poll(10, milliseconds{1'000});
  ASSERT_EQ(got->size(), 1u);
  EXPECT_EQ(got->front().message.payload, "3");
}

TEST_F(PostgresBusTest, RetentionGoesByTheClock) {
  class LaterClock final : public Clock {
   public:
    Timestamp Now() const override { return SystemClock().Now() + std::chrono::hours{100}; }
  };
  class Tally final : public Counter {
   public:
    void Add(double amount) override { total = total + static_cast<int>(amount); }
    std::atomic<int> total = 0;
  };
  const auto publisher = std::move(*broker_->NewPublisher());
  ASSERT_TRUE(publisher->Publish(std::vector{Make("1"), Make("2")}).ok());
  LaterClock clock;
  Tally removed;
  const Retention retention(
      *broker_, clock, {.topics = {topic_}, .keep = std::chrono::hours{99}, .removed = removed});
  EXPECT_TRUE(testing::Eventually(seconds{20}, [&] { return removed.total == 2; }));
}

TEST_F(PostgresBusTest, SaysWhenItsSchemaIsMissing) {
  auto empty = (*testing::SharedPostgresServer())->CreateDatabase();
  ASSERT_TRUE(empty.ok());
  BrokerOptions options;
  options.address = empty->DsnOf("tidewheel_ingestion");
  const auto broker = std::move(*OpenPostgresBroker(options));
  EXPECT_FALSE(broker->EnsureTopics({&topic_, 1}, 1).ok());
  EXPECT_FALSE(broker->Subscribe("g", {&topic_, 1}).ok());
}

}  // namespace
}  // namespace tidewheel::bus
