#pragma once

#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/model_registry/domain/gate.h"

namespace tidewheel::model_registry {

/// What was found when a candidate was held against the serving model.
struct GateEvaluation {
  std::string evaluation_id;  // Made by the caller.
  std::string model_version_id;
  std::string baseline_model_version_id;  // Empty: nothing served.
  std::string dataset_version_id;
  std::vector<GateCriterion> criteria;
  GateVerdict verdict = GateVerdict::kNotEvaluated;
  Timestamp evaluated_at{};
  std::string actor;
};

/// One person's signature under a model version, for one role.
struct SignOffRecord {
  std::string model_version_id;
  std::string role;
  std::string actor;
  bool approved = false;
  std::string reason;
  Timestamp signed_at{};
};

}  // namespace tidewheel::model_registry
