#include "tidewheel/model_registry/storage/postgres_model_store.h"

#include <pqxx/pqxx>

#include "tidewheel/base/ids.h"
#include "tidewheel/base/page_token.h"
#include "tidewheel/model_registry/storage/model_event.h"
#include "tidewheel/model_registry/storage/postgres_audit_log.h"
#include "tidewheel/postgres/arrays.h"
#include "tidewheel/postgres/values.h"

namespace tidewheel::model_registry {
namespace {

// Two changes of one task's models wait for each other here.
constexpr char kLockTask[] = "SELECT pg_advisory_xact_lock(hashtextextended('registry/' || $1, 0))";

constexpr char kColumns[] =
    "SELECT m.model_version_id, m.task, m.version, m.stage, m.run_id, m.dataset_version_id, "
    "m.dataset_digest, m.package_digest, m.recipe, m.seed, m.code_version, m.code_clean, "
    "m.classes, "
    "m.registered_at, m.registered_by FROM model_versions m ";
constexpr char kFiles[] =
    "SELECT name, sha256, size_bytes, payload_ref FROM model_files WHERE model_version_id = $1 "
    "ORDER BY name";
constexpr char kMetrics[] = "SELECT name, value FROM model_metrics WHERE model_version_id = $1";
constexpr char kInsert[] =
    "INSERT INTO model_versions (model_version_id, task, version, run_id, dataset_version_id, "
    "dataset_digest, package_digest, recipe, seed, code_version, code_clean, classes, "
    "registered_at, "
    "registered_by) SELECT $1, $2, coalesce(max(version), 0) + 1, $3, $4, $5, $6, $7, $8, $9, $10, "
    "$11::text[], $12, $13 FROM model_versions WHERE task = $2 RETURNING version";
constexpr char kInsertFile[] =
    "INSERT INTO model_files (model_version_id, name, sha256, size_bytes, payload_ref) "
    "VALUES ($1, $2, $3, $4, $5)";
constexpr char kInsertMetric[] =
    "INSERT INTO model_metrics (model_version_id, name, value) VALUES ($1, $2, $3)";

constexpr char kFindCurrent[] =
    "SELECT task, revision, model_version_id, previous_id, deployed_at, deployed_by FROM "
    "deployments "
    "WHERE task = $1 AND current";
constexpr char kEndCurrent[] = "UPDATE deployments SET current = false WHERE task = $1 AND current";
constexpr char kRetire[] =
    "UPDATE model_versions SET stage = 'retired' WHERE task = $1 AND stage = 'production'";
constexpr char kServe[] =
    "UPDATE model_versions SET stage = 'production' WHERE model_version_id = $1";
constexpr char kDeploy[] =
    "INSERT INTO deployments (task, model_version_id, previous_id, deployed_at, deployed_by) "
    "VALUES ($1, $2, nullif($3, '')::uuid, $4, $5) "
    "RETURNING task, revision, model_version_id, previous_id, deployed_at, deployed_by";
// Where a roll back of `previous_id` would go next: the version it followed when it was deployed
// the last time.
constexpr char kFollowed[] =
    "SELECT previous_id FROM deployments WHERE task = $1 AND model_version_id = $2 "
    "ORDER BY revision DESC LIMIT 1";
constexpr char kListDeployments[] =
    "SELECT task, revision, model_version_id, previous_id, deployed_at, deployed_by FROM "
    "deployments "
    "WHERE current AND ($1 = '' OR task = $1) AND task > $2 ORDER BY task LIMIT $3";
constexpr char kNewestRevision[] = "SELECT coalesce(max(revision), 0) FROM deployments";

std::vector<std::string> TextsFrom(const pqxx::field& array) {
  std::vector<std::string> texts;
  auto parser = array.as_array();
  for (auto [kind, text] = parser.get_next(); kind != pqxx::array_parser::done;
       std::tie(kind, text) = parser.get_next()) {
    if (kind == pqxx::array_parser::string_value) texts.push_back(text);
  }
  return texts;
}

Stage StageFrom(std::string_view name) {
  if (name == "production") return Stage::kProduction;
  if (name == "retired") return Stage::kRetired;
  return Stage::kRegistered;
}

ModelVersion VersionFrom(const pqxx::row& row) {
  ModelVersion version;
  version.id = row["model_version_id"].c_str();
  version.version = row["version"].as<std::uint32_t>();
  version.stage = StageFrom(row["stage"].c_str());
  version.manifest.task = row["task"].c_str();
  version.manifest.run_id = row["run_id"].c_str();
  version.manifest.dataset_version_id = row["dataset_version_id"].c_str();
  version.manifest.dataset_digest = row["dataset_digest"].c_str();
  version.manifest.recipe = row["recipe"].c_str();
  version.manifest.seed = row["seed"].as<std::uint64_t>();
  version.manifest.code_version = row["code_version"].c_str();
  version.manifest.code_clean = row["code_clean"].as<bool>();
  version.manifest.classes = TextsFrom(row["classes"]);
  version.package_digest = row["package_digest"].c_str();
  version.registered_at = row["registered_at"].as<Timestamp>();
  version.registered_by = row["registered_by"].c_str();
  return version;
}

/// With its files and metrics, which are few.
ModelVersion Complete(pqxx::transaction_base& tx, const pqxx::row& row) {
  ModelVersion version = VersionFrom(row);
  for (const auto& file : tx.exec_params(kFiles, version.id)) {
    version.files.push_back({file["name"].c_str(), file["sha256"].c_str(),
                             file["size_bytes"].as<std::uint64_t>(), file["payload_ref"].c_str()});
  }
  for (const auto& metric : tx.exec_params(kMetrics, version.id)) {
    version.manifest.metrics[metric["name"].c_str()] = metric["value"].as<double>();
  }
  return version;
}

template <typename... Parameters>
std::optional<ModelVersion> FindOne(pqxx::transaction_base& tx, const std::string& condition,
                                    const Parameters&... parameters) {
  const auto rows = tx.exec_params(kColumns + condition, parameters...);
  if (rows.empty()) return std::nullopt;
  return Complete(tx, rows[0]);
}

Deployment DeploymentFrom(pqxx::transaction_base& tx, const pqxx::row& row) {
  Deployment deployment;
  deployment.task = row["task"].c_str();
  deployment.revision = row["revision"].as<std::uint64_t>();
  deployment.deployed_at = row["deployed_at"].as<Timestamp>();
  deployment.deployed_by = row["deployed_by"].c_str();
  if (!row["previous_id"].is_null()) {
    deployment.previous_model_version_id = row["previous_id"].c_str();
  }
  const std::string id = row["model_version_id"].c_str();
  deployment.production = *FindOne(tx, "WHERE m.model_version_id = $1", id);
  return deployment;
}

/// Ends the current deployment and starts the next, as the unique indexes want it.
Deployment Deploy(pqxx::work& tx, const std::string& task, const std::string& id,
                  const std::string& previous_id, const std::string& actor, Timestamp now) {
  tx.exec_params0(kEndCurrent, task);
  tx.exec_params0(kRetire, task);
  tx.exec_params0(kServe, id);
  return DeploymentFrom(tx, tx.exec_params1(kDeploy, task, id, previous_id, now, actor));
}

}  // namespace

Result<StoredModelVersion> PostgresModelStore::Register(const ModelVersion& version,
                                                        const AuditDraft& audit) {
  const PackageManifest& manifest = version.manifest;
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<StoredModelVersion> {
    tx.exec_params(kLockTask, manifest.task);
    const auto known =
        manifest.run_id.empty()
            ? FindOne(tx, "WHERE m.task = $1 AND m.package_digest = $2 AND m.run_id = ''",
                      manifest.task, version.package_digest)
            : FindOne(tx, "WHERE m.run_id = $1", manifest.run_id);
    if (known) return StoredModelVersion{*known, false};

    StoredModelVersion stored{version, true};
    stored.model_version.version =
        tx.exec_params1(kInsert, version.id, manifest.task, manifest.run_id,
                        manifest.dataset_version_id, manifest.dataset_digest,
                        version.package_digest, manifest.recipe, manifest.seed,
                        manifest.code_version, manifest.code_clean,
                        postgres::TextArrayLiteral(manifest.classes), version.registered_at,
                        version.registered_by)[0]
            .as<std::uint32_t>();
    for (const auto& file : version.files) {
      tx.exec_params0(kInsertFile, version.id, file.name, file.sha256, file.size_bytes,
                      file.payload_ref);
    }
    for (const auto& [name, value] : manifest.metrics) {
      tx.exec_params0(kInsertMetric, version.id, name, value);
    }
    AppendAuditEntry(tx, audit, version.registered_at);
    if (const auto queued = EnqueueModelEvent(
            tx, "model.registered",
            {manifest.task, version.id, stored.model_version.version, "registered", 0, ""});
        !queued)
      return queued.error();
    return stored;
  });
}

