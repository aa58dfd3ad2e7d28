#include "tidewheel/labeling/domain/label_maker.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <string>

#include "tidewheel/base/random.h"
#include "tidewheel/labeling/domain/fake_stores.h"

namespace tidewheel::labeling {
namespace {

std::string Sample(int number) {
  std::array<char, 37> text{};
  std::snprintf(text.data(), text.size(), "018f0000-0000-7000-8000-%012x",
                static_cast<unsigned>(number));
  return text.data();
}

class LabelMakerTest : public testing::Test {
 protected:
  LabelMakerTest() {
    tasks_.tasks["lights"] = {
        .name = "lights", .version = 1, .classes = {"red", "yellow", "green"}};
  }

  void Vote(int sample, const std::string& annotator, const std::string& class_name) {
    labeling::Vote vote{.vote_id = VoteId(NewUuid()),
                        .sample_id = SampleId(Sample(sample)),
                        .class_name = class_name,
                        .annotator = annotator,
                        .annotator_kind = AnnotatorKind::kPerson,
                        .source = "test",
                        .voted_at = {}};
    votes_.in_force[{"lights", vote.sample_id.text(), annotator, "test"}] = vote;
    votes_.kinds[{"lights", annotator}] = AnnotatorKind::kPerson;
  }

  const std::vector<Label>& VersionsOf(int sample) { return labels_.labels[Sample(sample)]; }

  FakeTaskCatalogue tasks_;
  FakeVoteStore votes_;
  FakeLabelStore labels_{votes_};
  SystemClock clock_;
  LabelMaker maker_{tasks_, labels_, clock_, {}, /*labels_per_transaction=*/2};
};

TEST_F(LabelMakerTest, MajorityMakesOneLabelOfEachSample) {
  Vote(1, "ann", "red");
  Vote(1, "bob", "red");
  Vote(1, "eve", "green");
  Vote(2, "ann", "green");

  const auto report = maker_.Compute("lights", {});

  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->samples, 2u);
  EXPECT_EQ(report->votes, 4u);
  EXPECT_EQ(report->changed, 2u);
  EXPECT_EQ(report->unchanged, 0u);
  ASSERT_EQ(VersionsOf(1).size(), 1u);
  EXPECT_EQ(VersionsOf(1)[0].class_name, "red");
  EXPECT_NEAR(VersionsOf(1)[0].confidence, 2.0 / 3.0, 1e-9);
  EXPECT_EQ(VersionsOf(1)[0].votes, 3u);
  EXPECT_EQ(VersionsOf(1)[0].version, 1u);
  EXPECT_EQ(VersionsOf(2)[0].class_name, "green");
}

TEST_F(LabelMakerTest, RepeatChangesNothing) {
  for (int sample = 0; sample < 7; ++sample) Vote(sample, "ann", sample % 2 == 0 ? "red" : "green");
  ASSERT_TRUE(maker_.Compute("lights", {}).ok());
  const int saves = labels_.saves;

  const auto report = maker_.Compute("lights", {});

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->changed, 0u);
  EXPECT_EQ(report->unchanged, 7u);
  EXPECT_EQ(labels_.saves, saves);
}

TEST_F(LabelMakerTest, ChangedVotesMakeANewVersionAndKeepTheOld) {
  Vote(1, "ann", "red");
  Vote(2, "ann", "red");
  ASSERT_TRUE(maker_.Compute("lights", {}).ok());
  Vote(2, "ann", "yellow");

  const auto report = maker_.Compute("lights", {});

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->changed, 1u);
  EXPECT_EQ(report->unchanged, 1u);
  EXPECT_EQ(VersionsOf(1).size(), 1u);
  ASSERT_EQ(VersionsOf(2).size(), 2u);
  EXPECT_EQ(VersionsOf(2)[0].class_name, "red");
  EXPECT_EQ(VersionsOf(2)[1].class_name, "yellow");
  EXPECT_EQ(VersionsOf(2)[1].version, 2u);
}

TEST_F(LabelMakerTest, CrashMidwayAndARepeatComeToTheSameEnd) {
  for (int sample = 0; sample < 9; ++sample) Vote(sample, "ann", "red");
  labels_.saves_until_failure = 2;
  ASSERT_FALSE(maker_.Compute("lights", {}).ok());
  ASSERT_EQ(labels_.labels.size(), 4u);

  labels_.saves_until_failure = 1'000;
  const auto report = maker_.Compute("lights", {});

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->changed, 5u);
  EXPECT_EQ(report->unchanged, 4u);
  for (int sample = 0; sample < 9; ++sample) EXPECT_EQ(VersionsOf(sample).size(), 1u);
}

TEST_F(LabelMakerTest, TooFewVotesMakeNoLabelAndWithdrawAnOldOne) {
  Vote(1, "ann", "red");
  Vote(2, "ann", "red");
  Vote(2, "bob", "red");
  ASSERT_TRUE(maker_.Compute("lights", {}).ok());
  tasks_.tasks["lights"].min_votes = 2;

  const auto report = maker_.Compute("lights", {});
  const auto repeated = maker_.Compute("lights", {});

  ASSERT_TRUE(report.ok() && repeated.ok());
  EXPECT_EQ(report->without_label, 1u);
  EXPECT_EQ(report->unchanged, 1u);
  ASSERT_EQ(VersionsOf(1).size(), 2u);
  EXPECT_TRUE(VersionsOf(1)[1].withdrawn());
  EXPECT_FALSE(labels_.Find(SampleId(Sample(1))).ok());

  tasks_.tasks["lights"].min_votes = 1;
  ASSERT_TRUE(maker_.Compute("lights", {}).ok());
  ASSERT_EQ(VersionsOf(1).size(), 3u);
  EXPECT_EQ(VersionsOf(1)[2].class_name, "red");
}

