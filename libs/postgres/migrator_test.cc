#include "tidewheel/postgres/migrator.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tidewheel/postgres/bootstrap.h"
#include "tidewheel/testing/postgres_server.h"

namespace tidewheel::postgres {
namespace {

constexpr std::string_view kSum1 =
    "1111111111111111111111111111111111111111111111111111111111111111";
constexpr std::string_view kSum2 =
    "2222222222222222222222222222222222222222222222222222222222222222";
constexpr Migration kTwo[] = {
    {1, "0001_create_records", kSum1,
     "CREATE TABLE records (id bigint GENERATED ALWAYS AS IDENTITY, name text NOT NULL);"
     "CREATE TABLE audit (entry text NOT NULL); REVOKE UPDATE, DELETE ON audit FROM "
     "tidewheel_ingestion;"},
    {2, "0002_publish_records", kSum2,
     "CREATE VIEW records_v1 AS SELECT name FROM records;"
     "GRANT USAGE ON SCHEMA ingestion TO tidewheel_curation; GRANT SELECT ON records_v1 TO "
     "tidewheel_curation;"},
};

class MigratorTest : public testing::PostgresTest {
 protected:
  Result<std::vector<std::string>> MigrateTo(std::span<const Migration> migrations) {
    return Migrate(database_.admin_dsn, "ingestion", "tidewheel_ingestion", migrations);
  }
  Pool As(std::string_view role) {
    return Pool({.dsn = database_.DsnOf(role), .search_path = "ingestion", .connections = 1});
  }
  static ErrorCode CodeOf(Pool& pool, const std::string& sql) {
    const auto done = pool.InTransaction([&](pqxx::work& tx) -> Result<void> {
      tx.exec(sql);
      return {};
    });
    EXPECT_FALSE(done.ok()) << sql;
    return done.ok() ? ErrorCode::kUnavailable : done.error().code;
  }
  static void Works(Pool& pool, const std::string& sql) {
    const auto done = pool.InTransaction([&](pqxx::work& tx) -> Result<void> {
      tx.exec(sql);
      return {};
    });
    EXPECT_TRUE(done.ok()) << sql << ": " << done.error().message;
  }
};

TEST_F(MigratorTest, AppliesEachOnceAndTheSecondTimeNothing) {
  const auto first = MigrateTo(std::span(kTwo).first(1));
  const auto second = MigrateTo(kTwo);
  const auto third = MigrateTo(kTwo);

  ASSERT_TRUE(first.ok() && second.ok() && third.ok());
  EXPECT_EQ(*first, (std::vector<std::string>{"ingestion/0001_create_outbox_and_inbox",
                                              "ingestion/0001_create_records"}));
  EXPECT_EQ(*second, std::vector<std::string>{"ingestion/0002_publish_records"});
  EXPECT_TRUE(third->empty());
}

TEST_F(MigratorTest, ManyAtOnceApplyEachOnce) {
  std::vector<std::jthread> threads;
  std::atomic<std::size_t> applied = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const auto names = MigrateTo(kTwo);
      ASSERT_TRUE(names.ok()) << names.error().message;
      applied += names->size();
    });
  }
  threads.clear();

  EXPECT_EQ(applied, 3u);
}

TEST_F(MigratorTest, FailureRollsBackItsMigrationAndNamesIt) {
  const Migration broken[] = {
      kTwo[0], {2, "0002_break_things", kSum2, "CREATE TABLE half (id int); SELECT 1/0;"}};

  const auto migrated = MigrateTo(broken);

  ASSERT_FALSE(migrated.ok());
  EXPECT_NE(migrated.error().message.find("ingestion/0002_break_things"), std::string::npos);
  Pool pool = As("tidewheel_ingestion");
  EXPECT_EQ(CodeOf(pool, "SELECT * FROM half"), ErrorCode::kInternal);
  EXPECT_TRUE(MigrateTo(kTwo).ok());
}

TEST_F(MigratorTest, EditedFileIsRefused) {
  ASSERT_TRUE(MigrateTo(kTwo).ok());
  Migration edited[] = {kTwo[0], kTwo[1]};
  edited[0].sha256 = kSum2;

  const auto again = MigrateTo(edited);

  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::kFailedPrecondition);
  Pool pool = As("tidewheel_ingestion");
  EXPECT_FALSE(CheckSchema(pool, "ingestion", edited).ok());
}

