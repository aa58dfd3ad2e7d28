#include "tidewheel/stats/many_features.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/special.h"

namespace tidewheel::stats {
namespace {

struct Table {
  std::size_t columns;
  std::vector<double> values;

  std::size_t rows() const { return values.size() / columns; }
  MatrixView<double> view() const { return {values, rows(), columns}; }
};

/// Standard normal columns with correlation `correlation` between neighbours.
Table Normals(std::size_t rows, std::size_t columns, Random& random, double shift = 0,
              double correlation = 0) {
  Table table{columns, {}};
  for (std::size_t row = 0; row < rows; ++row) {
    double before = 0;
    for (std::size_t c = 0; c < columns; ++c) {
      const double fresh = random.Normal();
      before =
          c == 0 ? fresh : correlation * before + std::sqrt(1 - correlation * correlation) * fresh;
      table.values.push_back(before + shift);
    }
  }
  return table;
}

/// Gives the second column the sign of the first: each column keeps its distribution.
Table Folded(Table table) {
  for (std::size_t row = 0; row < table.rows(); ++row) {
    double* values = table.values.data() + row * table.columns;
    values[1] = std::copysign(values[1], values[0]);
  }
  return table;
}

// From the definition, by all pairs.
double SquaredMmd(const Table& a, const Table& b, double squared_bandwidth) {
  const auto kernel = [&](std::span<const double> x, std::span<const double> y) {
    double distance = 0;
    for (std::size_t c = 0; c < x.size(); ++c) distance += (x[c] - y[c]) * (x[c] - y[c]);
    return std::exp(-distance / (2 * squared_bandwidth));
  };
  const auto mean = [&](const Table& x, const Table& y, bool same) {
    double sum = 0;
    for (std::size_t i = 0; i < x.rows(); ++i) {
      for (std::size_t j = 0; j < y.rows(); ++j) {
        if (!same || i != j) sum += kernel(x.view().Row(i), y.view().Row(j));
      }
    }
    return sum / (static_cast<double>(x.rows()) * static_cast<double>(y.rows() - (same ? 1 : 0)));
  };
  return mean(a, a, true) + mean(b, b, true) - 2 * mean(a, b, false);
}

TEST(MaximumMeanDiscrepancyTest, IsTheDefinition) {
  Random random(1);
  for (const std::size_t columns : {1U, 2U, 5U}) {
    const auto a = Normals(23, columns, random);
    const auto b = Normals(31, columns, random, 0.5);
    std::vector<double> distances;
    for (std::size_t i = 0; i < a.rows(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        double distance = 0;
        for (std::size_t c = 0; c < columns; ++c) {
          distance += std::pow(a.view().Row(i)[c] - a.view().Row(j)[c], 2);
        }
        distances.push_back(distance);
      }
    }
    std::sort(distances.begin(), distances.end());
    const double median = distances[distances.size() / 2];  // 253 pairs.

    const auto test = MaximumMeanDiscrepancy(a.view(), b.view());

    ASSERT_TRUE(test.ok());
    EXPECT_NEAR(test->squared_bandwidth, median, 1e-12);
    EXPECT_NEAR(test->squared_mmd, SquaredMmd(a, b, median), 1e-12);
    const auto wide = MaximumMeanDiscrepancy(a.view(), b.view(), {.squared_bandwidth = 9});
    EXPECT_NEAR(wide->squared_mmd, SquaredMmd(a, b, 9), 1e-12);
  }
}

TEST(MaximumMeanDiscrepancyTest, HasTheClosedFormOfTwoPointMasses) {
  // Two points d apart on each side: equal pairs 1 inside, exp(-d^2 / 2 s^2) across.
  const Table a{1, {0, 0, 0}};
  const Table b{1, {2, 2, 2, 2}};

  const auto test = MaximumMeanDiscrepancy(a.view(), b.view(), {.squared_bandwidth = 1});

  EXPECT_NEAR(test->squared_mmd, 2 - 2 * std::exp(-2.0), 1e-14);
  // 1 of 35 divisions is as extreme.
  EXPECT_LT(test->p_value, 0.08);
  EXPECT_EQ(MaximumMeanDiscrepancy(a.view(), b.view()).error().message,
            "not applicable, because at least half of the reference's pairs of rows are equal, "
            "which leaves no bandwidth");
}

TEST(MaximumMeanDiscrepancyTest, UniformUnderTheNull) {
  Random random(2);
  constexpr int kTrials = 500;
  int below_tenth = 0;
  int below_half = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const auto a = Normals(20, 3, random);
    const auto b = Normals(15, 3, random);
    const auto test = MaximumMeanDiscrepancy(
        a.view(), b.view(), {.permutations = 99, .seed = static_cast<std::uint64_t>(trial)});
    below_tenth += test->p_value <= 0.1;
    below_half += test->p_value <= 0.5;
  }
  EXPECT_GT(BinomialCdf(below_tenth, kTrials, 0.1), 0.0005);
  EXPECT_GT(1 - BinomialCdf(below_tenth - 1, kTrials, 0.1), 0.0005);
  EXPECT_GT(BinomialCdf(below_half, kTrials, 0.5), 0.0005);
  EXPECT_GT(1 - BinomialCdf(below_half - 1, kTrials, 0.5), 0.0005);
}

TEST(MaximumMeanDiscrepancyTest, SymmetricAndFreeOfTheOrderOfRows) {
  Random random(3);
  const auto a = Normals(40, 2, random);
  const auto b = Normals(30, 2, random, 0.4);
  Table turned{2, {}};
  for (std::size_t row = b.rows(); row > 0; --row) {
    turned.values.insert(turned.values.end(), b.view().Row(row - 1).begin(),
                         b.view().Row(row - 1).end());
  }
  const MmdOptions options{.squared_bandwidth = 2};

  EXPECT_NEAR(MaximumMeanDiscrepancy(a.view(), b.view(), options)->squared_mmd,
              MaximumMeanDiscrepancy(turned.view(), a.view(), options)->squared_mmd, 1e-13);
}

TEST(MaximumMeanDiscrepancyTest, SeesWhatNoColumnShowsAlone) {
  Random random(4);
  const auto a = Normals(300, 3, random);
  const auto b = Folded(Normals(300, 3, random));
  const auto same = Normals(300, 3, random);

  EXPECT_LE(MaximumMeanDiscrepancy(a.view(), b.view())->p_value, 0.01);
  EXPECT_GT(MaximumMeanDiscrepancy(a.view(), same.view())->p_value, 0.05);
}

TEST(MaximumMeanDiscrepancyTest, StandardizedItDoesNotDependOnUnits) {
  Random random(5);
  auto a = Normals(60, 2, random);
  auto b = Normals(50, 2, random, 0.3);
  const auto first = MaximumMeanDiscrepancy(a.view(), b.view(), {.standardize = true});
  for (auto* table : {&a, &b}) {
    for (std::size_t i = 1; i < table->values.size(); i += 2) {
      table->values[i] = 1000 * table->values[i] - 17;
    }
  }
  const auto second = MaximumMeanDiscrepancy(a.view(), b.view(), {.standardize = true});

  EXPECT_NEAR(first->squared_mmd, second->squared_mmd, 1e-10);
  EXPECT_EQ(first->p_value, second->p_value);
}

TEST(MaximumMeanDiscrepancyTest, RefusesTooManyRowsAndWhatIsNoTable) {
  Random random(6);
  const auto a = Normals(10, 2, random);
  const auto other = Normals(10, 3, random);
  const auto many = Normals(4'090, 2, random);
  Table broken = a;
  broken.values[5] = std::nan("");

  const auto refused = MaximumMeanDiscrepancy(a.view(), many.view());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(refused.error().message.find("limit of 4096"), std::string::npos);
  EXPECT_EQ(MaximumMeanDiscrepancy(a.view(), other.view()).error().message,
            "the reference has 2 columns and the current rows have 3");
  EXPECT_EQ(MaximumMeanDiscrepancy(a.view(), broken.view()).error().message,
            "row 2, column 1 of the current is not a finite number");
  EXPECT_FALSE(MaximumMeanDiscrepancy(a.view(), {a.values, 1, 2}).ok());
  EXPECT_FALSE(MaximumMeanDiscrepancy({}, a.view()).ok());
  EXPECT_FALSE(MaximumMeanDiscrepancy(a.view(), a.view(), {.permutations = 0}).ok());
}

TEST(DomainClassifierTest, CannotTellWhatIsTheSame) {
  Random random(11);
  constexpr int kTrials = 60;
  int covered = 0;
  int rejected = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const auto a = Normals(150, 3, random);
    const auto b = Normals(100, 3, random);
    DomainClassifierOptions options;
    options.seed = static_cast<std::uint64_t>(trial);
    options.trees.rounds = 20;
    const auto test = DomainClassifier(a.view(), b.view(), options);
    ASSERT_TRUE(test.ok());
    covered += test->auc.interval.low <= 0.5 && 0.5 <= test->auc.interval.high;
    rejected += test->p_value <= 0.05;
  }
  EXPECT_GT(BinomialCdf(covered, kTrials, 0.95), 0.001) << covered;
  EXPECT_GT(1 - BinomialCdf(rejected - 1, kTrials, 0.05), 0.001) << rejected;
}

TEST(DomainClassifierTest, SeesShiftsOfOneColumnAndOfColumnsTogether) {
  Random random(12);
  const auto a = Normals(600, 3, random);
  const auto shifted = Normals(400, 3, random, 0.8);
  const auto folded = Folded(Normals(600, 3, random));

  const auto of_shifted = DomainClassifier(a.view(), shifted.view());
  const auto of_folded = DomainClassifier(a.view(), folded.view());

  EXPECT_GT(of_shifted->auc.interval.low, 0.75);
  EXPECT_LT(of_shifted->p_value, 1e-10);
  EXPECT_GT(of_folded->auc.interval.low, 0.6);
}

TEST(DomainClassifierTest, WithoutOverlapTheAreaIsOneAndTheIntervalStillHasALength) {
  Random random(13);
  const auto a = Normals(100, 2, random);
  const auto b = Normals(100, 2, random, 100);

  const auto test = DomainClassifier(a.view(), b.view());

  EXPECT_EQ(test->auc.value, 1);
  EXPECT_EQ(test->auc.interval.high, 1);
  EXPECT_LT(test->auc.interval.low, 1);
  EXPECT_GT(test->auc.interval.low, 0.95);
}

TEST(DomainClassifierTest, SaysWhyItIsNotApplicable) {
  Random random(14);
  const auto a = Normals(100, 2, random);
  const auto few = Normals(49, 2, random);

  const auto refused = DomainClassifier(a.view(), few.view());
  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(refused.error().message,
            "not applicable, because a sample of 49 rows is below the 50 that 5 folds need");
  DomainClassifierOptions options;
  options.folds = 1;
  EXPECT_EQ(DomainClassifier(a.view(), a.view(), options).error().code,
            ErrorCode::kInvalidArgument);
}

TEST(PcaReconstructionTest, SeesRowsThatLeaveThePlaneAndOnlyThese) {
  Random random(21);
  const auto a = Normals(1'000, 6, random, 0, 0.9);
  const auto same = Normals(400, 6, random, 0, 0.9);
  const auto loose = Normals(400, 6, random, 0, 0);

  const auto of_same = PcaReconstructionError(a.view(), same.view());
  const auto of_loose = PcaReconstructionError(a.view(), loose.view());

  ASSERT_TRUE(of_same.ok());
  EXPECT_GT(of_same->p_value, 0.01);
  EXPECT_LT(of_loose->p_value, 1e-10);
  EXPECT_GT(of_loose->difference.interval.low, 0.2);
  EXPECT_NEAR(of_loose->difference.value,
              of_loose->current_error.value - of_loose->reference_error.value, 1e-12);
  EXPECT_LT(of_loose->components, 6U);
}

TEST(PcaReconstructionTest, RowsInThePlaneAreReconstructedExactly) {
  // Three columns of rank one.
  Random random(22);
  Table a{3, {}};
  Table off{3, {}};
  for (int row = 0; row < 200; ++row) {
    const double t = random.Normal();
    for (const double scale : {1.0, -2.0, 5.0}) a.values.push_back(scale * t + 3);
    off.values.insert(off.values.end(), {t + 3, 3 - 2 * t, 3 - 5 * t});
  }
  const auto test = PcaReconstructionError(a.view(), off.view(), {.explained = 0.5});

  EXPECT_EQ(test->components, 1U);
  EXPECT_NEAR(test->reference_error.value, 0, 1e-12);
  EXPECT_GT(test->current_error.interval.low, 0.5);
}

TEST(PcaReconstructionTest, UniformUnderTheNull) {
  Random random(23);
  constexpr int kTrials = 1000;
  int below_tenth = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const auto a = Normals(300, 4, random, 0, 0.7);
    const auto b = Normals(150, 4, random, 0, 0.7);
    const auto test =
        PcaReconstructionError(a.view(), b.view(), {.seed = static_cast<std::uint64_t>(trial)});
    below_tenth += test->p_value <= 0.1;
  }
  EXPECT_GT(BinomialCdf(below_tenth, kTrials, 0.1), 0.0005) << below_tenth;
  EXPECT_GT(1 - BinomialCdf(below_tenth - 1, kTrials, 0.1), 0.0005) << below_tenth;
}

TEST(PcaReconstructionTest, DoesNotDependOnUnits) {
  Random random(24);
  auto a = Normals(200, 4, random, 0, 0.5);
  auto b = Normals(100, 4, random, 0, 0.1);
  const auto first = PcaReconstructionError(a.view(), b.view());
  for (auto* table : {&a, &b}) {
    for (std::size_t i = 2; i < table->values.size(); i += 4) {
      table->values[i] = -64 * table->values[i] + 5;
    }
  }
  const auto second = PcaReconstructionError(a.view(), b.view());

  EXPECT_NEAR(first->difference.value, second->difference.value, 1e-9);
}

TEST(PcaReconstructionTest, SaysWhyItIsNotApplicable) {
  Random random(25);
  const auto a = Normals(60, 3, random);
  const auto single = Normals(60, 1, random);
  const auto wide = Normals(60, 40, random);
  auto constant = a;
  for (std::size_t i = 1; i < constant.values.size(); i += 3) constant.values[i] = 7;
  const auto few = Normals(19, 3, random);
  const auto reason = [](const Result<PcaReconstruction>& result) {
    EXPECT_EQ(result.error().code, ErrorCode::kFailedPrecondition);
    return result.error().message;
  };

  EXPECT_EQ(reason(PcaReconstructionError(constant.view(), a.view())),
            "not applicable, because column 1 of the reference is constant");
  EXPECT_EQ(reason(PcaReconstructionError(single.view(), single.view())),
            "not applicable, because one column has no other that could reconstruct it");
  EXPECT_EQ(reason(PcaReconstructionError(wide.view(), wide.view())),
            "not applicable, because a reference of 60 rows is below the 82 that 40 columns need");
  EXPECT_EQ(reason(PcaReconstructionError(a.view(), few.view())),
            "not applicable, because 19 current rows are below the 20 that an interval needs");
  EXPECT_FALSE(PcaReconstructionError(a.view(), a.view(), {.explained = 1}).ok());
}

}  // namespace
}  // namespace tidewheel::stats
