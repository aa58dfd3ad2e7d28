#include "tidewheel/postgres/pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

#include "tidewheel/postgres/copy_rows.h"
#include "tidewheel/testing/postgres_server.h"

namespace tidewheel::postgres {
namespace {

using namespace std::chrono_literals;

class PoolTest : public testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Execute(
        "CREATE SCHEMA t;"
        "CREATE TABLE t.things (id integer PRIMARY KEY, owner integer REFERENCES t.things, name "
        "text NOT NULL,"
        " size integer CHECK (size > 0))");
  }

  Pool NewPool(std::size_t connections = 4) {
    return Pool({.dsn = database_.admin_dsn,
                 .search_path = "t",
                 .connections = connections,
                 .acquire_timeout = 200ms});
  }
  void Execute(const std::string& sql) {
    Pool pool({.dsn = database_.admin_dsn, .connections = 1});
    const auto done = pool.InTransaction([&](pqxx::work& tx) -> Result<void> {
      tx.exec(sql);
      return {};
    });
    ASSERT_TRUE(done.ok()) << done.error().message;
  }
  ErrorCode CodeOf(Pool& pool, const std::string& sql) {
    const auto done = pool.InTransaction([&](pqxx::work& tx) -> Result<void> {
      tx.exec(sql);
      return {};
    });
    EXPECT_FALSE(done.ok()) << sql;
    EXPECT_FALSE(done.error().message.empty());
    return done.error().code;
  }
  std::int64_t Count(Pool& pool) {
    const auto count = pool.ReadOnly([](pqxx::transaction_base& tx) -> Result<std::int64_t> {
      return tx.exec1("SELECT count(*) FROM things")[0].as<std::int64_t>();
    });
    EXPECT_TRUE(count.ok()) << count.error().message;
    return count.ok() ? *count : -1;
  }
};

constexpr char kInsert[] = "INSERT INTO things (id, name) VALUES ($1, 'thing')";

TEST_F(PoolTest, ValueCommitsAndErrorRollsBack) {
  Pool pool = NewPool();

  const auto kept = pool.InTransaction([](pqxx::work& tx) -> Result<int> {
    tx.exec_params(kInsert, 1);
    return 7;
  });
  const auto dropped = pool.InTransaction([](pqxx::work& tx) -> Result<int> {
    tx.exec_params(kInsert, 2);
    return Error{ErrorCode::kNotFound, "thought better of it"};
  });

  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(*kept, 7);
  EXPECT_EQ(dropped.error(), (Error{ErrorCode::kNotFound, "thought better of it"}));
  EXPECT_EQ(Count(pool), 1);
}

