#include "tidewheel/inference/core/cost_model.h"

#include <algorithm>
#include <bit>
#include <cstdint>

namespace tidewheel::inference {
namespace {

constexpr double kWeight = 0.125;
// One call in which the machine did something else must not look like a slow model.
constexpr double kMostGrowth = 4;

std::chrono::nanoseconds Whole(double nanoseconds) {
  return std::chrono::nanoseconds{static_cast<std::int64_t>(nanoseconds)};
}

}  // namespace

void CostModel::Add(std::size_t rows, std::chrono::nanoseconds took) {
  if (rows == 0) return;
  const std::size_t size = std::min<std::size_t>(std::bit_width(rows) - 1, kSizes - 1);
  const double seen = std::max(1.0, static_cast<double>(took.count())) / static_cast<double>(rows);
  auto& average = row_nanoseconds_[size];
  const double before = average.load(std::memory_order_relaxed);
  average.store(
      before == 0 ? seen : before + kWeight * (std::min(seen, kMostGrowth * before) - before),
      std::memory_order_relaxed);
}

std::chrono::nanoseconds CostModel::Of(std::size_t rows) const {
  if (rows == 0) return {};
  const std::size_t size = std::min<std::size_t>(std::bit_width(rows) - 1, kSizes - 1);
  for (std::size_t i = size + 1; i-- > 0;) {
    const double each = row_nanoseconds_[i].load(std::memory_order_relaxed);
    if (each == 0) continue;
    const std::size_t known = i == size ? rows : std::size_t{1} << i;
    return Whole(each * static_cast<double>(known));
  }
  for (std::size_t i = size + 1; i < kSizes; ++i) {
    const double each = row_nanoseconds_[i].load(std::memory_order_relaxed);
    if (each != 0) return Whole(each * static_cast<double>(rows));
  }
  return {};
}

std::chrono::nanoseconds CostModel::ForAll(std::size_t rows, std::size_t most_rows) const {
  const std::size_t each = std::max<std::size_t>(most_rows, 1);
  return static_cast<std::int64_t>(rows / each) * Of(each) + Of(rows % each);
}

}  // namespace tidewheel::inference
