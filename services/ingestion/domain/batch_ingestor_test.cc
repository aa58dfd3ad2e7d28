#include "tidewheel/ingestion/domain/batch_ingestor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tidewheel/ingestion/domain/fakes.h"

namespace tidewheel::ingestion {
namespace {

using testing::HasSubstr;

class BatchIngestorTest : public testing::Test {
 protected:
  static NewSample Push(std::string_view payload, std::string name) {
    NewSample sample;
    sample.payload = payload;
    sample.name = std::move(name);
    return sample;
  }
  std::vector<Verdict> Ingest(const std::vector<NewSample>& samples) {
    auto verdicts = ingestor_.Ingest("lights", samples);
    EXPECT_TRUE(verdicts.ok()) << verdicts.error().message;
    return verdicts.ok() ? *verdicts : std::vector<Verdict>(samples.size());
  }

  SystemClock clock_;
  FakeTasks tasks_;
  FakeExaminer examiner_;
  FakeNear near_;
  FakePayloads payloads_;
  FakeStore store_;
  BatchIngestor ingestor_{tasks_, examiner_, near_, payloads_, store_, clock_, {}};
};

TEST_F(BatchIngestorTest, AcceptsAndAnswersARepeatWithTheFirstAnswer) {
  const auto first = Ingest({Push("a", "a.jpg")});
  const auto again = Ingest({Push("a", "a.jpg")});

  EXPECT_EQ(first[0].disposition, Disposition::kAccepted);
  EXPECT_EQ(again[0].disposition, Disposition::kUnchanged);
  EXPECT_EQ(again[0].sample_id, first[0].sample_id);
  EXPECT_EQ(again[0].split, first[0].split);
  EXPECT_EQ(store_.saves, 1);
  EXPECT_EQ(payloads_.stored, 1U);
}

TEST_F(BatchIngestorTest, SetsAsideWithTheReasonAndKeepsTheBytes) {
  const auto verdicts =
      Ingest({Push("broken", "b.jpg"), Push("dark", "d.jpg"), Push("good", "g.jpg")});

  EXPECT_EQ(verdicts[0].reasons[0].code, ReasonCode::kUndecodable);
  EXPECT_EQ(verdicts[1].reasons[0].code, ReasonCode::kUnderexposed);
  EXPECT_EQ(verdicts[2].disposition, Disposition::kAccepted);
  EXPECT_EQ(payloads_.stored, 3U);
  EXPECT_EQ(Ingest({Push("broken", "b.jpg")})[0].disposition, Disposition::kUnchanged);
  EXPECT_EQ(store_.quarantined.size(), 2U);
}

TEST_F(BatchIngestorTest, SameBytesUnderAnotherNameAreAnExactDuplicate) {
  const auto verdicts = Ingest({Push("a", "a.jpg"), Push("a", "copy.jpg"), Push("a", "a.jpg")});

  EXPECT_EQ(verdicts[0].disposition, Disposition::kAccepted);
  EXPECT_EQ(verdicts[1].disposition, Disposition::kQuarantined);
  EXPECT_EQ(verdicts[1].reasons[0].code, ReasonCode::kExactDuplicate);
  EXPECT_EQ(verdicts[1].reasons[0].sample_id, verdicts[0].sample_id);
  EXPECT_EQ(verdicts[2].disposition, Disposition::kUnchanged);
  EXPECT_EQ(verdicts[2].sample_id, verdicts[0].sample_id);
  EXPECT_EQ(Ingest({Push("a", "third.jpg")})[0].reasons[0].code, ReasonCode::kExactDuplicate);
  EXPECT_EQ(payloads_.stored, 1U);
}

TEST_F(BatchIngestorTest, LookAlikesAreSetAsideOrGrouped) {
  const auto first = Ingest({Push("near:0", "0.jpg")});
  const auto verdicts =
      Ingest({Push("near:1", "1.jpg"), Push("near:3", "3.jpg"), Push("near:9", "9.jpg")});

  EXPECT_EQ(verdicts[0].reasons[0].code, ReasonCode::kNearDuplicate);
  EXPECT_EQ(verdicts[1].disposition, Disposition::kAccepted);
  EXPECT_EQ(store_.samples[verdicts[1].sha256].group, store_.samples[first[0].sha256].group);
  EXPECT_EQ(verdicts[1].split, first[0].split);
  EXPECT_NE(store_.samples[verdicts[2].sha256].group, store_.samples[first[0].sha256].group);
}

TEST_F(BatchIngestorTest, LookAlikesInOneBatchAreFoundToo) {
  const auto verdicts = Ingest({Push("near:0", "0.jpg"), Push("near:1", "1.jpg")});
  EXPECT_EQ(verdicts[1].reasons[0].code, ReasonCode::kNearDuplicate);
  EXPECT_EQ(verdicts[1].reasons[0].sample_id, verdicts[0].sample_id);
}

TEST_F(BatchIngestorTest, ALostRaceIsDecidedAgain) {
  Sample other;
  other.id = "other";
  other.name = "elsewhere.jpg";
  other.sha256 = examiner_.Hash("a");
  store_.races.push_back(other);

  const auto verdicts = Ingest({Push("a", "a.jpg"), Push("b", "b.jpg")});

  EXPECT_EQ(verdicts[0].reasons[0].code, ReasonCode::kExactDuplicate);
  EXPECT_EQ(verdicts[0].sample_id, "other");
  EXPECT_EQ(verdicts[1].disposition, Disposition::kAccepted);
  EXPECT_EQ(examiner_.examined, 2);
}

TEST_F(BatchIngestorTest, NothingIsAcknowledgedWhenTheDiskIsFull) {
  payloads_.full = true;
  const std::vector<NewSample> batch = {Push("a", "a.jpg")};
  EXPECT_EQ(ingestor_.Ingest("lights", batch).error().code, ErrorCode::kResourceExhausted);
  EXPECT_TRUE(store_.samples.empty());
}

TEST_F(BatchIngestorTest, BadInputNamesTheSampleTheFieldAndTheLimit) {
  const auto problem = [this](const NewSample& sample) {
    const std::vector<NewSample> batch = {Push("fine", "f.jpg"), sample};
    const auto result = ingestor_.Ingest("lights", batch);
    return result.ok() ? std::string("taken") : result.error().message;
  };
  EXPECT_THAT(problem(Push("", "x")), HasSubstr("sample 1 has no payload"));
  EXPECT_THAT(problem(Push("x", "")), HasSubstr("sample 1 has no name"));
  EXPECT_THAT(problem(Push("x", std::string(1'025, 'n'))), HasSubstr("the limit is 1024"));
  NewSample many = Push("x", "x");
  for (int i = 0; i < 65; ++i) many.metadata[std::to_string(i)] = "v";
  EXPECT_THAT(problem(many), HasSubstr("the limit is 64"));
  EXPECT_EQ(ingestor_.Ingest("dogs", std::vector{Push("x", "x")}).error().code,
            ErrorCode::kNotFound);
  EXPECT_EQ(ingestor_.Ingest("lights", {}).error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(store_.samples.empty());
}

TEST(AssignSplitTest, SharesHoldAndGroupsNeverPart) {
  const SplitPolicy policy{0.15, 0.2, 7, ""};
  std::map<Split, int> counts;
  for (int i = 0; i < 20'000; ++i) {
    const std::string group = "group-" + std::to_string(i);
    const Split split = AssignSplit(policy, group, {});
    EXPECT_EQ(split, AssignSplit(policy, group, {{"split", "test"}}));
    ++counts[split];
  }
  EXPECT_NEAR(counts[Split::kTest] / 20'000.0, 0.2, 0.01);
  EXPECT_NEAR(counts[Split::kValidation] / 20'000.0, 0.15, 0.01);
}

TEST(AssignSplitTest, AGivenSplitWinsAndTrainingIsDivided) {
  const SplitPolicy policy{0.25, 0.2, 7, "split"};
  std::map<Split, int> counts;
  for (int i = 0; i < 4'000; ++i) {
    const std::string group = "group-" + std::to_string(i);
    EXPECT_EQ(AssignSplit(policy, group, {{"split", "test"}}), Split::kTest);
    ++counts[AssignSplit(policy, group, {{"split", "training"}})];
  }
  EXPECT_EQ(counts[Split::kTest], 0);
  EXPECT_NEAR(counts[Split::kValidation] / 4'000.0, 0.25, 0.03);
}

TEST(AssignSplitTest, NeverChangesBetweenReleases) {
  const SplitPolicy policy{0.15, 0.15, 1, ""};
  std::string splits;
  for (int i = 0; i < 16; ++i) splits += Name(AssignSplit(policy, std::to_string(i), {}))[1];
  EXPECT_EQ(splits, "reaerrrraearrerr");
}

}  // namespace
}  // namespace tidewheel::ingestion
