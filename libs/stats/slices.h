#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"
#include "tidewheel/stats/intervals.h"
#include "tidewheel/stats/kmeans.h"
#include "tidewheel/stats/slice_definition.h"

namespace tidewheel::stats {

/// A nominal column of the metadata, over the training rows and over the production rows. A code is
/// the place of its value's name in `values`; -1: the row has no value and is in no slice of it.
struct SliceColumn {
  std::string name = {};
  std::span<const std::string> values = {};
  std::span<const std::int32_t> training = {};
  std::span<const std::int32_t> production = {};
};

struct SliceOptions {
  bool pairs = true;               // Also every two columns together.
  std::uint64_t min_support = 30;  // Checked production rows; fewer say nothing.
  double confidence = 0.95;
  double false_discovery_rate = 0.05;
  std::size_t most_values = 100;  // A column with more is not sliced (and named).
};

/// One slice. Shares are of all rows: an empty training set has none.
struct SliceFigures {
  SliceDefinition definition;
  std::uint64_t training_rows = 0;
  std::uint64_t production_rows = 0;
  std::uint64_t checked_rows = 0;  // Production rows of which it is known whether they were wrong.
  std::uint64_t errors = 0;
  double training_share = 0;
  double production_share = 0;
  double error_share = 0;  // Of all errors.
  double error_rate = 0;
  Interval interval;      // Of the error rate, Wilson, for this slice alone.
  double p_value = 1;     // That chance alone puts so many of the errors here (one-sided, exact).
  double adjusted_p = 1;  // For having looked at all slices of the report.
  bool weak = false;      // adjusted_p is at most the false discovery rate.
};

struct SliceReport {
  double error_rate = 0;  // Of all checked rows.
  std::uint64_t checked_rows = 0;
  std::uint64_t errors = 0;
  std::vector<SliceFigures> slices;     // Weak ones first, then by the interval's lower end.
  std::uint64_t too_small = 0;          // Slices with fewer checked rows than min_support.
  std::uint64_t redundant = 0;          // Pairs that are no smaller than one of their halves.
  std::vector<std::string> not_sliced;  // Columns that were left out, because ...
};

/// Where a classifier is worse than elsewhere: for each value of each column, and for each two
/// values of two columns, its share in training, in production and in the errors. A slice is tested
/// by the hypergeometric tail (Fisher 1922, one-sided), and the p-values are corrected for the
/// number of slices (Benjamini, Hochberg 1995). Slices of everything and pairs that repeat a half
/// are no tests. `errors` has one entry a production row: 1 wrong, 0 right, -1 not known.
/// O(columns^2 x rows).
///
/// kInvalidArgument: no columns, no production rows, different lengths, a code that is not in
/// -1..values-1 or an error that is not -1, 0 or 1 (column and row), two columns or values of one
/// name, options out of range. kFailedPrecondition: no checked row.
Result<SliceReport> FindWeakSlices(std::span<const SliceColumn> columns,
                                   std::span<const std::int32_t> errors,
                                   const SliceOptions& options = {});

/// Clusters of embeddings as a column to slice by. The name holds a fingerprint of the centroids:
/// slices of other clusters are other slices.
struct ClusterSlices {
  KMeans means;  // Of the training rows.
  std::string name;
  std::vector<std::string> values;
  std::vector<std::int32_t> training;
  std::vector<std::int32_t> production;

  /// A view of this; it must outlive the column.
  SliceColumn Column() const { return {name, values, training, production}; }
};

/// Clusters of the training rows, and the nearest of them for each production row. Errors and cost
/// as ClusterRows.
template <typename T>
Result<ClusterSlices> SliceByClusters(MatrixView<T> training, MatrixView<T> production,
                                      const KMeansOptions& options = {});

}  // namespace tidewheel::stats
