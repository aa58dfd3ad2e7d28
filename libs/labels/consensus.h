#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tidewheel::labels {

/// What votes amount to, whatever the method.
///
/// Ties: classes whose posteriors lie within 1e-12 of the largest are tied; the label is the one
/// with the larger prior, then the one with the smaller index. An item without votes gets the prior
/// for its posterior.
struct Consensus {
  std::vector<double> posterior;  // items x classes; rows sum to 1.
  std::vector<double> prior;      // classes; the mean posterior of the items with votes.
  std::vector<double>
      confusion;                // workers x classes x classes: P(vote | true class), rows sum to 1.
  std::vector<double> quality;  // workers: probability of a right vote, weighted by the prior.
  std::vector<std::int32_t> label;  // items: the class of the largest posterior.
  std::vector<std::uint8_t> tied;   // items: 1 where several classes had it.
  std::size_t ties = 0;
  std::uint32_t rounds = 0;   // Of expectation and maximisation; 0 for majority.
  bool converged = true;      // False where the rounds ran out first.
  double log_likelihood = 0;  // Of the votes under the last parameters; 0 for majority.
};

}  // namespace tidewheel::labels
