#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/result.h"

namespace tidewheel::labels {

/// Votes as plain numbers: vote v says that `item[v]` is `label[v]`, by `worker[v]`. All indices
/// count from 0. A worker who votes on an item twice counts twice.
struct Votes {
  std::span<const std::int32_t> item;
  std::span<const std::int32_t> worker;
  std::span<const std::int32_t> label;
  std::size_t items = 0;
  std::size_t workers = 0;
  std::size_t classes = 0;
};

/// What votes amount to.
struct Consensus {
  std::vector<double> posterior;  // items x classes; rows sum to 1.
  std::vector<double> prior;      // classes; the mean posterior.
  std::vector<double>
      confusion;                // workers x classes x classes: P(vote | true class), rows sum to 1.
  std::vector<double> quality;  // workers: probability of a right vote, weighted by the prior.
  std::vector<std::int32_t> label;  // items: the class of the largest posterior.
  std::vector<std::uint8_t> tied;   // items: 1 where several classes had it.
  std::size_t ties = 0;
  std::uint32_t rounds = 0;   // Of expectation and maximisation; 0 for majority.
  double log_likelihood = 0;  // Of the votes under the last parameters; 0 for majority.
};

struct DawidSkeneOptions {
  double smoothing = 0.01;     // Added to every count of a confusion matrix.
  std::uint32_t rounds = 100;  // At most.
  double tolerance = 1e-9;     // Stops when the log-likelihood per vote changes by less.
};

/// Shares of the votes. Ties go to the class with the larger prior, then to the smaller index; an
/// item without votes gets the prior. O(votes + items x classes). kInvalidArgument: no votes, spans
/// of different lengths, fewer than two classes, an index out of range.
Result<Consensus> Majority(const Votes& votes);

/// Dawid and Skene (1979): expectation-maximisation over the true classes and one confusion matrix
/// a worker, from the vote shares, in logarithms. Labels, ties and errors as Majority. O(votes x
/// classes) a round, and memory for items x classes and workers x classes^2 numbers.
Result<Consensus> DawidSkene(const Votes& votes, const DawidSkeneOptions& options = {});

/// Krippendorff's alpha for nominal labels (2011): agreement beyond chance, 1 is perfect. Items
/// with one vote say nothing. kFailedPrecondition: no item has two votes, or all votes are equal.
Result<double> KrippendorffAlpha(const Votes& votes);

}  // namespace tidewheel::labels
