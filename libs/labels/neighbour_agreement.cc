#include "tidewheel/labels/neighbour_agreement.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace tidewheel::labels {

Result<std::vector<double>> NeighbourAgreement(std::span<const float> points, std::size_t width,
                                               std::span<const std::int32_t> labels,
                                               std::size_t neighbours) {
  const std::size_t rows = labels.size();
  if (rows < 2) return Error{ErrorCode::kInvalidArgument, "neighbours need at least two rows"};
  if (width == 0 || neighbours == 0) {
    return Error{ErrorCode::kInvalidArgument, "width and neighbours are at least 1"};
  }
  if (points.size() / width != rows || points.size() % width != 0) {
    return Error{ErrorCode::kInvalidArgument, std::to_string(points.size()) + " numbers are not " +
                                                  std::to_string(rows) + " rows of " +
                                                  std::to_string(width)};
  }
  if (!std::all_of(points.begin(), points.end(), [](float x) { return std::isfinite(x); })) {
    return Error{ErrorCode::kInvalidArgument, "a point holds a number that is not finite"};
  }
  const std::size_t near = std::min(neighbours, rows - 1);
  std::vector<double> agreement(rows);
  std::vector<std::pair<double, std::int32_t>> others;  // Distance and label.
  for (std::size_t i = 0; i < rows; ++i) {
    others.clear();
    for (std::size_t j = 0; j < rows; ++j) {
      if (j == i) continue;
      double sum = 0;
      for (std::size_t k = 0; k < width; ++k) {
        const double away = double{points[i * width + k]} - double{points[j * width + k]};
        sum += away * away;
      }
      others.emplace_back(std::sqrt(sum), labels[j]);
    }
    const auto end = others.begin() + static_cast<std::ptrdiff_t>(near);
    std::partial_sort(others.begin(), end, others.end());
    // Where rows coincide, their weight is large and not infinite.
    const double least = 1e-6 * others[near - 1].first;
    double same = 0;
    double all = 0;
    for (auto other = others.begin(); other != end; ++other) {
      const double weight = least > 0 ? 1 / std::max(other->first, least) : 1;
      all += weight;
      if (other->second == labels[i]) same += weight;
    }
    agreement[i] = same / all;
  }
  return agreement;
}

}  // namespace tidewheel::labels
