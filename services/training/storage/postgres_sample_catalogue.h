#pragma once

#include "tidewheel/postgres/pool.h"
#include "tidewheel/training/domain/cycle_callees.h"

namespace tidewheel::training {

/// What the views of ingestion, labeling and curation, and our own stored predictions, say of a
/// cycle's samples.
class PostgresSampleCatalogue final : public SampleCatalogue {
 public:
  explicit PostgresSampleCatalogue(postgres::Pool& pool) : pool_(pool) {}

  Result<std::vector<CapturedSample>> FindCaptured(
      const std::string& task, const std::string& previous_dataset_version_id,
      std::span<const RankedPrediction> predictions) override;
  Result<std::string> NewestDataset(const std::string& task) override;
  Result<std::uint64_t> CountNewItems(const std::string& dataset_version_id,
                                      const std::string& previous) override;
  Result<std::map<std::string, std::string>> LabelsOf(
      const std::string& task, std::span<const std::string> sample_ids) override;
  Result<std::uint64_t> CountNewLabels(const std::string& task) override;
  Result<std::vector<GateSample>> GateSamples(const std::string& run_id,
                                              const std::string& previous,
                                              std::span<const std::string> slice_keys) override;
  Result<std::vector<GateSample>> GateSamplesOf(const std::string& run_id,
                                                const std::string& baseline_run_id,
                                                const std::string& previous,
                                                std::span<const std::string> slice_keys) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace tidewheel::training
