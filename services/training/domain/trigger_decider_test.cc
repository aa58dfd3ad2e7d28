#include "tidewheel/training/domain/trigger_decider.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tidewheel/base/random.h"
#include "tidewheel/training/domain/acquisition.h"

namespace tidewheel::training {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

class TriggerDeciderTest : public ::testing::Test {
 protected:
  TriggerDeciderTest() {
    policy_.enabled = true;
    policy_.alert_causes = {"data_drift", "concept_drift"};
  }
  std::string Because() { return DecideTrigger(policy_, trigger_, now_, at_).because; }

  CyclePolicy policy_;
  CycleTrigger trigger_{"alert", "alert-1", "data_drift", 0.2, {}};
  TaskCycles now_;
  const Timestamp at_{seconds(1'700'000'000)};
};

TEST_F(TriggerDeciderTest, ACycleThatCouldNeedMoreThanTheDayHasLeftDoesNotStart) {
  policy_.max_labels = 100;
  policy_.max_labels_per_day = 250;
  policy_.max_cpu_seconds = 60;
  policy_.max_cpu_seconds_per_day = 150;
  now_.labels_of_day = 150;
  now_.cpu_seconds_of_day = 90;
  EXPECT_EQ(Because(), "");
  now_.labels_of_day = 151;
  EXPECT_EQ(Because(), "budget");
  EXPECT_THAT(DecideTrigger(policy_, trigger_, now_, at_).reason,
              HasSubstr("151 of 250 labels of 24 hours are spent, a cycle may need 100"));
  trigger_ = {"labels", "", "", 0, {}};  // Asks for none.
  EXPECT_EQ(Because(), "");
  now_.cpu_seconds_of_day = 90.5;
  EXPECT_EQ(Because(), "budget");
  EXPECT_THAT(DecideTrigger(policy_, trigger_, now_, at_).reason, HasSubstr("90.5 of 150 s"));
  trigger_ = {"hand", "", "", 0, {}};  // People may.
  EXPECT_EQ(Because(), "");
  trigger_ = {"schedule", "", "", 0, {}};
  policy_.max_labels_per_day = 0;
  policy_.max_cpu_seconds_per_day = 0;
  EXPECT_EQ(Because(), "");
}

TEST_F(TriggerDeciderTest, StartsWhereNothingSpeaksAgainstIt) {
  const auto verdict = DecideTrigger(policy_, trigger_, now_, at_);
  EXPECT_TRUE(verdict.start);
  EXPECT_THAT(verdict.reason, HasSubstr("data_drift with an expected damage of 0.2"));
}

TEST_F(TriggerDeciderTest, SaysWhyNot) {
  policy_.max_labels = 0;
  EXPECT_EQ(Because(), "budget");
  now_.ended_at = at_ - seconds(3'599);
  EXPECT_EQ(Because(), "cooldown");
  now_.open_cycle_id = "cycle-1";
  EXPECT_EQ(Because(), "cycle_running");
  trigger_.damage = 0.009;
  EXPECT_EQ(Because(), "harmless");
  trigger_.alert_cause = "prediction_drift";
  EXPECT_EQ(Because(), "not_in_policy");
  policy_.enabled = false;
  EXPECT_EQ(Because(), "disabled");
  trigger_.alert_cause = "sensor_fault";
  EXPECT_EQ(Because(), "sensor_fault");
}

TEST_F(TriggerDeciderTest, WhatATrainingDoesNotHelpAgainstStartsNoneWhateverThePolicySays) {
  for (const char* cause : {"silence", "data_quality", "annotator_quality", "sensor_fault"}) {
    policy_.alert_causes = {cause};
    trigger_.alert_cause = cause;
    EXPECT_FALSE(DecideTrigger(policy_, trigger_, now_, at_).start) << cause;
  }
}

TEST_F(TriggerDeciderTest, ByHandOnlyARunningCycleStopsIt) {
  trigger_ = {"hand", "", "", 0, {}};
  policy_.enabled = false;
  now_.ended_at = at_;
  EXPECT_TRUE(DecideTrigger(policy_, trigger_, now_, at_).start);
  now_.open_cycle_id = "cycle-1";
  EXPECT_EQ(Because(), "cycle_running");
}

TEST_F(TriggerDeciderTest, TheCooldownIsOver) {
  now_.ended_at = at_ - seconds(3'600);
  EXPECT_TRUE(DecideTrigger(policy_, trigger_, now_, at_).start);
}

class AcquisitionTest : public ::testing::Test {
 protected:
  static AcquisitionList List(const std::string& reason, double share, int from, int to,
                              const std::string& split = "training") {
    AcquisitionList list{reason, share, {}};
    for (int i = from; i < to; ++i) {
      const std::string name = std::to_string(i);
      list.candidates.push_back(
          {{"r-" + name, 0, "", 1.0},
           {"s-" + name, "r-" + name + "#0", "", "", split, "uncertain", 0, false}});
    }
    return list;
  }
  /// Traffic of which every second input was captured at random; of each ten, two are of the test
  /// and one is of the validation split.
  static AcquisitionList Traffic(double share, int count) {
    AcquisitionList list = List("random", share, 0, count);
    for (int i = 0; i < count; ++i) {
      CapturedSample& sample = list.candidates[static_cast<std::size_t>(i)].sample;
      sample.split = i % 10 < 2 ? "test" : i % 10 == 2 ? "validation" : "training";
      if (i / 10 % 2 == 0) continue;
      sample.captured_because = "random";
      sample.inclusion_probability = 0.1;
    }
    return list;
  }
  static int Number(const CycleSample& sample) { return std::stoi(sample.sample_id.substr(2)); }
  static std::map<std::string, int> Counts(const std::vector<CycleSample>& chosen) {
    std::map<std::string, int> counts;
    for (const auto& sample : chosen) ++counts[sample.reason];
    return counts;
  }
};

TEST_F(AcquisitionTest, SharesAreKeptToOne) {
  const auto chosen = Choose({List("random", 0.2, 0, 100), List("drifted", 0.4, 100, 200),
                              List("uncertain", 0.4, 200, 300)},
                             {.samples = 11});
  EXPECT_EQ(chosen.size(), 11U);
  const auto counts = Counts(chosen);
  EXPECT_EQ(counts.at("random"), 2);
  EXPECT_EQ(counts.at("drifted") + counts.at("uncertain"), 9);
}

TEST_F(AcquisitionTest, NoSampleAndNoGroupTwiceAndNoneThatIsKnown) {
  auto drifted = List("drifted", 0.5, 0, 10);
  auto uncertain = List("uncertain", 0.5, 0, 10);
  drifted.candidates[1].sample.group = drifted.candidates[2].sample.group = "same";
  uncertain.candidates[1].sample.group = uncertain.candidates[2].sample.group = "same";
  drifted.candidates[3].sample.known = uncertain.candidates[3].sample.known = true;
  const auto chosen = Choose({drifted, uncertain}, {.samples = 20});
  std::set<std::string> samples;
  for (const auto& sample : chosen) samples.insert(sample.sample_id);
  EXPECT_EQ(chosen.size(), 8U);
  EXPECT_EQ(samples.size(), 8U);
  EXPECT_FALSE(samples.contains("s-3"));
  EXPECT_NE(samples.contains("s-1"), samples.contains("s-2"));
  EXPECT_EQ(CountChoosable({drifted, uncertain}).samples, 8U);
}

TEST_F(AcquisitionTest, TheControlComesFromWhatWasCapturedAtRandomWithItsProbability) {
  auto random = List("random", 1, 0, 40);
  for (std::size_t i = 0; i < 40; i += 2) {
    random.candidates[i].sample.captured_because = "random";
    random.candidates[i].sample.inclusion_probability = 0.1;
  }
  const auto chosen = Choose({random}, {.samples = 5});
  ASSERT_EQ(chosen.size(), 5U);
  for (const auto& sample : chosen) {
    EXPECT_DOUBLE_EQ(sample.inclusion_probability, 0.1 * 5 / 20);
    EXPECT_EQ(Number(sample) % 2, 0);
  }
}

TEST_F(AcquisitionTest, WhatOneOrderCannotFillTheOthersDo) {
  const auto chosen =
      Choose({List("slice", 0.5, 0, 2), List("uncertain", 0.5, 10, 100)}, {.samples = 20});
  EXPECT_EQ(chosen.size(), 20U);
  EXPECT_EQ(Counts(chosen).at("slice"), 2);
}

TEST_F(AcquisitionTest, WhatIsHeldOutIsDrawnAndWhatIsLearnedFromIsChosen) {
  const auto traffic = Traffic(0.2, 1'000);
  auto uncertain = traffic;
  uncertain.reason = "uncertain";
  uncertain.share = 0.8;
  const LabelBudget budget{.samples = 100, .test = 25, .validation = 10};
  const auto chosen = Choose({traffic, uncertain}, budget);
  EXPECT_EQ(chosen.size(), 100U);
  std::map<std::string, int> splits;
  std::map<std::string, int> by_chance;
  for (const auto& sample : chosen) {
    const auto& from = traffic.candidates.at(static_cast<std::size_t>(Number(sample))).sample;
    ++splits[from.split];
    if (sample.reason != "random") {
      EXPECT_EQ(from.split, "training");
      EXPECT_EQ(sample.inclusion_probability, 0);
      continue;
    }
    EXPECT_EQ(from.captured_because, "random");
    ++by_chance[from.split];
    // Of each split's that were captured at random, so many were drawn.
    const double drawn = from.split == "test"         ? 25.0 / 100
                         : from.split == "validation" ? 10.0 / 50
                                                      : 13.0 / 350;
    EXPECT_DOUBLE_EQ(sample.inclusion_probability, 0.1 * drawn);
  }
  EXPECT_THAT(splits,
              (std::map<std::string, int>{{"test", 25}, {"validation", 10}, {"training", 65}}));
  EXPECT_EQ(by_chance["training"], 13);

  const auto choosable = CountChoosable({traffic, uncertain});
  EXPECT_EQ(choosable.samples, 700U + 100 + 50);
  EXPECT_EQ(choosable.test, 100U);
  EXPECT_EQ(choosable.validation, 50U);
}

TEST_F(AcquisitionTest, NoLabelIsLeftWhereASplitHasTooFew) {
  // Four in the test split, all captured at random; training fills what is left.
  auto traffic = Traffic(0, 40);
  auto chosen =
      Choose({traffic, List("drifted", 1, 100, 200)}, {.samples = 50, .test = 10, .validation = 1});
  EXPECT_EQ(chosen.size(), 50U);
  EXPECT_EQ(Counts(chosen).at("random"), 5);
  // Three to learn from: the held-out ones take what is left, with one probability for all.
  chosen =
      Choose({traffic, List("drifted", 1, 100, 103)}, {.samples = 34, .test = 2, .validation = 0});
  int test = 0;
  for (const auto& sample : chosen) {
    if (Number(sample) < 40 && Number(sample) % 10 < 2) {
      ++test;
      EXPECT_DOUBLE_EQ(sample.inclusion_probability, 0.1 * 3 / 4);
    }
  }
  EXPECT_EQ(chosen.size(), 34U);
  EXPECT_EQ(test, 3);
}

TEST_F(AcquisitionTest, DiverseSamplesLieFarFromEverythingThatIsChosen) {
  // Ninety inputs of one kind, nine of another and a single one far from both.
  auto diverse = List("diverse", 1, 0, 100);
  Random random(1);
  for (int i = 0; i < 100; ++i) {
    const float place = i < 90 ? 0.0F : i < 99 ? 10.0F : -5.0F;
    diverse.candidates[static_cast<std::size_t>(i)].prediction.embedding = {
        place + static_cast<float>(random.Uniform()), 100 * static_cast<float>(random.Uniform())};
  }
  std::set<int> kinds;
  for (const auto& sample : Choose({diverse}, {.samples = 6})) {
    kinds.insert(Number(sample) < 90 ? 0 : Number(sample) < 99 ? 1 : 2);
    EXPECT_EQ(sample.reason, "diverse");
  }
  EXPECT_EQ(kinds.size(), 3U);
  // What another list chose is not chosen again, nor its like.
  const auto chosen = Choose({List("drifted", 0.5, 99, 100), diverse}, {.samples = 2});
  ASSERT_EQ(chosen.size(), 2U);
  EXPECT_EQ(chosen[0].sample_id, "s-99");
  EXPECT_GE(Number(chosen[1]), 90);
}

TEST_F(AcquisitionTest, WithoutEmbeddingsDiverseSamplesComeInTheirOrder) {
  const auto chosen = Choose({List("diverse", 1, 0, 50)}, {.samples = 3});
  ASSERT_EQ(chosen.size(), 3U);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Number(chosen[static_cast<std::size_t>(i)]), i);
}

TEST_F(AcquisitionTest, LabelsAreDividedByVotes) {
  CyclePolicy policy;
  policy.max_labels = 100;
  policy.votes_per_sample = 3;
  policy.acquire_test = 0.3;
  policy.acquire_validation = 0.1;
  EXPECT_EQ(BudgetOf(policy).samples, 33U);
  EXPECT_EQ(BudgetOf(policy).test, 10U);
  EXPECT_EQ(BudgetOf(policy).validation, 3U);
  policy.acquire_slice = 0.1;
  EXPECT_EQ(AcquisitionListsOf(policy, "").size(), 3U);
  EXPECT_EQ(AcquisitionListsOf(policy, "site=north").size(), 4U);
  policy.acquire_random = 0;
  EXPECT_EQ(AcquisitionListsOf(policy, "").at(0).reason, "random");
}

}  // namespace
}  // namespace tidewheel::training
