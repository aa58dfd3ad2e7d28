#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tidewheel/ml/graph/architecture.h"

namespace tidewheel::ml {

/// The numbers of one parameter.
struct NamedTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> elements;

  friend bool operator==(const NamedTensor&, const NamedTensor&) = default;
};

/// Seeded starting weights, the same on every machine: uniform with He's variance (2015) before a
/// ReLU and LeCun's (1998) elsewhere; biases zero.
std::vector<NamedTensor> InitialWeights(const ArchitecturePlan& plan, std::uint64_t seed);

}  // namespace tidewheel::ml
