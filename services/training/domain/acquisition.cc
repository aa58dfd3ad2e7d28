#include "tidewheel/training/domain/acquisition.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

namespace tidewheel::training {
namespace {

std::string GroupOf(const CapturedSample& sample) {
  return sample.group.empty() ? sample.sample_id : sample.group;
}

bool CapturedAtRandom(const AcquisitionList::Candidate& candidate) {
  return candidate.sample.captured_because == "random";
}

/// Whole numbers that sum to `count` (or 0 when there are no shares).
std::vector<std::uint32_t> Quotas(const std::vector<AcquisitionList>& lists, std::uint32_t count) {
  double total = 0;
  for (const auto& list : lists) total += list.share;
  std::vector<std::uint32_t> quotas(lists.size(), 0);
  if (total <= 0) return quotas;
  std::vector<double> rest(lists.size());
  std::uint32_t given = 0;
  for (std::size_t i = 0; i < lists.size(); ++i) {
    const double exact = static_cast<double>(count) * lists[i].share / total;
    quotas[i] = static_cast<std::uint32_t>(std::floor(exact));
    rest[i] = exact - std::floor(exact);
    given += quotas[i];
  }
  std::vector<std::size_t> order(lists.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return rest[a] > rest[b]; });
  for (std::size_t i = 0; given < count; i = (i + 1) % order.size(), ++given) ++quotas[order[i]];
  return quotas;
}

class Chooser {
 public:
  explicit Chooser(std::uint32_t count) : count_(count) {}

  /// Takes up to `quota` of a list; returns how many it took.
  std::uint32_t Take(const AcquisitionList& list, std::uint32_t quota) {
    std::uint32_t taken = 0;
    for (const auto& candidate : list.candidates) {
      if (taken == quota || chosen_.size() == count_) break;
      const CapturedSample& sample = candidate.sample;
      if (sample.known || groups_.contains(GroupOf(sample))) continue;
      groups_.insert(GroupOf(sample));
      chosen_.push_back({sample.sample_id, candidate.prediction.request_id,
                         candidate.prediction.index, list.reason, candidate.prediction.score, 0});
      ++taken;
    }
    return taken;
  }

  std::vector<CycleSample>& chosen() { return chosen_; }

 private:
  const std::uint32_t count_;
  std::vector<CycleSample> chosen_;
  std::set<std::string> groups_;
};

/// Of a random list only what was captured at random, where there is any: it stands for the
/// traffic.
AcquisitionList ControlOf(const AcquisitionList& list) {
  AcquisitionList control = list;
  const auto is_other = [](const auto& candidate) { return !CapturedAtRandom(candidate); };
  control.candidates.erase(
      std::remove_if(control.candidates.begin(), control.candidates.end(), is_other),
      control.candidates.end());
  return control.candidates.empty() ? list : control;
}

}  // namespace

std::vector<AcquisitionList> AcquisitionListsOf(const CyclePolicy& policy,
                                                const std::string& slice) {
  std::vector<AcquisitionList> lists;
  const auto add = [&lists](const char* reason, double share) {
    if (share > 0) lists.push_back({reason, share, {}});
  };
  add("random", policy.acquire_random);
  if (!slice.empty()) add("slice", policy.acquire_slice);
  add("drifted", policy.acquire_drifted);
  add("uncertain", policy.acquire_uncertain);
  return lists;
}

std::uint32_t SamplesToChoose(const CyclePolicy& policy) {
  return policy.max_labels / std::max(policy.votes_per_sample, 1U);
}

std::vector<CycleSample> Choose(const std::vector<AcquisitionList>& lists, std::uint32_t count) {
  const auto quotas = Quotas(lists, count);
  Chooser chooser(count);
  for (std::size_t i = 0; i < lists.size(); ++i) {
    if (lists[i].reason != "random") {
      chooser.Take(lists[i], quotas[i]);
      continue;
    }
    const AcquisitionList control = ControlOf(lists[i]);
    const std::size_t first = chooser.chosen().size();
    const std::uint32_t taken = chooser.Take(control, quotas[i]);
    std::set<std::string> groups;
    for (const auto& candidate : control.candidates) {
      if (!candidate.sample.known) groups.insert(GroupOf(candidate.sample));
    }
    if (taken == 0) continue;
    const double drawn = static_cast<double>(taken) / static_cast<double>(groups.size());
    for (std::size_t k = first; k < chooser.chosen().size(); ++k) {
      CycleSample& sample = chooser.chosen()[k];
      for (const auto& candidate : control.candidates) {
        if (candidate.sample.sample_id != sample.sample_id) continue;
        const double captured = candidate.sample.inclusion_probability;
        sample.inclusion_probability = drawn * (captured > 0 ? captured : 1);
      }
    }
  }
  // What a list could not fill, in the order of what teaches most.
  for (const char* reason : {"drifted", "uncertain", "slice", "random"}) {
    for (const auto& list : lists) {
      if (list.reason == reason) chooser.Take(list, count);
    }
  }
  return std::move(chooser.chosen());
}

std::size_t CountChoosable(const std::vector<AcquisitionList>& lists) {
  std::set<std::string> groups;
  for (const auto& list : lists) {
    for (const auto& candidate : list.candidates) {
      if (!candidate.sample.known) groups.insert(GroupOf(candidate.sample));
    }
  }
  return groups.size();
}

}  // namespace tidewheel::training
