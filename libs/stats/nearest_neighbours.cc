#include "tidewheel/stats/nearest_neighbours.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <utility>

#include "tidewheel/stats/internal/target_clones.h"

namespace tidewheel::stats {
namespace {

constexpr std::size_t kLanes = 32;  // Points whose distances are summed side by side.
constexpr std::size_t kBlockBytes = 256 * 1024;
constexpr std::size_t kQueriesPerBlock = 256;
constexpr double kLargest = 1e150;  // Its square is a number still.

/// Eight doubles in whatever registers the machine has, and eight anywhere in memory.
typedef double Wide __attribute__((vector_size(64)));
// Named where it is used: `auto` would forget the alignment.
typedef Wide WideInMemory __attribute__((aligned(8), may_alias));

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }
Error NotApplicable(std::string message) {
  return {ErrorCode::kFailedPrecondition, std::move(message)};
}

/// Squared distances of one query to the 32 points of a chunk, which holds them column by column.
/// One sum a point, in the order of the columns: the same bits whatever the width of the registers.
TIDEWHEEL_TARGET_CLONES void DistancesToChunk(const double* query, const double* chunk,
                                              std::size_t columns, double* out) {
  Wide sum0{};
  Wide sum1{};
  Wide sum2{};
  Wide sum3{};
  for (std::size_t c = 0; c < columns; ++c) {
    const WideInMemory* values = reinterpret_cast<const WideInMemory*>(chunk + c * kLanes);
    const Wide d0 = values[0] - query[c];
    const Wide d1 = values[1] - query[c];
    const Wide d2 = values[2] - query[c];
    const Wide d3 = values[3] - query[c];
    sum0 += d0 * d0;
    sum1 += d1 * d1;
    sum2 += d2 * d2;
    sum3 += d3 * d3;
  }
  WideInMemory* sums = reinterpret_cast<WideInMemory*>(out);
  sums[0] = sum0;
  sums[1] = sum1;
  sums[2] = sum2;
  sums[3] = sum3;
}

template <typename T>
Result<void> CheckRows(MatrixView<T> rows, const char* name) {
  if (!rows.Fits()) {
    return Bad(std::string(name) + ": " + std::to_string(rows.values.size()) + " values are not " +
               std::to_string(rows.rows) + " rows of " + std::to_string(rows.columns));
  }
  for (std::size_t i = 0; i < rows.values.size(); ++i) {
    if (!(std::abs(static_cast<double>(rows.values[i])) <= kLargest)) {
      return Bad(std::string(name) + ": row " + std::to_string(i / rows.columns) + ", column " +
                 std::to_string(i % rows.columns) + " is not a number between -1e150 and 1e150");
    }
  }
  return {};
}

template <typename P, typename Q>
Result<void> CheckPair(MatrixView<P> points, MatrixView<Q> queries, int threads) {
  if (points.rows == 0) return Bad("there are no points");
  if (points.columns == 0) return Bad("the points have no columns");
  if (points.columns != queries.columns) {
    return Bad("points of " + std::to_string(points.columns) + " columns and queries of " +
               std::to_string(queries.columns) + " have no distance");
  }
  if (points.rows > std::numeric_limits<std::uint32_t>::max()) {
    return Bad("at most 4294967295 points, not " + std::to_string(points.rows));
  }
  if (threads < 1 || threads > 256) {
    return Bad("threads are 1 to 256, not " + std::to_string(threads));
  }
  if (const auto good = CheckRows(points, "points"); !good) return good.error();
  return CheckRows(queries, "queries");
}

/// Points of [first, last), in chunks of 32, column by column within a chunk. Lanes without a point
/// repeat the last one; nobody looks at them.
template <typename P>
void Transpose(MatrixView<P> points, std::size_t first, std::size_t last, double* out) {
  for (std::size_t begin = first; begin < last; begin += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const auto row = points.Row(std::min(begin + lane, last - 1));
      for (std::size_t c = 0; c < points.columns; ++c) {
        out[c * kLanes + lane] = static_cast<double>(row[c]);
      }
    }
    out += kLanes * points.columns;
  }
}

