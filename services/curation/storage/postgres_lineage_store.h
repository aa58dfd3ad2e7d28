#pragma once

#include "tidewheel/curation/domain/lineage.h"

namespace tidewheel::postgres {
class Pool;
}

namespace tidewheel::curation {

/// Our dataset items, and the views `ingestion.samples_v1`, `labeling.labels_v1` and
/// `labeling.votes_v1`.
class PostgresLineageStore final : public LineageStore {
 public:
  explicit PostgresLineageStore(postgres::Pool& pool) : pool_(pool) {}

  Result<std::vector<DatasetItem>> Examples(const DatasetVersionId& dataset,
                                            const std::string& preferred_class,
                                            std::size_t at_most) override;
  Result<std::vector<SampleFacts>> FindSamples(std::span<const SampleId> samples) override;
  Result<std::vector<LabelFacts>> FindLabels(std::span<const SampleId> samples) override;
  Result<std::vector<VoteFacts>> FindVotes(std::span<const SampleId> samples,
                                           std::size_t at_most) override;
  Result<std::vector<DatasetVersionId>> FindDatasetsOf(const SampleId& sample,
                                                       std::size_t at_most) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace tidewheel::curation
