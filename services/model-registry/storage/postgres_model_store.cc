#include "tidewheel/model_registry/storage/postgres_model_store.h"

#include <pqxx/pqxx>

#include "tidewheel/base/ids.h"
#include "tidewheel/base/page_token.h"
#include "tidewheel/model_registry/declaration/task_yaml.h"
#include "tidewheel/model_registry/storage/model_event.h"
#include "tidewheel/model_registry/storage/postgres_audit_log.h"
#include "tidewheel/model_registry/storage/task_revision.h"
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

// The revision of the last change that this task's readers must see, whatever changed.
constexpr char kDeployments[] =
    "SELECT d.task, greatest(d.revision, r.revision) AS revision, d.model_version_id, "
    "d.previous_id, d.deployed_at, d.deployed_by FROM deployments d "
    "LEFT JOIN task_revisions r ON r.task = d.task WHERE d.current ";
constexpr char kEndCurrent[] = "UPDATE deployments SET current = false WHERE task = $1 AND current";
constexpr char kRetire[] =
    "UPDATE model_versions SET stage = 'retired' WHERE task = $1 AND stage = 'production'";
constexpr char kServe[] =
    "UPDATE model_versions SET stage = 'production' WHERE model_version_id = $1";
constexpr char kDeploy[] =
    "INSERT INTO deployments (task, model_version_id, previous_id, deployed_at, deployed_by) "
    "VALUES ($1, $2, nullif($3, '')::uuid, $4, $5)";
// Where a roll back of `previous_id` would go next: the version it followed when it was deployed
// the last time.
constexpr char kFollowed[] =
    "SELECT previous_id FROM deployments WHERE task = $1 AND model_version_id = $2 "
    "ORDER BY revision DESC LIMIT 1";
constexpr char kNewestRevision[] =
    "SELECT greatest((SELECT coalesce(max(revision), 0) FROM deployments), "
    "(SELECT coalesce(max(revision), 0) FROM task_revisions))";

constexpr char kFindRollout[] =
    "SELECT model_version_id, stage, share, since, set_by, reason FROM rollouts "
    "WHERE task = $1 AND ended_at IS NULL";
constexpr char kStartRollout[] =
    "INSERT INTO rollouts (task, model_version_id, stage, share, since, set_by, reason) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7)";
constexpr char kEndRollout[] =
    "UPDATE rollouts SET ended_at = $2, ended_by = $3, end_reason = $4 "
    "WHERE task = $1 AND ended_at IS NULL";
constexpr char kTaskInForce[] =
    "SELECT canonical FROM tasks WHERE name = $1 ORDER BY version DESC LIMIT 1";

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

