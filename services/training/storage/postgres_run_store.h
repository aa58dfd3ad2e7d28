#pragma once

#include "tidewheel/postgres/pool.h"
#include "tidewheel/training/domain/run_store.h"

namespace tidewheel::training {

/// The queue of runs in PostgreSQL: claimed by SKIP LOCKED, kept by leases.
class PostgresRunStore final : public RunStore {
 public:
  explicit PostgresRunStore(postgres::Pool& pool) : pool_(pool) {}

  Result<DatasetVersion> FindDatasetVersion(const std::string& id) override;
  Result<void> ForEachItem(const std::string& dataset_version_id,
                           const std::function<Result<void>(const DatasetItem&)>& visit) override;
  Result<EnqueuedRun> Enqueue(const Run& run, std::size_t limit) override;
  Result<std::optional<Run>> Find(const std::string& id) override;
  Result<Page<Run>> List(const std::string& task, std::optional<RunState> state,
                         const PageRequest& page) override;
  Result<OpenRuns> CountOpen() override;
  Result<std::optional<Run>> Claim(const std::string& owner, Timestamp now,
                                   std::chrono::milliseconds lease) override;
  Result<bool> Renew(const std::string& id, const std::string& owner, Timestamp until,
                     const Progress& progress) override;
  Result<void> Succeed(const std::string& id, const std::string& owner, Timestamp now,
                       const RunOutcome& outcome, const std::string& model_version_id) override;
  Result<void> End(const std::string& id, const std::string& owner, Timestamp now, RunState state,
                   const std::string& reason) override;
  Result<std::size_t> RecoverLost(Timestamp now, std::uint32_t attempts) override;
  Result<Run> Cancel(const std::string& id, const std::string& reason, Timestamp now) override;
  Result<Page<RunPrediction>> ListPredictions(const PredictionFilter& filter,
                                              const PageRequest& page) override;
  Result<Disagreement> Compare(const std::string& run_id, const std::string& other_run_id,
                               const std::string& split) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace tidewheel::training
