#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tidewheel/base/matrix_view.h"
#include "tidewheel/base/result.h"

namespace tidewheel::labels {

/// How well a label suits its example's probabilities: in [0, 1], the lower the more suspicious.
/// With p the probability of the given class:
enum class LabelScore {
  kSelfConfidence,    // p.
  kNormalizedMargin,  // (p - largest probability of another class + 1) / 2.
  // ln(1 + x) / x, x = entropy / ln(classes) / max(p, 1e-6). As the entropy vanishes, 1 where the
  // label is the model's answer and 0 where it is not.
  kConfidenceWeightedEntropy,
};

/// "self_confidence", "normalized_margin", "confidence_weighted_entropy".
std::string_view Name(LabelScore score);

/// The score of one example: `row` holds a probability a class (at least two; values outside [0, 1]
/// count as the nearest end), `label` is one of them. T is float or double. O(classes).
/// Northcutt, Jiang, Chuang (JAIR 2021); Kuan, Mueller (ICML DataPerf workshop 2022).
template <typename T>
double ScoreLabel(std::span<const T> row, std::int32_t label, LabelScore score);

/// The scores of N examples from N x K probabilities and N given labels. T is float or double; the
/// result does not depend on `threads`. kInvalidArgument: no examples, fewer than two classes,
/// other than N labels, a label out of range, or a row that is not probabilities (see
/// LabelErrorScan). O(N x K).
template <typename T>
Result<std::vector<double>> ScoreLabels(MatrixView<T> probabilities,
                                        std::span<const std::int32_t> labels, LabelScore score,
                                        std::uint32_t threads = 1);

extern template double ScoreLabel(std::span<const float>, std::int32_t, LabelScore);
extern template double ScoreLabel(std::span<const double>, std::int32_t, LabelScore);
extern template Result<std::vector<double>> ScoreLabels(MatrixView<float>,
                                                        std::span<const std::int32_t>, LabelScore,
                                                        std::uint32_t);
extern template Result<std::vector<double>> ScoreLabels(MatrixView<double>,
                                                        std::span<const std::int32_t>, LabelScore,
                                                        std::uint32_t);

}  // namespace tidewheel::labels
