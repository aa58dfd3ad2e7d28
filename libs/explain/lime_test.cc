#include "tidewheel/explain/lime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace tidewheel::explain {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::map<std::size_t, double> ByPart(const LocalExplanation& explanation) {
  std::map<std::size_t, double> weights;
  for (const auto& each : explanation.attributions) weights[each.part] = each.weight;
  return weights;
}

AnswerRows Linear(std::vector<double> weights, double intercept) {
  return [weights = std::move(weights), intercept](std::span<const float> rows, std::size_t count,
                                                   std::span<double> answers) -> Result<void> {
    for (std::size_t i = 0; i < count; ++i) {
      answers[i] = intercept;
      for (std::size_t j = 0; j < weights.size(); ++j) {
        answers[i] += weights[j] * static_cast<double>(rows[i * weights.size() + j]);
      }
    }
    return {};
  };
}

TEST(LimeTest, RecoversTheWeightsOfALinearModel) {
  const std::vector<float> row = {3, -1, 10};
  const std::vector<double> means = {2, 0, 8};
  const std::vector<double> deviations = {1, 0.1, 4};
  const auto explained =
      ExplainRow(row, means, deviations, Linear({0.5, -3, 0.25}, 7), {.penalty = 1e-6}, {});
  ASSERT_TRUE(explained.ok()) << explained.error().message;
  const auto weights = ByPart(*explained);
  EXPECT_NEAR(weights.at(0), 0.5, 1e-5);
  EXPECT_NEAR(weights.at(1), -3, 1e-5);
  EXPECT_NEAR(weights.at(2), 0.25, 1e-5);
  EXPECT_NEAR(explained->intercept, 7, 1e-4);
  EXPECT_NEAR(explained->answer, 14, 1e-5);
  EXPECT_NEAR(explained->prediction, 14, 1e-4);
  EXPECT_NEAR(explained->r_squared, 1, 1e-9);
  EXPECT_EQ(explained->asked, 5'000U);
  EXPECT_TRUE(explained->complete);
  // The heaviest first: .25 of a column that deviates by 4.
  EXPECT_EQ(explained->attributions[0].part, 2U);
}

TEST(LimeTest, AColumnThatNeverVariesIsLeftAlone) {
  const std::vector<float> row = {1, 5};
  const auto explained = ExplainRow(row, std::vector<double>{0, 5}, std::vector<double>{1, 0},
                                    Linear({2, 100}, 0), {.samples = 500, .penalty = 1e-6}, {});
  ASSERT_TRUE(explained.ok()) << explained.error().message;
  const auto weights = ByPart(*explained);
  EXPECT_NEAR(weights.at(0), 2, 1e-5);
  EXPECT_EQ(weights.at(1), 0);
}

TEST(LimeTest, ACurvedModelIsExplainedByItsSlopeNearTheRowAndTheFitSaysSo) {
  const AnswerRows square = [](std::span<const float> rows, std::size_t count,
                               std::span<double> answers) -> Result<void> {
    for (std::size_t i = 0; i < count; ++i) {
      answers[i] = static_cast<double>(rows[i]) * static_cast<double>(rows[i]);
    }
    return {};
  };
  const std::vector<float> row = {1};
  const auto explained =
      ExplainRow(row, std::vector<double>{0}, std::vector<double>{1}, square, {}, {});
  ASSERT_TRUE(explained.ok());
  EXPECT_NEAR(explained->attributions[0].weight, 2, 0.1);
  EXPECT_LT(explained->r_squared, 0.99);
  EXPECT_GT(explained->attributions[0].standard_error, 0);
}

AnswerMasks Additive(std::vector<double> adds) {
  return [adds = std::move(adds)](std::span<const std::uint8_t> kept, std::size_t count,
                                  std::span<double> answers) -> Result<void> {
    for (std::size_t i = 0; i < count; ++i) {
      answers[i] = 0.1;
      for (std::size_t j = 0; j < adds.size(); ++j)
        answers[i] += kept[i * adds.size() + j] * adds[j];
    }
    return {};
  };
}

TEST(LimeTest, PartsThatAddAreGivenWhatTheyAdd) {
  const auto explained =
      ExplainParts(4, Additive({0.3, 0, -0.2, 0.05}), {.samples = 1'000, .penalty = 1e-6}, {});
  ASSERT_TRUE(explained.ok()) << explained.error().message;
  const auto weights = ByPart(*explained);
  EXPECT_NEAR(weights.at(0), 0.3, 1e-5);
  EXPECT_NEAR(weights.at(1), 0, 1e-5);
  EXPECT_NEAR(weights.at(2), -0.2, 1e-5);
  EXPECT_NEAR(explained->answer, 0.25, 1e-12);
}

TEST(LimeTest, OnlyAsManyPartsAreNamedAsAreWanted) {
  const auto explained =
      ExplainWords(6, Additive({0.1, 0.5, 0, -0.4, 0, 0.02}), {.samples = 2'000, .most = 2}, {});
  ASSERT_TRUE(explained.ok());
  ASSERT_EQ(explained->attributions.size(), 2U);
  EXPECT_EQ(explained->attributions[0].part, 1U);
  EXPECT_EQ(explained->attributions[1].part, 3U);
}

TEST(LimeTest, TheSameSeedAsksTheSameAndBatchesChangeNothing) {
  const auto one = ExplainParts(5, Additive({1, 2, 3, 4, 5}), {.samples = 100, .seed = 9}, {});
  const auto other =
      ExplainParts(5, Additive({1, 2, 3, 4, 5}), {.samples = 100, .seed = 9}, {.batch = 7});
  const auto different =
      ExplainParts(5, Additive({1, 2, 3, 4, 5}), {.samples = 100, .seed = 10}, {});
  ASSERT_TRUE(one.ok() && other.ok() && different.ok());
  EXPECT_EQ(ByPart(*one), ByPart(*other));
  EXPECT_NE(ByPart(*one), ByPart(*different));
}

TEST(LimeTest, WhenTheTimeIsOverItSaysWithHowFewItWasMade) {
  Budget budget{.batch = 10, .deadline = std::chrono::steady_clock::now()};
  const auto explained = ExplainParts(3, Additive({1, 2, 3}), {.samples = 1'000}, budget);
  ASSERT_TRUE(explained.ok()) << explained.error().message;
  EXPECT_EQ(explained->asked, 10U);
  EXPECT_FALSE(explained->complete);
  budget.batch = 1;
  const auto too_few = ExplainParts(3, Additive({1, 2, 3}), {.samples = 1'000}, budget);
  ASSERT_FALSE(too_few.ok());
  EXPECT_EQ(too_few.error().code, ErrorCode::kDeadlineExceeded);
}

TEST(LimeTest, AStopEndsIt) {
  std::stop_source stop;
  std::size_t asked = 0;
  const AnswerMasks model = [&](std::span<const std::uint8_t>, std::size_t count,
                                std::span<double> answers) -> Result<void> {
    asked += count;
    for (double& answer : answers) answer = 1;
    stop.request_stop();
    return {};
  };
  const auto explained = ExplainParts(3, model, {}, {.batch = 5, .stop = stop.get_token()});
  ASSERT_FALSE(explained.ok());
  EXPECT_EQ(explained.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(asked, 5U);
}

TEST(LimeTest, NamesWhatIsWrong) {
  const std::vector<float> row = {1, NAN};
  const std::vector<double> two = {1, 1};
  EXPECT_THAT(ExplainRow(row, two, two, Linear({1, 1}, 0), {}, {}).error().message,
              HasSubstr("column 1"));
  EXPECT_THAT(ExplainRow(std::span(row).first(1), two, two, Linear({1}, 0), {}, {}).error().message,
              HasSubstr("not 2 and 2"));
  EXPECT_THAT(ExplainParts(0, Additive({}), {}, {}).error().message, HasSubstr("no parts"));
  EXPECT_THAT(ExplainParts(1, Additive({1}), {.samples = 1}, {}).error().message,
              HasSubstr("2 to 100000"));
  EXPECT_THAT(ExplainParts(100'000, Additive({}), {.samples = 100'000}, {}).error().message,
              HasSubstr("more than"));
  const auto not_a_number = ExplainParts(1, Additive({NAN}), {}, {});
  EXPECT_EQ(not_a_number.error().code, ErrorCode::kInternal);
}

TEST(WordMaskTest, TakesOutWordsEverywhereAndLeavesWhatStandsBetween) {
  const WordMask mask("The cat, the cat_2 - caf\xc3\xa9! The");
  EXPECT_THAT(mask.words(), ElementsAre("The", "cat", "the", "cat_2", "caf\xc3\xa9"));
  const std::vector<std::uint8_t> all(5, 1);
  EXPECT_EQ(mask.Apply(all), "The cat, the cat_2 - caf\xc3\xa9! The");
  const std::vector<std::uint8_t> some = {0, 1, 1, 0, 1};
  EXPECT_EQ(mask.Apply(some), " cat, the  - caf\xc3\xa9! ");
  EXPECT_TRUE(WordMask("").words().empty());
}

}  // namespace
}  // namespace tidewheel::explain
