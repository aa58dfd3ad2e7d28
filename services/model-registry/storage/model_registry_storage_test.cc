#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <set>
#include <thread>

#include "tidewheel/base/ids.h"
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

class ModelRegistryStorageTest : public tidewheel::testing::PostgresTest {
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
  }

  static Declaration Lights(const std::string& more = "") {
    return *Declare("task: lights\nclasses: [red, yellow, green]\n" + more);
  }

  static ModelVersion Version(const std::string& run) {
    ModelVersion version;
    version.id = NewUuid();
    version.manifest.task = "lights";
    version.manifest.run_id = run;
    version.manifest.seed = ~std::uint64_t{0};
    version.manifest.classes = {"red", "a \"quoted\", {odd} class", "green"};
    version.manifest.metrics = {{"accuracy", 0.1 + 0.2}};
    version.package_digest = std::string(64, 'a');
    version.files = {{"model.onnx", std::string(64, 'b'), 12, "obj:x"}};
    version.registered_at = SystemClock().Now();
    version.registered_by = "ann";
    return version;
  }

  static AuditDraft Draft(const std::string& action) { return {"ann", action, "model/x", {}}; }

  SystemClock clock_;
  std::optional<postgres::Pool> pool_;
  std::optional<PostgresTaskStore> tasks_;
  std::optional<PostgresModelStore> models_;
  std::optional<PostgresAuditLog> audit_;
};

TEST_F(ModelRegistryStorageTest, TasksComeBackAsTheyWereApplied) {
  TaskCatalog catalog(*tasks_, clock_);
  ASSERT_TRUE(catalog.Apply(Lights(), "ann", false).ok());
  const auto second = catalog.Apply(Lights("description: \"it's \\\"new\\\"\"\n"), "bob", false);
  ASSERT_TRUE(second.ok()) << second.error().message;

  const auto newest = catalog.Find("lights", 0);
  ASSERT_TRUE(newest.ok());
  EXPECT_EQ(newest->version, 2U);
  EXPECT_EQ(newest->spec, second->task.spec);
  EXPECT_EQ(newest->applied_at, second->task.applied_at);
  EXPECT_EQ(catalog.Find("lights", 1)->applied_by, "ann");
  EXPECT_FALSE(catalog.Apply(Lights("description: \"it's \\\"new\\\"\"\n"), "bob", false)->changed);
}

TEST_F(ModelRegistryStorageTest, TasksArePagedByName) {
  TaskCatalog catalog(*tasks_, clock_);
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_TRUE(
        catalog.Apply(*Declare("task: " + std::string(name) + "\nclasses: [x, y]\n"), "ann", false)
            .ok());
  }
  std::vector<std::string> names;
  PageRequest request{2, ""};
  do {
    const auto page = catalog.List(request);
    ASSERT_TRUE(page.ok());
    for (const auto& task : page->items) names.push_back(task.spec.name);
    request.token = page->next_token;
  } while (!request.token.empty());
  EXPECT_THAT(names, ::testing::ElementsAre("a", "b", "c"));
  EXPECT_EQ(catalog.List({2, "nonsense"}).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(ModelRegistryStorageTest, VersionsAreNumberedAndRegisteredOncePerRun) {
  const auto first = models_->Register(Version("run-1"), Draft("model.registered"));
  ASSERT_TRUE(first.ok()) << first.error().message;
  const auto again = models_->Register(Version("run-1"), Draft("model.registered"));
  const auto second = models_->Register(Version("run-2"), Draft("model.registered"));

  EXPECT_TRUE(first->created);
  EXPECT_FALSE(again->created);
  EXPECT_EQ(again->model_version.id, first->model_version.id);
  EXPECT_EQ(second->model_version.version, 2U);
  const auto found = models_->Find(first->model_version.id);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->manifest.classes, first->model_version.manifest.classes);
  EXPECT_EQ((*found)->manifest.seed, ~std::uint64_t{0});
  EXPECT_EQ((*found)->manifest.metrics.at("accuracy"), 0.1 + 0.2);
  EXPECT_EQ((*found)->files, first->model_version.files);
  EXPECT_FALSE(models_->Find("not-an-id")->has_value());
}

