#include "tidewheel/stats/model_comparison.h"

#include <cmath>
#include <cstdio>
#include <utility>

#include "tidewheel/stats/corrections.h"

namespace tidewheel::stats {
namespace {

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

std::string Signed(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%+.4g", value);
  return text;
}

std::string Plain(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string Words(const Interval& interval) {
  return "the difference is in " + Signed(interval.low) + " to " + Signed(interval.high);
}

bool IsInterval(const Interval& interval, double margin) {
  return interval.low <= interval.high && std::isfinite(margin) && margin >= 0;
}

Verdict NoInterval() {
  return {Answer::kNotEvaluated,
          "there is no interval of the difference, or no margin of 0 or more"};
}

Result<void> CheckAnswers(std::span<const std::int32_t> values, std::size_t rows,
                          std::size_t classes, const std::string& what) {
  if (values.size() != rows) {
    return Bad(std::to_string(values.size()) + " " + what + " for " + std::to_string(rows) +
               " samples");
  }
  for (std::size_t row = 0; row < rows; ++row) {
    if (values[row] < 0 || static_cast<std::size_t>(values[row]) >= classes) {
      return Bad("row " + std::to_string(row) + ": " + std::to_string(values[row]) + " among the " +
                 what + " is not a class below " + std::to_string(classes));
    }
  }
  return {};
}

Result<void> CheckSlices(std::span<const ComparedSlice> slices, std::size_t rows) {
  std::vector<std::size_t> seen_in(rows, 0);
  for (std::size_t i = 0; i < slices.size(); ++i) {
    for (const std::uint32_t sample : slices[i].samples) {
      const std::string named = "slice " + slices[i].name + ": sample " + std::to_string(sample);
      if (sample >= rows) return Bad(named + " is not below " + std::to_string(rows));
      if (seen_in[sample] == i + 1) return Bad(named + " comes twice");
      seen_in[sample] = i + 1;
    }
  }
  return {};
}

void Count(bool baseline_right, bool candidate_right, PairedCounts& counts) {
  if (baseline_right) {
    ++(candidate_right ? counts.both_right : counts.only_baseline_right);
  } else {
    ++(candidate_right ? counts.only_candidate_right : counts.neither_right);
  }
}

AccuracyComparison Compared(std::string name, const PairedCounts& counts, double confidence) {
  AccuracyComparison compared;
  compared.name = std::move(name);
  compared.counts = counts;
  const std::uint64_t total = counts.total();
  if (total == 0) {
    compared.baseline = compared.candidate = {0, {0, 1}};
    compared.difference = {0, {-1, 1}};
    return compared;
  }
  const auto rate = [&](std::uint64_t right) {
    return Estimate{static_cast<double>(right) / static_cast<double>(total),
                    *WilsonInterval(right, total, confidence)};
  };
  compared.baseline = rate(counts.baseline_right());
  compared.candidate = rate(counts.candidate_right());
  compared.difference = {counts.difference(), *PairedDifferenceInterval(counts, confidence)};
  compared.mcnemar = *McNemar(counts.only_baseline_right, counts.only_candidate_right);
  return compared;
}

/// Tests every part that has samples enough, together.
void Judge(std::vector<AccuracyComparison>& parts, const ComparisonOptions& options) {
  std::vector<std::size_t> evaluated;
  std::vector<double> worse;
  std::vector<double> not_worse;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::uint64_t total = parts[i].counts.total();
    if (total < options.min_samples || total == 0) {
      parts[i].verdict = {
          Answer::kNotEvaluated,
          std::to_string(total) + " samples are fewer than " + std::to_string(options.min_samples)};
      continue;
    }
    evaluated.push_back(i);
    worse.push_back(*PairedDifferencePValue(parts[i].counts, -options.slice_margin));
    not_worse.push_back(1 - worse.back());
  }
  if (evaluated.empty()) return;
  const auto adjusted_worse = *BenjaminiHochbergAdjusted(worse);
  const auto adjusted_not_worse = *BenjaminiHochbergAdjusted(not_worse);
  const double level = (1 - options.confidence) / 2;
  for (std::size_t i = 0; i < evaluated.size(); ++i) {
    AccuracyComparison& part = parts[evaluated[i]];
    part.p_worse = adjusted_worse[i];
    part.p_not_worse = adjusted_not_worse[i];
    const std::string margin = Plain(options.slice_margin);
    if (part.p_worse <= level) {
      part.verdict = {Answer::kFail, "worse by more than " + margin + " (difference " +
                                         Signed(part.difference.value) + ", adjusted p " +
                                         Plain(part.p_worse) + ")"};
    } else if (part.p_not_worse <= level) {
      part.verdict = {Answer::kPass, "not worse by " + margin + " (difference " +
                                         Signed(part.difference.value) + ", adjusted p " +
                                         Plain(part.p_not_worse) + ")"};
    } else {
      part.verdict = {Answer::kInconclusive, std::to_string(part.counts.total()) +
                                                 " samples cannot tell whether it is worse by " +
                                                 margin + " (difference " +
                                                 Signed(part.difference.value) + ")"};
    }
  }
}

}  // namespace

std::string_view Name(Answer answer) {
  switch (answer) {
    case Answer::kPass:
      return "pass";
    case Answer::kFail:
      return "fail";
    case Answer::kInconclusive:
      return "inconclusive";
    case Answer::kNotEvaluated:
      return "not_evaluated";
  }
  return "";
}

Verdict NonInferiority(const Interval& difference, double margin) {
  if (!IsInterval(difference, margin)) return NoInterval();
  const std::string words = Words(difference);
  if (difference.low > -margin) {
    return {Answer::kPass, words + ": worse by less than " + Plain(margin)};
  }
  if (difference.high < -margin) {
    return {Answer::kFail, words + ": worse by more than " + Plain(margin)};
  }
  return {Answer::kInconclusive, words + ", which holds " + Signed(-margin)};
}

Verdict Superiority(const Interval& difference, double margin) {
  if (!IsInterval(difference, margin)) return NoInterval();
  const std::string words = Words(difference);
  if (difference.low > margin) {
    return {Answer::kPass, words + ": better by more than " + Plain(margin)};
  }
  if (difference.high < margin) {
    return {Answer::kFail, words + ": not better by " + Plain(margin)};
  }
  return {Answer::kInconclusive, words + ", which holds " + Signed(margin)};
}

Result<ModelComparison> CompareModels(std::span<const std::int32_t> labels,
                                      std::span<const std::int32_t> baseline,
                                      std::span<const std::int32_t> candidate, std::size_t classes,
                                      std::span<const ComparedSlice> slices,
                                      const ComparisonOptions& options) {
  if (labels.empty()) return Bad("there are no samples to compare on");
  if (classes < 2) return Bad("a classifier has at least 2 classes");
  if (!(options.confidence > 0 && options.confidence < 1)) {
    return Bad("confidence is above 0 and below 1");
  }
  for (const double margin :
       {options.non_inferiority_margin, options.superiority_margin, options.slice_margin}) {
    if (!(margin >= 0 && margin < 1)) return Bad("margins are at least 0 and below 1");
  }
  if (const auto good = CheckAnswers(labels, labels.size(), classes, "labels"); !good) {
    return good.error();
  }
  if (const auto good = CheckAnswers(baseline, labels.size(), classes, "answers of the baseline");
      !good) {
    return good.error();
  }
  if (const auto good = CheckAnswers(candidate, labels.size(), classes, "answers of the candidate");
      !good) {
    return good.error();
  }
  if (const auto good = CheckSlices(slices, labels.size()); !good) return good.error();

  PairedCounts all;
  std::vector<PairedCounts> of_class(classes);
  for (std::size_t row = 0; row < labels.size(); ++row) {
    const bool baseline_right = baseline[row] == labels[row];
    const bool candidate_right = candidate[row] == labels[row];
    Count(baseline_right, candidate_right, all);
    Count(baseline_right, candidate_right, of_class[static_cast<std::size_t>(labels[row])]);
  }
  ModelComparison comparison;
  comparison.overall = Compared("", all, options.confidence);
  const Interval& interval = comparison.overall.difference.interval;
  comparison.overall.verdict = NonInferiority(interval, options.non_inferiority_margin);
  comparison.superiority = Superiority(interval, options.superiority_margin);
  for (std::size_t k = 0; k < classes; ++k) {
    comparison.classes.push_back(
        Compared("class " + std::to_string(k), of_class[k], options.confidence));
  }
  for (const ComparedSlice& slice : slices) {
    PairedCounts counts;
    for (const std::uint32_t row : slice.samples) {
      Count(baseline[row] == labels[row], candidate[row] == labels[row], counts);
    }
    comparison.slices.push_back(Compared(slice.name, counts, options.confidence));
  }
  Judge(comparison.classes, options);
  Judge(comparison.slices, options);
  return comparison;
}

}  // namespace tidewheel::stats
