#pragma once

#include "tidewheel/postgres/pool.h"
#include "tidewheel/training/domain/cycle_store.h"

namespace tidewheel::training {

/// Cycles and decisions in PostgreSQL: claimed by SKIP LOCKED, kept by leases, one open cycle a
/// task by a unique index.
class PostgresCycleStore final : public CycleStore {
 public:
  explicit PostgresCycleStore(postgres::Pool& pool) : pool_(pool) {}

  Result<DecidedCycle> Decide(const std::string& task, const std::string& trigger,
                              const std::string& alert_id, const std::string& event,
                              Deciding& decide) override;
  Result<TaskCycles> StateOf(const std::string& task) override;
  Result<std::optional<Cycle>> Find(const std::string& id) override;
  Result<Page<Cycle>> List(const std::string& task, std::optional<CycleState> state,
                           const PageRequest& page) override;
  Result<Page<Decision>> ListDecisions(const std::string& task, const PageRequest& page) override;
  Result<std::vector<CycleSample>> ListSamples(const std::string& cycle_id) override;
  Result<std::optional<Cycle>> Claim(const std::string& owner, Timestamp now,
                                     std::chrono::milliseconds lease) override;
  Result<void> Save(const Cycle& cycle, const CycleSave& save) override;
  Result<Cycle> RequestCancel(const std::string& id, const CycleAsk& ask) override;
  Result<Cycle> Pause(const std::string& id, const CycleAsk& ask) override;
  Result<Cycle> Resume(const std::string& id, const CycleAsk& ask) override;
  Result<Cycle> Retry(const std::string& id, const CycleAsk& ask) override;
  Result<std::vector<Count>> CountByState() override;
  Result<void> KeepAlert(const WaitingAlert& alert) override;
  Result<void> DropAlert(const std::string& alert_id) override;
  Result<std::vector<WaitingAlert>> ListWaitingAlerts() override;
  Result<std::uint64_t> Forget(std::chrono::seconds age) override;

 private:
  /// Runs `change` (of id and time) on a cycle that has not ended; what changed it is kept.
  Result<Cycle> ChangeOpen(const std::string& id, const char* change, DecisionOutcome outcome,
                           const CycleAsk& ask);

  postgres::Pool& pool_;
};

}  // namespace tidewheel::training
