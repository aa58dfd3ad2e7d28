#include "tidewheel/curation/storage/postgres_lineage_store.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tidewheel/curation/domain/dataset_builder.h"
#include "tidewheel/curation/domain/fake_stores.h"
#include "tidewheel/curation/domain/lineage_tracer.h"
#include "tidewheel/curation/storage/postgres_dataset_store.h"
#include "tidewheel/curation/storage/testing/storage_fixture.h"

namespace tidewheel::curation {
namespace {

class PostgresLineageStoreTest : public StorageFixture {
 protected:
  void SetUp() override {
    StorageFixture::SetUp();
    if (IsSkipped()) return;
    AddLabeledSamples(100);
    FakeTaskCatalogue tasks;
    tasks.tasks["lights"] = {.name = "lights",
                             .version = 1,
                             .classes = {"red", "yellow", "green"},
                             .min_confidence = 0.5};
    FakeManifestArchive archive;
    PostgresDatasetStore datasets(*pool_);
    DatasetBuilder builder(tasks, datasets, archive, clock_);
    const auto built = builder.Build({.task = "lights"}, "", "ann");
    ASSERT_TRUE(built.ok()) << built.error().message;
    dataset_ = built->version.dataset_version_id;
  }

  SystemClock clock_;
  DatasetVersionId dataset_;
};

TEST_F(PostgresLineageStoreTest, ExamplesPreferTheClassAndTheTrainingSplit) {
  PostgresLineageStore store(*pool_);

  const auto items = store.Examples(dataset_, "yellow", 5);

  ASSERT_TRUE(items.ok()) << items.error().message;
  ASSERT_EQ(items->size(), 5u);
  for (const DatasetItem& item : *items) {
    EXPECT_EQ(item.class_name, "yellow");
    EXPECT_EQ(item.split, Split::kTraining);
  }
}

TEST_F(PostgresLineageStoreTest, FindsSamplesLabelsVotesAndDatasets) {
  PostgresLineageStore store(*pool_);
  const std::vector<SampleId> ids = {SampleId(SampleUuid(3)), SampleId(SampleUuid(4))};

  const auto samples = store.FindSamples(ids);
  const auto labels = store.FindLabels(ids);
  const auto votes = store.FindVotes(ids, 100);
  const auto some_votes = store.FindVotes(ids, 4);
  const auto datasets = store.FindDatasetsOf(ids[0], 10);

  ASSERT_TRUE(samples.ok() && labels.ok() && votes.ok() && some_votes.ok() && datasets.ok());
  ASSERT_EQ(samples->size(), 2u);
  EXPECT_EQ((*samples)[0].width, 32u);
  EXPECT_FALSE((*samples)[0].payload_ref.empty());
  EXPECT_EQ(labels->size(), 2u);
  EXPECT_EQ(votes->size(), 6u);
  EXPECT_EQ(some_votes->size(), 4u);
  ASSERT_EQ(datasets->size(), 1u);
  EXPECT_EQ((*datasets)[0], dataset_);
}

TEST_F(PostgresLineageStoreTest, TraceOfADatasetVersionReachesTheVotes) {
  PostgresLineageStore store(*pool_);
  PostgresDatasetStore datasets(*pool_);
  FakeLineageSources world;
  LineageTracer tracer(world, world, world, datasets, store);

  const auto lineage = tracer.TraceDatasetVersion(dataset_, 7);

  ASSERT_TRUE(lineage.ok()) << lineage.error().message;
  std::multiset<std::string> kinds;
  for (const LineageNode& node : lineage->nodes) kinds.insert(node.kind);
  EXPECT_EQ(kinds.count("dataset version"), 1u);
  EXPECT_EQ(kinds.count("sample"), 7u);
  EXPECT_EQ(kinds.count("label"), 7u);
  EXPECT_EQ(kinds.count("vote"), 21u);
  EXPECT_EQ(lineage->samples_not_shown, 93u);
  EXPECT_EQ(lineage->votes, 300u);
}

}  // namespace
}  // namespace tidewheel::curation
