#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"
#include "tidewheel/stats/splits.h"

/// Ways to change how many rows of each class a training sees. Each takes the rows it may touch and
/// refuses any that is not in the training split: what is measured on must keep the shares of
/// production. Class weights, which change no row, are in classification.h.
///
/// Errors of all: kInvalidArgument: no rows, a row that is none, a label that is not in
/// 0..classes-1, different lengths, options out of range (each with its row and limit).
/// kFailedPrecondition: a row of another split than training, or fewer than two classes among the
/// rows.

namespace tidewheel::stats {

/// All rows of a dataset; `labels` and `splits` have one entry each.
struct LabeledRows {
  std::span<const std::int32_t> labels = {};
  std::size_t classes = 0;
  std::span<const Split> splits = {};
};

/// The rows to train on, as a view of a dataset that stays as it is. The same input and recipe give
/// the same view; the fingerprint proves it.
struct TrainingView {
  std::vector<std::uint32_t> rows;    // Rising; a row may come several times.
  std::vector<std::uint64_t> before;  // Rows per class among those given.
  std::vector<std::uint64_t> after;
  std::string recipe;             // Method, options, seed: "oversample ratio=1 seed=7".
  std::uint64_t fingerprint = 0;  // StableHash of the recipe and the rows.
};

struct ResampleOptions {
  double ratio = 1;  // Above 0, at most 1: the smallest class over the largest that is aimed at.
  std::uint64_t seed = 1;
};

/// Repeats rows of each class that has fewer than ratio x (rows of the largest class), up to that
/// number, rounded up. Each row of a class comes equally often, but for one more that chance gives.
Result<TrainingView> Oversample(const LabeledRows& data, std::span<const std::uint32_t> rows,
                                const ResampleOptions& options = {});

/// Leaves out rows of each class that has more than (rows of the smallest class) / ratio, down to
/// that number, rounded down; each equally likely. Classes without rows do not count.
Result<TrainingView> Undersample(const LabeledRows& data, std::span<const std::uint32_t> rows,
                                 const ResampleOptions& options = {});

/// Features of all rows of the dataset, on one scale (distances are Euclidean), float or double.
/// Below, what is near a row is what is near among `rows`; ties go to the row that comes first in
/// them. O(rows^2 x columns) time; further errors as NearestOthers.

/// Tomek links (Tomek 1976): pairs of rows of different classes that are each other's nearest.
/// Pairs are in rising order of their smaller row.
template <typename T>
Result<std::vector<std::pair<std::uint32_t, std::uint32_t>>> FindTomekLinks(
    const LabeledRows& data, MatrixView<T> features, std::span<const std::uint32_t> rows,
    int threads = 1);

/// Leaves out, of each Tomek link, the row whose class has more rows (both where they have as
/// many).
template <typename T>
Result<TrainingView> RemoveTomekLinks(const LabeledRows& data, MatrixView<T> features,
                                      std::span<const std::uint32_t> rows, int threads = 1);

struct EditedNeighboursOptions {
  std::size_t neighbours = 3;
  bool keep_smallest = true;  // Rows of the smallest class (the first of those) stay.
  int threads = 1;
};

/// Leaves out rows that their nearest neighbours outvote (edited nearest neighbours, Wilson 1972):
/// some other class has more of them than the row's own.
template <typename T>
Result<TrainingView> RemoveOutvoted(const LabeledRows& data, MatrixView<T> features,
                                    std::span<const std::uint32_t> rows,
                                    const EditedNeighboursOptions& options = {});

}  // namespace tidewheel::stats
