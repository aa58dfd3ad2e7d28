#include "tidewheel/labels/choice.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <utility>

#include "tidewheel/base/random.h"
#include "tidewheel/labels/internal/conclude.h"
#include "tidewheel/labels/internal/packed_votes.h"
#include "tidewheel/labels/majority.h"
#include "tidewheel/stats/mcnemar.h"
#include "tidewheel/stats/special.h"

namespace tidewheel::labels {
namespace {

using internal::PackedVotes;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Result<void> Check(const ChoiceOptions& options) {
  if (options.methods.empty()) return Bad("there are no methods to choose from");
  for (std::size_t m = 0; m < options.methods.size(); ++m) {
    if (std::count(options.methods.begin(), options.methods.end(), options.methods[m]) > 1)
      return Bad("method " + std::string(Name(options.methods[m])) + " is asked for twice");
  }
  if (!(options.confidence > 0 && options.confidence < 1))
    return Bad("the confidence of a choice is within 0 to 1");
  return {};
}

std::string Digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", value);
  return text;
}

/// Trials by item: how many of each item's trials a method got right.
struct Trials {
  std::vector<std::vector<double>> right;  // By candidate, then item.
  std::vector<double> of_item;
  double all = 0;

  /// The mean of `sums` a trial, and its standard error with items as draws.
  std::pair<double, double> MeanOf(const std::vector<double>& sums) const {
    double sum = 0;
    double items = 0;
    for (std::size_t i = 0; i < sums.size(); ++i) {
      sum += sums[i];
      items += of_item[i] > 0 ? 1 : 0;
    }
    const double mean = sum / all;
    double spread = 0;
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const double off = sums[i] - mean * of_item[i];
      spread += off * off;
    }
    const double correction = items > 1 ? items / (items - 1) : 1;
    return {mean, std::sqrt(spread * correction) / all};
  }
};

Result<void> NeedTrials(std::size_t trials, const char* what, const ChoiceOptions& options) {
  if (trials > 0 && trials >= options.min_trials) return {};
  return Error{ErrorCode::kFailedPrecondition,
               "a choice needs " + std::to_string(std::max<std::size_t>(options.min_trials, 1)) +
                   " " + what + ", there are " + std::to_string(trials)};
}

/// The best candidate that applies; of equals the simplest. kFailedPrecondition: there is none.
Result<std::size_t> Best(const std::vector<Candidate>& candidates) {
  std::size_t best = candidates.size();
  for (std::size_t m = 0; m < candidates.size(); ++m) {
    if (!candidates[m].applies) continue;
    if (best == candidates.size() || candidates[m].score > candidates[best].score ||
        (candidates[m].score == candidates[best].score &&
         candidates[m].method < candidates[best].method)) {
      best = m;
    }
  }
  if (best < candidates.size()) return best;
  return Error{ErrorCode::kFailedPrecondition, "no method applies: " + candidates.front().why_not};
}

void Explain(std::size_t best, const ChoiceOptions& options, MethodChoice* choice) {
  const Candidate& chosen = choice->candidates[best];
  const double alpha = 1 - options.confidence;
  choice->method = chosen.method;
  choice->decisive = true;
  std::string beaten;
  std::string even;
  std::string failed;
  for (const Candidate& candidate : choice->candidates) {
    if (&candidate == &chosen) continue;
    const std::string name(Name(candidate.method));
    if (!candidate.applies) {
      failed += (failed.empty() ? "" : "; ") + name + " (" + candidate.why_not + ")";
      continue;
    }
    const bool beyond = candidate.p_value < alpha;
    choice->decisive = choice->decisive && beyond;
    std::string& list = beyond ? beaten : even;
    list += (list.empty() ? "" : ", ") + name + " " + Digits(candidate.score) + " (p " +
            Digits(candidate.p_value) + ")";
  }
  const bool gold = choice->basis == ChoiceBasis::kGoldItems;
  choice->reason = std::string(Name(chosen.method)) + " is right on " + Digits(chosen.score) +
                   " (" + Digits(chosen.interval.low) + " to " + Digits(chosen.interval.high) +
                   ") of " + std::to_string(choice->trials) +
                   (gold ? " gold items" : " hidden votes");
  if (!beaten.empty()) choice->reason += "; better beyond chance than " + beaten;
  if (!even.empty()) choice->reason += "; not told apart from " + even;
  if (!failed.empty()) choice->reason += "; not applicable: " + failed;
}

