#pragma once

#include <cstdint>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/labels/consensus.h"
#include "tidewheel/labels/votes.h"

namespace tidewheel::labels {

struct MaceOptions {
  std::uint32_t restarts = 10;  // From different random parameters; the likeliest end is taken.
  std::uint32_t rounds = 50;    // Of each, at most.
  double tolerance = 1e-9;      // Stops when the log-likelihood per vote changes by less.
  std::uint64_t seed = 0;
  double noise = 0.5;          // Starting weights are uniform in 1 to 1 + noise.
  bool estimate_prior = true;  // Of the classes; else they are alike, as in the paper.
  /// Variational Bayes with the paper's priors, Beta(0.5, 0.5) on knowing and Dirichlet(10) on how
  /// a worker guesses; else counts smoothed by 0.01 / classes.
  bool variational = false;
  double beta_prior = 0.5;      // At least 0.01.
  double dirichlet_prior = 10;  // At least 0.01.
};

struct MaceConsensus {
  Consensus consensus;
  std::vector<double> competence;  // workers: how often they know, and do not guess.
  std::vector<double> guesses;     // workers x classes: what they guess; rows sum to 1.
  std::vector<double> restarts;    // The log-likelihood that each restart came to.
  std::size_t best = 0;  // The restart that was taken: the likeliest, of equals the first.
};

/// MACE (Hovy, Berg-Kirkpatrick, Vaswani, Hovy, NAACL 2013): a worker either knows the truth or
/// guesses in a way of their own. `confusion` is that of this model. `log_likelihood` is that of
/// the votes under the parameters; with variational Bayes these are its geometric means, which sum
/// to less than 1. Deterministic by the seed. O(votes + items x classes) a round. kInvalidArgument:
/// an option out of its range (named). kFailedPrecondition: no item has votes of two workers.
Result<MaceConsensus> Mace(const Votes& votes, const MaceOptions& options = {});

}  // namespace tidewheel::labels
