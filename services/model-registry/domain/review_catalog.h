#pragma once

#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/model_registry/domain/model_store.h"
#include "tidewheel/model_registry/domain/review_store.h"
#include "tidewheel/model_registry/domain/task_store.h"

namespace tidewheel::model_registry {

struct SignedOff {
  SignOffRecord record;
  std::vector<std::string> missing_roles;  // Of the task's, not signed yet.
};

struct SignOffs {
  std::vector<SignOffRecord> records;
  std::vector<std::string> missing_roles;
};

/// Keeps what was judged of model versions: comparisons with the serving model, and signatures.
/// Thread-safe.
class ReviewCatalog {
 public:
  ReviewCatalog(ReviewStore& reviews, ModelStore& models, TaskStore& tasks, const Clock& clock)
      : reviews_(reviews), models_(models), tasks_(tasks), clock_(clock) {}

  /// Decides the verdict. A repeat with the same evaluation_id returns what is there.
  /// kInvalidArgument; kNotFound: a model version; kAlreadyExists: the id is one of another
  /// version's evaluation.
  Result<StoredEvaluation> Record(const GateEvaluation& evaluation);
  /// kNotFound: the model version.
  Result<Page<GateEvaluation>> ListEvaluations(const std::string& model_version_id,
                                               const PageRequest& page);

  /// kInvalidArgument: not one of the task's roles, no name, a refusal without a reason. kNotFound:
  /// the model version. kAlreadyExists: somebody signed for this role, or the same person
  /// otherwise.
  Result<SignedOff> Sign(const SignOffRecord& record);
  /// kNotFound: the model version.
  Result<SignOffs> ListSignOffs(const std::string& model_version_id);

 private:
  Result<ModelVersion> FindVersion(const std::string& id);
  Result<TaskSpec> FindTask(const std::string& name);

  ReviewStore& reviews_;
  ModelStore& models_;
  TaskStore& tasks_;
  const Clock& clock_;
};

}  // namespace tidewheel::model_registry
