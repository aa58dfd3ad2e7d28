#include "tidewheel/model_registry/domain/model_catalog.h"

#include <algorithm>
#include <set>

#include "tidewheel/base/ids.h"

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

Result<Promotion> ModelCatalog::Promote(const std::string& id, const std::string& actor,
                                        const std::string& override_reason) {
  const auto found = models_.Find(id);
  if (!found) return found.error();
  if (!*found) return Error{ErrorCode::kNotFound, "no model version " + id.substr(0, 80)};
  const ModelVersion& version = **found;
  const auto task = tasks_.FindNewest(version.manifest.task);
  if (!task) return task.error();
  if (!*task) return Error{ErrorCode::kNotFound, "no task " + version.manifest.task};

  Promotion promotion;
  promotion.criteria = EvaluateGate((*task)->spec, version.manifest.metrics);
  const bool passed = Passed(promotion.criteria);
  if (!passed && override_reason.empty()) {
    return Error{ErrorCode::kFailedPrecondition,
                 "model version " + id + " does not pass the gate of task " +
                     version.manifest.task + ": " + DescribeFailures(promotion.criteria) +
                     "; promote it with an override reason if it must serve"};
  }

  AuditDraft audit{actor,
                   "model.promoted",
                   "model/" + id,
                   {{"task", version.manifest.task}, {"gate", passed ? "pass" : "overridden"}}};
  if (!passed) {
    audit.details["override_reason"] = override_reason;
    audit.details["failures"] = DescribeFailures(promotion.criteria);
  }
  auto changed = models_.Promote(version, audit);
  if (!changed) return changed.error();
  promotion.deployment = *std::move(changed);
  return promotion;
}

Result<Deployment> ModelCatalog::RollBack(const std::string& task, const std::string& expected,
                                          const std::string& actor, const std::string& reason) {
  return models_.RollBack(
      task, expected, AuditDraft{actor, "model.rolled_back", "task/" + task, {{"reason", reason}}});
}

}  // namespace tidewheel::model_registry
