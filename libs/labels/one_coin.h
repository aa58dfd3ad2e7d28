#pragma once

#include <cstdint>

#include "tidewheel/base/result.h"
#include "tidewheel/labels/consensus.h"
#include "tidewheel/labels/votes.h"

namespace tidewheel::labels {

struct OneCoinOptions {
  double smoothing = 0.01;     // Added to every count of a confusion matrix; at least 1e-30.
  std::uint32_t rounds = 100;  // At most.
  double tolerance = 1e-9;     // Stops when the log-likelihood per vote changes by less.
};

/// One-coin Dawid-Skene (Zhang, Chen, Zhou, Jordan, JMLR 2016): each worker is right with one
/// probability, whatever the class, and otherwise wrong in every way alike. Fewer parameters than
/// Dawid-Skene, for workers with few votes. Expectation-maximisation from the vote shares, in
/// logarithms; `quality` is that probability. Deterministic, the same bits for any order of the
/// votes. O(votes + items x classes) a round. kInvalidArgument: an option out of its range (named).
/// kFailedPrecondition: no item has votes of two workers.
Result<Consensus> OneCoinDawidSkene(const Votes& votes, const OneCoinOptions& options = {});

}  // namespace tidewheel::labels
