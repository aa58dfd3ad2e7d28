#include "tidewheel/curation/clients/training_client.h"

#include <cctype>
#include <utility>

#include "tidewheel/curation/clients/answer.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/time.h"
#include "tidewheel/training/v1/cycle_service.grpc.pb.h"
#include "tidewheel/training/v1/training_service.grpc.pb.h"

namespace tidewheel::curation {
namespace {

namespace training = ::tidewheel::training::v1;

constexpr char kCallee[] = "training";

std::string StateName(training::RunState state) {
  switch (state) {
    case training::RUN_STATE_QUEUED:
      return "queued";
    case training::RUN_STATE_RUNNING:
      return "running";
    case training::RUN_STATE_SUCCEEDED:
      return "succeeded";
    case training::RUN_STATE_FAILED:
      return "failed";
    case training::RUN_STATE_CANCELLED:
      return "cancelled";
    default:
      return {};
  }
}

/// "CYCLE_STATE_ROLLED_BACK" -> "rolled_back".
std::string WordOf(const std::string& name, const std::string& prefix) {
  std::string word = name.starts_with(prefix) ? name.substr(prefix.size()) : name;
  for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return word;
}

}  // namespace

TrainingClient::TrainingClient(std::shared_ptr<grpc::Channel> channel,
                               std::chrono::milliseconds call_limit)
    : channel_(std::move(channel)), call_limit_(call_limit) {}

Result<RunFacts> TrainingClient::FindRun(const std::string& id) {
  if (const auto known = CheckKnown(channel_, kCallee); !known) return known.error();
  rpc::ClientContextWithDeadline context(call_limit_);
  training::GetRunRequest request;
  request.set_run_id(id);
  training::GetRunResponse response;
  const auto answered = AnswerOf(
      training::TrainingService::NewStub(channel_)->GetRun(&context, request, &response), kCallee);
  if (!answered) return answered.error();

  const training::Run& run = response.run();
  RunFacts facts;
  facts.run_id = run.run_id();
  facts.task = run.task();
  facts.dataset_version_id = run.dataset_version_id();
  facts.dataset_digest = run.dataset_digest();
  facts.recipe = run.recipe();
  facts.seed = run.seed();
  facts.state = StateName(run.state());
  facts.code_version = run.code_version();
  facts.code_clean = run.code_clean();
  facts.build = run.build();
  facts.actor = run.actor();
  facts.attempt = run.attempt();
  for (const training::Evaluation& evaluation : run.evaluations()) {
    if (evaluation.split() != "test") continue;
    for (const training::Metric& metric : evaluation.metrics()) {
      facts.test_metrics.emplace(metric.name(), metric.value());
    }
  }
  if (const auto at = rpc::FromProto(run.queued_at())) facts.queued_at = *at;
  return facts;
}

Result<CycleFacts> TrainingClient::FindCycle(const std::string& id, std::size_t samples) {
  if (const auto known = CheckKnown(channel_, kCallee); !known) return known.error();
  const auto stub = training::CycleService::NewStub(channel_);
  training::GetCycleResponse found;
  {
    rpc::ClientContextWithDeadline context(call_limit_);
    training::GetCycleRequest request;
    request.set_cycle_id(id);
    const auto answered = AnswerOf(stub->GetCycle(&context, request, &found), kCallee);
    if (!answered) return answered.error();
  }
  training::ListCycleSamplesResponse chosen;
  {
    rpc::ClientContextWithDeadline context(call_limit_);
    training::ListCycleSamplesRequest request;
    request.set_cycle_id(id);
    request.set_page_size(static_cast<std::int32_t>(samples));
    const auto answered = AnswerOf(stub->ListCycleSamples(&context, request, &chosen), kCallee);
    if (!answered) return answered.error();
  }

  const training::Cycle& cycle = found.cycle();
  CycleFacts facts;
  facts.cycle_id = cycle.cycle_id();
  facts.task = cycle.task();
  facts.state = WordOf(training::CycleState_Name(cycle.state()), "CYCLE_STATE_");
  facts.reason = cycle.reason();
  facts.trigger = cycle.trigger();
  facts.alert_id = cycle.alert_id();
  facts.alert_cause = cycle.alert_cause();
  facts.actor = cycle.actor();
  facts.baseline_model_version_id = cycle.baseline_model_version_id();
  facts.dataset_version_id = cycle.dataset_version_id();
  facts.run_id = cycle.run_id();
  facts.candidate_model_version_id = cycle.candidate_model_version_id();
  facts.gate_evaluation_id = cycle.gate_evaluation_id();
  for (const auto& criterion : cycle.criteria()) {
    facts.criteria[criterion.name()] =
        WordOf(model_registry::v1::GateVerdict_Name(criterion.verdict()), "GATE_VERDICT_") + ": " +
        criterion.reason();
  }
  facts.labels = cycle.cost().labels();
  facts.cpu_seconds = cycle.cost().cpu_seconds();
  if (cycle.has_gain()) facts.gain = cycle.gain();
  facts.harmed_requests = cycle.harmed_requests();
  if (const auto at = rpc::FromProto(cycle.started_at())) facts.started_at = *at;
  for (const auto& sample : chosen.samples()) {
    facts.chosen.push_back({sample.sample_id(), sample.reason()});
  }
  for (const auto& [reason, count] : cycle.acquired()) facts.acquired += count;
  for (const auto& decision : cycle.decisions()) {
    const auto at = rpc::FromProto(decision.decided_at());
    facts.decisions.push_back(
        {at ? *at : Timestamp{}, decision.outcome(), decision.actor(), decision.reason()});
  }
  return facts;
}

}  // namespace tidewheel::curation