TEST_F(PoolTest, ViolationsKeepTheirMeaning) {
  Pool pool = NewPool();
  Execute(
      "INSERT INTO t.things VALUES (1, NULL, 'first', 1);"
      "CREATE FUNCTION t.refuse() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'frozen'; END "
      "$$");

  EXPECT_EQ(CodeOf(pool, "INSERT INTO things VALUES (1, NULL, 'x', 1)"), ErrorCode::kAlreadyExists);
  EXPECT_EQ(CodeOf(pool, "INSERT INTO things VALUES (2, 9, 'x', 1)"),
            ErrorCode::kFailedPrecondition);
  EXPECT_EQ(CodeOf(pool, "INSERT INTO things VALUES (2, NULL, NULL, 1)"),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(pool, "INSERT INTO things VALUES (2, NULL, 'x', 0)"),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(pool, "SELECT 'x'::integer"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(pool, "SELECT t.refuse()"), ErrorCode::kFailedPrecondition);
  EXPECT_EQ(CodeOf(pool, "SET LOCAL statement_timeout = 10; SELECT pg_sleep(10)"),
            ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(CodeOf(pool, "SELECT * FROM nowhere"), ErrorCode::kInternal);

  Pool service({.dsn = database_.DsnOf("tidewheel_ingestion"), .connections = 1});
  EXPECT_EQ(CodeOf(service, "SELECT * FROM t.things"), ErrorCode::kPermissionDenied);
}

TEST_F(PoolTest, DuplicateDoesNotTellTheRowsValues) {
  Pool pool = NewPool();
  Execute("INSERT INTO t.things VALUES (4711, NULL, 'first', 1)");

  const auto again = pool.InTransaction([](pqxx::work& tx) -> Result<void> {
    tx.exec_params(kInsert, 4711);
    return {};
  });

  EXPECT_EQ(again.error().message,
            "duplicate key value violates unique constraint \"things_pkey\"");
}

TEST_F(PoolTest, ReadOnlyRefusesToWrite) {
  Pool pool = NewPool();

  const auto written = pool.ReadOnly([](pqxx::transaction_base& tx) -> Result<void> {
    tx.exec_params(kInsert, 1);
    return {};
  });

  EXPECT_FALSE(written.ok());
  EXPECT_EQ(Count(pool), 0);
}

TEST_F(PoolTest, DeadlockIsRepeatedUntilBothCommit) {
  Pool pool = NewPool(2);
  Execute("INSERT INTO t.things VALUES (1, NULL, 'a', 1), (2, NULL, 'b', 1)");
  std::latch both_hold_one(2);
  std::atomic<int> runs = 0;
  const auto cross = [&](int first, int second) {
    bool waited = false;
    const auto done = pool.InTransaction([&](pqxx::work& tx) -> Result<void> {
      ++runs;
      tx.exec("SET LOCAL deadlock_timeout = '50ms'");
      tx.exec_params("UPDATE things SET size = size + 1 WHERE id = $1", first);
      if (!std::exchange(waited, true)) both_hold_one.arrive_and_wait();
      tx.exec_params("UPDATE things SET size = size + 1 WHERE id = $1", second);
      return {};
    });
    EXPECT_TRUE(done.ok()) << done.error().message;
  };

  std::jthread other([&] { cross(2, 1); });
  cross(1, 2);
  other.join();

  EXPECT_GE(runs, 3);
  const auto sum = pool.ReadOnly([](pqxx::transaction_base& tx) -> Result<int> {
    return tx.exec1("SELECT sum(size) FROM things")[0].as<int>();
  });
  EXPECT_EQ(*sum, 6);
}

TEST_F(PoolTest, ConflictThatStaysIsAborted) {
  Pool pool = NewPool(1);
  int runs = 0;

  const auto done = pool.InTransaction([&](pqxx::work& tx) -> Result<void> {
    ++runs;
    tx.exec("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$");
    return {};
  });

  EXPECT_EQ(done.error().code, ErrorCode::kAborted);
  EXPECT_EQ(runs, 6);
}

TEST_F(PoolTest, BusyPoolSaysSoInTime) {
  Pool pool = NewPool(1);

  const auto outer = pool.InTransaction([&](pqxx::work&) -> Result<void> {
    const auto inner = pool.Ping();
    EXPECT_EQ(inner.error().code, ErrorCode::kResourceExhausted);
    return {};
  });

  EXPECT_TRUE(outer.ok());
  EXPECT_TRUE(pool.Ping().ok());
}

TEST_F(PoolTest, NeverOpensMoreThanItsLimit) {
  Pool pool({.dsn = database_.admin_dsn, .connections = 3, .application_name = "limited"});
  std::vector<std::jthread> threads;
  std::atomic<int> most = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        const auto seen = pool.ReadOnly([](pqxx::transaction_base& tx) -> Result<int> {
          return tx
              .exec1("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'limited'")[0]
              .as<int>();
        });
        ASSERT_TRUE(seen.ok()) << seen.error().message;
        most = std::max(most.load(), *seen);
      }
    });
  }
  threads.clear();

  EXPECT_GE(most, 1);
  EXPECT_LE(most, 3);
}

TEST_F(PoolTest, ConnectionsKilledWhileIdleAreReplacedUnseen) {
  Pool pool = NewPool(2);
  ASSERT_TRUE(pool.Ping().ok());
  Execute(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tidewheel' "
      "AND"
      " pid <> pg_backend_pid()");

  const auto done = pool.InTransaction([](pqxx::work& tx) -> Result<void> {
    tx.exec_params(kInsert,
                   1);  // Found only through the search_path, which the new session has too.
    return {};
  });

  EXPECT_TRUE(done.ok()) << done.error().message;
}

