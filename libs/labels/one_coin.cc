#include "tidewheel/labels/one_coin.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tidewheel/labels/internal/conclude.h"
#include "tidewheel/labels/internal/packed_votes.h"
#include "tidewheel/labels/internal/softmax_rows.h"

namespace tidewheel::labels {
namespace {

using internal::PackedVotes;

/// Logarithms of how probable a right vote is, and one certain wrong vote.
struct Coin {
  double wrong = 0;
  double gain = 0;  // Of a right vote over a wrong one.
};

class Model {
 public:
  Model(const PackedVotes& votes, double smoothing)
      : votes_(votes),
        smoothing_(smoothing),
        cast_(votes.VotesOfWorkers()),
        right_(votes.workers()),
        coin_(votes.workers()),
        prior_(votes.classes()) {}

  /// What the workers and the classes are like if this is the truth.
  void Learn(std::span<const double> posterior) {
    const std::size_t classes = votes_.classes();
    std::fill(right_.begin(), right_.end(), 0.0);
    for (std::size_t i = 0; i < votes_.items(); ++i) {
      const double* const p = posterior.data() + i * classes;
      for (const std::uint32_t vote : votes_.of(i)) {
        right_[votes_.WorkerOf(vote)] += p[votes_.LabelOf(vote)];
      }
    }
    const double others = static_cast<double>(classes - 1);
    for (std::size_t w = 0; w < coin_.size(); ++w) {
      const double right = right_[w] + smoothing_;
      // Sums of many shares may end a rounding error beyond the number of votes.
      const double wrong = std::max(cast_[w] - right_[w], 0.0) / others + smoothing_;
      coin_[w] = {std::log(wrong / (right + wrong * others)), std::log(right / wrong)};
    }
    prior_ = internal::MeanPosterior(votes_, posterior);
  }

  /// New posteriors in place; returns the log-likelihood of the votes.
  double Expect(std::vector<double>* posterior) const {
    const std::size_t classes = votes_.classes();
    std::vector<double> log_prior(classes);
    for (std::size_t k = 0; k < classes; ++k) log_prior[k] = std::log(prior_[k]);
    double sure = 0;
    for (std::size_t i = 0; i < votes_.items(); ++i) {
      double* const p = posterior->data() + i * classes;
      const auto cast = votes_.of(i);
      for (std::size_t k = 0; k < classes; ++k) p[k] = cast.empty() ? 0 : log_prior[k];
      // An item without votes is not data: its row must add nothing to the likelihood.
      if (cast.empty()) sure -= std::log(static_cast<double>(classes));
      for (const std::uint32_t vote : cast) {
        const Coin& coin = coin_[votes_.WorkerOf(vote)];
        p[votes_.LabelOf(vote)] += coin.gain;
        sure += coin.wrong;
      }
    }
    return sure + internal::SoftmaxRows(posterior->data(), votes_.items(), classes);
  }

  void Conclude(Consensus* consensus) const {
    const std::size_t classes = votes_.classes();
    consensus->prior = internal::MeanPosterior(votes_, consensus->posterior);
    consensus->confusion.resize(votes_.table_rows() * classes);
    consensus->quality.resize(votes_.workers());
    for (std::size_t w = 0; w < votes_.workers(); ++w) {
      const double right = std::exp(coin_[w].wrong + coin_[w].gain);
      consensus->quality[w] = right;
      for (std::size_t k = 0; k < classes; ++k) {
        for (std::size_t l = 0; l < classes; ++l) {
          consensus->confusion[(w * classes + k) * classes + l] =
              k == l ? right : std::exp(coin_[w].wrong);
        }
      }
    }
    internal::FillLabels(votes_, consensus);
  }

 private:
  const PackedVotes& votes_;
  double smoothing_;
  std::vector<std::uint32_t> cast_;
  std::vector<double> right_;
  std::vector<Coin> coin_;
  std::vector<double> prior_;
};

}  // namespace

Result<Consensus> OneCoinDawidSkene(const Votes& in, const OneCoinOptions& options) {
  if (!(options.smoothing >= 1e-30) || !std::isfinite(options.smoothing) ||
      !(options.tolerance >= 0) || options.rounds == 0) {
    return Error{ErrorCode::kInvalidArgument,
                 "one-coin Dawid-Skene needs a smoothing above 0, a tolerance of 0 or more and a "
                 "round"};
  }
  const auto votes = PackedVotes::Of(in);
  if (!votes) return votes.error();
  if (const auto fits = internal::NeedConfusionToFit(*votes); !fits) return fits.error();
  if (const auto overlap = internal::NeedOverlap(*votes, "one-coin Dawid-Skene"); !overlap)
    return overlap.error();

  Consensus consensus;
  consensus.posterior = internal::VoteShares(*votes);
  consensus.converged = false;
  Model model(*votes, options.smoothing);
  const double enough = options.tolerance * static_cast<double>(votes->size());
  while (!consensus.converged && consensus.rounds < options.rounds) {
    model.Learn(consensus.posterior);
    const double before = consensus.log_likelihood;
    consensus.log_likelihood = model.Expect(&consensus.posterior);
    ++consensus.rounds;
    consensus.converged =
        consensus.rounds > 1 && std::abs(consensus.log_likelihood - before) <= enough;
  }
  model.Conclude(&consensus);
  return consensus;
}

}  // namespace tidewheel::labels
