#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tidewheel/base/result.h"
#include "tidewheel/stats/intervals.h"

namespace tidewheel::stats {

/// Tests on counts: whether two samples fall into categories with the same probabilities.
/// Two-sided, symmetric in the two samples. Pure functions, safe from many threads.

struct ChiSquareOptions {
  enum class Statistic { kPearson, kLikelihoodRatio };  // Chi-square, or G (Wilks 1938).
  Statistic statistic = Statistic::kPearson;
  /// Yates' correction (1934): counts half a unit nearer to what is expected. Only with two
  /// categories; without effect for more.
  bool continuity = false;
};

struct ChiSquareTest {
  double statistic = 0;
  double degrees = 0;  // Of freedom: categories with a count, less one.
  double p_value = 1;
  double smallest_expected =
      0;                 // Below 5 the p-value is rough: Fisher's test, or fewer categories.
  double cramers_v = 0;  // Effect size in [0, 1] (Cramer 1946), without the correction.
};

/// Chi-square test of homogeneity (Pearson 1900) of two histograms over the same categories. A
/// category without a count in either is left out. O(K) time. kInvalidArgument: no categories,
/// different numbers of them, a histogram without a count. kFailedPrecondition: all counts in one
/// category.
Result<ChiSquareTest> ChiSquare(std::span<const std::uint64_t> reference,
                                std::span<const std::uint64_t> current,
                                const ChiSquareOptions& options = {});

struct FisherTest {
  double odds_ratio = 1;  // a d / (b c) of the sample; infinite where b c is 0, NaN for 0 / 0.
  double p_value = 1;
};

/// Fisher's exact test (1922) of the table {a, b; c, d}, two-sided: all tables with the same
/// margins that are no more likely than this one (up to 1 part in 10^12, so that equals count as
/// equal). O(sqrt(N)) time: 40 standard deviations of the count, or
/// all tables if these are fewer. A p-value below 1e-300 may be
/// given as 0. kInvalidArgument: a margin of 0, more than 2^31 in all.
Result<FisherTest> FisherExact(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d);

struct TwoProportions {
  double difference = 0;  // Current rate minus reference rate.
  Interval interval;      // Newcombe's score interval (1998, method 10), inside [-1, 1].
  double z = 0;           // With the pooled variance; 0 where both rates are 0 or both are 1.
  double p_value = 1;
};

/// The z test of two rates, and the interval of their difference. kInvalidArgument: no trials, more
/// successes than trials, a confidence outside (0, 1).
Result<TwoProportions> CompareProportions(std::uint64_t reference_successes,
                                          std::uint64_t reference_trials,
                                          std::uint64_t current_successes,
                                          std::uint64_t current_trials, double confidence = 0.95);

}  // namespace tidewheel::stats
