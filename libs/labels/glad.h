#pragma once

#include <cstdint>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/labels/consensus.h"
#include "tidewheel/labels/votes.h"

namespace tidewheel::labels {

struct GladOptions {
  std::uint32_t rounds = 100;   // Of expectation and maximisation, at most.
  std::uint32_t steps = 1;      // Ascents of all abilities and all difficulties in a maximisation.
  double tolerance = 1e-7;      // Stops when the objective per vote grows by less.
  bool estimate_prior = false;  // Of the classes; else they are alike, as in the paper.
};

struct GladConsensus {
  Consensus consensus;
  std::vector<double> ability;  // workers: 1 is usual, 0 is chance, below 0 is against the truth.
  std::vector<double> difficulty;  // items: above 0; exp(-1) is usual.
  double objective = 0;  // Log-likelihood plus the logarithms of the priors, up to a constant.
};

/// GLAD (Whitehill, Ruvolo, Wu, Bergsma, Movellan, NIPS 2009) for any number of classes: a worker
/// of ability a is right on an item of difficulty d with probability 1 / (1 + exp(-a / d)),
/// otherwise wrong in every way alike. Abilities have the prior N(1, 1), and so have the negative
/// logarithms of difficulties. Expectation-maximisation from abilities and logarithms of 1; the
/// maximisation climbs by Newton's steps, one ability or one difficulty at a time, halved where the
/// objective would fall, so that it never falls. `quality` and `confusion` are counted from the
/// posterior. Deterministic, the same bits for any order of the votes. O(steps x votes + items x
/// classes) a round. kInvalidArgument: an option out of its range (named). kFailedPrecondition: no
/// item has votes of two workers.
Result<GladConsensus> Glad(const Votes& votes, const GladOptions& options = {});

}  // namespace tidewheel::labels
