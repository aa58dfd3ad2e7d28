#pragma once

#include <span>

#include "tidewheel/base/result.h"
#include "tidewheel/labels/consensus.h"
#include "tidewheel/labels/votes.h"

namespace tidewheel::labels {

/// Shares of the votes. One worker is enough: the votes are then the consensus. O(votes + items x
/// classes + workers x classes^2) in time and memory. Errors as Votes says.
Result<Consensus> Majority(const Votes& votes);

/// Shares of the votes, each weighted by its worker. `weight`: one a worker, finite and 0 or more;
/// an item whose voters all have weight 0 keeps its plain shares. kInvalidArgument: another number
/// of weights, or which one is not of this kind.
Result<Consensus> WeightedMajority(const Votes& votes, std::span<const double> weight);

/// Worker agreement with the aggregate (Wawa; Toloka's crowd-kit, 2021): majority votes, each
/// weighted by how often its worker agrees with the majority, which is also `quality`. A tied
/// majority counts as its label under the tie rule. kFailedPrecondition: no item has votes of two
/// workers.
Result<Consensus> Wawa(const Votes& votes);

}  // namespace tidewheel::labels
