#include "tidewheel/stats/two_sample.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "tidewheel/stats/internal/samples.h"

namespace tidewheel::stats {
namespace {

constexpr std::size_t kMostValues = std::size_t{1} << 29;
constexpr std::size_t kMostExactValues = 20;

Result<void> CheckSizes(std::span<const double> reference, std::span<const double> current) {
  if (auto good = internal::CheckSamples(reference, current); !good) return good;
  const std::size_t most = std::max(reference.size(), current.size());
  if (most > kMostValues) {
    return internal::Invalid("a sample of " + std::to_string(most) +
                             " values is above the limit of " + std::to_string(kMostValues));
  }
  return {};
}

// ---------------------------------------------------------------------------------------------
// Limit distributions: sums of squared normals with weights 1 / r_1 > 1 / r_2 > ..., all different.
// ---------------------------------------------------------------------------------------------

/// P(sum of z_j^2 / r_j >= x) for roots r_j = y(j) of a characteristic function D(y(v)) that is
/// sin(pi v) over a positive function of v (Smirnov 1936): the alternating sum over j of the
/// integrals of exp(-x y / 2) / (pi y sqrt|D|) from r_(2j-1) to r_2j. With v = 2 j - 1 + sin^2 t
/// the integrand is smooth and periodic, so that equal steps converge faster than any power.
/// `place(v)` returns y, dy/dv and D / sin(pi v).
struct Place {
  double y;
  double slope;
  double scale;
};

template <typename PlaceOf>
double WeightedSquaresTail(double x, PlaceOf place) {
  constexpr int kMostTerms = 400;
  // A large x leaves a narrow peak at the lower end.
  const int steps = std::max(64, static_cast<int>(32 * std::sqrt(std::min(x, 1e4))));
  double sum = 0;
  for (int j = 1; j <= kMostTerms; ++j) {
    double integral = 0;
    for (int step = 0; step < steps; ++step) {
      const double angle = std::numbers::pi / 2 * (step + 0.5) / steps;
      const double sine = std::sin(angle);
      const double cosine = std::cos(angle);
      // From the nearer end, where the sine of the whole argument would lose its digits.
      const double nearer = std::min(sine * sine, cosine * cosine);
      const Place at = place(2 * j - 1 + sine * sine);
      const double root = std::sqrt(at.scale * std::sin(std::numbers::pi * nearer));
      integral += std::exp(-x * at.y / 2) * at.slope / (at.y * root) * 2 * sine * cosine;
    }
    integral /= 2 * steps;
    sum += j % 2 == 1 ? integral : -integral;
    if (integral <= 1e-17 * sum) break;
  }
  return std::clamp(sum, 0.0, 1.0);
}

// ---------------------------------------------------------------------------------------------
// Cramer-von Mises
// ---------------------------------------------------------------------------------------------

__extension__ using Wide = __int128;

/// Equal values: how many of each sample.
struct Tie {
  std::int64_t reference;
  std::int64_t current;
};

/// What `count` values of one sample add to the sum of squares, times 4: their ranks in the pooled
/// sample are all r, in their own sample first + 1 to first + count.
Wide FourSquares(std::int64_t twice_rank, std::int64_t first, std::int64_t count) {
  // Sum over q of (d - 2 q)^2 with d = 2 r - 2 first.
  const Wide d = twice_rank - 2 * first;
  const Wide c = count;
  return c * d * d - 2 * d * c * (c + 1) + 2 * c * (c + 1) * (2 * c + 1) / 3;
}

/// 4 U of Anderson's equation 10, exactly; a whole number, as midranks are halves.
Wide FourU(const std::vector<Tie>& ties, std::int64_t n, std::int64_t m) {
  std::int64_t i = 0;
  std::int64_t j = 0;
  Wide reference = 0;
  Wide current = 0;
  for (const Tie& tie : ties) {
    const std::int64_t twice_rank = 2 * (i + j) + tie.reference + tie.current + 1;
    reference += FourSquares(twice_rank, i, tie.reference);
    current += FourSquares(twice_rank, j, tie.current);
    i += tie.reference;
    j += tie.current;
  }
  return n * reference + m * current;
}

/// How many ways of dealing lead to each sum, sorted by the sum.
using Table = std::vector<std::pair<std::int64_t, double>>;

void Merge(Table& into, const Table& from, std::int64_t shift, double ways) {
  Table merged;
  merged.reserve(into.size() + from.size());
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < into.size() || j < from.size()) {
    if (j == from.size() || (i < into.size() && into[i].first < from[j].first + shift)) {
      merged.push_back(into[i++]);
    } else if (i == into.size() || from[j].first + shift < into[i].first) {
      merged.emplace_back(from[j].first + shift, from[j].second * ways);
      ++j;
    } else {
      merged.emplace_back(into[i].first, into[i].second + from[j].second * ways);
      ++i;
      ++j;
    }
  }
  into = std::move(merged);
}

double Choose(std::int64_t n, std::int64_t k) {
  double ways = 1;
  for (std::int64_t i = 1; i <= k; ++i) {
    ways = ways * static_cast<double>(n - k + i) / static_cast<double>(i);
  }
  return std::round(ways);
}

/// The share of all ways to deal n + m values, with the given ties, for which 12 times the sum of
/// squared heights (reference's count times m less current's times n, after each value) is at least
/// `twelve_squares`.
double DealtTail(const std::vector<std::int64_t>& ties, std::int64_t n, std::int64_t m,
                 std::int64_t twelve_squares) {
  std::vector<Table> tables(static_cast<std::size_t>(n) + 1);
  tables[0] = {{0, 1.0}};
  std::int64_t seen = 0;
  for (const std::int64_t tie : ties) {
    std::vector<Table> next(tables.size());
    for (std::int64_t i = std::max<std::int64_t>(0, seen - m); i <= std::min(n, seen); ++i) {
      for (std::int64_t taken = 0; taken <= std::min(tie, n - i); ++taken) {
        const std::int64_t of_reference = i + taken;
        const std::int64_t of_current = seen + tie - of_reference;
        if (of_current > m) continue;
        const std::int64_t height = of_reference * m - of_current * n;
        Merge(next[static_cast<std::size_t>(of_reference)], tables[static_cast<std::size_t>(i)],
              tie * height * height, Choose(tie, taken));
      }
    }
    tables = std::move(next);
    seen += tie;
  }
  double extreme = 0;
  double all = 0;
  for (const auto& [sum, ways] : tables[static_cast<std::size_t>(n)]) {
    all += ways;
    if (12 * sum >= twelve_squares) extreme += ways;
  }
  return extreme / all;
}

/// Sum over all pairs of values, tied as they are, of the squared covariance of their heights, but
/// for a factor that does not depend on the ties.
double SquaredCovariances(const std::vector<Tie>& ties, double all) {
  double sum = 0;
  double before = 0;  // Sum of t c^2 so far.
  double seen = 0;
  for (const Tie& tie : ties) {
    const auto tied = static_cast<double>(tie.reference + tie.current);
    seen += tied;
    const double left = (all - seen) / all;
    const double square = tied * (seen / all) * (seen / all);
    sum += left * left * tied * (2 * before + square);
    before += square;
  }
  return sum;
}

}  // namespace

