#include "tidewheel/curation/storage/postgres_dataset_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tidewheel/blob/sha256.h"
#include "tidewheel/blob/store.h"
#include "tidewheel/curation/domain/dataset_builder.h"
#include "tidewheel/curation/domain/fake_stores.h"
#include "tidewheel/curation/storage/blob_manifest_archive.h"
#include "tidewheel/curation/storage/testing/storage_fixture.h"
#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/testing/temp_folder.h"

namespace tidewheel::curation {
namespace {

class PostgresDatasetStoreTest : public StorageFixture {
 protected:
  PostgresDatasetStoreTest() {
    tasks_.tasks["lights"] = {.name = "lights",
                              .version = 1,
                              .classes = {"red", "yellow", "green"},
                              .min_confidence = 0.5};
  }
  void SetUp() override {
    StorageFixture::SetUp();
    if (IsSkipped()) return;
    auto blobs = blob::OpenFileStore(folder_.path());
    ASSERT_TRUE(blobs.ok()) << blobs.error().message;
    blobs_ = std::move(*blobs);
    archive_ = std::make_unique<BlobManifestArchive>(*blobs_);
    store_ = std::make_unique<PostgresDatasetStore>(*pool_);
    builder_ = std::make_unique<DatasetBuilder>(tasks_, *store_, *archive_, clock_);
  }

  Result<BuildOutcome> Build(const DatasetRecipe& recipe = {.task = "lights"}) {
    return builder_->Build(recipe, "for tests", "ann");
  }

  FakeTaskCatalogue tasks_;
  SystemClock clock_;
  ::tidewheel::testing::TempFolder folder_;
  std::unique_ptr<blob::Store> blobs_;
  std::unique_ptr<BlobManifestArchive> archive_;
  std::unique_ptr<PostgresDatasetStore> store_;
  std::unique_ptr<DatasetBuilder> builder_;
};

TEST_F(PostgresDatasetStoreTest, BuildKeepsVersionItemsAndEvent) {
  AddLabeledSamples(100);
  Admin(
      "UPDATE ingestion.samples SET deactivated_at = now() WHERE name = '22.png';"
      "UPDATE labeling.labels SET confidence = 0.4 WHERE sample_id = '" +
      SampleUuid(24) +
      "';"
      "DELETE FROM labeling.labels WHERE sample_id = '" +
      SampleUuid(32) + "'");

  const auto built = Build();

  ASSERT_TRUE(built.ok()) << built.error().message;
  EXPECT_TRUE(built->created);
  const DatasetVersion& version = built->version;
  EXPECT_EQ(version.version, 1u);
  EXPECT_EQ(version.items, 97u);
  EXPECT_EQ(version.votes, 97u * 3);
  EXPECT_EQ(version.report.training, 77u);
  EXPECT_EQ(version.report.validation, 10u);
  EXPECT_EQ(version.report.test, 10u);
  EXPECT_EQ(version.report.unlabeled, 1u);
  EXPECT_EQ(version.report.low_confidence, 1u);
  EXPECT_EQ(version.report.deactivated, 1u);
  EXPECT_EQ(Number("SELECT count(*) FROM curation.dataset_items_v1"), 97);
  EXPECT_EQ(Number("SELECT count(*) FROM curation.outbox WHERE type = 'dataset.built'"), 1);
  EXPECT_EQ(Number("SELECT round(avg(weight) * 1000000)::bigint FROM curation.dataset_items WHERE "
                   "split = 'training'"),
            1'000'000);
  EXPECT_EQ(
      Number(
          "SELECT count(*) FROM curation.dataset_items WHERE split <> 'training' AND weight <> 1"),
      0);
  EXPECT_EQ(
      Number("SELECT count(*) FROM (SELECT sha256, lag(sha256) OVER (ORDER BY ordinal) AS before"
             " FROM curation.dataset_items) AS i WHERE sha256 < before"),
      0);

  const auto found = store_->FindByName("lights", 0);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->digest, version.digest);
  EXPECT_EQ(found->recipe.class_weighting, ClassWeighting::kInverseFrequency);
  EXPECT_EQ(found->recipe.min_confidence, 0.5);
  ASSERT_EQ(found->report.classes.size(), 3u);
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_EQ(found->report.classes[c].class_name, version.report.classes[c].class_name);
    EXPECT_EQ(found->report.classes[c].training, version.report.classes[c].training);
    EXPECT_EQ(found->report.classes[c].weight, version.report.classes[c].weight);
  }
}

