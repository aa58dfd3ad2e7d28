#include "tidewheel/labeling/domain/vote_taker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tidewheel/labeling/domain/fake_stores.h"

namespace tidewheel::labeling {
namespace {

const std::string kFirst = "018f0000-0000-7000-8000-000000000001";
const std::string kSecond = "018f0000-0000-7000-8000-000000000002";
const std::string kThird = "018f0000-0000-7000-8000-000000000003";

class VoteTakerTest : public testing::Test {
 protected:
  VoteTakerTest() {
    tasks_.tasks["lights"] = {
        .name = "lights", .version = 1, .classes = {"red", "yellow", "green"}};
    store_.samples = {{kFirst, "a.png", std::string(64, 'a')},
                      {kSecond, "b.png", std::string(64, 'b')},
                      {kThird, "b2.png", std::string(64, 'c')}};
  }

  static NewVote Named(const std::string& name, const std::string& class_name,
                       const std::string& annotator = "ann") {
    return {.subject = {Subject::By::kName, name},
            .class_name = class_name,
            .annotator = annotator,
            .annotator_kind = AnnotatorKind::kPerson,
            .source = "test",
            .voted_at = {}};
  }

  FakeTaskCatalogue tasks_;
  FakeVoteStore store_;
  SystemClock clock_;
  VoteTaker taker_{tasks_, store_, clock_};
};

TEST_F(VoteTakerTest, FindsSamplesByNameDigestAndId) {
  NewVote by_digest = Named("", "red", "rule");
  by_digest.subject = {Subject::By::kSha256, std::string(64, 'b')};
  NewVote by_id = Named("", "green", "other");
  by_id.subject = {Subject::By::kSampleId, kThird};

  const auto report = taker_.Submit("lights", {Named("a.png", "red"), by_digest, by_id});

  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->accepted, 3u);
  EXPECT_TRUE(report->rejected.empty());
  EXPECT_EQ(store_.resolve_calls, 1);
  EXPECT_EQ(store_.in_force.size(), 3u);
}

TEST_F(VoteTakerTest, RepeatedRequestChangesNothing) {
  ASSERT_TRUE(taker_.Submit("lights", {Named("a.png", "red"), Named("b.png", "green")}).ok());

  const auto report = taker_.Submit("lights", {Named("a.png", "red"), Named("b.png", "green")});

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->accepted, 0u);
  EXPECT_EQ(report->unchanged, 2u);
  EXPECT_TRUE(store_.superseded.empty());
}

TEST_F(VoteTakerTest, ChangedMindKeepsTheOldVoteInHistory) {
  ASSERT_TRUE(taker_.Submit("lights", {Named("a.png", "red")}).ok());

  const auto report = taker_.Submit("lights", {Named("a.png", "green")});

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->accepted, 1u);
  ASSERT_EQ(store_.superseded.size(), 1u);
  EXPECT_EQ(store_.superseded[0].class_name, "red");
}

TEST_F(VoteTakerTest, UnknownTaskIsNotFound) {
  const auto report = taker_.Submit("signs", {Named("a.png", "red")});

  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, ErrorCode::kNotFound);
}

TEST_F(VoteTakerTest, ClassOutsideTheTaskIsRejectedWithTheClassesItHas) {
  const auto report = taker_.Submit("lights", {Named("a.png", "purple"), Named("b.png", "red")});

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->accepted, 1u);
  ASSERT_EQ(report->rejected.size(), 1u);
  EXPECT_EQ(report->rejected[0].index, 0u);
  EXPECT_EQ(report->rejected[0].reason,
            "class \"purple\" is not in task lights (red, yellow, green)");
}

TEST_F(VoteTakerTest, ClassOfAYoungerTaskVersionIsFoundBehindTheMemory) {
  tasks_.remembered["lights"] = tasks_.tasks["lights"];
  tasks_.tasks["lights"].classes.push_back("blue");

  const auto report = taker_.Submit("lights", {Named("a.png", "blue")});

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->accepted, 1u);
}