/// What each worker most probably says on items of each class, as all methods are judged by.
class Habits {
 public:
  Habits(const PackedVotes& votes, std::span<const double> posterior)
      : classes_(votes.classes()), share_(votes.table_rows() * votes.classes()) {
    std::vector<double> all(classes_ * classes_, 1.0 / static_cast<double>(classes_));
    for (std::size_t i = 0; i < votes.items(); ++i) {
      for (const std::uint32_t vote : votes.of(i)) {
        double* const row = share_.data() + static_cast<std::size_t>(vote) * classes_;
        double* const usual = all.data() + votes.LabelOf(vote) * classes_;
        for (std::size_t k = 0; k < classes_; ++k) {
          row[k] += posterior[i * classes_ + k];
          usual[k] += posterior[i * classes_ + k];
        }
      }
    }
    Share(all.data(), nullptr);
    for (std::size_t w = 0; w < votes.workers(); ++w) {
      Share(share_.data() + w * classes_ * classes_, all.data());
    }
  }

  std::size_t Expected(std::size_t worker, std::span<const double> posterior) const {
    std::size_t best = 0;
    double most = -1;
    for (std::size_t l = 0; l < classes_; ++l) {
      const double* const row = share_.data() + (worker * classes_ + l) * classes_;
      double probability = 0;
      for (std::size_t k = 0; k < classes_; ++k) probability += posterior[k] * row[k];
      if (probability > most + internal::kTie) {
        most = probability;
        best = l;
      }
    }
    return best;
  }

 private:
  /// Counts to shares of each class, with two votes as usual ones are where there is a usual.
  void Share(double* counts, const double* usual) const {
    constexpr double kUsualVotes = 2;
    for (std::size_t k = 0; k < classes_; ++k) {
      double sum = usual != nullptr ? kUsualVotes : 0;
      for (std::size_t l = 0; l < classes_; ++l) sum += counts[l * classes_ + k];
      for (std::size_t l = 0; l < classes_; ++l) {
        const double prior = usual != nullptr ? kUsualVotes * usual[l * classes_ + k] : 0;
        counts[l * classes_ + k] = (counts[l * classes_ + k] + prior) / sum;
      }
    }
  }

  std::size_t classes_;
  std::vector<double> share_;  // workers x labels x classes.
};

/// Votes of a fold, which are hidden, and all others.
struct Fold {
  VoteList hidden;
  VoteList shown;
};

std::vector<Fold> FoldsOf(const Votes& votes, const ChoiceOptions& options) {
  Random random(options.seed);
  std::vector<Fold> folds(options.folds);
  for (Fold& fold : folds) {
    for (VoteList* list : {&fold.hidden, &fold.shown}) {
      list->items = votes.items;
      list->workers = votes.workers;
      list->classes = votes.classes;
    }
  }
  for (std::size_t v = 0; v < votes.item.size(); ++v) {
    if (votes.label[v] == kAbstain) continue;
    const std::size_t hidden_in = random.Below(options.folds);
    for (std::size_t f = 0; f < folds.size(); ++f) {
      VoteList& list = f == hidden_in ? folds[f].hidden : folds[f].shown;
      list.item.push_back(votes.item[v]);
      list.worker.push_back(votes.worker[v]);
      list.label.push_back(votes.label[v]);
    }
  }
  return folds;
}

