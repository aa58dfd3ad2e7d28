#include "tidewheel/model_registry/domain/gate.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace tidewheel::model_registry {
namespace {

std::string Rounded(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4f", value);
  return text.data();
}

GateCriterion Criterion(std::string name, GateVerdict verdict, std::string reason) {
  GateCriterion criterion;
  criterion.name = std::move(name);
  criterion.verdict = verdict;
  criterion.reason = std::move(reason);
  return criterion;
}

GateCriterion AtLeast(std::string name, const std::string& what, double value, double bar) {
  const bool pass = value >= bar;
  return Criterion(std::move(name), pass ? GateVerdict::kPass : GateVerdict::kFail,
                   what + " is " + Rounded(value) + ", the bar is " + Rounded(bar));
}

}  // namespace

std::string MetricName(PrimaryMetric metric) {
  switch (metric) {
    case PrimaryMetric::kAccuracy:
      return "accuracy";
    case PrimaryMetric::kBalancedAccuracy:
      return "balanced_accuracy";
    case PrimaryMetric::kMacroF1:
      return "macro_f1";
  }
  return "accuracy";
}

std::vector<GateCriterion> EvaluateGate(const TaskSpec& task,
                                        const std::map<std::string, double>& metrics) {
  std::vector<GateCriterion> criteria;
  const std::string primary = MetricName(task.gate.primary_metric);
  if (const auto found = metrics.find(primary); found != metrics.end()) {
    criteria.push_back(AtLeast("min_primary_metric", "test " + primary, found->second,
                               task.gate.min_primary_metric));
  } else {
    criteria.push_back(Criterion("min_primary_metric", GateVerdict::kNotEvaluated,
                                 "the package has no test " + primary));
  }

  double lowest = 1;
  std::string lowest_class;
  for (const auto& name : task.classes) {
    const auto found = metrics.find("recall." + name);
    if (found == metrics.end()) {
      criteria.push_back(Criterion("min_class_recall", GateVerdict::kNotEvaluated,
                                   "the package has no test recall of " + name));
      return criteria;
    }
    if (lowest_class.empty() || found->second < lowest) {
      lowest = found->second;
      lowest_class = name;
    }
  }
  criteria.push_back(AtLeast("min_class_recall", "test recall of " + lowest_class, lowest,
                             task.gate.min_class_recall));
  return criteria;
}

std::string_view VerdictName(GateVerdict verdict) {
  switch (verdict) {
    case GateVerdict::kPass:
      return "pass";
    case GateVerdict::kFail:
      return "fail";
    case GateVerdict::kNotEvaluated:
      return "not evaluated";
    case GateVerdict::kInconclusive:
      return "inconclusive";
  }
  return "not evaluated";
}

GateVerdict Overall(const std::vector<GateCriterion>& criteria) {
  for (const GateVerdict verdict :
       {GateVerdict::kFail, GateVerdict::kInconclusive, GateVerdict::kNotEvaluated}) {
    for (const auto& criterion : criteria) {
      if (criterion.verdict == verdict) return verdict;
    }
  }
  return criteria.empty() ? GateVerdict::kNotEvaluated : GateVerdict::kPass;
}

bool Passed(const std::vector<GateCriterion>& criteria) {
  return std::all_of(criteria.begin(), criteria.end(), [](const GateCriterion& criterion) {
    return criterion.verdict == GateVerdict::kPass;
  });
}

std::string DescribeFailures(const std::vector<GateCriterion>& criteria) {
  std::string text;
  for (const auto& criterion : criteria) {
    if (criterion.verdict == GateVerdict::kPass) continue;
    if (!text.empty()) text += "; ";
    text += criterion.name + ": " + std::string(VerdictName(criterion.verdict)) + " (" +
            criterion.reason + ")";
  }
  return text;
}

}  // namespace tidewheel::model_registry