TEST_F(VoteTakerTest, EachBadVoteHasItsReason) {
  NewVote no_subject = Named("a.png", "red");
  no_subject.subject = {};
  NewVote bad_id = Named("a.png", "red");
  bad_id.subject = {Subject::By::kSampleId, "seven"};
  NewVote bad_digest = Named("a.png", "red");
  bad_digest.subject = {Subject::By::kSha256, "abc"};
  NewVote long_source = Named("a.png", "red");
  long_source.source = std::string(1'025, 'x');
  NewVote zero = Named("a.png", "red", std::string("a\0b", 3));

  const auto report =
      taker_.Submit("lights", {no_subject, bad_id, bad_digest, long_source, zero,
                               Named("a.png", "red", ""), Named("missing.png", "red")});

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->accepted, 0u);
  ASSERT_EQ(report->rejected.size(), 7u);
  EXPECT_NE(report->rejected[0].reason.find("names no sample"), std::string::npos);
  EXPECT_NE(report->rejected[1].reason.find("not a UUID"), std::string::npos);
  EXPECT_NE(report->rejected[2].reason.find("64 hexadecimal digits"), std::string::npos);
  EXPECT_NE(report->rejected[3].reason.find("limit is 1024"), std::string::npos);
  EXPECT_NE(report->rejected[4].reason.find("zero byte"), std::string::npos);
  EXPECT_NE(report->rejected[5].reason.find("annotator is empty"), std::string::npos);
  EXPECT_EQ(report->rejected[6].reason, "no sample named \"missing.png\" in task lights");
}

TEST_F(VoteTakerTest, NameOfTwoSamplesIsRejectedAsAmbiguous) {
  store_.samples.push_back({"018f0000-0000-7000-8000-000000000004", "a.png", std::string(64, 'd')});

  const auto report = taker_.Submit("lights", {Named("a.png", "red")});

  ASSERT_TRUE(report.ok());
  ASSERT_EQ(report->rejected.size(), 1u);
  EXPECT_NE(report->rejected[0].reason.find("2 samples"), std::string::npos);
}

TEST_F(VoteTakerTest, LaterVoteOfARequestOvertakesTheEarlierAndARepeatChangesNothing) {
  const std::vector<NewVote> votes = {Named("a.png", "red"), Named("b.png", "red"),
                                      Named("a.png", "green"), Named("b.png", "red")};

  const auto first = taker_.Submit("lights", votes);
  const auto second = taker_.Submit("lights", votes);

  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->accepted, 2u);
  EXPECT_EQ(first->unchanged, 1u);
  ASSERT_EQ(first->rejected.size(), 1u);
  EXPECT_EQ(first->rejected[0].index, 0u);
  EXPECT_NE(first->rejected[0].reason.find("overtaken by vote 2"), std::string::npos);
  EXPECT_EQ(second->accepted, 0u);
  EXPECT_TRUE(store_.superseded.empty());
}

TEST_F(VoteTakerTest, AnnotatorKeepsItsKind) {
  ASSERT_TRUE(taker_.Submit("lights", {Named("a.png", "red")}).ok());
  NewVote as_model = Named("b.png", "red");
  as_model.annotator_kind = AnnotatorKind::kModel;
  NewVote unsaid = Named("b2.png", "red");
  unsaid.annotator_kind.reset();

  const auto report = taker_.Submit("lights", {as_model, unsaid});

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->accepted, 1u);
  ASSERT_EQ(report->rejected.size(), 1u);
  EXPECT_EQ(report->rejected[0].reason,
            "annotator \"ann\" is known as person in task lights, not as model");
}

TEST_F(VoteTakerTest, TooManyVotesAreRefusedWhole) {
  const auto report = taker_.Submit("lights", std::vector<NewVote>(10'001, Named("a.png", "red")));

  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(report.error().message.find("10000"), std::string::npos);
}

TEST_F(VoteTakerTest, FailureOfTheStoreIsReturned) {
  store_.failure = Error{ErrorCode::kUnavailable, "away"};

  const auto report = taker_.Submit("lights", {Named("a.png", "red")});

  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code, ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace tidewheel::labeling
