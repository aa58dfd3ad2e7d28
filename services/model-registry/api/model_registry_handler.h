#pragma once

#include "tidewheel/model_registry/domain/audit_log.h"
#include "tidewheel/model_registry/domain/model_catalog.h"
#include "tidewheel/model_registry/domain/review_catalog.h"
#include "tidewheel/model_registry/domain/task_catalog.h"
#include "tidewheel/model_registry/v1/model_registry_service.grpc.pb.h"

namespace tidewheel::model_registry {

/// The rpcs of the registry: control calls, blocking.
class ModelRegistryHandler final : public v1::ModelRegistryService::Service {
 public:
  /// Turns YAML into a declaration; kInvalidArgument lists its problems.
  using ReadDeclaration = Result<Declaration> (*)(const std::string& yaml);

  ModelRegistryHandler(TaskCatalog& tasks, ModelCatalog& catalog, ReviewCatalog& reviews,
                       ModelStore& models, AuditLog& audit, ReadDeclaration read_declaration)
      : tasks_(tasks),
        catalog_(catalog),
        reviews_(reviews),
        models_(models),
        audit_(audit),
        read_declaration_(read_declaration) {}

  grpc::Status ApplyTask(grpc::ServerContext* context, const v1::ApplyTaskRequest* request,
                         v1::ApplyTaskResponse* response) override;
  grpc::Status GetTask(grpc::ServerContext* context, const v1::GetTaskRequest* request,
                       v1::GetTaskResponse* response) override;
  grpc::Status ListTasks(grpc::ServerContext* context, const v1::ListTasksRequest* request,
                         v1::ListTasksResponse* response) override;
  grpc::Status RegisterModelVersion(grpc::ServerContext* context,
                                    const v1::RegisterModelVersionRequest* request,
                                    v1::RegisterModelVersionResponse* response) override;
  grpc::Status GetModelVersion(grpc::ServerContext* context,
                               const v1::GetModelVersionRequest* request,
                               v1::GetModelVersionResponse* response) override;
  grpc::Status ListModelVersions(grpc::ServerContext* context,
                                 const v1::ListModelVersionsRequest* request,
                                 v1::ListModelVersionsResponse* response) override;
  grpc::Status PromoteModelVersion(grpc::ServerContext* context,
                                   const v1::PromoteModelVersionRequest* request,
                                   v1::PromoteModelVersionResponse* response) override;
  grpc::Status RollBackDeployment(grpc::ServerContext* context,
                                  const v1::RollBackDeploymentRequest* request,
                                  v1::RollBackDeploymentResponse* response) override;
  grpc::Status SetRollout(grpc::ServerContext* context, const v1::SetRolloutRequest* request,
                          v1::SetRolloutResponse* response) override;
  grpc::Status ClearRollout(grpc::ServerContext* context, const v1::ClearRolloutRequest* request,
                            v1::ClearRolloutResponse* response) override;
  grpc::Status RecordGateEvaluation(grpc::ServerContext* context,
                                    const v1::RecordGateEvaluationRequest* request,
                                    v1::RecordGateEvaluationResponse* response) override;
  grpc::Status ListGateEvaluations(grpc::ServerContext* context,
                                   const v1::ListGateEvaluationsRequest* request,
                                   v1::ListGateEvaluationsResponse* response) override;
  grpc::Status SignOff(grpc::ServerContext* context, const v1::SignOffRequest* request,
                       v1::SignOffResponse* response) override;
  grpc::Status ListSignOffs(grpc::ServerContext* context, const v1::ListSignOffsRequest* request,
                            v1::ListSignOffsResponse* response) override;
  grpc::Status ListDeployments(grpc::ServerContext* context,
                               const v1::ListDeploymentsRequest* request,
                               v1::ListDeploymentsResponse* response) override;
  grpc::Status ListAuditEntries(grpc::ServerContext* context,
                                const v1::ListAuditEntriesRequest* request,
                                v1::ListAuditEntriesResponse* response) override;
  grpc::Status VerifyAuditChain(grpc::ServerContext* context,
                                const v1::VerifyAuditChainRequest* request,
                                v1::VerifyAuditChainResponse* response) override;

 private:
  TaskCatalog& tasks_;
  ModelCatalog& catalog_;
  ReviewCatalog& reviews_;
  ModelStore& models_;
  AuditLog& audit_;
  const ReadDeclaration read_declaration_;
};

}  // namespace tidewheel::model_registry
