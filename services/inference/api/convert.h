#pragma once

#include <vector>

#include "tidewheel/inference/domain/predictor.h"
#include "tidewheel/inference/v1/inference_service.pb.h"

namespace tidewheel::inference {

/// Views into `request`, which must outlive the result. kInvalidArgument: a tensor whose bytes are
/// not 32-bit floats.
Result<PredictRequest> FromProto(const v1::PredictRequest& request);
void ToProto(const PredictResult& result, v1::PredictResponse* response);
/// `now` stands in where no time is given.
Result<std::vector<OutcomeFact>> FromProto(const v1::RecordOutcomesRequest& request, Timestamp now);
v1::LoadedModel ToProto(const LoadedModel& model);

}  // namespace tidewheel::inference
