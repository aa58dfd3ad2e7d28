#include "tidewheel/model_registry/domain/model_catalog.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <tuple>

#include "tidewheel/base/ids.h"
#include "tidewheel/model_registry/domain/text_limits.h"

namespace tidewheel::model_registry {
namespace {

constexpr std::size_t kMaxFiles = 64;
constexpr std::uint64_t kMaxFileBytes = 4ULL << 30;

bool IsFileName(const std::string& name) {
  return !name.empty() && name.size() <= 128 && name.front() != '.' &&
         name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
             std::string::npos;
}

Result<void> CheckFiles(const std::vector<PackageFile>& files) {
  const auto bad = [](std::string message) {
    return Error{ErrorCode::kInvalidArgument, std::move(message)};
  };
  if (files.empty() || files.size() > kMaxFiles) {
    return bad("a model package has 1 to " + std::to_string(kMaxFiles) + " files, this one has " +
               std::to_string(files.size()));
  }
  std::set<std::string> names;
  for (const auto& file : files) {
    if (!IsFileName(file.name)) {
      return bad("\"" + file.name.substr(0, 80) + "\" is not a file name of a model package");
    }
    if (!names.insert(file.name).second) return bad("file " + file.name + " stands there twice");
    if (const auto digest = Digest::FromHex(file.sha256); !digest) {
      return Prefixed("file " + file.name + ": ", digest.error());
    }
    if (file.size_bytes > kMaxFileBytes) {
      return bad("file " + file.name + " has " + std::to_string(file.size_bytes) +
                 " bytes, the limit is " + std::to_string(kMaxFileBytes));
    }
  }
  for (const char* needed : {"model.onnx", "model.yaml"}) {
    if (!names.contains(needed)) return bad(std::string("the package has no ") + needed);
  }
  return {};
}

Result<void> CheckBelongs(const PackageManifest& manifest, const Registration& registration,
                          const TaskSpec& task) {
  const auto bad = [](std::string message) {
    return Error{ErrorCode::kInvalidArgument, std::move(message)};
  };
  if (manifest.task != registration.task) {
    return bad("the package is for task " + manifest.task + ", not " + registration.task);
  }
  if (!registration.run_id.empty() && manifest.run_id != registration.run_id) {
    return bad("the package was made by run " + manifest.run_id + ", not " + registration.run_id);
  }
  if (manifest.classes.size() > task.classes.size() ||
      !std::equal(manifest.classes.begin(), manifest.classes.end(), task.classes.begin())) {
    return bad("the package's classes are not those of task " + task.name);
  }
  return {};
}

std::string Shown(double share) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), share).ptr;
  return {text.data(), end};
}

Result<void> CheckObjections(const ModelVersion& version, const Clearance& clearance,
                             const std::string& override_reason) {
  if (clearance.objections.empty() || !override_reason.empty()) return {};
  return Error{ErrorCode::kFailedPrecondition,
               "model version " + version.id + " does not pass the gate of task " +
                   version.manifest.task + ": " + clearance.objections +
                   "; give an override reason if it must serve"};
}

void NoteClearance(const Clearance& clearance, const std::string& override_reason,
                   AuditDraft* audit) {
  audit->details["gate"] = clearance.objections.empty() ? "pass" : "overridden";
  if (clearance.objections.empty()) return;
  audit->details["override_reason"] = override_reason;
  audit->details["failures"] = clearance.objections;
}

}  // namespace

Result<StoredModelVersion> ModelCatalog::Register(const Registration& registration) {
  if (const auto good = CheckFiles(registration.files); !good) return good.error();
  const auto task = tasks_.FindNewest(registration.task);
  if (!task) return task.error();
  if (!*task) return Error{ErrorCode::kNotFound, "no task " + registration.task.substr(0, 80)};

  auto manifest = packages_.Read(registration.files);
  if (!manifest) return manifest.error();
  if (const auto good = CheckBelongs(*manifest, registration, (*task)->spec); !good) {
    return good.error();
  }

  ModelVersion version;
  version.id = NewUuid();
  version.manifest = *std::move(manifest);
  version.manifest.run_id = registration.run_id;
  version.manifest.dataset_version_id = registration.dataset_version_id;
  version.files = registration.files;
  version.package_digest = hash_(DigestedBytes(registration.files)).Hex();
  version.registered_at = clock_.Now();
  version.registered_by = registration.actor;
  const AuditDraft audit{registration.actor,
                         "model.registered",
                         "model/" + version.id,
                         {{"task", registration.task},
                          {"run", registration.run_id},
                          {"package", version.package_digest}}};
  return models_.Register(version, audit);
}