std::string StageName(Stage stage) {
  switch (stage) {
    case Stage::kRegistered:
      return "registered";
    case Stage::kProduction:
      return "production";
    case Stage::kRetired:
      return "retired";
  }
  return "registered";
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

ModelVersion FindKnown(pqxx::transaction_base& tx, const std::string& id) {
  return *FindOne(tx, "WHERE m.model_version_id = $1", id);
}

std::optional<Rollout> FindRollout(pqxx::transaction_base& tx, const std::string& task) {
  const auto rows = tx.exec_params(kFindRollout, task);
  if (rows.empty()) return std::nullopt;
  const auto& row = rows[0];
  Rollout rollout;
  rollout.candidate = FindKnown(tx, row["model_version_id"].c_str());
  rollout.stage = std::string_view(row["stage"].c_str()) == "canary" ? RolloutStage::kCanary
                                                                     : RolloutStage::kShadow;
  rollout.share = row["share"].as<double>();
  rollout.since = row["since"].as<Timestamp>();
  rollout.by = row["set_by"].c_str();
  rollout.reason = row["reason"].c_str();
  return rollout;
}

/// With its rollout and what the task in force says of its traffic.
Result<Deployment> DeploymentFrom(pqxx::transaction_base& tx, const pqxx::row& row) {
  Deployment deployment;
  deployment.task = row["task"].c_str();
  deployment.revision = row["revision"].as<std::uint64_t>();
  deployment.deployed_at = row["deployed_at"].as<Timestamp>();
  deployment.deployed_by = row["deployed_by"].c_str();
  if (!row["previous_id"].is_null()) {
    deployment.previous_model_version_id = row["previous_id"].c_str();
  }
  deployment.production = FindKnown(tx, row["model_version_id"].c_str());
  deployment.rollout = FindRollout(tx, deployment.task);
  const auto tasks = tx.exec_params(kTaskInForce, deployment.task);
  if (tasks.empty()) return deployment;
  const auto spec = ParseTaskYaml(tasks[0][0].c_str());
  if (!spec) {
    return Error{ErrorCode::kDataLoss,
                 "stored task " + deployment.task + " cannot be read: " + spec.error().message};
  }
  deployment.capture = spec->capture;
  deployment.quality = spec->quality;
  return deployment;
}

pqxx::result FindCurrent(pqxx::transaction_base& tx, const std::string& task) {
  return tx.exec_params(std::string(kDeployments) + "AND d.task = $1", task);
}

/// What serves the task now; there is one.
Result<Deployment> CurrentDeployment(pqxx::transaction_base& tx, const std::string& task) {
  return DeploymentFrom(tx, FindCurrent(tx, task)[0]);
}

/// Ends the current deployment and starts the next, as the unique indexes want it.
void Deploy(pqxx::work& tx, const std::string& task, const std::string& id,
            const std::string& previous_id, const std::string& actor, Timestamp now) {
  tx.exec_params0(kEndCurrent, task);
  tx.exec_params0(kRetire, task);
  tx.exec_params0(kServe, id);
  tx.exec_params0(kDeploy, task, id, previous_id, now, actor);
}

Result<ChangedDeployment> Unchanged(pqxx::work& tx, const std::string& task) {
  auto deployment = CurrentDeployment(tx, task);
  if (!deployment) return deployment.error();
  return ChangedDeployment{*std::move(deployment), false};
}

/// The end of every change: its revision, and its event.
Result<ChangedDeployment> Finish(pqxx::work& tx, const std::string& task, const std::string& type,
                                 ModelFact fact) {
  BumpTaskRevision(tx, task);
  auto deployment = CurrentDeployment(tx, task);
  if (!deployment) return deployment.error();
  fact.revision = deployment->revision;
  if (const auto queued = EnqueueModelEvent(tx, type, fact); !queued) return queued.error();
  return ChangedDeployment{*std::move(deployment), true};
}

Error NothingServes(const std::string& task) {
  return {ErrorCode::kNotFound, "nothing serves task " + task.substr(0, 80)};
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

Result<std::optional<Deployment>> PostgresModelStore::FindDeployment(const std::string& task) {
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<std::optional<Deployment>> {
    const auto current = FindCurrent(tx, task);
    if (current.empty()) return std::optional<Deployment>();
    auto deployment = DeploymentFrom(tx, current[0]);
    if (!deployment) return deployment.error();
    return std::optional<Deployment>(*std::move(deployment));
  });
}

Result<ChangedDeployment> PostgresModelStore::Promote(const ModelVersion& version,
                                                      const AuditDraft& audit) {
  const std::string& task = version.manifest.task;
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<ChangedDeployment> {
    tx.exec_params(kLockTask, task);
    const auto current = FindCurrent(tx, task);
    std::string previous;
    if (!current.empty()) {
      previous = current[0]["model_version_id"].c_str();
      // A repeated call: already as asked.
      if (previous == version.id) return Unchanged(tx, task);
    }

    const Timestamp now = clock_.Now();
    AuditDraft complete = audit;
    const auto rollout = FindRollout(tx, task);
    if (rollout && rollout->candidate.id == version.id) {
      tx.exec_params0(kEndRollout, task, now, audit.actor, "promoted");
      complete.details["rollout_ended"] = std::string(StageName(rollout->stage));
    }
    AppendAuditEntry(tx, complete, now);
    Deploy(tx, task, version.id, previous, audit.actor, now);
    return Finish(tx, task, "model.promoted",
                  {task, version.id, version.version, "production", 0, previous});
  });
}

