#include "tidewheel/stats/drift_verdict.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/distances.h"
#include "tidewheel/stats/histograms.h"
#include "tidewheel/stats/internal/samples.h"

namespace tidewheel::stats {
namespace {

constexpr std::size_t kMostCategories = 10'000;
constexpr std::size_t kMostResamples = 1'000'000;
constexpr std::size_t kRowsForEachCategory = 20;

Result<void> CheckPolicy(const DriftPolicy& policy) {
  if (!(policy.false_alarm_rate > 0 && policy.false_alarm_rate < 1)) {
    return internal::Invalid("a false-alarm rate is above 0 and below 1");
  }
  if (!(policy.confidence > 0 && policy.confidence < 1)) {
    return internal::Invalid("confidence is above 0 and below 1");
  }
  if (!(policy.smallest_effect >= 0 && std::isfinite(policy.smallest_effect))) {
    return internal::Invalid("the smallest effect is a number of 0 or more");
  }
  if (policy.resamples > kMostResamples) {
    return internal::Invalid(std::to_string(policy.resamples) +
                             " resamples are above the limit of " + std::to_string(kMostResamples));
  }
  const double least = std::ceil(1 / policy.false_alarm_rate - 1e-9) - 1;
  if (static_cast<double>(policy.resamples) < std::max(least, 10.0)) {
    return internal::Invalid(
        "a false-alarm rate of " + std::to_string(policy.false_alarm_rate) + " needs at least " +
        std::to_string(static_cast<long long>(std::max(least, 10.0))) + " resamples");
  }
  if (policy.min_rows < 2 || policy.resampled_rows < 100) {
    return internal::Invalid("a verdict needs min_rows of at least 2 and resampled_rows of 100");
  }
  return {};
}

Result<void> CheckRows(std::size_t rows, std::size_t used, std::string_view name,
                       const DriftPolicy& policy) {
  if (rows == 0) return internal::Invalid("the " + std::string(name) + " sample is empty");
  if (used == 0) {
    return internal::NotApplicable("all rows of the " + std::string(name) + " sample are missing");
  }
  if (used < policy.min_rows) {
    return internal::NotApplicable("the " + std::string(name) + " sample has " +
                                   std::to_string(used) + " rows that are not missing, below the " +
                                   std::to_string(policy.min_rows) + " that a verdict needs");
  }
  return {};
}

double EffectiveRows(std::size_t n, std::size_t m) {
  return static_cast<double>(n) * static_cast<double>(m) / static_cast<double>(n + m);
}

/// What resamples of some size say: `without_drift` the measure of two samples of the reference,
/// `noise` how far two samples are from what they were drawn from, in the measure's own norm.
struct Resampled {
  std::size_t reference_rows;
  std::size_t current_rows;
  std::vector<double> without_drift;
  std::vector<double> noise;
};

/// The value that one more of its kind exceeds with probability `share` at most, whatever the
/// number of values. Sorts them.
double UpperQuantile(std::vector<double>& values, double share) {
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<std::size_t>(
      std::ceil(static_cast<double>(values.size() + 1) * (1 - share) - 1e-9));
  return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

void Judge(Resampled resampled, double largest, const DriftPolicy& policy, DriftVerdict& verdict) {
  const double scale = std::sqrt(EffectiveRows(resampled.reference_rows, resampled.current_rows) /
                                 EffectiveRows(verdict.reference_rows, verdict.current_rows));
  auto& null = resampled.without_drift;
  verdict.threshold = UpperQuantile(null, policy.false_alarm_rate) * scale;
  // Equal effects differ by rounding only.
  const auto smaller =
      std::lower_bound(null.begin(), null.end(), verdict.effect / scale * (1 - 1e-12));
  verdict.p_value =
      static_cast<double>(null.end() - smaller + 1) / static_cast<double>(null.size() + 1);
  verdict.drifted =
      verdict.effect > verdict.threshold * (1 + 1e-12) && verdict.effect >= policy.smallest_effect;
  const double noise = UpperQuantile(resampled.noise, 1 - policy.confidence) * scale;
  verdict.interval = {std::max(0.0, verdict.effect - noise),
                      std::min(largest, verdict.effect + noise)};
}

// ---------------------------------------------------------------------------------------------
// Numbers
// ---------------------------------------------------------------------------------------------

/// Beyond this many distinct values, resamples see groups of neighbours of equal size: a group then
/// holds a few 100,000ths of the rows, which is nothing beside what a resample leaves to chance.
constexpr std::size_t kMostPlaces = 1U << 15;

/// Both samples on the places of their distinct values. Heights are the reference's distribution
/// function less the current one's.
struct Pooled {
  std::vector<double> values;
  std::vector<double> heights;
  std::vector<std::uint32_t> reference;  // Place of each row.
  std::vector<std::uint32_t> current;
};

Pooled PoolOf(const std::vector<double>& reference, const std::vector<double>& current) {
  Pooled pooled;
  const auto n = static_cast<double>(reference.size());
  const auto m = static_cast<double>(current.size());
  pooled.reference.reserve(reference.size());
  pooled.current.reserve(current.size());
  internal::VisitDistinct(
      internal::SortedWithGuard(std::span<const double>(reference)),
      internal::SortedWithGuard(std::span<const double>(current)),
      [&](double value, std::size_t of_reference, std::size_t of_current, double) {
        const auto place = static_cast<std::uint32_t>(pooled.values.size());
        pooled.values.push_back(value);
        pooled.reference.insert(pooled.reference.end(), of_reference, place);
        pooled.current.insert(pooled.current.end(), of_current, place);
        pooled.heights.push_back(static_cast<double>(pooled.reference.size()) / n -
                                 static_cast<double>(pooled.current.size()) / m);
      });
  return pooled;
}

/// The same on fewer places.
Pooled Grouped(Pooled pooled) {
  if (pooled.values.size() <= kMostPlaces) return pooled;
  const std::size_t rows = pooled.reference.size() + pooled.current.size();
  std::vector<std::uint32_t> group(pooled.values.size());
  std::vector<double> values;
  std::vector<double> heights;
  std::size_t i = 0;
  std::size_t j = 0;
  for (std::uint32_t place = 0; place < pooled.values.size(); ++place) {
    group[place] = static_cast<std::uint32_t>(values.size());
    while (i < pooled.reference.size() && pooled.reference[i] == place) ++i;
    while (j < pooled.current.size() && pooled.current[j] == place) ++j;
    const bool full = (i + j) * kMostPlaces / rows > values.size();
    if (full || place + 1 == pooled.values.size()) {
      values.push_back(pooled.values[place]);
      heights.push_back(pooled.heights[place]);
    }
  }
  for (std::uint32_t& place : pooled.reference) place = group[place];
  for (std::uint32_t& place : pooled.current) place = group[place];
  pooled.values = std::move(values);
  pooled.heights = std::move(heights);
  return pooled;
}

/// The size of a difference of distribution functions, given at each place.
template <typename HeightAt>
double Norm(NumericMeasure measure, const std::vector<double>& values, HeightAt height_at) {
  double largest = 0;
  double area = 0;
  for (std::size_t place = 0; place + 1 < values.size(); ++place) {
    const double height = std::abs(height_at(place));
    largest = std::max(largest, height);
    area += height * (values[place + 1] - values[place]);
  }
  return measure == NumericMeasure::kKolmogorovSmirnov ? largest : area;
}

/// Rows drawn with replacement, counted at their places.
class Draws {
 public:
  explicit Draws(std::size_t places) : counts_(places) {}

  void Take(const std::vector<std::uint32_t>& reference, std::size_t n,
            const std::vector<std::uint32_t>& current, std::size_t m, Random& random) {
    std::fill(counts_.begin(), counts_.end(), 0);
    // Whole numbers, so that heights that are equal are so exactly.
    for (std::size_t i = 0; i < n; ++i) {
      counts_[reference[random.Below(reference.size())]] += static_cast<std::int64_t>(m);
    }
    for (std::size_t i = 0; i < m; ++i) {
      counts_[current[random.Below(current.size())]] -= static_cast<std::int64_t>(n);
    }
    unit_ = 1 / (static_cast<double>(n) * static_cast<double>(m));
    height_ = 0;
  }
  /// Height after `place`, asked for in the order of the places.
  double Next(std::size_t place) {
    height_ += counts_[place];
    return static_cast<double>(height_) * unit_;
  }

 private:
  std::vector<std::int64_t> counts_;
  std::int64_t height_ = 0;
  double unit_ = 1;
};

/// The values that are there. kInvalidArgument: one that is infinite.
Result<std::vector<double>> Present(std::span<const double> values, std::string_view name) {
  std::vector<double> present;
  present.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) continue;
    if (std::isinf(values[i])) {
      return internal::Invalid("value " + std::to_string(i) + " of the " + std::string(name) +
                               " sample is infinite");
    }
    present.push_back(values[i]);
  }
  return present;
}

/// With divisor n.
double Deviation(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  double mean = 0;
  for (const double value : values) mean += value / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean) / n;
  return std::sqrt(squares);
}

}  // namespace

