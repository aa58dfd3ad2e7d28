#include "tidewheel/curation/domain/dataset_builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "tidewheel/curation/domain/fake_stores.h"

namespace tidewheel::curation {
namespace {

class DatasetBuilderTest : public testing::Test {
 protected:
  DatasetBuilderTest() {
    tasks_.tasks["lights"] = {.name = "lights",
                              .version = 2,
                              .classes = {"red", "yellow", "green"},
                              .min_confidence = 0.5};
    Add(6, "red", Split::kTraining);
    Add(2, "yellow", Split::kTraining);
    Add(4, "green", Split::kTraining);
    Add(1, "red", Split::kValidation);
    Add(1, "green", Split::kTest);
  }

  void Add(int count, const std::string& class_name, Split split, double confidence = 1) {
    for (int i = 0; i < count; ++i) {
      store_.samples.push_back({FakeDigest("picture " + std::to_string(store_.samples.size())),
                                class_name, split, confidence});
    }
  }

  Result<BuildOutcome> Build(const DatasetRecipe& recipe = {.task = "lights"}) {
    return builder_.Build(recipe, "for tests", "ann");
  }

  FakeTaskCatalogue tasks_;
  FakeDatasetStore store_;
  FakeManifestArchive archive_;
  SystemClock clock_;
  DatasetBuilder builder_{tasks_, store_, archive_, clock_};
};

TEST_F(DatasetBuilderTest, ReportsClassesSplitsWeightsAndImbalance) {
  Add(3, "", Split::kTraining);
  Add(2, "red", Split::kTest, 0.4);

  const auto built = Build();

  ASSERT_TRUE(built.ok()) << built.error().message;
  EXPECT_TRUE(built->created);
  const DatasetVersion& version = built->version;
  EXPECT_EQ(version.version, 1u);
  EXPECT_EQ(version.items, 14u);
  EXPECT_EQ(version.votes, 42u);
  EXPECT_EQ(version.task_version, 2u);
  EXPECT_EQ(version.report.training, 12u);
  EXPECT_EQ(version.report.validation, 1u);
  EXPECT_EQ(version.report.test, 1u);
  EXPECT_EQ(version.report.unlabeled, 3u);
  EXPECT_EQ(version.report.low_confidence, 2u);
  EXPECT_NEAR(version.report.imbalance, 3, 1e-12);
  ASSERT_EQ(version.report.classes.size(), 3u);
  EXPECT_EQ(version.report.classes[1].class_name, "yellow");
  EXPECT_EQ(version.report.classes[1].training, 2u);
  EXPECT_NEAR(version.report.classes[1].weight, 2, 1e-12);
  EXPECT_EQ(version.recipe.min_confidence, 0.5);
}

TEST_F(DatasetBuilderTest, SameRecipeOnSameDataGivesTheVersionThatIsThere) {
  const auto first = Build();
  std::reverse(store_.samples.begin(), store_.samples.end());

  const auto second = Build();

  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_FALSE(second->created);
  EXPECT_EQ(second->version.dataset_version_id, first->version.dataset_version_id);
  EXPECT_EQ(second->version.digest, first->version.digest);
  EXPECT_EQ(store_.versions.size(), 1u);
  EXPECT_EQ(archive_.puts, 1);
}

TEST_F(DatasetBuilderTest, OrderAndRepeatsOfSourcesDoNotMatter) {
  DatasetRecipe one{.task = "lights"};
  one.sources = {"b", "a", "b"};
  DatasetRecipe other{.task = "lights"};
  other.sources = {"a", "b"};
  other.min_confidence = 0.5;  // What the task says.

  const auto first = Build(one);
  const auto second = Build(other);

  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_FALSE(second->created);
}

TEST_F(DatasetBuilderTest, AnyDifferenceOfContentOrRecipeGivesAnotherDigest) {
  const auto first = Build();
  DatasetRecipe unweighted{.task = "lights"};
  unweighted.class_weighting = ClassWeighting::kNone;
  const auto second = Build(unweighted);
  store_.samples[0].class_name = "green";
  const auto third = Build();
  store_.samples[0].class_name = "red";
  store_.samples[0].split = Split::kTest;
  const auto fourth = Build();
  store_.samples[0].split = Split::kTraining;
  tasks_.tasks["lights"].version = 3;
  const auto fifth = Build();

  for (const auto* built : {&first, &second, &third, &fourth, &fifth}) {
    ASSERT_TRUE(built->ok());
    EXPECT_TRUE((*built)->created);
  }
  EXPECT_EQ(archive_.texts.size(), 5u);
}

TEST_F(DatasetBuilderTest, ManifestIsKeptUnderItsDigest) {
  const auto built = Build();

  ASSERT_TRUE(built.ok());
  const std::string& text = archive_.texts.at(built->version.digest);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 15);
  EXPECT_EQ(built->version.manifest_ref, "fake:" + built->version.digest.Hex());
}

TEST_F(DatasetBuilderTest, EmptySplitIsAFailedPreconditionThatSaysWhich) {
  std::erase_if(store_.samples, [](const auto& s) { return s.split == Split::kValidation; });

  const auto built = Build();

  ASSERT_FALSE(built.ok());
  EXPECT_EQ(built.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(built.error().message.find("validation split of task lights has no labeled sample"),
            std::string::npos)
      << built.error().message;
}

TEST_F(DatasetBuilderTest, ClassWithoutTrainingSampleIsAFailedPreconditionThatNamesIt) {
  std::erase_if(store_.samples, [](const auto& s) { return s.class_name == "yellow"; });

  const auto built = Build();

  ASSERT_FALSE(built.ok());
  EXPECT_EQ(built.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(built.error().message.find("no sample of class yellow"), std::string::npos);
}

TEST_F(DatasetBuilderTest, NothingLabeledIsAFailedPreconditionWithTheCauses) {
  for (auto& sample : store_.samples) sample.class_name.clear();

  const auto built = Build();

  ASSERT_FALSE(built.ok());
  EXPECT_EQ(built.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(built.error().message.find("14 unlabeled"), std::string::npos) << built.error().message;
}

TEST_F(DatasetBuilderTest, LabelsOutsideTheTaskAreRefused) {
  Add(1, "purple", Split::kTraining);

  const auto built = Build();

  ASSERT_FALSE(built.ok());
  EXPECT_EQ(built.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(built.error().message.find("purple"), std::string::npos);
}

TEST_F(DatasetBuilderTest, RecipeIsChecked) {
  DatasetRecipe confidence{.task = "lights"};
  confidence.min_confidence = 1.5;
  DatasetRecipe future{.task = "lights"};
  future.added_until = clock_.Now() + std::chrono::hours(1);
  DatasetRecipe sources{.task = "lights"};
  sources.sources.assign(101, "x");

  for (const auto& recipe : {confidence, future, sources, DatasetRecipe{}}) {
    const auto built = Build(recipe);
    ASSERT_FALSE(built.ok());
    EXPECT_EQ(built.error().code, ErrorCode::kInvalidArgument);
  }
  const auto unknown = Build({.task = "signs"});
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, ErrorCode::kNotFound);
}

TEST_F(DatasetBuilderTest, ARepeatWithTheSameRequestMakesNoSecondVersion) {
  const auto first = builder_.Build({.task = "lights"}, "", "ann", "cycle-1");
  ASSERT_TRUE(first.ok());
  Add(1, "red", Split::kTraining);  // Labeled between the call and its repeat.
  const auto again = builder_.Build({.task = "lights"}, "", "ann", "cycle-1");
  ASSERT_TRUE(again.ok());
  EXPECT_FALSE(again->created);
  EXPECT_EQ(again->version.dataset_version_id, first->version.dataset_version_id);
  const auto other = builder_.Build({.task = "lights"}, "", "ann", "cycle-2");
  ASSERT_TRUE(other.ok());
  EXPECT_TRUE(other->created);
}

TEST_F(DatasetBuilderTest, NewSamplesAreThoseThePreviousVersionDoesNotHold) {
  const auto first = Build();
  ASSERT_TRUE(first.ok());
  Add(1, "red", Split::kTraining);
  store_.samples.back().is_new = true;
  DatasetRecipe recipe{.task = "lights"};
  recipe.previous_dataset_version_id = first->version.dataset_version_id;
  recipe.new_sample_weight = 3;
  const auto second = Build(recipe);
  ASSERT_TRUE(second.ok()) << second.error().message;
  EXPECT_EQ(second->version.recipe.new_sample_weight, 3);
  EXPECT_EQ(store_.last_rule.previous, first->version.dataset_version_id);

  recipe.previous_dataset_version_id = DatasetVersionId("gone");
  EXPECT_EQ(Build(recipe).error().code, ErrorCode::kNotFound);
  recipe.new_sample_weight = 0;
  EXPECT_EQ(Build(recipe).error().code, ErrorCode::kInvalidArgument);
  recipe = {.task = "lights"};
  recipe.new_sample_weight = 2;
  EXPECT_EQ(Build(recipe).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace tidewheel::curation
