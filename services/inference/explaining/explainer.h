#pragma once

#include <stop_token>

#include "tidewheel/inference/explaining/explainable_model.h"
#include "tidewheel/inference/explaining/explanation.h"

namespace tidewheel::inference {

/// Explains one input within request.time, counted from now. What changed inputs look like:
/// a picture's superpixels take their mean (LIME), squares of an eighth of the shorter side take
/// the picture's own mean (occlusion), the path begins at 0 in the model's units (integrated
/// gradients). A row of three sizes is a picture's planes; one of one size is a table's, for which
/// LIME needs a background.
/// kInvalidArgument: the request, a shape that the model does not take, a class that it does not
/// know. kDeadlineExceeded: too little time for any answer. kCancelled. kUnimplemented: gradients
/// of a model that has none.
Result<Explanation> Explain(ExplainableModel& model, const ExplainRequest& request,
                            const std::stop_token& stop);

}  // namespace tidewheel::inference