TEST_F(PostgresDatasetStoreTest, NewSamplesWeighMoreThanThoseOfThePreviousVersion) {
  AddLabeledSamples(60);
  const auto first = Build();
  ASSERT_TRUE(first.ok()) << first.error().message;
  Admin(R"(
    INSERT INTO ingestion.samples SELECT gen_random_uuid(), task, sha256(('new ' || name)::bytea), payload_ref,
        'new-' || name, source, 'new-' || group_key, split, collected_at, added_at, NULL, width, height, metadata
      FROM ingestion.samples WHERE group_key IN ('group-2', 'group-10');
    INSERT INTO labeling.labels SELECT sample_id, task, gen_random_uuid(), 'red', 0.9, 'majority', 1, 3, now()
      FROM ingestion.samples WHERE name LIKE 'new-%')");
  DatasetRecipe recipe{.task = "lights", .class_weighting = ClassWeighting::kNone};
  recipe.previous_dataset_version_id = first->version.dataset_version_id;
  recipe.new_sample_weight = 4;
  const auto second = Build(recipe);
  ASSERT_TRUE(second.ok()) << second.error().message;
  EXPECT_EQ(second->version.items, 62U);
  const std::string weights =
      "SELECT count(*) FROM curation.dataset_items i JOIN ingestion.samples s USING (sample_id) "
      "WHERE "
      "i.dataset_version_id = '" +
      second->version.dataset_version_id.text() + "' AND ";
  EXPECT_EQ(Number(weights + "weight = 4 AND s.name LIKE 'new-%' AND i.split = 'training'"), 1);
  EXPECT_EQ(Number(weights + "weight = 1 AND s.name LIKE 'new-%' AND i.split = 'test'"), 1);
  EXPECT_EQ(Number(weights + "weight = 1 AND s.name NOT LIKE 'new-%'"), 60);
  const auto read = store_->Find(second->version.dataset_version_id);
  EXPECT_EQ(read->recipe.previous_dataset_version_id, first->version.dataset_version_id);
  EXPECT_EQ(read->recipe.new_sample_weight, 4);
  const auto manifest = blobs_->Get(*blob::Ref::Parse(read->manifest_ref));
  ASSERT_TRUE(manifest.ok());
  EXPECT_NE(manifest->find("\"weight\":4}"), std::string::npos);
}

TEST_F(PostgresDatasetStoreTest, ARepeatedRequestReturnsItsVersionWhateverWasLabeledSince) {
  AddLabeledSamples(60);
  const auto first = builder_->Build({.task = "lights"}, "", "ann", "cycle-1");
  ASSERT_TRUE(first.ok()) << first.error().message;
  Admin(
      "UPDATE labeling.labels SET class_name = 'red' WHERE class_name = 'green' AND sample_id = '" +
      SampleUuid(5) + "'");
  const auto again = builder_->Build({.task = "lights"}, "", "ann", "cycle-1");
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_FALSE(again->created);
  EXPECT_EQ(again->version.dataset_version_id, first->version.dataset_version_id);
  EXPECT_EQ(Number("SELECT count(*) FROM curation.dataset_versions"), 1);
}

