#include "tidewheel/model_registry/storage/postgres_task_store.h"

#include "tidewheel/base/page_token.h"
#include "tidewheel/model_registry/declaration/task_yaml.h"
#include "tidewheel/model_registry/storage/postgres_audit_log.h"
#include "tidewheel/model_registry/storage/task_revision.h"
#include "tidewheel/postgres/values.h"

namespace tidewheel::model_registry {
namespace {

constexpr char kInsert[] =
    "INSERT INTO tasks (name, version, digest, canonical, yaml, applied_at, applied_by) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
constexpr char kFindNewest[] =
    "SELECT name, version, digest, canonical, yaml, applied_at, applied_by FROM tasks WHERE name = "
    "$1 "
    "ORDER BY version DESC LIMIT 1";
constexpr char kFindVersion[] =
    "SELECT name, version, digest, canonical, yaml, applied_at, applied_by FROM tasks "
    "WHERE name = $1 AND version = $2";
constexpr char kList[] =
    "SELECT DISTINCT ON (name) name, version, digest, canonical, yaml, applied_at, applied_by FROM "
    "tasks "
    "WHERE name > $1 ORDER BY name, version DESC LIMIT $2";

Result<Task> TaskFrom(const pqxx::row& row) {
  auto spec = ParseTaskYaml(row["canonical"].c_str());
  if (!spec) {
    return Error{ErrorCode::kDataLoss, "stored task " + std::string(row["name"].c_str()) +
                                           " cannot be read: " + spec.error().message};
  }
  Task task;
  task.spec = *std::move(spec);
  task.version = row["version"].as<std::uint32_t>();
  task.digest = row["digest"].c_str();
  task.yaml = row["yaml"].c_str();
  task.applied_at = row["applied_at"].as<Timestamp>();
  task.applied_by = row["applied_by"].c_str();
  return task;
}

Result<std::optional<Task>> AtMostOne(const pqxx::result& rows) {
  if (rows.empty()) return std::optional<Task>();
  auto task = TaskFrom(rows[0]);
  if (!task) return task.error();
  return std::optional<Task>(*std::move(task));
}

}  // namespace

Result<void> PostgresTaskStore::Append(const Task& task, const AuditDraft& audit) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<void> {
    const auto stored =
        tx.exec_params0(kInsert, task.spec.name, task.version, task.digest,
                        PrintTaskYaml(task.spec), task.yaml, task.applied_at, task.applied_by);
    if (stored.affected_rows() == 0) {
      return Error{ErrorCode::kAborted, "task " + task.spec.name + " version " +
                                            std::to_string(task.version) +
                                            " was applied by somebody else meanwhile; apply again"};
    }
    AppendAuditEntry(tx, audit, task.applied_at);
    // Who serves the task takes its capture and quality rules from its deployment.
    BumpTaskRevision(tx, task.spec.name);
    return {};
  });
}

Result<std::optional<Task>> PostgresTaskStore::FindNewest(const std::string& name) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::optional<Task>> {
    return AtMostOne(tx.exec_params(kFindNewest, name));
  });
}

Result<std::optional<Task>> PostgresTaskStore::FindVersion(const std::string& name,
                                                           std::uint32_t version) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::optional<Task>> {
    return AtMostOne(tx.exec_params(kFindVersion, name, version));
  });
}

Result<Page<Task>> PostgresTaskStore::List(const PageRequest& request) {
  const auto after = DecodePageToken("tasks", request.token, 1);
  if (!after) return after.error();
  const std::string last = after->empty() ? std::string() : (*after)[0];
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<Page<Task>> {
    const auto rows = tx.exec_params(kList, last, request.size + 1);
    Page<Task> page;
    for (const auto& row : rows) {
      if (page.items.size() == request.size) {
        page.next_token = EncodePageToken("tasks", {page.items.back().spec.name});
        break;
      }
      auto task = TaskFrom(row);
      if (!task) return task.error();
      page.items.push_back(*std::move(task));
    }
    return page;
  });
}

}  // namespace tidewheel::model_registry