Result<std::optional<ModelVersion>> PostgresModelStore::Find(const std::string& id) {
  if (!IsUuid(id)) return std::optional<ModelVersion>();
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::optional<ModelVersion>> {
    return FindOne(tx, "WHERE m.model_version_id = $1", id);
  });
}

Result<std::optional<ModelVersion>> PostgresModelStore::FindByNumber(const std::string& task,
                                                                     std::uint32_t version) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::optional<ModelVersion>> {
    return FindOne(tx, "WHERE m.task = $1 AND m.version = $2", task, version);
  });
}

Result<std::optional<ModelVersion>> PostgresModelStore::FindByRun(const std::string& run_id) {
  if (run_id.empty()) return std::optional<ModelVersion>();
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::optional<ModelVersion>> {
    return FindOne(tx, "WHERE m.run_id = $1", run_id);
  });
}

Result<Page<ModelVersion>> PostgresModelStore::List(const std::string& task,
                                                    const PageRequest& request) {
  const auto after = DecodePageToken("models/" + task, request.token, 2);
  if (!after) return after.error();
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<Page<ModelVersion>> {
    const auto rows =
        tx.exec_params(std::string(kColumns) +
                           "WHERE ($1 = '' OR m.task = $1) AND ($2 = '' OR (m.registered_at, "
                           "m.model_version_id) < "
                           "(nullif($2, '')::timestamptz, nullif($3, '')::uuid)) "
                           "ORDER BY m.registered_at DESC, m.model_version_id DESC LIMIT $4",
                       task, after->empty() ? std::string() : (*after)[0],
                       after->empty() ? std::string() : (*after)[1], request.size + 1);
    Page<ModelVersion> page;
    for (const auto& row : rows) {
      if (page.items.size() == request.size) {
        const auto& last = page.items.back();
        page.next_token =
            EncodePageToken("models/" + task, {FormatUtc(last.registered_at), last.id});
        break;
      }
      page.items.push_back(Complete(tx, row));
    }
    return page;
  });
}