TEST_F(PoolTest, ConnectionLostInsideIsNotRepeatedForWriters) {
  Pool pool = NewPool(1);
  int runs = 0;

  const auto done = pool.InTransaction([&](pqxx::work& tx) -> Result<void> {
    ++runs;
    tx.exec("SELECT pg_terminate_backend(pg_backend_pid())");
    return {};
  });

  EXPECT_EQ(done.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(runs, 1);
  EXPECT_TRUE(pool.Ping().ok());
}

TEST_F(PoolTest, LossDuringCommitSaysThatTheOutcomeIsUnknown) {
  Execute(
      "CREATE FUNCTION t.vanish() RETURNS trigger LANGUAGE plpgsql AS"
      " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); RETURN NULL; "
      "END $$;"
      "CREATE CONSTRAINT TRIGGER vanish AFTER INSERT ON t.things DEFERRABLE INITIALLY DEFERRED"
      " FOR EACH ROW EXECUTE FUNCTION t.vanish()");
  Pool pool = NewPool(1);

  const auto done = pool.InTransaction([&](pqxx::work& tx) -> Result<void> {
    tx.exec_params(kInsert, 1);
    return {};
  });

  EXPECT_EQ(done.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(done.error().message.find("unknown"), std::string::npos) << done.error().message;
  EXPECT_EQ(Count(pool), 0);
}

constexpr char kWide[] =
    "CREATE TABLE t.wide (id bigint PRIMARY KEY, name text, at timestamptz, bytes bytea, small "
    "smallint, part real, whole double precision, list integer[], note integer)";
const std::vector<std::string> kWideColumns{"id",   "name",  "at",   "bytes", "small",
                                            "part", "whole", "list", "note"};

/// One row of t.wide.
void AddWide(std::int64_t id, CopyRows& copy) {
  copy.Row();
  copy.Bigint(id);
  copy.Text("tab\tbackslash\\ \"quote\" n\n");
  copy.Time(*ParseUtc("2026-11-22T10:00:00.123456Z"));
  copy.Bytes(std::string_view("\x00\\\t\n\xff", 5));
  copy.Smallint(-7);
  copy.Real(0.1F);
  copy.Double(-1e300);
  copy.Integers(std::vector<std::int32_t>{1, -2});
  copy.Null();
}

TEST_F(PoolTest, CopyRowsStoresWhatItWasGiven) {
  Execute(kWide);
  Pool pool = NewPool(1);

  const auto read = pool.InTransaction([&](pqxx::work& tx) -> Result<int> {
    CopyRows copy("wide", kWideColumns);
    for (int i = 0; i < 20'000; ++i) AddWide(i, copy);  // More than a piece.
    EXPECT_EQ(copy.rows(), 20'000U);
    copy.Send(tx);
    CopyRows("wide", kWideColumns).Send(tx);  // Nothing.
    const auto row = tx.exec1("SELECT count(*) OVER (), w.* FROM wide w LIMIT 1");
    EXPECT_EQ(row["name"].as<std::string>(), "tab\tbackslash\\ \"quote\" n\n");
    EXPECT_EQ(row["at"].as<Timestamp>(), *ParseUtc("2026-11-22T10:00:00.123456Z"));
    EXPECT_EQ(BytesOf(row["bytes"]), std::string("\x00\\\t\n\xff", 5));
    EXPECT_EQ(row["small"].as<int>(), -7);
    EXPECT_EQ(row["part"].as<float>(), 0.1F);
    EXPECT_EQ(row["whole"].as<double>(), -1e300);
    EXPECT_STREQ(row["list"].c_str(), "{1,-2}");
    EXPECT_TRUE(row["note"].is_null());
    return row[0].as<int>();
  });

  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(*read, 20'000);
}

TEST_F(PoolTest, WhatCopyRowsMayNotStoreIsToldAndTheConnectionGoesOn) {
  Execute(kWide);
  Pool pool = NewPool(1);
  const auto copied = [&](std::initializer_list<std::int64_t> ids) {
    return pool.InTransaction([&](pqxx::work& tx) -> Result<void> {
      CopyRows copy("wide", kWideColumns);
      for (const auto id : ids) AddWide(id, copy);
      copy.Send(tx);
      return {};
    });
  };

  ASSERT_TRUE(copied({1, 2}).ok());
  EXPECT_EQ(copied({3, 2}).error().code, ErrorCode::kAlreadyExists);
  const auto missing = pool.InTransaction([&](pqxx::work& tx) -> Result<void> {
    CopyRows copy("nowhere", {"id"});
    copy.Row();
    copy.Integer(1);
    copy.Send(tx);
    return {};
  });
  EXPECT_NE(missing.error().message.find("nowhere"), std::string::npos) << missing.error().message;
  const auto half = pool.InTransaction([&](pqxx::work& tx) -> Result<void> {
    CopyRows copy("wide", {"id", "name"});
    copy.Row();
    copy.Bigint(1);
    copy.Send(tx);
    return {};
  });
  EXPECT_NE(half.error().message.find("not whole"), std::string::npos) << half.error().message;

  EXPECT_TRUE(copied({3, 4}).ok());
  const auto count = pool.ReadOnly([](pqxx::transaction_base& tx) -> Result<int> {
    return tx.exec1("SELECT count(*) FROM wide")[0].as<int>();
  });
  EXPECT_EQ(*count, 4);
}

TEST(PoolWithoutServerTest, IsUnavailable) {
  Pool pool({.dsn = "host=/nowhere dbname=x user=x", .connections = 1});

  EXPECT_EQ(pool.Ping().error().code, ErrorCode::kUnavailable);
}

TEST(PoolCrashTest, ServesAgainAfterTheServerWasKilled) {
  auto server = testing::PostgresServer::Start();
  if (!server && server.error().code == ErrorCode::kNotFound)
    GTEST_SKIP() << server.error().message;
  ASSERT_TRUE(server.ok()) << server.error().message;
  const auto database = (*server)->CreateDatabase();
  ASSERT_TRUE(database.ok());
  Pool pool({.dsn = database->admin_dsn, .connections = 4});
  {
    std::vector<std::jthread> threads;
    std::latch all(4);
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        EXPECT_TRUE(pool.InTransaction([&](pqxx::work&) -> Result<void> {
                          all.arrive_and_wait();
                          return {};
                        })
                        .ok());
      });
    }
  }

  (*server)->Kill();
  EXPECT_EQ(pool.Ping().error().code, ErrorCode::kUnavailable);
  ASSERT_TRUE((*server)->Restart().ok());

  for (int i = 0; i < 4; ++i) EXPECT_TRUE(pool.Ping().ok());
}

}  // namespace
}  // namespace tidewheel::postgres
