#include "tidewheel/ml/graph/embedding.h"

#include <cmath>

#include "tidewheel/base/random.h"

namespace tidewheel::ml {

std::uint64_t ProjectionSeed(const Architecture& architecture) {
  return StableHash(PrintArchitecture(architecture));
}

Projection ProjectionOf(const Architecture& architecture, const ArchitecturePlan& plan) {
  Projection projection;
  if (architecture.embedding == 0) return projection;
  projection.seed = ProjectionSeed(architecture);
  projection.inputs = plan.embedding_inputs;
  projection.numbers = architecture.embedding;
  projection.matrix.resize(static_cast<std::size_t>(projection.inputs) *
                           static_cast<std::size_t>(projection.numbers));
  Random random(projection.seed);
  const double scale = 1 / std::sqrt(static_cast<double>(projection.inputs));
  for (float& element : projection.matrix) element = static_cast<float>(random.Normal() * scale);
  return projection;
}

}  // namespace tidewheel::ml
