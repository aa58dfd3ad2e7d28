#include "tidewheel/stats/contingency.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>

#include "tidewheel/stats/internal/samples.h"
#include "tidewheel/stats/special.h"

namespace tidewheel::stats {
namespace {

constexpr std::uint64_t kMostCount = std::uint64_t{1} << 31;

double Total(std::span<const std::uint64_t> counts) {
  double total = 0;
  for (const std::uint64_t count : counts) total += static_cast<double>(count);
  return total;
}

}  // namespace

Result<ChiSquareTest> ChiSquare(std::span<const std::uint64_t> reference,
                                std::span<const std::uint64_t> current,
                                const ChiSquareOptions& options) {
  if (reference.empty() && current.empty()) return internal::Invalid("there are no categories");
  if (reference.size() != current.size()) {
    return internal::Invalid("counts of " + std::to_string(reference.size()) + " and " +
                             std::to_string(current.size()) + " categories cannot be compared");
  }
  const std::array<double, 2> totals = {Total(reference), Total(current)};
  if (totals[0] == 0) return internal::Invalid("the reference has no counts");
  if (totals[1] == 0) return internal::Invalid("the current sample has no counts");
  const double all = totals[0] + totals[1];

  ChiSquareTest test;
  test.smallest_expected = std::numeric_limits<double>::infinity();
  std::size_t categories = 0;
  for (std::size_t k = 0; k < reference.size(); ++k) categories += reference[k] + current[k] > 0;
  if (categories < 2) return internal::NotApplicable("all counts are in one category");
  const bool corrected = options.continuity && categories == 2;

  double plain = 0;
  for (std::size_t k = 0; k < reference.size(); ++k) {
    const std::array<double, 2> counts = {static_cast<double>(reference[k]),
                                          static_cast<double>(current[k])};
    const double both = counts[0] + counts[1];
    if (both == 0) continue;
    for (std::size_t side = 0; side < 2; ++side) {
      const double expected = both * totals[side] / all;
      const double difference = counts[side] - expected;
      test.smallest_expected = std::min(test.smallest_expected, expected);
      plain += difference * difference / expected;
      const double moved = corrected ? std::min(0.5, std::abs(difference)) : 0;
      const double observed = counts[side] - std::copysign(moved, difference);
      if (options.statistic == ChiSquareOptions::Statistic::kLikelihoodRatio) {
        if (observed > 0) test.statistic += 2 * observed * std::log(observed / expected);
      } else {
        test.statistic += (observed - expected) * (observed - expected) / expected;
      }
    }
  }
  test.statistic = std::max(0.0, test.statistic);
  test.degrees = static_cast<double>(categories - 1);
  test.p_value = ChiSquareTail(test.statistic, test.degrees);
  test.cramers_v = std::min(1.0, std::sqrt(plain / all));
  return test;
}

Result<FisherTest> FisherExact(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) {
  if (std::max({a, b, c, d}) > kMostCount || a + b + c + d > kMostCount) {
    return internal::Invalid("Fisher's test takes at most " + std::to_string(kMostCount) +
                             " counts in all");
  }
  if (a + b == 0 || c + d == 0 || a + c == 0 || b + d == 0) {
    return internal::Invalid("Fisher's test needs counts in each row and each column");
  }
  FisherTest test;
  test.odds_ratio = (static_cast<double>(a) * static_cast<double>(d)) /
                    (static_cast<double>(b) * static_cast<double>(c));

  // Weights of the tables by the ratio of neighbours, away from the most likely one in both
  // directions: no logarithm of a factorial, whose digits large counts would use up.
  const auto row = static_cast<long double>(a + b);
  const auto column = static_cast<long double>(a + c);
  const auto rest = static_cast<long double>(c + d);
  const long double low = std::max(0.0L, column - rest);
  const long double high = std::min(row, column);
  const long double all = row + rest;
  const long double mode = std::clamp(std::floor((row + 1) * (column + 1) / (all + 2)), low, high);
  // weight(k + 1) / weight(k).
  const auto up = [&](long double k) {
    return (row - k) * (column - k) / ((k + 1) * (rest - column + k + 1));
  };
  constexpr long double kNothing = 1e-310L;
  const auto observed = static_cast<long double>(a);
  long double seen = 1;
  for (long double k = mode; k < observed && seen > kNothing; ++k) seen *= up(k);
  for (long double k = mode; k > observed && seen > kNothing; --k) seen /= up(k - 1);
  if (seen <= kNothing) {
    test.p_value = 0;
    return test;
  }

  const long double limit = seen * (1 + 1e-12L);
  // Small weights first, so that they are not lost in the sum of the large ones.
  long double extreme = 0;
  long double sum = 0;
  const auto walk = [&](long double from, long double end, bool upwards) {
    long double weight = 1;
    for (long double k = from; k != end;) {
      weight = upwards ? weight * up(k) : weight / up(k - 1);
      k += upwards ? 1 : -1;
      if (weight <= kNothing) break;
      sum += weight;
      if (weight <= limit) extreme += weight;
    }
  };
  walk(mode, high, true);
  walk(mode, low, false);
  sum += 1;
  if (1 <= limit) extreme += 1;
  test.p_value = static_cast<double>(std::min(1.0L, extreme / sum));
  return test;
}

Result<TwoProportions> CompareProportions(std::uint64_t reference_successes,
                                          std::uint64_t reference_trials,
                                          std::uint64_t current_successes,
                                          std::uint64_t current_trials, double confidence) {
  const auto reference = WilsonInterval(reference_successes, reference_trials, confidence);
  if (!reference) return Prefixed("reference: ", reference.error());
  const auto current = WilsonInterval(current_successes, current_trials, confidence);
  if (!current) return Prefixed("current: ", current.error());

  const auto n = static_cast<double>(reference_trials);
  const auto m = static_cast<double>(current_trials);
  const double p = static_cast<double>(reference_successes) / n;
  const double q = static_cast<double>(current_successes) / m;
  TwoProportions result;
  result.difference = q - p;
  result.interval = {result.difference - std::hypot(q - current->low, reference->high - p),
                     result.difference + std::hypot(current->high - q, p - reference->low)};
  const double pooled =
      (static_cast<double>(reference_successes) + static_cast<double>(current_successes)) / (n + m);
  const double variance = pooled * (1 - pooled) * (1 / n + 1 / m);
  if (variance > 0) result.z = result.difference / std::sqrt(variance);
  result.p_value = std::erfc(std::abs(result.z) / std::numbers::sqrt2);
  return result;
}

}  // namespace tidewheel::stats