TEST_F(MigratorTest, ServiceStartsOnlyOnTheSchemaItKnows) {
  Pool pool = As("tidewheel_ingestion");
  const auto never = CheckSchema(pool, "ingestion", kTwo);
  ASSERT_TRUE(MigrateTo(std::span(kTwo).first(1)).ok());
  const auto older = CheckSchema(pool, "ingestion", kTwo);
  ASSERT_TRUE(MigrateTo(kTwo).ok());
  const auto same = CheckSchema(pool, "ingestion", kTwo);
  const auto newer = CheckSchema(pool, "ingestion", std::span(kTwo).first(1));

  EXPECT_EQ(never.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(older.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(older.error().message.find("migrate"), std::string::npos);
  EXPECT_TRUE(same.ok()) << same.error().message;
  EXPECT_EQ(newer.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(newer.error().message.find("0002_publish_records"), std::string::npos);
}

TEST_F(MigratorTest, RolesMayDoWhatTheyWereGrantedAndNoMore) {
  ASSERT_TRUE(MigrateTo(kTwo).ok());
  Pool own = As("tidewheel_ingestion");
  Pool reader = As("tidewheel_curation");
  Pool stranger = As("tidewheel_console");

  Works(own,
        "INSERT INTO records (name) VALUES ('a'); UPDATE records SET name = 'b'; DELETE FROM "
        "records");
  Works(own, "INSERT INTO audit VALUES ('x'); SELECT * FROM audit; SELECT * FROM outbox, inbox");
  Works(reader, "SELECT * FROM records_v1");
  for (const char* sql :
       {"UPDATE audit SET entry = ''", "DELETE FROM audit", "TRUNCATE records",
        "CREATE TABLE ingestion.mine (id int)", "CREATE TABLE public.mine (id int)",
        "CREATE TEMP TABLE mine (id int)", "DELETE FROM schema_migrations", "DROP TABLE records",
        "SELECT * FROM labeling.anything"}) {
    EXPECT_EQ(CodeOf(own, sql), ErrorCode::kPermissionDenied) << sql;
  }
  EXPECT_EQ(CodeOf(reader, "SELECT * FROM ingestion.records"), ErrorCode::kPermissionDenied);
  EXPECT_EQ(CodeOf(stranger, "SELECT * FROM ingestion.records_v1"), ErrorCode::kPermissionDenied);
}

TEST_F(MigratorTest, EveryServiceMayUseTheBusAndOnlyThat) {
  const Migration bus[] = {{1, "0001_create_events", kSum1, "CREATE TABLE events (id bigint)"}};
  ASSERT_TRUE(
      Migrate(database_.admin_dsn, "bus", std::string(kBusRole), bus, PlatformTables::kNo).ok());

  for (const ServiceRole& service : ServiceRoles()) {
    Pool pool = As(service.role);
    Works(pool, "INSERT INTO bus.events VALUES (1)");
    EXPECT_TRUE(CheckSchema(pool, "bus", bus, PlatformTables::kNo).ok());
    EXPECT_EQ(CodeOf(pool, "DROP TABLE bus.events"), ErrorCode::kPermissionDenied);
  }
}

TEST_F(MigratorTest, BootstrapChangesNothingTheSecondTime) {
  EXPECT_TRUE(Bootstrap(database_.admin_dsn).ok());
  EXPECT_TRUE(MigrateTo(kTwo).ok());
  EXPECT_TRUE(Bootstrap(database_.admin_dsn).ok());

  Pool own = As("tidewheel_ingestion");
  EXPECT_EQ(CodeOf(own, "DELETE FROM audit"), ErrorCode::kPermissionDenied);
}

TEST_F(MigratorTest, MissingRoleAndBadNamesAreRefused) {
  EXPECT_EQ(Migrate(database_.admin_dsn, "ingestion", "nobody_here", kTwo).error().code,
            ErrorCode::kFailedPrecondition);
  EXPECT_EQ(Migrate(database_.admin_dsn, "a;b", "tidewheel_ingestion", kTwo).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(MigrateTo(std::span(kTwo).last(1)).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace tidewheel::postgres
