#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tidewheel/cli/drill/annotator_desk.h"
#include "tidewheel/cli/drill/conditions.h"
#include "tidewheel/cli/drill/known_pictures.h"
#include "tidewheel/cli/drill/task_text.h"
#include "tidewheel/vision/decode.h"
#include "tidewheel/vision/measure.h"
#include "tidewheel/vision/quality.h"

namespace tidewheel::cli::drill {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

Options Drawn(std::uint64_t count = 60) {
  Options options;
  options.count = count;
  return options;
}

const Collection& SomePictures() {
  static const Collection collection = *LoadCollection(Drawn());
  return collection;
}

TEST(ConditionsTest, TheTopComesToTheLeft) {
  vision::Image image = vision::Image::Filled(2, 3, 1, 0);
  // 1 2
  // 3 4
  // 5 6
  for (std::uint8_t i = 0; i < 6; ++i) image.pixels[i] = static_cast<std::uint8_t>(i + 1);
  const auto turned = TurnedLeft(image);
  EXPECT_EQ(turned.width, 3);
  EXPECT_EQ(turned.height, 2);
  EXPECT_THAT(turned.pixels, ::testing::ElementsAre(2, 4, 6, 1, 3, 5));
  EXPECT_EQ(TurnedLeft(TurnedLeft(TurnedLeft(turned))), image);
}

TEST(ConditionsTest, ATurnedPictureIsSoundAndTheSameEachTime) {
  const auto& payload = SomePictures().given.front().payload;
  const auto one = PayloadIn(Condition::kTurned, payload, 1);
  ASSERT_TRUE(one.ok()) << one.error().message;
  EXPECT_EQ(*one, *PayloadIn(Condition::kTurned, payload, 2));
  const auto before = *vision::Decode(payload);
  const auto after = *vision::Decode(*one);
  EXPECT_EQ(after.width, before.height);
  EXPECT_TRUE(vision::Check(vision::Measure(after), {}).empty());
}

TEST(ConditionsTest, EveryFaultyFrameBreaksARuleOfQuality) {
  std::set<vision::QualityProblem> problems;
  for (const auto& picture : SomePictures().given) {
    const auto payload = PayloadIn(Condition::kFaulty, picture.payload, 7);
    ASSERT_TRUE(payload.ok()) << payload.error().message;
    const auto issues = vision::Check(vision::Measure(*vision::Decode(*payload)), {});
    ASSERT_FALSE(issues.empty()) << picture.name;
    problems.insert(issues.front().problem);
  }
  EXPECT_THAT(problems, ::testing::UnorderedElementsAre(vision::QualityProblem::kUnderexposed,
                                                        vision::QualityProblem::kBlurred));
}

TEST(KnownPicturesTest, TrafficAndJudgementShareNoPictureAndNoClassIsLeftOut) {
  const auto& collection = SomePictures();
  const auto pools = Divide(collection.spare, 3, 0.5, 4);
  std::set<std::string> names;
  for (const Pool* pool : {&pools.traffic, &pools.fresh}) {
    for (const auto& picture : pool->pictures()) names.insert(picture.name);
    for (const double share : pool->ClassShares()) EXPECT_GT(share, 0);
  }
  EXPECT_EQ(names.size(), collection.spare.size());
  EXPECT_EQ(pools.traffic.size() + pools.fresh.size(), collection.spare.size());
}

TEST(KnownPicturesTest, DrawnLightsStandUpright) {
  for (const auto& picture : SomePictures().given) {
    const auto image = *vision::Decode(picture.payload);
    EXPECT_GT(image.height, image.width);
  }
}

TEST(PoolTest, DrawsClassesByTheirShares) {
  const Pool pool(Condition::kOld, SomePictures().spare, 3);
  Random random(3);
  std::vector<double> counts(3);
  for (int i = 0; i < 20'000; ++i) ++counts[pool.Draw(random, {0.3, 0.5, 0.2}).class_index];
  EXPECT_NEAR(counts[0] / 20'000, 0.3, 0.02);
  EXPECT_NEAR(counts[1] / 20'000, 0.5, 0.02);
}

TEST(AnswerKeyTest, KnowsATurnedPictureByItsBytes) {
  const Pool old(Condition::kOld, SomePictures().given, 3);
  const auto turned = old.In(Condition::kTurned, 1);
  ASSERT_TRUE(turned.ok()) << turned.error().message;
  AnswerKey key;
  key.Add(*turned);
  for (const auto& picture : turned->pictures()) {
    const auto* found = key.Find(picture.payload);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(*found, picture.class_index);
  }
  EXPECT_EQ(key.Find(old.pictures().front().payload), nullptr);
}

TEST(AnnotatorDeskTest, EachErrsAsOftenAsStated) {
  for (const double error : {0.0, 0.03, 0.4}) {
    int wrong = 0;
    for (int i = 0; i < 20'000; ++i) {
      const auto truth = static_cast<std::size_t>(i % 3);
      const std::string payload = "picture " + std::to_string(i);
      const auto said = SaidOf({"ana", error}, payload, truth, 3, 1);
      EXPECT_LT(said, 3U);
      EXPECT_EQ(said, SaidOf({"ana", error}, payload, truth, 3, 1));
      if (said != truth) ++wrong;
    }
    EXPECT_NEAR(wrong / 20'000.0, error, 0.01);
  }
}

TEST(TaskTextTest, KeepsWhatTheSetSaysAndAddsTheLoopsPolicies) {
  const auto& base = SomePictures().traits.task_yaml;
  EXPECT_EQ(TaskName(base), "street-lights");
  Options options = Drawn();
  const auto text = TaskText(base, "street-lights-oracle", options);
  ASSERT_TRUE(text.ok()) << text.error().message;
  EXPECT_EQ(TaskName(*text), "street-lights-oracle");
  EXPECT_THAT(*text, HasSubstr("near_duplicate_group_distance: 6"));
  EXPECT_THAT(*text, HasSubstr("acquire_diverse: 0.8"));
  EXPECT_THAT(*text, HasSubstr("\n  validation_share: 0.15\n  test_share: 0.2\n"));
  const auto open = TaskText(base, "street-lights-oracle", options, false);
  ASSERT_TRUE(open.ok()) << open.error().message;
  EXPECT_THAT(*open, HasSubstr("\nmonitoring:\n"));
  EXPECT_THAT(*open, Not(AnyOf(HasSubstr("\ncycle:"), HasSubstr("\ncapture:"))));
  options.random_acquisition = true;
  EXPECT_THAT(*TaskText(base, "t", options), HasSubstr("acquire_random: 1"));
  EXPECT_EQ(TaskText("no: task", "t", options).error().code, ErrorCode::kInvalidArgument);
}

TEST(AlarmBudgetTest, IsWhatAPoissonDistributionAllows) {
  // Expected 1/6: P(0) = 0.846, P(<= 1) = 0.988.
  EXPECT_NEAR(BudgetOf(50'000).expected, 1.0 / 6, 1e-12);
  EXPECT_EQ(BudgetOf(50'000).most, 1U);
  // Expected 0.02: P(0) = 0.980.
  EXPECT_EQ(BudgetOf(6'000).most, 0U);
}

TEST(ScenarioTest, UnknownWordsAreAnsweredWithTheKnownOnes) {
  EXPECT_EQ(*ParseScenario("fault"), Scenario::kFault);
  const auto unknown = ParseScenario("earthquake");
  ASSERT_FALSE(unknown.ok());
  EXPECT_THAT(unknown.error().message, HasSubstr("calm, rotate"));
  for (const auto& name : ScenarioNames()) EXPECT_EQ(Name(*ParseScenario(name)), name);
}

}  // namespace
}  // namespace tidewheel::cli::drill
