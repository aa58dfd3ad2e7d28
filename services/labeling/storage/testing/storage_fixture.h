#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>

#include "tidewheel/labeling/migrations.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/postgres/pool.h"
#include "tidewheel/testing/postgres_server.h"

namespace tidewheel::labeling {

/// The schema `labeling` on a real server, a stand-in for `ingestion.samples_v1`, and a pool that
/// has the rights the service has.
class StorageFixture : public ::tidewheel::testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped()) return;
    admin_ = std::make_unique<postgres::Pool>(
        postgres::PoolOptions{.dsn = database_.admin_dsn, .search_path = {}, .connections = 2});
    Admin(
        "CREATE TABLE ingestion.samples (sample_id uuid PRIMARY KEY, task text NOT NULL, sha256 "
        "bytea NOT NULL,"
        " name text NOT NULL, deactivated_at timestamptz, group_key text NOT NULL DEFAULT "
        "gen_random_uuid()::text);"
        "CREATE TABLE ingestion.captured_requests_v1 (task text, request_id text, request_index "
        "integer, sample_id uuid, captured_at timestamptz, PRIMARY KEY (task, request_id, "
        "request_index));"
        "GRANT SELECT ON ingestion.captured_requests_v1 TO tidewheel_labeling;"
        "CREATE INDEX ON ingestion.samples (task, name); CREATE INDEX ON ingestion.samples (task, "
        "sha256);"
        "CREATE VIEW ingestion.samples_v1 AS SELECT * FROM ingestion.samples;"
        "GRANT USAGE ON SCHEMA ingestion TO tidewheel_labeling;"
        "GRANT SELECT ON ingestion.samples_v1 TO tidewheel_labeling");
    const auto migrated =
        postgres::Migrate(database_.admin_dsn, "labeling", "tidewheel_labeling", Migrations());
    ASSERT_TRUE(migrated.ok()) << migrated.error().message;
    pool_ = std::make_unique<postgres::Pool>(postgres::PoolOptions{
        .dsn = database_.DsnOf("tidewheel_labeling"), .search_path = "labeling"});
  }

  /// A statement as the administrator.
  void Admin(const std::string& sql) {
    const auto done = admin_->InTransaction([&](pqxx::work& tx) -> Result<void> {
      tx.exec(sql);
      return {};
    });
    ASSERT_TRUE(done.ok()) << done.error().message;
  }

  /// The one number a query gives.
  long Number(const std::string& sql) {
    const auto number = admin_->ReadOnly(
        [&](pqxx::transaction_base& tx) -> Result<long> { return tx.exec1(sql)[0].as<long>(); });
    EXPECT_TRUE(number.ok()) << number.error().message;
    return number ? *number : -1;
  }

  static std::string SampleUuid(int number) {
    std::array<char, 37> text{};
    std::snprintf(text.data(), text.size(), "018f0000-0000-7000-8000-%012x",
                  static_cast<unsigned>(number));
    return text.data();
  }

  /// Samples 1 to `count` of task "lights", named "<number>.png", with the number as digest.
  void AddSamples(int count) {
    Admin(
        "INSERT INTO ingestion.samples SELECT ('018f0000-0000-7000-8000-' || lpad(to_hex(n), 12, "
        "'0'))::uuid,"
        " 'lights', decode(lpad(to_hex(n), 64, '0'), 'hex'), n || '.png', NULL FROM "
        "generate_series(1, " +
        std::to_string(count) + ") AS n; ANALYZE ingestion.samples");
  }

  std::unique_ptr<postgres::Pool> admin_;
  std::unique_ptr<postgres::Pool> pool_;
};

}  // namespace tidewheel::labeling
