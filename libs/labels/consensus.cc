#include "tidewheel/labels/consensus.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace tidewheel::labels {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> Check(const Votes& votes) {
  if (votes.classes < 2)
    return Bad("votes are for at least 2 classes, not " + std::to_string(votes.classes));
  if (votes.item.empty()) return Bad("there are no votes");
  if (votes.item.size() != votes.worker.size() || votes.item.size() != votes.label.size()) {
    return Bad("votes have " + std::to_string(votes.item.size()) + " items, " +
               std::to_string(votes.worker.size()) + " workers and " +
               std::to_string(votes.label.size()) + " labels");
  }
  const auto in_range = [](std::int32_t index, std::size_t size) {
    return index >= 0 && static_cast<std::size_t>(index) < size;
  };
  for (std::size_t v = 0; v < votes.item.size(); ++v) {
    if (!in_range(votes.item[v], votes.items) || !in_range(votes.worker[v], votes.workers) ||
        !in_range(votes.label[v], votes.classes)) {
      return Bad("vote " + std::to_string(v) + " (item " + std::to_string(votes.item[v]) +
                 ", worker " + std::to_string(votes.worker[v]) + ", label " +
                 std::to_string(votes.label[v]) + ") is out of range");
    }
  }
  return {};
}

/// One vote in the order of items.
struct PackedVote {
  std::uint32_t worker = 0;
  std::uint32_t label = 0;
};

/// Votes sorted by item, so that a pass touches each posterior once.
struct VotesByItem {
  std::vector<std::size_t> begin;  // items + 1
  std::vector<PackedVote> votes;

  explicit VotesByItem(const Votes& in) : begin(in.items + 1), votes(in.item.size()) {
    for (const std::int32_t item : in.item) ++begin[static_cast<std::size_t>(item) + 1];
    for (std::size_t i = 0; i < in.items; ++i) begin[i + 1] += begin[i];
    std::vector<std::size_t> next(begin.begin(), begin.end() - 1);
    for (std::size_t v = 0; v < in.item.size(); ++v) {
      votes[next[static_cast<std::size_t>(in.item[v])]++] = {
          static_cast<std::uint32_t>(in.worker[v]), static_cast<std::uint32_t>(in.label[v])};
    }
  }
  std::span<const PackedVote> of(std::size_t item) const {
    return std::span(votes).subspan(begin[item], begin[item + 1] - begin[item]);
  }
};

/// Vote shares; zero rows where there are no votes.
std::vector<double> Shares(const VotesByItem& votes, std::size_t items, std::size_t classes) {
  std::vector<double> shares(items * classes);
  for (std::size_t i = 0; i < items; ++i) {
    const auto cast = votes.of(i);
    // Whole counts first: thirds would not add up to equal sums for equal votes.
    for (const auto& vote : cast) shares[i * classes + vote.label] += 1;
    for (std::size_t k = 0; k < classes; ++k) {
      if (!cast.empty()) shares[i * classes + k] /= static_cast<double>(cast.size());
    }
  }
  return shares;
}

std::vector<double> PriorOf(const VotesByItem& votes, std::span<const double> posterior,
                            std::size_t items, std::size_t classes) {
  std::vector<double> prior(classes);
  std::size_t voted = 0;
  for (std::size_t i = 0; i < items; ++i) {
    if (votes.of(i).empty()) continue;
    ++voted;
    for (std::size_t k = 0; k < classes; ++k) prior[k] += posterior[i * classes + k];
  }
  for (double& share : prior) share /= static_cast<double>(voted);
  return prior;
}

/// workers x labels x classes, so that a vote's row over the classes is contiguous.
std::vector<double> ConfusionByLabel(const VotesByItem& votes, std::span<const double> posterior,
                                     const Votes& in, double smoothing) {
  const std::size_t classes = in.classes;
  std::vector<double> confusion(in.workers * classes * classes, smoothing);
  for (std::size_t i = 0; i < in.items; ++i) {
    const double* p = posterior.data() + i * classes;
    for (const auto& vote : votes.of(i)) {
      double* row = confusion.data() + (vote.worker * classes + vote.label) * classes;
      for (std::size_t k = 0; k < classes; ++k) row[k] += p[k];
    }
  }
  for (std::size_t w = 0; w < in.workers; ++w) {
    for (std::size_t k = 0; k < classes; ++k) {
      double sum = 0;
      for (std::size_t l = 0; l < classes; ++l) sum += confusion[(w * classes + l) * classes + k];
      for (std::size_t l = 0; l < classes; ++l) {
        double& value = confusion[(w * classes + l) * classes + k];
        value = sum > 0 ? value / sum : 1 / static_cast<double>(classes);
      }
    }
  }
  return confusion;
}