double CramerVonMisesTail(double x) {
  if (std::isnan(x)) return x;
  if (x < 0.003) return 1;  // Below, the distribution function is under 1e-17.
  return WeightedSquaresTail(x, [](double v) {
    constexpr double kPi = std::numbers::pi;
    return Place{kPi * kPi * v * v, 2 * kPi * kPi * v, 1 / (kPi * v)};
  });
}

double AndersonDarlingTail(double x) {
  if (std::isnan(x)) return x;
  if (x < 0.03) return 1;  // Below, the distribution function is under 1e-16.
  return WeightedSquaresTail(x, [](double v) {
    return Place{v * (v + 1), 2 * v + 1, 1 / (std::numbers::pi * v * (v + 1))};
  });
}

Result<CramerVonMisesTest> CramerVonMises(std::span<const double> reference,
                                          std::span<const double> current,
                                          const TwoSampleOptions& options) {
  if (const auto good = CheckSizes(reference, current); !good) return good.error();
  const auto n = static_cast<std::int64_t>(reference.size());
  const auto m = static_cast<std::int64_t>(current.size());
  if (n < 2 || m < 2) {
    return internal::Invalid("the Cramer-von Mises test needs 2 values of each sample, got " +
                             std::to_string(n) + " and " + std::to_string(m));
  }
  const bool few = std::max(reference.size(), current.size()) <= kMostExactValues;
  using Method = TwoSampleOptions::Method;
  if (options.method == Method::kExact && !few) {
    return internal::Invalid("an exact p-value for samples of " + std::to_string(n) + " and " +
                             std::to_string(m) + " values: the limit is " +
                             std::to_string(kMostExactValues));
  }

  std::vector<Tie> ties;
  internal::VisitDistinct(internal::SortedWithGuard(reference), internal::SortedWithGuard(current),
                          [&](double, std::size_t of_reference, std::size_t of_current, double) {
                            ties.push_back({static_cast<std::int64_t>(of_reference),
                                            static_cast<std::int64_t>(of_current)});
                          });
  const std::int64_t total = n + m;
  const auto all = static_cast<double>(total);
  const auto a = static_cast<double>(n);
  const auto b = static_cast<double>(m);
  const bool see_ties = options.ties == TieRule::kConditional;

  CramerVonMisesTest test;
  test.ignores_ties = !see_ties;
  Wide twelve_squares = 0;
  double mean = 0;
  if (see_ties) {
    double squares = 0;
    std::int64_t i = 0;
    std::int64_t j = 0;
    for (const Tie& tie : ties) {
      i += tie.reference;
      j += tie.current;
      const std::int64_t tied = tie.reference + tie.current;
      const std::int64_t height = i * m - j * n;
      squares +=
          static_cast<double>(tied) * static_cast<double>(height) * static_cast<double>(height);
      const auto seen = static_cast<double>(i + j);
      mean += static_cast<double>(tied) * (seen / all) * ((all - seen) / all) / (all - 1);
    }
    // A whole number without rounding where it is compared with others.
    twelve_squares = 12 * static_cast<Wide>(few ? squares : 0);
    test.statistic = squares / (a * b) / (all * all);
  } else {
    // T = U / (n m N) - (4 n m - 1) / (6 N), whose two parts are large and nearly equal.
    const Wide product = static_cast<Wide>(n) * m;
    const Wide twelve_t = 3 * FourU(ties, n, m) - 2 * product * (4 * product - 1);
    twelve_squares = twelve_t * (few ? total : 0);
    test.statistic = static_cast<double>(twelve_t) / (12 * a * b * all);
    mean = (1 + 1 / all) / 6;
  }
  if (few && options.method != Method::kAsymptotic) {
    std::vector<std::int64_t> sizes;
    for (const Tie& tie : ties) {
      const std::int64_t tied = tie.reference + tie.current;
      if (see_ties) {
        sizes.push_back(tied);
      } else {
        sizes.insert(sizes.end(), static_cast<std::size_t>(tied), 1);
      }
    }
    test.p_value = DealtTail(sizes, n, m, static_cast<std::int64_t>(twelve_squares));
    return test;
  }

  test.method = PValueMethod::kAsymptotic;
  double variance = (all + 1) * (4 * a * b * all - 3 * (a * a + b * b) - 2 * a * b) /
                    (45 * all * all * 4 * a * b);
  if (see_ties) {
    // Of the Gaussian limit, with the ties over without them: sum over c, d of (c (N - d) / N^2)^2.
    const double without = (all * all - 1) * (2 * all * all + 7) / (180 * all * all);
    variance *= SquaredCovariances(ties, all) / without;
  }
  if (!(variance > 0)) return test;  // All values are equal.
  // The limit has mean 1/6 and variance 1/45.
  test.p_value = CramerVonMisesTail(1.0 / 6 + (test.statistic - mean) / std::sqrt(45 * variance));
  return test;
}