TEST_F(LabelMakerTest, TiesAreReported) {
  Vote(1, "ann", "red");
  Vote(1, "bob", "green");
  Vote(2, "ann", "green");

  const auto report = maker_.Compute("lights", ConsensusMethod::kMajority);

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->ties, 1u);
  EXPECT_EQ(VersionsOf(1)[0].class_name, "green");  // The larger prior.
  EXPECT_NEAR(VersionsOf(1)[0].confidence, 0.5, 1e-9);
}

TEST_F(LabelMakerTest, DawidSkeneTrustsTheReliableMoreThanTheMany) {
  Random random(7);
  const std::array<std::string, 3> classes{"red", "yellow", "green"};
  int wrong_majority = 0;
  int wrong_weighted = 0;
  for (int sample = 0; sample < 400; ++sample) {
    const auto truth = static_cast<std::size_t>(random.Below(3));
    Vote(sample, "expert-1", random.Uniform() < 0.97 ? classes[truth] : classes[(truth + 1) % 3]);
    Vote(sample, "expert-2", random.Uniform() < 0.95 ? classes[truth] : classes[(truth + 2) % 3]);
    for (int w = 0; w < 3; ++w) {
      const auto said = random.Uniform() < 0.4 ? truth : static_cast<std::size_t>(random.Below(3));
      Vote(sample, "careless-" + std::to_string(w), classes[said]);
    }
  }
  const auto count_wrong = [&] {
    Random again(7);
    int wrong = 0;
    for (int sample = 0; sample < 400; ++sample) {
      const auto truth = static_cast<std::size_t>(again.Below(3));
      for (int draw = 0; draw < 2; ++draw) again.Uniform();
      for (int w = 0; w < 3; ++w) {
        if (again.Uniform() >= 0.4) again.Below(3);
      }
      wrong += VersionsOf(sample).back().class_name != classes[truth] ? 1 : 0;
    }
    return wrong;
  };
  ASSERT_TRUE(maker_.Compute("lights", ConsensusMethod::kMajority).ok());
  wrong_majority = count_wrong();

  const auto report = maker_.Compute("lights", ConsensusMethod::kDawidSkene);

  ASSERT_TRUE(report.ok());
  wrong_weighted = count_wrong();
  EXPECT_GT(report->rounds, 1u);
  EXPECT_LT(wrong_weighted, wrong_majority);
  ASSERT_EQ(labels_.annotators.size(), 5u);
  for (const AnnotatorQuality& judged : labels_.annotators) {
    if (judged.annotator.starts_with("expert")) {
      EXPECT_GT(judged.quality, 0.9) << judged.annotator;
    } else {
      EXPECT_LT(judged.quality, 0.75) << judged.annotator;
    }
    ASSERT_TRUE(judged.agreement.has_value());
    EXPECT_GE(*judged.agreement, 0.0);
    EXPECT_LE(*judged.agreement, 1.0);
  }
}

TEST_F(LabelMakerTest, YoungerComputationShutsTheOlderOut) {
  Vote(1, "ann", "red");
  const auto older = labels_.Begin("lights", ConsensusMethod::kMajority, {});
  ASSERT_TRUE(maker_.Compute("lights", {}).ok());

  const auto saved = labels_.Save(*older, {});

  ASSERT_FALSE(saved.ok());
  EXPECT_EQ(saved.error().code, ErrorCode::kAborted);
}

TEST_F(LabelMakerTest, NoVotesAndForeignClassesAreFailedPreconditions) {
  const auto none = maker_.Compute("lights", {});
  Vote(1, "ann", "purple");
  const auto foreign = maker_.Compute("lights", {});
  const auto unknown = maker_.Compute("signs", {});

  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(none.error().message.find("has no votes"), std::string::npos);
  ASSERT_FALSE(foreign.ok());
  EXPECT_EQ(foreign.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(foreign.error().message.find("purple"), std::string::npos);
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code, ErrorCode::kNotFound);
}

TEST(DiffersTest, SmallMovesOfConfidenceAreNoNews) {
  const Label standing{.label_id = {},
                       .sample_id = {},
                       .class_name = "red",
                       .confidence = 0.9,
                       .method = ConsensusMethod::kDawidSkene,
                       .version = 1,
                       .votes = 3,
                       .decided_at = {}};
  Label computed = standing;
  computed.confidence = 0.9004;
  EXPECT_FALSE(Differs(standing, computed));
  computed.confidence = 0.902;
  EXPECT_TRUE(Differs(standing, computed));
  computed = standing;
  computed.votes = 4;
  EXPECT_TRUE(Differs(standing, computed));
  computed = standing;
  computed.class_name = "green";
  EXPECT_TRUE(Differs(standing, computed));
}

}  // namespace
}  // namespace tidewheel::labeling
