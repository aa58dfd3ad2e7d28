#include "tidewheel/labels/acquisition_queue.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/splits.h"

namespace tidewheel::labels {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> CheckSource(const AcquisitionSource& source, std::size_t candidates) {
  const std::string name = "source \"" + source.name + "\"";
  if (!(source.share > 0 && std::isfinite(source.share))) {
    return Bad(name + ": a share is a number above 0");
  }
  if (source.scores.size() != candidates) {
    return Bad(name + " has " + std::to_string(source.scores.size()) + " scores for " +
               std::to_string(candidates) + " candidates");
  }
  for (std::size_t i = 0; i < candidates; ++i) {
    if (!std::isfinite(source.scores[i])) {
      return Bad(name + ", candidate " + std::to_string(i) + ": the score is not finite");
    }
  }
  return {};
}

Result<void> CheckRequest(const QueueRequest& request) {
  if (request.candidates == 0) return Bad("there are no candidates");
  if (request.candidates >= std::numeric_limits<std::uint32_t>::max()) {
    return Bad("at most 4294967294 candidates, not " + std::to_string(request.candidates));
  }
  if (request.budget == 0) return Bad("the budget is at least 1 item");
  if (!(request.control_share > 0 && request.control_share <= 1)) {
    return Bad("the control's share is above 0 and at most 1");
  }
  if (request.sources.empty() && request.control_share < 1) {
    return Bad("without a source of scores everything is control");
  }
  for (const AcquisitionSource& source : request.sources) {
    if (const auto good = CheckSource(source, request.candidates); !good) return good.error();
  }
  if (!request.clusters.empty() && request.clusters.size() != request.candidates) {
    return Bad(std::to_string(request.clusters.size()) + " clusters for " +
               std::to_string(request.candidates) + " candidates");
  }
  if (request.slices.size() != request.candidates &&
      !(request.slices.empty() && request.quotas.empty())) {
    return Bad(std::to_string(request.slices.size()) + " slices for " +
               std::to_string(request.candidates) + " candidates");
  }
  std::set<std::int32_t> slices;
  std::size_t wanted = 0;
  for (const SliceQuota& quota : request.quotas) {
    if (!slices.insert(quota.slice).second) {
      return Bad("slice " + std::to_string(quota.slice) + " has two quotas");
    }
    if (quota.at_least > request.budget - wanted) {
      return Bad("the quotas are more than the budget of " + std::to_string(request.budget));
    }
    wanted += quota.at_least;
  }
  return {};
}

/// Picks candidates, never two of one cluster.
class Picker {
 public:
  explicit Picker(const QueueRequest& request) : request_(request) {
    const std::unordered_set<std::int64_t> closed(request.closed_clusters.begin(),
                                                  request.closed_clusters.end());
    std::unordered_map<std::int64_t, std::uint32_t> place;
    unit_.assign(request.candidates, kNone);
    for (std::uint32_t i = 0; i < request.candidates; ++i) {
      const std::int64_t cluster = request.clusters.empty() ? -1 : request.clusters[i];
      if (cluster >= 0 && closed.contains(cluster)) continue;
      if (cluster < 0) {
        unit_[i] = static_cast<std::uint32_t>(members_.size());
        members_.emplace_back();
      } else {
        const auto [at, fresh] =
            place.emplace(cluster, static_cast<std::uint32_t>(members_.size()));
        if (fresh) members_.emplace_back();
        unit_[i] = at->second;
      }
      members_[unit_[i]].push_back(i);
      ++open_;
    }
    taken_.assign(members_.size(), false);
  }

  const std::vector<std::vector<std::uint32_t>>& members() const { return members_; }
  std::uint64_t open() const { return open_; }
  bool CanTake(std::uint32_t candidate) const {
    return unit_[candidate] != kNone && !taken_[unit_[candidate]];
  }
  void Take(std::uint32_t candidate) { taken_[unit_[candidate]] = true; }

  /// Candidates by a score, best first, the first of equal ones first.
  std::vector<std::uint32_t> InOrder(std::span<const double> scores) const {
    std::vector<std::uint32_t> order;
    for (std::uint32_t i = 0; i < scores.size(); ++i) {
      if (unit_[i] != kNone) order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return scores[a] > scores[b]; });
    return order;
  }

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  const QueueRequest& request_;
  std::vector<std::uint32_t> unit_;  // Per candidate: its cluster's place in members_.
  std::vector<std::vector<std::uint32_t>> members_;
  std::vector<bool> taken_;
  std::uint64_t open_ = 0;
};

std::vector<QueuedItem> DrawControl(const QueueRequest& request, std::size_t count,
                                    Picker& picker) {
  Random random(request.seed);
  std::vector<std::uint32_t> units(picker.members().size());
  std::iota(units.begin(), units.end(), 0U);
  const double share = static_cast<double>(count) / static_cast<double>(units.size());
  std::vector<QueuedItem> control;
  for (std::size_t i = 0; i < count; ++i) {
    std::swap(units[i], units[i + random.Below(units.size() - i)]);
    const auto& members = picker.members()[units[i]];
    QueuedItem item;
    item.candidate = members[random.Below(members.size())];
    item.reason = QueueReason::kControl;
    item.inclusion_probability = share / static_cast<double>(members.size());
    picker.Take(item.candidate);
    control.push_back(item);
  }
  return control;
}

