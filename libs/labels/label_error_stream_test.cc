#include "tidewheel/labels/label_error_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tidewheel/labels/label_errors.h"
#include "tidewheel/labels/testing/random_labels.h"

namespace tidewheel::labels {
namespace {

using ::testing::HasSubstr;
using testing::LabeledRows;
using testing::RandomLabels;
using testing::RandomLabelsOptions;
using Rows = std::vector<std::uint32_t>;

void ExpectSame(const ConfidentJoint& one, const ConfidentJoint& other) {
  EXPECT_EQ(one.examples, other.examples);
  EXPECT_EQ(one.thresholds, other.thresholds);
  EXPECT_EQ(one.class_counts, other.class_counts);
  EXPECT_EQ(one.off_diagonal, other.off_diagonal);
  EXPECT_EQ(one.undecided, other.undecided);
  ASSERT_EQ(one.cells.size(), other.cells.size());
  for (std::size_t c = 0; c < one.cells.size(); ++c) {
    EXPECT_EQ(one.cells[c].given, other.cells[c].given);
    EXPECT_EQ(one.cells[c].voted, other.cells[c].voted);
    EXPECT_EQ(one.cells[c].confident, other.cells[c].confident);
    EXPECT_EQ(one.cells[c].expected, other.cells[c].expected);  // To the last bit.
    EXPECT_EQ(one.cells[c].calibrated, other.cells[c].calibrated);
  }
}

struct Shape {
  std::size_t rows, classes;
  RandomLabelsOptions options;
};

TEST(LabelErrorStreamTest, TwoPassesEqualTheBatchInAnyOrderAndAnyParts) {
  for (const Shape& shape :
       {Shape{400, 2, {}}, Shape{900, 10, {.least_confidence = 0}},
        Shape{600, 17, {.steps = 6, .empty_classes = 3}}, Shape{700, 60, {.label_noise = 0.4}}}) {
    for (const VoteRule rule : {VoteRule::kLargestConfident, VoteRule::kLargestOfAll}) {
      auto rows = RandomLabels<double>(shape.rows, shape.rows, shape.classes, shape.options);
      const auto batch = LabelErrorScan<double>::Read(rows.View(), rows.labels, {.votes = rule});
      ASSERT_TRUE(batch);

      const auto order = testing::RandomOrder(2, shape.rows);
      std::vector<ThresholdLearner> learners;
      for (int part = 0; part < 3; ++part) {
        learners.push_back(*ThresholdLearner::Create(shape.classes));
      }
      for (const std::size_t i : order) {
        ASSERT_TRUE(learners[i % 3].Learn(rows.Row(i), rows.labels[i]));
      }
      ASSERT_TRUE(learners[0].Merge(learners[1]));
      ASSERT_TRUE(learners[0].Merge(learners[2]));
      EXPECT_EQ(learners[0].Thresholds(), batch->joint().thresholds);
      EXPECT_EQ(learners[0].samples(), shape.rows);

      std::vector<VoteCounter> counters;
      for (int part = 0; part < 3; ++part) {
        counters.push_back(*VoteCounter::Create(learners[0].Thresholds(), rule));
      }
      Rows suspected;
      Rows disagreeing;
      for (const std::size_t i : order) {
        const auto sample = counters[i % 3].Count(rows.Row(i), rows.labels[i]);
        ASSERT_TRUE(sample);
        if (sample->suspected) suspected.push_back(static_cast<std::uint32_t>(i));
        if (sample->disagrees) disagreeing.push_back(static_cast<std::uint32_t>(i));
        EXPECT_EQ(sample->self_confidence, rows.Row(i)[static_cast<std::size_t>(rows.labels[i])]);
      }
      ASSERT_TRUE(counters[1].Merge(counters[0]));
      ASSERT_TRUE(counters[1].Merge(counters[2]));

      ExpectSame(*counters[1].Joint(), batch->joint());
      std::sort(suspected.begin(), suspected.end());
      std::sort(disagreeing.begin(), disagreeing.end());
      EXPECT_EQ(suspected,
                batch->Find(LabelErrorMethod::kConfidentLearning, {.keep_per_class = 0}).rows);
      EXPECT_EQ(disagreeing,
                batch->Find(LabelErrorMethod::kPredictedNotGiven, {.keep_per_class = 0}).rows);
    }
  }
}

/// How far the joint of one pass is from the batch's: the share of examples counted elsewhere.
double OnePassError(LabeledRows<double>& rows, std::span<const std::size_t> order) {
  const auto batch = LabelErrorScan<double>::Read(rows.View(), rows.labels);
  auto stream = LabelErrorStream::Create(rows.classes);
  EXPECT_TRUE(batch && stream);
  std::vector<double> cells(rows.classes * rows.classes);
  for (const std::size_t i : order) {
    const auto sample = stream->Observe(rows.Row(i), rows.labels[i]);
    EXPECT_TRUE(sample);
    if (sample->voted >= 0) {
      ++cells[static_cast<std::size_t>(rows.labels[i]) * rows.classes +
              static_cast<std::size_t>(sample->voted)];
    }
  }
  // This much is always equal.
  EXPECT_EQ(stream->Thresholds(), batch->joint().thresholds);
  EXPECT_EQ(stream->Joint()->thresholds, batch->joint().thresholds);
  EXPECT_EQ(stream->Joint()->class_counts, batch->joint().class_counts);
  double apart = 0;
  for (const JointCell& cell : batch->joint().cells) {
    double& seen = cells[static_cast<std::size_t>(cell.given) * rows.classes +
                         static_cast<std::size_t>(cell.voted)];
    apart += std::abs(seen - static_cast<double>(cell.confident));
    seen = 0;
  }
  for (const double seen : cells) apart += seen;
  return apart / static_cast<double>(rows.labels.size());
}

TEST(LabelErrorStreamTest, OnePassApproachesTheBatchOnSamplesInRandomOrder) {
  double last = 1;
  for (const std::size_t size : {300, 3'000, 30'000}) {
    auto rows = RandomLabels<double>(6, size, 8, {.least_confidence = 0.3});
    const double apart = OnePassError(rows, testing::RandomOrder(1, size));
    EXPECT_GT(apart, 0);  // It is not the batch.
    EXPECT_LT(apart, last / 2);
    last = apart;
  }
  EXPECT_LT(last, 0.02);
}

TEST(LabelErrorStreamTest, OnePassIsFarFromTheBatchOnSamplesSortedByClass) {
  auto rows = RandomLabels<double>(6, 4'000, 8);
  auto order = testing::RandomOrder(1, 4'000);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return rows.labels[a] < rows.labels[b]; });

  EXPECT_GT(OnePassError(rows, order), 0.04);
}

TEST(LabelErrorStreamTest, OnePassDiffersWhereAThresholdMovedPastASample) {
  // The first sample votes for class 0 under its own 0.6; the batch's threshold of 0.75 is above.
  const LabeledRows<double> rows{2, {0.6, 0.4, 0.9, 0.1, 0.2, 0.8}, {0, 0, 1}, {}};
  auto stream = *LabelErrorStream::Create(2);

  EXPECT_EQ(stream.Observe(std::vector{0.6, 0.4}, 0)->voted, 0);
  EXPECT_EQ(stream.Observe(std::vector{0.9, 0.1}, 0)->voted, 0);
  EXPECT_EQ(stream.Observe(std::vector{0.2, 0.8}, 1)->voted, 1);

  const auto batch = LabelErrorScan<double>::Read(rows.View(), rows.labels);
  ASSERT_TRUE(batch);
  EXPECT_EQ(stream.Joint()->Row(0)[0].confident, 2U);
  EXPECT_EQ(batch->joint().Row(0)[0].confident, 1U);
  EXPECT_EQ(batch->joint().undecided, 1U);
}

TEST(LabelErrorStreamTest, ABadSampleChangesNothing) {
  auto learner = *ThresholdLearner::Create(3);
  auto counter = *VoteCounter::Create({0.5, 0.5, 0.5});
  const std::vector<double> good = {0.7, 0.2, 0.1};
  ASSERT_TRUE(learner.Learn(good, 0));
  ASSERT_TRUE(counter.Count(good, 0));
  const auto thresholds = learner.Thresholds();

  struct Bad {
    std::vector<double> row;
    std::int32_t label;
    const char* words;
  };
  for (const Bad& bad :
       {Bad{{0.7, 0.3}, 0, "2 probabilities for 3 classes"},
        Bad{{0.7, 0.2, 0.1}, 3, "label 3 is not one of 3"}, Bad{{0.7, 0.2, 0.1}, -1, "label -1"},
        Bad{{0.7, std::nan(""), 0.1}, 0, "class 1: probability is NaN"},
        Bad{{0.7, 0.5, 0.1}, 0, "sum to 1.3"}, Bad{{1.5, -0.5, 0}, 0, "outside [0, 1]"}}) {
    const auto learned = learner.Learn(bad.row, bad.label);
    const auto counted = counter.Count(bad.row, bad.label);
    ASSERT_FALSE(learned);
    ASSERT_FALSE(counted);
    EXPECT_EQ(learned.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(learned.error().message, HasSubstr(bad.words));
    EXPECT_THAT(learned.error().message, HasSubstr("row 1"));
    EXPECT_EQ(learned.error(), counted.error());
  }
  EXPECT_EQ(learner.samples(), 1U);
  EXPECT_EQ(learner.Thresholds(), thresholds);
  EXPECT_EQ(counter.samples(), 1U);
  EXPECT_EQ(counter.Joint()->examples, 1U);
}

TEST(LabelErrorStreamTest, ClippedValuesAreCounted) {
  auto stream = *LabelErrorStream::Create(2);
  ASSERT_TRUE(stream.Observe(std::vector{1.0003, -0.0002}, 0));
  EXPECT_EQ(stream.clipped().values, 2U);
  EXPECT_NEAR(stream.clipped().farthest, 3e-4, 1e-12);
  EXPECT_EQ(stream.Thresholds()[0], 1);
}

TEST(LabelErrorStreamTest, WhatDoesNotFitIsRefused) {
  EXPECT_EQ(ThresholdLearner::Create(1).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(LabelErrorStream::Create(0).error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(VoteCounter::Create({0.5, 0}).error().message, HasSubstr("class 1: threshold"));
  EXPECT_THAT(VoteCounter::Create({0.5, std::nan("")}).error().message, HasSubstr("class 1"));
  EXPECT_EQ(VoteCounter::Create({0.5, 0.5})->Joint().error().code, ErrorCode::kFailedPrecondition);
  auto learner = *ThresholdLearner::Create(2);
  EXPECT_EQ(learner.Merge(*ThresholdLearner::Create(3)).error().code, ErrorCode::kInvalidArgument);
  auto counter = *VoteCounter::Create({0.5, 0.5});
  EXPECT_EQ(counter.Merge(*VoteCounter::Create({0.5, 0.6})).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(counter.Merge(*VoteCounter::Create({0.5, 0.5}, VoteRule::kLargestOfAll)).error().code,
            ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace tidewheel::labels
