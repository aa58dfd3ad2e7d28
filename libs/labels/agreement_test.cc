#include "tidewheel/labels/agreement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tidewheel/labels/testing/simulated_crowd.h"

namespace tidewheel::labels {
namespace {

using internal::SimulatedCrowd;
using testing::HasSubstr;
using Labels = std::vector<std::int32_t>;

TEST(CohenKappaTest, AgreesWithAHandCount) {
  // 50 proposals, two readers: 20 both yes, 5 and 10 one of them, 15 both no: (.7 - .5) / .5.
  Labels first;
  Labels second;
  const auto add = [&](int times, std::int32_t a, std::int32_t b) {
    for (int n = 0; n < times; ++n) {
      first.push_back(a);
      second.push_back(b);
    }
  };
  add(20, 1, 1);
  add(5, 1, 0);
  add(10, 0, 1);
  add(15, 0, 0);
  EXPECT_NEAR(*CohenKappa(first, second, 2), 0.4, 1e-12);
  // With two classes every weight is the same.
  EXPECT_NEAR(*CohenKappa(first, second, 2, KappaWeights::kQuadratic), 0.4, 1e-12);
  first.push_back(kAbstain);
  second.push_back(1);
  EXPECT_NEAR(*CohenKappa(first, second, 2), 0.4, 1e-12);
}

TEST(CohenKappaTest, WeightsForgiveNeighbours) {
  const Labels first = {0, 1, 2, 3, 0, 1, 2, 3};
  const Labels second = {1, 2, 3, 2, 1, 1, 2, 3};
  EXPECT_LT(*CohenKappa(first, second, 4), *CohenKappa(first, second, 4, KappaWeights::kLinear));
  EXPECT_LT(*CohenKappa(first, second, 4, KappaWeights::kLinear),
            *CohenKappa(first, second, 4, KappaWeights::kQuadratic));
}

TEST(CohenKappaTest, IsSymmetricAndBoundedAndBlindToNames) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Random random(seed);
    const std::size_t classes = 2 + random.Below(5);
    Labels first;
    Labels second;
    for (int i = 0; i < 40; ++i) {
      first.push_back(static_cast<std::int32_t>(random.Below(classes)));
      second.push_back(static_cast<std::int32_t>(random.Below(classes)));
    }
    const auto names = internal::Shuffled(classes, seed);
    Labels first_renamed;
    Labels second_renamed;
    for (std::size_t i = 0; i < first.size(); ++i) {
      first_renamed.push_back(static_cast<std::int32_t>(names[static_cast<std::size_t>(first[i])]));
      second_renamed.push_back(
          static_cast<std::int32_t>(names[static_cast<std::size_t>(second[i])]));
    }
    const double kappa = *CohenKappa(first, second, classes);
    EXPECT_EQ(kappa, *CohenKappa(second, first, classes));
    EXPECT_NEAR(kappa, *CohenKappa(first_renamed, second_renamed, classes), 1e-12);
    EXPECT_GE(kappa, -1);
    EXPECT_LE(kappa, 1);
    EXPECT_NEAR(*CohenKappa(first, first, classes), 1, 1e-12);
  }
}

TEST(CohenKappaTest, BadInputIsNamed) {
  const auto error_of = [](const Labels& a, const Labels& b, std::size_t classes) {
    return CohenKappa(a, b, classes).error().message;
  };
  EXPECT_THAT(error_of({0}, {0, 1}, 2), HasSubstr("1 labels and the second 2"));
  EXPECT_THAT(error_of({0}, {2}, 2), HasSubstr("label 2 of item 0"));
  EXPECT_THAT(error_of({0}, {-2}, 2), HasSubstr("label -2"));
  EXPECT_THAT(error_of({0}, {0}, 1), HasSubstr("not 1"));
  EXPECT_THAT(error_of({}, {}, 2), HasSubstr("both raters"));
  EXPECT_THAT(error_of({0, kAbstain}, {kAbstain, 1}, 2), HasSubstr("both raters"));
  EXPECT_THAT(error_of({1, 1}, {1, 1}, 2), HasSubstr("all votes are equal"));
}

