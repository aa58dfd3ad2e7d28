#include "tidewheel/model_registry/api/model_registry_handler.h"

#include "tidewheel/model_registry/api/convert.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::model_registry {

grpc::Status ModelRegistryHandler::ApplyTask(grpc::ServerContext* /*context*/,
                                             const v1::ApplyTaskRequest* request,
                                             v1::ApplyTaskResponse* response) {
  const auto declaration = read_declaration_(request->yaml());
  if (!declaration) return rpc::ToGrpcStatus(declaration.error());

  const auto applied = tasks_.Apply(*declaration, request->actor(), request->dry_run());
  if (!applied) return rpc::ToGrpcStatus(applied.error());

  *response->mutable_task() = ToProto(applied->task);
  response->set_changed(applied->changed);
  return grpc::Status::OK;
}

grpc::Status ModelRegistryHandler::GetTask(grpc::ServerContext* /*context*/,
                                           const v1::GetTaskRequest* request,
                                           v1::GetTaskResponse* response) {
  const auto task = tasks_.Find(request->name(), request->version());
  if (!task) return rpc::ToGrpcStatus(task.error());

  *response->mutable_task() = ToProto(*task);
  return grpc::Status::OK;
}

grpc::Status ModelRegistryHandler::ListTasks(grpc::ServerContext* /*context*/,
                                             const v1::ListTasksRequest* request,
                                             v1::ListTasksResponse* response) {
  const auto page = PageFromProto(request->page_size(), request->page_token());
  if (!page) return rpc::ToGrpcStatus(page.error());

  const auto tasks = tasks_.List(*page);
  if (!tasks) return rpc::ToGrpcStatus(tasks.error());

  for (const auto& task : tasks->items) *response->add_tasks() = ToProto(task);
  response->set_next_page_token(tasks->next_token);
  return grpc::Status::OK;
}

grpc::Status ModelRegistryHandler::RegisterModelVersion(
    grpc::ServerContext* /*context*/, const v1::RegisterModelVersionRequest* request,
    v1::RegisterModelVersionResponse* response) {
  const auto stored = catalog_.Register(FromProto(*request));
  if (!stored) return rpc::ToGrpcStatus(stored.error());

  *response->mutable_model_version() = ToProto(stored->model_version);
  response->set_created(stored->created);
  return grpc::Status::OK;
}

grpc::Status ModelRegistryHandler::GetModelVersion(grpc::ServerContext* /*context*/,
                                                   const v1::GetModelVersionRequest* request,
                                                   v1::GetModelVersionResponse* response) {
  const auto found = [&]() -> Result<std::optional<ModelVersion>> {
    switch (request->by_case()) {
      case v1::GetModelVersionRequest::kModelVersionId:
        return models_.Find(request->model_version_id());
      case v1::GetModelVersionRequest::kName:
        return models_.FindByNumber(request->name().task(), request->name().version());
      case v1::GetModelVersionRequest::kRunId:
        return models_.FindByRun(request->run_id());
      case v1::GetModelVersionRequest::BY_NOT_SET:
        break;
    }
    return Error{ErrorCode::kInvalidArgument,
                 "a model version is asked for by model_version_id, name or run_id"};
  }();
  if (!found) return rpc::ToGrpcStatus(found.error());
  if (!*found) return rpc::ToGrpcStatus(Error{ErrorCode::kNotFound, "no such model version"});

  *response->mutable_model_version() = ToProto(**found);
  return grpc::Status::OK;
}

grpc::Status ModelRegistryHandler::ListModelVersions(grpc::ServerContext* /*context*/,
                                                     const v1::ListModelVersionsRequest* request,
                                                     v1::ListModelVersionsResponse* response) {
  const auto page = PageFromProto(request->page_size(), request->page_token());
  if (!page) return rpc::ToGrpcStatus(page.error());

  const auto versions = models_.List(request->task(), *page);
  if (!versions) return rpc::ToGrpcStatus(versions.error());

  for (const auto& version : versions->items) *response->add_model_versions() = ToProto(version);
  response->set_next_page_token(versions->next_token);
  return grpc::Status::OK;
}

grpc::Status ModelRegistryHandler::PromoteModelVersion(
    grpc::ServerContext* /*context*/, const v1::PromoteModelVersionRequest* request,
    v1::PromoteModelVersionResponse* response) {
  const auto promotion =
      catalog_.Promote(request->model_version_id(), request->actor(), request->override_reason());
  if (!promotion) return rpc::ToGrpcStatus(promotion.error());

  *response->mutable_deployment() = ToProto(promotion->deployment.deployment);
  response->set_changed(promotion->deployment.changed);
  for (const auto& criterion : promotion->criteria) *response->add_criteria() = ToProto(criterion);
  return grpc::Status::OK;
}

grpc::Status ModelRegistryHandler::RollBackDeployment(grpc::ServerContext* /*context*/,
                                                      const v1::RollBackDeploymentRequest* request,
                                                      v1::RollBackDeploymentResponse* response) {
  const auto deployment = catalog_.RollBack(request->task(), request->expected_model_version_id(),
                                            request->actor(), request->reason());
  if (!deployment) return rpc::ToGrpcStatus(deployment.error());

  *response->mutable_deployment() = ToProto(*deployment);
  return grpc::Status::OK;
}

