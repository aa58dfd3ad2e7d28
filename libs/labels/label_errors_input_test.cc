#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <string>

#include "tidewheel/labels/label_errors.h"
#include "tidewheel/labels/testing/random_labels.h"

namespace tidewheel::labels {
namespace {

using ::testing::HasSubstr;
using testing::LabeledRows;
using testing::RandomLabels;
using enum LabelErrorMethod;

template <typename T>
LabelErrorScan<T> Scan(const LabeledRows<T>& rows) {
  auto scan = LabelErrorScan<T>::Read(rows.View(), rows.labels);
  EXPECT_TRUE(scan) << scan.error().message;
  return *scan;
}

class LabelErrorInputTest : public ::testing::Test {
 protected:
  template <typename T>
  static Error Refusal(const LabeledRows<T>& rows) {
    const auto scan = LabelErrorScan<T>::Read(rows.View(), rows.labels);
    EXPECT_FALSE(scan);
    return scan ? Error{} : scan.error();
  }
  template <typename T>
  static LabeledRows<T> Good(std::size_t classes) {
    return RandomLabels<T>(1, 3'000, classes);
  }
};

TEST_F(LabelErrorInputTest, AValueThatIsNoProbabilityIsNamedWithItsPlace) {
  for (const std::size_t classes : {3, 10, 40}) {
    auto rows = Good<double>(classes);
    rows.Row(1'700)[2] = std::nan("");
    rows.Row(2'900)[1] = std::nan("");
    EXPECT_EQ(Refusal(rows).code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(Refusal(rows).message, "row 1700, class 2: probability is NaN");

    rows.Row(1'500)[0] = std::numeric_limits<double>::infinity();
    EXPECT_EQ(Refusal(rows).message, "row 1500, class 0: probability is infinite");
    rows.Row(1'400)[0] = -0.25;
    EXPECT_EQ(Refusal(rows).message,
              "row 1400, class 0: probability -0.25 is outside [0, 1] by more than 0.001");
    rows.Row(0)[1] = 1.5;
    EXPECT_EQ(Refusal(rows).message,
              "row 0, class 1: probability 1.5 is outside [0, 1] by more than 0.001");
  }
  auto rows = Good<float>(10);
  rows.Row(2'999)[9] = std::nanf("");
  EXPECT_EQ(Refusal(rows).message, "row 2999, class 9: probability is NaN");
}

TEST_F(LabelErrorInputTest, TheFirstBadRowIsNamedWhateverTheThreads) {
  auto rows = Good<double>(200);
  for (const std::size_t row : {2'950, 1'100, 2'100}) rows.Row(row)[3] = -1;
  for (const std::uint32_t threads : {1U, 2U, 5U}) {
    const auto scan = LabelErrorScan<double>::Read(rows.View(), rows.labels, {.threads = threads});
    ASSERT_FALSE(scan);
    EXPECT_THAT(scan.error().message, HasSubstr("row 1100, class 3"));
  }
}

TEST_F(LabelErrorInputTest, ARowThatDoesNotSumToOneIsNamed) {
  for (const std::size_t classes : {2, 10, 40}) {
    auto rows = Good<double>(classes);
    double sum = 0;
    for (double& p : rows.Row(77)) sum += p *= 0.9;
    EXPECT_EQ(Refusal(rows).code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(Refusal(rows).message, HasSubstr("row 77: probabilities sum to 0.9"));
    EXPECT_THAT(Refusal(rows).message, HasSubstr("not to 1 within 0.001"));
    std::fill(rows.Row(5).begin(), rows.Row(5).end(), 0);
    EXPECT_THAT(Refusal(rows).message, HasSubstr("row 5: probabilities sum to 0,"));
  }
}

TEST_F(LabelErrorInputTest, TheSumsLimitIsExact) {
  const auto with_sum = [](double sum) {
    LabeledRows<double> rows{2, {0.75, 0.25, 0.25, 0.75, 0.5, sum - 0.5}, {0, 1, 1}, {}};
    return LabelErrorScan<double>::Read(rows.View(), rows.labels).ok();
  };
  EXPECT_TRUE(with_sum(1.000999));
  EXPECT_TRUE(with_sum(0.999001));
  EXPECT_FALSE(with_sum(1.001001));
  EXPECT_FALSE(with_sum(0.998999));
}

TEST_F(LabelErrorInputTest, ValuesSlightlyOutsideAreClippedAndReported) {
  for (const std::size_t classes : {3, 40}) {
    auto rows = Good<double>(classes);
    LabeledRows<double> clipped = rows;
    rows.Row(10)[0] = -4e-4;
    clipped.Row(10)[0] = 0;
    for (const std::size_t row : {20, 2'500}) {
      for (std::size_t k = 0; k < classes; ++k) {
        rows.Row(row)[k] = k == 1 ? 1.0002 : 0;
        clipped.Row(row)[k] = k == 1 ? 1 : 0;
      }
    }
    // The first row must still sum to 1 without its negative value.
    const double rest = std::accumulate(clipped.Row(10).begin(), clipped.Row(10).end(), 0.0);
    for (std::size_t k = 1; k < classes; ++k) {
      rows.Row(10)[k] /= rest;
      clipped.Row(10)[k] /= rest;
    }

    const auto scan = Scan(rows);
    const auto other = Scan(clipped);

    EXPECT_EQ(scan.clipped().values, 3U);
    EXPECT_NEAR(scan.clipped().farthest, 4e-4, 1e-12);
    EXPECT_EQ(other.clipped().values, 0U);
    EXPECT_EQ(scan.joint().thresholds, other.joint().thresholds);
    for (const LabelErrorMethod method : kLabelErrorMethods) {
      EXPECT_EQ(scan.Find(method).rows, other.Find(method).rows);
    }
  }
}

TEST_F(LabelErrorInputTest, NegativeZeroIsZero) {
  auto rows = Good<float>(5);
  LabeledRows<float> signed_rows = rows;
  for (auto* made : {&rows, &signed_rows}) {
    for (std::size_t k = 0; k < 5; ++k) made->Row(3)[k] = k == 2 ? 1.0F : 0.0F;
  }
  signed_rows.Row(3)[0] = -0.0F;

  EXPECT_EQ(Scan(signed_rows).clipped().values, 0U);
  EXPECT_EQ(Scan(signed_rows).Find(kPredictedNotGiven).rows,
            Scan(rows).Find(kPredictedNotGiven).rows);
}

TEST_F(LabelErrorInputTest, ALabelOutOfRangeIsNamedWithItsRow) {
  for (const std::int32_t label : {-1, 4, std::numeric_limits<std::int32_t>::max()}) {
    auto rows = Good<double>(4);
    rows.labels[2'345] = label;
    EXPECT_EQ(Refusal(rows).code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(Refusal(rows).message,
              "row 2345: label " + std::to_string(label) + " is not one of 4 classes from 0");
  }
}

TEST_F(LabelErrorInputTest, ShapesThatDoNotFitAreRefused) {
  const auto rows = Good<double>(4);
  const auto refusal = [&](MatrixView<double> view, std::span<const std::int32_t> labels) {
    const auto scan = LabelErrorScan<double>::Read(view, labels);
    EXPECT_FALSE(scan);
    EXPECT_EQ(scan.error().code, ErrorCode::kInvalidArgument);
    return scan.error().message;
  };
  EXPECT_EQ(refusal({}, {}), "no examples");
  EXPECT_THAT(refusal({rows.probabilities, 2'999, 4}, rows.labels),
              HasSubstr("12000 probabilities are not 2999 rows of 4 classes"));
  EXPECT_THAT(refusal(rows.View(), std::span(rows.labels).first(7)),
              HasSubstr("7 labels for 3000 rows"));
  EXPECT_THAT(
      refusal({std::span(rows.probabilities).first(9), 9, 1}, std::span(rows.labels).first(9)),
      HasSubstr("label errors need at least two"));
  EXPECT_THAT(
      refusal({std::span(rows.probabilities).first(12), 3, 4}, std::span(rows.labels).first(3)),
      HasSubstr("3 examples for 4 classes"));
  EXPECT_THAT(
      refusal({std::span(rows.probabilities).first(0), 3, 0}, std::span(rows.labels).first(3)),
      HasSubstr("label errors need at least two"));
}

TEST_F(LabelErrorInputTest, OneClassSaysNothing) {
  auto rows = Good<double>(4);
  std::fill(rows.labels.begin(), rows.labels.end(), 2);
  EXPECT_EQ(Refusal(rows).code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(Refusal(rows).message, HasSubstr("all 3000 labels are class 2"));
}

}  // namespace
}  // namespace tidewheel::labels
