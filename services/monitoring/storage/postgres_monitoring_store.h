#pragma once

#include "tidewheel/monitoring/domain/monitoring_store.h"
#include "tidewheel/monitoring/storage/model_catalog.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::monitoring {

/// Predictions, failures and outcomes in PostgreSQL, and what is known of them. A row is written
/// once and never changed: what turns out later stands beside it.
class PostgresMonitoringStore final : public MonitoringStore {
 public:
  PostgresMonitoringStore(postgres::Pool& pool, ModelCatalog& catalog)
      : pool_(pool), catalog_(catalog) {}

  Result<std::size_t> AddPredictions(std::span<const Prediction> predictions,
                                     const Policies& policies) override;
  Result<std::size_t> AddFailures(std::span<const Failure> failures,
                                  const Policies& policies) override;
  Result<std::size_t> AddOutcomes(std::span<const Outcome> outcomes) override;

  Result<std::optional<Prediction>> FindPrediction(const std::string& request_id,
                                                   std::uint32_t index) override;
  Result<Page<Window>> ListWindows(const WindowFilter& filter, const PageRequest& page) override;
  Result<Page<ModelSummary>> ListSummaries(const std::string& task,
                                           const PageRequest& page) override;
  Result<std::vector<LabelDelay>> ListLabelDelays() override;
  Result<std::vector<TaskActivity>> ListActivity() override;
  Result<std::vector<std::string>> ListSlices(const ModelKey& model) override;
  Result<WindowRows> ReadWindow(const WindowKey& key) override;
  Result<void> NoteWindow(const WindowKey& key, const WindowNote& note) override;
  Result<RankCandidates> FindCandidates(const RankQuery& query, std::size_t at_most) override;
  Result<std::uint64_t> Forget(Timestamp before) override;

 private:
  postgres::Pool& pool_;
  ModelCatalog& catalog_;
};

}  // namespace tidewheel::monitoring
