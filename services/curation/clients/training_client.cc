#include "tidewheel/curation/clients/training_client.h"

#include <utility>

#include "tidewheel/curation/clients/answer.h"
#include "tidewheel/rpc/client.h"
#include "tidewheel/rpc/time.h"
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

}  // namespace tidewheel::curation
