#include "tidewheel/training/storage/postgres_run_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <thread>

#include "tidewheel/base/ids.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/testing/postgres_server.h"
#include "tidewheel/training/migrations.h"

namespace tidewheel::training {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr char kDataset[] = "01900000-0000-7000-8000-000000000001";

/// What curation publishes, filled with a dataset version of six samples.
constexpr char kPublishedByCuration[] = R"(
  CREATE TABLE ingestion.samples (sample_id uuid, metadata jsonb);
  CREATE VIEW ingestion.samples_v1 AS SELECT * FROM ingestion.samples;
  GRANT USAGE ON SCHEMA ingestion TO tidewheel_training;
  GRANT SELECT ON ingestion.samples_v1 TO tidewheel_training;
  CREATE TABLE curation.versions (dataset_version_id uuid, task text, version int, digest text, items bigint,
      manifest_ref text, classes text[], task_version int, built_at timestamptz);
  CREATE TABLE curation.items (dataset_version_id uuid, ordinal bigint, sample_id uuid, sha256 bytea, payload_ref text,
      class_index int, class_name text, split text, weight double precision, label_id uuid, label_confidence double precision);
  CREATE VIEW curation.dataset_versions_v1 AS SELECT * FROM curation.versions;
  CREATE VIEW curation.dataset_items_v1 AS SELECT * FROM curation.items;
  GRANT USAGE ON SCHEMA curation TO tidewheel_training;
  GRANT SELECT ON curation.dataset_versions_v1, curation.dataset_items_v1 TO tidewheel_training;
  INSERT INTO curation.versions VALUES ('01900000-0000-7000-8000-000000000001', 'lights', 1, 'digest', 6, 'obj:x',
      ARRAY['red', 'a "quoted", {odd} class'], 1, now());
  INSERT INTO curation.items SELECT '01900000-0000-7000-8000-000000000001', n, gen_random_uuid(), '\x00', 'ref-' || n, n % 2,
      CASE n % 2 WHEN 0 THEN 'red' ELSE 'odd' END, CASE WHEN n < 2 THEN 'training' WHEN n < 3 THEN 'validation' ELSE 'test' END,
      0.5, gen_random_uuid(), 1 FROM generate_series(0, 5) AS n;
  INSERT INTO ingestion.samples SELECT sample_id, jsonb_build_object('site', 'n-' || ordinal, 'note', 'a "b"')
      FROM curation.items WHERE ordinal <> 4;
)";

class PostgresRunStoreTest : public tidewheel::testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const auto migrated =
        postgres::Migrate(database_.admin_dsn, "training", "tidewheel_training", Migrations());
    ASSERT_TRUE(migrated.ok()) << migrated.error().message;
    pqxx::connection admin(database_.admin_dsn);
    pqxx::work tx(admin);
    tx.exec(kPublishedByCuration);
    tx.commit();
    postgres::PoolOptions options;
    options.dsn = database_.DsnOf("tidewheel_training");
    options.search_path = "training";
    pool_.emplace(options);
    store_.emplace(*pool_);
  }

  training::Run Queued(const std::string& request_id) {
    training::Run run;
    run.id = NewUuid();
    run.request = {request_id, kDataset, "image-cnn", ~std::uint64_t{0}, {}, "ann"};
    run.request.hyperparameters.epochs = 7;
    run.request.baseline =
        BaselinePackage{"model-0", {{"model.onnx", "obj:1"}, {"odd {name}, \"x\"", "obj:2"}}};
    run.dataset = *store_->FindDatasetVersion(kDataset);
    run.queued_at = clock_.Now();
    const auto enqueued = store_->Enqueue(run, 100);
    EXPECT_TRUE(enqueued.ok()) << enqueued.error().message;
    return enqueued->run;
  }
  /// Claims the next run and ends it with these predictions of items 2 to 5.
  void Finish(const std::vector<std::uint32_t>& predicted) {
    const auto claimed = store_->Claim("me", clock_.Now(), seconds(10));
    ASSERT_TRUE(claimed.ok() && claimed->has_value());
    RunOutcome outcome;
    outcome.effective.epochs = 7;
    outcome.evaluations = {
        {"test", 3, {{"accuracy", 0.1 + 0.2, 0.1, 0.5, "wilson"}}, {1, 0, 1, 1}}};
    for (std::size_t i = 0; i < predicted.size(); ++i) {
      outcome.predictions.push_back({i + 2, "", "", 0, predicted[i], {0.25F, 0.75F}, {0.9F, 0.1F}});
    }
    outcome.tests = {{"red by day", 30, 29, ""}, {"red by night", 0, 0, "no samples"}};
    outcome.cpu_seconds = 33.5;
    const auto ended = store_->Succeed((*claimed)->id, "me", clock_.Now(), outcome, "model-1");
    ASSERT_TRUE(ended.ok()) << ended.error().message;
  }

  SystemClock clock_;
  std::optional<postgres::Pool> pool_;
  std::optional<PostgresRunStore> store_;
};

