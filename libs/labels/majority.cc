#include "tidewheel/labels/majority.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "tidewheel/labels/internal/conclude.h"
#include "tidewheel/labels/internal/packed_votes.h"

namespace tidewheel::labels {
namespace {

using internal::PackedVotes;

Consensus Concluded(const PackedVotes& votes, std::vector<double> shares) {
  Consensus consensus;
  consensus.posterior = std::move(shares);
  consensus.prior = internal::MeanPosterior(votes, consensus.posterior);
  consensus.confusion = internal::ConfusionOf(votes, consensus.posterior, 0);
  internal::FillQuality(votes, &consensus);
  internal::FillLabels(votes, &consensus);
  return consensus;
}

Consensus Weighted(const PackedVotes& votes, std::span<const double> weight) {
  const std::size_t classes = votes.classes();
  std::vector<double> shares = internal::VoteShares(votes);
  std::vector<double> sums(classes);
  for (std::size_t i = 0; i < votes.items(); ++i) {
    sums.assign(classes, 0);
    double total = 0;
    for (const std::uint32_t vote : votes.of(i)) {
      sums[votes.LabelOf(vote)] += weight[votes.WorkerOf(vote)];
      total += weight[votes.WorkerOf(vote)];
    }
    if (!(total > 0)) continue;
    for (std::size_t k = 0; k < classes; ++k) shares[i * classes + k] = sums[k] / total;
  }
  return Concluded(votes, std::move(shares));
}

}  // namespace

Result<Consensus> Majority(const Votes& in) {
  const auto votes = PackedVotes::Of(in);
  if (!votes) return votes.error();
  if (const auto fits = internal::NeedConfusionToFit(*votes); !fits) return fits.error();
  return Concluded(*votes, internal::VoteShares(*votes));
}

Result<Consensus> WeightedMajority(const Votes& in, std::span<const double> weight) {
  const auto votes = PackedVotes::Of(in);
  if (!votes) return votes.error();
  if (const auto fits = internal::NeedConfusionToFit(*votes); !fits) return fits.error();
  if (weight.size() != in.workers) {
    return Error{ErrorCode::kInvalidArgument, "there are " + std::to_string(weight.size()) +
                                                  " weights for " + std::to_string(in.workers) +
                                                  " workers"};
  }
  for (std::size_t w = 0; w < weight.size(); ++w) {
    if (!std::isfinite(weight[w]) || weight[w] < 0) {
      return Error{ErrorCode::kInvalidArgument,
                   "the weight of worker " + std::to_string(w) + " is not a number of 0 or more"};
    }
  }
  // Only ratios matter, and sums of the largest numbers there are would not be numbers.
  const double largest = weight.empty() ? 0 : *std::max_element(weight.begin(), weight.end());
  std::vector<double> scaled(weight.begin(), weight.end());
  for (double& share : scaled) share = largest > 0 ? share / largest : 0;
  return Weighted(*votes, scaled);
}

Result<Consensus> Wawa(const Votes& in) {
  const auto votes = PackedVotes::Of(in);
  if (!votes) return votes.error();
  if (const auto fits = internal::NeedConfusionToFit(*votes); !fits) return fits.error();
  if (const auto overlap = internal::NeedOverlap(*votes, "Wawa"); !overlap) return overlap.error();

  const Consensus majority = Concluded(*votes, internal::VoteShares(*votes));
  std::vector<double> agreed(in.workers);
  for (std::size_t i = 0; i < in.items; ++i) {
    const auto label = static_cast<std::size_t>(majority.label[i]);
    for (const std::uint32_t vote : votes->of(i)) {
      agreed[votes->WorkerOf(vote)] += votes->LabelOf(vote) == label ? 1 : 0;
    }
  }
  const auto cast = votes->VotesOfWorkers();
  for (std::size_t w = 0; w < in.workers; ++w) {
    agreed[w] = cast[w] > 0 ? agreed[w] / static_cast<double>(cast[w]) : 0;
  }
  Consensus consensus = Weighted(*votes, agreed);
  consensus.quality = std::move(agreed);
  return consensus;
}

}  // namespace tidewheel::labels
