#pragma once

#include <cstddef>
#include <cstdint>

namespace tidewheel::labels::internal {

/// For each vote from x = ability / difficulty and the probability that it is right: `fit`, the
/// expected log-likelihood p x - log(1 + e^x) (but for what does not depend on x), and `sure`, the
/// probability 1 / (1 + e^-x). The same bits whatever the processor.
void FitVotes(const double* x, const double* right, std::size_t votes, double* fit, double* sure);

}  // namespace tidewheel::labels::internal
