#include "tidewheel/stats/corrections.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>

#include "tidewheel/stats/internal/samples.h"

namespace tidewheel::stats {
namespace {

Result<void> Check(std::span<const double> p_values) {
  if (p_values.empty()) return internal::Invalid("there are no p-values to adjust");
  for (std::size_t i = 0; i < p_values.size(); ++i) {
    if (!(p_values[i] >= 0 && p_values[i] <= 1)) {
      return internal::Invalid("p-value " + std::to_string(i) + " is not between 0 and 1");
    }
  }
  return {};
}

std::vector<std::size_t> Ascending(std::span<const double> p_values) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return p_values[a] < p_values[b]; });
  return order;
}

}  // namespace

Result<std::vector<double>> BonferroniAdjusted(std::span<const double> p_values) {
  if (const auto good = Check(p_values); !good) return good.error();
  const auto tests = static_cast<double>(p_values.size());
  std::vector<double> adjusted;
  for (const double p : p_values) adjusted.push_back(std::min(1.0, p * tests));
  return adjusted;
}

Result<std::vector<double>> HolmAdjusted(std::span<const double> p_values) {
  if (const auto good = Check(p_values); !good) return good.error();
  std::vector<double> adjusted(p_values.size());
  auto left = static_cast<double>(p_values.size());
  double largest = 0;
  for (const std::size_t i : Ascending(p_values)) {
    largest = std::max(largest, std::min(1.0, p_values[i] * left--));
    adjusted[i] = largest;
  }
  return adjusted;
}

Result<std::vector<double>> BenjaminiHochbergAdjusted(std::span<const double> p_values) {
  if (const auto good = Check(p_values); !good) return good.error();
  std::vector<double> adjusted(p_values.size());
  const auto tests = static_cast<double>(p_values.size());
  const auto order = Ascending(p_values);
  double smallest = 1;
  for (std::size_t rank = order.size(); rank > 0; --rank) {
    const std::size_t i = order[rank - 1];
    // The quotient first: it is 1 for the largest and never below, so the value never shrinks.
    smallest = std::min(smallest, p_values[i] * (tests / static_cast<double>(rank)));
    adjusted[i] = smallest;
  }
  return adjusted;
}

}  // namespace tidewheel::stats
