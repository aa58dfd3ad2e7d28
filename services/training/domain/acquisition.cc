#include "tidewheel/training/domain/acquisition.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <set>

#include "tidewheel/training/domain/doubtful_labels.h"

namespace tidewheel::training {
namespace {

constexpr char kRandom[] = "random";
constexpr char kDiverse[] = "diverse";
constexpr char kTraining[] = "training";
constexpr char kValidation[] = "validation";
constexpr char kTest[] = "test";

std::string GroupOf(const CapturedSample& sample) {
  return sample.group.empty() ? sample.sample_id : sample.group;
}

bool CapturedAtRandom(const AcquisitionList::Candidate& candidate) {
  return candidate.sample.captured_because == kRandom;
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

using Candidates = std::vector<const AcquisitionList::Candidate*>;

class Chooser {
 public:
  explicit Chooser(std::uint32_t count) : count_(count) {}

  /// Takes up to `quota` of these; returns how many it took.
  std::uint32_t Take(const Candidates& candidates, const std::string& reason, std::uint32_t quota) {
    std::uint32_t taken = 0;
    for (const auto* candidate : candidates) {
      if (taken == quota || chosen_.size() == count_) break;
      const CapturedSample& sample = candidate->sample;
      if (sample.known || !groups_.insert(GroupOf(sample)).second) continue;
      chosen_.push_back({sample.sample_id, candidate->prediction.request_id,
                         candidate->prediction.index, reason, candidate->prediction.score, 0});
      captured_with_.push_back(sample.inclusion_probability);
      ++taken;
    }
    return taken;
  }

  /// Takes up to `quota` of these, which are in a random order, each with its probability.
  void Draw(const Candidates& candidates, std::uint32_t quota) {
    std::set<std::string> groups;
    for (const auto* candidate : candidates) {
      const std::string group = GroupOf(candidate->sample);
      if (!candidate->sample.known && !groups_.contains(group)) groups.insert(group);
    }
    const std::size_t first = chosen_.size();
    const std::uint32_t taken = Take(candidates, "random", quota);
    for (std::size_t i = first; i < chosen_.size(); ++i) {
      chosen_[i].inclusion_probability =
          captured_with_[i] * static_cast<double>(taken) / static_cast<double>(groups.size());
    }
  }

  /// Takes up to `quota` of these, each time the one that is farthest from all that were taken
  /// (greedy k-center, Gonzalez 1985; Sener and Savarese 2018): Euclidean, with every number of the
  /// embedding in its standard deviations. Equally far ones, and those without an embedding, in
  /// their order.
  void Spread(const Candidates& candidates, std::uint32_t quota) {
    const auto points = Standardised(candidates);
    std::vector<double> nearest(candidates.size(), std::numeric_limits<double>::infinity());
    const auto note = [&](std::size_t center) {
      for (std::size_t i = 0; i < points.size(); ++i) {
        if (points[i].empty() || points[center].empty()) continue;
        double sum = 0;
        for (std::size_t k = 0; k < points[i].size(); ++k) {
          const double away = points[i][k] - points[center][k];
          sum += away * away;
        }
        nearest[i] = std::min(nearest[i], sum);
      }
    };
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (groups_.contains(GroupOf(candidates[i]->sample))) note(i);
    }
    for (std::uint32_t taken = 0; taken < quota; ++taken) {
      std::optional<std::size_t> farthest;
      for (std::size_t i = 0; i < candidates.size(); ++i) {
        const CapturedSample& sample = candidates[i]->sample;
        if (sample.known || groups_.contains(GroupOf(sample))) continue;
        if (!farthest || nearest[i] > nearest[*farthest]) farthest = i;
      }
      if (!farthest || Take({candidates[*farthest]}, kDiverse, 1) == 0) return;
      note(*farthest);
    }
  }

  std::vector<CycleSample>& chosen() { return chosen_; }

 private:
  /// Empty for those without an embedding of the first one's size.
  static std::vector<std::vector<double>> Standardised(const Candidates& candidates) {
    std::vector<std::vector<double>> points(candidates.size());
    const std::size_t numbers = candidates.empty() ? 0 : candidates[0]->prediction.embedding.size();
    double count = 0;
    std::vector<double> sums(numbers);
    std::vector<double> squares(numbers);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const auto& embedding = candidates[i]->prediction.embedding;
      if (embedding.size() != numbers) continue;
      points[i].assign(embedding.begin(), embedding.end());
      ++count;
      for (std::size_t k = 0; k < numbers; ++k) {
        sums[k] += points[i][k];
        squares[k] += points[i][k] * points[i][k];
      }
    }
    for (std::size_t k = 0; k < numbers; ++k) {
      const double mean = sums[k] / count;
      const double deviation = std::sqrt(std::max(squares[k] / count - mean * mean, 0.0));
      for (auto& point : points) {
        if (!point.empty()) point[k] = deviation > 0 ? (point[k] - mean) / deviation : 0;
      }
    }
    return points;
  }