/// Adds a fold's trials of one method to `right` and `agreed`.
Result<void> TryFold(const Fold& fold, ConsensusMethod method, const ConsensusOptions& options,
                     std::vector<double>* right, double* agreed) {
  const auto consensus = FindConsensus(fold.shown.View(), method, options);
  if (!consensus) return consensus.error();
  const auto shown = PackedVotes::Of(fold.shown.View());
  if (!shown) return shown.error();
  const Habits habits(*shown, consensus->posterior);
  for (std::size_t v = 0; v < fold.hidden.item.size(); ++v) {
    const auto item = static_cast<std::size_t>(fold.hidden.item[v]);
    if (shown->of(item).empty()) continue;
    const auto posterior =
        std::span(consensus->posterior).subspan(item * fold.shown.classes, fold.shown.classes);
    const auto expected =
        habits.Expected(static_cast<std::size_t>(fold.hidden.worker[v]), posterior);
    (*right)[item] += expected == static_cast<std::size_t>(fold.hidden.label[v]) ? 1 : 0;
    *agreed += consensus->label[item] == fold.hidden.label[v] ? 1 : 0;
  }
  return {};
}

void Fail(const Error& error, Candidate* candidate) {
  candidate->applies = false;
  candidate->why_not = error.message;
}

}  // namespace

std::string_view Name(ConsensusMethod method) {
  switch (method) {
    case ConsensusMethod::kMajority:
      return "majority";
    case ConsensusMethod::kWawa:
      return "wawa";
    case ConsensusMethod::kOneCoin:
      return "one-coin";
    case ConsensusMethod::kDawidSkene:
      return "dawid-skene";
    case ConsensusMethod::kGlad:
      return "glad";
    case ConsensusMethod::kMace:
      return "mace";
  }
  return "";
}

Result<Consensus> FindConsensus(const Votes& votes, ConsensusMethod method,
                                const ConsensusOptions& options) {
  switch (method) {
    case ConsensusMethod::kMajority:
      return Majority(votes);
    case ConsensusMethod::kWawa:
      return Wawa(votes);
    case ConsensusMethod::kOneCoin:
      return OneCoinDawidSkene(votes, options.one_coin);
    case ConsensusMethod::kDawidSkene:
      return DawidSkene(votes, options.dawid_skene);
    case ConsensusMethod::kGlad: {
      auto found = Glad(votes, options.glad);
      if (!found) return found.error();
      return std::move(found->consensus);
    }
    case ConsensusMethod::kMace: {
      auto found = Mace(votes, options.mace);
      if (!found) return found.error();
      return std::move(found->consensus);
    }
  }
  return Bad("there is no such method");
}

Result<MethodChoice> ChooseByGoldItems(const Votes& votes, std::span<const std::int32_t> gold_item,
                                       std::span<const std::int32_t> gold_label,
                                       const ChoiceOptions& options) {
  if (const auto good = Check(options); !good) return good.error();
  const auto packed = PackedVotes::Of(votes);
  if (!packed) return packed.error();
  if (gold_item.size() != gold_label.size()) {
    return Bad("there are " + std::to_string(gold_item.size()) + " gold items and " +
               std::to_string(gold_label.size()) + " gold labels");
  }
  std::vector<bool> seen(votes.items);
  std::vector<std::size_t> tried;
  for (std::size_t g = 0; g < gold_item.size(); ++g) {
    const auto item = static_cast<std::size_t>(gold_item[g]);
    if (gold_item[g] < 0 || item >= votes.items || gold_label[g] < 0 ||
        static_cast<std::size_t>(gold_label[g]) >= votes.classes) {
      return Bad("gold item " + std::to_string(gold_item[g]) + " with label " +
                 std::to_string(gold_label[g]) + " is out of range");
    }
    if (seen[item]) return Bad("gold item " + std::to_string(gold_item[g]) + " is named twice");
    seen[item] = true;
    if (!packed->of(item).empty()) tried.push_back(g);
  }
  if (const auto enough = NeedTrials(tried.size(), "gold items with votes", options); !enough)
    return enough.error();

  MethodChoice choice;
  choice.basis = ChoiceBasis::kGoldItems;
  choice.trials = tried.size();
  std::vector<std::vector<bool>> right;
  for (const ConsensusMethod method : options.methods) {
    Candidate& candidate = choice.candidates.emplace_back();
    candidate.method = method;
    right.emplace_back(tried.size());
    const auto consensus = FindConsensus(votes, method, options.consensus);
    if (!consensus) {
      Fail(consensus.error(), &candidate);
      continue;
    }
    std::uint64_t count = 0;
    for (std::size_t n = 0; n < tried.size(); ++n) {
      const auto item = static_cast<std::size_t>(gold_item[tried[n]]);
      right.back()[n] = consensus->label[item] == gold_label[tried[n]];
      count += right.back()[n] ? 1 : 0;
    }
    candidate.score = static_cast<double>(count) / static_cast<double>(tried.size());
    const auto interval = stats::WilsonInterval(count, tried.size(), options.confidence);
    if (!interval) return interval.error();
    candidate.interval = *interval;
  }
  const auto best = Best(choice.candidates);
  if (!best) return best.error();
  for (std::size_t m = 0; m < choice.candidates.size(); ++m) {
    std::uint64_t only_best = 0;
    std::uint64_t only_other = 0;
    for (std::size_t n = 0; n < tried.size(); ++n) {
      only_best += right[*best][n] && !right[m][n] ? 1 : 0;
      only_other += !right[*best][n] && right[m][n] ? 1 : 0;
    }
    if (!choice.candidates[m].applies) continue;
    const auto test = stats::McNemar(only_best, only_other);
    if (!test) return test.error();
    choice.candidates[m].p_value = test->p_value;
  }
  Explain(*best, options, &choice);
  return choice;
}

