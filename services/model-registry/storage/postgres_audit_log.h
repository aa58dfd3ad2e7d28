#pragma once

#include <pqxx/pqxx>

#include "tidewheel/model_registry/domain/audit_log.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::model_registry {

/// Adds the next link to the chain inside the caller's transaction. Writers of the chain wait for
/// each other, and the chain's order is the order of their commits.
void AppendAuditEntry(pqxx::work& tx, const AuditDraft& draft, Timestamp at);

/// The chain in PostgreSQL.
class PostgresAuditLog final : public AuditLog {
 public:
  explicit PostgresAuditLog(postgres::Pool& pool) : pool_(pool) {}

  Result<Page<AuditEntry>> List(const std::string& subject, const PageRequest& page) override;
  Result<ChainReport> Verify() override;

 private:
  postgres::Pool& pool_;
};

}  // namespace tidewheel::model_registry
