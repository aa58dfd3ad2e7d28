#pragma once

#include <cstdint>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/labels/consensus.h"
#include "tidewheel/labels/votes.h"

namespace tidewheel::labels {

/// A worker whose confusion is known and not to be learned, such as an expert who made gold labels.
struct KnownWorker {
  std::int32_t worker = 0;
  /// classes x classes: P(vote | true class), rows sum to 1. What is below 1e-9 counts as 1e-9, so
  /// that two known workers who contradict each other leave something possible.
  std::vector<double> confusion;
};

/// A known worker who is right with probability `accuracy` in [1 / classes, 1], and otherwise wrong
/// in every way alike.
KnownWorker GoldWorker(std::int32_t worker, std::size_t classes, double accuracy = 1);

struct DawidSkeneOptions {
  double smoothing = 0.01;  // Added to every count of a confusion matrix; at least 1e-30.
  /// Votes, of each class, by which a worker is taken to be right before any of theirs is seen:
  /// added to the diagonal of every confusion matrix. 0: what a worker says of a class that they
  /// were never seen with may mean anything, and unanimous votes may be explained away.
  double right_before = 0;
  std::uint32_t rounds = 100;      // At most.
  double tolerance = 1e-9;         // Stops when the log-likelihood per vote changes by less.
  std::vector<KnownWorker> known;  // Their items start from their votes, not from all vote shares.
  /// Go on where no item has votes of two workers and none is known: the votes are then their own
  /// consensus, and the quality of a worker says nothing.
  bool without_overlap = false;
};

/// Dawid and Skene (1979): expectation-maximisation over the true classes and one confusion matrix
/// a worker, from the vote shares, in logarithms. With smoothing s it climbs the log-likelihood
/// plus s times the sum of the logarithms of all confusions (and right_before times those of being
/// right: a Dirichlet prior). Deterministic, and the same bits for
/// any order of the votes on any processor. O(votes x classes) a round; memory for items x classes
/// and 2 x workers x classes^2 numbers. kInvalidArgument: an option out of its range (named), a
/// known worker that is out of range, named twice or without a matrix of shares.
/// kFailedPrecondition: no item has votes of two workers (see without_overlap).
Result<Consensus> DawidSkene(const Votes& votes, const DawidSkeneOptions& options = {});

}  // namespace tidewheel::labels
