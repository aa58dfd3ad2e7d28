#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>

#include "tidewheel/curation/migrations.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/postgres/pool.h"
#include "tidewheel/testing/postgres_server.h"

namespace tidewheel::curation {

/// The schema `curation` on a real server, stand-ins for the views of ingestion and labeling, and a
/// pool that has the rights the service has.
class StorageFixture : public ::tidewheel::testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped()) return;
    admin_ = std::make_unique<postgres::Pool>(
        postgres::PoolOptions{.dsn = database_.admin_dsn, .search_path = {}, .connections = 2});
    Admin(R"(
CREATE TABLE ingestion.samples (
  sample_id uuid PRIMARY KEY, task text NOT NULL, sha256 bytea NOT NULL, payload_ref text NOT NULL, name text NOT NULL,
  source text NOT NULL, group_key text NOT NULL, split text NOT NULL, collected_at timestamptz NOT NULL,
  added_at timestamptz NOT NULL, deactivated_at timestamptz, width int NOT NULL, height int NOT NULL, metadata jsonb);
CREATE VIEW ingestion.samples_v1 AS SELECT * FROM ingestion.samples;
CREATE TABLE labeling.labels (
  sample_id uuid PRIMARY KEY, task text NOT NULL, label_id uuid NOT NULL, class_name text NOT NULL,
  confidence double precision NOT NULL, method text NOT NULL, version int NOT NULL, votes int NOT NULL,
  decided_at timestamptz NOT NULL);
CREATE VIEW labeling.labels_v1 AS SELECT * FROM labeling.labels;
CREATE TABLE labeling.votes (
  sample_id uuid NOT NULL, task text NOT NULL, vote_id uuid NOT NULL, class_name text NOT NULL, annotator text NOT NULL,
  annotator_kind text NOT NULL, source text NOT NULL, voted_at timestamptz NOT NULL);
CREATE VIEW labeling.votes_v1 AS SELECT * FROM labeling.votes;
GRANT USAGE ON SCHEMA ingestion, labeling TO tidewheel_curation;
GRANT SELECT ON ingestion.samples_v1, labeling.labels_v1, labeling.votes_v1 TO tidewheel_curation)");
    const auto migrated =
        postgres::Migrate(database_.admin_dsn, "curation", "tidewheel_curation", Migrations());
    ASSERT_TRUE(migrated.ok()) << migrated.error().message;
    pool_ = std::make_unique<postgres::Pool>(postgres::PoolOptions{
        .dsn = database_.DsnOf("tidewheel_curation"), .search_path = "curation"});
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

  /// Samples 1 to `count` of task "lights": three of ten yellow, the rest red and green; eight of
  /// ten for training, one for validation, one for test; each with a label and three votes. Ids are
  /// made of `id_prefix` (8 hexadecimal digits) and the number, payload digests of the number
  /// alone.
  void AddLabeledSamples(int count, const std::string& id_prefix = "018f0000") {
    Admin("INSERT INTO ingestion.samples SELECT ('" + id_prefix +
          "-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'lights', sha256(n::text::bytea), "
          "'sha256:' || n,"
          " n || '.png', CASE WHEN n % 2 = 0 THEN 'camera-2' ELSE 'camera-1' END, 'group-' || n,"
          " CASE n % 10 WHEN 0 THEN 'test' WHEN 1 THEN 'validation' ELSE 'training' END, "
          "'2026-01-01Z', '2026-01-02Z',"
          " NULL, 32, 48, '{}' FROM generate_series(1, " +
          std::to_string(count) + ") AS n");
    Admin(
        "INSERT INTO labeling.labels SELECT sample_id, task, gen_random_uuid(),"
        " CASE WHEN length(name) % 3 = 0 AND name LIKE '%3.png' OR name LIKE '%7.png' OR name LIKE "
        "'%0.png' THEN 'yellow'"
        "      WHEN name LIKE '%2.png' OR name LIKE '%4.png' OR name LIKE '%1.png' THEN 'red' ELSE "
        "'green' END,"
        " 0.9, 'majority', 1, 3, '2026-01-03Z' FROM ingestion.samples ON CONFLICT DO NOTHING");
    Admin(
        "INSERT INTO labeling.votes SELECT l.sample_id, l.task, gen_random_uuid(), l.class_name, "
        "'ann-' || a, 'person',"
        " 'test', '2026-01-03Z' FROM labeling.labels l, generate_series(1, 3) AS a;"
        "ANALYZE ingestion.samples; ANALYZE labeling.labels; ANALYZE labeling.votes");
  }

  std::unique_ptr<postgres::Pool> admin_;
  std::unique_ptr<postgres::Pool> pool_;
};

}  // namespace tidewheel::curation
