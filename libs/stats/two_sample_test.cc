#include "tidewheel/stats/two_sample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/special.h"

namespace tidewheel::stats {
namespace {

using Method = TwoSampleOptions::Method;

const std::vector<double> kX = {0.61, 0.29, 0.06,  0.59,  -1.73, -0.74, 0.51, -0.56, 0.39,
                                1.64, 0.05, -0.06, 0.64,  -0.82, 0.37,  1.77, 1.09,  -1.28,
                                2.36, 1.31, 1.05,  -0.32, -0.40, 1.06,  -2.47};
const std::vector<double> kY = {0.71, 1.65, -0.41, 2.11, 0.29, 1.3, 0.02};
const std::vector<double> kTiedX = {1, 2, 2, 3, 3, 3, 4, 5, 5, 6};
const std::vector<double> kTiedY = {3, 4, 4, 5, 6, 6, 7, 8};

std::vector<double> Normals(std::size_t size, Random& random, double shift = 0, double scale = 1) {
  std::vector<double> values(size);
  for (double& value : values) value = shift + scale * random.Normal();
  return values;
}

std::vector<double> WholeNumbers(std::size_t size, Random& random, std::uint64_t kinds) {
  std::vector<double> values(size);
  for (double& value : values) value = static_cast<double>(random.Below(kinds));
  return values;
}

void Shuffle(std::vector<double>& values, Random& random) {
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.Below(i)]);
}

/// From the definition: both distribution functions at each value.
double LargestDifference(std::vector<double> a, std::vector<double> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  double largest = 0;
  for (const auto* values : {&a, &b}) {
    for (const double value : *values) {
      const auto up = std::upper_bound(a.begin(), a.end(), value) - a.begin();
      const auto down = std::upper_bound(b.begin(), b.end(), value) - b.begin();
      largest =
          std::max(largest, std::abs(static_cast<double>(up) / static_cast<double>(a.size()) -
                                     static_cast<double>(down) / static_cast<double>(b.size())));
    }
  }
  return largest;
}

/// From the definition: the share of all ways to deal out the values that are as extreme.
double DealtShare(const std::vector<double>& a, const std::vector<double>& b,
                  const std::function<double(const std::vector<double>&,
                                             const std::vector<double>&)>& statistic) {
  std::vector<double> all = a;
  all.insert(all.end(), b.begin(), b.end());
  const double observed = statistic(a, b);
  double ways = 0;
  double extreme = 0;
  for (std::uint32_t deal = 0; deal < (1U << all.size()); ++deal) {
    if (static_cast<std::size_t>(std::popcount(deal)) != a.size()) continue;
    std::vector<double> x, y;
    for (std::size_t i = 0; i < all.size(); ++i) ((deal >> i & 1) != 0 ? x : y).push_back(all[i]);
    ways += 1;
    if (statistic(x, y) >= observed - 1e-12) extreme += 1;
  }
  return extreme / ways;
}

/// That a count of rejections under the null is no more than chance allows (99.9 %).
void ExpectRate(int hits, int trials, double rate) {
  EXPECT_GT(BinomialCdf(hits, trials, rate), 0.0005) << hits << " of " << trials;
  EXPECT_GT(1 - BinomialCdf(hits - 1, trials, rate), 0.0005) << hits << " of " << trials;
}

// Expected values without another source: scipy 1.17.1.

TEST(KolmogorovSmirnovTest, AgreesWithScipyOnAnExactCase) {
  const auto test = KolmogorovSmirnov(kX, kY, {.ties = TieRule::kIgnored});

  ASSERT_TRUE(test.ok());
  EXPECT_DOUBLE_EQ(test->statistic, 0.2914285714285714);
  EXPECT_DOUBLE_EQ(test->location, 0.64);
  EXPECT_EQ(test->sign, 1);
  EXPECT_NEAR(test->p_value, 0.6338001388057005, 1e-13);
  EXPECT_EQ(test->method, PValueMethod::kExact);
  EXPECT_TRUE(test->ignores_ties);
}