TEST_F(PostgresDatasetStoreTest, ManifestInThePayloadStoreHasTheDigestAndTheItems) {
  AddLabeledSamples(60);
  const auto built = Build();
  ASSERT_TRUE(built.ok()) << built.error().message;

  const auto ref = blob::Ref::Parse(built->version.manifest_ref);
  ASSERT_TRUE(ref.ok()) << ref.error().message;
  const auto manifest = blobs_->Get(*ref);

  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_EQ(blob::Sha256(*manifest), built->version.digest);
  EXPECT_EQ(std::count(manifest->begin(), manifest->end(), '\n'), 61);
  const auto items = store_->ListItems(
      {.dataset_version_id = built->version.dataset_version_id, .split = {}, .class_name = {}}, 0,
      1'000);
  ASSERT_TRUE(items.ok());
  ASSERT_EQ(items->size(), 60u);
  std::size_t line = manifest->find('\n') + 1;
  for (const DatasetItem& item : *items) {
    EXPECT_EQ(manifest->substr(line + 11, 64), item.sha256.Hex());
    EXPECT_NE(manifest->find("\"class\":\"" + item.class_name + "\"", line), std::string::npos);
    line = manifest->find('\n', line) + 1;
  }
}

TEST_F(PostgresDatasetStoreTest, SameDataUnderOtherIdsHasTheSameDigest) {
  AddLabeledSamples(100);
  const auto first = Build();
  Admin("TRUNCATE ingestion.samples, labeling.labels, labeling.votes");
  AddLabeledSamples(100, "aaaaaaaa");

  const auto second = Build();

  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_FALSE(second->created);
  EXPECT_EQ(second->version.dataset_version_id, first->version.dataset_version_id);
}

TEST_F(PostgresDatasetStoreTest, ChangedLabelGivesTheNextVersion) {
  AddLabeledSamples(100);
  const auto first = Build();
  Admin(
      "UPDATE labeling.labels SET class_name = CASE class_name WHEN 'red' THEN 'green' ELSE 'red' "
      "END"
      " WHERE sample_id = '" +
      SampleUuid(5) + "'");

  const auto second = Build();

  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_TRUE(second->created);
  EXPECT_EQ(second->version.version, 2u);
  EXPECT_NE(second->version.digest, first->version.digest);
}

TEST_F(PostgresDatasetStoreTest, RecipeLimitsSourcesAndTime) {
  AddLabeledSamples(200);
  Admin("UPDATE ingestion.samples SET added_at = '2026-03-01Z' WHERE name LIKE '1__.png'");
  DatasetRecipe early{.task = "lights"};
  early.added_until = *ParseUtc("2026-02-01T00:00:00Z");
  const auto until = Build(early);
  // Sources alternate, and so do the splits: camera-1 alone has no test sample.
  DatasetRecipe one_camera{.task = "lights"};
  one_camera.sources = {"camera-1"};
  const auto of_one = Build(one_camera);

  ASSERT_TRUE(until.ok()) << until.error().message;
  EXPECT_EQ(until->version.items, 100u);
  EXPECT_EQ(until->version.recipe.added_until, early.added_until);
  ASSERT_FALSE(of_one.ok());
  EXPECT_EQ(of_one.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(of_one.error().message.find("test split"), std::string::npos);

  const auto found = store_->Find(until->version.dataset_version_id);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->recipe.added_until, early.added_until);
}

TEST_F(PostgresDatasetStoreTest, SourcesOfARecipeComeBack) {
  AddLabeledSamples(100);
  DatasetRecipe recipe{.task = "lights"};
  recipe.sources = {"camera-1", "camera-2", "a \"b\", {c}\\"};

  const auto built = Build(recipe);

  ASSERT_TRUE(built.ok()) << built.error().message;
  const auto found = store_->Find(built->version.dataset_version_id);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->recipe.sources,
            (std::vector<std::string>{"a \"b\", {c}\\", "camera-1", "camera-2"}));
}

TEST_F(PostgresDatasetStoreTest, LeaksAcrossSplitsAreCounted) {
  AddLabeledSamples(100);
  Admin(
      "UPDATE ingestion.samples SET group_key = 'pass-1' WHERE name IN ('10.png', '12.png', "
      "'11.png');"
      "UPDATE ingestion.samples SET group_key = 'pass-2' WHERE name IN ('13.png', '14.png');"
      "UPDATE ingestion.samples SET sha256 = sha256('20') WHERE name IN ('22.png', '23.png')");

  const auto built = Build();

  ASSERT_TRUE(built.ok()) << built.error().message;
  EXPECT_EQ(built->version.report.groups_across_splits, 1u);
  EXPECT_EQ(built->version.report.equal_payloads_across_splits, 2u);
}

TEST_F(PostgresDatasetStoreTest, ConcurrentIdenticalBuildsMakeOneVersion) {
  AddLabeledSamples(500);
  std::vector<Result<BuildOutcome>> outcomes(4, Error{});
  std::vector<std::thread> threads;
  for (auto& outcome : outcomes) threads.emplace_back([&] { outcome = Build(); });
  for (std::thread& thread : threads) thread.join();

  int created = 0;
  std::set<std::string> ids;
  for (const auto& outcome : outcomes) {
    ASSERT_TRUE(outcome.ok()) << outcome.error().message;
    created += outcome->created ? 1 : 0;
    ids.insert(outcome->version.dataset_version_id.text());
  }
  EXPECT_EQ(created, 1);
  EXPECT_EQ(ids.size(), 1u);
  EXPECT_EQ(Number("SELECT count(*) FROM curation.dataset_versions"), 1);
  EXPECT_EQ(Number("SELECT count(*) FROM curation.outbox"), 1);
}

