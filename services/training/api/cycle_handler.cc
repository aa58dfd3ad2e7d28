#include "tidewheel/training/api/cycle_handler.h"

#include <array>

#include "tidewheel/base/worker.h"
#include "tidewheel/rpc/page.h"
#include "tidewheel/rpc/status.h"
#include "tidewheel/rpc/time.h"
#include "tidewheel/training/clients/registry_model_desk.h"

namespace tidewheel::training {
namespace {

constexpr std::chrono::milliseconds kWatchInterval{300};
constexpr std::chrono::milliseconds kCancelLook{50};

constexpr std::array kStates{
    std::pair{CycleState::kTriggered, v1::CYCLE_STATE_TRIGGERED},
    std::pair{CycleState::kCollecting, v1::CYCLE_STATE_COLLECTING},
    std::pair{CycleState::kLabeling, v1::CYCLE_STATE_LABELING},
    std::pair{CycleState::kBuilding, v1::CYCLE_STATE_BUILDING},
    std::pair{CycleState::kTraining, v1::CYCLE_STATE_TRAINING},
    std::pair{CycleState::kGating, v1::CYCLE_STATE_GATING},
    std::pair{CycleState::kAwaitingSignOff, v1::CYCLE_STATE_AWAITING_SIGN_OFF},
    std::pair{CycleState::kShadow, v1::CYCLE_STATE_SHADOW},
    std::pair{CycleState::kCanary, v1::CYCLE_STATE_CANARY},
    std::pair{CycleState::kPromoted, v1::CYCLE_STATE_PROMOTED},
    std::pair{CycleState::kRejected, v1::CYCLE_STATE_REJECTED},
    std::pair{CycleState::kRolledBack, v1::CYCLE_STATE_ROLLED_BACK},
    std::pair{CycleState::kCancelled, v1::CYCLE_STATE_CANCELLED},
    std::pair{CycleState::kFailed, v1::CYCLE_STATE_FAILED}};

v1::CycleState StateToProto(CycleState state) {
  for (const auto& [known, proto] : kStates) {
    if (known == state) return proto;
  }
  return v1::CYCLE_STATE_UNSPECIFIED;
}

std::optional<CycleState> StateFromProto(v1::CycleState state) {
  for (const auto& [known, proto] : kStates) {
    if (proto == state) return known;
  }
  return std::nullopt;
}

v1::Decision DecisionToProto(const Decision& decision) {
  v1::Decision out;
  out.set_decision_id(decision.id);
  out.set_task(decision.task);
  *out.mutable_decided_at() = rpc::ToProto(decision.decided_at);
  out.set_trigger(decision.trigger);
  out.set_alert_id(decision.alert_id);
  out.set_outcome(std::string(Name(decision.outcome)));
  out.set_because(decision.because);
  out.set_reason(decision.reason);
  out.set_cycle_id(decision.cycle_id);
  out.set_actor(decision.actor);
  return out;
}

Result<PageRequest> PageFromProto(std::int32_t size, const std::string& token) {
  const auto items = rpc::PageSize(size);
  if (!items) return items.error();
  return PageRequest{static_cast<std::size_t>(*items), token};
}

}  // namespace

v1::Cycle CycleHandler::ToProto(const Cycle& cycle) const {
  v1::Cycle out;
  out.set_cycle_id(cycle.id);
  out.set_task(cycle.task);
  out.set_state(StateToProto(cycle.state));
  out.set_reason(cycle.reason);
  out.set_paused(cycle.paused);
  out.set_trigger(cycle.trigger.kind);
  out.set_alert_id(cycle.trigger.alert_id);
  out.set_alert_cause(cycle.trigger.alert_cause);
  out.set_baseline_model_version_id(cycle.baseline_model_version_id);
  out.set_previous_dataset_version_id(cycle.previous_dataset_version_id);
  out.set_batch_id(cycle.batch_id);
  out.set_dataset_version_id(cycle.dataset_version_id);
  out.set_run_id(cycle.run_id);
  out.set_candidate_model_version_id(cycle.candidate_model_version_id);
  out.set_gate_evaluation_id(cycle.gate_evaluation_id);
  for (const auto& criterion : cycle.criteria) {
    *out.add_criteria() = training::ToProto(criterion);
  }
  out.mutable_cost()->set_labels(cycle.labels);
  out.mutable_cost()->set_cpu_seconds(cycle.cpu_seconds);
  const Timestamp until = cycle.ended_at ? *cycle.ended_at : clock_.Now();
  out.mutable_cost()->set_wall_seconds(
      std::chrono::duration<double>(until - cycle.started_at).count());
  *out.mutable_started_at() = rpc::ToProto(cycle.started_at);
  if (cycle.ended_at) *out.mutable_ended_at() = rpc::ToProto(*cycle.ended_at);
  for (const auto& step : cycle.steps) {
    auto* added = out.add_steps();
    added->set_state(StateToProto(step.state));
    *added->mutable_entered_at() = rpc::ToProto(step.entered_at);
    if (step.left_at) *added->mutable_left_at() = rpc::ToProto(*step.left_at);
    added->set_result(step.result);
    added->mutable_details()->insert(step.details.begin(), step.details.end());
  }
  out.mutable_acquired()->insert(cycle.acquired.begin(), cycle.acquired.end());
  if (cycle.gain) out.set_gain(*cycle.gain);
  if (cycle.gain_low) out.set_gain_low(*cycle.gain_low);
  if (cycle.gain_high) out.set_gain_high(*cycle.gain_high);
  out.set_actor(cycle.actor);
  if (cycle.failed_in) out.set_failed_in(StateToProto(*cycle.failed_in));
  out.set_harmed_requests(cycle.harmed_requests);
  for (const auto& decision : cycle.decisions) *out.add_decisions() = DecisionToProto(decision);
  return out;
}

Result<Cycle> CycleHandler::Find(const std::string& id) {
  auto cycle = store_.Find(id);
  if (!cycle) return cycle.error();
  if (!*cycle) return Error{ErrorCode::kNotFound, "no cycle " + id.substr(0, 80)};
  return **std::move(cycle);
}

grpc::Status CycleHandler::StartCycle(grpc::ServerContext* /*context*/,
                                      const v1::StartCycleRequest* request,
                                      v1::StartCycleResponse* response) {
  const auto started =
      starter_.StartByHand({.request_id = request->request_id(),
                            .task = request->task(),
                            .actor = request->actor(),
                            .reason = request->reason(),
                            .with_labels_at_hand = request->with_labels_at_hand(),
                            .candidate_model_version_id = request->candidate_model_version_id(),
                            .override_reason = request->override_reason()});
  if (!started) return rpc::ToGrpcStatus(started.error());

  *response->mutable_cycle() = ToProto(started->cycle);
  response->set_created(started->created);
  return grpc::Status::OK;
}

grpc::Status CycleHandler::GetCycle(grpc::ServerContext* /*context*/,
                                    const v1::GetCycleRequest* request,
                                    v1::GetCycleResponse* response) {
  const auto cycle = Find(request->cycle_id());
  if (!cycle) return rpc::ToGrpcStatus(cycle.error());

  *response->mutable_cycle() = ToProto(*cycle);
  return grpc::Status::OK;
}

grpc::Status CycleHandler::ListCycles(grpc::ServerContext* /*context*/,
                                      const v1::ListCyclesRequest* request,
                                      v1::ListCyclesResponse* response) {
  const auto page = PageFromProto(request->page_size(), request->page_token());
  if (!page) return rpc::ToGrpcStatus(page.error());

  const auto cycles = store_.List(request->task(), StateFromProto(request->state()), *page);
  if (!cycles) return rpc::ToGrpcStatus(cycles.error());

  for (const auto& cycle : cycles->items) *response->add_cycles() = ToProto(cycle);
  response->set_next_page_token(cycles->next_token);
  return grpc::Status::OK;
}

grpc::Status CycleHandler::WatchCycle(grpc::ServerContext* context,
                                      const v1::WatchCycleRequest* request,
                                      grpc::ServerWriter<v1::WatchCycleResponse>* writer) {
  std::string sent;
  Pause pause;
  do {
    const auto cycle = Find(request->cycle_id());
    // The watcher outlasts a database that is away for a moment.
    if (!cycle && !IsTransient(cycle.error().code)) return rpc::ToGrpcStatus(cycle.error());
    if (!cycle) continue;
    v1::WatchCycleResponse response;
    *response.mutable_cycle() = ToProto(*cycle);
    v1::Cycle compared = response.cycle();
    compared.mutable_cost()->clear_wall_seconds();  // Passes without a change.
    std::string bytes = compared.SerializeAsString();
    if (bytes != sent && !writer->Write(response)) return grpc::Status::CANCELLED;
    sent = std::move(bytes);
    if (HasEnded(cycle->state)) return grpc::Status::OK;
  } while (pause.Wait({}, kWatchInterval) && !context->IsCancelled());
  return grpc::Status::CANCELLED;
}

grpc::Status CycleHandler::CancelCycle(grpc::ServerContext* context,
                                       const v1::CancelCycleRequest* request,
                                       v1::CancelCycleResponse* response) {
  const CycleAsk ask{request->actor(), request->reason(), clock_.Now()};
  if (const auto checked = CheckAsk(ask); !checked) return rpc::ToGrpcStatus(checked.error());
  auto cycle = store_.RequestCancel(request->cycle_id(), ask);
  const auto deadline = std::chrono::steady_clock::now() + cancel_wait_;
  Pause pause;
  while (cycle && !HasEnded(cycle->state) && std::chrono::steady_clock::now() < deadline &&
         !context->IsCancelled()) {
    pause.Wait({}, kCancelLook);
    cycle = Find(request->cycle_id());
  }
  if (!cycle) return rpc::ToGrpcStatus(cycle.error());

  *response->mutable_cycle() = ToProto(*cycle);
  return grpc::Status::OK;
}

grpc::Status CycleHandler::PauseCycle(grpc::ServerContext* /*context*/,
                                      const v1::PauseCycleRequest* request,
                                      v1::PauseCycleResponse* response) {
  const CycleAsk ask{request->actor(), request->reason(), clock_.Now()};
  if (const auto checked = CheckAsk(ask); !checked) return rpc::ToGrpcStatus(checked.error());
  const auto cycle = store_.Pause(request->cycle_id(), ask);
  if (!cycle) return rpc::ToGrpcStatus(cycle.error());

  *response->mutable_cycle() = ToProto(*cycle);
  return grpc::Status::OK;
}

grpc::Status CycleHandler::ResumeCycle(grpc::ServerContext* /*context*/,
                                       const v1::ResumeCycleRequest* request,
                                       v1::ResumeCycleResponse* response) {
  const CycleAsk ask{request->actor(), request->reason(), clock_.Now()};
  if (const auto checked = CheckAsk(ask); !checked) return rpc::ToGrpcStatus(checked.error());
  const auto cycle = store_.Resume(request->cycle_id(), ask);
  if (!cycle) return rpc::ToGrpcStatus(cycle.error());

  *response->mutable_cycle() = ToProto(*cycle);
  return grpc::Status::OK;
}

grpc::Status CycleHandler::RetryCycle(grpc::ServerContext* /*context*/,
                                      const v1::RetryCycleRequest* request,
                                      v1::RetryCycleResponse* response) {
  const CycleAsk ask{request->actor(), request->reason(), clock_.Now()};
  if (const auto checked = CheckAsk(ask); !checked) return rpc::ToGrpcStatus(checked.error());
  const auto cycle = store_.Retry(request->cycle_id(), ask);
  if (!cycle) return rpc::ToGrpcStatus(cycle.error());

  *response->mutable_cycle() = ToProto(*cycle);
  return grpc::Status::OK;
}

grpc::Status CycleHandler::ListDecisions(grpc::ServerContext* /*context*/,
                                         const v1::ListDecisionsRequest* request,
                                         v1::ListDecisionsResponse* response) {
  const auto page = PageFromProto(request->page_size(), request->page_token());
  if (!page) return rpc::ToGrpcStatus(page.error());

  const auto decisions = store_.ListDecisions(request->task(), *page);
  if (!decisions) return rpc::ToGrpcStatus(decisions.error());

  for (const auto& decision : decisions->items) {
    *response->add_decisions() = DecisionToProto(decision);
  }
  response->set_next_page_token(decisions->next_token);
  return grpc::Status::OK;
}

grpc::Status CycleHandler::ListCycleSamples(grpc::ServerContext* /*context*/,
                                            const v1::ListCycleSamplesRequest* request,
                                            v1::ListCycleSamplesResponse* response) {
  const std::string filter = "cycle samples\n" + request->cycle_id();
  const auto page = rpc::ReadPage(request->page_size(), request->page_token(), filter);
  if (!page) return rpc::ToGrpcStatus(page.error());
  const auto cycle = Find(request->cycle_id());
  if (!cycle) return rpc::ToGrpcStatus(cycle.error());
  const auto samples = store_.ListSamples(request->cycle_id());
  if (!samples) return rpc::ToGrpcStatus(samples.error());

  // A sealed token holds nothing but digits; a cycle has some thousand samples at most.
  const std::size_t first = page->cursor.empty() ? 0 : std::stoul(page->cursor);
  for (std::size_t i = first; i < samples->size(); ++i) {
    if (i - first == page->size) {
      response->set_next_page_token(rpc::NextPageToken(filter, std::to_string(i)));
      break;
    }
    const CycleSample& sample = (*samples)[i];
    auto* added = response->add_samples();
    added->set_sample_id(sample.sample_id);
    added->set_request_id(sample.request_id);
    added->set_request_index(sample.request_index);
    added->set_reason(sample.reason);
    added->set_score(sample.score);
    added->set_inclusion_probability(sample.inclusion_probability);
  }
  return grpc::Status::OK;
}

}  // namespace tidewheel::training
