#include "tidewheel/model_registry/domain/clearance.h"

#include <algorithm>

namespace tidewheel::model_registry {
namespace {

const SignOffRecord* FindSignature(const std::vector<SignOffRecord>& sign_offs,
                                   const std::string& role) {
  const auto found = std::find_if(sign_offs.begin(), sign_offs.end(),
                                  [&](const SignOffRecord& record) { return record.role == role; });
  return found == sign_offs.end() ? nullptr : &*found;
}

GateCriterion SignatureOf(const std::string& role, const SignOffRecord* record) {
  GateCriterion criterion;
  criterion.name = "sign_off." + role;
  if (record == nullptr) {
    criterion.reason = "nobody has signed for role " + role;
    return criterion;
  }
  criterion.verdict = record->approved ? GateVerdict::kPass : GateVerdict::kFail;
  criterion.reason = (record->approved ? "signed by " : "refused by ") + record->actor;
  if (!record->reason.empty()) criterion.reason += ": " + record->reason;
  return criterion;
}

}  // namespace

Clearance CheckClearance(const TaskSpec& task, const std::map<std::string, double>& metrics,
                         const std::optional<GateEvaluation>& newest,
                         const std::vector<SignOffRecord>& sign_offs, bool serving) {
  Clearance clearance;
  clearance.criteria = EvaluateGate(task, metrics);
  std::string& objections = clearance.objections;
  const auto object = [&objections](const std::string& text) {
    objections += (objections.empty() ? "" : "; ") + text;
  };
  if (!Passed(clearance.criteria)) object(DescribeFailures(clearance.criteria));
  if (!serving) return clearance;

  if (newest) {
    auto& criteria = clearance.criteria;
    criteria.insert(criteria.end(), newest->criteria.begin(), newest->criteria.end());
    if (newest->verdict == GateVerdict::kFail || newest->verdict == GateVerdict::kInconclusive) {
      object("gate evaluation " + newest->evaluation_id + " says " +
             std::string(VerdictName(newest->verdict)) + ": " + DescribeFailures(newest->criteria));
    }
  }
  for (const auto& role : task.cycle.sign_off_roles) {
    const GateCriterion criterion = SignatureOf(role, FindSignature(sign_offs, role));
    if (criterion.verdict != GateVerdict::kPass) object(criterion.reason);
    clearance.criteria.push_back(criterion);
  }
  return clearance;
}

std::vector<std::string> MissingRoles(const TaskSpec& task,
                                      const std::vector<SignOffRecord>& sign_offs) {
  std::vector<std::string> missing;
  for (const auto& role : task.cycle.sign_off_roles) {
    if (FindSignature(sign_offs, role) == nullptr) missing.push_back(role);
  }
  return missing;
}

}  // namespace tidewheel::model_registry
