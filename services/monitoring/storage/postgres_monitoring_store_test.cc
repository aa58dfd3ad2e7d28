#include "tidewheel/monitoring/storage/postgres_monitoring_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tidewheel/monitoring/storage/testing/storage_test.h"

namespace tidewheel::monitoring {
namespace {

class PostgresMonitoringStoreTest : public StorageTest {};

TEST_F(PostgresMonitoringStoreTest, RepeatsChangeNothing) {
  const std::vector<Prediction> predictions = {Answer(1), Answer(2), Answer(1)};
  const std::vector<Outcome> outcomes = {Truth(1, "red"), Truth(1, "red"), Truth(2, "yellow")};
  Add(predictions, 2);
  EXPECT_EQ(*store().AddOutcomes(outcomes), 2U);
  Add(predictions, 0);
  EXPECT_EQ(*store().AddOutcomes(outcomes), 0U);

  EXPECT_EQ(Summary().tally.predictions, 2U);
  EXPECT_EQ(Summary().tally.outcomes, 2U);
  EXPECT_EQ(Summary().tally.correct, 1U);
  EXPECT_DOUBLE_EQ(*Summary().tally.Accuracy(), 0.5);
  EXPECT_DOUBLE_EQ(Summary().tally.MeanConfidence(), 0.5);
  EXPECT_EQ(Summary().last_at, At(2));
}

TEST_F(PostgresMonitoringStoreTest, WhatOverlapsGivesTheSameSumsAsWhatIsNew) {
  const auto batch = [](const std::string& version, int first, int last) {
    std::vector<Prediction> predictions;
    for (int i = first; i < last; ++i) {
      Prediction prediction = Answer(i);
      prediction.request_id += "/" + version;
      prediction.model.model_version_id = version;
      prediction.confidence = 0.3 + 0.00613 * i;
      prediction.slices = {i % 3 == 0 ? "camera=north" : "camera=south"};
      predictions.push_back(std::move(prediction));
    }
    return predictions;
  };
  Add(batch("whole", 0, 100), 100);
  Add(batch("parts", 0, 40), 40);
  Add(batch("parts", 20, 100), 60);

  const auto page = store().ListSummaries("lights", {});
  ASSERT_TRUE(page.ok()) << page.error().message;
  ASSERT_EQ(page->items.size(), 2U);
  EXPECT_EQ(page->items[0].tally.predictions, 100U);
  EXPECT_EQ(page->items[0].tally.confidence_sum, page->items[1].tally.confidence_sum);
  EXPECT_EQ(page->items[0].tally.by_class, page->items[1].tally.by_class);
  const auto streams = pool_->ReadOnly([](pqxx::transaction_base& tx) -> Result<int> {
    return tx
        .exec1(
            "SELECT count(DISTINCT (slice, predictions, last_at, fresh_from)) FROM streams JOIN "
            "models m ON m.id = model_id WHERE m.model_version_id IN ('whole', 'parts')")[0]
        .as<int>();
  });
  EXPECT_EQ(*streams, 3);  // All traffic and two slices, alike for both.
}

TEST_F(PostgresMonitoringStoreTest, AnOutcomeMayComeFirst) {
  ASSERT_TRUE(store().AddOutcomes(std::vector{Truth(1, "red")}).ok());
  Add({Answer(1)}, 1);

  EXPECT_EQ(Summary().tally.correct, 1U);
  const auto found = store().FindPrediction("r-1", 0);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->outcome_class_name, "red");
  EXPECT_EQ((*found)->outcome_at, At(1'001));
}

TEST_F(PostgresMonitoringStoreTest, TheOutcomeThatWasObservedFirstCountsWheneverItComes) {
  Add({Answer(1)}, 1);
  ASSERT_TRUE(store().AddOutcomes(std::vector{Truth(1, "yellow", "customer", 50)}).ok());
  EXPECT_EQ(Summary().tally.correct, 0U);
  EXPECT_EQ(*store().AddOutcomes(std::vector{Truth(1, "red", "person", 40)}), 1U);
  EXPECT_EQ(Summary().tally.outcomes, 1U);
  EXPECT_EQ(Summary().tally.correct, 1U);
  // Of two at the same time the source decides.
  EXPECT_EQ(*store().AddOutcomes(std::vector{Truth(1, "yellow", "auditor", 40)}), 1U);
  EXPECT_EQ(Summary().tally.correct, 0U);
  EXPECT_EQ(*store().AddOutcomes(std::vector{Truth(1, "red", "zoo", 41)}), 1U);
  EXPECT_EQ(Summary().tally.outcomes, 1U);
  EXPECT_EQ((*store().FindPrediction("r-1", 0))->outcome_class_name, "yellow");
}

TEST_F(PostgresMonitoringStoreTest, PredictionsComeBackWhole) {
  Prediction sent = Answer(7, 2);
  sent.embedding = {1.5F, -2};
  sent.quality_problems = {"underexposed"};
  sent.role = Role::kCanary;
  sent.seconds = 0.25;
  sent.slices = {"camera=north"};
  sent.payload_sha256 = std::string(64, 'f');
  sent.measures.push_back({"luminance", 1e300});
  Add({Answer(6), sent}, 2);
  const auto found = store().FindPrediction("r-7", 0);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->probabilities, sent.probabilities);
  EXPECT_THAT((*found)->measures, ::testing::UnorderedElementsAreArray(sent.measures));
  EXPECT_EQ((*found)->embedding, sent.embedding);
  EXPECT_EQ((*found)->quality_problems, sent.quality_problems);
  EXPECT_EQ((*found)->role, Role::kCanary);
  EXPECT_EQ((*found)->seconds, 0.25);
  EXPECT_EQ((*found)->slices, sent.slices);
  EXPECT_EQ((*found)->payload_sha256, sent.payload_sha256);
  EXPECT_EQ((*found)->class_name(), "a \"quoted\", class");
  EXPECT_EQ((*found)->predicted_at, sent.predicted_at);
  EXPECT_FALSE(store().FindPrediction("r-8", 0)->has_value());
}

TEST_F(PostgresMonitoringStoreTest, ShadowAnswersAreNoTraffic) {
  Prediction shadow = Answer(1, 1);
  shadow.model.model_version_id = "candidate";
  shadow.role = Role::kShadow;
  shadow.answered_class_index = 0;
  Add({Answer(1), shadow}, 2);
  ASSERT_TRUE(store().AddOutcomes(std::vector{Truth(1, "red")}).ok());

  const auto page = store().ListSummaries("lights", {});
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->items.size(), 1U);
  EXPECT_EQ(page->items[0].model, kModel);
  EXPECT_EQ(page->items[0].tally.outcomes, 1U);
  EXPECT_EQ((*store().FindPrediction("r-1", 0))->model, kModel);
  // It has its outcome all the same, also when it comes last.
  Prediction late = shadow;
  late.request_id = "r-2";
  Add({Answer(2)}, 1);
  ASSERT_TRUE(store().AddOutcomes(std::vector{Truth(2, "red")}).ok());
  Add({late}, 1);
  const auto joined = pool_->ReadOnly([](pqxx::transaction_base& tx) -> Result<int> {
    return tx.exec1("SELECT count(*) FROM joined_outcomes WHERE role = 2 AND NOT correct")[0]
        .as<int>();
  });
  EXPECT_EQ(*joined, 2);
}

TEST_F(PostgresMonitoringStoreTest, FailuresAreStoredOnceAlsoOfAModelThatNeverAnswered) {
  const std::vector<Failure> failures = {{"r-1", kModel, At(1), Role::kCanary, 0.5, "INTERNAL"},
                                         {"r-2", kModel, At(2), Role::kCanary, 0.5, "INTERNAL"},
                                         {"r-1", kModel, At(1), Role::kCanary, 0.5, "INTERNAL"}};
  EXPECT_EQ(*store().AddFailures(failures, policies_), 2U);
  EXPECT_EQ(*store().AddFailures(failures, policies_), 0U);
  Add({Answer(3)}, 1);
  EXPECT_EQ(Summary().tally.predictions, 1U);
}

TEST_F(PostgresMonitoringStoreTest, AModelKeepsItsClasses) {
  Add({Answer(1)}, 1);
  Prediction other = Answer(2);
  other.classes = std::make_shared<const std::vector<std::string>>(
      std::vector<std::string>{"cat", "dog", "bird"});
  const auto added = store().AddPredictions(std::vector{other}, policies_);
  ASSERT_FALSE(added.ok());
  EXPECT_EQ(added.error().code, ErrorCode::kInvalidArgument);
}

TEST_F(PostgresMonitoringStoreTest, AKeyOfManyValuesHasABoundedNumberOfSlices) {
  std::vector<Prediction> predictions;
  for (int i = 0; i < 150; ++i) {
    predictions.push_back(Answer(i));
    predictions.back().slices = {"camera=" + std::to_string(i)};
  }
  Add(predictions, 150);
  predictions.resize(1);
  predictions[0].request_id = "again";
  predictions[0].slices = {"camera=new"};
  Add(predictions, 1);
  const auto slices = store().ListSlices(kModel);
  ASSERT_TRUE(slices.ok());
  EXPECT_EQ(slices->size(), ModelCatalog::kMostValues);
  EXPECT_THAT(*slices, ::testing::Contains("camera=other"));
  copy_->CutAll();
  std::size_t others = 0;
  for (const auto& window : Windows("camera=other")) others += window.tally.predictions;
  EXPECT_EQ(others, 52U);
}

TEST_F(PostgresMonitoringStoreTest, CandidatesAreTheNewestOfTheSlice) {
  std::vector<Prediction> predictions;
  for (int i = 0; i < 20; ++i) {
    predictions.push_back(Answer(i));
    predictions.back().slices = {i % 2 == 0 ? "camera=north" : "camera=south"};
  }
  Add(predictions, 20);
  RankQuery query;
  query.task = "lights";
  query.slice = "camera=north";
  query.since = At(4);
  const auto found = store().FindCandidates(query, 5);
  ASSERT_TRUE(found.ok()) << found.error().message;
  ASSERT_EQ(found->items.size(), 5U);
  EXPECT_EQ(found->items[0].row.request_id, "r-18");
  EXPECT_EQ(found->items[0].class_name, "red");
  EXPECT_EQ(found->items[0].row.features, std::vector<double>{12.25});
  EXPECT_EQ(store().FindCandidates(query, 100)->items.size(), 8U);
  query.slice = "camera=east";
  EXPECT_TRUE(store().FindCandidates(query, 5)->items.empty());
}

TEST_F(PostgresMonitoringStoreTest, TheLabelDelayIsMeasured) {
  Add({Answer(1), Answer(2), Answer(3)}, 3);
  ASSERT_TRUE(
      store()
          .AddOutcomes(std::vector{Truth(1, "red", "person", 10), Truth(2, "red", "person", 20),
                                   Truth(3, "red", "person", 60)})
          .ok());
  const auto delays = store().ListLabelDelays();
  ASSERT_TRUE(delays.ok()) << delays.error().message;
  ASSERT_EQ(delays->size(), 1U);
  EXPECT_EQ((*delays)[0].median_seconds, 20);
  EXPECT_EQ((*delays)[0].mean_seconds, 30);
}

TEST_F(PostgresMonitoringStoreTest, ForgettingKeepsTheSumsAndLeavesOutWhatComesLater) {
  std::vector<Prediction> predictions;
  for (int i = 0; i < 30; ++i) predictions.push_back(Answer(i));
  Add(predictions, 30);
  copy_->CutAll();
  EXPECT_EQ(*store().Forget(At(15)), 15U);
  EXPECT_FALSE(store().FindPrediction("r-1", 0)->has_value());
  EXPECT_EQ(Summary().tally.predictions, 30U);
  Prediction late = Answer(1);
  late.request_id = "late";
  Add({late}, 0);
  // One behind that lies in a window which has lost rows: that window stays as it is.
  late.predicted_at = At(16);
  Add({late}, 1);
  copy_->CutAll();
  auto windows = Windows();
  std::reverse(windows.begin(), windows.end());
  ASSERT_GE(windows.size(), 3U);
  EXPECT_EQ(windows[0].tally.predictions, 10U);
  EXPECT_EQ(windows[1].first_at, At(10));
  EXPECT_EQ(windows[1].tally.predictions, 10U);
  EXPECT_EQ(windows[2].first_at, At(20));
}

}  // namespace
}  // namespace tidewheel::monitoring
