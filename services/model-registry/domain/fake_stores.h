#pragma once

#include <map>
#include <string>
#include <vector>

#include "tidewheel/model_registry/domain/model_store.h"
#include "tidewheel/model_registry/domain/review_store.h"
#include "tidewheel/model_registry/domain/task_store.h"

namespace tidewheel::model_registry {

/// Tasks in memory, for tests. Not thread-safe.
class FakeTaskStore final : public TaskStore {
 public:
  Result<void> Append(const Task& task, const AuditDraft& audit) override {
    auto& versions = tasks_[task.spec.name];
    if (task.version != versions.size() + 1) return Error{ErrorCode::kAborted, "version is taken"};
    versions.push_back(task);
    audits.push_back(audit);
    return {};
  }
  Result<std::optional<Task>> FindNewest(const std::string& name) override {
    const auto found = tasks_.find(name);
    if (found == tasks_.end()) return std::optional<Task>();
    return std::optional<Task>(found->second.back());
  }
  Result<std::optional<Task>> FindVersion(const std::string& name, std::uint32_t version) override {
    const auto found = tasks_.find(name);
    if (found == tasks_.end() || version > found->second.size()) return std::optional<Task>();
    return std::optional<Task>(found->second[version - 1]);
  }
  Result<Page<Task>> List(const PageRequest& /*page*/) override {
    Page<Task> page;
    for (const auto& [name, versions] : tasks_) page.items.push_back(versions.back());
    return page;
  }

  std::vector<AuditDraft> audits;

 private:
  std::map<std::string, std::vector<Task>> tasks_;
};

/// Models in memory, for tests. Not thread-safe.
class FakeModelStore final : public ModelStore {
 public:
  Result<StoredModelVersion> Register(const ModelVersion& version,
                                      const AuditDraft& audit) override {
    for (const auto& known : versions) {
      const bool same = version.manifest.run_id.empty()
                            ? known.package_digest == version.package_digest
                            : known.manifest.run_id == version.manifest.run_id;
      if (same) return StoredModelVersion{known, false};
    }
    ModelVersion stored = version;
    stored.version = static_cast<std::uint32_t>(versions.size() + 1);
    versions.push_back(stored);
    audits.push_back(audit);
    return StoredModelVersion{stored, true};
  }
  Result<std::optional<ModelVersion>> Find(const std::string& id) override {
    for (const auto& known : versions) {
      if (known.id == id) return std::optional<ModelVersion>(known);
    }
    return std::optional<ModelVersion>();
  }
  Result<std::optional<ModelVersion>> FindByNumber(const std::string& /*task*/,
                                                   std::uint32_t version) override {
    if (version == 0 || version > versions.size()) return std::optional<ModelVersion>();
    return std::optional<ModelVersion>(versions[version - 1]);
  }
  Result<std::optional<ModelVersion>> FindByRun(const std::string& run_id) override {
    for (const auto& known : versions) {
      if (known.manifest.run_id == run_id) return std::optional<ModelVersion>(known);
    }
    return std::optional<ModelVersion>();
  }
  Result<Page<ModelVersion>> List(const std::string& /*task*/,
                                  const PageRequest& /*page*/) override {
    return Page<ModelVersion>{versions, ""};
  }
  Result<std::optional<Deployment>> FindDeployment(const std::string& /*task*/) override {
    if (deployment.production.id.empty()) return std::optional<Deployment>();
    return std::optional<Deployment>(deployment);
  }
  Result<ChangedDeployment> SetRollout(const ModelVersion& candidate, RolloutStage stage,
                                       double share, const std::string& reason,
                                       const AuditDraft& audit) override {
    if (deployment.production.id == candidate.id) {
      return Error{ErrorCode::kFailedPrecondition, "serves already"};
    }
    deployment.rollout = Rollout{candidate, stage, share, {}, audit.actor, reason};
    ++deployment.revision;
    audits.push_back(audit);
    return ChangedDeployment{deployment, true};
  }
  Result<ChangedDeployment> ClearRollout(const std::string& /*task*/, const std::string& expected,
                                         const std::string& /*reason*/,
                                         const AuditDraft& audit) override {
    if (!deployment.rollout ||
        (!expected.empty() && deployment.rollout->candidate.id != expected)) {
      return ChangedDeployment{deployment, false};
    }
    deployment.rollout.reset();
    ++deployment.revision;
    audits.push_back(audit);
    return ChangedDeployment{deployment, true};
  }
  Result<ChangedDeployment> Promote(const ModelVersion& version, const AuditDraft& audit) override {
    if (deployment.production.id == version.id) return ChangedDeployment{deployment, false};
    deployment.previous_model_version_id = deployment.production.id;
    deployment.production = version;
    if (deployment.rollout && deployment.rollout->candidate.id == version.id) {
      deployment.rollout.reset();
    }
    ++deployment.revision;
    audits.push_back(audit);
    return ChangedDeployment{deployment, true};
  }
  Result<Deployment> RollBack(const std::string& /*task*/, const std::string& /*expected*/,
                              const AuditDraft& audit) override {
    audits.push_back(audit);
    return deployment;
  }
  Result<DeploymentPage> ListDeployments(const std::string& /*task*/,
                                         const PageRequest& /*page*/) override {
    return DeploymentPage{{{deployment}, ""}, deployment.revision};
  }

