#include "tidewheel/labels/agreement.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "tidewheel/labels/internal/conclude.h"
#include "tidewheel/labels/internal/packed_votes.h"

namespace tidewheel::labels {
namespace {

using internal::PackedVotes;

Error Bad(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }
Error NotDefined(std::string message) {
  return {ErrorCode::kFailedPrecondition, std::move(message)};
}
Error AllEqual() { return NotDefined("agreement is not defined where all votes are equal"); }
Error NoPairs() { return NotDefined("agreement needs an item with two votes"); }

/// From counts[first x second]; nothing where chance alone agrees fully.
std::optional<double> KappaOf(std::span<const std::uint64_t> counts, std::size_t classes,
                              KappaWeights weights) {
  const auto kappa = stats::CohenKappa(counts, classes, weights);
  return kappa ? std::optional(*kappa) : std::nullopt;
}

/// Each item's counts by class, for items with at least two votes.
template <typename Visit>
void VisitPairable(const PackedVotes& votes, Visit visit) {
  std::vector<double> counts(votes.classes());
  for (std::size_t i = 0; i < votes.items(); ++i) {
    const auto cast = votes.of(i);
    if (cast.size() < 2) continue;
    counts.assign(votes.classes(), 0);
    for (const std::uint32_t vote : cast) counts[votes.LabelOf(vote)] += 1;
    visit(std::span<const double>(counts), static_cast<double>(cast.size()));
  }
}

/// Squared distances of Krippendorff's metrics from how often each class occurs.
class Distances {
 public:
  Distances(AlphaMetric metric, std::span<const double> values, std::span<const double> totals)
      : metric_(metric), places_(totals.size()) {
    double before = 0;
    for (std::size_t k = 0; k < totals.size(); ++k) {
      // The ranks between two classes are those of all between and half of their own: the distance
      // of the middles of their ranks.
      if (metric == AlphaMetric::kOrdinal) {
        places_[k] = before + totals[k] / 2;
        before += totals[k];
      } else {
        places_[k] = values.empty() ? static_cast<double>(k) : values[k];
      }
    }
  }
  double operator()(std::size_t a, std::size_t b) const {
    if (metric_ == AlphaMetric::kNominal) return a == b ? 0 : 1;
    const double apart = places_[a] - places_[b];
    return apart * apart;
  }

