#pragma once

#include <span>
#include <vector>

#include "tidewheel/labels/dawid_skene.h"
#include "tidewheel/labels/internal/packed_votes.h"

namespace tidewheel::labels::internal {

/// What a known worker's votes say, ready to be added up.
struct KnownLogs {
  std::size_t worker = 0;
  std::vector<double> by_label;  // classes x classes: log P(label | class), by label.
};

/// Checks the list; kInvalidArgument names the worker and what is wrong.
Result<std::vector<KnownLogs>> LogsOf(const std::vector<KnownWorker>& known, std::size_t workers,
                                      std::size_t classes);

/// Vote shares, but for items with votes of known workers: there what these alone say.
std::vector<double> StartingPosterior(const PackedVotes& votes, std::span<const KnownLogs> known);

}  // namespace tidewheel::labels::internal