TEST_F(ModelRegistryStorageTest, PromotionsAndRollBacksWalkTheHistory) {
  std::vector<ModelVersion> versions;
  for (const char* run : {"run-1", "run-2", "run-3"}) {
    versions.push_back(models_->Register(Version(run), Draft("model.registered"))->model_version);
    ASSERT_TRUE(models_->Promote(versions.back(), Draft("model.promoted"))->changed);
  }
  EXPECT_FALSE(models_->Promote(versions[2], Draft("model.promoted"))->changed);

  const auto to_second = models_->RollBack("lights", "", Draft("model.rolled_back"));
  ASSERT_TRUE(to_second.ok()) << to_second.error().message;
  EXPECT_EQ(to_second->production.id, versions[1].id);
  EXPECT_EQ(models_->RollBack("lights", versions[2].id, Draft("x")).error().code,
            ErrorCode::kAborted);
  EXPECT_EQ(models_->RollBack("lights", versions[1].id, Draft("x"))->production.id, versions[0].id);
  EXPECT_EQ(models_->RollBack("lights", "", Draft("x")).error().code,
            ErrorCode::kFailedPrecondition);
  EXPECT_EQ(models_->RollBack("dogs", "", Draft("x")).error().code, ErrorCode::kNotFound);

  const auto list = models_->ListDeployments("", {10, ""});
  ASSERT_EQ(list->page.items.size(), 1U);
  EXPECT_EQ(list->page.items[0].production.stage, Stage::kProduction);
  EXPECT_EQ(list->revision, list->page.items[0].revision);
}

TEST_F(ModelRegistryStorageTest, TheChainVerifiesAndTellsOfTampering) {
  for (const char* run : {"run-1", "run-2", "run-3"}) {
    ASSERT_TRUE(models_->Register(Version(run), Draft("model.registered")).ok());
  }
  EXPECT_TRUE(audit_->Verify()->intact);
  EXPECT_EQ(audit_->Verify()->entries, 3U);
  EXPECT_EQ(audit_->List("", {2, ""})->items.front().number, 3U);

  // The service itself may not rewrite history; only an administrator can try.
  const auto refused = pool_->InTransaction([](pqxx::work& tx) -> Result<void> {
    tx.exec0("UPDATE audit_entries SET actor = 'eve' WHERE number = 2");
    return {};
  });
  EXPECT_EQ(refused.error().code, ErrorCode::kPermissionDenied);

  pqxx::connection admin(database_.admin_dsn);
  pqxx::work tx(admin);
  tx.exec0("UPDATE registry.audit_entries SET actor = 'eve' WHERE number = 2");
  tx.commit();
  const auto report = audit_->Verify();
  EXPECT_FALSE(report->intact);
  EXPECT_EQ(report->first_broken_number, 2U);
}

TEST_F(ModelRegistryStorageTest, ConcurrentRegistrationsNeverShareANumber) {
  std::vector<std::jthread> threads;
  std::mutex mutex;
  std::set<std::uint32_t> numbers;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      const auto stored = models_->Register(Version("run-" + std::to_string(i)), Draft("x"));
      const std::lock_guard lock(mutex);
      if (stored.ok()) numbers.insert(stored->model_version.version);
    });
  }
  threads.clear();
  EXPECT_EQ(numbers.size(), 8U);
  EXPECT_TRUE(audit_->Verify()->intact);
}

TEST_F(ModelRegistryStorageTest, EachChangeQueuesItsEvent) {
  const auto stored = models_->Register(Version("run-1"), Draft("model.registered"));
  ASSERT_TRUE(models_->Promote(stored->model_version, Draft("model.promoted")).ok());
  const auto types =
      pool_->ReadOnly([](pqxx::transaction_base& tx) -> Result<std::vector<std::string>> {
        std::vector<std::string> found;
        for (const auto& row : tx.exec("SELECT type FROM outbox ORDER BY id"))
          found.push_back(row[0].c_str());
        return found;
      });
  EXPECT_THAT(*types, ::testing::ElementsAre("model.registered", "model.promoted"));
}

}  // namespace
}  // namespace tidewheel::model_registry