Result<ChangedDeployment> PostgresModelStore::Promote(const ModelVersion& version,
                                                      const AuditDraft& audit) {
  const std::string& task = version.manifest.task;
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<ChangedDeployment> {
    tx.exec_params(kLockTask, task);
    const auto current = tx.exec_params(kFindCurrent, task);
    std::string previous;
    if (!current.empty()) {
      previous = current[0]["model_version_id"].c_str();
      // A repeated call: already as asked.
      if (previous == version.id) return ChangedDeployment{DeploymentFrom(tx, current[0]), false};
    }

    const Timestamp now = clock_.Now();
    ChangedDeployment changed{Deploy(tx, task, version.id, previous, audit.actor, now), true};
    AppendAuditEntry(tx, audit, now);
    if (const auto queued = EnqueueModelEvent(tx, "model.promoted",
                                              {task, version.id, version.version, "production",
                                               changed.deployment.revision, previous});
        !queued)
      return queued.error();
    return changed;
  });
}

Result<Deployment> PostgresModelStore::RollBack(const std::string& task,
                                                const std::string& expected,
                                                const AuditDraft& audit) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<Deployment> {
    tx.exec_params(kLockTask, task);
    const auto current = tx.exec_params(kFindCurrent, task);
    if (current.empty()) {
      return Error{ErrorCode::kNotFound, "nothing serves task " + task.substr(0, 80)};
    }
    const std::string serving = current[0]["model_version_id"].c_str();
    if (!expected.empty() && serving != expected) {
      return Error{ErrorCode::kAborted, "task " + task + " is served by " + serving +
                                            " by now, not by " + expected.substr(0, 80)};
    }
    if (current[0]["previous_id"].is_null()) {
      return Error{ErrorCode::kFailedPrecondition,
                   "task " + task + " has no version to go back to: " + serving + " is its first"};
    }
    const std::string target = current[0]["previous_id"].c_str();

    // What the target followed when it was deployed is what the next roll back goes to.
    const auto followed = tx.exec_params(kFollowed, task, target);
    std::string next;
    if (!followed.empty() && !followed[0][0].is_null()) next = followed[0][0].c_str();
    const Timestamp now = clock_.Now();
    const Deployment deployment = Deploy(tx, task, target, next, audit.actor, now);
    AuditDraft complete = audit;
    complete.details["from"] = serving;
    complete.details["to"] = target;
    AppendAuditEntry(tx, complete, now);
    if (const auto queued = EnqueueModelEvent(tx, "model.rolled_back",
                                              {task, target, deployment.production.version,
                                               "production", deployment.revision, serving});
        !queued)
      return queued.error();
    return deployment;
  });
}

Result<DeploymentPage> PostgresModelStore::ListDeployments(const std::string& task,
                                                           const PageRequest& request) {
  const auto after = DecodePageToken("deployments/" + task, request.token, 1);
  if (!after) return after.error();
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<DeploymentPage> {
    DeploymentPage result;
    const auto rows = tx.exec_params(
        kListDeployments, task, after->empty() ? std::string() : (*after)[0], request.size + 1);
    for (const auto& row : rows) {
      if (result.page.items.size() == request.size) {
        result.page.next_token =
            EncodePageToken("deployments/" + task, {result.page.items.back().task});
        break;
      }
      result.page.items.push_back(DeploymentFrom(tx, row));
    }
    result.revision = tx.exec1(kNewestRevision)[0].as<std::uint64_t>();
    return result;
  });
}

}  // namespace tidewheel::model_registry