/// Mean over the sources, weighted by their shares, of a candidate's rank from 0 (last) to 1; equal
/// scores share the mean of their ranks.
std::vector<double> MeanRanks(const QueueRequest& request, const Picker& picker) {
  std::vector<double> ranks(request.candidates, 0);
  double shares = 0;
  for (const AcquisitionSource& source : request.sources) shares += source.share;
  for (const AcquisitionSource& source : request.sources) {
    const auto order = picker.InOrder(source.scores);
    const double last = std::max(1.0, static_cast<double>(order.size()) - 1);
    for (std::size_t begin = 0; begin < order.size();) {
      std::size_t end = begin;
      while (end < order.size() && source.scores[order[end]] == source.scores[order[begin]]) ++end;
      const double place = static_cast<double>(begin + end - 1) / 2;
      for (std::size_t i = begin; i < end; ++i) {
        ranks[order[i]] += source.share / shares * (1 - place / last);
      }
      begin = end;
    }
  }
  return ranks;
}

void FillQuotas(const QueueRequest& request, std::size_t room, std::span<const QueuedItem> control,
                Picker& picker, std::vector<QueuedItem>& chosen, LabelingQueue& queue) {
  const auto ranks = MeanRanks(request, picker);
  const auto order = picker.InOrder(ranks);
  for (const SliceQuota& quota : request.quotas) {
    std::size_t missing = quota.at_least;
    for (const QueuedItem& item : control) {
      if (missing > 0 && request.slices[item.candidate] == quota.slice) --missing;
    }
    for (std::size_t i = 0; i < order.size() && missing > 0 && chosen.size() < room; ++i) {
      const std::uint32_t candidate = order[i];
      if (request.slices[candidate] != quota.slice || !picker.CanTake(candidate)) continue;
      picker.Take(candidate);
      chosen.push_back({candidate, QueueReason::kQuota, -1, ranks[candidate], 0});
      --missing;
    }
    if (missing > 0) queue.unmet.push_back({quota.slice, missing});
  }
}

void TakeTurns(const QueueRequest& request, std::size_t room, Picker& picker,
               std::vector<QueuedItem>& chosen) {
  struct Turn {
    std::vector<std::uint32_t> order;
    std::size_t next = 0;
    std::uint64_t given = 0;
  };
  std::vector<Turn> turns;
  std::vector<double> shares;
  for (const AcquisitionSource& source : request.sources) {
    turns.push_back({picker.InOrder(source.scores), 0, 0});
    shares.push_back(source.share);
  }
  const auto due = stats::LargestRemainder(room - chosen.size(), shares);
  while (chosen.size() < room) {
    // Whose turn it is: who has had the smallest part of what is due to it.
    std::size_t whose = turns.size();
    for (std::size_t s = 0; s < turns.size(); ++s) {
      if (turns[s].given == due[s]) continue;
      if (whose == turns.size() ||
          (2 * turns[s].given + 1) * due[whose] < (2 * turns[whose].given + 1) * due[s]) {
        whose = s;
      }
    }
    Turn& turn = turns[whose];
    while (!picker.CanTake(turn.order[turn.next])) ++turn.next;
    const std::uint32_t candidate = turn.order[turn.next];
    picker.Take(candidate);
    chosen.push_back({candidate, QueueReason::kSource, static_cast<std::int32_t>(whose),
                      request.sources[whose].scores[candidate], 0});
    ++turn.given;
  }
}

/// The control in the middle of equal stretches of the queue.
std::vector<QueuedItem> Spread(const std::vector<QueuedItem>& control,
                               const std::vector<QueuedItem>& chosen) {
  std::vector<QueuedItem> items;
  const std::size_t total = control.size() + chosen.size();
  std::size_t next_control = 0;
  std::size_t next_chosen = 0;
  while (items.size() < total) {
    const bool due = next_control < control.size() &&
                     (2 * next_control + 1) * total <= (2 * items.size() + 1) * control.size();
    if (due || next_chosen == chosen.size()) {
      items.push_back(control[next_control++]);
    } else {
      items.push_back(chosen[next_chosen++]);
    }
  }
  return items;
}

}  // namespace

Result<LabelingQueue> BuildLabelingQueue(const QueueRequest& request) {
  if (const auto good = CheckRequest(request); !good) return good.error();
  Picker picker(request);
  LabelingQueue queue;
  queue.population = picker.open();
  queue.left_out = request.candidates - picker.open();
  const std::size_t total = std::min(request.budget, picker.members().size());
  queue.control = std::min(total, static_cast<std::size_t>(std::ceil(
                                      request.control_share * static_cast<double>(total) - 1e-9)));
  const auto control = DrawControl(request, queue.control, picker);
  std::vector<QueuedItem> chosen;
  const std::size_t room = total - queue.control;
  if (!request.quotas.empty()) FillQuotas(request, room, control, picker, chosen, queue);
  if (!request.sources.empty()) TakeTurns(request, room, picker, chosen);
  queue.items = Spread(control, chosen);
  return queue;
}

}  // namespace tidewheel::labels
