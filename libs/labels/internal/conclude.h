#pragma once

#include <span>
#include <vector>

#include "tidewheel/labels/consensus.h"
#include "tidewheel/labels/internal/packed_votes.h"

namespace tidewheel::labels::internal {

/// Posteriors closer than this are tied: far above rounding, far below what one vote moves.
inline constexpr double kTie = 1e-12;

/// The class of the largest share under the tie rule of Consensus; says whether it was a tie.
std::size_t LargestClass(std::span<const double> posterior, std::span<const double> prior,
                         bool* tied);

/// Vote shares; rows of items without votes are 0.
std::vector<double> VoteShares(const PackedVotes& votes);

/// The mean posterior over the items with votes.
std::vector<double> MeanPosterior(const PackedVotes& votes, std::span<const double> posterior);

/// kInvalidArgument where the confusion matrices would take more than 8 GiB.
Result<void> NeedConfusionToFit(const PackedVotes& votes);

/// workers x classes x classes: what each worker said, by posterior class, `smoothing` added to
/// each count. A row without any count is uniform.
std::vector<double> ConfusionOf(const PackedVotes& votes, std::span<const double> posterior,
                                double smoothing);

/// Fills quality from prior and confusion.
void FillQuality(const PackedVotes& votes, Consensus* consensus);

/// Fills label, tied and ties from posterior and prior, and the posteriors of items without votes.
void FillLabels(const PackedVotes& votes, Consensus* consensus);

}  // namespace tidewheel::labels::internal
