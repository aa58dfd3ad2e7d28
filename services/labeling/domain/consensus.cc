#include "tidewheel/labeling/domain/consensus.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "tidewheel/labels/dawid_skene.h"
#include "tidewheel/labels/majority.h"

namespace tidewheel::labeling {
namespace {

/// Sums of many shares may end a rounding error beyond 1.
double AsProbability(double value) { return std::clamp(value, 0.0, 1.0); }

labels::Votes ViewOf(const VoteTable& votes) {
  return {.item = votes.item,
          .worker = votes.worker,
          .label = votes.label,
          .items = votes.items,
          .workers = votes.workers,
          .classes = votes.classes};
}

Consensus Concluded(const VoteTable& votes, labels::Consensus found) {
  Consensus consensus;
  consensus.confidence.reserve(votes.items);
  for (std::size_t item = 0; item < votes.items; ++item) {
    const auto label = static_cast<std::size_t>(found.label[item]);
    consensus.confidence.push_back(AsProbability(found.posterior[item * votes.classes + label]));
  }
  consensus.quality.reserve(votes.workers);
  for (const double quality : found.quality) consensus.quality.push_back(AsProbability(quality));
  consensus.label = std::move(found.label);
  consensus.tied = std::move(found.tied);
  consensus.rounds = found.rounds;
  return consensus;
}

// What is known of anybody before a vote: right in 49 of 50. And what that, or all workers
// together, weigh for one, in votes.
constexpr double kRightBefore = 49;
constexpr double kWrongBefore = 1;
constexpr double kBefore = 5;

/// Without it three who agree could be explained away, where none of them was ever seen with what
/// they say.
labels::DawidSkeneOptions OptionsFor(std::size_t classes) {
  labels::DawidSkeneOptions options{.known = {}};
  const double each = kBefore / (kRightBefore + kWrongBefore);
  options.smoothing =
      kWrongBefore * each / static_cast<double>(std::max<std::size_t>(classes, 2) - 1);
  options.right_before = kRightBefore * each - options.smoothing;
  return options;
}

/// Who is how good is learned only where two workers looked at the same item. A lone vote cannot
/// speak for or against its worker: expectation-maximisation over such items explains a rare class
/// away, all of it, as one worker's errors. There the workers are taken as the shared items show
/// them, each drawn towards all of them together as far as its own votes leave it open.
class LoneVotes {
 public:
  explicit LoneVotes(const VoteTable& votes) : votes_(votes), shared_(votes.items, 0) {
    std::vector<std::int32_t> first(votes.items, -1);
    for (std::size_t v = 0; v < votes.item.size(); ++v) {
      const auto item = static_cast<std::size_t>(votes.item[v]);
      if (first[item] < 0) first[item] = votes.worker[v];
      if (first[item] != votes.worker[v]) shared_[item] = 1;
    }
  }

  bool all_shared() const {
    return std::all_of(shared_.begin(), shared_.end(), [](auto shared) { return shared != 0; });
  }
  bool none_shared() const {
    return std::none_of(shared_.begin(), shared_.end(), [](auto shared) { return shared != 0; });
  }

  Result<Consensus> Find() const {
    std::vector<std::size_t> place(votes_.items, 0);
    VoteTable shared{{}, {}, {}, 0, votes_.workers, votes_.classes};
    for (std::size_t item = 0; item < votes_.items; ++item) {
      if (shared_[item] != 0) place[item] = shared.items++;
    }
    for (std::size_t v = 0; v < votes_.item.size(); ++v) {
      const auto item = static_cast<std::size_t>(votes_.item[v]);
      if (shared_[item] == 0) continue;
      shared.item.push_back(static_cast<std::int32_t>(place[item]));
      shared.worker.push_back(votes_.worker[v]);
      shared.label.push_back(votes_.label[v]);
    }
    auto found = labels::DawidSkene(ViewOf(shared), OptionsFor(votes_.classes));
    if (!found) return found.error();
    return Together(shared, *found, place);
  }

 private:
  static constexpr int kRounds = 100;
  static constexpr double kEnough = 1e-9;

  std::size_t At(std::size_t worker, std::size_t truth, std::size_t label) const {
    return (worker * votes_.classes + truth) * votes_.classes + label;
  }

  /// workers x classes x classes: P(vote | class).
  std::vector<double> Confusions(const VoteTable& shared, const labels::Consensus& found) const {
    const std::size_t classes = votes_.classes;
    std::vector<double> counts(votes_.workers * classes * classes, 0);
    std::vector<double> all(
        classes * classes,
        kWrongBefore / static_cast<double>(std::max<std::size_t>(classes, 2) - 1));
    for (std::size_t k = 0; k < classes; ++k) all[k * classes + k] = kRightBefore;
    for (std::size_t v = 0; v < shared.item.size(); ++v) {
      const auto label = static_cast<std::size_t>(shared.label[v]);
      const double* const p =
          found.posterior.data() + static_cast<std::size_t>(shared.item[v]) * classes;
      for (std::size_t k = 0; k < classes; ++k) {
        counts[At(static_cast<std::size_t>(shared.worker[v]), k, label)] += p[k];
        all[k * classes + label] += p[k];
      }
    }
    for (std::size_t k = 0; k < classes; ++k) Normalize({all.data() + k * classes, classes});
    for (std::size_t w = 0; w < votes_.workers; ++w) {
      for (std::size_t k = 0; k < classes; ++k) {
        for (std::size_t l = 0; l < classes; ++l) {
          counts[At(w, k, l)] += kBefore * all[k * classes + l];
        }
        Normalize({counts.data() + At(w, k, 0), classes});
      }
    }
    return counts;
  }

