#include "tidewheel/labeling/domain/consensus.h"

#include <utility>

#include "tidewheel/labels/consensus.h"

namespace tidewheel::labeling {

Result<Consensus> FindConsensus(const VoteTable& votes, ConsensusMethod method) {
  const labels::Votes table{votes.item,  votes.worker,  votes.label,
                            votes.items, votes.workers, votes.classes};
  auto found = method == ConsensusMethod::kDawidSkene ? labels::DawidSkene(table)
                                                      : labels::Majority(table);
  if (!found) return found.error();
  Consensus consensus;
  consensus.confidence.reserve(votes.items);
  for (std::size_t i = 0; i < votes.items; ++i) {
    const auto label = static_cast<std::size_t>(found->label[i]);
    consensus.confidence.push_back(found->posterior[i * votes.classes + label]);
  }
  consensus.label = std::move(found->label);
  consensus.tied = std::move(found->tied);
  consensus.quality = std::move(found->quality);
  consensus.rounds = found->rounds;
  return consensus;
}

}  // namespace tidewheel::labeling
