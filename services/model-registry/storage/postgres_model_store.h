#pragma once

#include "tidewheel/base/clock.h"
#include "tidewheel/model_registry/domain/model_store.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::model_registry {

/// Model versions and deployments in PostgreSQL; each change with its audit entry and its event in
/// one transaction.
class PostgresModelStore final : public ModelStore {
 public:
  PostgresModelStore(postgres::Pool& pool, const Clock& clock) : pool_(pool), clock_(clock) {}

  Result<StoredModelVersion> Register(const ModelVersion& version,
                                      const AuditDraft& audit) override;
  Result<std::optional<ModelVersion>> Find(const std::string& id) override;
  Result<std::optional<ModelVersion>> FindByNumber(const std::string& task,
                                                   std::uint32_t version) override;
  Result<std::optional<ModelVersion>> FindByRun(const std::string& run_id) override;
  Result<Page<ModelVersion>> List(const std::string& task, const PageRequest& page) override;
  Result<std::optional<Deployment>> FindDeployment(const std::string& task) override;
  Result<ChangedDeployment> Promote(const ModelVersion& version, const AuditDraft& audit) override;
  Result<Deployment> RollBack(const std::string& task, const std::string& expected,
                              const AuditDraft& audit) override;
  Result<ChangedDeployment> SetRollout(const ModelVersion& candidate, RolloutStage stage,
                                       double share, const std::string& reason,
                                       const AuditDraft& audit) override;
  Result<ChangedDeployment> ClearRollout(const std::string& task, const std::string& expected,
                                         const std::string& reason,
                                         const AuditDraft& audit) override;
  Result<DeploymentPage> ListDeployments(const std::string& task, const PageRequest& page) override;

 private:
  postgres::Pool& pool_;
  const Clock& clock_;
};

}  // namespace tidewheel::model_registry
