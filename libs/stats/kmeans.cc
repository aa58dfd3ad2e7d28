#include "tidewheel/stats/kmeans.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/nearest_neighbours.h"

namespace tidewheel::stats {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

MatrixView<double> Centroids(const KMeans& means) {
  return {means.centroids, means.clusters, means.columns};
}

template <typename T>
void AddCentroid(MatrixView<T> rows, std::size_t row, std::vector<double>& centroids) {
  for (const T value : rows.Row(row)) centroids.push_back(static_cast<double>(value));
}

/// The first centroid is any row, each further one a row with a probability in proportion to its
/// squared distance to the nearest so far.
template <typename T>
Result<std::vector<double>> Start(MatrixView<T> rows, const KMeansOptions& options,
                                  Random& random) {
  std::vector<double> centroids;
  centroids.reserve(options.clusters * rows.columns);
  AddCentroid(rows, random.Below(rows.rows), centroids);
  std::vector<double> nearest(rows.rows, std::numeric_limits<double>::infinity());
  for (std::size_t made = 1; made < options.clusters; ++made) {
    const std::span<const double> all = centroids;
    const auto to_last =
        NearestNeighbours(MatrixView<double>{all.last(rows.columns), 1, rows.columns}, rows,
                          {.neighbours = 1, .threads = options.threads});
    if (!to_last) return to_last.error();
    double total = 0;
    for (std::size_t row = 0; row < rows.rows; ++row) {
      nearest[row] = std::min(nearest[row], to_last->squared_distance[row]);
      total += nearest[row];
    }
    if (!(total > 0)) {
      return Error{ErrorCode::kFailedPrecondition,
                   "only " + std::to_string(made) + " different rows for " +
                       std::to_string(options.clusters) + " clusters"};
    }
    double left = random.Uniform() * total;
    std::size_t chosen = rows.rows;
    for (std::size_t row = 0; row < rows.rows; ++row) {
      if (nearest[row] == 0) continue;
      chosen = row;  // The last with a distance, should rounding leave something over.
      left -= nearest[row];
      if (left < 0) break;
    }
    AddCentroid(rows, chosen, centroids);
  }
  return centroids;
}

template <typename T>
Result<KMeans> Lloyd(MatrixView<T> rows, const KMeansOptions& options, Random& random) {
  auto start = Start(rows, options, random);
  if (!start) return start.error();
  KMeans means;
  means.clusters = options.clusters;
  means.columns = rows.columns;
  means.centroids = std::move(*start);
  double before = std::numeric_limits<double>::infinity();
  for (;;) {
    auto found =
        NearestNeighbours(Centroids(means), rows, {.neighbours = 1, .threads = options.threads});
    if (!found) return found.error();
    means.assignment = std::move(found->index);
    std::vector<double>& distance = found->squared_distance;
    means.sizes.assign(means.clusters, 0);
    for (const std::uint32_t cluster : means.assignment) ++means.sizes[cluster];
    bool refilled = false;
    for (std::size_t cluster = 0; cluster < means.clusters; ++cluster) {
      if (means.sizes[cluster] > 0) continue;
      // Never the only row of another cluster: its distance is 0 unless rounding made it otherwise.
      std::size_t farthest = rows.rows;
      for (std::size_t row = 0; row < rows.rows; ++row) {
        if (means.sizes[means.assignment[row]] < 2) continue;
        if (farthest == rows.rows || distance[row] > distance[farthest]) farthest = row;
      }
      --means.sizes[means.assignment[farthest]];
      means.assignment[farthest] = static_cast<std::uint32_t>(cluster);
      means.sizes[cluster] = 1;
      distance[farthest] = 0;
      const auto values = rows.Row(farthest);
      std::transform(values.begin(), values.end(),
                     means.centroids.begin() + static_cast<std::ptrdiff_t>(cluster * rows.columns),
                     [](T value) { return static_cast<double>(value); });
      refilled = true;
    }
    means.inertia = std::accumulate(distance.begin(), distance.end(), 0.0);
    const bool settled = before - means.inertia <= options.tolerance * means.inertia;
    if ((settled && !refilled) || means.rounds >= options.rounds) return means;
    before = means.inertia;

    std::fill(means.centroids.begin(), means.centroids.end(), 0.0);
    for (std::size_t row = 0; row < rows.rows; ++row) {
      double* centroid = means.centroids.data() + means.assignment[row] * rows.columns;
      const auto values = rows.Row(row);
      for (std::size_t c = 0; c < rows.columns; ++c) centroid[c] += static_cast<double>(values[c]);
    }
    for (std::size_t cluster = 0; cluster < means.clusters; ++cluster) {
      for (std::size_t c = 0; c < rows.columns; ++c) {
        means.centroids[cluster * rows.columns + c] /= static_cast<double>(means.sizes[cluster]);
      }
    }
    ++means.rounds;
  }
}

/// Largest cluster first, then the one whose first row comes first.
void PutInOrder(KMeans& means) {
  std::vector<std::size_t> first(means.clusters, means.assignment.size());
  for (std::size_t row = means.assignment.size(); row-- > 0;) first[means.assignment[row]] = row;
  std::vector<std::uint32_t> order(means.clusters);
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    if (means.sizes[a] != means.sizes[b]) return means.sizes[a] > means.sizes[b];
    return first[a] < first[b];
  });
  std::vector<std::uint32_t> place(means.clusters);
  std::vector<double> centroids;
  std::vector<std::uint64_t> sizes;
  for (std::uint32_t i = 0; i < order.size(); ++i) {
    place[order[i]] = i;
    sizes.push_back(means.sizes[order[i]]);
    const double* centroid = means.centroids.data() + order[i] * means.columns;
    centroids.insert(centroids.end(), centroid, centroid + means.columns);
  }
  for (std::uint32_t& cluster : means.assignment) cluster = place[cluster];
  means.centroids = std::move(centroids);
  means.sizes = std::move(sizes);
}

}  // namespace

