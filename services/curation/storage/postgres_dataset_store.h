#pragma once

#include "tidewheel/curation/domain/dataset_store.h"

namespace tidewheel::postgres {
class Pool;
}

namespace tidewheel::curation {

/// Dataset versions in the schema `curation`, built from the views `ingestion.samples_v1` and
/// `labeling.labels_v1` in one REPEATABLE READ transaction. Items go from table to table inside the
/// database; only the manifest's text passes through this process.
class PostgresDatasetStore final : public DatasetStore {
 public:
  explicit PostgresDatasetStore(postgres::Pool& pool) : pool_(pool) {}

  Result<BuildOutcome> Build(const SelectionRule& rule, const Body& body) override;
  Result<DatasetVersion> Find(const DatasetVersionId& id) override;
  Result<DatasetVersion> FindByDigest(const Digest& digest) override;
  Result<DatasetVersion> FindByName(const std::string& task, std::uint32_t version) override;
  Result<std::vector<DatasetVersion>> List(const DatasetVersionFilter& filter,
                                           const std::optional<VersionCursor>& after,
                                           std::size_t at_most) override;
  Result<std::vector<DatasetItem>> ListItems(const ItemFilter& filter, std::uint64_t from,
                                             std::size_t at_most) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace tidewheel::curation
