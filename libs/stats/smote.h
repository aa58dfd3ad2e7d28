#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"
#include "tidewheel/stats/balance.h"

namespace tidewheel::stats {

struct SmoteOptions {
  double ratio = 1;  // Above 0, at most 1: each class gets to ratio x (rows of the largest class).
  std::size_t neighbours = 5;
  std::uint64_t seed = 1;
  int threads = 1;
};

/// Made rows, as many as were missing. Not rows of the dataset: whoever stores them says so.
struct SyntheticRows {
  std::vector<std::int32_t> labels;
  std::vector<double> numeric;        // Rows x numeric columns.
  std::vector<std::int32_t> nominal;  // Rows x nominal columns.
  // Where each comes from: base + place x (neighbour - base), both rows of the dataset.
  std::vector<std::uint32_t> base;
  std::vector<std::uint32_t> neighbour;
  std::vector<double> place;  // In [0, 1).
};

/// Synthetic minority over-sampling (Chawla, Bowyer, Hall, Kegelmeyer 2002): each made row lies on
/// the line from a row to one of its nearest neighbours of the same class, at a place that chance
/// gives. Bases come equally often, but for one more that chance gives. With nominal columns
/// SMOTE-NC: a nominal difference counts as the median of the numeric columns' standard deviations
/// within the class, and a made row has the commonest category among its base's neighbours (the
/// smaller code where they tie). Numeric columns on one scale, please: distances are Euclidean.
///
/// `numeric` and `nominal` (which may have no columns) hold all rows of the dataset; only `rows`
/// are looked at. O(sum over the grown classes of rows^2 x columns) time. Errors as balance.h, and
/// kInvalidArgument: a number that is not finite, shapes that do not fit, more than 4,096
/// categories in a class (an identifier is no feature). kFailedPrecondition: no numeric column, or
/// a class to grow with no more rows than neighbours.
Result<SyntheticRows> Smote(const LabeledRows& data, MatrixView<double> numeric,
                            MatrixView<std::int32_t> nominal, std::span<const std::uint32_t> rows,
                            const SmoteOptions& options = {});

}  // namespace tidewheel::stats