/// Calls visit(query, first point, points, their squared distances) for chunks of points in rising
/// order for each query. A query belongs to one thread.
template <typename P, typename Q, typename Visit>
void ForEachDistance(MatrixView<P> points, MatrixView<Q> queries, int threads, const Visit& visit) {
  const std::size_t columns = points.columns;
  const std::size_t chunks =
      std::max<std::size_t>(1, kBlockBytes / (kLanes * columns * sizeof(double)));
  const std::size_t points_per_block = chunks * kLanes;
  const std::size_t blocks = (queries.rows + kQueriesPerBlock - 1) / kQueriesPerBlock;

  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    std::vector<double> transposed(
        std::min(points_per_block, (points.rows + kLanes - 1) / kLanes * kLanes) * columns);
    std::vector<double> query(columns);
    double distances[kLanes];
    for (std::size_t block = next++; block < blocks; block = next++) {
      const std::size_t last_query = std::min(queries.rows, (block + 1) * kQueriesPerBlock);
      for (std::size_t first = 0; first < points.rows; first += points_per_block) {
        const std::size_t last = std::min(points.rows, first + points_per_block);
        Transpose(points, first, last, transposed.data());
        for (std::size_t q = block * kQueriesPerBlock; q < last_query; ++q) {
          const auto row = queries.Row(q);
          for (std::size_t c = 0; c < columns; ++c) query[c] = static_cast<double>(row[c]);
          const double* chunk = transposed.data();
          for (std::size_t begin = first; begin < last; begin += kLanes) {
            DistancesToChunk(query.data(), chunk, columns, distances);
            visit(q, begin, std::min(kLanes, last - begin), distances);
            chunk += kLanes * columns;
          }
        }
      }
    }
  };
  std::vector<std::jthread> others;
  for (int t = 1; t < threads && static_cast<std::size_t>(t) < blocks; ++t) {
    others.emplace_back(work);
  }
  work();
}

/// Keeps the k nearest of one query in a heap whose first is the farthest. Points come in rising
/// order, so that one at the same distance as the farthest never displaces it.
class Nearest {
 public:
  Nearest(std::uint32_t* index, double* distance, std::size_t size)
      : index_(index), distance_(distance), size_(size) {}

  double limit(std::size_t filled) const {
    return filled < size_ ? std::numeric_limits<double>::infinity() : distance_[0];
  }

  void Add(std::size_t& filled, std::uint32_t point, double distance) {
    std::size_t place = 0;
    if (filled < size_) {
      place = filled++;
      while (place > 0) {
        const std::size_t parent = (place - 1) / 2;
        if (!Farther(distance, point, distance_[parent], index_[parent])) break;
        Move(parent, place);
        place = parent;
      }
    } else {
      Sink(place, size_, point, distance);
    }
    index_[place] = point;
    distance_[place] = distance;
  }

  /// Heap to order, nearest first.
  void Sort() {
    for (std::size_t end = size_; end > 1; --end) {
      const std::uint32_t point = index_[end - 1];
      const double distance = distance_[end - 1];
      Move(0, end - 1);
      std::size_t place = 0;
      Sink(place, end - 1, point, distance);
      index_[place] = point;
      distance_[place] = distance;
    }
  }

 private:
  static bool Farther(double a, std::uint32_t i, double b, std::uint32_t j) {
    return a != b ? a > b : i > j;
  }
  void Move(std::size_t from, std::size_t to) {
    index_[to] = index_[from];
    distance_[to] = distance_[from];
  }
  void Sink(std::size_t& place, std::size_t size, std::uint32_t point, double distance) {
    while (2 * place + 1 < size) {
      std::size_t child = 2 * place + 1;
      if (child + 1 < size &&
          Farther(distance_[child + 1], index_[child + 1], distance_[child], index_[child])) {
        ++child;
      }
      if (!Farther(distance_[child], index_[child], distance, point)) break;
      Move(child, place);
      place = child;
    }
  }

  std::uint32_t* index_;
  double* distance_;
  std::size_t size_;
};