TEST(PairwiseKappaTest, IsCohensForEachPairOverSharedItems) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const SimulatedCrowd crowd = internal::SimulateAnything(seed);
    const auto all = PairwiseCohenKappa(crowd.View());
    if (!all.ok()) continue;
    double sum = 0;
    for (const WorkerPair& pair : all->pairs) {
      Labels labels[2] = {Labels(crowd.items, kAbstain), Labels(crowd.items, kAbstain)};
      for (std::size_t v = 0; v < crowd.item.size(); ++v) {
        const auto i = static_cast<std::size_t>(crowd.item[v]);
        if (crowd.worker[v] == pair.first) labels[0][i] = crowd.label[v];
        if (crowd.worker[v] == pair.second) labels[1][i] = crowd.label[v];
      }
      const auto kappa = CohenKappa(labels[0], labels[1], crowd.classes);
      ASSERT_EQ(kappa.ok(), pair.defined);
      ASSERT_LT(pair.first, pair.second);
      if (!pair.defined) continue;
      ASSERT_DOUBLE_EQ(*kappa, pair.kappa);
      sum += pair.kappa;
    }
    ASSERT_NEAR(all->mean, sum / static_cast<double>(all->pairs.size() - all->undefined), 1e-12);
  }
}

TEST(PairwiseKappaTest, AsksForSharedItems) {
  SimulatedCrowd crowd;
  for (std::int32_t i = 0; i < 6; ++i) {
    crowd.Add(i, 0, i % 2);
    crowd.Add(i, 1, i % 2);
    if (i < 2) crowd.Add(i, 2, i % 2);
  }
  EXPECT_EQ(PairwiseCohenKappa(crowd.View())->pairs.size(), 3U);
  const auto three = PairwiseCohenKappa(crowd.View(), 3);
  ASSERT_EQ(three->pairs.size(), 1U);
  EXPECT_EQ(three->pairs[0].items, 6U);
  EXPECT_EQ(three->mean, 1);
  EXPECT_THAT(PairwiseCohenKappa(crowd.View(), 7).error().message, HasSubstr("share 7 items"));
}

TEST(FleissKappaTest, AgreesWithFleissOwnTable) {
  // Fleiss 1971 as often retold: ten subjects, fourteen raters, five categories: 0.210.
  const int counts[10][5] = {{0, 0, 0, 0, 14}, {0, 2, 6, 4, 2}, {0, 0, 3, 5, 6}, {0, 3, 9, 2, 0},
                             {2, 2, 8, 1, 1},  {7, 7, 0, 0, 0}, {3, 2, 6, 3, 0}, {2, 5, 3, 2, 2},
                             {6, 5, 2, 1, 0},  {0, 2, 2, 3, 7}};
  SimulatedCrowd crowd;
  for (std::int32_t i = 0; i < 10; ++i) {
    std::int32_t w = 0;
    for (std::int32_t k = 0; k < 5; ++k) {
      for (int n = 0; n < counts[i][k]; ++n) crowd.Add(i, w++, k);
    }
  }
  EXPECT_NEAR(*FleissKappa(crowd.View()), 0.210, 5e-4);
}

TEST(FleissKappaTest, BadInputIsNamed) {
  SimulatedCrowd apart;
  apart.Add(0, 0, 0);
  apart.Add(1, 1, 1);
  EXPECT_THAT(FleissKappa(apart.View()).error().message, HasSubstr("two votes"));
  SimulatedCrowd equal;
  equal.Add(0, 0, 1);
  equal.Add(0, 1, 1);
  EXPECT_THAT(FleissKappa(equal.View()).error().message, HasSubstr("all votes are equal"));
}

