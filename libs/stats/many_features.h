#pragma once

#include <cstddef>
#include <cstdint>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"
#include "tidewheel/stats/boosted_trees.h"
#include "tidewheel/stats/classification.h"

namespace tidewheel::stats {

/// Whether rows of many numbers come from one distribution, dependence between columns included.
/// `reference` is N x D, `current` M x D, all finite. Deterministic in the seeds; pure functions,
/// safe from many threads. kInvalidArgument everywhere: no rows or columns, shapes that differ, a
/// number that is not finite (named with row and column), options out of range.

struct MmdOptions {
  std::size_t permutations = 500;
  std::uint64_t seed = 1;
  /// s^2 of the kernel; 0 takes the median of the squared distances of the reference's pairs.
  double squared_bandwidth = 0;
  /// Columns brought to mean 0 and standard deviation 1 of the reference first, so that none
  /// decides by its unit.
  bool standardize = false;
};

struct MmdTest {
  double squared_mmd = 0;  // Unbiased, so slightly negative as often as not without a difference.
  double squared_bandwidth = 0;
  double p_value = 1;  // (1 + permutations as extreme) / (1 + permutations).
};

/// The most rows of both together that MaximumMeanDiscrepancy takes: the kernel matrix of all pairs
/// is kept, 8 bytes each.
inline constexpr std::size_t kMostMmdRows = 4096;

/// The squared maximum mean discrepancy with the kernel exp(-d^2 / (2 s^2)) (Gretton et al. 2012,
/// equation 3), and how often a random division of all rows has one as large.
/// O(R^2 (D + permutations)) time and 8 R^2 bytes for R = N + M rows. kInvalidArgument also: fewer
/// than 2 rows of a sample, more than kMostMmdRows in all. kFailedPrecondition: half of the
/// reference's pairs or more are equal, so that no bandwidth can be taken from them; a constant
/// column where they are to be standardised.
Result<MmdTest> MaximumMeanDiscrepancy(MatrixView<double> reference, MatrixView<double> current,
                                       const MmdOptions& options = {});

struct DomainClassifierOptions {
  int folds = 5;
  double confidence = 0.95;
  std::uint64_t seed = 1;
  BoostedTreesOptions trees = {.rounds = 100};
};

struct DomainClassifierTest {
  Estimate auc;        // 0.5: cannot be told apart; 1: each row tells its sample.
  double p_value = 1;  // Of an area this large by chance, one-sided.
};

/// How well a classifier tells current rows from reference rows that it has not seen: boosted trees
/// are trained on all folds but one, whose rows they rank. The area under the ROC curve is the mean
/// over the folds (rows are compared within a fold only, as scores of two classifiers do not
/// compare), its interval the score interval after Hanley and McNeil (Newcombe 2006, method 5), the
/// p-value that of Mann and Whitney's statistic. Catches what columns show only together.
/// `folds` times the time of BoostedTrees::Fit. kFailedPrecondition: fewer than 10 rows for each
/// fold of a sample.
Result<DomainClassifierTest> DomainClassifier(MatrixView<double> reference,
                                              MatrixView<double> current,
                                              const DomainClassifierOptions& options = {});

struct PcaOptions {
  double explained = 0.65;  // Share of the variance that the kept components hold at least.
  double confidence = 0.95;
  std::uint64_t seed = 1;  // Of the division of the reference.
};

struct PcaReconstruction {
  std::size_t components = 0;  // Kept; fewer than D.
  Estimate reference_error;  // Mean distance of a row to its reconstruction, in standardised units.
  Estimate current_error;
  Estimate difference;  // Current less reference.
  double p_value = 1;   // Of no difference, two-sided, by the normal distribution.
};

/// Whether the current rows leave the plane that the reference's columns span together: principal
/// components of one random half of the reference (standardised by that half) reconstruct the other
/// half and the current rows, none of which they have seen. Normal intervals (Welch 1947).
/// O((N + M) D^2 + D^3) time. kInvalidArgument also: more than 512 columns (the limit of
/// EigenOfSymmetric). kFailedPrecondition: one column only, fewer than 2 (D + 1) or 40 reference
/// rows, fewer than 20 current rows, a constant column.
Result<PcaReconstruction> PcaReconstructionError(MatrixView<double> reference,
                                                 MatrixView<double> current,
                                                 const PcaOptions& options = {});

}  // namespace tidewheel::stats
