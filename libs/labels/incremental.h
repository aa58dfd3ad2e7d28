#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/labels/consensus.h"
#include "tidewheel/labels/dawid_skene.h"
#include "tidewheel/labels/votes.h"

namespace tidewheel::labels {

/// Dawid-Skene that grows vote by vote. A vote moves the posterior of its item at once, under what
/// was known of the workers and classes at the last Refit(); that is the batch's expectation, for
/// one item. Refit() is a full pass: what DawidSkene() says of all votes so far, to the bit.
///
/// Before the first Refit() posteriors are vote shares. Afterwards a worker who had no votes then
/// is taken for a usual one (the mean confusion, each worker weighted by their votes), unless
/// known. Items and workers need not be announced. Not thread-safe.
class IncrementalDawidSkene {
 public:
  /// kInvalidArgument: fewer than two classes or more than 32,768, or an option out of its range.
  /// Known workers may be named before their first vote.
  static Result<IncrementalDawidSkene> Create(std::size_t classes, DawidSkeneOptions options = {});

  /// O(classes), and memory for the vote and for every item up to its own. kInvalidArgument: an
  /// index below 0 or from `kMost` on, more than 2^30 posteriors, or a label out of range. An
  /// abstention changes nothing.
  Result<void> Add(std::int32_t item, std::int32_t worker, std::int32_t label);

  /// The full pass. Where it fails (kFailedPrecondition: see DawidSkene) nothing changes.
  Result<void> Refit();

  std::size_t items() const { return items_; }
  std::size_t workers() const { return workers_; }
  std::size_t classes() const { return classes_; }
  std::size_t votes() const { return item_.size(); }
  std::size_t votes_since_refit() const { return item_.size() - votes_at_refit_; }

  /// Of an item below items(); without votes the prior, or equal shares where there is none yet.
  std::span<const double> Posterior(std::size_t item) const;
  /// The class of the largest posterior under the tie rule of Consensus.
  std::int32_t Label(std::size_t item) const;
  /// What the last Refit() came to; nothing before the first.
  const Consensus& fitted() const { return fitted_; }

  static constexpr std::int32_t kMost = 1 << 30;

 private:
  IncrementalDawidSkene(std::size_t classes, DawidSkeneOptions options);

  /// log P(label | class) over the classes, of one worker and label.
  std::span<const double> LogsOf(std::size_t worker, std::size_t label) const;
  void MakeRoomFor(std::size_t item, std::size_t worker);
  void AddUp(std::size_t item, std::size_t worker, std::size_t label);

  std::size_t classes_;
  DawidSkeneOptions options_;
  std::size_t items_ = 0;
  std::size_t workers_ = 0;
  std::vector<std::int32_t> item_, worker_, label_;  // All votes.
  std::size_t votes_at_refit_ = 0;
  Consensus fitted_;
  std::vector<double> prior_;  // Equal shares before the first Refit().
  std::vector<double> log_prior_;
  std::vector<double> logs_;  // Of fitted workers: x labels x classes.
  std::vector<std::uint8_t> has_logs_;
  std::vector<double> usual_logs_;  // labels x classes.
  std::vector<double> sums_;        // items x classes: log-likelihoods, or counts before a Refit().
  std::vector<double> posterior_;   // items x classes.
};

}  // namespace tidewheel::labels
