// Drift on real data: figures of scipy 1.17.1 on the same columns.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "tidewheel/stats/contingency.h"
#include "tidewheel/stats/distances.h"
#include "tidewheel/stats/drift_verdict.h"
#include "tidewheel/stats/many_features.h"
#include "tidewheel/stats/two_sample.h"

namespace tidewheel::stats {
namespace {

using Rows = std::vector<std::vector<std::string>>;

/// Fields of a file without quotes; spaces around them are dropped. Empty where there is no data.
Rows Read(const std::string& name) {
  const char* folder = std::getenv("TIDEWHEEL_DATA");
  const char* source = std::getenv("TIDEWHEEL_SOURCE_DIR");
  const std::filesystem::path data =
      folder != nullptr
          ? folder
          : std::filesystem::path(source != nullptr ? source : ".") / "../shared/data";
  std::ifstream file(data / name);
  Rows rows;
  for (std::string line; std::getline(file, line);) {
    if (line.empty()) continue;
    rows.emplace_back();
    std::istringstream fields(line);
    for (std::string field; std::getline(fields, field, ',');) {
      const auto first = field.find_first_not_of(' ');
      rows.back().push_back(first == std::string::npos ? "" : field.substr(first));
    }
  }
  return rows;
}

std::vector<double> Numbers(const Rows& rows, std::size_t column, std::size_t from = 0,
                            std::size_t to = std::numeric_limits<std::size_t>::max()) {
  std::vector<double> values;
  for (std::size_t i = from; i < std::min(to, rows.size()); ++i) {
    values.push_back(std::strtod(rows[i][column].c_str(), nullptr));
  }
  return values;
}

class DriftDataTest : public testing::Test {
 protected:
  void SetUp() override {
    if (Read("adult/adult-test.csv").empty()) GTEST_SKIP() << "the public data is not at hand";
  }
};

struct Figures {
  const char* name;
  std::size_t column;
  double height;
  double area;
  double anderson;
  double cramer;
};

TEST_F(DriftDataTest, CaliforniaHousingHasTheFiguresOfScipy) {
  auto reference = Read("california_drift/california_housing_reference.csv");
  auto current = Read("california_drift/california_housing_analysis.csv");
  reference.erase(reference.begin());
  current.erase(current.begin());
  ASSERT_EQ(reference.size(), 5832U);
  ASSERT_EQ(current.size(), 8232U);
  for (const Figures& figures : {Figures{"MedInc", 1, 0.06874657564377896, 0.30473033599683264,
                                         64.92398691338187, 8.631360539073285},
                                 Figures{"HouseAge", 2, 0.08675369030622243, 2.0863597643642993,
                                         73.08572848116057, 9.907047661099568},
                                 Figures{"Latitude", 7, 0.5070241794542626, 1.872286300175567,
                                         1723.1725055182262, 285.81587397752037}}) {
    const auto a = Numbers(reference, figures.column);
    const auto b = Numbers(current, figures.column);

    const auto verdict = NumericDrift(a, b);

    EXPECT_NEAR(KolmogorovSmirnov(a, b)->statistic, figures.height, 1e-14) << figures.name;
    EXPECT_NEAR(verdict->effect, figures.height, 1e-14) << figures.name;
    EXPECT_NEAR(*Wasserstein(a, b), figures.area, 1e-12) << figures.name;
    EXPECT_NEAR(AndersonDarling(a, b, TieRule::kIgnored)->statistic, figures.anderson, 1e-8);
    EXPECT_NEAR(CramerVonMises(a, b, {.ties = TieRule::kIgnored})->statistic, figures.cramer, 1e-9);
    EXPECT_TRUE(verdict->drifted) << figures.name;
    EXPECT_GT(verdict->interval.low, 0.03) << figures.name;
  }
}

TEST_F(DriftDataTest, TheTwoPartsOfAdultAreOneDistribution) {
  const auto reference = Read("adult/adult-train.csv");
  const auto current = Read("adult/adult-test.csv");
  ASSERT_EQ(reference.size(), 32561U);
  ASSERT_EQ(current.size(), 16281U);
  // Age and hours per week, of which nearly half are 40: tests must bear ties.
  for (const auto& [column, height, area] :
       {std::tuple{0U, 0.008194210323058115, 0.016901073571208673},
        std::tuple{12U, 0.004634461738854095, 0.00945857449630513}}) {
    const auto a = Numbers(reference, column);
    const auto b = Numbers(current, column);

    EXPECT_NEAR(KolmogorovSmirnov(a, b)->statistic, height, 1e-14);
    EXPECT_NEAR(*ScaledWasserstein(a, b), area, 1e-12);
    EXPECT_FALSE(NumericDrift(a, b)->drifted);
    EXPECT_FALSE(NumericDrift(a, b, {.numeric = NumericMeasure::kWasserstein})->drifted);
    EXPECT_GT(CramerVonMises(a, b)->p_value, 0.1);
    EXPECT_GT(AndersonDarling(a, b)->limit_p_value, 0.1);
  }

  std::map<std::string, std::int32_t> known;
  const auto categories = [&](const Rows& rows, std::size_t column) {
    std::vector<std::int32_t> made;
    for (const auto& row : rows) {
      const auto next = static_cast<std::int32_t>(known.size());
      made.push_back(row[column] == "?" ? -1 : known.emplace(row[column], next).first->second);
    }
    return made;
  };
  const auto a = categories(reference, 1);
  const auto b = categories(current, 1);
  ASSERT_EQ(known.size(), 8U);
  std::vector<std::uint64_t> of_reference(8), of_current(8);
  for (const auto category : a) {
    if (category >= 0) ++of_reference[static_cast<std::size_t>(category)];
  }
  for (const auto category : b) {
    if (category >= 0) ++of_current[static_cast<std::size_t>(category)];
  }
  const auto verdict = CategoricalDrift(a, b, 8);

  EXPECT_NEAR(ChiSquare(of_reference, of_current)->statistic, 4.196715547057235, 1e-11);
  EXPECT_NEAR(ChiSquare(of_reference, of_current)->p_value, 0.7568613812866338, 1e-12);
  EXPECT_FALSE(verdict->drifted);
  EXPECT_EQ(verdict->reference_rows, 30725U);
  EXPECT_EQ(verdict->current_rows, 15318U);
  EXPECT_NEAR(verdict->missing.difference, 963.0 / 16281 - 1836.0 / 32561, 1e-14);
}

TEST_F(DriftDataTest, ElectricityJoinsVictoria) {
  auto rows = Read("electricity/electricity.csv");
  rows.erase(rows.begin());
  ASSERT_EQ(rows.size(), 45312U);
  constexpr std::size_t kJoined = 17'424;

  // The price of Victoria is constant until then: nothing to hold a drift against.
  const auto refused = NumericDrift(Numbers(rows, 5, 0, kJoined), Numbers(rows, 5, kJoined));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(refused.error().message.find("one value only"), std::string::npos);
  const auto price = NumericDrift(Numbers(rows, 3, 0, kJoined), Numbers(rows, 3, kJoined));
  EXPECT_NEAR(price->effect, 0.5071624554099909, 1e-13);
  EXPECT_TRUE(price->drifted);
}

TEST_F(DriftDataTest, ManyFeaturesOfCaliforniaHousingMoveTogether) {
  auto reference = Read("california_drift/california_housing_reference.csv");
  auto current = Read("california_drift/california_housing_analysis.csv");
  const auto table = [](const Rows& rows, std::size_t from, std::size_t step) {
    std::vector<double> values;
    for (std::size_t row = from; row < rows.size(); row += step) {
      for (const std::size_t column : {1, 2, 3, 5, 7, 8}) {
        values.push_back(std::strtod(rows[row][column].c_str(), nullptr));
      }
    }
    return values;
  };
  const auto a = table(reference, 1, 12);
  const auto same = table(reference, 2, 12);
  const auto b = table(current, 1, 16);
  const MatrixView<double> before{a, a.size() / 6, 6};
  const MatrixView<double> again{same, same.size() / 6, 6};
  const MatrixView<double> now{b, b.size() / 6, 6};

  EXPECT_LT(MaximumMeanDiscrepancy(before, now, {.standardize = true})->p_value, 0.01);
  EXPECT_GT(MaximumMeanDiscrepancy(before, again, {.standardize = true})->p_value, 0.01);
  EXPECT_GT(DomainClassifier(before, now)->auc.interval.low, 0.8);
  EXPECT_LT(DomainClassifier(before, again)->auc.value, 0.6);
}

}  // namespace
}  // namespace tidewheel::stats