template <typename T>
Result<KMeans> ClusterRows(MatrixView<T> rows, const KMeansOptions& options) {
  if (options.clusters == 0) return Bad("at least 1 cluster is asked for, not 0");
  if (options.rounds == 0 || options.restarts == 0)
    return Bad("rounds and restarts are at least 1");
  if (!(options.tolerance >= 0)) return Bad("tolerance is 0 or more");
  if (rows.rows == 0) return Bad("there are no rows");
  if (rows.rows < options.clusters) {
    return Error{ErrorCode::kFailedPrecondition,
                 "only " + std::to_string(rows.rows) + " rows for " +
                     std::to_string(options.clusters) + " clusters"};
  }
  if (!rows.Fits() || rows.columns == 0) {
    return Bad(std::to_string(rows.values.size()) + " values are not " + std::to_string(rows.rows) +
               " rows of " + std::to_string(rows.columns));
  }
  for (std::size_t i = 0; i < rows.values.size(); ++i) {
    if (!std::isfinite(static_cast<double>(rows.values[i]))) {
      return Bad("row " + std::to_string(i / rows.columns) + ", column " +
                 std::to_string(i % rows.columns) + " is not finite");
    }
  }
  Random random(options.seed);
  std::optional<KMeans> best;
  for (std::size_t start = 0; start < options.restarts; ++start) {
    auto means = Lloyd(rows, options, random);
    if (!means) return means.error();
    if (!best || means->inertia < best->inertia) best = std::move(*means);
  }
  PutInOrder(*best);
  return *std::move(best);
}

template <typename T>
Result<std::vector<std::uint32_t>> AssignToClusters(const KMeans& means, MatrixView<T> rows,
                                                    int threads) {
  auto found = NearestNeighbours(Centroids(means), rows, {.neighbours = 1, .threads = threads});
  if (!found) return found.error();
  return std::move(found->index);
}

template Result<KMeans> ClusterRows(MatrixView<float>, const KMeansOptions&);
template Result<KMeans> ClusterRows(MatrixView<double>, const KMeansOptions&);
template Result<std::vector<std::uint32_t>> AssignToClusters(const KMeans&, MatrixView<float>, int);
template Result<std::vector<std::uint32_t>> AssignToClusters(const KMeans&, MatrixView<double>,
                                                             int);

}  // namespace tidewheel::stats
