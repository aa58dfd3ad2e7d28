#pragma once

#include "tidewheel/ingestion/domain/sample_store.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::ingestion {

/// Samples and quarantine in PostgreSQL: a batch is a handful of statements, whatever its size.
class PostgresSampleStore final : public SampleStore {
 public:
  explicit PostgresSampleStore(postgres::Pool& pool) : pool_(pool) {}

  Result<KnownPushes> FindKnown(const std::string& task,
                                std::span<const PushedName> names) override;
  Result<bool> Save(const BatchToStore& batch) override;
  Result<std::optional<Sample>> Find(const std::string& id) override;
  Result<Page<Sample>> List(const SampleFilter& filter, const PageRequest& page) override;
  Result<Sample> Deactivate(const std::string& id, const std::string& reason,
                            Timestamp now) override;
  Result<Page<QuarantinedSample>> ListQuarantine(const std::string& task,
                                                 std::optional<ReasonCode> reason,
                                                 const PageRequest& page) override;
  Result<SampleCounts> Count(const std::string& task) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace tidewheel::ingestion
