#pragma once

#include "tidewheel/model_registry/domain/review_store.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::model_registry {

/// Gate evaluations and signatures in PostgreSQL; each with its audit entry in one transaction.
class PostgresReviewStore final : public ReviewStore {
 public:
  explicit PostgresReviewStore(postgres::Pool& pool) : pool_(pool) {}

  Result<StoredEvaluation> Append(const GateEvaluation& evaluation,
                                  const AuditDraft& audit) override;
  Result<std::optional<GateEvaluation>> FindNewest(const std::string& model_version_id) override;
  Result<Page<GateEvaluation>> ListEvaluations(const std::string& model_version_id,
                                               const PageRequest& page) override;
  Result<StoredSignOff> Append(const SignOffRecord& record, const AuditDraft& audit) override;
  Result<std::vector<SignOffRecord>> ListSignOffs(const std::string& model_version_id) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace tidewheel::model_registry
