#include "tidewheel/labeling/domain/queue.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

namespace tidewheel::labeling {
namespace {

constexpr std::array<std::pair<ItemState, std::string_view>, 5> kItemStates{{
    {ItemState::kWaiting, "waiting"},
    {ItemState::kLeased, "leased"},
    {ItemState::kAnswered, "answered"},
    {ItemState::kUnjudged, "unjudged"},
    {ItemState::kCancelled, "cancelled"},
}};

/// How many items and known items `votes` suffice for.
std::pair<std::size_t, std::size_t> WithinBudget(std::size_t items, double gold_share,
                                                 std::uint32_t votes_wanted,
                                                 std::uint32_t max_votes) {
  const auto gold_for = [gold_share](std::size_t asked) {
    return static_cast<std::size_t>(std::lround(static_cast<double>(asked) * gold_share));
  };
  if (max_votes == 0) return {items, gold_for(items)};
  const std::size_t places = max_votes / std::max(1U, votes_wanted);
  std::size_t asked = std::min(items, places);
  while (asked > 0 && asked + gold_for(asked) > places) --asked;
  return {asked, gold_for(asked)};
}

}  // namespace

std::string_view Name(BatchState state) {
  switch (state) {
    case BatchState::kOpen:
      return "open";
    case BatchState::kComplete:
      return "complete";
    case BatchState::kCancelled:
      return "cancelled";
  }
  return "open";
}

std::string_view Name(ItemState state) {
  for (const auto& [known, name] : kItemStates) {
    if (known == state) return name;
  }
  return "waiting";
}

std::optional<ItemState> ParseItemState(std::string_view name) {
  for (const auto& [state, known] : kItemStates) {
    if (known == name) return state;
  }
  return std::nullopt;
}

Choice ChooseItems(const NewBatch& batch, const std::vector<SampleFacts>& facts) {
  std::vector<std::size_t> order(batch.items.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&batch](std::size_t a, std::size_t b) {
    return batch.items[a].priority > batch.items[b].priority;
  });

  Choice choice;
  std::set<SampleId> asked;
  std::set<std::string> looks_asked;
  for (const std::size_t place : order) {
    const SampleFacts& sample = facts[place];
    const SampleId& id = batch.items[place].sample_id;
    if (sample.queued || asked.contains(id)) {
      ++choice.skipped["queued"];
    } else if (!sample.active) {
      ++choice.skipped["deactivated"];
    } else if (batch.ask_again) {
      asked.insert(id);
      choice.items.push_back(place);
    } else if (sample.labeled) {
      ++choice.skipped["labeled"];
    } else if (!sample.look_alikes.empty() &&
               (sample.look_alike_labeled || sample.look_alike_queued ||
                !looks_asked.insert(sample.look_alikes).second)) {
      ++choice.skipped["near_duplicate"];
    } else {
      asked.insert(id);
      choice.items.push_back(place);
    }
  }

  const auto [kept, gold] =
      WithinBudget(choice.items.size(), batch.gold_share, batch.votes_wanted, batch.max_votes);
  if (kept < choice.items.size()) {
    choice.skipped["budget"] = static_cast<std::uint32_t>(choice.items.size() - kept);
    choice.items.resize(kept);
  }
  choice.gold = gold;
  return choice;
}

VoteDecision Decide(const LeasedVote& vote, const std::string& annotator, const LeaseFacts* lease) {
  using Kind = VoteDecision::Kind;
  const auto rejected = [](std::string reason) {
    return VoteDecision{Kind::kRejected, std::move(reason)};
  };
  if (lease == nullptr) return rejected("no lease " + vote.lease_id.text().substr(0, 64));
  if (lease->annotator != annotator) {
    return rejected("lease " + vote.lease_id.text() + " is \"" + lease->annotator + "\"'s, not \"" +
                    annotator + "\"'s");
  }
  if (lease->state == LeaseState::kAnswered) {
    if (lease->class_name == vote.class_name) return {Kind::kUnchanged, {}};
    return rejected("it was answered with \"" + lease->class_name + "\"");
  }
  if (lease->state == LeaseState::kDeclined) {
    return rejected("it was given back as one that cannot be judged");
  }
  if (lease->declined_or_answered_elsewhere) {
    return rejected("this annotator has dealt with the sample under another lease");
  }
  switch (lease->item_state) {
    case ItemState::kCancelled:
      return rejected("batch " + lease->batch_id + " was cancelled");
    case ItemState::kAnswered:
      return rejected("the sample has all its " + std::to_string(lease->votes_wanted) +
                      " votes: the lease had run out, or another's had");
    case ItemState::kUnjudged:
      return rejected("the sample was put aside as one that cannot be judged");
    case ItemState::kWaiting:
    case ItemState::kLeased:
      break;
  }
  return {Kind::kCounts, {}};
}

}  // namespace tidewheel::labeling
