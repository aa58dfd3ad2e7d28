#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tidewheel/base/ids.h"
#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/model_registry/declaration/declare.h"
#include "tidewheel/model_registry/domain/task_catalog.h"
#include "tidewheel/model_registry/migrations.h"
#include "tidewheel/model_registry/storage/postgres_audit_log.h"
#include "tidewheel/model_registry/storage/postgres_model_store.h"
#include "tidewheel/model_registry/storage/postgres_task_store.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/testing/postgres_server.h"

namespace tidewheel::model_registry {
namespace {

class RolloutStorageTest : public tidewheel::testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const auto migrated =
        postgres::Migrate(database_.admin_dsn, "registry", "tidewheel_registry", Migrations());
    ASSERT_TRUE(migrated.ok()) << migrated.error().message;
    postgres::PoolOptions options;
    options.dsn = database_.DsnOf("tidewheel_registry");
    options.search_path = "registry";
    pool_.emplace(options);
    tasks_.emplace(*pool_);
    models_.emplace(*pool_, clock_);
    audit_.emplace(*pool_);
    Apply("");
    serving_ = Register("run-1");
    candidate_ = Register("run-2");
    ASSERT_TRUE(models_->Promote(serving_, Draft("model.promoted")).ok());
  }

  void Apply(const std::string& more) {
    TaskCatalog catalog(*tasks_, clock_);
    const auto declared = Declare("task: lights\nclasses: [red, green]\n" + more);
    ASSERT_TRUE(declared.ok()) << declared.error().message;
    const auto applied = catalog.Apply(*declared, "ann", false);
    ASSERT_TRUE(applied.ok()) << applied.error().message;
  }
  ModelVersion Register(const std::string& run) {
    ModelVersion version;
    version.id = NewUuid();
    version.manifest.task = "lights";
    version.manifest.run_id = run;
    version.package_digest = std::string(64, 'a');
    version.registered_at = clock_.Now();
    return models_->Register(version, Draft("model.registered"))->model_version;
  }
  static AuditDraft Draft(const std::string& action) { return {"ann", action, "model/x", {}}; }

  Deployment Now() { return **models_->FindDeployment("lights"); }
  Result<ChangedDeployment> Canary(const ModelVersion& version, double share) {
    return models_->SetRollout(version, RolloutStage::kCanary, share, "cycle c1",
                               Draft("model.rollout_set"));
  }
  std::vector<std::pair<std::string, events::v1::ModelEvent>> Events() {
    const auto rows = pool_->ReadOnly([](pqxx::transaction_base& tx) -> Result<pqxx::result> {
      return tx.exec("SELECT type, payload FROM outbox ORDER BY id");
    });
    std::vector<std::pair<std::string, events::v1::ModelEvent>> events;
    for (const auto& row : *rows) {
      events.emplace_back(row[0].c_str(), events::v1::ModelEvent());
      EXPECT_TRUE(events.back().second.ParseFromString(pqxx::binarystring(row[1]).str()));
    }
    return events;
  }

  SystemClock clock_;
  std::optional<postgres::Pool> pool_;
  std::optional<PostgresTaskStore> tasks_;
  std::optional<PostgresModelStore> models_;
  std::optional<PostgresAuditLog> audit_;
  ModelVersion serving_;
  ModelVersion candidate_;
};

TEST_F(RolloutStorageTest, EachRealChangeOfARolloutGrowsTheRevision) {
  const auto before = Now().revision;
  const auto shadow = models_->SetRollout(candidate_, RolloutStage::kShadow, 0, "cycle c1",
                                          Draft("model.rollout_set"));
  ASSERT_TRUE(shadow.ok()) << shadow.error().message;
  EXPECT_TRUE(shadow->changed);
  EXPECT_GT(shadow->deployment.revision, before);
  EXPECT_EQ(shadow->deployment.production.id, serving_.id);

  const auto canary = Canary(candidate_, 0.1);
  ASSERT_TRUE(canary->deployment.rollout.has_value());
  EXPECT_EQ(canary->deployment.rollout->stage, RolloutStage::kCanary);
  EXPECT_EQ(canary->deployment.rollout->share, 0.1);
  EXPECT_EQ(canary->deployment.rollout->candidate.id, candidate_.id);
  EXPECT_EQ(canary->deployment.rollout->by, "ann");
  EXPECT_EQ(canary->deployment.rollout->reason, "cycle c1");
  EXPECT_GT(canary->deployment.revision, shadow->deployment.revision);

  const auto again = Canary(candidate_, 0.1);
  EXPECT_FALSE(again->changed);
  EXPECT_EQ(again->deployment.revision, canary->deployment.revision);
  EXPECT_EQ(models_->ListDeployments("", {10, ""})->revision, canary->deployment.revision);
}

