#pragma once

#include "tidewheel/model_registry/domain/task_store.h"
#include "tidewheel/postgres/pool.h"

namespace tidewheel::model_registry {

/// Tasks in PostgreSQL. A stored task is its canonical YAML, read back with today's defaults.
class PostgresTaskStore final : public TaskStore {
 public:
  explicit PostgresTaskStore(postgres::Pool& pool) : pool_(pool) {}

  Result<void> Append(const Task& task, const AuditDraft& audit) override;
  Result<std::optional<Task>> FindNewest(const std::string& name) override;
  Result<std::optional<Task>> FindVersion(const std::string& name, std::uint32_t version) override;
  Result<Page<Task>> List(const PageRequest& page) override;

 private:
  postgres::Pool& pool_;
};

}  // namespace tidewheel::model_registry
