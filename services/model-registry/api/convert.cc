#include "tidewheel/model_registry/api/convert.h"

#include "tidewheel/rpc/page.h"
#include "tidewheel/rpc/time.h"

namespace tidewheel::model_registry {
namespace {

v1::ResizeMode ToProto(ResizeMode mode) {
  switch (mode) {
    case ResizeMode::kStretch:
      return v1::RESIZE_MODE_STRETCH;
    case ResizeMode::kFitPad:
      return v1::RESIZE_MODE_FIT_PAD;
  }
  return v1::RESIZE_MODE_UNSPECIFIED;
}

v1::ConsensusMethod ToProto(ConsensusMethod method) {
  switch (method) {
    case ConsensusMethod::kMajority:
      return v1::CONSENSUS_METHOD_MAJORITY;
    case ConsensusMethod::kDawidSkene:
      return v1::CONSENSUS_METHOD_DAWID_SKENE;
  }
  return v1::CONSENSUS_METHOD_UNSPECIFIED;
}

v1::PrimaryMetric ToProto(PrimaryMetric metric) {
  switch (metric) {
    case PrimaryMetric::kAccuracy:
      return v1::PRIMARY_METRIC_ACCURACY;
    case PrimaryMetric::kBalancedAccuracy:
      return v1::PRIMARY_METRIC_BALANCED_ACCURACY;
    case PrimaryMetric::kMacroF1:
      return v1::PRIMARY_METRIC_MACRO_F1;
  }
  return v1::PRIMARY_METRIC_UNSPECIFIED;
}

v1::Stage ToProto(Stage stage) {
  switch (stage) {
    case Stage::kRegistered:
      return v1::STAGE_REGISTERED;
    case Stage::kProduction:
      return v1::STAGE_PRODUCTION;
    case Stage::kRetired:
      return v1::STAGE_RETIRED;
  }
  return v1::STAGE_UNSPECIFIED;
}

v1::GateVerdict ToProto(GateVerdict verdict) {
  switch (verdict) {
    case GateVerdict::kPass:
      return v1::GATE_VERDICT_PASS;
    case GateVerdict::kFail:
      return v1::GATE_VERDICT_FAIL;
    case GateVerdict::kNotEvaluated:
      return v1::GATE_VERDICT_NOT_EVALUATED;
  }
  return v1::GATE_VERDICT_UNSPECIFIED;
}

void Fill(const Preprocessing& spec, v1::Preprocessing* out) {
  out->set_width(spec.width);
  out->set_height(spec.height);
  out->set_channels(spec.channels);
  out->set_resize(ToProto(spec.resize));
  out->mutable_mean()->Add(spec.mean.begin(), spec.mean.end());
  out->mutable_std()->Add(spec.std.begin(), spec.std.end());
}

void Fill(const QualityRules& rules, v1::QualityRules* out) {
  out->set_max_payload_bytes(rules.max_payload_bytes);
  out->set_max_pixels(rules.max_pixels);
  out->set_min_side(rules.min_side);
  out->set_max_side(rules.max_side);
  out->set_min_mean_luminance(rules.min_mean_luminance);
  out->set_max_mean_luminance(rules.max_mean_luminance);
  out->set_max_dark_share(rules.max_dark_share);
  out->set_max_bright_share(rules.max_bright_share);
  out->set_min_sharpness(rules.min_sharpness);
  out->set_near_duplicate_quarantine_distance(rules.near_duplicate_quarantine_distance);
  out->set_near_duplicate_group_distance(rules.near_duplicate_group_distance);
}

}  // namespace

v1::TaskSpec ToProto(const TaskSpec& spec) {
  v1::TaskSpec out;
  out.set_name(spec.name);
  out.set_description(spec.description);
  out.set_modality(v1::MODALITY_IMAGE);
  for (const auto& name : spec.classes) out.add_classes(name);
  Fill(spec.preprocessing, out.mutable_preprocessing());
  Fill(spec.quality, out.mutable_quality());
  out.mutable_splits()->set_validation_share(spec.splits.validation_share);
  out.mutable_splits()->set_test_share(spec.splits.test_share);
  out.mutable_splits()->set_seed(spec.splits.seed);
  out.mutable_splits()->set_metadata_key(spec.splits.metadata_key);
  out.mutable_labels()->set_method(ToProto(spec.labels.method));
  out.mutable_labels()->set_min_votes(spec.labels.min_votes);
  out.mutable_labels()->set_min_confidence(spec.labels.min_confidence);
  out.mutable_gate()->set_primary_metric(ToProto(spec.gate.primary_metric));
  out.mutable_gate()->set_min_primary_metric(spec.gate.min_primary_metric);
  out.mutable_gate()->set_min_class_recall(spec.gate.min_class_recall);
  out.mutable_monitoring()->set_window_predictions(spec.monitoring.window_predictions);
  return out;
}

v1::Task ToProto(const Task& task) {
  v1::Task out;
  *out.mutable_spec() = ToProto(task.spec);
  out.set_version(task.version);
  *out.mutable_applied_at() = rpc::ToProto(task.applied_at);
  out.set_applied_by(task.applied_by);
  out.set_digest(task.digest);
  out.set_yaml(task.yaml);
  return out;
}

v1::ModelVersion ToProto(const ModelVersion& version) {
  v1::ModelVersion out;
  out.set_model_version_id(version.id);
  out.set_task(version.manifest.task);
  out.set_version(version.version);
  out.set_stage(ToProto(version.stage));
  out.set_run_id(version.manifest.run_id);
  out.set_dataset_version_id(version.manifest.dataset_version_id);
  out.set_dataset_digest(version.manifest.dataset_digest);
  out.set_package_digest(version.package_digest);
  for (const auto& file : version.files) {
    auto* added = out.add_files();
    added->set_name(file.name);
    added->set_sha256(file.sha256);
    added->set_size_bytes(file.size_bytes);
    added->set_payload_ref(file.payload_ref);
  }
  out.set_recipe(version.manifest.recipe);
  out.set_seed(version.manifest.seed);
  out.set_code_version(version.manifest.code_version);
  out.set_code_clean(version.manifest.code_clean);
  for (const auto& name : version.manifest.classes) out.add_classes(name);
  out.mutable_metrics()->insert(version.manifest.metrics.begin(), version.manifest.metrics.end());
  *out.mutable_registered_at() = rpc::ToProto(version.registered_at);
  out.set_registered_by(version.registered_by);
  return out;
}

v1::Deployment ToProto(const Deployment& deployment) {
  v1::Deployment out;
  out.set_task(deployment.task);
  *out.mutable_production() = ToProto(deployment.production);
  out.set_revision(deployment.revision);
  *out.mutable_deployed_at() = rpc::ToProto(deployment.deployed_at);
  out.set_deployed_by(deployment.deployed_by);
  out.set_previous_model_version_id(deployment.previous_model_version_id);
  return out;
}

v1::GateCriterion ToProto(const GateCriterion& criterion) {
  v1::GateCriterion out;
  out.set_name(criterion.name);
  out.set_verdict(ToProto(criterion.verdict));
  out.set_reason(criterion.reason);
  return out;
}

v1::AuditEntry ToProto(const AuditEntry& entry) {
  v1::AuditEntry out;
  out.set_number(entry.number);
  *out.mutable_at() = rpc::ToProto(entry.at);
  out.set_actor(entry.actor);
  out.set_action(entry.action);
  out.set_subject(entry.subject);
  out.set_details(entry.details);
  out.set_previous_hash(entry.previous_hash);
  out.set_hash(entry.hash);
  return out;
}

Registration FromProto(const v1::RegisterModelVersionRequest& request) {
  Registration registration;
  registration.task = request.task();
  registration.run_id = request.run_id();
  registration.dataset_version_id = request.dataset_version_id();
  for (const auto& file : request.files()) {
    registration.files.push_back(
        {file.name(), file.sha256(), file.size_bytes(), file.payload_ref()});
  }
  registration.actor = request.actor();
  return registration;
}

Result<PageRequest> PageFromProto(std::int32_t size, const std::string& token) {
  const auto items = rpc::PageSize(size);
  if (!items) return items.error();
  return PageRequest{static_cast<std::size_t>(*items), token};
}

}  // namespace tidewheel::model_registry