grpc::Status ModelRegistryHandler::SetRollout(grpc::ServerContext* /*context*/,
                                              const v1::SetRolloutRequest* request,
                                              v1::SetRolloutResponse* response) {
  const auto order = FromProto(*request);
  if (!order) return rpc::ToGrpcStatus(order.error());

  const auto changed = catalog_.SetRollout(*order);
  if (!changed) return rpc::ToGrpcStatus(changed.error());

  *response->mutable_deployment() = ToProto(changed->deployment);
  response->set_changed(changed->changed);
  return grpc::Status::OK;
}

grpc::Status ModelRegistryHandler::ClearRollout(grpc::ServerContext* /*context*/,
                                                const v1::ClearRolloutRequest* request,
                                                v1::ClearRolloutResponse* response) {
  const auto changed = catalog_.ClearRollout(request->task(), request->expected_model_version_id(),
                                             request->actor(), request->reason());
  if (!changed) return rpc::ToGrpcStatus(changed.error());

  *response->mutable_deployment() = ToProto(changed->deployment);
  response->set_changed(changed->changed);
  return grpc::Status::OK;
}

grpc::Status ModelRegistryHandler::RecordGateEvaluation(
    grpc::ServerContext* /*context*/, const v1::RecordGateEvaluationRequest* request,
    v1::RecordGateEvaluationResponse* response) {
  const auto evaluation = FromProto(request->evaluation());
  if (!evaluation) return rpc::ToGrpcStatus(evaluation.error());

  const auto stored = reviews_.Record(*evaluation);
  if (!stored) return rpc::ToGrpcStatus(stored.error());

  *response->mutable_evaluation() = ToProto(stored->evaluation);
  response->set_created(stored->created);
  return grpc::Status::OK;
}

grpc::Status ModelRegistryHandler::ListGateEvaluations(
    grpc::ServerContext* /*context*/, const v1::ListGateEvaluationsRequest* request,
    v1::ListGateEvaluationsResponse* response) {
  const auto page = PageFromProto(request->page_size(), request->page_token());
  if (!page) return rpc::ToGrpcStatus(page.error());

  const auto evaluations = reviews_.ListEvaluations(request->model_version_id(), *page);
  if (!evaluations) return rpc::ToGrpcStatus(evaluations.error());

  for (const auto& evaluation : evaluations->items) {
    *response->add_evaluations() = ToProto(evaluation);
  }
  response->set_next_page_token(evaluations->next_token);
  return grpc::Status::OK;
}

grpc::Status ModelRegistryHandler::SignOff(grpc::ServerContext* /*context*/,
                                           const v1::SignOffRequest* request,
                                           v1::SignOffResponse* response) {
  const auto signed_off = reviews_.Sign(FromProto(*request));
  if (!signed_off) return rpc::ToGrpcStatus(signed_off.error());

  *response->mutable_record() = ToProto(signed_off->record);
  for (const auto& role : signed_off->missing_roles) response->add_missing_roles(role);
  return grpc::Status::OK;
}

grpc::Status ModelRegistryHandler::ListSignOffs(grpc::ServerContext* /*context*/,
                                                const v1::ListSignOffsRequest* request,
                                                v1::ListSignOffsResponse* response) {
  const auto sign_offs = reviews_.ListSignOffs(request->model_version_id());
  if (!sign_offs) return rpc::ToGrpcStatus(sign_offs.error());

  for (const auto& record : sign_offs->records) *response->add_records() = ToProto(record);
  for (const auto& role : sign_offs->missing_roles) response->add_missing_roles(role);
  return grpc::Status::OK;
}

grpc::Status ModelRegistryHandler::ListDeployments(grpc::ServerContext* /*context*/,
                                                   const v1::ListDeploymentsRequest* request,
                                                   v1::ListDeploymentsResponse* response) {
  const auto page = PageFromProto(request->page_size(), request->page_token());
  if (!page) return rpc::ToGrpcStatus(page.error());

  const auto deployments = models_.ListDeployments(request->task(), *page);
  if (!deployments) return rpc::ToGrpcStatus(deployments.error());

  for (const auto& deployment : deployments->page.items) {
    *response->add_deployments() = ToProto(deployment);
  }
  response->set_next_page_token(deployments->page.next_token);
  response->set_revision(deployments->revision);
  return grpc::Status::OK;
}

grpc::Status ModelRegistryHandler::ListAuditEntries(grpc::ServerContext* /*context*/,
                                                    const v1::ListAuditEntriesRequest* request,
                                                    v1::ListAuditEntriesResponse* response) {
  const auto page = PageFromProto(request->page_size(), request->page_token());
  if (!page) return rpc::ToGrpcStatus(page.error());

  const auto entries = audit_.List(request->subject(), *page);
  if (!entries) return rpc::ToGrpcStatus(entries.error());

  for (const auto& entry : entries->items) *response->add_entries() = ToProto(entry);
  response->set_next_page_token(entries->next_token);
  return grpc::Status::OK;
}

grpc::Status ModelRegistryHandler::VerifyAuditChain(grpc::ServerContext* /*context*/,
                                                    const v1::VerifyAuditChainRequest* /*request*/,
                                                    v1::VerifyAuditChainResponse* response) {
  const auto report = audit_.Verify();
  if (!report) return rpc::ToGrpcStatus(report.error());

  response->set_intact(report->intact);
  response->set_entries(report->entries);
  response->set_first_broken_number(report->first_broken_number);
  response->set_problem(report->problem);
  return grpc::Status::OK;
}

}  // namespace tidewheel::model_registry