Result<Deployment> PostgresModelStore::RollBack(const std::string& task,
                                                const std::string& expected,
                                                const AuditDraft& audit) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<Deployment> {
    tx.exec_params(kLockTask, task);
    const auto current = FindCurrent(tx, task);
    if (current.empty()) return NothingServes(task);
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
    AuditDraft complete = audit;
    complete.details["from"] = serving;
    complete.details["to"] = target;
    const auto rollout = FindRollout(tx, task);
    if (rollout && rollout->candidate.id == target) {
      tx.exec_params0(kEndRollout, task, now, audit.actor, "rolled back to");
      complete.details["rollout_ended"] = std::string(StageName(rollout->stage));
    }
    AppendAuditEntry(tx, complete, now);
    Deploy(tx, task, target, next, audit.actor, now);
    const ModelVersion version = FindKnown(tx, target);
    auto changed = Finish(tx, task, "model.rolled_back",
                          {task, target, version.version, "production", 0, serving});
    if (!changed) return changed.error();
    return std::move(changed->deployment);
  });
}

Result<ChangedDeployment> PostgresModelStore::SetRollout(const ModelVersion& candidate,
                                                         RolloutStage stage, double share,
                                                         const std::string& reason,
                                                         const AuditDraft& audit) {
  const std::string& task = candidate.manifest.task;
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<ChangedDeployment> {
    tx.exec_params(kLockTask, task);
    const auto current = FindCurrent(tx, task);
    if (current.empty()) {
      return Error{ErrorCode::kFailedPrecondition, "nothing serves task " + task + " yet"};
    }
    if (candidate.id == current[0]["model_version_id"].c_str()) {
      return Error{ErrorCode::kFailedPrecondition,
                   "model version " + candidate.id + " serves task " + task + " already"};
    }
    const auto there = FindRollout(tx, task);
    if (there && there->candidate.id == candidate.id && there->stage == stage &&
        there->share == share) {
      return Unchanged(tx, task);
    }

    const Timestamp now = clock_.Now();
    if (there) tx.exec_params0(kEndRollout, task, now, audit.actor, "replaced");
    const std::string stage_name(StageName(stage));
    tx.exec_params0(kStartRollout, task, candidate.id, stage_name, share, now, audit.actor, reason);
    AppendAuditEntry(tx, audit, now);
    const std::string replaced =
        there && there->candidate.id != candidate.id ? there->candidate.id : std::string();
    return Finish(tx, task, "model.rollout_set",
                  {task, candidate.id, candidate.version, stage_name, 0, replaced});
  });
}

Result<ChangedDeployment> PostgresModelStore::ClearRollout(const std::string& task,
                                                           const std::string& expected,
                                                           const std::string& reason,
                                                           const AuditDraft& audit) {
  return pool_.InTransaction([&](pqxx::work& tx) -> Result<ChangedDeployment> {
    tx.exec_params(kLockTask, task);
    if (FindCurrent(tx, task).empty()) return NothingServes(task);
    const auto there = FindRollout(tx, task);
    if (!there || (!expected.empty() && there->candidate.id != expected)) {
      return Unchanged(tx, task);
    }

    const Timestamp now = clock_.Now();
    tx.exec_params0(kEndRollout, task, now, audit.actor, reason);
    AuditDraft complete = audit;
    complete.subject = "model/" + there->candidate.id;
    complete.details["stage"] = std::string(StageName(there->stage));
    AppendAuditEntry(tx, complete, now);
    return Finish(tx, task, "model.rollout_cleared",
                  {task, there->candidate.id, there->candidate.version,
                   StageName(there->candidate.stage), 0, ""});
  });
}

Result<DeploymentPage> PostgresModelStore::ListDeployments(const std::string& task,
                                                           const PageRequest& request) {
  const auto after = DecodePageToken("deployments/" + task, request.token, 1);
  if (!after) return after.error();
  return pool_.ReadOnly([&](pqxx::transaction_base& tx) -> Result<DeploymentPage> {
    DeploymentPage result;
    const auto rows =
        tx.exec_params(std::string(kDeployments) +
                           "AND ($1 = '' OR d.task = $1) AND d.task > $2 ORDER BY d.task LIMIT $3",
                       task, after->empty() ? std::string() : (*after)[0], request.size + 1);
    for (const auto& row : rows) {
      if (result.page.items.size() == request.size) {
        result.page.next_token =
            EncodePageToken("deployments/" + task, {result.page.items.back().task});
        break;
      }
      auto deployment = DeploymentFrom(tx, row);
      if (!deployment) return deployment.error();
      result.page.items.push_back(*std::move(deployment));
    }
    result.revision = tx.exec1(kNewestRevision)[0].as<std::uint64_t>();
    return result;
  });
}

}  // namespace tidewheel::model_registry
