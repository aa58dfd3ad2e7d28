#include "tidewheel/stats/drift_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "tidewheel/stats/distances.h"
#include "tidewheel/stats/histograms.h"
#include "tidewheel/stats/testing/hostile_bytes.h"
#include "tidewheel/stats/testing/test_columns.h"

namespace tidewheel::stats {
namespace {

using testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <typename T>
struct Table {
  std::vector<std::vector<T>> columns;

  std::vector<std::span<const T>> View() const { return {columns.begin(), columns.end()}; }
  std::vector<std::span<const T>> View(std::size_t begin, std::size_t end) const {
    std::vector<std::span<const T>> view;
    for (const auto& column : columns) {
      view.push_back(std::span(column).subspan(begin, end - begin));
    }
    return view;
  }
  std::vector<T> Rows() const {
    std::vector<T> rows;
    for (std::size_t i = 0; i < columns[0].size(); ++i) {
      for (const auto& column : columns) rows.push_back(column[i]);
    }
    return rows;
  }
};

Table<double> ManyKinds(std::size_t rows, std::uint64_t seed, double missing = 0) {
  Table<double> table;
  for (auto& column : ColumnsOfManyKinds(rows, seed)) {
    table.columns.push_back(WithMissing(std::move(column.values), missing, seed));
  }
  return table;
}

Table<double> OneColumn(std::vector<double> values) { return {{std::move(values)}}; }

DriftProfile Reference(const Table<double>& table, const ReferenceOptions& options = {}) {
  const auto profile = DriftProfile::OfReference(table.View(), options);
  EXPECT_TRUE(profile.ok()) << profile.error().message;
  return *profile;
}

DriftProfile Window(const DriftProfile& reference, const Table<double>& table) {
  auto window = reference.Empty();
  const auto added = window.Add(table.View());
  EXPECT_TRUE(added.ok()) << added.error().message;
  return window;
}

ColumnDrift Drift(const DriftProfile& reference, const DriftProfile& window,
                  std::size_t column = 0) {
  const auto drifts = CompareProfiles(reference, window);
  EXPECT_TRUE(drifts.ok());
  EXPECT_TRUE((*drifts)[column].ok()) << (*drifts)[column].error().message;
  return *(*drifts)[column];
}

std::vector<double> Values(std::vector<double> values) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  return values;
}

double KolmogorovSmirnov(std::vector<double> a, std::vector<double> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  double largest = 0;
  for (const auto* side : {&a, &b}) {
    for (const double x : *side) {
      const auto f = std::upper_bound(a.begin(), a.end(), x) - a.begin();
      const auto g = std::upper_bound(b.begin(), b.end(), x) - b.begin();
      largest = std::max(largest, std::abs(static_cast<double>(f) / static_cast<double>(a.size()) -
                                           static_cast<double>(g) / static_cast<double>(b.size())));
    }
  }
  return largest;
}

TEST(DriftProfileTest, MomentsAreThoseOfTheColumn) {
  const auto table = ManyKinds(150'000, 1, 0.1);
  const auto profile = Reference(table);
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    Moments moments;
    ASSERT_TRUE(moments.Add(table.columns[i]).ok());
    EXPECT_EQ(profile.columns()[i].moments, moments);
    EXPECT_EQ(std::accumulate(profile.columns()[i].slots.begin(), profile.columns()[i].slots.end(),
                              std::uint64_t{0}),
              moments.count());
  }
}

TEST(DriftProfileTest, ThreadsAndLayoutChangeNothing) {
  const auto table = ManyKinds(300'001, 2, 0.05);
  const auto reference = Reference(table);
  EXPECT_EQ(Reference(table, {.threads = 3}), reference);
  const auto window = Window(reference, table);
  for (const unsigned threads : {2U, 3U, 8U, 64U}) {
    auto other = reference.Empty();
    ASSERT_TRUE(other.Add(table.View(), threads).ok());
    EXPECT_EQ(other, window) << threads;
  }
  const auto rows = table.Rows();
  for (const unsigned threads : {1U, 2U}) {
    auto other = reference.Empty();
    const MatrixView<double> view{rows, 300'001, table.columns.size()};
    ASSERT_TRUE(other.AddRows(view, threads).ok());
    EXPECT_EQ(other, window) << threads;
  }
}

TEST(DriftProfileTest, FloatsGiveWhatTheSameDoublesGive) {
  auto table = ManyKinds(100'000, 3, 0.05);
  Table<float> narrow;
  for (auto& column : table.columns) {
    narrow.columns.emplace_back(column.begin(), column.end());
    column.assign(narrow.columns.back().begin(), narrow.columns.back().end());
  }
  const auto of_doubles = Reference(table);
  const auto of_floats = DriftProfile::OfReference(narrow.View());
  ASSERT_TRUE(of_floats.ok());
  EXPECT_EQ(*of_floats, of_doubles);

  // Forty columns: more than one piece of rows, the last one not full.
  Table<float> wide;
  for (int i = 0; i < 40; ++i) {
    wide.columns.push_back(narrow.columns[static_cast<std::size_t>(i) % narrow.columns.size()]);
  }
  auto by_columns = *DriftProfile::OfReference(wide.View());
  auto by_rows = by_columns.Empty();
  const auto rows = wide.Rows();
  ASSERT_TRUE(by_rows.AddRows(MatrixView<float>{rows, 100'000, 40}, 2).ok());
  EXPECT_EQ(by_rows, by_columns);
}

TEST(DriftProfileTest, MergedEqualsWholeInCountsAndUpToRoundingInSums) {
  Random random(4);
  const auto table = ManyKinds(60'000, 4, 0.1);
  const auto reference = Reference(ManyKinds(20'000, 5));
  const auto whole = Window(reference, table);
  auto merged = reference.Empty();
  for (std::size_t begin = 0; begin < 60'000;) {
    const std::size_t end = std::min<std::size_t>(60'000, begin + 1 + random.Below(9'000));
    auto part = reference.Empty();
    ASSERT_TRUE(part.Add(table.View(begin, end)).ok());
    ASSERT_TRUE(merged.Merge(part).ok());
    begin = end;
  }
  for (std::size_t i = 0; i < whole.columns().size(); ++i) {
    const auto& a = merged.columns()[i];
    const auto& b = whole.columns()[i];
    EXPECT_EQ(a.slots, b.slots);
    EXPECT_EQ(a.moments.missing(), b.moments.missing());
    EXPECT_NEAR(a.below, b.below, 1e-12 * b.below);
    EXPECT_NEAR(a.above, b.above, 1e-12 * b.above);
    EXPECT_NEAR(*a.moments.Mean(), *b.moments.Mean(),
                1e-12 * *b.moments.StandardDeviation() + 1e-15 * std::abs(*b.moments.Mean()));
    EXPECT_NEAR(*a.moments.Variance(), *b.moments.Variance(), 1e-11 * *b.moments.Variance());
  }
}

TEST(DriftProfileTest, TheSameWindowHasNotDrifted) {
  const auto reference = Reference(ManyKinds(20'000, 6, 0.1));
  const auto drifts = CompareProfiles(reference, reference);
  ASSERT_TRUE(drifts.ok());
  for (const auto& drift : *drifts) {
    ASSERT_TRUE(drift.ok());
    EXPECT_EQ(drift->psi, 0);
    EXPECT_EQ(drift->jensen_shannon, 0);
    EXPECT_EQ(drift->wasserstein, 0);
    EXPECT_EQ(drift->ks_at_least, 0);
    EXPECT_EQ(drift->missing_share_reference, drift->missing_share_current);
  }
}

/// Current windows of the same kinds: fresh, moved, stretched, and with other kinds altogether.
std::vector<Table<double>> Currents(std::size_t rows, std::uint64_t seed) {
  std::vector<Table<double>> tables(4, ManyKinds(rows, seed, 0.03));
  for (auto& column : tables[1].columns) {
    for (double& value : column) value += 0.7;
  }
  for (auto& column : tables[2].columns) {
    for (double& value : column) value *= -1.8;
  }
  std::rotate(tables[3].columns.begin(), tables[3].columns.begin() + 1, tables[3].columns.end());
  return tables;
}

TEST(DriftProfileTest, DistancesAreWithinTheirStatedErrors) {
  for (const bool span_all : {false, true}) {
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
      const auto base = ManyKinds(9'000, 100 + seed);
      const auto reference = Reference(base, {.span_all = span_all});
      for (const auto& current : Currents(7'000, 200 + seed)) {
        const auto window = Window(reference, current);
        const auto drifts = CompareProfiles(reference, window);
        ASSERT_TRUE(drifts.ok());
        for (std::size_t i = 0; i < drifts->size(); ++i) {
          SCOPED_TRACE(ColumnsOfManyKinds(3, 1)[i].name + (span_all ? ", all" : ""));
          ASSERT_TRUE((*drifts)[i].ok());
          const ColumnDrift& drift = *(*drifts)[i];
          const auto& a = base.columns[i];
          const auto b = Values(current.columns[i]);
          const double exact = *Wasserstein(a, b);
          EXPECT_NEAR(drift.wasserstein, exact,
                      drift.wasserstein_error * (1 + 1e-9) + 1e-11 * exact);
          if (span_all) {
            const double width =
                (*std::max_element(a.begin(), a.end()) - *std::min_element(a.begin(), a.end())) /
                4'095;
            if (width > 0) {
              EXPECT_LE(drift.wasserstein_error, width * (1 + 1e-6));
            }
          }
          const double ks = KolmogorovSmirnov(a, b);
          EXPECT_LE(drift.ks_at_least, ks + 1e-12);
          EXPECT_GE(drift.ks_at_most, ks - 1e-12);
          EXPECT_LE(drift.ks_at_least, drift.ks_at_most);
          EXPECT_GE(drift.psi, 0);
          EXPECT_GE(drift.jensen_shannon, 0);
          EXPECT_LE(drift.jensen_shannon, 1);
        }
      }
    }
  }
}

TEST(DriftProfileTest, BinsAreCountedAsTheirLinesSay) {
  for (const bool equal_shares : {true, false}) {
    const auto reference = Reference(ManyKinds(20'000, 8), {.equal_shares = equal_shares});
    const auto current = ManyKinds(10'000, 9);
    const auto window = Window(reference, current);
    for (std::size_t i = 0; i < current.columns.size(); ++i) {
      SCOPED_TRACE(ColumnsOfManyKinds(3, 1)[i].name);
      const auto& column = window.columns()[i];
      std::vector<double> edges;
      for (const auto line : column.lines) edges.push_back(column.Line(line));
      std::vector<std::uint64_t> counts(edges.size() + 1);
      for (const double value : current.columns[i]) {
        ++counts[static_cast<std::size_t>(std::upper_bound(edges.begin(), edges.end(), value) -
                                          edges.begin())];
      }
      EXPECT_EQ(column.Bins(), counts);
      EXPECT_LE(counts.size(), 64);
    }
    const auto drift = Drift(reference, window);
    EXPECT_EQ(drift.psi,
              *PopulationStabilityIndex(reference.columns()[0].Bins(), window.columns()[0].Bins()));
  }
}

TEST(DriftProfileTest, SharedBinsHoldNearlyEqualShares) {
  const auto reference = Reference(ManyKinds(64'000, 10));
  for (const std::size_t smooth : {0U, 1U, 4U}) {
    const auto& column = reference.columns()[smooth];
    const auto bins = column.Bins();
    EXPECT_EQ(bins.size(), 64);
    const std::uint64_t thickest =
        *std::max_element(column.slots.begin() + 1, column.slots.end() - 1);
    for (const std::uint64_t bin : bins) {
      EXPECT_LE(bin, 1'000 + thickest);
      EXPECT_GE(bin + thickest, 1'000);
    }
  }
  // Five values: five bins, and one on each side for what has not been seen.
  const auto five = reference.columns()[5].Bins();
  EXPECT_EQ(five.size(), 7);
  EXPECT_EQ(five.front(), 0);
  EXPECT_EQ(five.back(), 0);
  for (std::size_t i = 1; i < 6; ++i) EXPECT_NEAR(static_cast<double>(five[i]), 12'800, 600);
}

TEST(DriftProfileTest, AFarOutlierHidesNothing) {
  const auto kinds = ColumnsOfManyKinds(20'000, 11);
  for (const char* name : {"one outlier", "cauchy", "lognormal"}) {
    const auto& column = *std::find_if(kinds.begin(), kinds.end(),
                                       [&](const TestColumn& kind) { return kind.name == name; });
    const auto reference = Reference(OneColumn(column.values));
    auto moved = column.values;
    for (double& value : moved) value += 0.5;

    const auto drift = Drift(reference, Window(reference, OneColumn(moved)));
    EXPECT_GT(drift.psi, 0.1) << name;
    EXPECT_GT(drift.ks_at_least, 0.1) << name;
    EXPECT_LT(drift.ks_at_most - drift.ks_at_least, 0.05) << name;
  }
}

TEST(DriftProfileTest, AConstantThatMovesHasDrifted) {
  const auto reference = Reference(OneColumn(std::vector<double>(1'000, 0.1)));

  const auto same = Drift(reference, Window(reference, OneColumn(std::vector<double>(500, 0.1))));
  EXPECT_LT(same.psi, 0.01);  // Half a value in each empty bin weighs more among fewer.
  EXPECT_EQ(same.ks_at_least, 0);
  EXPECT_EQ(same.wasserstein, 0);
  EXPECT_FALSE(same.scaled_wasserstein.has_value());
  for (const double value : {0.11, -3.0, 1e9}) {
    const auto moved =
        Drift(reference, Window(reference, OneColumn(std::vector<double>(1'000, value))));
    EXPECT_GT(moved.psi, 5);
    EXPECT_EQ(moved.ks_at_least, 1);
    EXPECT_NEAR(moved.wasserstein, std::abs(value - 0.1),
                moved.wasserstein_error + 1e-12 * std::abs(value));
    EXPECT_LE(moved.wasserstein_error, 1.0 / 2'048);
  }
}

TEST(DriftProfileTest, FarBeyondTheGridTheDistanceStaysExact) {
  const auto base = ColumnsOfManyKinds(10'000, 12)[0].values;
  auto far = base;
  for (double& value : far) value += 1e6;
  const auto reference = Reference(OneColumn(base));
  const auto drift = Drift(reference, Window(reference, OneColumn(far)));

  EXPECT_NEAR(drift.wasserstein, 1e6, 1e-2);
  EXPECT_NEAR(*drift.scaled_wasserstein,
              1e6 / std::sqrt(*reference.columns()[0].moments.Variance()), 1e-2);
  EXPECT_EQ(drift.ks_at_least, 1);
  EXPECT_EQ(drift.ks_at_most, 1);
}

TEST(DriftProfileTest, MissingSharesAreToldApartFromValues) {
  const auto values = ColumnsOfManyKinds(10'000, 13)[0].values;
  const auto reference = Reference(OneColumn(values));
  const auto drift = Drift(reference, Window(reference, OneColumn(WithMissing(values, 0.5, 1))));

  EXPECT_EQ(drift.missing_share_reference, 0);
  EXPECT_NEAR(drift.missing_share_current, 0.5, 0.03);
  EXPECT_LT(drift.psi, 0.1);
}

TEST(DriftProfileTest, AColumnWithoutValuesIsNotApplicableAndTheOthersAre) {
  const Table<double> half_empty{{std::vector<double>(100, kNan), {}}};
  Table<double> table = half_empty;
  table.columns[1] = ColumnsOfManyKinds(100, 1)[0].values;
  const auto reference = Reference(table);

  Table<double> later = table;
  std::swap(later.columns[0], later.columns[1]);
  const auto drifts = CompareProfiles(reference, Window(reference, later));
  ASSERT_TRUE(drifts.ok());
  EXPECT_EQ((*drifts)[0].error(),
            (Error{ErrorCode::kFailedPrecondition,
                   "not applicable, because column 0 of the reference has no value"}));
  EXPECT_EQ((*drifts)[1].error().message,
            "not applicable, because column 1 of the current window has no value");
  EXPECT_TRUE((*CompareProfiles(reference, Window(reference, table)))[1].ok());
  // A window may be empty altogether.
  EXPECT_FALSE((*CompareProfiles(reference, reference.Empty()))[1].ok());
}

TEST(DriftProfileTest, BadInputIsNamedAndChangesNothing) {
  const auto table = ManyKinds(70'000, 14);
  const auto reference = Reference(table);
  auto window = reference.Empty();
  auto bad = table;
  bad.columns[9][66'000] = kInfinity;
  bad.columns[9][69'000] = 1e80;
  EXPECT_EQ(window.Add(bad.View(), 2).error(),
            (Error{ErrorCode::kInvalidArgument, "row 66000 of column 9 is infinite"}));
  const auto rows = bad.Rows();
  const MatrixView<double> view{rows, 70'000, bad.columns.size()};
  EXPECT_EQ(window.AddRows(view).error().message, "row 66000 of column 9 is infinite");
  bad.columns[9][66'000] = 0;
  EXPECT_EQ(window.Add(bad.View()).error(),
            (Error{ErrorCode::kOutOfRange, "row 69000 of column 9 is above 1e70 in size"}));
  EXPECT_THAT(DriftProfile::OfReference(bad.View()).error().message, HasSubstr("row 69000"));
  bad.columns[3].pop_back();
  EXPECT_EQ(window.Add(bad.View()).error().message,
            "column 3 has 69999 rows and column 0 has 70000");
  EXPECT_EQ(window.Add(OneColumn({1}).View()).error().message,
            "the rows have 1 columns and the profile has 14");
  EXPECT_EQ(window.Add(table.View(), 0).error().message, "threads are 1 to 64, not 0");
  EXPECT_FALSE(window.Add(table.View(), 65).ok());
  EXPECT_EQ(window.AddRows({rows, 69'999, bad.columns.size()}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(window, reference.Empty());

  EXPECT_EQ(DriftProfile::OfReference(DoubleColumns{}).error().message,
            "the reference has no column");
  EXPECT_EQ(DriftProfile::OfReference(table.View(), {.bins = 1}).error().message,
            "bins are 2 to 256, not 1");
  EXPECT_FALSE(DriftProfile::OfReference(table.View(), {.bins = 257}).ok());
  EXPECT_FALSE(DriftProfile::OfReference(table.View(), {.threads = 0}).ok());

  const auto other = Reference(ManyKinds(1'000, 15));
  EXPECT_EQ(window.Merge(other).error().message, "column 0 of the profiles has different grids");
  EXPECT_EQ(CompareProfiles(window, other).error().message,
            "column 0 of the profiles has different grids");
  EXPECT_FALSE(window.Merge(Reference(OneColumn({1, 2}))).ok());
}

TEST(DriftProfileTest, ExtremeValuesStayNumbers) {
  for (const auto& values : std::vector<std::vector<double>>{{-1e70, 1e70},
                                                             {1e70, 1e70},
                                                             {5e-324, 0},
                                                             {1e-310, 2e-310},
                                                             {1, std::nextafter(1, 2)},
                                                             {0}}) {
    const auto reference = Reference(OneColumn(values));
    for (const double value : {-1e70, 0.0, 5e-324, 1.0, 1e70}) {
      const auto drift = Drift(reference, Window(reference, OneColumn({value})));
      EXPECT_TRUE(std::isfinite(drift.psi));
      EXPECT_TRUE(std::isfinite(drift.wasserstein));
      EXPECT_TRUE(std::isfinite(drift.wasserstein_error));
      EXPECT_NEAR(drift.wasserstein, *Wasserstein(values, std::vector<double>{value}),
                  drift.wasserstein_error + 1e-9 * drift.wasserstein);
    }
  }
}

TEST(DriftProfileTest, BytesHold) {
  const auto table = ManyKinds(3'000, 16, 0.1);
  auto profile = Reference(table);
  const auto back = DriftProfile::FromBytes(profile.ToBytes());
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(*back, profile);

  const auto use = [](DriftProfile& read) {
    (void)read.Merge(read);
    (void)CompareProfiles(read, read);
    if (read.columns().size() == 2) {
      const std::vector<double> values{-1e70, 0, kNan, 1};
      const std::vector<std::span<const double>> columns(2, values);
      (void)read.Add(columns);
      (void)CompareProfiles(read, read);
    }
  };
  ExpectBytesHold(Reference({{table.columns[1], std::vector<double>(3'000, kNan)}}),
                  "drift profile", use);
}

}  // namespace
}  // namespace tidewheel::stats
