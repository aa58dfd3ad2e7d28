#pragma once

#include <cstddef>
#include <span>

#include "tidewheel/base/result.h"

namespace tidewheel::stats {

/// Tests whether two samples of numbers come from one distribution. The samples need no order and
/// may differ in size; equal values are allowed everywhere. All tests are two-sided and symmetric
/// in the two samples. Pure functions, safe from many threads.
/// kInvalidArgument everywhere: an empty sample, a NaN or infinite value (which one is named), more
/// than 2^29 values.

enum class PValueMethod { kExact, kAsymptotic };

/// What an exact p-value counts: all ways to deal out the values as they are, with equal values
/// equal (conditional on the ties), or as though no two values were equal. The second is what scipy
/// and most tables do; where there are ties its p-value is too large.
enum class TieRule { kConditional, kIgnored };

struct TwoSampleOptions {
  enum class Method { kAuto, kExact, kAsymptotic };
  Method method = Method::kAuto;
  TieRule ties = TieRule::kConditional;
};

struct KolmogorovSmirnovTest {
  double statistic = 0;  // Largest difference of the distribution functions, in [0, 1]; exact.
  double location = 0;   // The smallest value at which it is reached.
  int sign = 0;  // 1: the reference's function is larger there; -1: the current's; 0: equal.
  double p_value = 1;
  PValueMethod method = PValueMethod::kExact;
  bool ignores_ties = false;  // The p-value is that of samples without ties, else an upper bound.
};

/// The two-sample Kolmogorov-Smirnov test (Smirnov 1939). kAuto is exact where n x m <= 10^8, which
/// includes all samples of up to 10,000 values (scipy's rule "auto"), and where both have the same
/// size; asymptotic otherwise. Exact: by the probabilities of lattice paths (Hodges 1958) in the
/// form that does not lose small p-values (Viehmann 2021), O(n m) time at worst and O(n + m)
/// memory; for equal sizes without ties by the closed sum (Gnedenko, Koroljuk 1951), O(n).
/// Asymptotic: Kolmogorov's limit (1933) at sqrt(n m / (n + m)) D.
/// The statistic: O(n + m) for large samples, of which only the neighbourhood of the largest
/// difference is sorted. kInvalidArgument also: kExact with n x m above 10^8 and different sizes.
Result<KolmogorovSmirnovTest> KolmogorovSmirnov(std::span<const double> reference,
                                                std::span<const double> current,
                                                const TwoSampleOptions& options = {});
Result<KolmogorovSmirnovTest> KolmogorovSmirnov(std::span<const float> reference,
                                                std::span<const float> current,
                                                const TwoSampleOptions& options = {});

/// P(K >= x) of Kolmogorov's limit distribution; 1 for x <= 0.
double KolmogorovTail(double x);

struct CramerVonMisesTest {
  double statistic = 0;  // Anderson's T.
  double p_value = 1;
  PValueMethod method = PValueMethod::kExact;
  bool ignores_ties = false;
};

/// The two-sample Cramer-von Mises test (Anderson 1962). The statistic is n m / (n + m)^2 times the
/// squared difference of the distribution functions summed over all values; with TieRule::kIgnored
/// it is that of midranks, as in scipy, which is the same without ties and rejects far too often
/// with many. kAuto is exact where neither sample has more than 20 values (by counting all ways to
/// deal out the values; Xiao, Gordon, Yakovlev 2006), asymptotic otherwise: the limit distribution
/// at the statistic brought to its mean and variance, given the ties. O((n + m) log(n + m)) time.
/// kInvalidArgument also: kExact above 20 values, a sample with a single value.
Result<CramerVonMisesTest> CramerVonMises(std::span<const double> reference,
                                          std::span<const double> current,
                                          const TwoSampleOptions& options = {});

/// P(W >= x) of the limit of the Cramer-von Mises statistic (Smirnov 1936), relative error below
/// 1e-10; 1 for x <= 0.
double CramerVonMisesTail(double x);

struct AndersonDarlingTest {
  double statistic = 0;      // Standardised: mean 0 and variance 1 without a difference.
  double a_squared = 0;      // Before that.
  double p_value = 1;        // Interpolated in the authors' table, never outside [0.001, 0.25].
  bool floored = false;      // The true p-value is smaller than 0.001.
  bool capped = false;       // The true p-value is larger than 0.25.
  double limit_p_value = 1;  // Of the limit distribution, without such bounds.
};

/// The Anderson-Darling test for two samples in its midrank form (Scholz, Stephens 1987, equation
/// 7). The variance that brings it to standard units is the authors', times what the ties make of
/// the limit's; with TieRule::kIgnored the authors' alone, as in scipy, which rejects too often
/// where a few values make up most of the samples. The p-value is interpolated as the authors
/// propose (a quadratic in the statistic through the logarithms of seven levels); `limit_p_value`
/// is that of the limit distribution (Anderson, Darling 1952), which has no floor.
/// O((n + m) log(n + m)) time. kInvalidArgument also: fewer than 4 values in all.
/// kFailedPrecondition: all values equal.
Result<AndersonDarlingTest> AndersonDarling(std::span<const double> reference,
                                            std::span<const double> current,
                                            TieRule ties = TieRule::kConditional);

/// P(A^2 >= x) of the limit of the Anderson-Darling statistic, relative error below 1e-10; 1 for
/// x <= 0.
double AndersonDarlingTail(double x);

}  // namespace tidewheel::stats