/// Krippendorff's example C (2011): four observers, twelve units, values 1 to 5, missing ones.
SimulatedCrowd ExampleC() {
  const int x = -1;
  const int table[4][12] = {{1, 2, 3, 3, 2, 1, 4, 1, 2, x, x, x},
                            {1, 2, 3, 3, 2, 2, 4, 1, 2, 5, x, 3},
                            {x, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, x},
                            {1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, x}};
  SimulatedCrowd crowd;
  for (std::int32_t w = 0; w < 4; ++w) {
    for (std::int32_t i = 0; i < 12; ++i) {
      if (table[w][i] != x) crowd.Add(i, w, table[w][i] - 1);
    }
  }
  return crowd;
}

TEST(KrippendorffTest, AgreesWithKrippendorffsExamples) {
  // Example A: two coders, ten units: .095.
  SimulatedCrowd crowd;
  const int first[] = {0, 1, 0, 0, 0, 0, 0, 0, 1, 0};
  const int second[] = {1, 1, 1, 0, 0, 1, 0, 0, 0, 0};
  for (int i = 0; i < 10; ++i) {
    crowd.Add(i, 0, first[i]);
    crowd.Add(i, 1, second[i]);
  }
  EXPECT_NEAR(*KrippendorffAlpha(crowd.View()), 0.095, 5e-4);
  const SimulatedCrowd c = ExampleC();
  EXPECT_NEAR(*KrippendorffAlpha(c.View()), 0.743, 5e-4);
  EXPECT_NEAR(*KrippendorffAlpha(c.View(), AlphaMetric::kOrdinal), 0.815, 5e-4);
  EXPECT_NEAR(*KrippendorffAlpha(c.View(), AlphaMetric::kInterval), 0.849, 5e-4);
}

TEST(KrippendorffTest, OrdinalAndIntervalOfTwoClassesAreNominal) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const SimulatedCrowd crowd = internal::Simulate(30, 4, 2, seed);
    const double alpha = *KrippendorffAlpha(crowd.View());
    EXPECT_NEAR(*KrippendorffAlpha(crowd.View(), AlphaMetric::kOrdinal), alpha, 1e-12);
    EXPECT_NEAR(*KrippendorffAlpha(crowd.View(), AlphaMetric::kInterval), alpha, 1e-12);
    EXPECT_LE(alpha, 1);
  }
}

TEST(KrippendorffTest, IntervalDoesNotDependOnOriginAndUnit) {
  const SimulatedCrowd c = ExampleC();
  const std::vector<double> values = {-7, -4, -1, 2, 5};
  EXPECT_NEAR(*KrippendorffAlpha(c.View(), AlphaMetric::kInterval, values),
              *KrippendorffAlpha(c.View(), AlphaMetric::kInterval), 1e-12);
}

TEST(KrippendorffTest, DoesNotDependOnOrderAndNames) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const SimulatedCrowd crowd = internal::SimulateAnything(seed);
    const auto alpha = KrippendorffAlpha(crowd.View());
    if (!alpha.ok()) continue;
    EXPECT_NEAR(*alpha, *KrippendorffAlpha(internal::Reordered(crowd, seed).View()), 1e-12);
    EXPECT_NEAR(*alpha, *KrippendorffAlpha(internal::Rename(crowd, seed).crowd.View()), 1e-12);
  }
}

TEST(KrippendorffTest, BadInputIsNamed) {
  const SimulatedCrowd c = ExampleC();
  const auto error_of = [&](std::vector<double> values) {
    return KrippendorffAlpha(c.View(), AlphaMetric::kInterval, values).error().message;
  };
  EXPECT_THAT(error_of({1, 2}), HasSubstr("2 values for 5 classes"));
  EXPECT_THAT(error_of({1, 2, std::nan(""), 4, 5}), HasSubstr("value of class 2"));
  EXPECT_THAT(error_of({1, 2, 1e200, 4, 5}), HasSubstr("too far apart"));
  EXPECT_THAT(error_of({1, 1, 1, 1, 1}), HasSubstr("all votes are equal"));
  SimulatedCrowd apart;
  apart.Add(0, 0, 0);
  apart.Add(1, 1, 1);
  EXPECT_THAT(KrippendorffAlpha(apart.View()).error().message, HasSubstr("two votes"));
}

}  // namespace
}  // namespace tidewheel::labels
