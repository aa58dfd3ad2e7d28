#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tidewheel/base/ids.h"
#include "tidewheel/model_registry/migrations.h"
#include "tidewheel/model_registry/storage/postgres_audit_log.h"
#include "tidewheel/model_registry/storage/postgres_model_store.h"
#include "tidewheel/model_registry/storage/postgres_review_store.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/testing/postgres_server.h"

namespace tidewheel::model_registry {
namespace {

class ReviewStorageTest : public tidewheel::testing::PostgresTest {
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
    reviews_.emplace(*pool_);
    audit_.emplace(*pool_);
    PostgresModelStore models(*pool_, clock_);
    ModelVersion version;
    version.id = model_ = NewUuid();
    version.manifest.task = "lights";
    version.manifest.run_id = "run-1";
    version.package_digest = std::string(64, 'a');
    version.registered_at = clock_.Now();
    ASSERT_TRUE(models.Register(version, Draft()).ok());
  }

  static AuditDraft Draft() { return {"ann", "x", "model/x", {}}; }
  GateEvaluation Evaluation(const std::string& id) const {
    GateEvaluation evaluation;
    evaluation.evaluation_id = id;
    evaluation.model_version_id = model_;
    evaluation.baseline_model_version_id = model_;
    evaluation.dataset_version_id = "d";
    GateCriterion full;
    full.name = "max_loss";
    full.verdict = GateVerdict::kInconclusive;
    full.reason = "a \"quoted\", {odd} 'reason' \\ and a\nline";
    full.difference = 0.1 + 0.2;
    full.low = -1e-300;
    full.high = 1;
    full.samples = 5'000'000'000;
    full.p_value = 0.04;
    GateCriterion bare;
    bare.name = "slice.camera=7";
    evaluation.criteria = {full, bare};
    evaluation.verdict = GateVerdict::kInconclusive;
    evaluation.evaluated_at = clock_.Now();
    evaluation.actor = "cycle";
    return evaluation;
  }

  SystemClock clock_;
  std::optional<postgres::Pool> pool_;
  std::optional<PostgresReviewStore> reviews_;
  std::optional<PostgresAuditLog> audit_;
  std::string model_;
};

TEST_F(ReviewStorageTest, EvaluationsComeBackAsTheyWereRecorded) {
  const auto wanted = Evaluation("e1");
  const auto stored = reviews_->Append(wanted, Draft());
  ASSERT_TRUE(stored.ok()) << stored.error().message;
  EXPECT_TRUE(stored->created);

  const auto found = reviews_->FindNewest(model_);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->criteria, wanted.criteria);
  EXPECT_EQ((*found)->verdict, GateVerdict::kInconclusive);
  EXPECT_EQ((*found)->baseline_model_version_id, model_);
  EXPECT_EQ((*found)->evaluated_at, wanted.evaluated_at);
  EXPECT_FALSE(reviews_->FindNewest(NewUuid())->has_value());

  GateEvaluation changed = Evaluation("e1");
  changed.criteria.clear();
  const auto again = reviews_->Append(changed, Draft());
  EXPECT_FALSE(again->created);
  EXPECT_EQ(again->evaluation.criteria, wanted.criteria);
  EXPECT_EQ(audit_->Verify()->entries, 2U);  // The registration and the first evaluation.
}

TEST_F(ReviewStorageTest, EvaluationsArePagedNewestFirst) {
  for (const char* id : {"e1", "e2", "e3"}) {
    ASSERT_TRUE(reviews_->Append(Evaluation(id), Draft()).ok());
  }
  std::vector<std::string> ids;
  PageRequest request{2, ""};
  do {
    const auto page = reviews_->ListEvaluations(model_, request);
    ASSERT_TRUE(page.ok()) << page.error().message;
    for (const auto& evaluation : page->items) {
      ids.push_back(evaluation.evaluation_id);
      EXPECT_EQ(evaluation.criteria.size(), 2U);
    }
    request.token = page->next_token;
  } while (!request.token.empty());
  EXPECT_THAT(ids, ::testing::ElementsAre("e3", "e2", "e1"));
  EXPECT_EQ(reviews_->FindNewest(model_).value()->evaluation_id, "e3");
  EXPECT_EQ(reviews_->ListEvaluations(model_, {2, "x"}).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(ReviewStorageTest, ARoleHasOneSignatureHoweverManySign) {
  std::vector<std::jthread> threads;
  std::atomic<int> created = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      const auto stored = reviews_->Append(
          SignOffRecord{model_, "safety", "a" + std::to_string(i), true, "", clock_.Now()},
          Draft());
      ASSERT_TRUE(stored.ok()) << stored.error().message;
      if (stored->created) ++created;
    });
  }
  threads.clear();
  EXPECT_EQ(created, 1);
  const auto records = reviews_->ListSignOffs(model_);
  ASSERT_EQ(records->size(), 1U);
  EXPECT_TRUE(records->front().approved);
}

TEST_F(ReviewStorageTest, NothingThatWasJudgedCanBeChangedAfterwards) {
  ASSERT_TRUE(reviews_->Append(Evaluation("e1"), Draft()).ok());
  for (const char* statement :
       {"UPDATE gate_evaluations SET verdict = 'pass'", "UPDATE gate_criteria SET verdict = 'pass'",
        "DELETE FROM sign_offs"}) {
    const auto refused = pool_->InTransaction([&](pqxx::work& tx) -> Result<void> {
      tx.exec0(statement);
      return {};
    });
    EXPECT_EQ(refused.error().code, ErrorCode::kPermissionDenied) << statement;
  }
}

}  // namespace
}  // namespace tidewheel::model_registry