 private:
  AlphaMetric metric_;
  std::vector<double> places_;
};

}  // namespace

Result<double> CohenKappa(std::span<const std::int32_t> first, std::span<const std::int32_t> second,
                          std::size_t classes, KappaWeights weights) {
  constexpr std::size_t kMostClasses = 1 << 14;
  if (classes < 2 || classes > kMostClasses) {
    return Bad("kappa is for 2 to " + std::to_string(kMostClasses) + " classes, not " +
               std::to_string(classes));
  }
  if (first.size() != second.size()) {
    return Bad("the first rater has " + std::to_string(first.size()) + " labels and the second " +
               std::to_string(second.size()));
  }
  std::vector<std::uint64_t> counts(classes * classes);
  bool any = false;
  for (std::size_t i = 0; i < first.size(); ++i) {
    for (const std::int32_t label : {first[i], second[i]}) {
      if (label == kAbstain || (label >= 0 && static_cast<std::size_t>(label) < classes)) continue;
      return Bad("label " + std::to_string(label) + " of item " + std::to_string(i) +
                 " is none of the " + std::to_string(classes) + " classes");
    }
    if (first[i] == kAbstain || second[i] == kAbstain) continue;
    any = true;
    ++counts[static_cast<std::size_t>(first[i]) * classes + static_cast<std::size_t>(second[i])];
  }
  if (!any) return NotDefined("agreement needs an item that both raters labeled");
  const auto kappa = KappaOf(counts, classes, weights);
  if (!kappa) return AllEqual();
  return *kappa;
}

Result<PairwiseKappa> PairwiseCohenKappa(const Votes& in, std::size_t min_items,
                                         KappaWeights weights) {
  auto newest = KeepLastVotes(in);
  if (!newest) return newest.error();
  const auto packed = PackedVotes::Of(newest->View());
  if (!packed) return packed.error();
  const PackedVotes& votes = *packed;
  if (const auto fits = internal::NeedConfusionToFit(votes); !fits) return fits.error();
  const std::size_t classes = votes.classes();
  const std::size_t square = classes * classes;

  std::vector<std::vector<std::pair<std::uint32_t, std::uint32_t>>> of_worker(votes.workers());
  for (std::size_t i = 0; i < votes.items(); ++i) {
    for (const std::uint32_t vote : votes.of(i)) {
      of_worker[votes.WorkerOf(vote)].emplace_back(static_cast<std::uint32_t>(i), vote);
    }
  }
  PairwiseKappa result;
  std::vector<std::uint64_t> counts(votes.workers() * square);
  std::vector<std::uint32_t> shared(votes.workers());
  std::vector<std::size_t> met;
  double sum = 0;
  double weighted_sum = 0;
  double weight = 0;
  for (std::size_t a = 0; a < votes.workers(); ++a) {
    met.clear();
    for (const auto& [item, mine] : of_worker[a]) {
      const auto cast = votes.of(item);
      // Votes of an item ascend by worker: those after mine are of the pairs to be seen.
      for (auto other = std::upper_bound(cast.begin(), cast.end(), mine); other != cast.end();
           ++other) {
        const std::size_t b = votes.WorkerOf(*other);
        if (shared[b]++ == 0) met.push_back(b);
        ++counts[b * square + votes.LabelOf(mine) * classes + votes.LabelOf(*other)];
      }
    }
    std::sort(met.begin(), met.end());
    for (const std::size_t b : met) {
      const auto table = std::span(counts).subspan(b * square, square);
      if (shared[b] >= std::max<std::size_t>(min_items, 1)) {
        const auto kappa = KappaOf(table, classes, weights);
        result.pairs.push_back({static_cast<std::int32_t>(a), static_cast<std::int32_t>(b),
                                shared[b], kappa.value_or(0), kappa.has_value()});
        if (kappa) {
          sum += *kappa;
          weighted_sum += *kappa * shared[b];
          weight += shared[b];
        } else {
          ++result.undefined;
        }
      }
      std::fill(table.begin(), table.end(), std::uint64_t{0});
      shared[b] = 0;
    }
  }
  if (result.pairs.empty()) {
    return NotDefined("no two workers share " +
                      std::to_string(std::max<std::size_t>(min_items, 1)) + " items");
  }
  const std::size_t defined = result.pairs.size() - result.undefined;
  if (defined == 0) return AllEqual();
  result.mean = sum / static_cast<double>(defined);
  result.weighted_mean = weighted_sum / weight;
  return result;
}

Result<double> FleissKappa(const Votes& in) {
  const auto packed = PackedVotes::Of(in);
  if (!packed) return packed.error();
  std::vector<double> totals(in.classes);
  double agreement = 0;
  double items = 0;
  double votes = 0;
  VisitPairable(*packed, [&](std::span<const double> counts, double n) {
    double equal = 0;
    for (std::size_t k = 0; k < counts.size(); ++k) {
      equal += counts[k] * (counts[k] - 1);
      totals[k] += counts[k];
    }
    agreement += equal / (n * (n - 1));
    votes += n;
    items += 1;
  });
  if (items == 0) return NoPairs();
  double chance = 0;
  for (const double total : totals) {
    if (total == votes) return AllEqual();
    chance += (total / votes) * (total / votes);
  }
  return (agreement / items - chance) / (1 - chance);
}

Result<double> KrippendorffAlpha(const Votes& in, AlphaMetric metric,
                                 std::span<const double> values) {
  const auto packed = PackedVotes::Of(in);
  if (!packed) return packed.error();
  if (!values.empty() && values.size() != in.classes) {
    return Bad("there are " + std::to_string(values.size()) + " values for " +
               std::to_string(in.classes) + " classes");
  }
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (!std::isfinite(values[k]))
      return Bad("the value of class " + std::to_string(k) + " is not a finite number");
  }
  std::vector<double> totals(in.classes);
  double pairable = 0;
  VisitPairable(*packed, [&](std::span<const double> counts, double n) {
    for (std::size_t k = 0; k < counts.size(); ++k) totals[k] += counts[k];
    pairable += n;
  });
  if (pairable == 0) return NoPairs();

  const Distances distance(metric, values, totals);
  const auto disagreement = [&](std::span<const double> counts) {
    double sum = 0;
    if (metric == AlphaMetric::kNominal) {
      double n = 0;
      double equal = 0;
      for (const double count : counts) {
        n += count;
        equal += count * count;
      }
      return n * n - equal;
    }
    for (std::size_t a = 0; a < counts.size(); ++a) {
      if (counts[a] == 0) continue;
      for (std::size_t b = 0; b < a; ++b) sum += 2 * counts[a] * counts[b] * distance(a, b);
    }
    return sum;
  };
  double observed = 0;
  VisitPairable(*packed, [&](std::span<const double> counts, double n) {
    observed += disagreement(counts) / (n - 1);
  });
  const double expected = disagreement(totals);
  if (!std::isfinite(expected)) return Bad("the values of the classes are too far apart to square");
  if (!(expected > 0)) return AllEqual();
  return 1 - (pairable - 1) * observed / expected;
}

}  // namespace tidewheel::labels