namespace {

// Scholz and Stephens, table 2 for two samples (the sums of its three columns), and its levels.
constexpr std::array<double, 7> kCritical = {
    0.675 - 0.245 - 0.105, 1.281 + 0.25 - 0.305,  1.645 + 0.678 - 0.362, 1.96 + 1.149 - 0.391,
    2.326 + 1.822 - 0.396, 2.573 + 2.364 - 0.345, 3.085 + 3.615 - 0.154};
constexpr std::array<double, 7> kLevels = {0.25, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001};

/// The least-squares quadratic through the logarithms of the levels, at `x`: by orthogonal
/// polynomials over the seven points (Forsythe 1957).
double InterpolatedLevel(double x) {
  std::array<double, 7> before{};
  std::array<double, 7> basis;
  basis.fill(1);
  double before_at_x = 0;
  double basis_at_x = 1;
  double norm_before = 1;
  double value = 0;
  for (int degree = 0; degree <= 2; ++degree) {
    double norm = 0;
    double centre = 0;
    double weight = 0;
    for (std::size_t i = 0; i < 7; ++i) {
      norm += basis[i] * basis[i];
      centre += kCritical[i] * basis[i] * basis[i];
      weight += std::log(kLevels[i]) * basis[i];
    }
    value += weight / norm * basis_at_x;
    const double alpha = centre / norm;
    const double beta = degree == 0 ? 0 : norm / norm_before;
    const double next_at_x = (x - alpha) * basis_at_x - beta * before_at_x;
    for (std::size_t i = 0; i < 7; ++i) {
      const double next = (kCritical[i] - alpha) * basis[i] - beta * before[i];
      before[i] = std::exchange(basis[i], next);
    }
    before_at_x = std::exchange(basis_at_x, next_at_x);
    norm_before = norm;
  }
  return std::exp(value);
}

/// The variance of A^2 for k = 2 samples of `n` and `m` values (Scholz and Stephens, equation 4).
double AndersonDarlingVariance(double n, double m) {
  const double all = n + m;
  const double inverse_sizes = 1 / n + 1 / m;
  double h = 0;
  double g = 0;
  // g is the sum over i < j of 1 / ((N - i) j): each j meets the sum of 1 / (N - i) so far.
  for (double j = 2; j < all; ++j) {
    h += 1 / (all - j + 1);
    g += h / j;
  }
  h += 1;
  const double a = 4 * g - 6 + (10 - 6 * g) * inverse_sizes;
  const double b =
      4 * (2 * g - 4) + 16 * h + (2 * g - 14 * h - 4) * inverse_sizes - 8 * h + 4 * g - 6;
  const double c =
      4 * (6 * h + 2 * g - 2) + 2 * (4 * h - 4 * g + 6) + (2 * h - 6) * inverse_sizes + 4 * h;
  const double d = 4 * (2 * h + 6) - 8 * h;
  return (((a * all + b) * all + c) * all + d) / ((all - 1) * (all - 2) * (all - 3));
}

/// Adds up the variance of the limit of A^2, two standard normals' squared correlation for each
/// pair of values, but for a factor that does not depend on the ties: values come tied, in order.
class LimitVariance {
 public:
  explicit LimitVariance(double all) : all_(all) {}