TEST_F(RolloutStorageTest, ClearingIsForTheExpectedCandidateAndOnce) {
  ASSERT_TRUE(Canary(candidate_, 0.1).ok());
  const auto clear = [this](const std::string& expected) {
    return models_->ClearRollout("lights", expected, "harmful", Draft("model.rollout_cleared"));
  };
  EXPECT_FALSE(clear(serving_.id)->changed);
  const auto cleared = clear(candidate_.id);
  EXPECT_TRUE(cleared->changed);
  EXPECT_FALSE(cleared->deployment.rollout.has_value());
  EXPECT_FALSE(clear(candidate_.id)->changed);
  EXPECT_FALSE(clear("")->changed);
  EXPECT_EQ(models_->ClearRollout("dogs", "", "", Draft("x")).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(audit_->List("model/" + candidate_.id, {10, ""})->items.front().action,
            "model.rollout_cleared");
}

TEST_F(RolloutStorageTest, PromotingTheCandidateEndsItsRolloutInTheSameStep) {
  ASSERT_TRUE(Canary(candidate_, 0.5).ok());
  const auto promoted = models_->Promote(candidate_, Draft("model.promoted"));

  ASSERT_TRUE(promoted.ok()) << promoted.error().message;
  EXPECT_EQ(promoted->deployment.production.id, candidate_.id);
  EXPECT_FALSE(promoted->deployment.rollout.has_value());
  EXPECT_FALSE(models_->Promote(candidate_, Draft("model.promoted"))->changed);

  // The version before is a candidate now; to roll back to it ends that too.
  ASSERT_TRUE(Canary(serving_, 0.5).ok());
  EXPECT_FALSE(models_->RollBack("lights", "", Draft("model.rolled_back"))->rollout.has_value());
}

TEST_F(RolloutStorageTest, RolloutOfAnotherStaysBesideWhatIsPromoted) {
  ASSERT_TRUE(Canary(candidate_, 0.5).ok());
  const ModelVersion third = Register("run-3");
  const auto promoted = models_->Promote(third, Draft("model.promoted"));
  ASSERT_TRUE(promoted->deployment.rollout.has_value());
  EXPECT_EQ(promoted->deployment.rollout->candidate.id, candidate_.id);
}

TEST_F(RolloutStorageTest, WhatServesIsNoCandidateAndNothingIsNoNeighbour) {
  EXPECT_EQ(Canary(serving_, 0.5).error().code, ErrorCode::kFailedPrecondition);
  ModelVersion dog = candidate_;
  dog.manifest.task = "dogs";
  EXPECT_EQ(Canary(dog, 0.5).error().code, ErrorCode::kFailedPrecondition);
}

TEST_F(RolloutStorageTest, TheDatabaseItselfRefusesASecondRolloutAndAStrangeShare) {
  ASSERT_TRUE(Canary(candidate_, 0.5).ok());
  const auto insert = [this](const std::string& task, const std::string& stage,
                             const std::string& share) {
    return pool_->InTransaction([&](pqxx::work& tx) -> Result<void> {
      tx.exec_params0(
          "INSERT INTO rollouts (task, model_version_id, stage, share, since, set_by, reason) "
          "VALUES ($1, $2, $3, $4, now(), 'x', '')",
          task, candidate_.id, stage, share);
      return {};
    });
  };
  EXPECT_EQ(insert("lights", "canary", "0.1").error().code, ErrorCode::kAlreadyExists);
  EXPECT_FALSE(insert("dogs", "canary", "1").ok());
  EXPECT_FALSE(insert("dogs", "shadow", "0.1").ok());
}

TEST_F(RolloutStorageTest, ANewCapturePolicyReachesTheDeploymentUnderANewRevision) {
  const auto before = Now();
  EXPECT_EQ(before.capture, CapturePolicy());
  Apply("capture: {random_share: 0.25}\nquality: {min_side: 20}\n");

  const auto after = Now();
  EXPECT_EQ(after.capture.random_share, 0.25);
  EXPECT_EQ(after.quality.min_side, 20U);
  EXPECT_GT(after.revision, before.revision);
  EXPECT_EQ(models_->ListDeployments("lights", {1, ""})->page.items[0].capture.random_share, 0.25);
}

TEST_F(RolloutStorageTest, EventsTellOfRollouts) {
  ASSERT_TRUE(Canary(candidate_, 0.5).ok());
  const auto revision = Now().revision;
  ASSERT_TRUE(models_->ClearRollout("lights", "", "", Draft("model.rollout_cleared")).ok());

  const auto events = Events();
  ASSERT_EQ(events.size(), 5U);
  EXPECT_EQ(events[3].first, "model.rollout_set");
  EXPECT_EQ(events[3].second.model_version_id(), candidate_.id);
  EXPECT_EQ(events[3].second.stage(), "canary");
  EXPECT_EQ(events[3].second.revision(), revision);
  EXPECT_EQ(events[4].first, "model.rollout_cleared");
  EXPECT_EQ(events[4].second.task(), "lights");
  EXPECT_GT(events[4].second.revision(), revision);
}

TEST_F(RolloutStorageTest, ManyAtOnceLeaveOneRolloutAndRevisionsThatGrow) {
  std::vector<ModelVersion> versions;
  for (int i = 0; i < 4; ++i) versions.push_back(Register("many-" + std::to_string(i)));
  std::vector<std::jthread> threads;
  for (const auto& version : versions) {
    threads.emplace_back([&, version] {
      for (int i = 1; i < 5; ++i) EXPECT_TRUE(Canary(version, 0.1 * i).ok());
    });
  }
  std::uint64_t seen = 0;
  for (int i = 0; i < 50; ++i) {
    const auto revision = models_->ListDeployments("", {10, ""})->revision;
    EXPECT_GE(revision, seen);
    seen = revision;
  }
  threads.clear();
  EXPECT_TRUE(Now().rollout.has_value());
  EXPECT_TRUE(audit_->Verify()->intact);
}

}  // namespace
}  // namespace tidewheel::model_registry
