#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"

namespace tidewheel::stats {

/// The nearest points of each query, nearest first; points at the same distance in the order of
/// their index.
struct Neighbours {
  std::size_t neighbours = 0;            // Per query.
  std::vector<std::uint32_t> index;      // Queries x neighbours: rows of the points.
  std::vector<double> squared_distance;  // Queries x neighbours: Euclidean, squared.
};

struct NeighbourOptions {
  std::size_t neighbours = 5;
  int threads = 1;  // The answer does not depend on it.
};

/// Exact nearest neighbours by looking at every pair, in blocks. Differences are taken and summed
/// in double precision, column by column, so that equal rows are at distance 0 exactly and ties are
/// ties on every machine. Rows of float or double (float and double, points of double and queries
/// of float). O(points x queries x columns) time; memory for the answer and, per thread, 256 KiB of
/// points (at least 32 of them).
///
/// kInvalidArgument: a shape that does not fit, no points, no columns, different numbers of
/// columns, a value that is not finite or beyond 1e150 (its row and column), threads
/// outside 1..256. kFailedPrecondition: fewer points than neighbours, or no neighbours asked for.
template <typename P, typename Q>
Result<Neighbours> NearestNeighbours(MatrixView<P> points, MatrixView<Q> queries,
                                     const NeighbourOptions& options = {});

/// The same for each point among the others: row i never answers itself, an equal row does.
template <typename P>
Result<Neighbours> NearestOthers(MatrixView<P> points, const NeighbourOptions& options = {});

/// How many points lie within each query's own radius: squared distance at most
/// `squared_radius[query]`, which is 0 or more. Errors, time and memory as NearestNeighbours.
template <typename P, typename Q>
Result<std::vector<std::uint64_t>> CountWithin(MatrixView<P> points, MatrixView<Q> queries,
                                               std::span<const double> squared_radius,
                                               int threads = 1);

}  // namespace tidewheel::stats