  static void Normalize(std::span<double> shares) {
    double sum = 0;
    for (const double share : shares) sum += share;
    for (double& share : shares) share /= sum;
  }

  Consensus Together(const VoteTable& shared, const labels::Consensus& found,
                     const std::vector<std::size_t>& place) const {
    const std::size_t classes = votes_.classes;
    const auto confusion = Confusions(shared, found);
    std::vector<double> likelihood(votes_.items * classes, 1);
    std::vector<std::uint8_t> voted(votes_.items, 0);
    for (std::size_t v = 0; v < votes_.item.size(); ++v) {
      const auto item = static_cast<std::size_t>(votes_.item[v]);
      voted[item] = 1;
      for (std::size_t k = 0; k < classes; ++k) {
        likelihood[item * classes + k] *=
            confusion[At(static_cast<std::size_t>(votes_.worker[v]), k,
                         static_cast<std::size_t>(votes_.label[v]))];
      }
    }

    // The classes' shares are those of all items.
    std::vector<double> prior = found.prior;
    std::vector<double> posterior(votes_.items * classes);
    Consensus consensus;
    for (int round = 0; round < kRounds; ++round) {
      std::vector<double> sums(classes, 0);
      double items = 0;
      for (std::size_t i = 0; i < votes_.items; ++i) {
        const std::span<double> p(posterior.data() + i * classes, classes);
        for (std::size_t k = 0; k < classes; ++k) {
          p[k] = shared_[i] != 0 ? found.posterior[place[i] * classes + k]
                                 : prior[k] * likelihood[i * classes + k];
        }
        Normalize(p);
        if (voted[i] == 0) continue;
        ++items;
        for (std::size_t k = 0; k < classes; ++k) sums[k] += p[k];
      }
      double moved = 0;
      for (std::size_t k = 0; k < classes; ++k) {
        moved = std::max(moved, std::abs(sums[k] / items - prior[k]));
        prior[k] = sums[k] / items;
      }
      consensus.rounds = found.rounds + static_cast<std::uint32_t>(round) + 1;
      if (moved <= kEnough) break;
    }
    Fill(found, place, prior, posterior, confusion, &consensus);
    return consensus;
  }

  void Fill(const labels::Consensus& found, const std::vector<std::size_t>& place,
            const std::vector<double>& prior, const std::vector<double>& posterior,
            const std::vector<double>& confusion, Consensus* consensus) const {
    constexpr double kTie = 1e-12;
    const std::size_t classes = votes_.classes;
    for (std::size_t i = 0; i < votes_.items; ++i) {
      const double* const p = posterior.data() + i * classes;
      std::size_t best = 0;
      std::uint8_t tied = 0;
      if (shared_[i] != 0) {
        best = static_cast<std::size_t>(found.label[place[i]]);
        tied = found.tied[place[i]];
      } else {
        for (std::size_t k = 1; k < classes; ++k) {
          const bool equal = std::abs(p[k] - p[best]) <= kTie;
          if (equal ? prior[k] > prior[best] : p[k] > p[best]) best = k;
        }
        for (std::size_t k = 0; k < classes; ++k) {
          if (k != best && std::abs(p[k] - p[best]) <= kTie) tied = 1;
        }
      }
      consensus->label.push_back(static_cast<std::int32_t>(best));
      consensus->tied.push_back(tied);
      consensus->confidence.push_back(AsProbability(p[best]));
    }
    for (std::size_t w = 0; w < votes_.workers; ++w) {
      double quality = 0;
      for (std::size_t k = 0; k < classes; ++k) quality += prior[k] * confusion[At(w, k, k)];
      consensus->quality.push_back(AsProbability(quality));
    }
  }

  const VoteTable& votes_;
  std::vector<std::uint8_t> shared_;  // Of each item: two workers voted on it.
};

}  // namespace

Result<Consensus> FindConsensus(const VoteTable& votes, ConsensusMethod method) {
  // First, because it names what is wrong with a table.
  auto majority = labels::Majority(ViewOf(votes));
  if (!majority) return majority.error();
  const LoneVotes lone(votes);
  // A task with one annotator has labels too: theirs.
  if (method == ConsensusMethod::kMajority || lone.none_shared()) {
    return Concluded(votes, *std::move(majority));
  }
  if (!lone.all_shared()) return lone.Find();
  auto found = labels::DawidSkene(ViewOf(votes), OptionsFor(votes.classes));
  if (!found) return found.error();
  return Concluded(votes, *std::move(found));
}

}  // namespace tidewheel::labeling