Result<ModelCatalog::Candidate> ModelCatalog::Examine(const std::string& id) {
  const auto found = models_.Find(id);
  if (!found) return found.error();
  if (!*found) return Error{ErrorCode::kNotFound, "no model version " + id.substr(0, 80)};
  Candidate candidate{**found, std::nullopt, {}};
  const std::string& task_name = candidate.version.manifest.task;
  const auto task = tasks_.FindNewest(task_name);
  if (!task) return task.error();
  if (!*task) return Error{ErrorCode::kNotFound, "no task " + task_name};
  auto deployment = models_.FindDeployment(task_name);
  if (!deployment) return deployment.error();
  candidate.deployment = *std::move(deployment);
  const auto newest = reviews_.FindNewest(candidate.version.id);
  if (!newest) return newest.error();
  const auto sign_offs = reviews_.ListSignOffs(candidate.version.id);
  if (!sign_offs) return sign_offs.error();
  candidate.clearance = CheckClearance((*task)->spec, candidate.version.manifest.metrics, *newest,
                                       *sign_offs, candidate.deployment.has_value());
  return candidate;
}

Result<Promotion> ModelCatalog::Promote(const std::string& id, const std::string& actor,
                                        const std::string& override_reason) {
  auto candidate = Examine(id);
  if (!candidate) return candidate.error();
  const ModelVersion& version = candidate->version;
  Promotion promotion;
  promotion.criteria = candidate->clearance.criteria;
  if (candidate->deployment && candidate->deployment->production.id == version.id) {
    // A repeated call, also of what was once let through by an override.
    promotion.deployment = {*std::move(candidate->deployment), false};
    return promotion;
  }
  if (const auto may = CheckObjections(version, candidate->clearance, override_reason); !may) {
    return may.error();
  }

  AuditDraft audit{actor, "model.promoted", "model/" + id, {{"task", version.manifest.task}}};
  NoteClearance(candidate->clearance, override_reason, &audit);
  auto changed = models_.Promote(version, audit);
  if (!changed) return changed.error();
  promotion.deployment = *std::move(changed);
  return promotion;
}

Result<ChangedDeployment> ModelCatalog::SetRollout(const RolloutOrder& order) {
  const bool canary = order.stage == RolloutStage::kCanary;
  if (canary && !(order.share > 0 && order.share < 1)) {
    return Error{ErrorCode::kInvalidArgument, "a canary's share is above 0 and below 1"};
  }
  if (!canary && order.share != 0) {
    return Error{ErrorCode::kInvalidArgument, "a shadow has no share of the traffic"};
  }
  for (const auto& [name, text, limit] :
       {std::tuple{"actor", &order.actor, kMaxActorBytes},
        std::tuple{"reason", &order.reason, kMaxReasonBytes},
        std::tuple{"override_reason", &order.override_reason, kMaxReasonBytes}}) {
    if (const auto good = CheckText(name, *text, limit); !good) return good.error();
  }
  auto candidate = Examine(order.model_version_id);
  if (!candidate) return candidate.error();
  const ModelVersion& version = candidate->version;
  if (!candidate->deployment) {
    return Error{ErrorCode::kFailedPrecondition,
                 "nothing serves task " + version.manifest.task +
                     " yet: promote its first model, there is nothing to put a candidate beside"};
  }
  const auto& there = candidate->deployment->rollout;
  if (there && there->candidate.id == version.id && there->stage == order.stage &&
      there->share == order.share) {
    return ChangedDeployment{*std::move(candidate->deployment), false};
  }
  if (const auto may = CheckObjections(version, candidate->clearance, order.override_reason);
      !may) {
    return may.error();
  }

  AuditDraft audit{order.actor,
                   "model.rollout_set",
                   "model/" + version.id,
                   {{"task", version.manifest.task},
                    {"stage", std::string(StageName(order.stage))},
                    {"share", Shown(order.share)}}};
  if (!order.reason.empty()) audit.details["reason"] = order.reason;
  NoteClearance(candidate->clearance, order.override_reason, &audit);
  return models_.SetRollout(version, order.stage, order.share, order.reason, audit);
}

Result<ChangedDeployment> ModelCatalog::ClearRollout(const std::string& task,
                                                     const std::string& expected,
                                                     const std::string& actor,
                                                     const std::string& reason) {
  for (const auto& [name, text, limit] :
       {std::tuple{"task", &task, kMaxActorBytes}, std::tuple{"actor", &actor, kMaxActorBytes},
        std::tuple{"expected_model_version_id", &expected, kMaxActorBytes},
        std::tuple{"reason", &reason, kMaxReasonBytes}}) {
    if (const auto good = CheckText(name, *text, limit); !good) return good.error();
  }
  AuditDraft audit{actor, "model.rollout_cleared", "task/" + task, {{"task", task}}};
  if (!reason.empty()) audit.details["reason"] = reason;
  return models_.ClearRollout(task, expected, reason, audit);
}

Result<Deployment> ModelCatalog::RollBack(const std::string& task, const std::string& expected,
                                          const std::string& actor, const std::string& reason) {
  return models_.RollBack(
      task, expected, AuditDraft{actor, "model.rolled_back", "task/" + task, {{"reason", reason}}});
}

}  // namespace tidewheel::model_registry
