#include "tidewheel/ml/graph/weights.h"

#include <cmath>

#include "tidewheel/base/random.h"

namespace tidewheel::ml {

std::vector<NamedTensor> InitialWeights(const ArchitecturePlan& plan, std::uint64_t seed) {
  Random random(seed);
  std::vector<NamedTensor> weights;
  weights.reserve(plan.parameters.size());
  for (const Parameter& parameter : plan.parameters) {
    NamedTensor tensor{parameter.name, parameter.shape, std::vector<float>(parameter.elements())};
    if (parameter.fan_in > 0) {
      // Uniform rather than normal: only a square root, which every machine rounds alike.
      const double variance =
          (parameter.before_relu ? 2.0 : 1.0) / static_cast<double>(parameter.fan_in);
      const double bound = std::sqrt(3.0 * variance);
      for (float& element : tensor.elements) {
        element = static_cast<float>((2.0 * random.Uniform() - 1.0) * bound);
      }
    }
    weights.push_back(std::move(tensor));
  }
  return weights;
}

}  // namespace tidewheel::ml
