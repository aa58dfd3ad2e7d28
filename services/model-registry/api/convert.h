#pragma once

#include "tidewheel/model_registry/domain/audit.h"
#include "tidewheel/model_registry/domain/gate.h"
#include "tidewheel/model_registry/domain/model_catalog.h"
#include "tidewheel/model_registry/domain/model_version.h"
#include "tidewheel/model_registry/domain/page.h"
#include "tidewheel/model_registry/domain/review.h"
#include "tidewheel/model_registry/domain/task_spec.h"
#include "tidewheel/model_registry/v1/model_registry_service.pb.h"

namespace tidewheel::model_registry {

v1::TaskSpec ToProto(const TaskSpec& spec);
v1::Task ToProto(const Task& task);
v1::ModelVersion ToProto(const ModelVersion& version);
v1::Deployment ToProto(const Deployment& deployment);
v1::GateCriterion ToProto(const GateCriterion& criterion);
v1::GateEvaluation ToProto(const GateEvaluation& evaluation);
v1::SignOffRecord ToProto(const SignOffRecord& record);
v1::AuditEntry ToProto(const AuditEntry& entry);

Registration FromProto(const v1::RegisterModelVersionRequest& request);
/// kInvalidArgument: a criterion without a verdict.
Result<GateEvaluation> FromProto(const v1::GateEvaluation& evaluation);
SignOffRecord FromProto(const v1::SignOffRequest& request);
/// kInvalidArgument: no known stage.
Result<RolloutOrder> FromProto(const v1::SetRolloutRequest& request);
/// kInvalidArgument: a negative size.
Result<PageRequest> PageFromProto(std::int32_t size, const std::string& token);

}  // namespace tidewheel::model_registry
