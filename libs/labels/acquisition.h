#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"
#include "tidewheel/labels/votes.h"

/// Scores of what to label next: the larger, the sooner, all in 0 to 1 (ActiveLab alone is the
/// other way round, as published). What becomes of them is in acquisition_queue.h. Pure, safe from
/// many threads.

namespace tidewheel::labels {

enum class Uncertainty {
  kLeastConfident,  // 1 - p of the likeliest class (Lewis, Gale 1994): 0 to 1 - 1/K.
  kMargin,          // 1 - (p of the likeliest - p of the next) (Scheffer et al. 2001): 0 to 1.
  kEntropy,         // -sum p ln p / ln K (Shannon 1948): 0 to 1.
};

/// How little a classifier knows of each row. `probabilities`: N x K; what is outside 0 to 1 by no
/// more than 1e-6 is cut to it. O(N K). kInvalidArgument: a shape that does not fit, no rows, fewer
/// than 2 classes, a probability that is not in 0 to 1 or a row that does not sum to 1 within 1e-3
/// (its row).
template <typename T>
Result<std::vector<double>> UncertaintyScores(MatrixView<T> probabilities, Uncertainty kind);

/// How far two classifiers are apart on each row.
struct Disagreement {
  std::vector<double> jensen_shannon;   // Divergence to base 2 (Lin 1991): 0 alike, 1 disjoint.
  std::vector<double> total_variation;  // Half the sum of differences: 0 to 1.
  std::vector<std::uint8_t>
      other_answer;  // 1 where their likeliest classes differ (first of ties).
};

/// Of what is in production and a candidate for it. Symmetric in the two. O(N K). Errors as
/// UncertaintyScores, and for two different shapes.
template <typename T>
Result<Disagreement> CompareClassifiers(MatrixView<T> production, MatrixView<T> candidate);

struct DriftRegionOptions {
  std::size_t neighbours = 20;
  int threads = 1;  // The answer does not depend on it.
};

/// How much a current row lies where current rows are, and reference rows are not: among its
/// nearest rows of both kinds (the row itself aside; of equally near ones the reference first), the
/// share that is current, as if both kinds had the same number. 0.5 where nothing has drifted, 1
/// where the reference has nothing. (The nearest-neighbour estimate of the posterior of "current":
/// Loftsgaarden, Quesenberry 1965.) `reference` and `current` are embeddings on one scale.
/// O(current x (current + reference) x columns). kInvalidArgument as stats::NearestNeighbours.
/// kFailedPrecondition: fewer rows of either kind than neighbours.
template <typename T>
Result<std::vector<double>> DriftRegionScores(MatrixView<T> reference, MatrixView<T> current,
                                              const DriftRegionOptions& options = {});

/// 1 - label quality (label_error_scores.h: low is suspect), so that suspects come first.
/// kInvalidArgument: none, or a quality that is not in 0 to 1 (its row).
Result<std::vector<double>> SuspectedErrorScores(std::span<const double> label_quality);

/// What ActiveLab needs, as Crowdlab() gives it.
struct ActiveLabInput {
  std::span<const double> consensus_quality = {};  // Items: that the consensus is right; for an
                                                   // item without votes the largest probability.
  Votes votes = {};  // Of the same items; may have none. A worker's second on an item, and
                     // abstentions, do not count.
  std::span<const double> worker_weight = {};  // Workers.
  double model_weight = 1;
};

/// One score for "label something new" and "label something again" (Goh, Mueller, 2023): the mean
/// of the consensus quality, with the weight of all who voted on the item and of the model, and of
/// 1/K, with the mean weight of all workers; 1 where there are no workers. THE LOWEST COMES FIRST:
/// an item with few, weak or contradicting votes. O(votes log votes + items). kInvalidArgument: no
/// items, different lengths, fewer than 2 classes, an index out of range, a quality that is not in
/// 0 to 1, a weight that is negative or not finite (each with its place). kFailedPrecondition: all
/// weights are 0.
Result<std::vector<double>> ActiveLabScores(const ActiveLabInput& input);

}  // namespace tidewheel::labels
