#pragma once

#include <map>
#include <string>
#include <vector>

#include "tidewheel/model_registry/domain/task_spec.h"

namespace tidewheel::model_registry {

enum class GateVerdict { kPass, kFail, kNotEvaluated };

struct GateCriterion {
  std::string name;
  GateVerdict verdict = GateVerdict::kNotEvaluated;
  std::string reason;
};

/// "balanced_accuracy" and so on, as evaluations name it.
std::string MetricName(PrimaryMetric metric);

/// Holds a model's metrics on the test split against the bar its task agreed on. Each criterion
/// answers with a reason; a metric that is missing is not evaluated, never passed.
std::vector<GateCriterion> EvaluateGate(const TaskSpec& task,
                                        const std::map<std::string, double>& metrics);

/// Every criterion passed.
bool Passed(const std::vector<GateCriterion>& criteria);

/// "min_class_recall: fail (...)" for each that did not pass.
std::string DescribeFailures(const std::vector<GateCriterion>& criteria);

}  // namespace tidewheel::model_registry
