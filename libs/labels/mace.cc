#include "tidewheel/labels/mace.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "tidewheel/base/random.h"
#include "tidewheel/labels/internal/conclude.h"
#include "tidewheel/labels/internal/packed_votes.h"
#include "tidewheel/labels/internal/softmax_rows.h"

namespace tidewheel::labels {
namespace {

using internal::PackedVotes;

/// e to the logarithmic derivative of the gamma function, x > 0: recurrence up to 10, as one
/// fraction, then Stirling's series (Abramowitz, Stegun 6.3.5, 6.3.18), whose logarithm needs none.
/// To 1e-14.
double ExpDigamma(double x) {
  double over = 0;
  double under = 1;
  for (; x < 10; x += 1) {
    over = over * x + under;
    under *= x;
  }
  const double z = 1 / (x * x);
  const double series =
      z * (1.0 / 12 - z * (1.0 / 120 -
                           z * (1.0 / 252 -
                                z * (1.0 / 240 - z * (1.0 / 132 - z * (691.0 / 32760 - z / 12))))));
  return x * std::exp(-0.5 / x - series - over / under);
}

/// What a worker's votes for one label are like.
struct Row {
  double guess = 0;    // How often a guess is this label.
  double gain = 0;     // Logarithm of how much likelier the vote is where the label is true.
  double known = 0;    // How often such a vote is knowledge where the label is true.
  double guessed = 0;  // Expected number of guesses among these votes.
};

/// What no restart changes.
struct Ballot {
  explicit Ballot(const PackedVotes& packed)
      : votes(packed), label(packed.size()), cast(packed.table_rows()) {
    for (std::size_t v = 0; v < votes.size(); ++v) {
      label[v] = static_cast<std::uint32_t>(votes.LabelOf(votes.rows()[v]));
      cast[votes.rows()[v]] += 1;
    }
    for (std::size_t i = 0; i < votes.items(); ++i) voted += votes.of(i).empty() ? 0 : 1;
  }

  const PackedVotes& votes;
  std::vector<std::uint32_t> label;  // Of each vote.
  std::vector<double> cast;          // Votes by row of the table.
  std::size_t voted = 0;             // Items with votes.
};

/// One way to explain the votes, which rounds make better.
class Model {
 public:
  Model(const Ballot& ballot, const MaceOptions& options, Random* random)
      : ballot_(&ballot),
        knows_(ballot.votes.workers()),
        guesses_(ballot.votes.workers()),
        row_(ballot.votes.table_rows()),
        log_prior_(ballot.votes.classes(), -std::log(static_cast<double>(ballot.votes.classes()))) {
    const std::size_t classes = ballot.votes.classes();
    const auto draw = [&] { return 1 + options.noise * random->Uniform(); };
    for (std::size_t w = 0; w < knows_.size(); ++w) {
      guesses_[w] = draw();
      knows_[w] = draw();
      const double both = guesses_[w] + knows_[w];
      guesses_[w] /= both;
      knows_[w] /= both;
      double sum = 0;
      for (std::size_t l = 0; l < classes; ++l) sum += row_[w * classes + l].guess = draw();
      for (std::size_t l = 0; l < classes; ++l) row_[w * classes + l].guess /= sum;
    }
  }

  /// New posteriors in place; returns the log-likelihood of the votes.
  double Expect(std::vector<double>* posterior) {
    const PackedVotes& votes = ballot_->votes;
    const std::size_t classes = votes.classes();
    double sure = 0;
    for (std::size_t w = 0; w < knows_.size(); ++w) {
      for (std::size_t r = w * classes; r < (w + 1) * classes; ++r) {
        Row& row = row_[r];
        row.guessed = 0;
        if (ballot_->cast[r] == 0) continue;
        const double guessed = guesses_[w] * row.guess;
        row.known = knows_[w] / (guessed + knows_[w]);
        row.gain = std::log1p(knows_[w] / guessed);
        sure += ballot_->cast[r] * std::log(guessed);
      }
    }
    const std::span<const std::uint32_t> begin = votes.begin();
    const std::span<const std::uint32_t> rows = votes.rows();
    for (std::size_t i = 0; i < votes.items(); ++i) {
      double* const p = posterior->data() + i * classes;
      const bool voted = begin[i] < begin[i + 1];
      for (std::size_t k = 0; k < classes; ++k) p[k] = voted ? log_prior_[k] : 0;
      // An item without votes is not data: its row must add nothing to the likelihood.
      if (!voted) sure -= std::log(static_cast<double>(classes));
      for (std::uint32_t v = begin[i]; v < begin[i + 1]; ++v) {
        p[ballot_->label[v]] += row_[rows[v]].gain;
      }
    }
    const double log_likelihood =
        sure + internal::SoftmaxRows(posterior->data(), votes.items(), classes);
    for (std::size_t i = 0; i < votes.items(); ++i) {
      const double* const p = posterior->data() + i * classes;
      for (std::uint32_t v = begin[i]; v < begin[i + 1]; ++v) {
        Row& row = row_[rows[v]];
        row.guessed += 1 - p[ballot_->label[v]] * row.known;
      }
    }
    return log_likelihood;
  }

