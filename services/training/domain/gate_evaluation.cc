#include "tidewheel/training/domain/gate_evaluation.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <utility>

#include "tidewheel/stats/corrections.h"
#include "tidewheel/stats/intervals.h"
#include "tidewheel/stats/paired_difference.h"
#include "tidewheel/stats/special.h"

namespace tidewheel::training {
namespace {

constexpr std::size_t kMostListedParts = 60;
constexpr double kUsualAlpha = 0.05;
constexpr double kPower = 0.8;  // What is found so often is found reliably.

std::string Rounded(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.4f", value);
  return text.data();
}

std::string Signed(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%+.4f", value);
  return text.data();
}

void Count(const GateSample& sample, stats::PairedCounts& counts) {
  const bool baseline = sample.baseline_class == sample.given_class;
  const bool candidate = sample.candidate_class == sample.given_class;
  if (baseline) {
    ++(candidate ? counts.both_right : counts.only_baseline_right);
  } else {
    ++(candidate ? counts.only_candidate_right : counts.neither_right);
  }
}

/// Of so many lost pairs or more, when losing and winning are equally likely.
double PWorse(const stats::PairedCounts& counts) {
  const std::uint64_t pairs = counts.only_baseline_right + counts.only_candidate_right;
  if (pairs == 0) return 1;
  return stats::BinomialCdf(static_cast<long long>(counts.only_candidate_right),
                            static_cast<long long>(pairs), 0.5);
}

double PBetter(stats::PairedCounts counts) {
  std::swap(counts.only_baseline_right, counts.only_candidate_right);
  return PWorse(counts);
}

/// Of a candidate that mends each of `errors` with probability 1/2 and loses nothing: that it is
/// found to be better.
double PowerToFindHalfMended(std::uint64_t errors, double alpha) {
  std::uint64_t fewest = 1;  // Pairs won that are significant, with none lost.
  for (double p = 0.5; p > alpha; p /= 2) ++fewest;
  return 1 - stats::BinomialCdf(static_cast<long long>(fewest) - 1, static_cast<long long>(errors),
                                0.5);
}

/// The fewest errors of the baseline with which that is found reliably.
std::uint64_t ErrorsToJudgeBy(double alpha) {
  std::uint64_t errors = 1;
  while (PowerToFindHalfMended(errors, alpha) < kPower) ++errors;
  return errors;
}

/// "12 of 200 pairs lost, 3 won: difference -0.0450 (-0.0800 to -0.0101)".
std::string Words(const stats::PairedCounts& counts, const GateCriterion& criterion) {
  std::string words = std::to_string(counts.only_baseline_right) + " of " +
                      std::to_string(counts.total()) + " pairs lost, " +
                      std::to_string(counts.only_candidate_right) + " won";
  if (criterion.difference) words += ": difference " + Signed(*criterion.difference);
  if (criterion.low && criterion.high) {
    words += " (" + Signed(*criterion.low) + " to " + Signed(*criterion.high) + ")";
  }
  return words;
}

class CandidateEvaluation {
 public:
  CandidateEvaluation(const GatePolicy& policy, std::span<const GateSample> samples)
      : policy_(policy), alpha_(policy.alpha > 0 && policy.alpha < 1 ? policy.alpha : kUsualAlpha) {
    for (const GateSample& sample : samples) {
      if (sample.split == "test") test_.push_back(&sample);
    }
  }

  std::vector<GateCriterion> Criteria(std::span<const TestResult> tests) {
    Compare();
    for (const BehaviourTest& test : policy_.tests) AddTest(test, tests);
    AddBars();
    return std::move(criteria_);
  }

 private:
  struct Part {
    GateCriterion criterion;
    stats::PairedCounts counts;
  };

