#include "tidewheel/stats/corrections.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/special.h"

namespace tidewheel::stats {
namespace {

// The fifteen p-values of the example of Benjamini and Hochberg (1995).
const std::vector<double> kExample = {0.0001, 0.0004, 0.0019, 0.0095, 0.0201,
                                      0.0278, 0.0298, 0.0344, 0.0459, 0.3240,
                                      0.4262, 0.5719, 0.6528, 0.7590, 1.000};

TEST(CorrectionsTest, RejectAsManyAsInTheExampleOfBenjaminiAndHochberg) {
  const auto rejected = [](const Result<std::vector<double>>& adjusted) {
    return std::count_if(adjusted->begin(), adjusted->end(), [](double p) { return p <= 0.05; });
  };

  EXPECT_EQ(rejected(BonferroniAdjusted(kExample)), 3);
  EXPECT_EQ(rejected(HolmAdjusted(kExample)), 3);
  EXPECT_EQ(rejected(BenjaminiHochbergAdjusted(kExample)), 4);
}

TEST(CorrectionsTest, AgreeWithScipy) {
  const std::vector<double> expected = {
      0.0015, 0.003,  0.0095, 0.035625,           0.0603,   0.0638571428571428, 0.0638571428571428,
      0.0645, 0.0765, 0.486,  0.5811818181818181, 0.714875, 0.7532307692307692, 0.8132142857142858,
      1};
  const auto adjusted = BenjaminiHochbergAdjusted(kExample);

  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR((*adjusted)[i], expected[i], 1e-14);
}

TEST(CorrectionsTest, HolmIsTheTextbookExample) {
  // 0.01, 0.04, 0.03, 0.005 by hand: sorted times 4, 3, 2, 1, then the running maximum.
  const std::vector<double> p = {0.01, 0.04, 0.03, 0.005};
  const auto adjusted = HolmAdjusted(p);

  EXPECT_NEAR((*adjusted)[0], 0.03, 1e-15);
  EXPECT_NEAR((*adjusted)[1], 0.06, 1e-15);
  EXPECT_NEAR((*adjusted)[2], 0.06, 1e-15);
  EXPECT_NEAR((*adjusted)[3], 0.02, 1e-15);
}

TEST(CorrectionsTest, KeepTheOrderOfTheTestsAndTheOrderOfTheirPower) {
  Random random(1);
  for (int round = 0; round < 100; ++round) {
    std::vector<double> p(1 + random.Below(40));
    for (double& value : p) value = std::floor(random.Uniform() * 50) / 50;
    std::vector<double> reversed(p.rbegin(), p.rend());

    const auto bonferroni = BonferroniAdjusted(p);
    const auto holm = HolmAdjusted(p);
    const auto hochberg = BenjaminiHochbergAdjusted(p);
    const auto turned = BenjaminiHochbergAdjusted(reversed);

    for (std::size_t i = 0; i < p.size(); ++i) {
      EXPECT_LE(p[i], (*hochberg)[i]);
      EXPECT_LE((*hochberg)[i], (*holm)[i] + 1e-15);
      EXPECT_LE((*holm)[i], (*bonferroni)[i] + 1e-15);
      EXPECT_LE((*bonferroni)[i], 1);
      EXPECT_DOUBLE_EQ((*hochberg)[i], (*turned)[p.size() - 1 - i]);
      for (std::size_t j = 0; j < p.size(); ++j) {
        if (p[i] > p[j]) continue;
        EXPECT_LE((*hochberg)[i], (*hochberg)[j]);
        EXPECT_LE((*holm)[i], (*holm)[j]);
      }
    }
  }
}

TEST(CorrectionsTest, KeepTheirPromisesUnderTheNull) {
  Random random(2);
  constexpr int kTrials = 4000;
  int any_holm = 0;
  int any_hochberg = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> p(20);
    for (double& value : p) value = random.Uniform();
    const auto holm = HolmAdjusted(p);
    const auto hochberg = BenjaminiHochbergAdjusted(p);
    any_holm += *std::min_element(holm->begin(), holm->end()) <= 0.1;
    any_hochberg += *std::min_element(hochberg->begin(), hochberg->end()) <= 0.1;
  }
  // Under the full null any rejection is a false one, for both; exactly 1 - 0.995^20 and 0.1.
  EXPECT_GT(1 - BinomialCdf(any_holm - 1, kTrials, 0.1), 0.001);
  EXPECT_GT(1 - BinomialCdf(any_hochberg - 1, kTrials, 0.1), 0.001);
  EXPECT_GT(BinomialCdf(any_hochberg, kTrials, 0.1), 0.001);
}

TEST(CorrectionsTest, RefuseWhatIsNoPValue) {
  EXPECT_EQ(BonferroniAdjusted({}).error().message, "there are no p-values to adjust");
  EXPECT_EQ(HolmAdjusted(std::vector<double>{0.1, 1.5}).error().message,
            "p-value 1 is not between 0 and 1");
  EXPECT_FALSE(BenjaminiHochbergAdjusted(std::vector<double>{std::nan("")}).ok());
}

}  // namespace
}  // namespace tidewheel::stats
