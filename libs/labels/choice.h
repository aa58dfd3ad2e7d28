#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/labels/consensus.h"
#include "tidewheel/labels/dawid_skene.h"
#include "tidewheel/labels/glad.h"
#include "tidewheel/labels/mace.h"
#include "tidewheel/labels/one_coin.h"
#include "tidewheel/labels/votes.h"
#include "tidewheel/stats/intervals.h"

namespace tidewheel::labels {

/// From the simplest on: of equally good ones the simpler is chosen.
enum class ConsensusMethod { kMajority, kWawa, kOneCoin, kDawidSkene, kGlad, kMace };

inline constexpr ConsensusMethod kAllConsensusMethods[] = {
    ConsensusMethod::kMajority,   ConsensusMethod::kWawa, ConsensusMethod::kOneCoin,
    ConsensusMethod::kDawidSkene, ConsensusMethod::kGlad, ConsensusMethod::kMace};

/// "majority", "wawa", "one-coin", "dawid-skene", "glad", "mace".
std::string_view Name(ConsensusMethod method);

struct ConsensusOptions {
  DawidSkeneOptions dawid_skene;
  OneCoinOptions one_coin;
  GladOptions glad;
  MaceOptions mace;
};

/// What the votes amount to by one method. Errors as the method's own.
Result<Consensus> FindConsensus(const Votes& votes, ConsensusMethod method,
                                const ConsensusOptions& options = {});

struct ChoiceOptions {
  std::vector<ConsensusMethod> methods{std::begin(kAllConsensusMethods),
                                       std::end(kAllConsensusMethods)};
  double confidence = 0.95;  // Of the intervals; a difference counts when p < 1 - confidence.
  std::size_t min_trials = 10;
  std::size_t folds = 5;   // Held-out only: each vote is hidden once, with a fifth of the others.
  std::uint64_t seed = 0;  // Held-out only: which votes are hidden together.
  ConsensusOptions consensus;
};

/// How one method did.
struct Candidate {
  ConsensusMethod method = ConsensusMethod::kMajority;
  bool applies = true;  // False where the method answered with an error.
  std::string why_not;  // That error.
  double score = 0;     // Share of the trials that it got right.
  stats::Interval interval;
  double agreement = 0;  // Held-out only: share of the hidden votes that equal the label.
  double p_value = 1;    // Of the paired difference to the chosen method; 1 for itself.
};

enum class ChoiceBasis { kGoldItems, kHeldOutVotes };

/// Never only a winner: every candidate, and why.
struct MethodChoice {
  ChoiceBasis basis = ChoiceBasis::kGoldItems;
  ConsensusMethod method = ConsensusMethod::kMajority;  // The best score; of equals the simplest.
  /// The chosen method is better than each other one beyond chance.
  bool decisive = false;
  std::size_t trials = 0;             // Gold items or hidden votes.
  std::vector<Candidate> candidates;  // In the order asked for.
  std::string reason;  // One paragraph for people: the scores and what is beyond chance.
};

/// By accuracy on items whose true class is known: Wilson intervals, and McNemar's test for the
/// paired differences. The true labels must not be among the votes. Gold items without votes are
/// left out. kInvalidArgument: spans of different lengths, an item or label out of range or named
/// twice, no methods, a method asked for twice, confidence not within 0 to 1.
/// kFailedPrecondition: fewer than min_trials items, or no method applies.
Result<MethodChoice> ChooseByGoldItems(const Votes& votes, std::span<const std::int32_t> gold_item,
                                       std::span<const std::int32_t> gold_label,
                                       const ChoiceOptions& options = {});

/// Without gold: by how well the consensus of the other votes predicts hidden ones. What is
/// predicted is what this worker would say, by the posterior of the item and by the worker's
/// confusion counted from the same posteriors (two more votes shared out as all workers' are);
/// whoever merely repeats the crowd would else win where many err alike, as `agreement` shows.
/// Votes whose item has no other left are not trials. Intervals and paired differences are normal
/// approximations that take the votes of an item for one draw. Seeded. Each method runs `folds`
/// times. Errors as above, and kInvalidArgument for fewer than two folds.
Result<MethodChoice> ChooseByHeldOutVotes(const Votes& votes, const ChoiceOptions& options = {});

}  // namespace tidewheel::labels
