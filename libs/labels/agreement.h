#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tidewheel/base/result.h"
#include "tidewheel/labels/votes.h"
#include "tidewheel/stats/imbalance.h"

namespace tidewheel::labels {

/// How far apart two classes are: all alike, or by the distance of their indices.
using stats::KappaWeights;

/// Cohen's kappa (1960; weighted 1968) of two raters over the same items: agreement beyond chance,
/// 1 is perfect, 0 is chance, at least -1. Items where either abstains are left out. O(items +
/// classes^2). kInvalidArgument: spans of different lengths, fewer than two classes, a label out of
/// range. kFailedPrecondition: no item rated by both, or chance alone agrees fully (both always say
/// the same one class).
Result<double> CohenKappa(std::span<const std::int32_t> first, std::span<const std::int32_t> second,
                          std::size_t classes, KappaWeights weights = KappaWeights::kNone);

/// Cohen's kappa of two workers over the items that both voted on.
struct WorkerPair {
  std::int32_t first = 0;
  std::int32_t second = 0;  // Above first.
  std::uint32_t items = 0;  // Shared.
  double kappa = 0;         // 0 where not defined.
  bool defined = true;      // False where chance alone agrees fully.
};

struct PairwiseKappa {
  std::vector<WorkerPair> pairs;  // By first, then second; all that share at least one item.
  double mean = 0;                // Over the defined pairs (Light 1971).
  double weighted_mean = 0;       // The same, each pair weighted by its items.
  std::size_t undefined = 0;
};

/// Of all pairs of workers with at least `min_items` shared items. Where a worker votes on an item
/// twice, the vote that comes last counts. O(sum of squared votes an item), memory for the pairs
/// and workers x classes^2 numbers. kFailedPrecondition: no such pair, or none is defined.
Result<PairwiseKappa> PairwiseCohenKappa(const Votes& votes, std::size_t min_items = 1,
                                         KappaWeights weights = KappaWeights::kNone);

/// Fleiss' kappa (1971) for any number of votes an item: the mean over the items with at least two
/// votes of the share of their pairs that agree, against the agreement expected from the shares of
/// the classes among all votes of these items. With the same number of votes an item it is Fleiss'
/// own. Every vote counts, also a worker's second on an item. O(votes + items x classes).
/// kFailedPrecondition: no item has two votes, or all votes are equal.
Result<double> FleissKappa(const Votes& votes);

/// What a disagreement weighs in Krippendorff's alpha: nothing but that it is one, the ranks
/// between the two classes, or the squared distance of their values.
enum class AlphaMetric { kNominal, kOrdinal, kInterval };

/// Krippendorff's alpha (2011): agreement beyond chance, 1 is perfect. Items with one vote say
/// nothing; every vote counts, also a worker's second on an item. `values`: what the classes stand
/// for, one finite number a class, for kInterval; empty for their indices. O(votes + items x
/// classes
/// + classes^2), for kNominal without the square. kInvalidArgument: values of another number or not
/// finite. kFailedPrecondition: no item has two votes, or all votes are equal.
Result<double> KrippendorffAlpha(const Votes& votes, AlphaMetric metric = AlphaMetric::kNominal,
                                 std::span<const double> values = {});

}  // namespace tidewheel::labels
