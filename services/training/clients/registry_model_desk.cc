#include "tidewheel/training/clients/registry_model_desk.h"

#include <algorithm>

#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/status.h"
#include "tidewheel/rpc/time.h"

namespace tidewheel::training {
namespace {

namespace registry = model_registry::v1;

constexpr std::chrono::seconds kDeadline{10};
constexpr char kCallee[] = "model-registry";
constexpr std::int32_t kPage = 1'000;

PrimaryMetric MetricFrom(registry::PrimaryMetric metric) {
  switch (metric) {
    case registry::PRIMARY_METRIC_BALANCED_ACCURACY:
      return PrimaryMetric::kBalancedAccuracy;
    case registry::PRIMARY_METRIC_MACRO_F1:
      return PrimaryMetric::kMacroF1;
    default:
      return PrimaryMetric::kAccuracy;
  }
}

registry::GateVerdict ToProto(GateVerdict verdict) {
  switch (verdict) {
    case GateVerdict::kPass:
      return registry::GATE_VERDICT_PASS;
    case GateVerdict::kFail:
      return registry::GATE_VERDICT_FAIL;
    case GateVerdict::kInconclusive:
      return registry::GATE_VERDICT_INCONCLUSIVE;
    case GateVerdict::kNotEvaluated:
      break;
  }
  return registry::GATE_VERDICT_NOT_EVALUATED;
}

GateVerdict VerdictFrom(registry::GateVerdict verdict) {
  for (const auto known : {GateVerdict::kPass, GateVerdict::kFail, GateVerdict::kInconclusive}) {
    if (ToProto(known) == verdict) return known;
  }
  return GateVerdict::kNotEvaluated;
}

ModelFacts FactsFrom(const registry::ModelVersion& model) {
  ModelFacts facts{.model_version_id = model.model_version_id(),
                   .task = model.task(),
                   .run_id = model.run_id(),
                   .dataset_version_id = model.dataset_version_id(),
                   .files = {}};
  for (const auto& file : model.files()) facts.files.push_back({file.name(), file.payload_ref()});
  return facts;
}

CyclePolicy CycleFrom(const registry::CyclePolicy& declared) {
  CyclePolicy policy;
  policy.enabled = declared.enabled();
  policy.alert_causes = {declared.alert_causes().begin(), declared.alert_causes().end()};
  policy.min_damage = declared.min_damage();
  policy.new_labels = declared.new_labels();
  policy.schedule_hours = declared.schedule_hours();
  policy.cooldown_seconds = declared.cooldown_seconds();
  policy.max_labels = declared.max_labels();
  policy.max_cpu_seconds = declared.max_cpu_seconds();
  policy.max_labels_per_day = declared.max_labels_per_day();
  policy.max_cpu_seconds_per_day = declared.max_cpu_seconds_per_day();
  policy.votes_per_sample = std::max(declared.votes_per_sample(), 1U);
  policy.review_share = declared.review_share();
  policy.collect_seconds = declared.collect_seconds();
  policy.collect_samples = declared.collect_samples();
  policy.label_seconds = declared.label_seconds();
  policy.acquire_test = declared.acquire_test();
  policy.acquire_validation = declared.acquire_validation();
  policy.acquire_uncertain = declared.acquire_uncertain();
  policy.acquire_drifted = declared.acquire_drifted();
  policy.acquire_slice = declared.acquire_slice();
  policy.acquire_random = declared.acquire_random();
  policy.acquire_diverse = declared.acquire_diverse();
  if (!declared.recipe().empty()) policy.recipe = declared.recipe();
  policy.seed = declared.seed();
  policy.epochs = declared.epochs();
  policy.new_sample_weight = declared.new_sample_weight() > 0 ? declared.new_sample_weight() : 1;
  policy.sign_off_roles = {declared.sign_off_roles().begin(), declared.sign_off_roles().end()};
  const auto& rollout = declared.rollout();
  policy.rollout = {
      .shadow_predictions = rollout.shadow_predictions(),
      .max_shadow_disagreement = rollout.max_shadow_disagreement(),
      .canary_shares = {rollout.canary_shares().begin(), rollout.canary_shares().end()},
      .canary_predictions = rollout.canary_predictions(),
      .alpha = rollout.alpha(),
      .max_accuracy_loss = rollout.max_accuracy_loss(),
      .max_error_increase = rollout.max_error_increase(),
      .max_latency_ratio = rollout.max_latency_ratio(),
      .step_seconds = rollout.step_seconds()};
  return policy;
}

/// A call with its deadline and the callee's name before what it says.
template <typename Response, typename Request>
Result<Response> Ask(RegistryStub& stub,
                     grpc::Status (RegistryStub::*rpc)(grpc::ClientContext*, const Request&,
                                                       Response*),
                     const Request& request) {
  rpc::ClientContextWithDeadline context(kDeadline);
  Response response;
  const auto answered = rpc::FromGrpcStatus((stub.*rpc)(&context, request, &response), kCallee);
  if (!answered) return answered.error();
  return response;
}

Result<void> Done(const Error* error) { return error == nullptr ? Result<void>() : *error; }

}  // namespace

registry::GateCriterion ToProto(const GateCriterion& criterion) {
  registry::GateCriterion out;
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

std::vector<BehaviourTest> TestsFrom(const registry::GatePolicy& gate) {
  std::vector<BehaviourTest> tests;
  for (const auto& test : gate.tests()) {
    auto kind = BehaviourTest::Kind::kMinimumFunction;
    if (test.kind() == registry::MODEL_TEST_KIND_INVARIANCE) {
      kind = BehaviourTest::Kind::kInvariance;
    } else if (test.kind() == registry::MODEL_TEST_KIND_DIRECTION) {
      kind = BehaviourTest::Kind::kDirection;
    }
    tests.push_back({.name = test.name(),
                     .kind = kind,
                     .metadata_key = test.metadata_key(),
                     .metadata_value = test.metadata_value(),
                     .transform = test.transform(),
                     .amount = test.amount(),
                     .min_share = test.min_share()});
  }
  return tests;
}

Result<TaskPolicy> RegistryModelDesk::FindTask(const std::string& task, std::uint32_t version) {
  registry::GetTaskRequest request;
  request.set_name(task);
  request.set_version(version);
  const auto response = Ask(stub_, &RegistryStub::GetTask, request);
  if (!response) return response.error();
  const auto& spec = response->task().spec();
  TaskPolicy policy;
  policy.task = task;
  policy.version = response->task().version();
  policy.classes = {spec.classes().begin(), spec.classes().end()};
  policy.gate = {.classes = policy.classes,
                 .primary_metric = MetricFrom(spec.gate().primary_metric()),
                 .min_primary_metric = spec.gate().min_primary_metric(),
                 .min_class_recall = spec.gate().min_class_recall(),
                 .max_loss = spec.gate().max_loss(),
                 .alpha = spec.gate().alpha(),
                 .min_samples = spec.gate().min_samples(),
                 .require_better_on_new = spec.gate().require_better_on_new(),
                 .tests = TestsFrom(spec.gate())};
  policy.slice_keys = {spec.gate().slice_keys().begin(), spec.gate().slice_keys().end()};
  policy.cycle = CycleFrom(spec.cycle());
  // With a key, clients may name any split.
  const bool by_key = !spec.splits().metadata_key().empty();
  policy.has_test_split = by_key || spec.splits().test_share() > 0;
  policy.has_validation_split = by_key || spec.splits().validation_share() > 0;
  return policy;
}

Result<std::vector<std::string>> RegistryModelDesk::ListCycleTasks() {
  std::vector<std::string> names;
  registry::ListTasksRequest request;
  request.set_page_size(kPage);
  while (true) {
    const auto response = Ask(stub_, &RegistryStub::ListTasks, request);
    if (!response) return response.error();
    for (const auto& task : response->tasks()) {
      if (task.spec().cycle().enabled()) names.push_back(task.spec().name());
    }
    if (response->next_page_token().empty()) return names;
    request.set_page_token(response->next_page_token());
  }
}

Result<ServingFacts> RegistryModelDesk::FindServing(const std::string& task) {
  registry::ListDeploymentsRequest request;
  request.set_task(task);
  request.set_page_size(kPage);
  const auto response = Ask(stub_, &RegistryStub::ListDeployments, request);
  if (!response) return response.error();
  ServingFacts facts;
  for (const auto& deployment : response->deployments()) {
    if (deployment.task() != task) continue;
    if (deployment.has_production()) facts.production = FactsFrom(deployment.production());
    if (const auto at = rpc::FromProto(deployment.deployed_at())) facts.since = *at;
    facts.candidate_model_version_id = deployment.rollout().candidate().model_version_id();
  }
  return facts;
}

Result<ModelFacts> RegistryModelDesk::FindModelVersion(const std::string& id) {
  registry::GetModelVersionRequest request;
  request.set_model_version_id(id);
  const auto response = Ask(stub_, &RegistryStub::GetModelVersion, request);
  if (!response) return response.error();
  return FactsFrom(response->model_version());
}

Result<GateVerdict> RegistryModelDesk::RecordGate(const GateRecord& record) {
  registry::RecordGateEvaluationRequest request;
  auto& evaluation = *request.mutable_evaluation();
  evaluation.set_evaluation_id(record.evaluation_id);
  evaluation.set_model_version_id(record.model_version_id);
  evaluation.set_baseline_model_version_id(record.baseline_model_version_id);
  evaluation.set_dataset_version_id(record.dataset_version_id);
  evaluation.set_actor(record.actor);
  for (const auto& criterion : record.criteria) {
    *evaluation.add_criteria() = training::ToProto(criterion);
  }
  const auto response = Ask(stub_, &RegistryStub::RecordGateEvaluation, request);
  if (!response) return response.error();
  return VerdictFrom(response->evaluation().verdict());
}

Result<SignOffs> RegistryModelDesk::FindSignOffs(const std::string& model_version_id) {
  registry::ListSignOffsRequest request;
  request.set_model_version_id(model_version_id);
  const auto response = Ask(stub_, &RegistryStub::ListSignOffs, request);
  if (!response) return response.error();
  SignOffs signatures;
  signatures.missing_roles = {response->missing_roles().begin(), response->missing_roles().end()};
  for (const auto& record : response->records()) {
    if (record.approved()) continue;
    signatures.refused_by = record.role() + " (" + record.actor() +
                            (record.reason().empty() ? "" : ": " + record.reason()) + ")";
  }
  return signatures;
}

Result<void> RegistryModelDesk::SetRollout(const RolloutWish& wish) {
  registry::SetRolloutRequest request;
  request.set_model_version_id(wish.model_version_id);
  request.set_stage(wish.stage);
  request.set_share(wish.share);
  request.set_actor(wish.actor);
  request.set_reason(wish.reason);
  request.set_override_reason(wish.override_reason);
  const auto response = Ask(stub_, &RegistryStub::SetRollout, request);
  return Done(response ? nullptr : &response.error());
}

Result<void> RegistryModelDesk::ClearRollout(const std::string& task,
                                             const std::string& model_version_id,
                                             const std::string& actor, const std::string& reason) {
  registry::ClearRolloutRequest request;
  request.set_task(task);
  request.set_actor(actor);
  request.set_reason(reason);
  request.set_expected_model_version_id(model_version_id);
  const auto response = Ask(stub_, &RegistryStub::ClearRollout, request);
  return Done(response ? nullptr : &response.error());
}

Result<void> RegistryModelDesk::Promote(const std::string& model_version_id,
                                        const std::string& actor,
                                        const std::string& override_reason) {
  registry::PromoteModelVersionRequest request;
  request.set_model_version_id(model_version_id);
  request.set_actor(actor);
  request.set_override_reason(override_reason);
  const auto response = Ask(stub_, &RegistryStub::PromoteModelVersion, request);
  return Done(response ? nullptr : &response.error());
}

}  // namespace tidewheel::training
