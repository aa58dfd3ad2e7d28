#pragma once

#include <vector>

#include "tidewheel/inference/core/model_server.h"
#include "tidewheel/metrics/registry.h"

namespace tidewheel::inference {

/// What a scrape finds of the models that are loaded: seconds of each phase, why batches were
/// formed, and the same sums under the names `nv_inference_*` that existing dashboards draw.
std::vector<metrics::SampledFamily> ModelFamilies(const ModelServer& models);

}  // namespace tidewheel::inference
