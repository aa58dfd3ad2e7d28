#include "tidewheel/labeling/domain/consensus.h"

#include <algorithm>
#include <utility>

#include "tidewheel/labels/dawid_skene.h"
#include "tidewheel/labels/majority.h"

namespace tidewheel::labeling {
namespace {

/// Sums of many shares may end a rounding error beyond 1.
double AsProbability(double value) { return std::clamp(value, 0.0, 1.0); }

}  // namespace

Result<Consensus> FindConsensus(const VoteTable& votes, ConsensusMethod method) {
  const labels::Votes cast{.item = votes.item,
                           .worker = votes.worker,
                           .label = votes.label,
                           .items = votes.items,
                           .workers = votes.workers,
                           .classes = votes.classes};
  // A task with one annotator has labels too: theirs.
  auto found = method == ConsensusMethod::kDawidSkene
                   ? labels::DawidSkene(cast, {.known = {}, .without_overlap = true})
                   : labels::Majority(cast);
  if (!found) return found.error();

  Consensus consensus;
  consensus.confidence.reserve(votes.items);
  for (std::size_t item = 0; item < votes.items; ++item) {
    const auto label = static_cast<std::size_t>(found->label[item]);
    consensus.confidence.push_back(AsProbability(found->posterior[item * votes.classes + label]));
  }
  consensus.quality.reserve(votes.workers);
  for (const double quality : found->quality) consensus.quality.push_back(AsProbability(quality));
  consensus.label = std::move(found->label);
  consensus.tied = std::move(found->tied);
  consensus.rounds = found->rounds;
  return consensus;
}

}  // namespace tidewheel::labeling
