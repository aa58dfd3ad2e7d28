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
    case GateVerdict::kInconclusive:
      return v1::GATE_VERDICT_INCONCLUSIVE;
  }
  return v1::GATE_VERDICT_UNSPECIFIED;
}

v1::ModelTestKind ToProto(ModelTestKind kind) {
  switch (kind) {
    case ModelTestKind::kMinimumFunction:
      return v1::MODEL_TEST_KIND_MINIMUM_FUNCTION;
    case ModelTestKind::kInvariance:
      return v1::MODEL_TEST_KIND_INVARIANCE;
    case ModelTestKind::kDirection:
      return v1::MODEL_TEST_KIND_DIRECTION;
  }
  return v1::MODEL_TEST_KIND_UNSPECIFIED;
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

void Fill(const GatePolicy& policy, v1::GatePolicy* out) {
  out->set_primary_metric(ToProto(policy.primary_metric));
  out->set_min_primary_metric(policy.min_primary_metric);
  out->set_min_class_recall(policy.min_class_recall);
  out->set_max_loss(policy.max_loss);
  out->set_alpha(policy.alpha);
  out->set_min_samples(policy.min_samples);
  out->set_require_better_on_new(policy.require_better_on_new);
  out->mutable_slice_keys()->Add(policy.slice_keys.begin(), policy.slice_keys.end());
  for (const auto& test : policy.tests) {
    auto* added = out->add_tests();
    added->set_name(test.name);
    added->set_kind(ToProto(test.kind));
    added->set_metadata_key(test.metadata_key);
    added->set_metadata_value(test.metadata_value);
    added->set_transform(test.transform);
    added->set_amount(test.amount);
    added->set_min_share(test.min_share);
  }
}

void Fill(const MonitoringPolicy& policy, v1::MonitoringPolicy* out) {
  out->set_window_predictions(policy.window_predictions);
  out->set_window_seconds(policy.window_seconds);
  out->set_lateness_seconds(policy.lateness_seconds);
  out->set_max_false_alarms(policy.max_false_alarms);
  out->set_false_alarm_days(policy.false_alarm_days);
  out->set_predictions_per_day(policy.predictions_per_day);
  out->mutable_slice_keys()->Add(policy.slice_keys.begin(), policy.slice_keys.end());
  out->set_silence_seconds(policy.silence_seconds);
  out->mutable_webhooks()->Add(policy.webhooks.begin(), policy.webhooks.end());
}

void Fill(const CapturePolicy& policy, v1::CapturePolicy* out) {
  out->set_random_share(policy.random_share);
  out->set_uncertain_below(policy.uncertain_below);
  out->set_out_of_distribution_quantile(policy.out_of_distribution_quantile);
  out->set_max_per_minute(policy.max_per_minute);
}

void Fill(const RolloutPolicy& policy, v1::RolloutPolicy* out) {
  out->set_shadow_predictions(policy.shadow_predictions);
  out->set_max_shadow_disagreement(policy.max_shadow_disagreement);
  out->mutable_canary_shares()->Add(policy.canary_shares.begin(), policy.canary_shares.end());
  out->set_canary_predictions(policy.canary_predictions);
  out->set_alpha(policy.alpha);
  out->set_max_accuracy_loss(policy.max_accuracy_loss);
  out->set_max_error_increase(policy.max_error_increase);
  out->set_max_latency_ratio(policy.max_latency_ratio);
  out->set_step_seconds(policy.step_seconds);
}

void Fill(const CyclePolicy& policy, v1::CyclePolicy* out) {
  out->set_enabled(policy.enabled);
  out->mutable_alert_causes()->Add(policy.alert_causes.begin(), policy.alert_causes.end());
  out->set_min_damage(policy.min_damage);
  out->set_new_labels(policy.new_labels);
  out->set_schedule_hours(policy.schedule_hours);
  out->set_cooldown_seconds(policy.cooldown_seconds);
  out->set_max_labels(policy.max_labels);
  out->set_max_cpu_seconds(policy.max_cpu_seconds);
  out->set_max_labels_per_day(policy.max_labels_per_day);
  out->set_max_cpu_seconds_per_day(policy.max_cpu_seconds_per_day);
  out->set_votes_per_sample(policy.votes_per_sample);
  out->set_review_share(policy.review_share);
  out->set_collect_seconds(policy.collect_seconds);
  out->set_collect_samples(policy.collect_samples);
  out->set_label_seconds(policy.label_seconds);
  out->set_acquire_test(policy.acquire_test);
  out->set_acquire_validation(policy.acquire_validation);
  out->set_acquire_uncertain(policy.acquire_uncertain);
  out->set_acquire_drifted(policy.acquire_drifted);
  out->set_acquire_slice(policy.acquire_slice);
  out->set_acquire_random(policy.acquire_random);
  out->set_acquire_diverse(policy.acquire_diverse);
  out->set_recipe(policy.recipe);
  out->set_seed(policy.seed);
  out->set_epochs(policy.epochs);
  out->set_new_sample_weight(policy.new_sample_weight);
  out->mutable_sign_off_roles()->Add(policy.sign_off_roles.begin(), policy.sign_off_roles.end());
  Fill(policy.rollout, out->mutable_rollout());
}

Result<GateVerdict> FromProto(v1::GateVerdict verdict, const std::string& name) {
  switch (verdict) {
    case v1::GATE_VERDICT_PASS:
      return GateVerdict::kPass;
    case v1::GATE_VERDICT_FAIL:
      return GateVerdict::kFail;
    case v1::GATE_VERDICT_NOT_EVALUATED:
      return GateVerdict::kNotEvaluated;
    case v1::GATE_VERDICT_INCONCLUSIVE:
      return GateVerdict::kInconclusive;
    default:
      return Error{ErrorCode::kInvalidArgument,
                   "criterion " + name.substr(0, 80) + " has no verdict"};
  }
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
  Fill(spec.gate, out.mutable_gate());
  Fill(spec.monitoring, out.mutable_monitoring());
  Fill(spec.capture, out.mutable_capture());
  Fill(spec.cycle, out.mutable_cycle());
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
  if (deployment.rollout) {
    const Rollout& rollout = *deployment.rollout;
    auto* added = out.mutable_rollout();
    *added->mutable_candidate() = ToProto(rollout.candidate);
    added->set_stage(std::string(StageName(rollout.stage)));
    added->set_share(rollout.share);
    *added->mutable_since() = rpc::ToProto(rollout.since);
    added->set_by(rollout.by);
    added->set_reason(rollout.reason);
  }
  Fill(deployment.capture, out.mutable_capture());
  Fill(deployment.quality, out.mutable_quality());
  return out;
}

v1::GateCriterion ToProto(const GateCriterion& criterion) {
  v1::GateCriterion out;
  out.set_name(criterion.name);
  out.set_verdict(ToProto(criterion.verdict));
  out.set_reason(criterion.reason);
  if (criterion.difference) out.set_difference(*criterion.difference);
  if (criterion.low) out.set_low(*criterion.low);
  if (criterion.high) out.set_high(*criterion.high);
  out.set_samples(criterion.samples);
  if (criterion.p_value) out.set_p_value(*criterion.p_value);
  return out;
}

v1::GateEvaluation ToProto(const GateEvaluation& evaluation) {
  v1::GateEvaluation out;
  out.set_evaluation_id(evaluation.evaluation_id);
  out.set_model_version_id(evaluation.model_version_id);
  out.set_baseline_model_version_id(evaluation.baseline_model_version_id);
  out.set_dataset_version_id(evaluation.dataset_version_id);
  for (const auto& criterion : evaluation.criteria) *out.add_criteria() = ToProto(criterion);
  out.set_verdict(ToProto(evaluation.verdict));
  *out.mutable_evaluated_at() = rpc::ToProto(evaluation.evaluated_at);
  out.set_actor(evaluation.actor);
  return out;
}

v1::SignOffRecord ToProto(const SignOffRecord& record) {
  v1::SignOffRecord out;
  out.set_model_version_id(record.model_version_id);
  out.set_role(record.role);
  out.set_actor(record.actor);
  out.set_approved(record.approved);
  out.set_reason(record.reason);
  *out.mutable_signed_at() = rpc::ToProto(record.signed_at);
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

Result<GateEvaluation> FromProto(const v1::GateEvaluation& evaluation) {
  GateEvaluation out;
  out.evaluation_id = evaluation.evaluation_id();
  out.model_version_id = evaluation.model_version_id();
  out.baseline_model_version_id = evaluation.baseline_model_version_id();
  out.dataset_version_id = evaluation.dataset_version_id();
  for (const auto& criterion : evaluation.criteria()) {
    const auto verdict = FromProto(criterion.verdict(), criterion.name());
    if (!verdict) return verdict.error();
    GateCriterion added;
    added.name = criterion.name();
    added.verdict = *verdict;
    added.reason = criterion.reason();
    if (criterion.has_difference()) added.difference = criterion.difference();
    if (criterion.has_low()) added.low = criterion.low();
    if (criterion.has_high()) added.high = criterion.high();
    added.samples = criterion.samples();
    if (criterion.has_p_value()) added.p_value = criterion.p_value();
    out.criteria.push_back(std::move(added));
  }
  out.actor = evaluation.actor();
  return out;
}

SignOffRecord FromProto(const v1::SignOffRequest& request) {
  SignOffRecord record;
  record.model_version_id = request.model_version_id();
  record.role = request.role();
  record.actor = request.actor();
  record.approved = request.approved();
  record.reason = request.reason();
  return record;
}

Result<RolloutOrder> FromProto(const v1::SetRolloutRequest& request) {
  RolloutOrder order;
  order.model_version_id = request.model_version_id();
  if (request.stage() == StageName(RolloutStage::kCanary)) {
    order.stage = RolloutStage::kCanary;
  } else if (request.stage() != StageName(RolloutStage::kShadow)) {
    return Error{ErrorCode::kInvalidArgument, "stage is \"shadow\" or \"canary\", not \"" +
                                                  request.stage().substr(0, 80) + "\""};
  }
  order.share = request.share();
  order.actor = request.actor();
  order.reason = request.reason();
  order.override_reason = request.override_reason();
  return order;
}

Result<PageRequest> PageFromProto(std::int32_t size, const std::string& token) {
  const auto items = rpc::PageSize(size);
  if (!items) return items.error();
  return PageRequest{static_cast<std::size_t>(*items), token};
}

}  // namespace tidewheel::model_registry
