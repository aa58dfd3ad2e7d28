#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/curation/domain/dataset.h"

namespace tidewheel::curation {

/// The weight each training sample of a class carries, from the classes' counts in the training
/// split: 1 on average over all training samples. The effective number is taken with beta 0.999.
/// kInvalidArgument: no samples at all.
Result<std::vector<double>> ClassWeights(std::span<const std::uint64_t> training_counts,
                                         ClassWeighting weighting);

}  // namespace tidewheel::curation
