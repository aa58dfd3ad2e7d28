#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tidewheel/model_registry/domain/gate.h"
#include "tidewheel/model_registry/domain/review.h"
#include "tidewheel/model_registry/domain/task_spec.h"

namespace tidewheel::model_registry {

/// Whether a model version may get traffic.
struct Clearance {
  std::vector<GateCriterion> criteria;  // All that was looked at, signatures too.
  std::string objections;               // Empty: it may.
};

/// What stands between a version and the traffic of a task that `serving` another already: the bar
/// of its test metrics, the newest comparison with the serving model, if there was one, and the
/// signatures that the task asks for. A task's first model is held to the bar alone: there is
/// nothing to compare it with, and no cycle that policy speaks of.
Clearance CheckClearance(const TaskSpec& task, const std::map<std::string, double>& metrics,
                         const std::optional<GateEvaluation>& newest,
                         const std::vector<SignOffRecord>& sign_offs, bool serving);

/// Roles of the task that have not signed.
std::vector<std::string> MissingRoles(const TaskSpec& task,
                                      const std::vector<SignOffRecord>& sign_offs);

}  // namespace tidewheel::model_registry
