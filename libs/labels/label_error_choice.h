#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/labels/label_errors.h"

namespace tidewheel::labels {

/// Examples whose labels people have checked: a sample drawn by chance, whatever the methods say.
struct ValidatedLabels {
  std::span<const std::uint32_t> rows;
  std::span<const std::uint8_t> wrong;  // 1: the given label is an error.
  /// One over each example's chance to be drawn, where chances differed; empty: all the same.
  std::span<const double> weights;
};

struct LabelErrorChoiceOptions {
  std::size_t budget = 0;  // Labels that can be checked again.
  /// A cut-off below this expected precision is not worth the work.
  double min_precision = 0;
  double confidence = 0.95;  // Of the interval, in (0, 1).
  std::uint64_t keep_per_class = 5;
  std::uint64_t seed = 1;  // Of the division of the validated sample.
  std::uint32_t threads = 1;
};

/// The first `take` of a method's issues, ranked by a score.
struct LabelErrorCut {
  LabelErrorMethod method = LabelErrorMethod::kPruneByNoiseRate;
  LabelScore rank_by = LabelScore::kSelfConfidence;
  std::size_t take = 0;
  double last_score = 0;          // Of the last example taken.
  std::uint64_t chosen_by = 0;    // Validated examples inside, of the half that chooses.
  std::uint64_t held_out = 0;     // Of the half that does not.
  double expected_precision = 0;  // By the choosing half, half an error and half a hit added.
};

struct LabelErrorChoice {
  LabelErrorCut cut;
  std::vector<std::uint32_t> rows;  // The examples to check again, most suspicious first.
  /// Of the chosen cut, by the half that had no say in the choice.
  double precision = 0;
  double low = 0;
  double high = 1;
  double expected_errors = 0;             // precision x take.
  std::vector<LabelErrorCut> considered;  // All cuts that could be judged.
};

/// Chooses the method, the score and the cut-off that promise the most errors within a relabeling
/// budget. Candidates are the seven methods x three scores x cut-offs at the budget, its half,
/// quarter and eighth and at all issues where the budget allows. A seeded half of the validated
/// sample chooses: the largest take x expected precision among cuts of at least `min_precision`
/// (equal: the more precise, then the first in the order of methods and scores). The other half,
/// which has not seen the choice, gives the precision and its Wilson interval (1927; weighted
/// samples by their effective size), so that having looked at many does not flatter it.
///
/// kInvalidArgument: rows, verdicts or weights of different lengths, a row out of range or twice, a
/// verdict other than 0 and 1, a weight that is not positive and finite, no budget, a precision
/// outside [0, 1), or a confidence outside (0, 1). kFailedPrecondition: no cut holds five validated
/// examples of each half, or none reaches `min_precision`.
/// O(methods) x LabelErrorScan::Find and Rank.
template <typename T>
Result<LabelErrorChoice> ChooseLabelErrors(const LabelErrorScan<T>& scan,
                                           const ValidatedLabels& validated,
                                           const LabelErrorChoiceOptions& options);

extern template Result<LabelErrorChoice> ChooseLabelErrors(const LabelErrorScan<float>&,
                                                           const ValidatedLabels&,
                                                           const LabelErrorChoiceOptions&);
extern template Result<LabelErrorChoice> ChooseLabelErrors(const LabelErrorScan<double>&,
                                                           const ValidatedLabels&,
                                                           const LabelErrorChoiceOptions&);

}  // namespace tidewheel::labels
