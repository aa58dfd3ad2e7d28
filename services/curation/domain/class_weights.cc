#include "tidewheel/curation/domain/class_weights.h"

#include <cmath>

#include "tidewheel/stats/classification.h"

namespace tidewheel::curation {
namespace {

/// The roots of the inverse shares, scaled as all weights are: 1 on average over the samples.
std::vector<double> RootsOf(std::vector<double> weights, std::span<const std::uint64_t> counts) {
  double samples = 0;
  double sum = 0;
  for (std::size_t k = 0; k < weights.size(); ++k) {
    weights[k] = std::sqrt(weights[k]);
    samples += static_cast<double>(counts[k]);
    sum += static_cast<double>(counts[k]) * weights[k];
  }
  for (double& weight : weights) weight *= samples / sum;
  return weights;
}

}  // namespace

Result<std::vector<double>> ClassWeights(std::span<const std::uint64_t> training_counts,
                                         ClassWeighting weighting) {
  constexpr double kBeta = 0.999;
  switch (weighting) {
    case ClassWeighting::kNone:
      return std::vector<double>(training_counts.size(), 1.0);
    case ClassWeighting::kInverseFrequency:
      return stats::InverseFrequencyWeights(training_counts);
    case ClassWeighting::kRootInverseFrequency: {
      auto inverse = stats::InverseFrequencyWeights(training_counts);
      if (!inverse) return inverse;
      return RootsOf(*std::move(inverse), training_counts);
    }
    case ClassWeighting::kEffectiveNumber:
      break;
  }
  return stats::EffectiveNumberWeights(training_counts, kBeta);
}

}  // namespace tidewheel::curation
