#include "tidewheel/stats/thin_spots.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <string>
#include <utility>

#include "tidewheel/stats/corrections.h"
#include "tidewheel/stats/hypergeometric.h"
#include "tidewheel/stats/nearest_neighbours.h"

namespace tidewheel::stats {

template <typename T>
Result<ThinSpotReport> FindThinSpots(MatrixView<T> training, MatrixView<T> production,
                                     const ThinSpotOptions& options) {
  if (!(options.false_discovery_rate > 0 && options.false_discovery_rate < 1)) {
    return Error{ErrorCode::kInvalidArgument, "a false discovery rate is above 0 and below 1"};
  }
  const std::size_t k = options.neighbours;
  const auto near = NearestOthers(production, {.neighbours = k, .threads = options.threads});
  if (!near) return Prefixed("production: ", near.error());
  std::vector<double> radius(production.rows);
  for (std::size_t row = 0; row < production.rows; ++row) {
    radius[row] = near->squared_distance[row * k + k - 1];
  }
  const auto within = CountWithin(training, production, radius, options.threads);
  if (!within) return Prefixed("training: ", within.error());

  const double expected = static_cast<double>(k) * static_cast<double>(training.rows) /
                          static_cast<double>(production.rows);
  ThinSpotReport report;
  std::vector<double> p;
  for (std::size_t row = 0; row < production.rows; ++row) {
    // So few training rows before the k-th production row: of the k + m nearest, at least k are
    // production.
    const auto tail = HypergeometricTail(k, production.rows - 1 + training.rows,
                                         production.rows - 1, k + (*within)[row]);
    if (!tail) return tail.error();
    p.push_back(std::clamp(*tail, 0.0, 1.0));
    report.density_ratio.push_back((expected + 1) / (static_cast<double>((*within)[row]) + 1));
  }
  auto adjusted = BenjaminiHochbergAdjusted(p);
  if (!adjusted) return adjusted.error();
  report.adjusted_p = *std::move(adjusted);

  std::vector<std::uint32_t> thin;
  for (std::uint32_t row = 0; row < production.rows; ++row) {
    if (report.adjusted_p[row] <= options.false_discovery_rate) thin.push_back(row);
  }
  report.thin_rows = thin.size();
  std::vector<bool> is_thin(production.rows, false);
  for (const std::uint32_t row : thin) is_thin[row] = true;
  std::sort(thin.begin(), thin.end(), [&](std::uint32_t a, std::uint32_t b) {
    if (report.density_ratio[a] != report.density_ratio[b]) {
      return report.density_ratio[a] > report.density_ratio[b];
    }
    // Alike in counts: the denser neighbourhood is the heart of its region.
    return radius[a] != radius[b] ? radius[a] < radius[b] : a < b;
  });
  std::vector<bool> covered(production.rows, false);
  for (const std::uint32_t row : thin) {
    if (report.spots.size() >= options.spots) break;
    if (covered[row]) continue;
    covered[row] = true;
    ThinSpot spot;
    spot.centre = row;
    spot.radius = std::sqrt(radius[row]);
    spot.training_rows = (*within)[row];
    spot.production_rows = k + 1;
    spot.expected_training_rows = expected;
    spot.density_ratio = report.density_ratio[row];
    spot.adjusted_p = report.adjusted_p[row];
    spot.thin_rows = 1;
    spot.representatives.push_back(row);
    for (const std::uint32_t other : std::span(near->index).subspan(row * k, k)) {
      covered[other] = true;
      spot.thin_rows += is_thin[other] ? 1 : 0;
      if (spot.representatives.size() < options.representatives) {
        spot.representatives.push_back(other);
      }
    }
    report.spots.push_back(std::move(spot));
  }
  return report;
}

template Result<ThinSpotReport> FindThinSpots(MatrixView<float>, MatrixView<float>,
                                              const ThinSpotOptions&);
template Result<ThinSpotReport> FindThinSpots(MatrixView<double>, MatrixView<double>,
                                              const ThinSpotOptions&);

}  // namespace tidewheel::stats
