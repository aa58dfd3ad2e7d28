#pragma once

#include <cstdint>
#include <vector>

#include "tidewheel/ml/graph/architecture.h"

namespace tidewheel::ml {

/// The random matrix that makes an embedding of the activations before the last linear layer.
/// Lengths and distances survive it in expectation (Johnson, Lindenstrauss 1984).
struct Projection {
  std::uint64_t seed = 0;
  std::int64_t inputs = 0;
  std::int64_t numbers = 0;
  std::vector<float> matrix;  // inputs x numbers, row by row: normal with variance 1 / inputs.
};

/// What the matrix is drawn from, without drawing it.
std::uint64_t ProjectionSeed(const Architecture& architecture);

/// Decided by the architecture alone, so that embeddings of its versions mean the same axes. `plan`
/// is the architecture's; empty when it has no embedding.
Projection ProjectionOf(const Architecture& architecture, const ArchitecturePlan& plan);

}  // namespace tidewheel::ml
