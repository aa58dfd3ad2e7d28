#include "tidewheel/stats/model_comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "tidewheel/base/random.h"

namespace tidewheel::stats {
namespace {

using testing::HasSubstr;

TEST(VerdictTest, NonInferiorityFollowsTheInterval) {
  EXPECT_EQ(NonInferiority({-0.005, 0.02}, 0.01).answer, Answer::kPass);
  EXPECT_EQ(NonInferiority({-0.05, -0.02}, 0.01).answer, Answer::kFail);
  EXPECT_EQ(NonInferiority({-0.05, 0.02}, 0.01).answer, Answer::kInconclusive);
  EXPECT_EQ(NonInferiority({-0.01, 0.02}, 0.01).answer, Answer::kInconclusive);
  EXPECT_EQ(NonInferiority({0.001, 0.02}, 0).answer, Answer::kPass);
}

TEST(VerdictTest, SuperiorityFollowsTheInterval) {
  EXPECT_EQ(Superiority({0.001, 0.02}).answer, Answer::kPass);
  EXPECT_EQ(Superiority({-0.02, -0.001}).answer, Answer::kFail);
  EXPECT_EQ(Superiority({-0.02, 0.001}).answer, Answer::kInconclusive);
  EXPECT_EQ(Superiority({0.001, 0.02}, 0.01).answer, Answer::kInconclusive);
  EXPECT_EQ(Superiority({0.001, 0.002}, 0.01).answer, Answer::kFail);
}

TEST(VerdictTest, NoAnswerIsWithoutAReason) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Verdict& verdict :
       {NonInferiority({nan, 1}, 0.1), NonInferiority({1, 0}, 0.1), NonInferiority({0, 1}, -1),
        Superiority({0, nan}), Superiority({0, 1}, nan)}) {
    EXPECT_EQ(verdict.answer, Answer::kNotEvaluated);
    EXPECT_FALSE(verdict.reason.empty());
  }
  EXPECT_THAT(NonInferiority({-0.05, 0.02}, 0.01).reason, HasSubstr("-0.05 to +0.02"));
  EXPECT_EQ(Name(Answer::kNotEvaluated), "not_evaluated");
}

struct Answers {
  std::vector<std::int32_t> labels, baseline, candidate;
};

/// Three classes; the candidate's accuracy on class 2 is `on_class_2`, else both have .9.
Answers RandomAnswers(std::size_t n, double on_class_2, std::uint64_t seed) {
  Random random(seed);
  Answers answers;
  for (std::size_t i = 0; i < n; ++i) {
    const auto label = static_cast<std::int32_t>(random.Below(3));
    const auto answer = [&](double accuracy) {
      return random.Uniform() < accuracy ? label : (label + 1) % 3;
    };
    answers.labels.push_back(label);
    answers.baseline.push_back(answer(0.9));
    answers.candidate.push_back(answer(label == 2 ? on_class_2 : 0.9));
  }
  return answers;
}

TEST(ModelComparisonTest, CountsAndFiguresAreThoseOfTheAnswers) {
  const Answers answers = {{0, 0, 1, 1, 2}, {0, 1, 1, 0, 2}, {0, 0, 1, 0, 1}};
  const auto compared = CompareModels(answers.labels, answers.baseline, answers.candidate, 3);
  ASSERT_TRUE(compared.ok()) << compared.error().message;
  const PairedCounts& counts = compared->overall.counts;
  EXPECT_EQ(counts.both_right, 2U);
  EXPECT_EQ(counts.only_baseline_right, 1U);
  EXPECT_EQ(counts.only_candidate_right, 1U);
  EXPECT_EQ(counts.neither_right, 1U);
  EXPECT_DOUBLE_EQ(compared->overall.baseline.value, 0.6);
  EXPECT_DOUBLE_EQ(compared->overall.difference.value, 0);
  EXPECT_EQ(compared->overall.mcnemar.p_value, 1);
  EXPECT_EQ(compared->classes.size(), 3U);
  EXPECT_EQ(compared->classes[0].counts.total(), 2U);
  EXPECT_EQ(compared->classes[0].name, "class 0");
}