TEST_F(PostgresRunStoreTest, ReadsWhatCurationPublishes) {
  const auto dataset = store_->FindDatasetVersion(kDataset);
  ASSERT_TRUE(dataset.ok()) << dataset.error().message;
  EXPECT_THAT(dataset->classes, ::testing::ElementsAre("red", "a \"quoted\", {odd} class"));
  std::vector<std::string> refs;
  EXPECT_TRUE(store_
                  ->ForEachItem(kDataset,
                                [&](const DatasetItem& item) -> Result<void> {
                                  refs.push_back(item.payload_ref + "/" + item.split);
                                  return {};
                                })
                  .ok());
  EXPECT_THAT(refs, ::testing::ElementsAre("ref-0/training", "ref-1/training", "ref-2/validation",
                                           "ref-3/test", "ref-4/test", "ref-5/test"));
  EXPECT_EQ(store_->FindDatasetVersion("x").error().code, ErrorCode::kNotFound);
}

TEST_F(PostgresRunStoreTest, ARequestMakesOneRun) {
  const auto first = Queued("request-1");
  const auto again = Queued("request-1");
  EXPECT_EQ(first.id, again.id);
  EXPECT_EQ(again.request.seed, ~std::uint64_t{0});
  EXPECT_EQ(again.request.hyperparameters.epochs, 7U);
  EXPECT_FALSE(again.request.hyperparameters.patience.has_value());
  training::Run more;
  more.id = NewUuid();
  more.request.request_id = "request-2";
  more.dataset = first.dataset;
  EXPECT_EQ(store_->Enqueue(more, 1).error().code, ErrorCode::kResourceExhausted);
}

TEST_F(PostgresRunStoreTest, KeepsWhatARunOfACycleWasAskedAndWhatItCost) {
  const auto run = Queued("request-1");
  Finish({0, 1, 0, 1});
  const auto found = store_->Find(run.id);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->request.baseline, run.request.baseline);
  EXPECT_EQ((*found)->cpu_seconds, 33.5);
  ASSERT_EQ((*found)->tests.size(), 2U);
  EXPECT_EQ((*found)->tests[0].passed, 29U);
  EXPECT_EQ((*found)->tests[1].not_evaluated, "no samples");
  const auto predictions = store_->ListPredictions({run.id, "", false}, {});
  ASSERT_EQ(predictions->items.size(), 4U);
  EXPECT_THAT(predictions->items[0].baseline_probabilities, ::testing::ElementsAre(0.9F, 0.1F));

  std::vector<std::map<std::string, std::string>> metadata;
  ASSERT_TRUE(store_
                  ->ForEachItem(kDataset,
                                [&](const DatasetItem& item) -> Result<void> {
                                  metadata.push_back(item.metadata);
                                  return {};
                                })
                  .ok());
  ASSERT_EQ(metadata.size(), 6U);
  EXPECT_TRUE(metadata[0].empty());  // Tests look at the test split alone.
  EXPECT_EQ(metadata[3].at("note"), "a \"b\"");
  EXPECT_EQ(metadata[3].at("site"), "n-3");
  EXPECT_TRUE(metadata[4].empty());
}