  const std::uint32_t count_;
  std::vector<CycleSample> chosen_;
  std::vector<double> captured_with_;  // One for each of these; 0: not captured at random.
  std::set<std::string> groups_;
};

Candidates Of(const AcquisitionList& list, std::string_view split) {
  Candidates candidates;
  for (const auto& candidate : list.candidates) {
    if (candidate.sample.split == split) candidates.push_back(&candidate);
  }
  return candidates;
}

/// Of a random list only what was captured at random, where there is any: it stands for the
/// traffic.
Candidates ControlOf(const AcquisitionList& list, std::string_view split) {
  const bool any = std::any_of(list.candidates.begin(), list.candidates.end(), CapturedAtRandom);
  Candidates control = Of(list, split);
  if (any) std::erase_if(control, [](const auto* each) { return !CapturedAtRandom(*each); });
  return control;
}

Candidates ForTraining(const std::vector<AcquisitionList>& lists) {
  Candidates candidates;
  for (const auto& list : lists) {
    for (const auto* each : Of(list, kTraining)) candidates.push_back(each);
  }
  return candidates;
}

std::size_t CountGroups(const Candidates& candidates) {
  std::set<std::string> groups;
  for (const auto* candidate : candidates) {
    if (!candidate->sample.known) groups.insert(GroupOf(candidate->sample));
  }
  return groups.size();
}

const AcquisitionList* RandomOf(const std::vector<AcquisitionList>& lists) {
  for (const auto& list : lists) {
    if (list.reason == kRandom) return &list;
  }
  return nullptr;
}

std::uint32_t ShareOf(std::uint32_t count, double share) {
  return static_cast<std::uint32_t>(std::llround(static_cast<double>(count) * share));
}

}  // namespace

std::vector<AcquisitionList> AcquisitionListsOf(const CyclePolicy& policy,
                                                const std::string& slice) {
  std::vector<AcquisitionList> lists{{kRandom, policy.acquire_random, {}}};
  const auto add = [&lists](const char* reason, double share) {
    if (share > 0) lists.push_back({reason, share, {}});
  };
  if (!slice.empty()) add("slice", policy.acquire_slice);
  add("drifted", policy.acquire_drifted);
  add("uncertain", policy.acquire_uncertain);
  add(kDiverse, policy.acquire_diverse);  // Last: far from what the others took.
  return lists;
}

LabelBudget BudgetOf(const CyclePolicy& policy) {
  const std::uint32_t labels = policy.max_labels - ReviewedAtMost(policy) * kVotesOfReview;
  LabelBudget budget{.samples = labels / std::max(policy.votes_per_sample, 1U)};
  budget.test = ShareOf(budget.samples, policy.acquire_test);
  budget.validation =
      std::min(ShareOf(budget.samples, policy.acquire_validation), budget.samples - budget.test);
  return budget;
}

Choosable CountChoosable(const std::vector<AcquisitionList>& lists) {
  Choosable choosable{.samples = CountGroups(ForTraining(lists))};
  if (const auto* random = RandomOf(lists)) {
    choosable.test = CountGroups(ControlOf(*random, kTest));
    choosable.validation = CountGroups(ControlOf(*random, kValidation));
  }
  choosable.samples += choosable.test + choosable.validation;
  return choosable;
}

std::vector<CycleSample> Choose(const std::vector<AcquisitionList>& lists,
                                const LabelBudget& budget) {
  Chooser chooser(budget.samples);
  if (const auto* random = RandomOf(lists)) {
    const Candidates test = ControlOf(*random, kTest);
    const Candidates validation = ControlOf(*random, kValidation);
    const auto most_test = static_cast<std::uint32_t>(CountGroups(test));
    const auto most_validation = static_cast<std::uint32_t>(CountGroups(validation));
    std::uint32_t for_test = std::min(budget.test, most_test);
    std::uint32_t for_validation = std::min(budget.validation, most_validation);
    // What training has no use for; drawn with the others, so that all have one probability.
    const auto useful = for_test + for_validation + CountGroups(ForTraining(lists));
    if (useful < budget.samples) {
      auto spare = static_cast<std::uint32_t>(budget.samples - useful);
      const std::uint32_t more = std::min(spare, most_test - for_test);
      for_test += more;
      spare -= more;
      for_validation += std::min(spare, most_validation - for_validation);
    }
    chooser.Draw(test, for_test);
    chooser.Draw(validation, for_validation);
  }
  const auto left = budget.samples - static_cast<std::uint32_t>(chooser.chosen().size());
  const auto quotas = Quotas(lists, left);
  for (std::size_t i = 0; i < lists.size(); ++i) {
    if (lists[i].reason == kRandom) {
      chooser.Draw(ControlOf(lists[i], kTraining), quotas[i]);
    } else if (lists[i].reason == kDiverse) {
      chooser.Spread(Of(lists[i], kTraining), quotas[i]);
    } else {
      chooser.Take(Of(lists[i], kTraining), lists[i].reason, quotas[i]);
    }
  }
  // What a list could not fill, in the order of what teaches most.
  for (const char* reason : {kDiverse, "drifted", "uncertain", "slice", kRandom}) {
    for (const auto& list : lists) {
      if (list.reason == reason) chooser.Take(Of(list, kTraining), reason, budget.samples);
    }
  }
  return std::move(chooser.chosen());
}

}  // namespace tidewheel::training
