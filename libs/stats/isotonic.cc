#include "tidewheel/stats/isotonic.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <string>

namespace tidewheel::stats {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> Check(std::span<const double> x, std::span<const double> y,
                   std::span<const double> weights) {
  if (x.empty()) return Bad("a monotone fit needs rows");
  if (y.size() != x.size()) {
    return Bad(std::to_string(x.size()) + " places and " + std::to_string(y.size()) +
               " values are not rows");
  }
  if (!weights.empty() && weights.size() != x.size()) {
    return Bad(std::to_string(weights.size()) + " weights for " + std::to_string(x.size()) +
               " rows");
  }
  bool weighted = weights.empty();
  for (std::size_t row = 0; row < x.size(); ++row) {
    if (!std::isfinite(x[row]) || !std::isfinite(y[row])) {
      return Bad("row " + std::to_string(row) + ": a number is not finite");
    }
    if (weights.empty()) continue;
    if (!(weights[row] >= 0) || !std::isfinite(weights[row])) {
      return Bad("row " + std::to_string(row) + ": a weight is finite and not negative");
    }
    weighted = weighted || weights[row] > 0;
  }
  if (!weighted) return Bad("every row has weight 0");
  return {};
}

}  // namespace

double IsotonicFunction::operator()(double x) const {
  if (std::isnan(x) || at.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto above = std::upper_bound(at.begin(), at.end(), x);
  if (above == at.begin()) return value.front();
  if (above == at.end()) return value.back();
  const auto right = static_cast<std::size_t>(above - at.begin());
  const std::size_t left = right - 1;
  if (x == at[left]) return value[left];
  const double slope = (value[right] - value[left]) / (at[right] - at[left]);
  return value[left] + slope * (x - at[left]);
}

void PoolAdjacentViolators(std::span<double> values, std::span<const double> weights) {
  struct Block {
    double mean, weight;
    std::size_t size;
  };
  std::vector<Block> blocks;
  blocks.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    Block block{values[i], weights[i], 1};
    while (!blocks.empty() && blocks.back().mean >= block.mean) {
      const Block& before = blocks.back();
      const double weight = before.weight + block.weight;
      block.mean = (before.mean * before.weight + block.mean * block.weight) / weight;
      block.weight = weight;
      block.size += before.size;
      blocks.pop_back();
    }
    blocks.push_back(block);
  }
  std::size_t next = 0;
  for (const Block& block : blocks) {
    std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(next), block.size, block.mean);
    next += block.size;
  }
}

Result<IsotonicFunction> FitIsotonic(std::span<const double> x, std::span<const double> y,
                                     std::span<const double> weights) {
  if (const auto good = Check(x, y, weights); !good) return good.error();
  std::vector<std::size_t> order;
  order.reserve(x.size());
  for (std::size_t row = 0; row < x.size(); ++row) {
    if (weights.empty() || weights[row] > 0) order.push_back(row);
  }
  // By value too: sums within a tie then do not depend on the order of rows.
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (x[a] != x[b]) return x[a] < x[b];
    if (y[a] != y[b]) return y[a] < y[b];
    return !weights.empty() && weights[a] < weights[b];
  });

  std::vector<double> at;
  std::vector<double> value;
  std::vector<double> weight;
  for (std::size_t first = 0; first < order.size();) {
    double sum = 0;
    double total = 0;
    std::size_t next = first;
    for (; next < order.size() && x[order[next]] == x[order[first]]; ++next) {
      const double w = weights.empty() ? 1 : weights[order[next]];
      sum += w * y[order[next]];
      total += w;
    }
    at.push_back(x[order[first]]);
    value.push_back(sum / total);
    weight.push_back(total);
    first = next;
  }
  PoolAdjacentViolators(value, weight);

  IsotonicFunction function;
  for (std::size_t i = 0; i < at.size(); ++i) {
    const bool inside = i > 0 && i + 1 < at.size();
    if (inside && value[i] == value[i - 1] && value[i] == value[i + 1]) continue;
    function.at.push_back(at[i]);
    function.value.push_back(value[i]);
  }
  return function;
}

}  // namespace tidewheel::stats
