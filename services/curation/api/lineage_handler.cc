#include "tidewheel/curation/api/lineage_handler.h"

#include <string>

#include "tidewheel/base/ids.h"
#include "tidewheel/curation/api/convert.h"
#include "tidewheel/rpc/status.h"

namespace tidewheel::curation {
namespace {

Result<Lineage> TraceSubject(LineageTracer& tracer, const v1::TraceRequest& request) {
  switch (request.subject_case()) {
    case v1::TraceRequest::kPredictionRequestId:
      return tracer.TracePrediction(request.prediction_request_id(), request.samples());
    case v1::TraceRequest::kModelVersionId:
      return tracer.TraceModelVersion(request.model_version_id(), request.samples());
    case v1::TraceRequest::kRunId:
      return tracer.TraceRun(request.run_id(), request.samples());
    case v1::TraceRequest::kDatasetVersionId:
      return tracer.TraceDatasetVersion(DatasetVersionId(request.dataset_version_id()),
                                        request.samples());
    case v1::TraceRequest::kSampleId:
      if (!IsUuid(request.sample_id())) {
        return Error{ErrorCode::kInvalidArgument,
                     "sample_id \"" + request.sample_id().substr(0, 64) + "\" is not a UUID"};
      }
      return tracer.TraceSample(SampleId(request.sample_id()));
    case v1::TraceRequest::kCycleId:
      return tracer.TraceCycle(request.cycle_id(), request.samples());
    case v1::TraceRequest::SUBJECT_NOT_SET:
      break;
  }
  return Error{
      ErrorCode::kInvalidArgument,
      "give prediction_request_id, model_version_id, run_id, dataset_version_id, sample_id "
      "or cycle_id"};
}

}  // namespace

grpc::Status LineageHandler::Trace(grpc::ServerContext* /*context*/,
                                   const v1::TraceRequest* request, v1::TraceResponse* response) {
  const auto lineage = TraceSubject(tracer_, *request);
  if (!lineage) return rpc::ToGrpcStatus(lineage.error());

  *response = ToProto(*lineage);
  return grpc::Status::OK;
}

}  // namespace tidewheel::curation
