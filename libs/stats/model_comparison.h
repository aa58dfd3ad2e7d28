#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/stats/classification.h"
#include "tidewheel/stats/intervals.h"
#include "tidewheel/stats/mcnemar.h"
#include "tidewheel/stats/paired_difference.h"

namespace tidewheel::stats {

/// What a comparison says. Never silence: what could not be looked at says so.
enum class Answer { kPass, kFail, kInconclusive, kNotEvaluated };

/// "pass", "fail", "inconclusive", "not_evaluated".
std::string_view Name(Answer answer);

struct Verdict {
  Answer answer = Answer::kNotEvaluated;
  std::string reason;
};

/// Verdicts on an interval of a difference, candidate less baseline, of a figure of which more is
/// better: from the interval alone, so they hold for rates, areas and bootstrapped figures alike.
/// `margin` is at least 0, in the figure's own unit. An interval or margin that is none is "not
/// evaluated".

/// Pass: the candidate is worse by less than the margin. Fail: it is worse by more.
Verdict NonInferiority(const Interval& difference, double margin);
/// Pass: the candidate is better by more than the margin. Fail: it is not (better by less, or
/// worse).
Verdict Superiority(const Interval& difference, double margin = 0);

/// A named part of the samples.
struct ComparedSlice {
  std::string name;
  std::vector<std::uint32_t> samples;  // Indices, each once.
};

struct ComparisonOptions {
  double confidence = 0.95;
  double non_inferiority_margin = 0.01;  // In shares of right answers.
  double superiority_margin = 0;
  double slice_margin = 0.05;    // A class or slice may be worse by less than this.
  std::size_t min_samples = 30;  // Smaller classes and slices are not evaluated.
};

/// Right answers of both models on some samples.
struct AccuracyComparison {
  std::string name;  // "class 3", or the slice's; empty for all samples.
  PairedCounts counts;
  Estimate baseline;  // Share right, with Wilson's interval; 0 with 0..1 without samples.
  Estimate candidate;
  Estimate difference;  // Candidate less baseline, with Newcombe's paired interval.
  McNemarTest mcnemar;
  double p_worse = 1;      // Adjusted, of "not worse by more than slice_margin". 1 for all samples.
  double p_not_worse = 1;  // Adjusted, of "worse by at least slice_margin". 1 for all samples.
  Verdict verdict;         // Non-inferiority.
};

struct ModelComparison {
  AccuracyComparison overall;
  Verdict superiority;
  std::vector<AccuracyComparison> classes;  // By the given label: what is compared is recall.
  std::vector<AccuracyComparison> slices;
};

/// Two models' answers on the same N samples, all classes below K. Overall: non-inferiority by the
/// interval. Per class and per slice: one-sided tests of the same interval against the slice
/// margin, with Benjamini and Hochberg's correction within the classes and within the slices, each
/// side at half of 1 - confidence: fail = significantly worse by more than the margin, pass =
/// significantly not so bad, inconclusive = the samples cannot tell. O(N + slices' samples).
/// kInvalidArgument: no samples, shapes that differ, a label or answer that is no class (named with
/// its row), a slice with a sample that does not exist or comes twice, options out of range.
Result<ModelComparison> CompareModels(std::span<const std::int32_t> labels,
                                      std::span<const std::int32_t> baseline,
                                      std::span<const std::int32_t> candidate, std::size_t classes,
                                      std::span<const ComparedSlice> slices = {},
                                      const ComparisonOptions& options = {});

}  // namespace tidewheel::stats
