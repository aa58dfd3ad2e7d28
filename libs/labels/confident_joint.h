#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tidewheel::labels {

/// Which class an example votes for when several reach their threshold.
enum class VoteRule {
  kLargestConfident,  // The most probable class among those that reach theirs (the paper).
  kLargestOfAll,      // The most probable class of all, even below its threshold (cleanlab's code).
};

/// What an example's probability is compared with: a class counts when p >= threshold - 1e-6.
inline constexpr double kThresholdSlack = 1e-6;
/// No threshold is below this one.
inline constexpr double kSmallestThreshold = 2e-6;
/// The threshold of a class that no example is given: no probability reaches it.
inline constexpr double kUnreachableThreshold = 2;

/// How often one given class was voted to be another; cells with no vote are left out, except the
/// diagonal.
struct JointCell {
  std::int32_t given = 0;
  std::int32_t voted = 0;
  std::uint64_t confident = 0;   // Examples counted; at least 1 on the diagonal.
  double expected = 0;           // Calibrated: a given class's cells sum to its examples.
  std::uint64_t calibrated = 0;  // The same in whole examples, with exactly that sum.
};

/// The confident joint of given and voted labels (Northcutt, Jiang, Chuang, JAIR 2021), sparse.
struct ConfidentJoint {
  std::uint64_t examples = 0;
  std::size_t classes = 0;
  std::vector<double> thresholds;           // classes: mean probability of the given class.
  std::vector<std::uint64_t> class_counts;  // classes: examples given each.
  std::vector<JointCell> cells;             // By given class, then by voted class.
  std::vector<std::size_t> row_begin;       // classes + 1: where a given class's cells begin.
  std::uint64_t off_diagonal = 0;           // Examples that voted for another than their class.
  std::uint64_t undecided = 0;              // Examples that reach no class's threshold.

  std::span<const JointCell> Row(std::size_t given) const {
    return std::span(cells).subspan(row_begin[given], row_begin[given + 1] - row_begin[given]);
  }
};

/// Votes off the diagonal: how often examples given `given` voted for `voted`.
struct OffDiagonal {
  std::int32_t given = 0;
  std::int32_t voted = 0;
  std::uint64_t examples = 0;
};

/// Completes a joint from what was counted: `diagonal` and `class_counts` hold one number a class,
/// `off_diagonal` at most one entry a cell, in any order. The diagonal is raised to 1, rows are
/// scaled to the given classes' counts and the whole to the number of examples; rounding gives what
/// is left over to the cells that lost most (equal losses: the larger voted class first; equal
/// gains: the smaller), so that every row keeps its sum. The sum of the dense matrix is pairwise,
/// by voted class, so that halves round the same way for everybody who adds as numpy does.
/// O(cells log cells). The classes of `off_diagonal` must be in range.
ConfidentJoint CompleteJoint(std::vector<double> thresholds,
                             std::vector<std::uint64_t> class_counts,
                             std::span<const std::uint64_t> diagonal,
                             std::vector<OffDiagonal> off_diagonal, std::uint64_t undecided);

/// How many examples pruning may take from a given class.
struct PruneCounts {
  std::vector<std::uint64_t> kept;     // classes: the calibrated diagonal, at least `keep`.
  std::vector<std::uint64_t> removed;  // One a cell of the joint; 0 on the diagonal.
};

/// The calibrated joint with every diagonal raised to `keep`; what that takes is spread evenly over
/// the given class's other cells, which are then cut down to whole examples. O(cells).
PruneCounts CountsToPrune(const ConfidentJoint& joint, std::uint64_t keep);

}  // namespace tidewheel::labels
