#include "tidewheel/training/domain/gate_evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tidewheel/base/random.h"

namespace tidewheel::training {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t kClasses = 3;

GatePolicy Policy() { return {.classes = {"red", "yellow", "green"}, .min_primary_metric = 0.8}; }

/// Samples that the baseline answers right with probability `baseline`, the candidate with
/// `candidate`, each by itself.
std::vector<GateSample> Drawn(std::size_t count, double baseline, double candidate,
                              std::uint64_t seed, bool is_new = false) {
  Random random(seed);
  std::vector<GateSample> samples;
  for (std::size_t i = 0; i < count; ++i) {
    GateSample sample;
    sample.given_class = static_cast<std::uint32_t>(i % kClasses);
    const auto answer = [&](double right) {
      return random.Uniform() < right ? sample.given_class : (sample.given_class + 1) % kClasses;
    };
    sample.baseline_class = answer(baseline);
    sample.candidate_class = answer(candidate);
    sample.is_new_condition = is_new;
    sample.slices = {i % 2 == 0 ? "lamp=led" : "lamp=bulb"};
    samples.push_back(sample);
  }
  return samples;
}

/// `lost` samples that only the baseline gets right, `won` that only the candidate does.
std::vector<GateSample> Planted(std::size_t count, std::size_t lost, std::size_t won,
                                bool is_new = false) {
  std::vector<GateSample> samples(count);
  for (std::size_t i = 0; i < count; ++i) {
    GateSample& sample = samples[i];
    sample.given_class = static_cast<std::uint32_t>(i % kClasses);
    const std::uint32_t wrong = (sample.given_class + 1) % kClasses;
    sample.candidate_class = i < lost ? wrong : sample.given_class;
    sample.baseline_class = i >= lost && i < lost + won ? wrong : sample.given_class;
    sample.is_new_condition = is_new;
  }
  return samples;
}

std::vector<GateSample> Joined(std::vector<GateSample> samples,
                               const std::vector<GateSample>& more) {
  samples.insert(samples.end(), more.begin(), more.end());
  return samples;
}

GateCriterion Find(const std::vector<GateCriterion>& criteria, const std::string& name) {
  for (const auto& criterion : criteria) {
    if (criterion.name == name) return criterion;
  }
  ADD_FAILURE() << "no criterion " << name;
  return {};
}

std::string Failures(const std::vector<GateCriterion>& criteria) {
  std::string text;
  for (const auto& criterion : criteria) {
    if (criterion.verdict != GateVerdict::kPass) {
      text += criterion.name + ": " + std::string(Name(criterion.verdict)) + " (" +
              criterion.reason + ")\n";
    }
  }
  return text;
}

TEST(GateEvaluationTest, ACandidateThatLearnedTheNewConditionPasses) {
  const auto criteria = EvaluateCandidate(
      Policy(), Joined(Drawn(300, 0.98, 0.98, 1), Drawn(20, 0.55, 0.98, 2, true)));
  EXPECT_EQ(VerdictOf(criteria), GateVerdict::kPass) << Failures(criteria);
  const auto better = Find(criteria, "better_on_new");
  EXPECT_EQ(better.samples, 20U);
  EXPECT_GT(*better.difference, 0.2);
  EXPECT_LE(*better.p_value, 0.05);
  EXPECT_LT(*better.low, *better.difference);
  EXPECT_GT(*better.high, *better.difference);
}

TEST(GateEvaluationTest, AnIdenticalCandidateKeepsTheOldAndIsNotBetterOnTheNew) {
  auto samples = Joined(Drawn(200, 0.97, 0.97, 1), Drawn(30, 0.6, 0.6, 2, true));
  for (auto& sample : samples) sample.candidate_class = *sample.baseline_class;
  const auto criteria = EvaluateCandidate(Policy(), samples);
  EXPECT_EQ(Find(criteria, "not_worse_on_old").verdict, GateVerdict::kPass);
  const auto better = Find(criteria, "better_on_new");
  EXPECT_EQ(better.verdict, GateVerdict::kFail);
  EXPECT_THAT(better.reason, HasSubstr("not better"));
  EXPECT_EQ(better.difference, 0);
  EXPECT_EQ(VerdictOf(criteria), GateVerdict::kFail);
}

TEST(GateEvaluationTest, ACandidateOfShuffledLabelsFailsInMoreThanOneWay) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto criteria = EvaluateCandidate(
        Policy(), Joined(Drawn(200, 0.97, 1.0 / 3, seed), Drawn(30, 0.9, 1.0 / 3, ~seed, true)));
    EXPECT_EQ(VerdictOf(criteria), GateVerdict::kFail);
    for (const char* name : {"not_worse_on_old", "better_on_new", "class.red", "class.yellow",
                             "slice.lamp=led", "min_primary_metric"}) {
      EXPECT_EQ(Find(criteria, name).verdict, GateVerdict::kFail) << name << ", seed " << seed;
    }
  }
}