template <typename P, typename Q>
Neighbours Search(MatrixView<P> points, MatrixView<Q> queries, const NeighbourOptions& options,
                  bool skip_itself) {
  const std::size_t k = options.neighbours;
  Neighbours found;
  found.neighbours = k;
  found.index.resize(queries.rows * k);
  found.squared_distance.resize(queries.rows * k);
  std::vector<std::size_t> filled(queries.rows, 0);
  ForEachDistance(points, queries, options.threads,
                  [&](std::size_t q, std::size_t first, std::size_t count, const double* distance) {
                    Nearest nearest(found.index.data() + q * k,
                                    found.squared_distance.data() + q * k, k);
                    for (std::size_t i = 0; i < count; ++i) {
                      if (!(distance[i] < nearest.limit(filled[q]))) continue;
                      if (skip_itself && first + i == q) continue;
                      nearest.Add(filled[q], static_cast<std::uint32_t>(first + i), distance[i]);
                    }
                  });
  for (std::size_t q = 0; q < queries.rows; ++q) {
    Nearest(found.index.data() + q * k, found.squared_distance.data() + q * k, k).Sort();
  }
  return found;
}

Result<void> CheckNumber(std::size_t neighbours, std::size_t points, const char* of) {
  if (neighbours == 0) return NotApplicable("at least 1 neighbour is asked for, not 0");
  if (neighbours > points) {
    return NotApplicable(std::to_string(neighbours) + " neighbours cannot be found among " +
                         std::to_string(points) + of);
  }
  return {};
}

}  // namespace

template <typename P, typename Q>
Result<Neighbours> NearestNeighbours(MatrixView<P> points, MatrixView<Q> queries,
                                     const NeighbourOptions& options) {
  if (const auto good = CheckPair(points, queries, options.threads); !good) return good.error();
  if (const auto good = CheckNumber(options.neighbours, points.rows, " points"); !good) {
    return good.error();
  }
  return Search(points, queries, options, false);
}

template <typename P>
Result<Neighbours> NearestOthers(MatrixView<P> points, const NeighbourOptions& options) {
  if (const auto good = CheckPair(points, points, options.threads); !good) return good.error();
  if (const auto good = CheckNumber(options.neighbours, points.rows - 1, " other points"); !good) {
    return good.error();
  }
  return Search(points, points, options, true);
}

template <typename P, typename Q>
Result<std::vector<std::uint64_t>> CountWithin(MatrixView<P> points, MatrixView<Q> queries,
                                               std::span<const double> squared_radius,
                                               int threads) {
  if (const auto good = CheckPair(points, queries, threads); !good) return good.error();
  if (squared_radius.size() != queries.rows) {
    return Bad(std::to_string(queries.rows) + " queries need as many radii, not " +
               std::to_string(squared_radius.size()));
  }
  for (std::size_t q = 0; q < squared_radius.size(); ++q) {
    if (!(squared_radius[q] >= 0)) {
      return Bad("row " + std::to_string(q) + ": a squared radius is 0 or more");
    }
  }
  std::vector<std::uint64_t> counts(queries.rows, 0);
  ForEachDistance(points, queries, threads,
                  [&](std::size_t q, std::size_t, std::size_t count, const double* distance) {
                    std::uint64_t within = 0;
                    for (std::size_t i = 0; i < count; ++i) {
                      within += distance[i] <= squared_radius[q] ? 1 : 0;
                    }
                    counts[q] += within;
                  });
  return counts;
}

template Result<Neighbours> NearestNeighbours(MatrixView<float>, MatrixView<float>,
                                              const NeighbourOptions&);
template Result<Neighbours> NearestNeighbours(MatrixView<double>, MatrixView<double>,
                                              const NeighbourOptions&);
template Result<Neighbours> NearestNeighbours(MatrixView<double>, MatrixView<float>,
                                              const NeighbourOptions&);
template Result<Neighbours> NearestOthers(MatrixView<float>, const NeighbourOptions&);
template Result<Neighbours> NearestOthers(MatrixView<double>, const NeighbourOptions&);
template Result<std::vector<std::uint64_t>> CountWithin(MatrixView<float>, MatrixView<float>,
                                                        std::span<const double>, int);
template Result<std::vector<std::uint64_t>> CountWithin(MatrixView<double>, MatrixView<double>,
                                                        std::span<const double>, int);
template Result<std::vector<std::uint64_t>> CountWithin(MatrixView<double>, MatrixView<float>,
                                                        std::span<const double>, int);

}  // namespace tidewheel::stats