  std::vector<ModelVersion> versions;
  Deployment deployment;
  std::vector<AuditDraft> audits;
};

/// Evaluations and signatures in memory, for tests. Not thread-safe.
class FakeReviewStore final : public ReviewStore {
 public:
  Result<StoredEvaluation> Append(const GateEvaluation& evaluation,
                                  const AuditDraft& audit) override {
    for (const auto& known : evaluations) {
      if (known.evaluation_id == evaluation.evaluation_id) return StoredEvaluation{known, false};
    }
    evaluations.push_back(evaluation);
    audits.push_back(audit);
    return StoredEvaluation{evaluation, true};
  }
  Result<std::optional<GateEvaluation>> FindNewest(const std::string& model_version_id) override {
    for (auto known = evaluations.rbegin(); known != evaluations.rend(); ++known) {
      if (known->model_version_id == model_version_id) return std::optional<GateEvaluation>(*known);
    }
    return std::optional<GateEvaluation>();
  }
  Result<Page<GateEvaluation>> ListEvaluations(const std::string& model_version_id,
                                               const PageRequest& /*page*/) override {
    Page<GateEvaluation> page;
    for (auto known = evaluations.rbegin(); known != evaluations.rend(); ++known) {
      if (known->model_version_id == model_version_id) page.items.push_back(*known);
    }
    return page;
  }
  Result<StoredSignOff> Append(const SignOffRecord& record, const AuditDraft& audit) override {
    for (const auto& known : sign_offs) {
      if (known.model_version_id == record.model_version_id && known.role == record.role) {
        return StoredSignOff{known, false};
      }
    }
    sign_offs.push_back(record);
    audits.push_back(audit);
    return StoredSignOff{record, true};
  }
  Result<std::vector<SignOffRecord>> ListSignOffs(const std::string& model_version_id) override {
    std::vector<SignOffRecord> found;
    for (const auto& known : sign_offs) {
      if (known.model_version_id == model_version_id) found.push_back(known);
    }
    return found;
  }

  std::vector<GateEvaluation> evaluations;
  std::vector<SignOffRecord> sign_offs;
  std::vector<AuditDraft> audits;
};

/// A spec that breaks no rule.
inline TaskSpec GoodSpec() {
  TaskSpec spec;
  spec.name = "traffic-lights";
  spec.classes = {"red", "yellow", "green"};
  spec.preprocessing.mean = {0.5, 0.5, 0.5};
  spec.preprocessing.std = {0.5, 0.5, 0.5};
  return spec;
}

}  // namespace tidewheel::model_registry