  void Compare() {
    stats::PairedCounts old_condition;
    stats::PairedCounts new_condition;
    std::map<std::uint32_t, stats::PairedCounts> classes;
    std::map<std::string, stats::PairedCounts> slices;
    bool compared = false;
    for (const GateSample* sample : test_) {
      if (!sample->baseline_class) continue;
      compared = true;
      Count(*sample, sample->is_new_condition ? new_condition : old_condition);
      Count(*sample, classes[sample->given_class]);
      for (const std::string& slice : sample->slices) Count(*sample, slices[slice]);
    }
    if (!compared) {
      criteria_.push_back(
          {.name = "baseline",
           .verdict = GateVerdict::kNotEvaluated,
           .reason = test_.empty() ? "there are no test samples"
                                   : "no serving model answered the test samples: there is nothing "
                                     "to be held against"});
      return;
    }
    if (!policy_.require_better_on_new && new_condition.total() > 0) slices["new"] = new_condition;

    AddEnough("enough_samples_old", "old", old_condition.total());
    if (policy_.require_better_on_new) {
      AddEnough("enough_samples_new", "new", new_condition.total());
    }
    AddNotWorse(old_condition);
    if (policy_.require_better_on_new) AddBetter(new_condition);

    std::vector<Part> parts;
    for (const auto& [index, counts] : classes) {
      const std::string name =
          index < policy_.classes.size() ? policy_.classes[index] : std::to_string(index);
      parts.push_back({Figures("class." + name, counts), counts});
    }
    for (const auto& [name, counts] : slices) {
      parts.push_back({Figures("slice." + name, counts), counts});
    }
    AddParts(std::move(parts));
  }

  GateCriterion Figures(std::string name, const stats::PairedCounts& counts) const {
    GateCriterion criterion;
    criterion.name = std::move(name);
    criterion.samples = counts.total();
    if (counts.total() == 0) return criterion;
    criterion.difference = counts.difference();
    if (const auto interval = stats::PairedDifferenceInterval(counts, 1 - alpha_); interval) {
      criterion.low = interval->low;
      criterion.high = interval->high;
    }
    return criterion;
  }

  bool IsHarm(const GateCriterion& criterion) const {
    return criterion.difference && *criterion.difference < -policy_.max_loss && criterion.p_value &&
           *criterion.p_value <= alpha_;
  }

  /// What a pass leaves open.
  std::string Caveat(const GateCriterion& criterion) const {
    if (!criterion.low || *criterion.low > -policy_.max_loss) {
      return ", a loss of " + Rounded(policy_.max_loss) + " is excluded";
    }
    return ", no evidence of harm, though so many samples cannot exclude a loss of " +
           Rounded(policy_.max_loss);
  }

  void AddEnough(std::string name, const std::string& condition, std::uint64_t samples) {
    const bool enough = samples >= policy_.min_samples;
    criteria_.push_back({.name = std::move(name),
                         .verdict = enough ? GateVerdict::kPass : GateVerdict::kInconclusive,
                         .reason = std::to_string(samples) + " test samples of the " + condition +
                                   " condition, " + (enough ? "at least " : "fewer than ") +
                                   std::to_string(policy_.min_samples),
                         .samples = samples});
  }

  /// Too few samples to say anything: the criterion says that.
  bool TooFew(GateCriterion& criterion) const {
    if (criterion.samples > 0 && criterion.samples >= policy_.min_samples) return false;
    criterion.verdict = GateVerdict::kInconclusive;
    criterion.reason = std::to_string(criterion.samples) + " samples are fewer than " +
                       std::to_string(std::max(policy_.min_samples, 1U));
    return true;
  }

  void AddNotWorse(const stats::PairedCounts& counts) {
    GateCriterion criterion = Figures("not_worse_on_old", counts);
    if (!TooFew(criterion)) {
      criterion.p_value = PWorse(counts);
      const bool harm = IsHarm(criterion);
      criterion.verdict = harm ? GateVerdict::kFail : GateVerdict::kPass;
      criterion.reason =
          Words(counts, criterion) + (harm ? ", worse by more than " + Rounded(policy_.max_loss) +
                                                 " at p " + Rounded(*criterion.p_value)
                                           : Caveat(criterion));
    }
    criteria_.push_back(std::move(criterion));
  }

