#include "tidewheel/monitoring/storage/postgres_monitoring_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "tidewheel/base/random.h"
#include "tidewheel/monitoring/migrations.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/testing/postgres_server.h"

namespace tidewheel::monitoring {
namespace {

const ModelKey kModel{"lights", "model-1"};
const std::map<std::string, std::uint32_t> kSizes = {{"lights", 10}};

class PostgresMonitoringStoreTest : public tidewheel::testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const auto migrated =
        postgres::Migrate(database_.admin_dsn, "monitoring", "tidewheel_monitoring", Migrations());
    ASSERT_TRUE(migrated.ok()) << migrated.error().message;
    postgres::PoolOptions options;
    options.dsn = database_.DsnOf("tidewheel_monitoring");
    options.search_path = "monitoring";
    pool_.emplace(options);
    store_.emplace(*pool_);
  }

  static Prediction Answer(int i, const std::string& class_name = "red") {
    Prediction prediction;
    prediction.request_id = "r-" + std::to_string(i);
    prediction.model = kModel;
    prediction.class_name = class_name;
    prediction.confidence = 0.5;
    prediction.probabilities = {0.5F, 0.1F, 0.4F};
    prediction.predicted_at = Timestamp(std::chrono::seconds(1'700'000'000 + i));
    prediction.measures = {{"sharpness", 12.25}};
    return prediction;
  }
  static Outcome Truth(int i, const std::string& class_name, const std::string& source = "person") {
    return {"r-" + std::to_string(i), 0, class_name, source,
            Timestamp(std::chrono::seconds(1'700'001'000 + i))};
  }
  ModelSummary Summary() {
    const auto page = store_->ListSummaries("lights", {});
    EXPECT_TRUE(page.ok() && page->items.size() == 1);
    return page.ok() && !page->items.empty() ? page->items[0] : ModelSummary{};
  }

  std::optional<postgres::Pool> pool_;
  std::optional<PostgresMonitoringStore> store_;
};

TEST_F(PostgresMonitoringStoreTest, WindowsFillOneAfterTheOther) {
  std::vector<Prediction> predictions;
  for (int i = 0; i < 25; ++i) predictions.push_back(Answer(i, i % 5 == 0 ? "green" : "red"));
  const auto added = store_->AddPredictions(predictions, kSizes);
  ASSERT_TRUE(added.ok()) << added.error().message;
  EXPECT_EQ(*added, 25U);

  const auto windows = store_->ListWindows(kModel, {});
  ASSERT_TRUE(windows.ok()) << windows.error().message;
  ASSERT_EQ(windows->items.size(), 3U);
  EXPECT_EQ(windows->items[0].number, 3U);
  EXPECT_EQ(windows->items[0].tally.predictions, 5U);
  EXPECT_FALSE(windows->items[0].closed());
  EXPECT_TRUE(windows->items[1].closed());
  EXPECT_EQ(windows->items[1].tally.by_class.at("green"), 2U);
  EXPECT_DOUBLE_EQ(windows->items[1].tally.MeanConfidence(), 0.5);
}

TEST_F(PostgresMonitoringStoreTest, RepeatsChangeNothing) {
  const std::vector<Prediction> predictions = {Answer(1), Answer(2), Answer(1)};
  const std::vector<Outcome> outcomes = {Truth(1, "red"), Truth(1, "red"), Truth(2, "green")};
  EXPECT_EQ(*store_->AddPredictions(predictions, kSizes), 2U);
  EXPECT_EQ(*store_->AddOutcomes(outcomes), 2U);
  EXPECT_EQ(*store_->AddPredictions(predictions, kSizes), 0U);
  EXPECT_EQ(*store_->AddOutcomes(outcomes), 0U);

  EXPECT_EQ(Summary().tally.predictions, 2U);
  EXPECT_EQ(Summary().tally.outcomes, 2U);
  EXPECT_EQ(Summary().tally.correct, 1U);
  EXPECT_DOUBLE_EQ(*Summary().tally.Accuracy(), 0.5);
}

TEST_F(PostgresMonitoringStoreTest, AnOutcomeMayComeFirst) {
  ASSERT_TRUE(store_->AddOutcomes(std::vector{Truth(1, "red")}).ok());
  ASSERT_TRUE(store_->AddPredictions(std::vector{Answer(1)}, kSizes).ok());

  EXPECT_EQ(Summary().tally.correct, 1U);
  EXPECT_EQ((*store_->FindPrediction("r-1", 0))->outcome_class_name, "red");
  EXPECT_EQ(store_->ListWindows(kModel, {})->items[0].tally.outcomes, 1U);
}

TEST_F(PostgresMonitoringStoreTest, ASecondSourceIsKeptButNotCounted) {
  ASSERT_TRUE(store_->AddPredictions(std::vector{Answer(1)}, kSizes).ok());
  ASSERT_TRUE(store_->AddOutcomes(std::vector{Truth(1, "red", "person")}).ok());
  EXPECT_EQ(*store_->AddOutcomes(std::vector{Truth(1, "green", "customer")}), 1U);
  EXPECT_EQ(Summary().tally.outcomes, 1U);
  EXPECT_EQ(Summary().tally.correct, 1U);
}

TEST_F(PostgresMonitoringStoreTest, PredictionsComeBackWhole) {
  ASSERT_TRUE(store_->AddPredictions(std::vector{Answer(7, "a \"quoted\", class")}, kSizes).ok());
  const auto found = store_->FindPrediction("r-7", 0);
  ASSERT_TRUE(found.ok() && found->has_value());
  EXPECT_EQ((*found)->probabilities, Answer(7).probabilities);
  EXPECT_EQ((*found)->measures, Answer(7).measures);
  EXPECT_EQ((*found)->class_name, "a \"quoted\", class");
  EXPECT_EQ((*found)->predicted_at, Answer(7).predicted_at);
  EXPECT_FALSE(store_->FindPrediction("r-8", 0)->has_value());
}

TEST_F(PostgresMonitoringStoreTest, OrderAndBatchingDoNotChangeTheSums) {
  std::vector<Prediction> predictions;
  std::vector<Outcome> outcomes;
  for (int i = 0; i < 200; ++i) {
    predictions.push_back(Answer(i));
    outcomes.push_back(Truth(i, i % 4 == 0 ? "green" : "red"));
  }
  Random random(5);
  const auto shuffle = [&random](auto& items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random.Below(i)]);
  };
  shuffle(predictions);
  shuffle(outcomes);
  std::jthread other([&] {
    for (std::size_t i = 0; i < outcomes.size(); i += 7) {
      const auto batch =
          std::span(outcomes).subspan(i, std::min<std::size_t>(7, outcomes.size() - i));
      EXPECT_TRUE(store_->AddOutcomes(batch).ok());
    }
  });
  for (std::size_t i = 0; i < predictions.size(); i += 13) {
    const auto batch =
        std::span(predictions).subspan(i, std::min<std::size_t>(13, predictions.size() - i));
    EXPECT_TRUE(store_->AddPredictions(batch, kSizes).ok());
  }
  other.join();

  EXPECT_EQ(Summary().tally.predictions, 200U);
  EXPECT_EQ(Summary().tally.outcomes, 200U);
  EXPECT_EQ(Summary().tally.correct, 150U);
  std::uint64_t in_windows = 0;
  PageRequest request{7, ""};
  do {
    const auto page = store_->ListWindows(kModel, request);
    ASSERT_TRUE(page.ok()) << page.error().message;
    for (const auto& window : page->items) {
      EXPECT_EQ(window.tally.predictions, 10U);
      in_windows += window.tally.outcomes;
    }
    request.token = page->next_token;
  } while (!request.token.empty());
  EXPECT_EQ(in_windows, 200U);
}

TEST_F(PostgresMonitoringStoreTest, ForgettingKeepsTheSums) {
  ASSERT_TRUE(store_->AddPredictions(std::vector{Answer(1), Answer(1'000)}, kSizes).ok());
  EXPECT_EQ(*store_->Forget(Answer(500).predicted_at), 1U);
  EXPECT_FALSE(store_->FindPrediction("r-1", 0)->has_value());
  EXPECT_EQ(Summary().tally.predictions, 2U);
}

}  // namespace
}  // namespace tidewheel::monitoring
