#include "tidewheel/labels/label_error_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "tidewheel/labels/testing/random_labels.h"

namespace tidewheel::labels {
namespace {

using ::testing::HasSubstr;
using testing::LabeledRows;
using testing::RandomLabels;

/// A random sample of the examples with the truth about their labels.
struct Sample {
  std::vector<std::uint32_t> rows;
  std::vector<std::uint8_t> wrong;

  ValidatedLabels View() const { return {rows, wrong, {}}; }
};

Sample Draw(const LabeledRows<double>& from, std::size_t size, std::uint64_t seed) {
  Sample sample;
  const auto order = testing::RandomOrder(seed, from.labels.size());
  for (std::size_t i = 0; i < size; ++i) {
    sample.rows.push_back(static_cast<std::uint32_t>(order[i]));
    sample.wrong.push_back(from.wrong[order[i]]);
  }
  return sample;
}

LabeledRows<double> Examples(std::uint64_t seed) {
  return RandomLabels<double>(seed, 3'000, 6,
                              {.label_noise = 0.2, .model_noise = 0.15, .least_confidence = 0.3});
}

LabelErrorScan<double> Scan(const LabeledRows<double>& rows) {
  return *LabelErrorScan<double>::Read(rows.View(), rows.labels);
}

double TruePrecision(const LabeledRows<double>& rows, std::span<const std::uint32_t> chosen) {
  double wrong = 0;
  for (const std::uint32_t row : chosen) wrong += rows.wrong[row];
  return wrong / static_cast<double>(chosen.size());
}

TEST(LabelErrorChoiceTest, StaysInTheBudgetAndSaysWhatItTakes) {
  const auto rows = Examples(1);
  const auto scan = Scan(rows);
  const Sample sample = Draw(rows, 500, 2);

  const auto choice = ChooseLabelErrors(scan, sample.View(), {.budget = 250});

  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_LE(choice->cut.take, 250U);
  EXPECT_EQ(choice->rows.size(), choice->cut.take);
  EXPECT_LE(choice->low, choice->precision);
  EXPECT_GE(choice->high, choice->precision);
  EXPECT_GE(choice->cut.chosen_by, 5U);
  EXPECT_GE(choice->cut.held_out, 5U);
  EXPECT_NEAR(choice->expected_errors, choice->precision * static_cast<double>(choice->cut.take),
              1e-9);
  EXPECT_GT(choice->considered.size(), 20U);
  const auto scores = scan.Rank(choice->rows, choice->cut.rank_by).scores;
  EXPECT_EQ(scores.back(), choice->cut.last_score);
  // No other candidate promised more by the choosing half.
  for (const LabelErrorCut& cut : choice->considered) {
    EXPECT_LE(static_cast<double>(cut.take) * cut.expected_precision,
              static_cast<double>(choice->cut.take) * choice->cut.expected_precision + 1e-9);
  }
}

TEST(LabelErrorChoiceTest, IntervalCoversThePrecisionAfterTheChoice) {
  int covered = 0;
  double flattered = 0;
  double honest = 0;
  const int turns = 120;
  for (std::uint64_t seed = 0; seed < turns; ++seed) {
    const auto rows = Examples(100 + seed % 12);
    const auto scan = Scan(rows);
    const auto choice =
        ChooseLabelErrors(scan, Draw(rows, 300, 500 + seed).View(), {.budget = 200, .seed = seed});
    ASSERT_TRUE(choice) << choice.error().message;
    const double truth = TruePrecision(rows, choice->rows);
    covered += choice->low <= truth && truth <= choice->high ? 1 : 0;
    flattered += choice->cut.expected_precision - truth;
    honest += choice->precision - truth;
  }
  EXPECT_GE(covered, 0.9 * turns);
  // Of many candidates the best-looking half flatters itself; the held-out half does not.
  EXPECT_LT(std::abs(honest) / turns, 0.02);
  EXPECT_GT(flattered, honest);
}

TEST(LabelErrorChoiceTest, FindsTheMethodThatIsBest) {
  // A model that is nearly always right where it disagrees, but seldom sure of it: most errors lie
  // outside of the confident joint, so that plain disagreement finds the most.
  const auto rows = RandomLabels<double>(
      3, 4'000, 5, {.label_noise = 0.2, .model_noise = 0, .least_confidence = 0.3});
  const auto scan = Scan(rows);

  const auto choice = ChooseLabelErrors(scan, Draw(rows, 600, 1).View(), {.budget = 4'000});

  ASSERT_TRUE(choice);
  const auto confident = scan.Find(LabelErrorMethod::kConfidentLearning).rows;
  EXPECT_GT(choice->expected_errors,
            TruePrecision(rows, confident) * static_cast<double>(confident.size()));
  EXPECT_GT(TruePrecision(rows, choice->rows) * static_cast<double>(choice->rows.size()), 550);
}

TEST(LabelErrorChoiceTest, APrecisionWantedCutsTheRankingEarlier) {
  // Half of the examples come from a model that is sure and right, half from one that guesses.
  auto rows = RandomLabels<double>(
      4, 2'000, 6, {.label_noise = 0.2, .model_noise = 0.01, .least_confidence = 0.8});
  const auto guesses = RandomLabels<double>(
      5, 2'000, 6, {.label_noise = 0.2, .model_noise = 0.5, .least_confidence = 0});
  rows.probabilities.insert(rows.probabilities.end(), guesses.probabilities.begin(),
                            guesses.probabilities.end());
  rows.labels.insert(rows.labels.end(), guesses.labels.begin(), guesses.labels.end());
  rows.wrong.insert(rows.wrong.end(), guesses.wrong.begin(), guesses.wrong.end());
  const auto scan = Scan(rows);
  const Sample sample = Draw(rows, 1'500, 3);

  const auto all = ChooseLabelErrors(scan, sample.View(), {.budget = 1'200});
  const auto precise =
      ChooseLabelErrors(scan, sample.View(), {.budget = 1'200, .min_precision = 0.6});
  const auto impossible =
      ChooseLabelErrors(scan, sample.View(), {.budget = 1'200, .min_precision = 0.9999});

  ASSERT_TRUE(all && precise);
  EXPECT_LT(precise->cut.take, all->cut.take);
  EXPECT_GT(TruePrecision(rows, precise->rows), TruePrecision(rows, all->rows));
  ASSERT_FALSE(impossible);
  EXPECT_EQ(impossible.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(impossible.error().message, HasSubstr("the best reaches"));
}

TEST(LabelErrorChoiceTest, SeedAndSampleDecideNotTheirOrderOrTheThreads) {
  const auto rows = Examples(5);
  const auto scan = Scan(rows);
  Sample sample = Draw(rows, 400, 9);
  const auto one = ChooseLabelErrors(scan, sample.View(), {.budget = 300, .seed = 8});
  std::reverse(sample.rows.begin(), sample.rows.end());
  std::reverse(sample.wrong.begin(), sample.wrong.end());
  const auto other =
      ChooseLabelErrors(scan, sample.View(), {.budget = 300, .seed = 8, .threads = 3});
  const auto reseeded = ChooseLabelErrors(scan, sample.View(), {.budget = 300, .seed = 9});

  ASSERT_TRUE(one && other && reseeded);
  EXPECT_EQ(one->rows, other->rows);
  EXPECT_EQ(one->low, other->low);
  EXPECT_NE(std::pair(one->low, one->high), std::pair(reseeded->low, reseeded->high));
}

TEST(LabelErrorChoiceTest, WeightsUndoAnUnevenDraw) {
  // Right labels were drawn five times as often: without weights precision looks too small.
  double even = 0;
  double weighted = 0;
  double truth = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto rows = Examples(200 + seed);
    const auto scan = Scan(rows);
    Random random(seed);
    Sample sample;
    std::vector<double> weights;
    for (std::uint32_t i = 0; i < rows.labels.size(); ++i) {
      const double chance = rows.wrong[i] != 0 ? 0.1 : 0.5;
      if (random.Uniform() >= chance) continue;
      sample.rows.push_back(i);
      sample.wrong.push_back(rows.wrong[i]);
      weights.push_back(1 / chance);
    }
    const auto plain = ChooseLabelErrors(scan, sample.View(), {.budget = 300});
    const auto fair =
        ChooseLabelErrors(scan, {sample.rows, sample.wrong, weights}, {.budget = 300});
    ASSERT_TRUE(plain && fair);
    even += plain->precision - TruePrecision(rows, plain->rows);
    weighted += fair->precision - TruePrecision(rows, fair->rows);
    truth += TruePrecision(rows, fair->rows);
  }
  EXPECT_GT(truth / 20, 0.5);
  EXPECT_LT(even / 20, -0.15);
  EXPECT_LT(std::abs(weighted) / 20, 0.08);
}

TEST(LabelErrorChoiceTest, BadSamplesAndOptionsAreNamed) {
  const auto rows = Examples(6);
  const auto scan = Scan(rows);
  const Sample good = Draw(rows, 300, 1);
  const auto refused = [&](const ValidatedLabels& validated, const LabelErrorChoiceOptions& options,
                           const char* words, ErrorCode code = ErrorCode::kInvalidArgument) {
    const auto choice = ChooseLabelErrors(scan, validated, options);
    ASSERT_FALSE(choice) << words;
    EXPECT_EQ(choice.error().code, code);
    EXPECT_THAT(choice.error().message, HasSubstr(words));
  };
  refused(good.View(), {}, "budget of 0");
  refused(good.View(), {.budget = 9, .min_precision = 1}, "min_precision");
  refused(good.View(), {.budget = 9, .confidence = 1}, "confidence");
  refused({good.rows, std::span(good.wrong).first(7), {}}, {.budget = 9}, "7 verdicts for 300");
  refused({good.rows, good.wrong, std::vector{1.0}}, {.budget = 9}, "1 weights for 300");
  const std::vector<std::uint32_t> far = {3'000};
  refused({far, std::vector<std::uint8_t>{1}, {}}, {.budget = 9}, "validated row 3000 is not one");
  const std::vector<std::uint32_t> twice = {5, 5};
  refused({twice, std::vector<std::uint8_t>{1, 0}, {}}, {.budget = 9},
          "validated row 5 is there twice");
  const std::vector<std::uint32_t> one = {5};
  refused({one, std::vector<std::uint8_t>{2}, {}}, {.budget = 9}, "verdict 2");
  refused({one, std::vector<std::uint8_t>{1}, std::vector{-1.0}}, {.budget = 9}, "weight");
  refused({one, std::vector<std::uint8_t>{1}, std::vector{std::nan("")}}, {.budget = 9}, "weight");
  refused({one, std::vector<std::uint8_t>{1}, {}}, {.budget = 9}, "too few",
          ErrorCode::kFailedPrecondition);
  refused({}, {.budget = 9}, "0 validated examples are too few", ErrorCode::kFailedPrecondition);
}

}  // namespace
}  // namespace tidewheel::labels
