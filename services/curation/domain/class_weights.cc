#include "tidewheel/curation/domain/class_weights.h"

#include "tidewheel/stats/classification.h"

namespace tidewheel::curation {

Result<std::vector<double>> ClassWeights(std::span<const std::uint64_t> training_counts,
                                         ClassWeighting weighting) {
  constexpr double kBeta = 0.999;
  switch (weighting) {
    case ClassWeighting::kNone:
      return std::vector<double>(training_counts.size(), 1.0);
    case ClassWeighting::kInverseFrequency:
      return stats::InverseFrequencyWeights(training_counts);
    case ClassWeighting::kEffectiveNumber:
      break;
  }
  return stats::EffectiveNumberWeights(training_counts, kBeta);
}

}  // namespace tidewheel::curation
