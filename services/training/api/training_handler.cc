#include "tidewheel/training/api/training_handler.h"

#include <chrono>

#include "tidewheel/base/worker.h"
#include "tidewheel/rpc/page.h"
#include "tidewheel/rpc/status.h"
#include "tidewheel/rpc/time.h"
#include "tidewheel/training/execution/worker_files.h"

namespace tidewheel::training {
namespace {

constexpr std::chrono::milliseconds kWatchInterval{300};

v1::RunState ToProto(RunState state) {
  switch (state) {
    case RunState::kQueued:
      return v1::RUN_STATE_QUEUED;
    case RunState::kRunning:
      return v1::RUN_STATE_RUNNING;
    case RunState::kSucceeded:
      return v1::RUN_STATE_SUCCEEDED;
    case RunState::kFailed:
      return v1::RUN_STATE_FAILED;
    case RunState::kCancelled:
      return v1::RUN_STATE_CANCELLED;
  }
  return v1::RUN_STATE_UNSPECIFIED;
}

std::optional<RunState> FromProto(v1::RunState state) {
  for (const RunState known : {RunState::kQueued, RunState::kRunning, RunState::kSucceeded,
                               RunState::kFailed, RunState::kCancelled}) {
    if (ToProto(known) == state) return known;
  }
  return std::nullopt;
}

Result<PageRequest> PageFromProto(std::int32_t size, const std::string& token) {
  const auto items = rpc::PageSize(size);
  if (!items) return items.error();
  return PageRequest{static_cast<std::size_t>(*items), token};
}

v1::Progress ToProto(const Progress& progress) {
  v1::Progress out;
  out.set_phase(progress.phase);
  out.set_steps_done(progress.steps_done);
  out.set_steps_total(progress.steps_total);
  out.set_epoch(progress.epoch);
  out.set_epochs(progress.epochs);
  out.set_training_loss(progress.training_loss);
  out.set_validation_metric(progress.validation_metric);
  out.set_samples_per_second(progress.samples_per_second);
  out.set_seconds_left(progress.seconds_left);
  return out;
}

v1::Run ToProto(const Run& run) {
  v1::Run out;
  out.set_run_id(run.id);
  out.set_task(run.dataset.task);
  out.set_dataset_version_id(run.dataset.id);
  out.set_dataset_digest(run.dataset.digest);
  out.set_recipe(run.request.recipe);
  out.set_seed(run.request.seed);
  *out.mutable_hyperparameters() =
      ToProto(run.state == RunState::kSucceeded ? run.effective : run.request.hyperparameters);
  out.set_state(ToProto(run.state));
  out.set_reason(run.reason);
  *out.mutable_progress() = ToProto(run.progress);
  for (const auto& evaluation : run.evaluations) *out.add_evaluations() = ToProto(evaluation);
  for (const auto& name : run.dataset.classes) out.add_classes(name);
  out.set_code_version(run.code_version);
  out.set_code_clean(run.code_clean);
  out.set_build(run.build);
  out.set_model_version_id(run.model_version_id);
  *out.mutable_queued_at() = rpc::ToProto(run.queued_at);
  if (run.started_at) *out.mutable_started_at() = rpc::ToProto(*run.started_at);
  if (run.ended_at) *out.mutable_ended_at() = rpc::ToProto(*run.ended_at);
  out.set_attempt(run.attempt);
  out.set_actor(run.request.actor);
  out.set_best_epoch(run.best_epoch);
  out.set_training_seconds(run.training_seconds);
  out.set_cpu_seconds(run.cpu_seconds);
  if (run.request.baseline) {
    out.set_baseline_model_version_id(run.request.baseline->model_version_id);
  }
  return out;
}

}  // namespace

grpc::Status TrainingHandler::StartRun(grpc::ServerContext* /*context*/,
                                       const v1::StartRunRequest* request,
                                       v1::StartRunResponse* response) {
  const auto run = queue_.Start(
      {request->request_id(), request->dataset_version_id(), request->recipe(), request->seed(),
       training::FromProto(request->hyperparameters()), request->actor()});
  if (!run) return rpc::ToGrpcStatus(run.error());

  *response->mutable_run() = ToProto(run->run);
  response->set_created(run->created);
  return grpc::Status::OK;
}

grpc::Status TrainingHandler::GetRun(grpc::ServerContext* /*context*/,
                                     const v1::GetRunRequest* request,
                                     v1::GetRunResponse* response) {
  const auto run = queue_.Find(request->run_id());
  if (!run) return rpc::ToGrpcStatus(run.error());

  *response->mutable_run() = ToProto(*run);
  return grpc::Status::OK;
}

grpc::Status TrainingHandler::ListRuns(grpc::ServerContext* /*context*/,
                                       const v1::ListRunsRequest* request,
                                       v1::ListRunsResponse* response) {
  const auto page = PageFromProto(request->page_size(), request->page_token());
  if (!page) return rpc::ToGrpcStatus(page.error());

  const auto runs = store_.List(request->task(), FromProto(request->state()), *page);
  if (!runs) return rpc::ToGrpcStatus(runs.error());

  for (const auto& run : runs->items) *response->add_runs() = ToProto(run);
  response->set_next_page_token(runs->next_token);
  return grpc::Status::OK;
}

grpc::Status TrainingHandler::WatchRun(grpc::ServerContext* context,
                                       const v1::WatchRunRequest* request,
                                       grpc::ServerWriter<v1::WatchRunResponse>* writer) {
  std::string sent;
  Pause pause;
  do {
    const auto run = queue_.Find(request->run_id());
    // The watcher outlasts a database that is away for a moment.
    if (!run && !IsTransient(run.error().code)) return rpc::ToGrpcStatus(run.error());
    if (!run) continue;
    v1::WatchRunResponse response;
    *response.mutable_run() = ToProto(*run);
    std::string bytes = response.SerializeAsString();
    if (bytes != sent && !writer->Write(response)) return grpc::Status::CANCELLED;
    sent = std::move(bytes);
    if (HasEnded(run->state)) return grpc::Status::OK;
  } while (pause.Wait({}, kWatchInterval) && !context->IsCancelled());
  return grpc::Status::CANCELLED;
}

grpc::Status TrainingHandler::CancelRun(grpc::ServerContext* /*context*/,
                                        const v1::CancelRunRequest* request,
                                        v1::CancelRunResponse* response) {
  const auto run = queue_.Cancel(request->run_id(), request->reason());
  if (!run) return rpc::ToGrpcStatus(run.error());

  *response->mutable_run() = ToProto(*run);
  return grpc::Status::OK;
}

grpc::Status TrainingHandler::ListRunPredictions(grpc::ServerContext* /*context*/,
                                                 const v1::ListRunPredictionsRequest* request,
                                                 v1::ListRunPredictionsResponse* response) {
  const auto page = PageFromProto(request->page_size(), request->page_token());
  if (!page) return rpc::ToGrpcStatus(page.error());
  const auto run = queue_.Find(request->run_id());
  if (!run) return rpc::ToGrpcStatus(run.error());

  const auto predictions =
      store_.ListPredictions({request->run_id(), request->split(), request->errors_only()}, *page);
  if (!predictions) return rpc::ToGrpcStatus(predictions.error());

  const auto& classes = run->dataset.classes;
  for (const auto& prediction : predictions->items) {
    auto* added = response->add_predictions();
    added->set_sample_id(prediction.sample_id);
    added->set_split(prediction.split);
    added->set_given_class(classes.at(prediction.given_class));
    added->set_predicted_class(classes.at(prediction.predicted_class));
    added->mutable_probabilities()->Add(prediction.probabilities.begin(),
                                        prediction.probabilities.end());
  }
  response->set_next_page_token(predictions->next_token);
  return grpc::Status::OK;
}

grpc::Status TrainingHandler::CompareRuns(grpc::ServerContext* /*context*/,
                                          const v1::CompareRunsRequest* request,
                                          v1::CompareRunsResponse* response) {
  const auto comparison =
      queue_.Compare(request->run_id(), request->other_run_id(), request->split());
  if (!comparison) return rpc::ToGrpcStatus(comparison.error());

  const Disagreement& counts = comparison->counts;
  const double samples = static_cast<double>(counts.samples);
  response->set_samples(counts.samples);
  response->set_only_first_right(counts.only_first_right);
  response->set_only_second_right(counts.only_second_right);
  response->set_p_value(comparison->p_value);
  response->set_exact(comparison->exact);
  response->set_accuracy(static_cast<double>(counts.first_right) / samples);
  response->set_other_accuracy(static_cast<double>(counts.second_right) / samples);
  response->set_verdict(comparison->verdict);
  return grpc::Status::OK;
}

}  // namespace tidewheel::training
