#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"

namespace tidewheel::stats {

struct BoostedTreesOptions {
  int rounds = 200;            // At most; how many are kept is chosen on held-out rows.
  int depth = 3;               // Of each tree, 1 to 10.
  double learning_rate = 0.1;  // In (0, 1].
  std::size_t min_leaf = 20;   // Rows.
  int bins = 64;               // Places a column may be split at, at most; 2 to 1024.
  double held_out = 0.2;       // Share of the rows that chooses the number of rounds; 0 keeps all.
  std::uint64_t seed = 1;      // Of the held-out rows.
};

/// A sum of small regression trees (Friedman 2001), for squared loss. Small and sure rather than
/// the best there is: whoever has a better regressor uses that. Immutable once made, so any number
/// of threads may ask it.
class BoostedTrees {
 public:
  /// `features` are N x D, `targets` N numbers, all finite. With held-out rows the number of trees
  /// is the one that predicts them best (none, if the mean does), and the fit is made anew with all
  /// rows. Deterministic; of equally good splits the column, then the place, with the smaller
  /// index. O(rounds depth N D) time, 2 N D bytes and 24 N of memory. kInvalidArgument: no rows or
  /// columns, shapes that differ, a number that is not finite (named with row and column), options
  /// out of range.
  static Result<BoostedTrees> Fit(MatrixView<double> features, std::span<const double> targets,
                                  const BoostedTreesOptions& options = {});

  /// `row` has D numbers. O(trees x depth).
  double operator()(std::span<const double> row) const;
  std::size_t trees() const { return roots_.size(); }
  std::size_t columns() const { return columns_; }

 private:
  friend class TreeGrower;
  struct Node {
    std::int32_t column = -1;  // -1: a leaf.
    std::int32_t right = 0;    // Index; the left child comes next.
    double value = 0;          // Left if not above it; the answer of a leaf.
  };

  double mean_ = 0;
  std::size_t columns_ = 0;
  std::vector<Node> nodes_;
  std::vector<std::int32_t> roots_;
};

}  // namespace tidewheel::stats
