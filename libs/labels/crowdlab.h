#pragma once

#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"
#include "tidewheel/labels/consensus.h"
#include "tidewheel/labels/votes.h"

namespace tidewheel::labels {

struct CrowdlabConsensus {
  /// `label` is the best class under the weights that follow from the majority, and `posterior` is
  /// what follows from `label` in turn (as the paper has it), so that the two may differ in rare
  /// rows. `quality`: how good a worker's labels are, by the posterior and by agreement.
  Consensus consensus;
  std::vector<double> label_quality;  // items: the posterior of the label.
  std::vector<double> agreement;      // items: the share of votes for the label; 0 without votes.
  std::vector<double> worker_weight;  // workers: clip(1 - error / baseline error), at least 1e-6.
  double model_weight = 0;            // The same of the classifier, times sqrt(mean votes an item).
  double mean_agreement = 0;          // Over the items with two votes: `c` of a voter's opinion.
  double baseline_error = 0;          // Of always answering the commonest label.
};

/// CROWDLAB (Goh, Tkachenko, Mueller 2022): the mean of the classifier's probabilities and of every
/// voter's opinion, by weights. A voter's error is how often another voter of the same item
/// disagrees; who shares no item has the mean. The classifier's is how often it misses the label
/// where two voted. A tied majority goes to the class that the classifier finds likelier, then by
/// the tie rule of Consensus. An item without votes gets the classifier's row. Every vote counts,
/// but a worker's second on an item does not agree or disagree with the first. `probabilities`:
/// items x classes, out of sample. O(votes + items x classes). kInvalidArgument: another shape, a
/// probability outside 0 to 1 or a row that does not sum to 1 within 1e-3 (the message names the
/// row). kFailedPrecondition: no item has votes of two workers.
Result<CrowdlabConsensus> Crowdlab(const Votes& votes, const MatrixView<double>& probabilities);

}  // namespace tidewheel::labels
