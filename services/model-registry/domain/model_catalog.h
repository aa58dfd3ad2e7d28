#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/digest.h"
#include "tidewheel/base/result.h"
#include "tidewheel/model_registry/domain/clearance.h"
#include "tidewheel/model_registry/domain/gate.h"
#include "tidewheel/model_registry/domain/model_store.h"
#include "tidewheel/model_registry/domain/review_store.h"
#include "tidewheel/model_registry/domain/task_store.h"

namespace tidewheel::model_registry {

struct Registration {
  std::string task;
  std::string run_id;  // Empty: an upload.
  std::string dataset_version_id;
  std::vector<PackageFile> files;
  std::string actor;
};

struct Promotion {
  ChangedDeployment deployment;
  std::vector<GateCriterion> criteria;
};

/// A candidate's place beside the serving version, as it was asked for.
struct RolloutOrder {
  std::string model_version_id;
  RolloutStage stage = RolloutStage::kShadow;
  double share = 0;
  std::string actor;
  std::string reason;
  std::string override_reason;
};

/// Registers model packages and decides what serves. Thread-safe.
class ModelCatalog {
 public:
  using HashBytes = Digest (*)(std::string_view);

  ModelCatalog(ModelStore& models, TaskStore& tasks, ReviewStore& reviews,
               const PackageReader& packages, const Clock& clock, HashBytes hash)
      : models_(models),
        tasks_(tasks),
        reviews_(reviews),
        packages_(packages),
        clock_(clock),
        hash_(hash) {}

  /// kNotFound: no such task. kInvalidArgument: the package is not one of this task or run.
  Result<StoredModelVersion> Register(const Registration& registration);
  /// kFailedPrecondition: the gate says no or a signature is missing, and nobody gave a reason to
  /// override it.
  Result<Promotion> Promote(const std::string& id, const std::string& actor,
                            const std::string& override_reason);
  Result<Deployment> RollBack(const std::string& task, const std::string& expected,
                              const std::string& actor, const std::string& reason);
  /// kInvalidArgument: the share. kNotFound. kFailedPrecondition: as of Promote, and when nothing
  /// serves the task or the candidate does.
  Result<ChangedDeployment> SetRollout(const RolloutOrder& order);
  /// Changes nothing when there is no rollout, or another candidate's than `expected`. kNotFound:
  /// nothing serves.
  Result<ChangedDeployment> ClearRollout(const std::string& task, const std::string& expected,
                                         const std::string& actor, const std::string& reason);

 private:
  /// A version, what serves its task, and whether it may get traffic.
  struct Candidate {
    ModelVersion version;
    std::optional<Deployment> deployment;
    Clearance clearance;
  };
  Result<Candidate> Examine(const std::string& id);

  ModelStore& models_;
  TaskStore& tasks_;
  ReviewStore& reviews_;
  const PackageReader& packages_;
  const Clock& clock_;
  const HashBytes hash_;
};

}  // namespace tidewheel::model_registry