Result<DriftVerdict> NumericDrift(std::span<const double> reference,
                                  std::span<const double> current, const DriftPolicy& policy) {
  if (const auto good = CheckPolicy(policy); !good) return good.error();
  const auto before = Present(reference, "reference");
  if (!before) return before.error();
  const auto now = Present(current, "current");
  if (!now) return now.error();
  if (const auto good = CheckRows(reference.size(), before->size(), "reference", policy); !good) {
    return good.error();
  }
  if (const auto good = CheckRows(current.size(), now->size(), "current", policy); !good) {
    return good.error();
  }
  if (std::max(reference.size(), current.size()) >= std::size_t{1} << 30) {
    return internal::Invalid("a sample of more than 2^30 rows");
  }
  Pooled pooled = PoolOf(*before, *now);
  if (pooled.reference.front() == pooled.reference.back()) {
    return internal::NotApplicable("the reference has one value only (" +
                                   std::to_string(before->front()) +
                                   "), so nothing is known of chance");
  }

  const std::size_t n = before->size();
  const std::size_t m = now->size();
  const auto missing = CompareProportions(reference.size() - n, reference.size(),
                                          current.size() - m, current.size(), policy.confidence);
  if (!missing) return missing.error();
  double unit = 1;
  if (policy.numeric == NumericMeasure::kWasserstein) {
    unit = Deviation(*before);
    if (!(unit > 0 && std::isfinite(unit))) {
      return Error{ErrorCode::kOutOfRange,
                   "the reference's standard deviation is outside the range of a double"};
    }
  }

  DriftVerdict verdict;
  verdict.reference_rows = n;
  verdict.current_rows = m;
  verdict.missing = *missing;
  verdict.effect = Norm(policy.numeric, pooled.values,
                        [&](std::size_t place) { return pooled.heights[place]; }) /
                   unit;
  if (!std::isfinite(verdict.effect)) {
    return Error{ErrorCode::kOutOfRange, "the distance is above the range of a double"};
  }

  const Pooled grouped = Grouped(std::move(pooled));
  Resampled resampled{
      std::min(n, policy.resampled_rows), std::min(m, policy.resampled_rows), {}, {}};
  Random random(policy.seed);
  Draws draws(grouped.values.size());
  for (std::size_t r = 0; r < policy.resamples; ++r) {
    draws.Take(grouped.reference, resampled.reference_rows, grouped.reference,
               resampled.current_rows, random);
    resampled.without_drift.push_back(
        Norm(policy.numeric, grouped.values, [&](std::size_t place) { return draws.Next(place); }) /
        unit);
    draws.Take(grouped.reference, resampled.reference_rows, grouped.current, resampled.current_rows,
               random);
    resampled.noise.push_back(
        Norm(policy.numeric, grouped.values,
             [&](std::size_t place) { return draws.Next(place) - grouped.heights[place]; }) /
        unit);
  }
  const double largest =
      policy.numeric == NumericMeasure::kWasserstein ? std::numeric_limits<double>::infinity() : 1;
  Judge(std::move(resampled), largest, policy, verdict);
  return verdict;
}

