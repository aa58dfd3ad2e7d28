#pragma once

#include "tidewheel/monitoring/domain/monitoring_store.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::monitoring {

/// Predictions, outcomes and windows in PostgreSQL. Writers of one model wait for each other at its
/// row, so that windows fill one after the other; rows are locked in order of task and model, so
/// that nobody deadlocks.
class PostgresMonitoringStore final : public MonitoringStore {
 public:
  explicit PostgresMonitoringStore(postgres::Pool& pool) : pool_(pool) {}

  Result<std::size_t> AddPredictions(
      std::span<const Prediction> predictions,
      const std::map<std::string, std::uint32_t>& window_sizes) override;
  Result<std::size_t> AddOutcomes(std::span<const Outcome> outcomes) override;
  Result<std::optional<Prediction>> FindPrediction(const std::string& request_id,
                                                   std::uint32_t index) override;
  Result<Page<Window>> ListWindows(const ModelKey& model, const PageRequest& page) override;
  Result<Page<ModelSummary>> ListSummaries(const std::string& task,
                                           const PageRequest& page) override;
  Result<std::uint64_t> Forget(Timestamp before) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace tidewheel::monitoring