/// Fills what follows from the posterior and the confusion.
void Conclude(const VotesByItem& votes, const Votes& in, const std::vector<double>& by_label,
              Consensus* consensus) {
  const std::size_t classes = in.classes;
  consensus->confusion.resize(by_label.size());
  consensus->quality.assign(in.workers, 0);
  for (std::size_t w = 0; w < in.workers; ++w) {
    for (std::size_t k = 0; k < classes; ++k) {
      for (std::size_t l = 0; l < classes; ++l) {
        consensus->confusion[(w * classes + k) * classes + l] =
            by_label[(w * classes + l) * classes + k];
      }
      consensus->quality[w] += consensus->prior[k] * by_label[(w * classes + k) * classes + k];
    }
  }
  consensus->label.resize(in.items);
  consensus->tied.assign(in.items, 0);
  for (std::size_t i = 0; i < in.items; ++i) {
    double* p = consensus->posterior.data() + i * classes;
    if (votes.of(i).empty()) std::copy(consensus->prior.begin(), consensus->prior.end(), p);
    std::size_t best = 0;
    for (std::size_t k = 1; k < classes; ++k) {
      if (p[k] > p[best] || (p[k] == p[best] && consensus->prior[k] > consensus->prior[best]))
        best = k;
    }
    const bool tied = std::count(p, p + classes, p[best]) > 1;
    consensus->label[i] = static_cast<std::int32_t>(best);
    consensus->tied[i] = tied ? 1 : 0;
    consensus->ties += tied ? 1 : 0;
  }
}

/// The E step: new posteriors in place. Returns the log-likelihood of the votes.
double UpdatePosteriors(const VotesByItem& votes, const Votes& in, std::span<const double> prior,
                        std::span<const double> log_confusion, std::span<double> posterior) {
  const std::size_t classes = in.classes;
  std::vector<double> log_prior(classes);
  for (std::size_t k = 0; k < classes; ++k) log_prior[k] = std::log(prior[k]);
  double log_likelihood = 0;
  for (std::size_t i = 0; i < in.items; ++i) {
    const auto cast = votes.of(i);
    if (cast.empty()) continue;
    double* p = posterior.data() + i * classes;
    std::copy(log_prior.begin(), log_prior.end(), p);
    for (const auto& vote : cast) {
      const double* row = log_confusion.data() + (vote.worker * classes + vote.label) * classes;
      for (std::size_t k = 0; k < classes; ++k) p[k] += row[k];
    }
    const double largest = *std::max_element(p, p + classes);
    double sum = 0;
    for (std::size_t k = 0; k < classes; ++k) {
      p[k] = std::exp(p[k] - largest);
      sum += p[k];
    }
    for (std::size_t k = 0; k < classes; ++k) p[k] /= sum;
    log_likelihood += largest + std::log(sum);
  }
  return log_likelihood;
}

}  // namespace

Result<Consensus> Majority(const Votes& in) {
  if (const auto good = Check(in); !good) return good.error();
  const VotesByItem votes(in);
  Consensus consensus;
  consensus.posterior = Shares(votes, in.items, in.classes);
  consensus.prior = PriorOf(votes, consensus.posterior, in.items, in.classes);
  Conclude(votes, in, ConfusionByLabel(votes, consensus.posterior, in, 0), &consensus);
  return consensus;
}

Result<Consensus> DawidSkene(const Votes& in, const DawidSkeneOptions& options) {
  if (const auto good = Check(in); !good) return good.error();
  if (!(options.smoothing > 0) || !(options.tolerance >= 0)) {
    return Bad("Dawid-Skene needs a smoothing above 0 and a tolerance of 0 or more");
  }
  const VotesByItem votes(in);
  Consensus consensus;
  consensus.posterior = Shares(votes, in.items, in.classes);
  std::vector<double> confusion;
  const double enough = options.tolerance * static_cast<double>(in.item.size());
  for (std::uint32_t round = 0; round < options.rounds; ++round) {
    consensus.prior = PriorOf(votes, consensus.posterior, in.items, in.classes);
    confusion = ConfusionByLabel(votes, consensus.posterior, in, options.smoothing);
    std::vector<double> logs(confusion.size());
    std::transform(confusion.begin(), confusion.end(), logs.begin(),
                   [](double value) { return std::log(value); });
    const double before = consensus.log_likelihood;
    consensus.log_likelihood =
        UpdatePosteriors(votes, in, consensus.prior, logs, consensus.posterior);
    consensus.rounds = round + 1;
    if (round > 0 && std::abs(consensus.log_likelihood - before) <= enough) break;
  }
  consensus.prior = PriorOf(votes, consensus.posterior, in.items, in.classes);
  if (confusion.empty())
    confusion = ConfusionByLabel(votes, consensus.posterior, in, options.smoothing);
  Conclude(votes, in, confusion, &consensus);
  return consensus;
}

Result<double> KrippendorffAlpha(const Votes& in) {
  if (const auto good = Check(in); !good) return good.error();
  const VotesByItem votes(in);
  std::vector<double> totals(in.classes);
  double pairable = 0;
  double disagreement = 0;
  for (std::size_t i = 0; i < in.items; ++i) {
    const auto cast = votes.of(i);
    if (cast.size() < 2) continue;
    std::vector<double> counts(in.classes);
    for (const auto& vote : cast) counts[vote.label] += 1;
    const double n = static_cast<double>(cast.size());
    double equal = 0;
    for (std::size_t k = 0; k < in.classes; ++k) {
      equal += counts[k] * (counts[k] - 1);
      totals[k] += counts[k];
    }
    disagreement += (n * (n - 1) - equal) / (n - 1);
    pairable += n;
  }
  if (pairable == 0) {
    return Error{ErrorCode::kFailedPrecondition, "agreement needs an item with two votes"};
  }
  double expected = pairable * (pairable - 1);
  for (const double total : totals) expected -= total * (total - 1);
  if (expected == 0) {
    return Error{ErrorCode::kFailedPrecondition,
                 "agreement is not defined where all votes are equal"};
  }
  return 1 - (pairable - 1) * disagreement / expected;
}

}  // namespace tidewheel::labels