  void AddBetter(const stats::PairedCounts& counts) {
    GateCriterion criterion = Figures("better_on_new", counts);
    if (!TooFew(criterion)) {
      criterion.p_value = PBetter(counts);
      const bool better = *criterion.difference > 0 && *criterion.p_value <= alpha_;
      criterion.verdict = better ? GateVerdict::kPass : GateVerdict::kFail;
      criterion.reason = Words(counts, criterion) + (better ? ", better" : ", not better") +
                         " at p " + Rounded(*criterion.p_value);
      if (!better && PWorse(counts) > alpha_) AddWhatIsMissing(counts, criterion);
    }
    criteria_.push_back(std::move(criterion));
  }

  /// A candidate fails for not being better only where one that mends half of the baseline's errors
  /// would have been seen to be.
  void AddWhatIsMissing(const stats::PairedCounts& counts, GateCriterion& criterion) const {
    const std::uint64_t errors = counts.only_candidate_right + counts.neither_right;
    const std::uint64_t needed = ErrorsToJudgeBy(alpha_);
    if (errors >= needed) return;
    criterion.verdict = GateVerdict::kInconclusive;
    criterion.reason += ": the serving model is wrong on " + std::to_string(errors) +
                        " of these, and " + std::to_string(needed) +
                        " are needed to find out whether a candidate mends half of its errors";
    if (errors == 0) return;
    // ceil(total * needed / errors) - total
    const std::uint64_t all = (counts.total() * needed + errors - 1) / errors;
    criterion.reason += "; at this rate that takes " + std::to_string(all - counts.total()) +
                        " more test samples of the new condition";
  }

  void AddParts(std::vector<Part> parts) {
    std::vector<double> p_values;
    for (const Part& part : parts) p_values.push_back(PWorse(part.counts));
    const auto adjusted = stats::HolmAdjusted(p_values);
    const bool list_all = parts.size() <= kMostListedParts;
    std::uint64_t others = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      GateCriterion& criterion = parts[i].criterion;
      criterion.p_value = adjusted ? (*adjusted)[i] : 1;
      const bool harm = IsHarm(criterion);
      criterion.verdict = harm ? GateVerdict::kFail : GateVerdict::kPass;
      criterion.reason = Words(parts[i].counts, criterion) +
                         (harm ? ", worse at corrected p " : ", not worse at corrected p ") +
                         Rounded(*criterion.p_value);
      if (list_all || harm) {
        criteria_.push_back(std::move(criterion));
      } else {
        ++others;
      }
    }
    if (others > 0) {
      criteria_.push_back(
          {.name = "other_parts",
           .verdict = GateVerdict::kPass,
           .reason = std::to_string(others) + " further classes and slices are not worse"});
    }
  }

  void AddTest(const BehaviourTest& test, std::span<const TestResult> results) {
    GateCriterion criterion{.name = "test." + test.name,
                            .reason = "the run did not take this test"};
    const auto found = std::find_if(results.begin(), results.end(), [&](const TestResult& result) {
      return result.name == test.name;
    });
    if (found != results.end()) {
      criterion.samples = found->samples;
      if (found->samples == 0 || !found->not_evaluated.empty()) {
        criterion.reason = found->not_evaluated.empty() ? "no samples" : found->not_evaluated;
      } else {
        const double share =
            static_cast<double>(found->passed) / static_cast<double>(found->samples);
        criterion.verdict = share >= test.min_share ? GateVerdict::kPass : GateVerdict::kFail;
        criterion.reason = std::to_string(found->passed) + " of " + std::to_string(found->samples) +
                           " samples passed: " + Rounded(share);
        if (const auto interval = stats::WilsonInterval(found->passed, found->samples, 1 - alpha_);
            interval) {
          criterion.reason +=
              " (" + Rounded(interval->low) + " to " + Rounded(interval->high) + ")";
        }
        criterion.reason += ", the bar is " + Rounded(test.min_share);
      }
    }
    criteria_.push_back(std::move(criterion));
  }

