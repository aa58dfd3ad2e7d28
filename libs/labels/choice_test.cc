#include "tidewheel/labels/choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "tidewheel/labels/testing/simulated_crowd.h"
#include "tidewheel/stats/mcnemar.h"

namespace tidewheel::labels {
namespace {

using internal::SimulatedCrowd;
using testing::HasSubstr;

/// Two who know and five who hardly do: the majority is often wrong.
SimulatedCrowd FewExperts(std::size_t items, std::uint64_t seed) {
  Random random(seed);
  SimulatedCrowd crowd;
  for (std::size_t i = 0; i < items; ++i) {
    crowd.truth.push_back(static_cast<std::int32_t>(random.Below(2)));
    for (std::int32_t w = 0; w < 7; ++w) {
      const bool right = random.Uniform() < (w < 2 ? 0.96 : 0.55);
      crowd.Add(static_cast<std::int32_t>(i), w,
                right ? crowd.truth.back() : 1 - crowd.truth.back());
    }
  }
  return crowd;
}

std::vector<std::int32_t> AllItems(const SimulatedCrowd& crowd) {
  std::vector<std::int32_t> items(crowd.items);
  std::iota(items.begin(), items.end(), 0);
  return items;
}

TEST(ChooseByGoldTest, TakesTheMostAccurateAndNamesAll) {
  const SimulatedCrowd crowd = FewExperts(600, 3);
  const auto items = AllItems(crowd);
  const auto choice = ChooseByGoldItems(crowd.View(), items, crowd.truth);

  ASSERT_TRUE(choice.ok());
  ASSERT_EQ(choice->candidates.size(), 6U);
  EXPECT_EQ(choice->trials, 600U);
  EXPECT_NE(choice->method, ConsensusMethod::kMajority);
  double best = 0;
  for (const Candidate& candidate : choice->candidates) {
    EXPECT_TRUE(candidate.applies);
    EXPECT_LT(candidate.interval.low, candidate.score);
    EXPECT_GT(candidate.interval.high, candidate.score);
    EXPECT_DOUBLE_EQ(candidate.score,
                     internal::Accuracy(*FindConsensus(crowd.View(), candidate.method), crowd));
    EXPECT_THAT(choice->reason, HasSubstr(std::string(Name(candidate.method))));
    best = std::max(best, candidate.score);
  }
  for (const Candidate& candidate : choice->candidates) {
    if (candidate.method == choice->method) {
      EXPECT_EQ(candidate.score, best);
      EXPECT_EQ(candidate.p_value, 1);
    }
    if (candidate.method == ConsensusMethod::kMajority) {
      EXPECT_LT(candidate.p_value, 1e-6);
    }
  }
}

TEST(ChooseByGoldTest, DifferencesArePairedByMcNemarsTest) {
  const SimulatedCrowd crowd = FewExperts(150, 5);
  const auto items = AllItems(crowd);
  ChoiceOptions options;
  options.methods = {ConsensusMethod::kMajority, ConsensusMethod::kDawidSkene};
  const auto choice = ChooseByGoldItems(crowd.View(), items, crowd.truth, options);
  ASSERT_EQ(choice->method, ConsensusMethod::kDawidSkene);
  const auto majority = FindConsensus(crowd.View(), ConsensusMethod::kMajority);
  const auto full = FindConsensus(crowd.View(), ConsensusMethod::kDawidSkene);
  std::uint64_t only[2] = {};
  for (std::size_t i = 0; i < crowd.items; ++i) {
    const bool a = full->label[i] == crowd.truth[i];
    const bool b = majority->label[i] == crowd.truth[i];
    if (a != b) ++only[a ? 0 : 1];
  }
  EXPECT_EQ(choice->candidates[0].p_value, stats::McNemar(only[0], only[1])->p_value);
  EXPECT_EQ(choice->decisive, choice->candidates[0].p_value < 0.05);
}

TEST(ChooseByGoldTest, OfEqualsTheSimplestIsTakenAndNothingIsDecisive) {
  SimulatedCrowd crowd;
  for (std::int32_t i = 0; i < 12; ++i) {
    crowd.truth.push_back(i % 2);
    for (std::int32_t w = 0; w < 3; ++w) crowd.Add(i, w, i % 2);
  }
  ChoiceOptions options;
  options.methods = {ConsensusMethod::kMace, ConsensusMethod::kWawa, ConsensusMethod::kMajority};
  const auto choice = ChooseByGoldItems(crowd.View(), AllItems(crowd), crowd.truth, options);
  EXPECT_EQ(choice->method, ConsensusMethod::kMajority);
  EXPECT_FALSE(choice->decisive);
  EXPECT_THAT(choice->reason, HasSubstr("not told apart from mace 1.0000"));
}

TEST(ChooseByGoldTest, MethodsThatDoNotApplySayWhy) {
  SimulatedCrowd crowd;
  for (std::int32_t i = 0; i < 20; ++i) {
    crowd.Add(i, 0, i % 2);
    crowd.truth.push_back(i % 2);
  }
  const auto choice = ChooseByGoldItems(crowd.View(), AllItems(crowd), crowd.truth);
  ASSERT_TRUE(choice.ok());
  EXPECT_EQ(choice->method, ConsensusMethod::kMajority);
  EXPECT_FALSE(choice->candidates.back().applies);
  EXPECT_THAT(choice->candidates.back().why_not, HasSubstr("only one worker"));
  EXPECT_THAT(choice->reason, HasSubstr("not applicable"));

  ChoiceOptions options;
  options.methods = {ConsensusMethod::kGlad};
  const auto none = ChooseByGoldItems(crowd.View(), AllItems(crowd), crowd.truth, options);
  EXPECT_EQ(none.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_THAT(none.error().message, HasSubstr("no method applies"));
}

TEST(ChooseByGoldTest, BadInputIsNamed) {
  const SimulatedCrowd crowd = FewExperts(20, 1);
  const auto error_of = [&](std::vector<std::int32_t> items, std::vector<std::int32_t> labels,
                            const ChoiceOptions& options = {}) {
    return ChooseByGoldItems(crowd.View(), items, labels, options).error().message;
  };
  EXPECT_THAT(error_of({0, 1}, {0}), HasSubstr("2 gold items and 1 gold labels"));
  EXPECT_THAT(error_of({20}, {0}), HasSubstr("gold item 20"));
  EXPECT_THAT(error_of({-1}, {0}), HasSubstr("gold item -1"));
  EXPECT_THAT(error_of({3}, {2}), HasSubstr("with label 2"));
  EXPECT_THAT(error_of({3, 3}, {0, 0}), HasSubstr("named twice"));
  EXPECT_THAT(error_of({3}, {0}), HasSubstr("needs 10 gold items with votes, there are 1"));
  ChoiceOptions options;
  options.methods = {};
  EXPECT_THAT(error_of({3}, {0}, options), HasSubstr("no methods"));
  options.methods = {ConsensusMethod::kGlad, ConsensusMethod::kGlad};
  EXPECT_THAT(error_of({3}, {0}, options), HasSubstr("glad is asked for twice"));
  options = {};
  options.confidence = 1;
  EXPECT_THAT(error_of({3}, {0}, options), HasSubstr("confidence"));
}

TEST(ChooseByHeldOutTest, FindsTheBetterMethodWithoutGold) {
  int better = 0;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const SimulatedCrowd crowd = FewExperts(400, seed);
    ChoiceOptions options;
    options.seed = seed;
    const auto choice = ChooseByHeldOutVotes(crowd.View(), options);
    ASSERT_TRUE(choice.ok());
    EXPECT_EQ(choice->basis, ChoiceBasis::kHeldOutVotes);
    EXPECT_GT(choice->trials, 2'790U);
    EXPECT_THAT(choice->reason, HasSubstr("hidden votes"));
    better +=
        internal::Accuracy(*FindConsensus(crowd.View(), choice->method), crowd) >
                internal::Accuracy(*FindConsensus(crowd.View(), ConsensusMethod::kMajority), crowd)
            ? 1
            : 0;
  }
  EXPECT_EQ(better, 5);
}

TEST(ChooseByHeldOutTest, IsSeeded) {
  const SimulatedCrowd crowd = FewExperts(80, 2);
  ChoiceOptions options;
  options.methods = {ConsensusMethod::kMajority, ConsensusMethod::kOneCoin};
  const auto first = ChooseByHeldOutVotes(crowd.View(), options);
  const auto again = ChooseByHeldOutVotes(crowd.View(), options);
  options.seed = 1;
  const auto other = ChooseByHeldOutVotes(crowd.View(), options);
  EXPECT_EQ(first->candidates[1].score, again->candidates[1].score);
  EXPECT_EQ(first->candidates[1].p_value, again->candidates[1].p_value);
  EXPECT_NE(first->candidates[1].score, other->candidates[1].score);
}

TEST(ChooseByHeldOutTest, IntervalsCoverAndDifferencesOfEqualsAreChance) {
  // Workers alike and right at random: no method can be better, and each predicts about as well.
  int decisive = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Random random(seed);
    SimulatedCrowd crowd;
    for (std::int32_t i = 0; i < 100; ++i) {
      crowd.truth.push_back(static_cast<std::int32_t>(random.Below(2)));
      for (std::int32_t w = 0; w < 5; ++w) {
        crowd.Add(i, w, random.Uniform() < 0.8 ? crowd.truth.back() : 1 - crowd.truth.back());
      }
    }
    ChoiceOptions options;
    options.methods = {ConsensusMethod::kMajority, ConsensusMethod::kOneCoin};
    const auto choice = ChooseByHeldOutVotes(crowd.View(), options);
    decisive += choice->decisive ? 1 : 0;
  }
  EXPECT_LE(decisive, 7);  // Two of 40 expected at 5 %; 7 or more happen once in 300.
}

TEST(ChooseByHeldOutTest, BadInputIsNamed) {
  const SimulatedCrowd crowd = FewExperts(20, 1);
  ChoiceOptions options;
  options.folds = 1;
  EXPECT_THAT(ChooseByHeldOutVotes(crowd.View(), options).error().message,
              HasSubstr("2 to 1000 folds, not 1"));
  SimulatedCrowd single;
  for (std::int32_t i = 0; i < 30; ++i) single.Add(i, i % 3, i % 2);
  EXPECT_THAT(ChooseByHeldOutVotes(single.View()).error().message,
              HasSubstr("votes on items with others, there are 0"));
  EXPECT_THAT(ChooseByHeldOutVotes(Votes{{}, {}, {}, 1, 1, 2}).error().message,
              HasSubstr("no votes"));
}

}  // namespace
}  // namespace tidewheel::labels
