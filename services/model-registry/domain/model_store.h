#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/model_registry/domain/audit.h"
#include "tidewheel/model_registry/domain/model_version.h"
#include "tidewheel/model_registry/domain/page.h"

namespace tidewheel::model_registry {

struct StoredModelVersion {
  ModelVersion model_version;
  bool created = false;
};

struct ChangedDeployment {
  Deployment deployment;
  bool changed = false;
};

struct DeploymentPage {
  Page<Deployment> page;
  std::uint64_t revision = 0;  // Of all deployments together.
};

/// What the domain needs of model storage. Each write is one transaction with its audit entry and
/// its event. Thread-safe.
class ModelStore {
 public:
  virtual ~ModelStore() = default;

  /// Gives the version its number. A version with the same run, or without a run the same package,
  /// is returned instead.
  virtual Result<StoredModelVersion> Register(const ModelVersion& version,
                                              const AuditDraft& audit) = 0;
  virtual Result<std::optional<ModelVersion>> Find(const std::string& id) = 0;
  virtual Result<std::optional<ModelVersion>> FindByNumber(const std::string& task,
                                                           std::uint32_t version) = 0;
  virtual Result<std::optional<ModelVersion>> FindByRun(const std::string& run_id) = 0;
  /// Newest first; an empty task means all.
  virtual Result<Page<ModelVersion>> List(const std::string& task, const PageRequest& page) = 0;

  /// What serves the task, or none.
  virtual Result<std::optional<Deployment>> FindDeployment(const std::string& task) = 0;

  /// Makes it the one that serves its task and retires the one before; a rollout of it ends with
  /// that. Two changes of one task's deployment wait for each other.
  virtual Result<ChangedDeployment> Promote(const ModelVersion& version,
                                            const AuditDraft& audit) = 0;
  /// kNotFound: nothing serves. kFailedPrecondition: nothing to go back to. kAborted: another than
  /// `expected` serves.
  virtual Result<Deployment> RollBack(const std::string& task, const std::string& expected,
                                      const AuditDraft& audit) = 0;
  /// Gives the candidate its place beside the serving version, instead of what was there. The same
  /// again changes nothing. kFailedPrecondition: nothing serves the task, or the candidate does.
  virtual Result<ChangedDeployment> SetRollout(const ModelVersion& candidate, RolloutStage stage,
                                               double share, const std::string& reason,
                                               const AuditDraft& audit) = 0;
  /// Changes nothing when there is no rollout, or another candidate's than `expected`.
  /// kNotFound: nothing serves.
  virtual Result<ChangedDeployment> ClearRollout(const std::string& task,
                                                 const std::string& expected,
                                                 const std::string& reason,
                                                 const AuditDraft& audit) = 0;
  virtual Result<DeploymentPage> ListDeployments(const std::string& task,
                                                 const PageRequest& page) = 0;
};

/// Reads what a package says of itself from the payload store.
class PackageReader {
 public:
  virtual ~PackageReader() = default;
  /// kInvalidArgument: a file is missing or cannot be read. kNotFound, kDataLoss: of the payload
  /// store.
  virtual Result<PackageManifest> Read(const std::vector<PackageFile>& files) const = 0;
};

}  // namespace tidewheel::model_registry