  void Maximise(const MaceOptions& options, std::span<const double> posterior) {
    const std::size_t classes = ballot_->votes.classes();
    const double smoothing = 0.01 / static_cast<double>(classes);
    const auto share = [&](double count, double prior) {
      return options.variational ? ExpDigamma(count + prior) : count + smoothing;
    };
    const auto whole = [&](double count, double prior, double parts) {
      return options.variational ? ExpDigamma(count + prior * parts) : count + smoothing * parts;
    };
    for (std::size_t w = 0; w < knows_.size(); ++w) {
      double cast = 0;
      double guessed = 0;
      for (std::size_t r = w * classes; r < (w + 1) * classes; ++r) {
        cast += ballot_->cast[r];
        guessed += row_[r].guessed;
      }
      // Sums of many shares may end a rounding error beyond the number of votes.
      const double known = std::max(cast - guessed, 0.0);
      const double both = whole(guessed + known, options.beta_prior, 2);
      guesses_[w] = share(guessed, options.beta_prior) / both;
      knows_[w] = share(known, options.beta_prior) / both;
      const double all = whole(guessed, options.dirichlet_prior, static_cast<double>(classes));
      for (std::size_t r = w * classes; r < (w + 1) * classes; ++r) {
        row_[r].guess = share(row_[r].guessed, options.dirichlet_prior) / all;
      }
    }
    if (!options.estimate_prior) return;
    std::fill(log_prior_.begin(), log_prior_.end(), 0.0);
    for (std::size_t i = 0; i < ballot_->votes.items(); ++i) {
      if (ballot_->votes.of(i).empty()) continue;
      for (std::size_t k = 0; k < classes; ++k) log_prior_[k] += posterior[i * classes + k];
    }
    for (double& sum : log_prior_) sum = std::log(sum / static_cast<double>(ballot_->voted));
  }

  void Conclude(MaceConsensus* result) const {
    const std::size_t classes = ballot_->votes.classes();
    result->consensus.confusion.resize(row_.size() * classes);
    for (std::size_t w = 0; w < knows_.size(); ++w) {
      // Geometric means sum to less than 1.
      const double competence = knows_[w] / (knows_[w] + guesses_[w]);
      double sum = 0;
      for (std::size_t l = 0; l < classes; ++l) sum += row_[w * classes + l].guess;
      result->competence.push_back(competence);
      for (std::size_t l = 0; l < classes; ++l) {
        const double guess = row_[w * classes + l].guess / sum;
        result->guesses.push_back(guess);
        for (std::size_t k = 0; k < classes; ++k) {
          result->consensus.confusion[(w * classes + k) * classes + l] =
              (1 - competence) * guess + (k == l ? competence : 0);
        }
      }
    }
  }

 private:
  const Ballot* ballot_;
  std::vector<double> knows_;    // How often each worker knows,
  std::vector<double> guesses_;  // and guesses.
  std::vector<Row> row_;
  std::vector<double> log_prior_;
};

bool InRange(const MaceOptions& options) {
  // Below, a count of 0 would be a probability of 0.
  const auto is_prior = [](double value) { return value >= 0.01 && std::isfinite(value); };
  return options.restarts > 0 && options.rounds > 0 && options.tolerance >= 0 &&
         options.noise >= 0 && std::isfinite(options.noise) && is_prior(options.beta_prior) &&
         is_prior(options.dirichlet_prior);
}

}  // namespace

Result<MaceConsensus> Mace(const Votes& in, const MaceOptions& options) {
  if (!InRange(options)) {
    return Error{ErrorCode::kInvalidArgument,
                 "MACE needs a restart, a round, a tolerance and a noise of 0 or more, and priors "
                 "of 0.01 or more"};
  }
  const auto votes = PackedVotes::Of(in);
  if (!votes) return votes.error();
  if (const auto fits = internal::NeedConfusionToFit(*votes); !fits) return fits.error();
  if (const auto overlap = internal::NeedOverlap(*votes, "MACE"); !overlap) return overlap.error();

  const Ballot ballot(*votes);
  const double enough = options.tolerance * static_cast<double>(votes->size());
  Random random(options.seed);
  MaceConsensus result;
  std::vector<Model> taken;  // None or one.
  std::vector<double> posterior(in.items * in.classes);
  for (std::uint32_t restart = 0; restart < options.restarts; ++restart) {
    Model model(ballot, options, &random);
    double log_likelihood = model.Expect(&posterior);
    bool converged = false;
    std::uint32_t round = 0;
    while (!converged && round < options.rounds) {
      model.Maximise(options, posterior);
      const double before = log_likelihood;
      log_likelihood = model.Expect(&posterior);
      ++round;
      converged = std::abs(log_likelihood - before) <= enough;
    }
    result.restarts.push_back(log_likelihood);
    if (!taken.empty() && !(log_likelihood > result.consensus.log_likelihood)) continue;
    taken.assign(1, std::move(model));
    result.best = restart;
    result.consensus.log_likelihood = log_likelihood;
    result.consensus.rounds = round;
    result.consensus.converged = converged;
    result.consensus.posterior = posterior;
  }
  Consensus& consensus = result.consensus;
  consensus.prior = internal::MeanPosterior(*votes, consensus.posterior);
  taken.front().Conclude(&result);
  internal::FillQuality(*votes, &consensus);
  internal::FillLabels(*votes, &consensus);
  return result;
}

}  // namespace tidewheel::labels
