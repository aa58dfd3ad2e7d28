#include "tidewheel/curation/domain/class_weights.h"

#include <algorithm>
#include <cmath>

namespace tidewheel::curation {
namespace {

constexpr double kBeta = 0.999;

double Unscaled(std::uint64_t count, ClassWeighting weighting) {
  const auto n = static_cast<double>(count);
  switch (weighting) {
    case ClassWeighting::kNone:
      return 1;
    case ClassWeighting::kInverseFrequency:
      return 1 / n;
    case ClassWeighting::kEffectiveNumber:
      break;
  }
  // 1 - beta^n without the loss of digits for small n.
  return (1 - kBeta) / -std::expm1(n * std::log(kBeta));
}

}  // namespace

std::vector<double> ClassWeights(std::span<const std::uint64_t> training_counts,
                                 ClassWeighting weighting) {
  std::vector<double> weights(training_counts.size(), 0);
  double samples = 0;
  double mass = 0;
  for (std::size_t c = 0; c < weights.size(); ++c) {
    if (training_counts[c] == 0) continue;
    weights[c] = Unscaled(training_counts[c], weighting);
    samples += static_cast<double>(training_counts[c]);
    mass += static_cast<double>(training_counts[c]) * weights[c];
  }
  // Nothing to scale where every sample weighs the same: keep the ones exact.
  if (weighting == ClassWeighting::kNone || mass == 0) return weights;
  for (double& weight : weights) weight *= samples / mass;
  return weights;
}

double Imbalance(std::span<const std::uint64_t> training_counts) {
  if (training_counts.empty()) return 0;
  const auto [least, most] = std::minmax_element(training_counts.begin(), training_counts.end());
  return *least == 0 ? 0 : static_cast<double>(*most) / static_cast<double>(*least);
}

}  // namespace tidewheel::curation