Result<MethodChoice> ChooseByHeldOutVotes(const Votes& votes, const ChoiceOptions& options) {
  if (const auto good = Check(options); !good) return good.error();
  if (options.folds < 2 || options.folds > 1'000) {
    return Bad("held-out votes need 2 to 1000 folds, not " + std::to_string(options.folds));
  }
  if (const auto good = internal::Check(votes); !good) return good.error();
  const std::vector<Fold> folds = FoldsOf(votes, options);
  Trials trials;
  trials.of_item.resize(votes.items);
  for (const Fold& fold : folds) {
    std::vector<bool> shown(votes.items);
    for (const std::int32_t item : fold.shown.item) shown[static_cast<std::size_t>(item)] = true;
    for (const std::int32_t item : fold.hidden.item) {
      const bool tried = shown[static_cast<std::size_t>(item)];
      trials.of_item[static_cast<std::size_t>(item)] += tried ? 1 : 0;
      trials.all += tried ? 1 : 0;
    }
  }
  MethodChoice choice;
  choice.basis = ChoiceBasis::kHeldOutVotes;
  choice.trials = static_cast<std::size_t>(trials.all);
  if (const auto enough = NeedTrials(choice.trials, "votes on items with others", options); !enough)
    return enough.error();

  const double z = stats::NormalQuantile(0.5 + options.confidence / 2);
  for (const ConsensusMethod method : options.methods) {
    Candidate& candidate = choice.candidates.emplace_back();
    candidate.method = method;
    auto& right = trials.right.emplace_back(votes.items);
    double agreed = 0;
    for (const Fold& fold : folds) {
      if (fold.hidden.item.empty()) continue;
      const auto tried = TryFold(fold, method, options.consensus, &right, &agreed);
      if (tried) continue;
      Fail(tried.error(), &candidate);
      break;
    }
    if (!candidate.applies) continue;
    const auto [mean, error] = trials.MeanOf(right);
    candidate.score = mean;
    candidate.interval = {std::max(mean - z * error, 0.0), std::min(mean + z * error, 1.0)};
    candidate.agreement = agreed / trials.all;
  }
  const auto best = Best(choice.candidates);
  if (!best) return best.error();
  for (std::size_t m = 0; m < choice.candidates.size(); ++m) {
    if (!choice.candidates[m].applies) continue;
    std::vector<double> ahead = trials.right[*best];
    for (std::size_t i = 0; i < ahead.size(); ++i) ahead[i] -= trials.right[m][i];
    const auto [mean, error] = trials.MeanOf(ahead);
    if (error > 0)
      choice.candidates[m].p_value = 2 * (1 - stats::NormalCdf(std::abs(mean) / error));
  }
  Explain(*best, options, &choice);
  return choice;
}

}  // namespace tidewheel::labels
