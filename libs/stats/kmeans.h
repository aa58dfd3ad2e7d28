#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"

namespace tidewheel::stats {

struct KMeansOptions {
  std::size_t clusters = 8;
  std::size_t rounds = 100;  // At most.
  double tolerance = 1e-6;   // Stops when a round lowers the inertia by less than this share of it.
  std::size_t restarts = 4;  // The best of so many starts.
  std::uint64_t seed = 1;
  int threads = 1;  // The answer does not depend on it.
};

/// Rows in groups around their means.
struct KMeans {
  std::size_t clusters = 0;
  std::size_t columns = 0;
  std::vector<double> centroids;          // Clusters x columns.
  std::vector<std::uint32_t> assignment;  // Per row; between equally near centroids the first.
  std::vector<std::uint64_t> sizes;       // Rows per cluster; none is 0.
  double inertia = 0;                     // Sum of the rows' squared distances to their centroid.
  std::size_t rounds = 0;                 // Of the best start.
};

/// k-means++ starts (Arthur, Vassilvitskii 2007), then Lloyd's rounds (1982). A cluster that loses
/// all its rows takes the row farthest from its centroid (the first of those). Clusters come in the
/// order of size, largest first, then of their first row. Rows of float or double. O(rows x
/// clusters x columns) a round; memory for 20 bytes a row and the centroids.
///
/// kInvalidArgument: a shape that does not fit, no columns, a value that is not finite, no
/// clusters, rounds or restarts, a negative tolerance. kFailedPrecondition: fewer different rows
/// than clusters.
template <typename T>
Result<KMeans> ClusterRows(MatrixView<T> rows, const KMeansOptions& options = {});

/// The nearest centroid of rows that did not make the clusters. Errors as ClusterRows.
template <typename T>
Result<std::vector<std::uint32_t>> AssignToClusters(const KMeans& means, MatrixView<T> rows,
                                                    int threads = 1);

}  // namespace tidewheel::stats