namespace {

// ---------------------------------------------------------------------------------------------
// Categories
// ---------------------------------------------------------------------------------------------

using Counts = std::vector<std::uint64_t>;

Result<std::vector<std::int32_t>> Present(std::span<const std::int32_t> values,
                                          std::size_t categories, std::string_view name) {
  std::vector<std::int32_t> present;
  present.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] == -1) continue;
    if (values[i] < 0 || static_cast<std::size_t>(values[i]) >= categories) {
      return internal::Invalid("row " + std::to_string(i) + " of the " + std::string(name) +
                               " sample has category " + std::to_string(values[i]) + ", not 0 to " +
                               std::to_string(categories - 1) + " or -1 for missing");
    }
    present.push_back(values[i]);
  }
  return present;
}

double Measure(CategoricalMeasure measure, const Counts& reference, const Counts& current) {
  // Neither histogram is empty and both have the same bins, so there is always a value.
  switch (measure) {
    case CategoricalMeasure::kTotalVariation:
      return TotalVariation(reference, current).value();
    case CategoricalMeasure::kJensenShannon:
      return JensenShannonDistance(reference, current).value();
    case CategoricalMeasure::kHellinger:
      return Hellinger(reference, current).value();
  }
  return 0;
}

/// The size of what is left when the difference of two samples is taken from the difference of two
/// others, in the norm that the measure comes from: of the shares, or of their roots. The
/// Jensen-Shannon distance has no such norm, only the triangle's inequality.
double Noise(CategoricalMeasure measure, const Counts& reference, const Counts& current,
             const Counts& drawn_reference, const Counts& drawn_current) {
  if (measure == CategoricalMeasure::kJensenShannon) {
    return Measure(measure, reference, drawn_reference) + Measure(measure, current, drawn_current);
  }
  const auto total = [](const Counts& counts) {
    return static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
  };
  const double totals[] = {total(reference), total(current), total(drawn_reference),
                           total(drawn_current)};
  double sum = 0;
  for (std::size_t k = 0; k < reference.size(); ++k) {
    double shares[] = {static_cast<double>(reference[k]) / totals[0],
                       static_cast<double>(current[k]) / totals[1],
                       static_cast<double>(drawn_reference[k]) / totals[2],
                       static_cast<double>(drawn_current[k]) / totals[3]};
    if (measure == CategoricalMeasure::kHellinger) {
      for (double& share : shares) share = std::sqrt(share);
    }
    const double rest = (shares[2] - shares[0]) - (shares[3] - shares[1]);
    sum += measure == CategoricalMeasure::kHellinger ? rest * rest : std::abs(rest);
  }
  return measure == CategoricalMeasure::kHellinger ? std::sqrt(sum / 2) : sum / 2;
}