TEST(KolmogorovSmirnovTest, AgreesWithScipyOnLongSamplesOfDifferentAndOfEqualSize) {
  std::vector<double> a(1000), b(900), c(1000);
  for (std::size_t i = 0; i < 1000; ++i) {
    a[i] = static_cast<double>(i);
    c[i] = static_cast<double>(i) * 1.03 + 5.3;
    if (i < 900) b[i] = static_cast<double>(i) * 1.1 + 37.3;
  }

  // Some values of the two are equal, which scipy does not look at.
  const auto different = KolmogorovSmirnov(a, b, {.ties = TieRule::kIgnored});
  const auto equal = KolmogorovSmirnov(a, c, {.ties = TieRule::kIgnored});

  EXPECT_DOUBLE_EQ(different->statistic, 0.03811111111111111);
  EXPECT_NEAR(different->p_value, 0.4831183027475109, 1e-12);
  EXPECT_DOUBLE_EQ(equal->statistic, 0.035);
  EXPECT_NEAR(equal->p_value, 0.5728904395829821, 1e-12);
}

TEST(KolmogorovSmirnovTest, ExactValuesAreThoseOfCountingAllDeals) {
  Random random(1);
  for (int round = 0; round < 40; ++round) {
    const std::size_t n = 2 + random.Below(6);
    const std::size_t m = 2 + random.Below(6);
    const auto a = round % 2 == 0 ? Normals(n, random) : WholeNumbers(n, random, 4);
    const auto b = round % 2 == 0 ? Normals(m, random, 0.5) : WholeNumbers(m, random, 5);

    const auto test = KolmogorovSmirnov(a, b);

    EXPECT_NEAR(test->statistic, LargestDifference(a, b), 1e-15);
    EXPECT_NEAR(test->p_value, DealtShare(a, b, LargestDifference), 1e-12);
    EXPECT_FALSE(test->ignores_ties);
  }
}

TEST(KolmogorovSmirnovTest, TiesMakeTheExactValueSmallerThanTheOneThatIgnoresThem) {
  const auto conditional = KolmogorovSmirnov(kTiedX, kTiedY);
  const auto ignored = KolmogorovSmirnov(kTiedX, kTiedY, {.ties = TieRule::kIgnored});

  EXPECT_NEAR(ignored->p_value, 0.20366561543032125, 1e-13);
  EXPECT_LT(conditional->p_value, ignored->p_value);
  EXPECT_NEAR(conditional->p_value, DealtShare(kTiedX, kTiedY, LargestDifference), 1e-12);
}

TEST(KolmogorovSmirnovTest, SmallestPossibleValuesKeepTheirDigits) {
  // Samples that do not overlap: 2 orders of all.
  std::vector<double> a(100), b(90);
  std::iota(a.begin(), a.end(), 0.0);
  std::iota(b.begin(), b.end(), 1000.0);
  const double orders = std::lgamma(191.0) - std::lgamma(101.0) - std::lgamma(91.0);

  const auto test = KolmogorovSmirnov(a, b);

  EXPECT_DOUBLE_EQ(test->statistic, 1);
  EXPECT_NEAR(std::log(test->p_value), std::log(2.0) - orders, 1e-10);
  EXPECT_GT(test->p_value, 0);
}

TEST(KolmogorovSmirnovTest, LargeSamplesGiveTheSameStatisticAsTheDefinition) {
  Random random(2);
  const std::vector<std::function<double()>> kinds = {
      [&] { return random.Normal(); },
      [&] { return std::exp(3 * random.Normal()); },
      [&] { return std::tan(3.1 * (random.Uniform() - 0.5)); },
      [&] { return static_cast<double>(random.Below(20)); },
      [&] { return random.Uniform() < 0.001 ? 1e30 : random.Uniform(); },
      [&] { return std::exp2(static_cast<double>(random.Below(200)) - 100 + random.Uniform()); },
      [] { return 1.5; },
  };
  for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
    for (const double shift : {0.0, 0.002, 0.3}) {
      std::vector<double> a(41'000), b(17'123);
      for (double& value : a) value = kinds[kind]();
      for (double& value : b) value = kinds[kind]() + shift;
      const std::vector<float> a32(a.begin(), a.end());
      const std::vector<float> b32(b.begin(), b.end());

      const auto test = KolmogorovSmirnov(a, b, {.method = Method::kAsymptotic});
      const auto narrow =
          KolmogorovSmirnov(std::span<const float>(a32), b32, {.method = Method::kAsymptotic});

      EXPECT_NEAR(test->statistic, LargestDifference(a, b), 1e-14) << kind << " + " << shift;
      EXPECT_NEAR(narrow->statistic,
                  LargestDifference({a32.begin(), a32.end()}, {b32.begin(), b32.end()}), 1e-14)
          << kind << " + " << shift;
    }
  }
}

