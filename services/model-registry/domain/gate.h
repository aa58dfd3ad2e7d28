#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/model_registry/domain/task_spec.h"

namespace tidewheel::model_registry {

enum class GateVerdict { kPass, kFail, kNotEvaluated, kInconclusive };

struct GateCriterion {
  std::string name;
  GateVerdict verdict = GateVerdict::kNotEvaluated;
  std::string reason;
  // Candidate minus baseline, with its interval, where there is one.
  std::optional<double> difference;
  std::optional<double> low;
  std::optional<double> high;
  std::uint64_t samples = 0;
  std::optional<double> p_value;  // After correction.

  friend bool operator==(const GateCriterion&, const GateCriterion&) = default;
};

/// "balanced_accuracy" and so on, as evaluations name it.
std::string MetricName(PrimaryMetric metric);

/// Holds a model's metrics on the test split against the bar its task agreed on. Each criterion
/// answers with a reason; a metric that is missing is not evaluated, never passed.
std::vector<GateCriterion> EvaluateGate(const TaskSpec& task,
                                        const std::map<std::string, double>& metrics);

/// "pass", "fail", "not evaluated" or "inconclusive".
std::string_view VerdictName(GateVerdict verdict);

/// Of all together: fail when one fails, else inconclusive when one is, else not evaluated when one
/// is or there is none, else pass.
GateVerdict Overall(const std::vector<GateCriterion>& criteria);

/// Every criterion passed.
bool Passed(const std::vector<GateCriterion>& criteria);

/// "min_class_recall: fail (...)" for each that did not pass.
std::string DescribeFailures(const std::vector<GateCriterion>& criteria);

}  // namespace tidewheel::model_registry