void Count(const std::vector<std::int32_t>& rows, Counts& counts) {
  for (const std::int32_t row : rows) ++counts[static_cast<std::size_t>(row)];
}

void DrawCounts(const std::vector<std::int32_t>& rows, std::size_t draws, Random& random,
                Counts& counts) {
  std::fill(counts.begin(), counts.end(), 0);
  for (std::size_t i = 0; i < draws; ++i) {
    ++counts[static_cast<std::size_t>(rows[random.Below(rows.size())])];
  }
}

}  // namespace

Result<DriftVerdict> CategoricalDrift(std::span<const std::int32_t> reference,
                                      std::span<const std::int32_t> current, std::size_t categories,
                                      const DriftPolicy& policy) {
  if (const auto good = CheckPolicy(policy); !good) return good.error();
  if (categories == 0 || categories > kMostCategories) {
    return internal::Invalid(std::to_string(categories) + " categories are not 1 to " +
                             std::to_string(kMostCategories));
  }
  const auto before = Present(reference, categories, "reference");
  if (!before) return before.error();
  const auto now = Present(current, categories, "current");
  if (!now) return now.error();
  if (const auto good = CheckRows(reference.size(), before->size(), "reference", policy); !good) {
    return good.error();
  }
  if (const auto good = CheckRows(current.size(), now->size(), "current", policy); !good) {
    return good.error();
  }
  Counts reference_counts(categories);
  Counts current_counts(categories);
  Count(*before, reference_counts);
  Count(*now, current_counts);
  if (reference_counts[static_cast<std::size_t>(before->front())] == before->size()) {
    return internal::NotApplicable("the reference has one category only (" +
                                   std::to_string(before->front()) +
                                   "), so nothing is known of chance");
  }
  const auto missing =
      CompareProportions(reference.size() - before->size(), reference.size(),
                         current.size() - now->size(), current.size(), policy.confidence);
  if (!missing) return missing.error();

  DriftVerdict verdict;
  verdict.reference_rows = before->size();
  verdict.current_rows = now->size();
  verdict.missing = *missing;
  verdict.effect = Measure(policy.categorical, reference_counts, current_counts);

  // Rare categories are seen in a resample as they are in the samples.
  const std::size_t most = std::max(policy.resampled_rows, kRowsForEachCategory * categories);
  Resampled resampled{std::min(before->size(), most), std::min(now->size(), most), {}, {}};
  Random random(policy.seed);
  Counts first(categories);
  Counts second(categories);
  for (std::size_t r = 0; r < policy.resamples; ++r) {
    DrawCounts(*before, resampled.reference_rows, random, first);
    DrawCounts(*before, resampled.current_rows, random, second);
    resampled.without_drift.push_back(Measure(policy.categorical, first, second));
    DrawCounts(*before, resampled.reference_rows, random, first);
    DrawCounts(*now, resampled.current_rows, random, second);
    resampled.noise.push_back(
        Noise(policy.categorical, reference_counts, current_counts, first, second));
  }
  Judge(std::move(resampled), 1, policy, verdict);
  return verdict;
}

Result<double> FalseAlarmRateEach(double rate_of_all, std::size_t features) {
  if (!(rate_of_all > 0 && rate_of_all < 1)) {
    return internal::Invalid("a false-alarm rate is above 0 and below 1");
  }
  if (features == 0) return internal::Invalid("there are no features");
  return -std::expm1(std::log1p(-rate_of_all) / static_cast<double>(features));
}

}  // namespace tidewheel::stats
