#include "tidewheel/stats/hypergeometric.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace tidewheel::stats {
namespace {

constexpr double kNegligible = 1e-19;

}  // namespace

Result<double> HypergeometricTail(std::uint64_t least, std::uint64_t population,
                                  std::uint64_t marked, std::uint64_t draws) {
  if (marked > population || draws > population) {
    return Error{ErrorCode::kInvalidArgument,
                 "of " + std::to_string(population) + " things, " + std::to_string(marked) +
                     " cannot be marked and " + std::to_string(draws) + " drawn"};
  }
  const std::uint64_t lowest = draws > population - marked ? draws - (population - marked) : 0;
  const std::uint64_t highest = std::min(draws, marked);
  if (least <= lowest) return 1.0;
  if (least > highest) return 0.0;

  const auto n = static_cast<double>(draws);
  const auto m = static_cast<double>(marked);
  const auto rest = static_cast<double>(population - marked);
  const double mode_at = std::floor((n + 1) * (m + 1) / (static_cast<double>(population) + 2));
  const std::uint64_t mode = std::clamp(static_cast<std::uint64_t>(mode_at), lowest, highest);

  // Probabilities relative to that of the mode.
  double total = 1;
  double tail = mode >= least ? 1 : 0;
  double weight = 1;
  for (std::uint64_t x = mode; x < highest && weight > 0; ++x) {
    const auto at = static_cast<double>(x);
    weight *= (m - at) / (at + 1) * ((n - at) / (rest - n + at + 1));
    total += weight;
    if (x + 1 >= least) tail += weight;
    if (weight < kNegligible * (x + 1 >= least ? tail : 0)) break;
  }
  double below = 0;
  weight = 1;
  for (std::uint64_t x = mode; x > lowest && weight > 0; --x) {
    const auto at = static_cast<double>(x);
    weight *= at / (m - at + 1) * ((rest - n + at) / (n - at + 1));
    total += weight;
    if (x - 1 < least) below += weight;
    if (weight < kNegligible * (x - 1 < least ? below : 0)) break;
  }
  return mode < least ? tail / total : 1 - below / total;
}

}  // namespace tidewheel::stats