TEST_F(PostgresDatasetStoreTest, ConcurrentDifferentBuildsNumberTheirVersions) {
  AddLabeledSamples(300);
  std::vector<Result<BuildOutcome>> outcomes(3, Error{});
  std::vector<std::thread> threads;
  const ClassWeighting weightings[] = {ClassWeighting::kNone, ClassWeighting::kInverseFrequency,
                                       ClassWeighting::kRootInverseFrequency};
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    threads.emplace_back([&, i] {
      DatasetRecipe recipe{.task = "lights"};
      recipe.class_weighting = weightings[i];
      outcomes[i] = Build(recipe);
    });
  }
  for (std::thread& thread : threads) thread.join();

  std::set<std::uint32_t> numbers;
  for (const auto& outcome : outcomes) {
    ASSERT_TRUE(outcome.ok()) << outcome.error().message;
    numbers.insert(outcome->version.version);
  }
  EXPECT_EQ(numbers, (std::set<std::uint32_t>{1, 2, 3}));
}

TEST_F(PostgresDatasetStoreTest, WhatWasBuiltCannotBeChanged) {
  AddLabeledSamples(100);
  ASSERT_TRUE(Build().ok());

  for (const std::string statement :
       {"UPDATE dataset_items SET weight = 2", "DELETE FROM dataset_items",
        "UPDATE dataset_versions SET description = ''"}) {
    const auto done = pool_->InTransaction([&](pqxx::work& tx) -> Result<void> {
      tx.exec(statement);
      return {};
    });
    ASSERT_FALSE(done.ok()) << statement;
    EXPECT_EQ(done.error().code, ErrorCode::kPermissionDenied);
  }
}

TEST_F(PostgresDatasetStoreTest, ListsVersionsAndItemsInPages) {
  AddLabeledSamples(100);
  for (const auto weighting : {ClassWeighting::kNone, ClassWeighting::kInverseFrequency,
                               ClassWeighting::kEffectiveNumber}) {
    DatasetRecipe recipe{.task = "lights"};
    recipe.class_weighting = weighting;
    ASSERT_TRUE(Build(recipe).ok());
  }

  const auto newest = store_->List({"lights"}, {}, 2);
  ASSERT_TRUE(newest.ok()) << newest.error().message;
  ASSERT_EQ(newest->size(), 2u);
  EXPECT_EQ((*newest)[0].version, 3u);
  const auto rest =
      store_->List({""}, VersionCursor{(*newest)[1].built_at, (*newest)[1].dataset_version_id}, 10);
  ASSERT_TRUE(rest.ok());
  ASSERT_EQ(rest->size(), 1u);
  EXPECT_EQ((*rest)[0].version, 1u);
  EXPECT_EQ((*rest)[0].report.classes.size(), 3u);

  const ItemFilter filter{.dataset_version_id = (*newest)[0].dataset_version_id,
                          .split = Split::kTest,
                          .class_name = "yellow"};
  const auto items = store_->ListItems(filter, 0, 1'000);
  ASSERT_TRUE(items.ok());
  ASSERT_FALSE(items->empty());
  for (const DatasetItem& item : *items) {
    EXPECT_EQ(item.split, Split::kTest);
    EXPECT_EQ(item.class_name, "yellow");
    EXPECT_EQ(item.weight, 1);
  }
  const auto unknown = store_->ListItems(
      {.dataset_version_id = DatasetVersionId(NewUuid()), .split = {}, .class_name = {}}, 0, 1);
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, ErrorCode::kNotFound);
}

TEST_F(PostgresDatasetStoreTest, TrainingMayReadTheViews) {
  AddLabeledSamples(100);
  ASSERT_TRUE(Build().ok());
  postgres::Pool training({.dsn = database_.DsnOf("tidewheel_training"), .search_path = {}});

  const auto seen = training.ReadOnly([](pqxx::transaction_base& tx) -> Result<long> {
    return tx
        .exec1(
            "SELECT count(*) FROM curation.dataset_versions_v1 v JOIN curation.dataset_items_v1 i"
            " ON i.dataset_version_id = v.dataset_version_id WHERE i.class_name = "
            "v.classes[i.class_index + 1]")[0]
        .as<long>();
  });

  ASSERT_TRUE(seen.ok()) << seen.error().message;
  EXPECT_EQ(*seen, 100);
}

TEST_F(PostgresDatasetStoreTest, SeventyThousandItemsAreBuiltWithinSeconds) {
  AddLabeledSamples(70'000);
  const auto started = std::chrono::steady_clock::now();

  const auto built = Build();

  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - started;
  ASSERT_TRUE(built.ok()) << built.error().message;
  EXPECT_EQ(built->version.items, 70'000u);
  RecordProperty("seconds", std::to_string(taken.count()));
  EXPECT_LT(taken.count(), 20) << "70,000 items took " << taken.count() << " s";
}

}  // namespace
}  // namespace tidewheel::curation
