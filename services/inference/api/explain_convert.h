#pragma once

#include "tidewheel/inference/explaining/explanation.h"
#include "tidewheel/inference/v1/inference_service.pb.h"

namespace tidewheel::inference {

/// kInvalidArgument: a tensor whose bytes are not 32-bit floats, a time that is no time.
Result<ExplainRequest> FromProto(const v1::ExplainRequest& request);
void ToProto(const Explanation& explanation, v1::ExplainResponse* response);

}  // namespace tidewheel::inference
