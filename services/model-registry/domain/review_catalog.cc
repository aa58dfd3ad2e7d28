#include "tidewheel/model_registry/domain/review_catalog.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "tidewheel/model_registry/domain/clearance.h"
#include "tidewheel/model_registry/domain/text_limits.h"

namespace tidewheel::model_registry {
namespace {

constexpr std::size_t kMaxCriteria = 2'000;
constexpr std::size_t kMaxIdBytes = 128;
constexpr std::size_t kMaxNameBytes = 256;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> CheckCriterion(const GateCriterion& criterion) {
  if (criterion.name.empty()) return Bad("a criterion has no name");
  if (const auto good = CheckText("a criterion's name", criterion.name, kMaxNameBytes); !good) {
    return good;
  }
  const std::string called = "criterion " + criterion.name;
  if (const auto good = CheckText(called + "'s reason", criterion.reason, kMaxReasonBytes); !good) {
    return good;
  }
  for (const auto& number : {criterion.difference, criterion.low, criterion.high}) {
    if (number && std::isnan(*number)) return Bad(called + " holds a number that is none");
  }
  if (criterion.p_value && !(*criterion.p_value >= 0 && *criterion.p_value <= 1)) {
    return Bad(called + ": p_value is 0 to 1");
  }
  if (criterion.samples > (std::uint64_t{1} << 62)) return Bad(called + ": too many samples");
  return {};
}

Result<void> CheckEvaluation(const GateEvaluation& evaluation) {
  if (evaluation.evaluation_id.empty()) return Bad("evaluation_id is needed");
  for (const auto& [name, text, limit] :
       {std::tuple{"evaluation_id", &evaluation.evaluation_id, kMaxIdBytes},
        std::tuple{"dataset_version_id", &evaluation.dataset_version_id, kMaxIdBytes},
        std::tuple{"actor", &evaluation.actor, kMaxActorBytes}}) {
    if (const auto good = CheckText(name, *text, limit); !good) return good;
  }
  if (evaluation.criteria.size() > kMaxCriteria) {
    return Bad("a gate evaluation has " + std::to_string(evaluation.criteria.size()) +
               " criteria, the limit is " + std::to_string(kMaxCriteria));
  }
  for (const auto& criterion : evaluation.criteria) {
    if (const auto good = CheckCriterion(criterion); !good) return good;
  }
  return {};
}

std::string Listed(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text.empty() ? "none" : text;
}

}  // namespace

Result<ModelVersion> ReviewCatalog::FindVersion(const std::string& id) {
  const auto found = models_.Find(id);
  if (!found) return found.error();
  if (!*found) return Error{ErrorCode::kNotFound, "no model version " + id.substr(0, 80)};
  return **found;
}

Result<TaskSpec> ReviewCatalog::FindTask(const std::string& name) {
  const auto task = tasks_.FindNewest(name);
  if (!task) return task.error();
  if (!*task) return Error{ErrorCode::kNotFound, "no task " + name};
  return (*task)->spec;
}

Result<StoredEvaluation> ReviewCatalog::Record(const GateEvaluation& evaluation) {
  if (const auto good = CheckEvaluation(evaluation); !good) return good.error();
  const auto version = FindVersion(evaluation.model_version_id);
  if (!version) return version.error();
  const std::string& task = version->manifest.task;
  if (!evaluation.baseline_model_version_id.empty()) {
    const auto baseline = FindVersion(evaluation.baseline_model_version_id);
    if (!baseline) return baseline.error();
    if (baseline->manifest.task != task) {
      return Bad("the baseline is a model of task " + baseline->manifest.task + ", not of " + task);
    }
  }

  GateEvaluation decided = evaluation;
  decided.verdict = Overall(evaluation.criteria);
  decided.evaluated_at = clock_.Now();
  AuditDraft audit{evaluation.actor,
                   "gate.evaluated",
                   "model/" + version->id,
                   {{"task", task},
                    {"evaluation", evaluation.evaluation_id},
                    {"baseline", evaluation.baseline_model_version_id},
                    {"dataset", evaluation.dataset_version_id},
                    {"criteria", std::to_string(evaluation.criteria.size())},
                    {"verdict", std::string(VerdictName(decided.verdict))}}};
  if (!Passed(decided.criteria)) {
    audit.details["failures"] = DescribeFailures(decided.criteria).substr(0, kMaxReasonBytes);
  }
  auto stored = reviews_.Append(decided, audit);
  if (stored && stored->evaluation.model_version_id != version->id) {
    return Error{ErrorCode::kAlreadyExists, "gate evaluation " + evaluation.evaluation_id +
                                                " is one of model version " +
                                                stored->evaluation.model_version_id};
  }
  return stored;
}

Result<Page<GateEvaluation>> ReviewCatalog::ListEvaluations(const std::string& model_version_id,
                                                            const PageRequest& page) {
  const auto version = FindVersion(model_version_id);
  if (!version) return version.error();
  return reviews_.ListEvaluations(version->id, page);
}

Result<SignedOff> ReviewCatalog::Sign(const SignOffRecord& record) {
  if (record.actor.empty()) return Bad("a signature needs the name of who signs");
  if (const auto good = CheckText("actor", record.actor, kMaxActorBytes); !good) {
    return good.error();
  }
  if (const auto good = CheckText("reason", record.reason, kMaxReasonBytes); !good) {
    return good.error();
  }
  if (!record.approved && record.reason.empty()) return Bad("a refusal needs a reason");
  const auto version = FindVersion(record.model_version_id);
  if (!version) return version.error();
  const std::string& task = version->manifest.task;
  const auto spec = FindTask(task);
  if (!spec) return spec.error();
  const auto& roles = spec->cycle.sign_off_roles;
  if (std::find(roles.begin(), roles.end(), record.role) == roles.end()) {
    return Bad("\"" + record.role.substr(0, 80) + "\" does not sign for task " + task +
               "; its roles are " + Listed(roles));
  }

  SignOffRecord signature = record;
  signature.model_version_id = version->id;
  signature.signed_at = clock_.Now();
  AuditDraft audit{record.actor,
                   record.approved ? "model.signed" : "model.refused",
                   "model/" + version->id,
                   {{"task", task}, {"role", record.role}}};
  if (!record.reason.empty()) audit.details["reason"] = record.reason;
  const auto stored = reviews_.Append(signature, audit);
  if (!stored) return stored.error();
  const SignOffRecord& there = stored->record;
  if (there.actor != record.actor || there.approved != record.approved) {
    return Error{ErrorCode::kAlreadyExists,
                 there.actor + (there.approved ? " has signed" : " has refused to sign") +
                     " model version " + version->id + " for role " + there.role + " already"};
  }
  const auto all = reviews_.ListSignOffs(version->id);
  if (!all) return all.error();
  return SignedOff{there, MissingRoles(*spec, *all)};
}

Result<SignOffs> ReviewCatalog::ListSignOffs(const std::string& model_version_id) {
  const auto version = FindVersion(model_version_id);
  if (!version) return version.error();
  const auto spec = FindTask(version->manifest.task);
  if (!spec) return spec.error();
  auto records = reviews_.ListSignOffs(version->id);
  if (!records) return records.error();
  auto missing = MissingRoles(*spec, *records);
  return SignOffs{*std::move(records), std::move(missing)};
}

}  // namespace tidewheel::model_registry