TEST(KolmogorovSmirnovTest, LocationIsTheFirstValueWhereTheDifferenceIsReached) {
  Random random(3);
  for (const std::size_t size : {200U, 40'000U}) {
    for (int round = 0; round < 5; ++round) {
      const auto a = WholeNumbers(size, random, 50);
      auto b = WholeNumbers(size - 37, random, 50);
      for (double& value : b) value += random.Uniform() < 0.2 ? 1 : 0;

      const auto test = KolmogorovSmirnov(a, b, {.method = Method::kAsymptotic});

      double first = 0;
      for (double value = 0; value <= 51; ++value) {
        const auto at_most = [&](double other) { return other <= value; };
        const double difference = static_cast<double>(std::count_if(a.begin(), a.end(), at_most)) /
                                      static_cast<double>(a.size()) -
                                  static_cast<double>(std::count_if(b.begin(), b.end(), at_most)) /
                                      static_cast<double>(b.size());
        if (std::abs(std::abs(difference) - test->statistic) < 1e-13) {
          EXPECT_EQ(test->sign, difference > 0 ? 1 : -1);
          first = value;
          break;
        }
      }
      EXPECT_EQ(test->location, first);
    }
  }
}

TEST(KolmogorovSmirnovTest, SymmetricInTheSamplesAndFreeOfTheirOrderAndScale) {
  Random random(4);
  for (const std::size_t n : {5U, 60U, 700U, 20'000U}) {
    auto a = n == 60 ? WholeNumbers(n, random, 9) : Normals(n, random);
    auto b = n == 60 ? WholeNumbers(n + 11, random, 9) : Normals(n + 11, random, 0.1);
    const auto first = KolmogorovSmirnov(a, b);

    Shuffle(a, random);
    Shuffle(b, random);
    const auto swapped = KolmogorovSmirnov(b, a);
    for (auto* values : {&a, &b}) {
      for (double& value : *values) value = std::exp(value / 3) + 7;
    }
    const auto scaled = KolmogorovSmirnov(a, b);

    EXPECT_EQ(first->statistic, swapped->statistic);
    EXPECT_EQ(first->sign, -swapped->sign);
    EXPECT_EQ(first->location, swapped->location);
    EXPECT_NEAR(first->p_value, swapped->p_value, 1e-12);
    EXPECT_EQ(first->statistic, scaled->statistic);
    EXPECT_EQ(first->p_value, scaled->p_value);
  }
}

TEST(KolmogorovSmirnovTest, AsymptoticValueIsCloseToTheExactOneForLargeSamples) {
  Random random(5);
  for (const double shift : {0.0, 0.02, 0.04}) {
    const auto a = Normals(9'973, random);
    const auto b = Normals(9'967, random, shift);

    const auto exact = KolmogorovSmirnov(a, b);
    const auto limit = KolmogorovSmirnov(a, b, {.method = Method::kAsymptotic});

    EXPECT_EQ(exact->method, PValueMethod::kExact);
    EXPECT_EQ(limit->method, PValueMethod::kAsymptotic);
    EXPECT_NEAR(exact->p_value, limit->p_value, 0.01);
  }
}

TEST(KolmogorovSmirnovTest, UniformUnderTheNull) {
  Random random(6);
  constexpr int kTrials = 4000;
  int below_tenth = 0;
  int below_half = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const auto test = KolmogorovSmirnov(Normals(97, random), Normals(89, random));
    below_tenth += test->p_value <= 0.1;
    below_half += test->p_value <= 0.5;
  }
  ExpectRate(below_tenth, kTrials, 0.1);
  ExpectRate(below_half, kTrials, 0.5);
}

TEST(KolmogorovSmirnovTest, IdenticalSamplesDifferByNothing) {
  const auto test = KolmogorovSmirnov(kX, kX);
  const auto one = KolmogorovSmirnov(std::vector<double>{1}, std::vector<double>{1, 1});

  EXPECT_EQ(test->statistic, 0);
  EXPECT_EQ(test->sign, 0);
  EXPECT_EQ(test->p_value, 1);
  EXPECT_EQ(one->p_value, 1);
}

TEST(KolmogorovSmirnovTest, SaysWhichMethodItTook) {
  Random random(7);
  const auto long_sample = Normals(200'000, random);
  const auto short_sample = Normals(499, random);
  const auto other = Normals(1'000, random);
  auto same_size = Normals(200'000, random);

  EXPECT_EQ(KolmogorovSmirnov(long_sample, short_sample)->method, PValueMethod::kExact);
  EXPECT_EQ(KolmogorovSmirnov(long_sample, other)->method, PValueMethod::kAsymptotic);
  EXPECT_EQ(KolmogorovSmirnov(long_sample, same_size)->method, PValueMethod::kExact);
  const auto refused = KolmogorovSmirnov(long_sample, other, {.method = Method::kExact});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(refused.error().message.find("100000000"), std::string::npos);
}

TEST(KolmogorovSmirnovTest, RefusesWhatIsNotASample) {
  const std::vector<double> empty;
  const std::vector<double> nan = {1, std::nan("")};
  const std::vector<double> infinite = {1, 2, -std::numeric_limits<double>::infinity()};

  EXPECT_EQ(KolmogorovSmirnov(empty, kY).error().message, "the reference sample is empty");
  EXPECT_EQ(KolmogorovSmirnov(kX, empty).error().message, "the current sample is empty");
  EXPECT_EQ(KolmogorovSmirnov(kX, nan).error().message,
            "value 1 of the current sample is not a finite number");
  EXPECT_EQ(KolmogorovSmirnov(infinite, kY).error().message,
            "value 2 of the reference sample is not a finite number");
}

TEST(KolmogorovTailTest, AgreesWithScipyAndMeetsInTheMiddle) {
  EXPECT_NEAR(KolmogorovTail(0.3), 0.9999906941986655, 1e-15);
  EXPECT_NEAR(KolmogorovTail(0.5), 0.9639452436648751, 1e-15);
  EXPECT_NEAR(KolmogorovTail(0.9), 0.3927307079406543, 1e-15);
  EXPECT_NEAR(KolmogorovTail(1.36), 0.049485876755377876, 1e-16);
  EXPECT_NEAR(KolmogorovTail(5) / 3.8574996959278356e-22, 1, 1e-12);
  EXPECT_NEAR(KolmogorovTail(1 - 1e-12), KolmogorovTail(1 + 1e-12), 1e-11);
  EXPECT_EQ(KolmogorovTail(0), 1);
  EXPECT_EQ(KolmogorovTail(-1), 1);
  EXPECT_EQ(KolmogorovTail(0.01), 1);
}

double CramerStatistic(const std::vector<double>& a, const std::vector<double>& b) {
  return CramerVonMises(a, b, {.method = Method::kAsymptotic})->statistic;
}

TEST(CramerVonMisesTest, AgreesWithScipy) {
  const std::vector<double> x(kX.begin(), kX.begin() + 12);

  const auto limit = CramerVonMises(kX, kY, {.ties = TieRule::kIgnored});
  const auto exact = CramerVonMises(x, kY, {.ties = TieRule::kIgnored});
  const auto forced =
      CramerVonMises(x, kY, {.method = Method::kAsymptotic, .ties = TieRule::kIgnored});
  const auto tied = CramerVonMises(kTiedX, kTiedY, {.ties = TieRule::kIgnored});

  EXPECT_NEAR(limit->statistic, 0.14348214285714267, 1e-14);
  // scipy ends its series at terms of 1e-7.
  EXPECT_NEAR(limit->p_value, 0.4313997896248125, 2e-7);
  EXPECT_EQ(limit->method, PValueMethod::kAsymptotic);
  EXPECT_NEAR(exact->statistic, 0.25422932330827086, 1e-14);
  EXPECT_NEAR(exact->p_value, 0.1987774867031833, 1e-14);
  EXPECT_NEAR(forced->p_value, 0.1904433951787905, 2e-7);
  EXPECT_NEAR(tied->statistic, 0.5008101851851854, 1e-14);
  EXPECT_NEAR(tied->p_value, 0.041181041181041184, 1e-14);
}

TEST(CramerVonMisesTest, SamplesWithoutOverlapHaveTwoOfAllOrders) {
  const std::vector<double> low = {1, 2, 3, 4, 5};
  const std::vector<double> high = {6, 7, 8, 9, 10};

  EXPECT_NEAR(CramerVonMises(low, high)->p_value, 2.0 / 252, 1e-15);
}

TEST(CramerVonMisesTest, ExactValuesAreThoseOfCountingAllDeals) {
  Random random(11);
  for (int round = 0; round < 40; ++round) {
    const std::size_t n = 2 + random.Below(6);
    const std::size_t m = 2 + random.Below(6);
    const auto a = round % 2 == 0 ? Normals(n, random) : WholeNumbers(n, random, 4);
    const auto b = round % 2 == 0 ? Normals(m, random, 0.5) : WholeNumbers(m, random, 5);

    EXPECT_NEAR(CramerVonMises(a, b)->p_value, DealtShare(a, b, CramerStatistic), 1e-12);
  }
}

TEST(CramerVonMisesTest, StatisticIsTheMeanSquareOfTheDifference) {
  Random random(12);
  for (const bool ties : {false, true}) {
    const auto a = ties ? WholeNumbers(70, random, 4) : Normals(70, random);
    const auto b = ties ? WholeNumbers(45, random, 5) : Normals(45, random, 0.4);
    std::vector<double> all = a;
    all.insert(all.end(), b.begin(), b.end());

    double sum = 0;
    for (const double value : all) {
      const auto at_most = [&](double other) { return other <= value; };
      const double difference =
          static_cast<double>(std::count_if(a.begin(), a.end(), at_most)) / 70 -
          static_cast<double>(std::count_if(b.begin(), b.end(), at_most)) / 45;
      sum += difference * difference;
    }
    const double midranks = CramerVonMises(a, b, {.ties = TieRule::kIgnored})->statistic;

    EXPECT_NEAR(CramerVonMises(a, b)->statistic, 70.0 * 45 / (115.0 * 115) * sum, 1e-13);
    if (ties) {
      EXPECT_GT(midranks, CramerVonMises(a, b)->statistic);
    } else {
      EXPECT_NEAR(CramerVonMises(a, b)->statistic, midranks, 1e-13);
    }
  }
}

TEST(CramerVonMisesTest, SymmetricAndFreeOfOrder) {
  Random random(13);
  for (const std::size_t n : {6U, 18U, 300U}) {
    auto a = n == 18 ? WholeNumbers(n, random, 6) : Normals(n, random);
    auto b = n == 18 ? WholeNumbers(n + 1, random, 6) : Normals(n + 1, random);
    const auto first = CramerVonMises(a, b);
    Shuffle(a, random);
    Shuffle(b, random);
    const auto swapped = CramerVonMises(b, a);

    EXPECT_NEAR(first->statistic, swapped->statistic, 1e-14);
    EXPECT_NEAR(first->p_value, swapped->p_value, 1e-13);
  }
}

TEST(CramerVonMisesTest, UniformUnderTheNull) {
  Random random(14);
  constexpr int kTrials = 4000;
  int below_tenth = 0;
  int below_half = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const auto test = CramerVonMises(Normals(60, random), Normals(45, random));
    below_tenth += test->p_value <= 0.1;
    below_half += test->p_value <= 0.5;
  }
  ExpectRate(below_tenth, kTrials, 0.1);
  ExpectRate(below_half, kTrials, 0.5);
}

TEST(CramerVonMisesTest, OfConstantSamplesSeesNoDifference) {
  const std::vector<double> a(30, 2.0);
  const std::vector<double> b(40, 2.0);

  EXPECT_EQ(CramerVonMises(a, b)->statistic, 0);
  EXPECT_EQ(CramerVonMises(a, b)->p_value, 1);
}

TEST(CramerVonMisesTest, RefusesWhatItCannotDo) {
  Random random(15);
  const auto many = Normals(21, random);

  EXPECT_EQ(CramerVonMises(std::vector<double>{1}, kY).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(CramerVonMises(many, kY, {.method = Method::kExact}).error().message,
            "an exact p-value for samples of 21 and 7 values: the limit is 20");
  EXPECT_EQ(CramerVonMises({}, kY).error().code, ErrorCode::kInvalidArgument);
}

TEST(TiesTest, AsymptoticTestsKeepTheirLevelWhereFewValuesMakeUpTheSamples) {
  Random random(16);
  constexpr int kTrials = 1000;
  for (const std::uint64_t kinds : {2U, 3U, 6U}) {
    int by_cramer = 0;
    int by_anderson = 0;
    int by_anderson_of_twentieth = 0;
    for (int trial = 0; trial < kTrials; ++trial) {
      auto a = WholeNumbers(220, random, kinds);
      auto b = WholeNumbers(195, random, kinds);
      // Half of all values are one value.
      for (auto* values : {&a, &b}) {
        for (double& value : *values) value = random.Uniform() < 0.5 ? 1 : value;
      }
      by_cramer += CramerVonMises(a, b)->p_value <= 0.1;
      const auto anderson = AndersonDarling(a, b);
      by_anderson += anderson->limit_p_value <= 0.1;
      by_anderson_of_twentieth += anderson->p_value <= 0.05;
    }
    ExpectRate(by_cramer, kTrials, 0.1);
    ExpectRate(by_anderson, kTrials, 0.1);
    ExpectRate(by_anderson_of_twentieth, kTrials, 0.05);
  }
}

TEST(LimitTailTest, MeetPublishedPercentagePoints) {
  // Anderson, Darling (1952), table 1, and Marsaglia, Marsaglia (2004).
  EXPECT_NEAR(CramerVonMisesTail(0.34730), 0.10, 5e-6);
  EXPECT_NEAR(CramerVonMisesTail(0.46136), 0.05, 1e-6);
  EXPECT_NEAR(CramerVonMisesTail(0.74346), 0.01, 1e-6);
  EXPECT_NEAR(CramerVonMisesTail(1.16786), 0.001, 1e-7);
  EXPECT_NEAR(AndersonDarlingTail(1.9329578327), 0.10, 1e-6);
  EXPECT_NEAR(AndersonDarlingTail(2.4923671600), 0.05, 1e-6);
  EXPECT_NEAR(AndersonDarlingTail(3.8781250216), 0.01, 1e-6);
}

TEST(LimitTailTest, MomentsAreThoseOfTheSumsOfSquares) {
  // The mean is the integral of the tail: sum of 1/r_j; half the second moment is that of x tail.
  double cramer_mean = 0, cramer_square = 0, anderson_mean = 0, anderson_square = 0;
  constexpr double kStep = 2e-3;
  for (double x = kStep / 2; x < 24; x += kStep) {
    cramer_mean += kStep * CramerVonMisesTail(x);
    cramer_square += kStep * 2 * x * CramerVonMisesTail(x);
    anderson_mean += kStep * AndersonDarlingTail(x);
    anderson_square += kStep * 2 * x * AndersonDarlingTail(x);
  }
  const double pi_squared = std::pow(std::acos(-1.0), 2);

  EXPECT_NEAR(cramer_mean, 1.0 / 6, 1e-6);
  EXPECT_NEAR(cramer_square - 1.0 / 36, 1.0 / 45, 1e-6);
  EXPECT_NEAR(anderson_mean, 1, 1e-6);
  EXPECT_NEAR(anderson_square - 1, 2 * (pi_squared - 9) / 3, 1e-6);
}

TEST(LimitTailTest, FallFromOneWithoutAJump) {
  double cramer = 1;
  double anderson = 1;
  for (double x = 0.001; x < 60; x *= 1.01) {
    EXPECT_LE(CramerVonMisesTail(x), cramer + 1e-13) << x;
    EXPECT_LE(AndersonDarlingTail(x), anderson + 1e-13) << x;
    cramer = CramerVonMisesTail(x);
    anderson = AndersonDarlingTail(x);
  }
  EXPECT_GT(cramer, 0);
  EXPECT_LT(cramer, 1e-100);
  EXPECT_LT(anderson, 1e-20);
}

TEST(AndersonDarlingTest, AgreesWithScipy) {
  std::vector<double> shifted = kX;
  for (double& value : shifted) value -= 1.2;

  const auto capped = AndersonDarling(kX, kY, TieRule::kIgnored);
  const auto floored = AndersonDarling(shifted, kY, TieRule::kIgnored);
  const auto tied = AndersonDarling(kTiedX, kTiedY, TieRule::kIgnored);

  EXPECT_NEAR(capped->statistic, -0.23369515347271075, 1e-13);
  EXPECT_EQ(capped->p_value, 0.25);
  EXPECT_TRUE(capped->capped);
  EXPECT_GT(capped->limit_p_value, 0.25);
  EXPECT_NEAR(floored->statistic, 7.350659592249541, 1e-12);
  EXPECT_EQ(floored->p_value, 0.001);
  EXPECT_TRUE(floored->floored);
  EXPECT_LT(floored->limit_p_value, 0.001);
  EXPECT_NEAR(tied->statistic, 3.1060567516712574, 1e-13);
  EXPECT_NEAR(tied->p_value, 0.017706712414320723, 1e-14);
  EXPECT_FALSE(tied->capped || tied->floored);
  EXPECT_NEAR(tied->limit_p_value, tied->p_value, 0.002);
}

TEST(AndersonDarlingTest, WithoutTiesThereIsNothingToCorrect) {
  Random random(20);
  const auto a = Normals(50, random);
  const auto b = Normals(40, random, 0.3);

  EXPECT_EQ(AndersonDarling(a, b)->statistic, AndersonDarling(a, b, TieRule::kIgnored)->statistic);
  // With two values all pairs are correlated fully: variance 2 in place of 0.58.
  const std::vector<double> x = {0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1};
  const std::vector<double> y = {1, 1, 1, 1, 0, 1, 1, 0, 1, 1, 1};
  EXPECT_LT(std::abs(AndersonDarling(x, y)->statistic),
            0.7 * std::abs(AndersonDarling(x, y, TieRule::kIgnored)->statistic));
}

TEST(AndersonDarlingTest, SymmetricAndFreeOfOrderAndScale) {
  Random random(21);
  for (const std::uint64_t kinds : {5U, 1000U}) {
    auto a = WholeNumbers(80, random, kinds);
    auto b = WholeNumbers(33, random, kinds);
    const auto first = AndersonDarling(a, b);
    Shuffle(a, random);
    Shuffle(b, random);
    for (auto* values : {&a, &b}) {
      for (double& value : *values) value = value * value * value - 4;
    }
    const auto swapped = AndersonDarling(b, a);

    EXPECT_NEAR(first->statistic, swapped->statistic, 1e-12);
    EXPECT_NEAR(first->limit_p_value, swapped->limit_p_value, 1e-12);
  }
}

TEST(AndersonDarlingTest, UniformUnderTheNull) {
  Random random(22);
  constexpr int kTrials = 4000;
  int below_twentieth = 0;
  int table_below_twentieth = 0;
  int below_half = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const auto test = AndersonDarling(Normals(60, random), Normals(45, random));
    below_twentieth += test->limit_p_value <= 0.05;
    table_below_twentieth += test->p_value <= 0.05;
    below_half += test->limit_p_value <= 0.5;
  }
  ExpectRate(below_twentieth, kTrials, 0.05);
  ExpectRate(table_below_twentieth, kTrials, 0.05);
  ExpectRate(below_half, kTrials, 0.5);
}

TEST(AndersonDarlingTest, RefusesWhatItCannotDo) {
  const std::vector<double> same(5, 2.5);

  const auto constant = AndersonDarling(same, same);
  ASSERT_FALSE(constant.ok());
  EXPECT_EQ(constant.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(constant.error().message,
            "not applicable, because all values of both samples are equal");
  EXPECT_EQ(AndersonDarling(std::vector<double>{1}, std::vector<double>{2, 3}).error().code,
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace tidewheel::stats
