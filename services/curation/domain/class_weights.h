#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/curation/domain/dataset.h"

namespace tidewheel::curation {

/// The weight each training sample of a class carries, from the classes' counts in the training
/// split. The mean over all training samples is 1. Inverse frequency: `N / (K n_c)`. Effective
/// number (Cui, Jia, Lin, Song, Belongie: Class-Balanced Loss, CVPR 2019): in proportion to
/// `(1 - beta) / (1 - beta^n_c)` with beta 0.999. A class without samples gets weight 0.
std::vector<double> ClassWeights(std::span<const std::uint64_t> training_counts,
                                 ClassWeighting weighting);

/// Largest count over smallest; 0 when a class is empty or there is none.
double Imbalance(std::span<const std::uint64_t> training_counts);

}  // namespace tidewheel::curation
