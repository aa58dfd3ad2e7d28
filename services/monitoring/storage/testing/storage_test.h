#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/monitoring/migrations.h"
#include "tidewheel/monitoring/storage/model_catalog.h"
#include "tidewheel/monitoring/storage/postgres_monitoring_store.h"
#include "tidewheel/monitoring/storage/postgres_window_store.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/testing/postgres_server.h"

namespace tidewheel::monitoring {

inline const ModelKey kModel{"lights", "model-1"};

/// What one copy of the service has of its storage.
struct StorageCopy {
  explicit StorageCopy(postgres::Pool& pool)
      : models(pool), store(pool, models), windows(pool, models) {}

  ModelCatalog models;
  PostgresMonitoringStore store;
  PostgresWindowStore windows;

  /// Until nothing is left to cut or to number.
  void CutAll() {
    std::size_t done = 1;
    while (done > 0) {
      const auto cut = windows.Cut();
      ASSERT_TRUE(cut.ok()) << cut.error().message;
      const auto numbered = windows.NumberOutcomes();
      ASSERT_TRUE(numbered.ok()) << numbered.error().message;
      done = *cut + *numbered;
    }
  }
};

/// A migrated database, and predictions to put there.
class StorageTest : public tidewheel::testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const auto migrated =
        postgres::Migrate(database_.admin_dsn, "monitoring", "tidewheel_monitoring", Migrations());
    ASSERT_TRUE(migrated.ok()) << migrated.error().message;
    pool_ = NewPool();
    copy_ = std::make_unique<StorageCopy>(*pool_);
    policies_["lights"].window_predictions = 10;
    policies_["lights"].lateness_seconds = 0;  // Whatever is there may be cut.
  }

  std::unique_ptr<postgres::Pool> NewPool() const {
    postgres::PoolOptions options;
    options.dsn = database_.DsnOf("tidewheel_monitoring");
    options.search_path = "monitoring";
    return std::make_unique<postgres::Pool>(options);
  }

  static Timestamp At(int second) {
    return Timestamp(std::chrono::seconds(1'700'000'000 + second));
  }
  static Prediction Answer(int i, std::uint32_t class_index = 0) {
    static const auto classes = std::make_shared<const std::vector<std::string>>(
        std::vector<std::string>{"red", "yellow", "a \"quoted\", class"});
    Prediction prediction;
    prediction.request_id = "r-" + std::to_string(i);
    prediction.model = kModel;
    prediction.classes = classes;
    prediction.class_index = class_index;
    prediction.confidence = 0.5;
    prediction.probabilities = {0.5F, 0.1F, 0.4F};
    prediction.predicted_at = At(i);
    prediction.measures = {{"sharpness", 12.25}};
    return prediction;
  }
  static Outcome Truth(int i, const std::string& class_name, const std::string& source = "person",
                       int delay = 1'000) {
    return {"r-" + std::to_string(i), 0, class_name, source, At(i + delay)};
  }

  PostgresMonitoringStore& store() { return copy_->store; }
  PostgresWindowStore& windows() { return copy_->windows; }
  void Add(const std::vector<Prediction>& predictions, std::size_t expected) {
    const auto added = store().AddPredictions(predictions, policies_);
    ASSERT_TRUE(added.ok()) << added.error().message;
    EXPECT_EQ(*added, expected);
  }
  std::vector<Window> Windows(const std::string& slice = "", const std::string& kind = "count") {
    const auto page = store().ListWindows({kModel, slice, kind}, {1'000, ""});
    EXPECT_TRUE(page.ok()) << page.error().message;
    return page.ok() ? page->items : std::vector<Window>{};
  }
  ModelSummary Summary() {
    const auto page = store().ListSummaries("lights", {});
    EXPECT_TRUE(page.ok() && page->items.size() == 1);
    return page.ok() && !page->items.empty() ? page->items[0] : ModelSummary{};
  }

  Policies policies_;
  std::unique_ptr<postgres::Pool> pool_;
  std::unique_ptr<StorageCopy> copy_;
};

}  // namespace tidewheel::monitoring