  void Add(double tied) {
    const double middle = seen_ + tied / 2;
    const double variance = middle * (all_ - middle) - all_ * tied / 4;
    if (variance <= 0) return;  // All values are tied.
    const double left = all_ - middle;
    sum_ += tied * tied + 2 * before_ * tied * left * left / variance;
    before_ += tied * middle * middle / variance;
    seen_ += tied;
  }
  double value() const { return sum_; }

 private:
  double all_;
  double seen_ = 0;
  double before_ = 0;
  double sum_ = 0;
};

}  // namespace

Result<AndersonDarlingTest> AndersonDarling(std::span<const double> reference,
                                            std::span<const double> current, TieRule ties) {
  if (const auto good = CheckSizes(reference, current); !good) return good.error();
  const std::size_t total = reference.size() + current.size();
  if (total < 4) {
    return internal::Invalid("the Anderson-Darling test needs 4 values in all, got " +
                             std::to_string(total));
  }
  const auto n = static_cast<double>(reference.size());
  const auto m = static_cast<double>(current.size());
  const auto all = static_cast<double>(total);
  double before = 0;
  double of_reference_before = 0;
  double sum = 0;
  std::size_t distinct = 0;
  LimitVariance with_ties(all);
  internal::VisitDistinct(internal::SortedWithGuard(reference), internal::SortedWithGuard(current),
                          [&](double, std::size_t of_reference, std::size_t of_current, double) {
                            const auto mine = static_cast<double>(of_reference);
                            const double tied = mine + static_cast<double>(of_current);
                            const double middle = before + tied / 2;
                            const double of_reference_middle = of_reference_before + mine / 2;
                            // For two samples the other one's difference is the same with the other
                            // sign.
                            const double difference = all * of_reference_middle - middle * n;
                            sum += tied * difference * difference /
                                   (middle * (all - middle) - all * tied / 4);
                            with_ties.Add(tied);
                            before += tied;
                            of_reference_before += mine;
                            ++distinct;
                          });
  if (distinct < 2) return internal::NotApplicable("all values of both samples are equal");

  AndersonDarlingTest test;
  test.a_squared = (all - 1) / (all * all) * sum * (1 / n + 1 / m);
  double variance = AndersonDarlingVariance(n, m);
  if (ties == TieRule::kConditional && distinct < total) {
    LimitVariance without(all);
    for (std::size_t value = 0; value < total; ++value) without.Add(1);
    variance *= with_ties.value() / without.value();
  }
  test.statistic = (test.a_squared - 1) / std::sqrt(variance);
  test.capped = test.statistic < kCritical.front();
  test.floored = test.statistic > kCritical.back();
  test.p_value = test.capped    ? kLevels.front()
                 : test.floored ? kLevels.back()
                                : InterpolatedLevel(test.statistic);
  // The limit has mean 1 and variance 2 (pi^2 - 9) / 3.
  const double deviation = std::sqrt(2 * (std::numbers::pi * std::numbers::pi - 9) / 3);
  test.limit_p_value = AndersonDarlingTail(1 + test.statistic * deviation);
  return test;
}

}  // namespace tidewheel::stats