TEST(GateEvaluationTest, NoLossIn200SamplesPassesAndSaysWhatItCannotExclude) {
  GatePolicy policy = Policy();
  policy.require_better_on_new = false;
  const auto small = Find(EvaluateCandidate(policy, Planted(200, 0, 0)), "not_worse_on_old");
  EXPECT_EQ(small.verdict, GateVerdict::kPass);
  EXPECT_THAT(small.reason, HasSubstr("cannot exclude a loss of 0.0100"));
  const auto large = Find(EvaluateCandidate(policy, Planted(2'000, 0, 0)), "not_worse_on_old");
  EXPECT_EQ(large.verdict, GateVerdict::kPass);
  EXPECT_THAT(large.reason, HasSubstr("is excluded"));
}

TEST(GateEvaluationTest, OnlyEvidenceOfHarmFailsTheOldCondition) {
  const auto verdict = [](std::size_t count, std::size_t lost, std::size_t won) {
    return Find(EvaluateCandidate(Policy(), Planted(count, lost, won)), "not_worse_on_old").verdict;
  };
  // 0.5^5 = 0.03.
  EXPECT_EQ(verdict(200, 5, 0), GateVerdict::kFail);
  EXPECT_EQ(verdict(200, 4, 0), GateVerdict::kPass);
  EXPECT_EQ(verdict(200, 8, 5), GateVerdict::kPass);
  EXPECT_EQ(verdict(200, 20, 5), GateVerdict::kFail);
  // Significant, but less than the agreed loss.
  EXPECT_EQ(verdict(1'000, 9, 0), GateVerdict::kPass);
  EXPECT_EQ(verdict(1'000, 11, 0), GateVerdict::kFail);
  EXPECT_EQ(verdict(9, 9, 0), GateVerdict::kInconclusive);
}

TEST(GateEvaluationTest, ACandidateAsGoodAsTheBaselineIsRarelyFailed) {
  GatePolicy policy = Policy();
  policy.require_better_on_new = false;
  int failed = 0;
  constexpr int kTrials = 400;
  for (std::uint64_t seed = 1; seed <= kTrials; ++seed) {
    const auto criteria = EvaluateCandidate(policy, Drawn(300, 0.95, 0.95, seed));
    if (VerdictOf(criteria) == GateVerdict::kFail) ++failed;
  }
  // alpha for the whole, and alpha for the parts together; exact tests stay below.
  EXPECT_LE(failed, 2 * 0.05 * kTrials);
}

TEST(GateEvaluationTest, HarmIsFoundWhereThereAreSamplesEnough) {
  GatePolicy policy = Policy();
  policy.require_better_on_new = false;
  int failed = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const auto criteria = EvaluateCandidate(policy, Drawn(500, 0.98, 0.92, seed));
    if (Find(criteria, "not_worse_on_old").verdict == GateVerdict::kFail) ++failed;
  }
  EXPECT_GE(failed, 48);
}

TEST(GateEvaluationTest, OneRuinedClassFailsAlthoughTheWholeIsBetter) {
  auto samples = Planted(600, 0, 40);
  for (std::size_t i = 400; i < 600; ++i) {
    if (samples[i].given_class == 1 && i % 2 == 0) samples[i].candidate_class = 0;
  }
  const auto criteria = EvaluateCandidate(Policy(), samples);
  EXPECT_EQ(Find(criteria, "not_worse_on_old").verdict, GateVerdict::kPass);
  const auto yellow = Find(criteria, "class.yellow");
  EXPECT_EQ(yellow.verdict, GateVerdict::kFail);
  EXPECT_EQ(yellow.samples, 200U);
  EXPECT_EQ(Find(criteria, "class.red").verdict, GateVerdict::kPass);
}

TEST(GateEvaluationTest, SlicesAreCorrectedForTheirNumber) {
  // Five pairs lost in one slice: 0.03 alone, nothing among fifty.
  GatePolicy policy = Policy();
  policy.max_loss = 0.2;
  auto samples = Planted(500, 5, 0);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    samples[i].given_class = 0;
    samples[i].baseline_class = 0;
    samples[i].candidate_class = i < 5 ? 1 : 0;
    samples[i].slices = {"street=" + std::to_string(i / 10)};
  }
  const auto many = Find(EvaluateCandidate(policy, samples), "slice.street=0");
  EXPECT_EQ(many.samples, 10U);
  EXPECT_EQ(many.verdict, GateVerdict::kPass);
  EXPECT_GT(*many.p_value, 0.5);
  for (auto& sample : samples) {
    if (sample.slices[0] != "street=0") sample.slices.clear();
  }
  const auto alone = Find(EvaluateCandidate(policy, samples), "slice.street=0");
  // Of one class and one slice with the same losses.
  EXPECT_NEAR(*alone.p_value, 2 * 0.03125, 1e-9);
}

TEST(GateEvaluationTest, ManyPartsAreToldTogetherUnlessTheyFail) {
  auto samples = Planted(2'000, 0, 0);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    samples[i].slices = {"street=" + std::to_string(i % 100)};
    if (i % 100 == 7) samples[i].candidate_class = (samples[i].given_class + 1) % kClasses;
  }
  const auto criteria = EvaluateCandidate(Policy(), samples);
  EXPECT_LT(criteria.size(), 15U);
  EXPECT_EQ(Find(criteria, "slice.street=7").verdict, GateVerdict::kFail);
  EXPECT_THAT(Find(criteria, "other_parts").reason, HasSubstr("further classes and slices"));
}

TEST(GateEvaluationTest, FewSamplesOfTheNewConditionAreInconclusive) {
  const auto criteria =
      EvaluateCandidate(Policy(), Joined(Planted(100, 0, 0), Planted(9, 0, 9, true)));
  EXPECT_EQ(Find(criteria, "enough_samples_old").verdict, GateVerdict::kPass);
  EXPECT_EQ(Find(criteria, "enough_samples_new").verdict, GateVerdict::kInconclusive);
  EXPECT_EQ(Find(criteria, "better_on_new").verdict, GateVerdict::kInconclusive);
  EXPECT_EQ(VerdictOf(criteria), GateVerdict::kInconclusive);
}

TEST(GateEvaluationTest, TooLittleEvidenceOfAGainIsNoFailureAndSaysWhatIsMissing) {
  const auto better = [](std::size_t count, std::size_t lost, std::size_t won) {
    GatePolicy policy = Policy();
    policy.min_samples = 5;
    return Find(
        EvaluateCandidate(policy, Joined(Planted(200, 0, 0), Planted(count, lost, won, true))),
        "better_on_new");
  };
  // Everything that the serving model gets wrong is mended, and chance alone does that too.
  const auto few = better(7, 0, 4);
  EXPECT_EQ(few.verdict, GateVerdict::kInconclusive);
  EXPECT_THAT(few.reason, HasSubstr("not better at p 0.0625: the serving model is wrong on 4"));
  EXPECT_THAT(few.reason, HasSubstr("takes 14 more test samples"));
  EXPECT_EQ(better(21, 0, 12).verdict, GateVerdict::kPass);
  // Nothing to mend says nothing of the candidate.
  const auto none = better(50, 0, 0);
  EXPECT_EQ(none.verdict, GateVerdict::kInconclusive);
  EXPECT_THAT(none.reason, ::testing::Not(HasSubstr("more test samples")));
  // Evidence of the contrary needs no power.
  EXPECT_EQ(better(7, 5, 0).verdict, GateVerdict::kFail);
}

TEST(GateEvaluationTest, WhoHadTheChanceToBeBetterAndWasNotFails) {
  auto samples = Joined(Planted(200, 0, 0), Planted(30, 0, 12, true));
  for (std::size_t i = 200; i < samples.size(); ++i) {
    samples[i].candidate_class = *samples[i].baseline_class;
  }
  EXPECT_EQ(Find(EvaluateCandidate(Policy(), samples), "better_on_new").verdict,
            GateVerdict::kFail);
  for (std::size_t i = 200; i < 202; ++i) samples[i].baseline_class = samples[i].given_class;
  EXPECT_EQ(Find(EvaluateCandidate(Policy(), samples), "better_on_new").verdict,
            GateVerdict::kInconclusive);
}

TEST(GateEvaluationTest, OnlyTestSamplesCount) {
  const auto samples = Joined(Planted(50, 0, 0), Planted(20, 0, 12, true));
  auto validation = Planted(500, 400, 0);
  for (auto& sample : validation) sample.split = "validation";
  const auto criteria = EvaluateCandidate(Policy(), Joined(samples, validation));
  EXPECT_EQ(VerdictOf(criteria), GateVerdict::kPass) << Failures(criteria);
  EXPECT_EQ(Find(criteria, "min_primary_metric").samples, 70U);
}

TEST(GateEvaluationTest, WhereBetterIsNotAskedForTheNewConditionIsASlice) {
  GatePolicy policy = Policy();
  policy.require_better_on_new = false;
  const auto criteria =
      EvaluateCandidate(policy, Joined(Planted(300, 0, 0), Planted(40, 20, 0, true)));
  EXPECT_EQ(Find(criteria, "slice.new").verdict, GateVerdict::kFail);
  for (const auto& criterion : criteria) EXPECT_NE(criterion.name, "better_on_new");
}

TEST(GateEvaluationTest, WithoutABaselineOnlyTheBarsAreHeld) {
  auto samples = Planted(60, 6, 0);
  for (auto& sample : samples) sample.baseline_class.reset();
  const auto criteria = EvaluateCandidate(Policy(), samples);
  EXPECT_EQ(Find(criteria, "baseline").verdict, GateVerdict::kNotEvaluated);
  EXPECT_EQ(Find(criteria, "min_primary_metric").verdict, GateVerdict::kPass);
  EXPECT_EQ(VerdictOf(criteria), GateVerdict::kNotEvaluated);
  EXPECT_EQ(VerdictOf(EvaluateCandidate(Policy(), {})), GateVerdict::kNotEvaluated);
}

TEST(GateEvaluationTest, BarsAreHeldByThePrimaryMetricAndTheLowestRecall) {
  // Yellow: 10 samples, 4 right; red and green: all of 45 right.
  std::vector<GateSample> samples;
  for (std::uint32_t i = 0; i < 100; ++i) {
    const std::uint32_t given = i < 10 ? 1U : i < 55 ? 0U : 2U;
    const std::uint32_t answer = i < 6 ? 0U : given;
    samples.push_back({.given_class = given, .candidate_class = answer, .baseline_class = answer});
  }
  GatePolicy policy = Policy();
  policy.min_primary_metric = 0.9;
  policy.min_class_recall = 0.5;
  const auto criteria = EvaluateCandidate(policy, samples);
  EXPECT_EQ(Find(criteria, "min_primary_metric").verdict, GateVerdict::kPass);
  EXPECT_THAT(Find(criteria, "min_primary_metric").reason, HasSubstr("0.9400"));
  EXPECT_EQ(Find(criteria, "min_class_recall").verdict, GateVerdict::kFail);
  EXPECT_THAT(Find(criteria, "min_class_recall").reason, HasSubstr("yellow is 0.4000"));

  policy.primary_metric = PrimaryMetric::kBalancedAccuracy;
  EXPECT_THAT(Find(EvaluateCandidate(policy, samples), "min_primary_metric").reason,
              HasSubstr("balanced_accuracy is 0.8000"));
  policy.primary_metric = PrimaryMetric::kMacroF1;
  // 2 * 45 / 96, 2 * 4 / 14 and 1.
  EXPECT_THAT(Find(EvaluateCandidate(policy, samples), "min_primary_metric").reason,
              HasSubstr("macro_f1 is 0.8363"));

  policy.classes.push_back("blue");
  policy.min_class_recall = 0.3;
  const auto blue = Find(EvaluateCandidate(policy, samples), "min_class_recall");
  EXPECT_EQ(blue.verdict, GateVerdict::kNotEvaluated);
  EXPECT_THAT(blue.reason, HasSubstr("blue"));
}

TEST(GateEvaluationTest, BehaviourTestsAreCriteria) {
  GatePolicy policy = Policy();
  policy.require_better_on_new = false;
  policy.tests = {{.name = "lit", .min_share = 0.9},
                  {.name = "dark", .min_share = 0.9},
                  {.name = "absent", .min_share = 0.9},
                  {.name = "empty", .min_share = 0.9}};
  const std::vector<TestResult> results = {
      {.name = "dark", .samples = 50, .passed = 44},
      {.name = "lit", .samples = 50, .passed = 45},
      {.name = "empty", .not_evaluated = "no test sample has weather = fog"}};
  const auto criteria = EvaluateCandidate(policy, Planted(50, 0, 0), results);
  EXPECT_EQ(Find(criteria, "test.lit").verdict, GateVerdict::kPass);
  EXPECT_EQ(Find(criteria, "test.dark").verdict, GateVerdict::kFail);
  EXPECT_THAT(Find(criteria, "test.dark").reason, HasSubstr("44 of 50"));
  EXPECT_EQ(Find(criteria, "test.absent").verdict, GateVerdict::kNotEvaluated);
  EXPECT_THAT(Find(criteria, "test.empty").reason, HasSubstr("fog"));
}

}  // namespace
}  // namespace tidewheel::training