TEST(ModelComparisonTest, AClassThatGotWorseFailsAndTheOthersPass) {
  const Answers answers = RandomAnswers(9'000, 0.7, 1);
  const auto compared = CompareModels(answers.labels, answers.baseline, answers.candidate, 3);
  EXPECT_EQ(compared->classes[0].verdict.answer, Answer::kPass);
  EXPECT_EQ(compared->classes[1].verdict.answer, Answer::kPass);
  EXPECT_EQ(compared->classes[2].verdict.answer, Answer::kFail);
  EXPECT_THAT(compared->classes[2].verdict.reason, HasSubstr("worse by more than 0.05"));
  EXPECT_EQ(compared->overall.verdict.answer, Answer::kFail);
  EXPECT_EQ(compared->superiority.answer, Answer::kFail);
}

TEST(ModelComparisonTest, SlicesAreCorrectedTogetherAndSmallOnesSayThatTheyAreSmall) {
  const Answers answers = RandomAnswers(3'000, 0.9, 2);
  std::vector<ComparedSlice> slices(3);
  slices[0].name = "all";
  slices[1].name = "few";
  slices[2].name = "empty";
  for (std::uint32_t i = 0; i < 3'000; ++i) slices[0].samples.push_back(i);
  for (std::uint32_t i = 0; i < 29; ++i) slices[1].samples.push_back(i);
  const auto compared =
      CompareModels(answers.labels, answers.baseline, answers.candidate, 3, slices);
  ASSERT_TRUE(compared.ok()) << compared.error().message;
  EXPECT_EQ(compared->slices[0].counts.both_right, compared->overall.counts.both_right);
  EXPECT_EQ(compared->slices[0].verdict.answer, Answer::kPass);
  EXPECT_EQ(compared->slices[1].verdict.answer, Answer::kNotEvaluated);
  EXPECT_THAT(compared->slices[1].verdict.reason, HasSubstr("29 samples are fewer than 30"));
  EXPECT_EQ(compared->slices[2].verdict.answer, Answer::kNotEvaluated);
  EXPECT_EQ(compared->slices[2].difference.interval.low, -1);
}

TEST(ModelComparisonTest, ManySlicesOfEqualModelsRarelyFail) {
  int runs_with_a_failure = 0;
  constexpr int kRuns = 200;
  for (std::uint64_t seed = 1; seed <= kRuns; ++seed) {
    const Answers answers = RandomAnswers(2'000, 0.9, seed + 10);
    std::vector<ComparedSlice> slices(20);
    for (std::uint32_t i = 0; i < 2'000; ++i) slices[i % 20].samples.push_back(i);
    const auto compared = CompareModels(answers.labels, answers.baseline, answers.candidate, 3,
                                        slices, {.slice_margin = 0});
    runs_with_a_failure += std::any_of(compared->slices.begin(), compared->slices.end(),
                                       [](const AccuracyComparison& slice) {
                                         return slice.verdict.answer == Answer::kFail;
                                       })
                               ? 1
                               : 0;
  }
  EXPECT_LE(runs_with_a_failure, kRuns * 5 / 100);  // The level of one side is 2.5 %.
}

TEST(ModelComparisonTest, DoesNotDependOnTheOrderOfSamplesOrClassNumbers) {
  const Answers answers = RandomAnswers(600, 0.8, 4);
  Answers turned = answers;
  for (auto* column : {&turned.labels, &turned.baseline, &turned.candidate}) {
    std::reverse(column->begin(), column->end());
    for (auto& value : *column) value = (value + 1) % 3;
  }
  const auto a = CompareModels(answers.labels, answers.baseline, answers.candidate, 3);
  const auto b = CompareModels(turned.labels, turned.baseline, turned.candidate, 3);
  EXPECT_EQ(a->overall.difference.interval.low, b->overall.difference.interval.low);
  for (std::size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(a->classes[k].p_worse, b->classes[(k + 1) % 3].p_worse);
    EXPECT_EQ(a->classes[k].verdict.answer, b->classes[(k + 1) % 3].verdict.answer);
  }
}

TEST(ModelComparisonTest, BadInputIsNamed) {
  const std::vector<std::int32_t> two = {0, 1};
  const auto problem = [&](std::vector<std::int32_t> candidate, std::size_t classes,
                           std::vector<ComparedSlice> slices = {}, ComparisonOptions options = {}) {
    const auto compared = CompareModels(two, two, candidate, classes, slices, options);
    return compared.ok() ? std::string("taken") : compared.error().message;
  };
  EXPECT_THAT(problem({0}, 2), HasSubstr("1 answers of the candidate for 2"));
  EXPECT_THAT(problem({0, 2}, 2), HasSubstr("row 1: 2 among the answers of the candidate"));
  EXPECT_THAT(problem({0, -1}, 2), HasSubstr("row 1: -1"));
  EXPECT_THAT(problem({0, 1}, 1), HasSubstr("at least 2 classes"));
  EXPECT_THAT(problem({0, 1}, 2, {{"night", {2}}}), HasSubstr("slice night: sample 2"));
  EXPECT_THAT(problem({0, 1}, 2, {{"night", {1, 1}}}), HasSubstr("comes twice"));
  EXPECT_THAT(problem({0, 1}, 2, {}, {.confidence = 0}), HasSubstr("confidence"));
  EXPECT_THAT(problem({0, 1}, 2, {}, {.slice_margin = 1}), HasSubstr("margins"));
  EXPECT_EQ(problem({0, 1}, 2, {{"a", {0, 1}}, {"b", {1}}}), "taken");
  EXPECT_FALSE(CompareModels({}, {}, {}, 2).ok());
}

}  // namespace
}  // namespace tidewheel::stats
