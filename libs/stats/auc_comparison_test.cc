#include "tidewheel/stats/auc_comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/ranking.h"

namespace tidewheel::stats {
namespace {

using testing::HasSubstr;

struct Rows {
  std::vector<std::int32_t> labels;
  std::vector<double> baseline;
  std::vector<double> candidate;
};

/// Two scores that share most of their noise; whole numbers, so with ties, if `ties`.
Rows RandomRows(std::size_t n, double candidate_gain, bool ties, std::uint64_t seed) {
  Random random(seed);
  Rows rows;
  for (std::size_t i = 0; i < n; ++i) {
    const std::int32_t label = i < 4                    ? static_cast<std::int32_t>(i % 2)
                               : random.Uniform() < 0.4 ? 1
                                                        : 0;
    const double shared = random.Normal();
    double a = label + shared + 0.5 * random.Normal();
    double b = label * (1 + candidate_gain) + shared + 0.5 * random.Normal();
    if (ties) {
      a = std::round(a);
      b = std::round(b);
    }
    rows.labels.push_back(label);
    rows.baseline.push_back(a);
    rows.candidate.push_back(b);
  }
  return rows;
}

double Wins(double a, double b) { return a > b ? 1 : a == b ? 0.5 : 0; }

/// The definition: covariance of the areas from all pairs.
double CovarianceByPairs(const std::vector<std::int32_t>& labels, const std::vector<double>& x,
                         const std::vector<double>& y) {
  const auto placements = [&](const std::vector<double>& s, std::int32_t of) {
    std::vector<double> mean;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      if (labels[i] != of) continue;
      double sum = 0;
      double count = 0;
      for (std::size_t j = 0; j < labels.size(); ++j) {
        if (labels[j] == of) continue;
        sum += of == 1 ? Wins(s[i], s[j]) : Wins(s[j], s[i]);
        count += 1;
      }
      mean.push_back(sum / count);
    }
    return mean;
  };
  double covariance = 0;
  for (const std::int32_t of : {0, 1}) {
    const auto a = placements(x, of);
    const auto b = placements(y, of);
    double mean_a = 0;
    double mean_b = 0;
    const auto count = static_cast<double>(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      mean_a += a[i] / count;
      mean_b += b[i] / count;
    }
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - mean_a) * (b[i] - mean_b);
    covariance += sum / (count - 1) / count;
  }
  return covariance;
}

TEST(AucComparisonTest, AgreesWithTheDefinitionOverAllPairs) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const Rows rows = RandomRows(8 + 3 * seed, 0.5, seed % 2 == 0, seed);
    const auto compared = CompareAuc(rows.labels, rows.baseline, rows.candidate);
    ASSERT_TRUE(compared.ok()) << compared.error().message;
    EXPECT_NEAR(compared->baseline.value, *RocAuc(rows.labels, rows.baseline), 1e-13);
    EXPECT_NEAR(compared->candidate.value, *RocAuc(rows.labels, rows.candidate), 1e-13);
    const double baseline = CovarianceByPairs(rows.labels, rows.baseline, rows.baseline);
    const double candidate = CovarianceByPairs(rows.labels, rows.candidate, rows.candidate);
    const double both = CovarianceByPairs(rows.labels, rows.baseline, rows.candidate);
    const double difference = compared->candidate.value - compared->baseline.value;
    EXPECT_NEAR(compared->difference.value, difference, 1e-13);
    EXPECT_NEAR(compared->z, difference / std::sqrt(baseline + candidate - 2 * both), 1e-9);
    EXPECT_NEAR(compared->correlation, both / std::sqrt(baseline * candidate), 1e-10);
  }
}

TEST(AucComparisonTest, SwappingTheModelsTurnsTheSign) {
  const Rows rows = RandomRows(200, 0.4, true, 5);
  const auto a = CompareAuc(rows.labels, rows.baseline, rows.candidate);
  const auto b = CompareAuc(rows.labels, rows.candidate, rows.baseline);
  EXPECT_NEAR(a->z, -b->z, 1e-12);
  EXPECT_NEAR(a->p_value, b->p_value, 1e-12);
  EXPECT_NEAR(a->difference.interval.low, -b->difference.interval.high, 1e-12);
}

TEST(AucComparisonTest, OnlyTheOrderOfScoresMatters) {
  const Rows rows = RandomRows(150, 0.3, false, 7);
  Rows other = rows;
  for (double& score : other.candidate) score = std::exp(score);
  std::reverse(other.labels.begin(), other.labels.end());
  std::reverse(other.baseline.begin(), other.baseline.end());
  std::reverse(other.candidate.begin(), other.candidate.end());
  const auto a = CompareAuc(rows.labels, rows.baseline, rows.candidate);
  const auto b = CompareAuc(other.labels, other.baseline, other.candidate);
  EXPECT_NEAR(a->p_value, b->p_value, 1e-12);
  EXPECT_NEAR(a->difference.value, b->difference.value, 1e-13);
}

TEST(AucComparisonTest, AModelDoesNotDifferFromItself) {
  const Rows rows = RandomRows(60, 0, false, 2);
  const auto same = CompareAuc(rows.labels, rows.baseline, rows.baseline);
  EXPECT_EQ(same->p_value, 1);
  EXPECT_EQ(same->z, 0);
  EXPECT_EQ(same->difference.value, 0);
  EXPECT_NEAR(same->correlation, 1, 1e-12);
}

TEST(AucComparisonTest, EqualModelsDifferAsRarelyAsTheLevelSays) {
  int differ = 0;
  constexpr int kRuns = 1'000;
  for (std::uint64_t seed = 1; seed <= kRuns; ++seed) {
    const Rows rows = RandomRows(200, 0, false, seed + 1'000);
    differ += CompareAuc(rows.labels, rows.baseline, rows.candidate)->p_value < 0.05 ? 1 : 0;
  }
  EXPECT_NEAR(differ / static_cast<double>(kRuns), 0.05, 0.02);
}

TEST(AucComparisonTest, BadInputIsNamed) {
  const auto problem = [](std::vector<std::int32_t> labels, std::vector<double> baseline,
                          std::vector<double> candidate) {
    const auto compared = CompareAuc(labels, baseline, candidate);
    return compared.ok() ? std::string("taken") : compared.error().message;
  };
  EXPECT_THAT(problem({}, {}, {}), HasSubstr("no rows"));
  EXPECT_THAT(problem({1, 0}, {1, 0}, {1}), HasSubstr("1 scores of the candidate"));
  EXPECT_THAT(problem({1, 2}, {1, 0}, {1, 0}), HasSubstr("row 1: label 2"));
  EXPECT_THAT(problem({1, 0}, {NAN, 0}, {1, 0}), HasSubstr("row 0: the score of the baseline"));
  EXPECT_THAT(problem({1, 0, 0}, {1, 0, 0}, {1, 0, 0}), HasSubstr("2 and 1"));
  EXPECT_THAT(problem({1, 1, 0, 0}, {2, 2, 1, 1}, {1, 1, 2, 2}), HasSubstr("neither area"));
  EXPECT_EQ(problem({1, 1, 0, 0}, {2, 2, 1, 1}, {3, 2, 1, 0}), "taken");
}

}  // namespace
}  // namespace tidewheel::stats
