#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tidewheel/inference/domain/quality_rules.h"
#include "tidewheel/vision/measure.h"

namespace tidewheel::inference {

/// The rules that a picture of `payload_bytes` breaks, in the words in which ingestion would set it
/// aside: "too_small", "underexposed" and so on.
std::vector<std::string> QualityProblems(const vision::Measures& measures,
                                         std::size_t payload_bytes, const QualityRules& rules);

}  // namespace tidewheel::inference
