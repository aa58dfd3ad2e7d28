#pragma once

#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/digest.h"
#include "tidewheel/base/result.h"
#include "tidewheel/model_registry/domain/gate.h"
#include "tidewheel/model_registry/domain/model_store.h"
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

/// Registers model packages and decides what serves. Thread-safe.
class ModelCatalog {
 public:
  using HashBytes = Digest (*)(std::string_view);

  ModelCatalog(ModelStore& models, TaskStore& tasks, const PackageReader& packages,
               const Clock& clock, HashBytes hash)
      : models_(models), tasks_(tasks), packages_(packages), clock_(clock), hash_(hash) {}

  /// kNotFound: no such task. kInvalidArgument: the package is not one of this task or run.
  Result<StoredModelVersion> Register(const Registration& registration);
  /// kFailedPrecondition: the gate says no and nobody gave a reason to override it.
  Result<Promotion> Promote(const std::string& id, const std::string& actor,
                            const std::string& override_reason);
  Result<Deployment> RollBack(const std::string& task, const std::string& expected,
                              const std::string& actor, const std::string& reason);

 private:
  ModelStore& models_;
  TaskStore& tasks_;
  const PackageReader& packages_;
  const Clock& clock_;
  const HashBytes hash_;
};

}  // namespace tidewheel::model_registry