TEST_F(PostgresRunStoreTest, CountsWhatHasNotEnded) {
  const auto cancelled = Queued("request-1");
  Queued("request-2");
  Queued("request-3");
  ASSERT_TRUE(store_->Cancel(cancelled.id, "not needed", clock_.Now()).ok());
  ASSERT_TRUE(store_->Claim("me", clock_.Now(), seconds(10))->has_value());

  const auto open = store_->CountOpen();
  ASSERT_TRUE(open.ok()) << open.error().message;
  EXPECT_EQ(open->queued, 1U);
  EXPECT_EQ(open->running, 1U);
}

TEST_F(PostgresRunStoreTest, EachRunIsClaimedOnce) {
  for (int i = 0; i < 6; ++i) Queued("request-" + std::to_string(i));
  std::mutex mutex;
  std::multiset<std::string> claimed;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      while (true) {
        const auto run = store_->Claim("owner-" + std::to_string(i), clock_.Now(), seconds(10));
        if (!run.ok() || !run->has_value()) return;
        const std::lock_guard lock(mutex);
        claimed.insert((*run)->id);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(claimed.size(), 6U);
  EXPECT_EQ(std::set<std::string>(claimed.begin(), claimed.end()).size(), 6U);
}

TEST_F(PostgresRunStoreTest, ALostRunIsQueuedAgainAndFailsInTheEnd) {
  const auto run = Queued("request-1");
  Timestamp now = clock_.Now();
  for (int attempt = 1; attempt <= 2; ++attempt) {
    ASSERT_TRUE(store_->Claim("me", now, seconds(10))->has_value());
    EXPECT_EQ(*store_->RecoverLost(now + seconds(5), 2), 0U);  // The lease holds.
    now += seconds(11);
    EXPECT_EQ(*store_->RecoverLost(now, 2), 1U);
  }
  const auto found = store_->Find(run.id);
  EXPECT_EQ((*found)->state, RunState::kFailed);
  EXPECT_THAT((*found)->reason, HasSubstr("interrupted 2 times"));
}

TEST_F(PostgresRunStoreTest, WhoLostARunCannotEndIt) {
  const auto run = Queued("request-1");
  const Timestamp now = clock_.Now();
  ASSERT_TRUE(store_->Claim("old", now, seconds(1))->has_value());
  ASSERT_TRUE(store_->RecoverLost(now + seconds(2), 3).ok());
  ASSERT_TRUE(store_->Claim("new", now + seconds(2), seconds(10))->has_value());

  EXPECT_EQ(store_->Renew(run.id, "old", now, {}).error().code, ErrorCode::kAborted);
  EXPECT_EQ(store_->End(run.id, "old", now, RunState::kFailed, "x").error().code,
            ErrorCode::kAborted);
  EXPECT_EQ(store_->Succeed(run.id, "old", now, {}, "m").error().code, ErrorCode::kAborted);
  EXPECT_TRUE(store_->Renew(run.id, "new", now + seconds(20), {"training", 1, 2}).ok());
}

TEST_F(PostgresRunStoreTest, CancellingEndsWhatWaitsAndAsksWhatRuns) {
  const auto waiting = Queued("request-1");
  EXPECT_EQ(store_->Cancel(waiting.id, "not needed", clock_.Now())->state, RunState::kCancelled);
  EXPECT_EQ(store_->Cancel(waiting.id, "again", clock_.Now())->state, RunState::kCancelled);

  const auto running = Queued("request-2");
  ASSERT_TRUE(store_->Claim("me", clock_.Now(), seconds(10))->has_value());
  EXPECT_EQ(store_->Cancel(running.id, "stop", clock_.Now())->state, RunState::kRunning);
  EXPECT_TRUE(*store_->Renew(running.id, "me", clock_.Now() + seconds(10), {}));
  ASSERT_TRUE(store_->End(running.id, "me", clock_.Now(), RunState::kFailed, "x").ok());
  EXPECT_EQ(store_->Cancel(running.id, "late", clock_.Now()).error().code,
            ErrorCode::kFailedPrecondition);
  EXPECT_EQ(store_->Cancel(NewUuid(), "x", clock_.Now()).error().code, ErrorCode::kNotFound);
}

TEST_F(PostgresRunStoreTest, WhatARunFoundComesBackWhole) {
  const auto run = Queued("request-1");
  Finish({0, 1, 0, 0});

  const auto found = store_->Find(run.id);
  EXPECT_EQ((*found)->state, RunState::kSucceeded);
  ASSERT_EQ((*found)->evaluations.size(), 1U);
  EXPECT_EQ((*found)->evaluations[0].metrics[0].value, 0.1 + 0.2);
  EXPECT_THAT((*found)->evaluations[0].confusion, ::testing::ElementsAre(1, 0, 1, 1));
  const auto all = store_->ListPredictions({run.id, "", false}, {3, ""});
  ASSERT_TRUE(all.ok()) << all.error().message;
  EXPECT_EQ(all->items.size(), 3U);
  EXPECT_EQ(all->items[0].split, "validation");
  EXPECT_THAT(all->items[0].probabilities, ::testing::ElementsAre(0.25F, 0.75F));
  const auto rest = store_->ListPredictions({run.id, "", false}, {3, all->next_token});
  EXPECT_EQ(rest->items.size(), 1U);
  // Items 3 and 5 are of class 1: 3 was predicted 1, 5 was predicted 0.
  EXPECT_EQ(store_->ListPredictions({run.id, "test", true}, {})->items.size(), 1U);
}

TEST_F(PostgresRunStoreTest, RunsAreComparedOnTheSameSamplesOnly) {
  const auto first = Queued("request-1");
  Finish({0, 1, 0, 1});
  const auto second = Queued("request-2");
  Finish({0, 1, 1, 0});
  const auto untrained = Queued("request-3");

  const auto compared = store_->Compare(first.id, second.id, "test");
  ASSERT_TRUE(compared.ok()) << compared.error().message;
  EXPECT_EQ(compared->samples, 3U);
  EXPECT_EQ(compared->first_right, 3U);
  EXPECT_EQ(compared->second_right, 1U);
  EXPECT_EQ(compared->only_first_right, 2U);
  EXPECT_EQ(compared->only_second_right, 0U);
  EXPECT_EQ(store_->Compare(first.id, untrained.id, "test").error().code,
            ErrorCode::kFailedPrecondition);
}

TEST_F(PostgresRunStoreTest, EveryChangeOfStateQueuesItsEvent) {
  Queued("request-1");
  Finish({0, 1, 0, 0});
  const auto types =
      pool_->ReadOnly([](pqxx::transaction_base& tx) -> Result<std::vector<std::string>> {
        std::vector<std::string> found;
        for (const auto& row : tx.exec("SELECT type FROM outbox ORDER BY id")) {
          found.emplace_back(row[0].c_str());
        }
        return found;
      });
  EXPECT_THAT(*types, ::testing::ElementsAre("run.queued", "run.started", "run.succeeded"));
}

TEST_F(PostgresRunStoreTest, ListsNewestFirst) {
  for (int i = 0; i < 5; ++i) Queued("request-" + std::to_string(i));
  std::vector<std::string> requests;
  PageRequest page{2, ""};
  do {
    const auto runs = store_->List("lights", RunState::kQueued, page);
    ASSERT_TRUE(runs.ok()) << runs.error().message;
    for (const auto& run : runs->items) requests.push_back(run.request.request_id);
    page.token = runs->next_token;
  } while (!page.token.empty());
  EXPECT_THAT(requests, ::testing::ElementsAre("request-4", "request-3", "request-2", "request-1",
                                               "request-0"));
  EXPECT_EQ(store_->List("", std::nullopt, {2, "nonsense"}).error().code,
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace tidewheel::training