  void AddBars() {
    if (test_.empty()) {
      for (const char* name : {"min_primary_metric", "min_class_recall"}) {
        criteria_.push_back({.name = name, .reason = "there are no test samples"});
      }
      return;
    }
    std::vector<std::uint64_t> given(policy_.classes.size());
    std::vector<std::uint64_t> answered(policy_.classes.size());
    std::vector<std::uint64_t> right(policy_.classes.size());
    std::uint64_t all_right = 0;
    for (const GateSample* sample : test_) {
      if (sample->given_class < given.size()) ++given[sample->given_class];
      if (sample->candidate_class < answered.size()) ++answered[sample->candidate_class];
      if (sample->given_class != sample->candidate_class) continue;
      ++all_right;
      if (sample->given_class < right.size()) ++right[sample->given_class];
    }

    double recall_sum = 0;
    double f1_sum = 0;
    std::uint64_t recalls = 0;
    std::uint64_t f1s = 0;
    std::optional<std::size_t> lowest;
    double lowest_recall = 1;
    std::string without;
    for (std::size_t k = 0; k < given.size(); ++k) {
      if (given[k] + answered[k] > 0) {
        ++f1s;
        f1_sum += 2.0 * static_cast<double>(right[k]) / static_cast<double>(given[k] + answered[k]);
      }
      if (given[k] == 0) {
        without += (without.empty() ? "" : ", ") + policy_.classes[k];
        continue;
      }
      const double recall = static_cast<double>(right[k]) / static_cast<double>(given[k]);
      ++recalls;
      recall_sum += recall;
      if (!lowest || recall < lowest_recall) {
        lowest = k;
        lowest_recall = recall;
      }
    }
    double primary = static_cast<double>(all_right) / static_cast<double>(test_.size());
    std::string primary_name = "accuracy";
    if (policy_.primary_metric == PrimaryMetric::kBalancedAccuracy) {
      primary = recalls > 0 ? recall_sum / static_cast<double>(recalls) : 0;
      primary_name = "balanced_accuracy";
    } else if (policy_.primary_metric == PrimaryMetric::kMacroF1) {
      primary = f1s > 0 ? f1_sum / static_cast<double>(f1s) : 0;
      primary_name = "macro_f1";
    }
    AddBar("min_primary_metric", "test " + primary_name, primary, policy_.min_primary_metric,
           test_.size());
    if (lowest && (without.empty() || lowest_recall < policy_.min_class_recall)) {
      AddBar("min_class_recall", "test recall of " + policy_.classes[*lowest], lowest_recall,
             policy_.min_class_recall, given[*lowest]);
    } else if (policy_.min_class_recall <= 0) {
      AddBar("min_class_recall", "the lowest test recall", lowest_recall, 0, 0);
    } else {
      criteria_.push_back({.name = "min_class_recall", .reason = "no test samples of " + without});
    }
  }

  void AddBar(const char* name, const std::string& what, double value, double bar,
              std::uint64_t samples) {
    criteria_.push_back({.name = name,
                         .verdict = value >= bar ? GateVerdict::kPass : GateVerdict::kFail,
                         .reason = what + " is " + Rounded(value) + ", the bar is " + Rounded(bar),
                         .samples = samples});
  }

  const GatePolicy& policy_;
  const double alpha_;
  std::vector<const GateSample*> test_;
  std::vector<GateCriterion> criteria_;
};

}  // namespace

std::string_view Name(GateVerdict verdict) {
  switch (verdict) {
    case GateVerdict::kPass:
      return "pass";
    case GateVerdict::kFail:
      return "fail";
    case GateVerdict::kInconclusive:
      return "inconclusive";
    case GateVerdict::kNotEvaluated:
      return "not_evaluated";
  }
  return "";
}

std::vector<GateCriterion> EvaluateCandidate(const GatePolicy& policy,
                                             std::span<const GateSample> samples,
                                             std::span<const TestResult> tests) {
  return CandidateEvaluation(policy, samples).Criteria(tests);
}

GateVerdict VerdictOf(std::span<const GateCriterion> criteria) {
  for (const GateVerdict verdict :
       {GateVerdict::kFail, GateVerdict::kInconclusive, GateVerdict::kNotEvaluated}) {
    for (const GateCriterion& criterion : criteria) {
      if (criterion.verdict == verdict) return verdict;
    }
  }
  return GateVerdict::kPass;
}

}  // namespace tidewheel::training
