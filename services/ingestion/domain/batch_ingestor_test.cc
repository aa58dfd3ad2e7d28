#include "tidewheel/ingestion/domain/batch_ingestor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "tidewheel/base/random.h"

namespace tidewheel::ingestion {
namespace {

using testing::HasSubstr;

/// Payloads are words: "dark..." is underexposed, "broken..." cannot be decoded, "near:N:..." hashes to N low bits.
class FakeExaminer final : public Examiner {
 public:
  Examination Examine(std::string_view payload, const QualityRules& /*rules*/) const override {
    ++examined;
    Examination examination;
    examination.decoded = !payload.starts_with("broken");
    examination.width = examination.height = 32;
    if (!examination.decoded) {
      examination.reasons = {{ReasonCode::kUndecodable, "JPEG ends early", ""}};
    } else if (payload.starts_with("dark")) {
      examination.reasons = {{ReasonCode::kUnderexposed, "mean luminance 1 is below 6", ""}};
    }
    const std::uint64_t word = StableHash(payload);
    examination.hash = {word, ~word};
    if (payload.starts_with("near:")) examination.hash = {(1ULL << (payload[5] - '0')) - 1, 0};
    return examination;
  }
  Digest Hash(std::string_view payload) const override {
    Digest digest;
    const std::uint64_t word = StableHash(payload);
    std::memcpy(digest.bytes.data(), &word, sizeof word);
    return digest;
  }
  mutable int examined = 0;
};

class FakeTasks final : public TaskSource {
 public:
  Result<std::shared_ptr<const TaskRules>> Find(const std::string& task) override {
    if (task != rules.name) return Error{ErrorCode::kNotFound, "no task " + task};
    return std::shared_ptr<const TaskRules>(std::make_shared<TaskRules>(rules));
  }
  TaskRules rules{"lights", {}, 1, 4, {}};
};

class FakeNear final : public NearDuplicates {
 public:
  Result<std::optional<NearSample>> Nearest(const std::string& /*task*/, const PictureHash& hash,
                                            int radius) override {
    std::optional<NearSample> best;
    for (const auto& [stored, sample] : samples) {
      const int distance = Distance(stored, hash);
      if (distance <= radius && (!best || distance < best->distance)) {
        best = sample;
        best->distance = distance;
      }
    }
    return best;
  }
  void Add(const std::string& /*task*/, const PictureHash& hash, const std::string& sample_id,
           const std::string& group) override {
    samples.push_back({hash, {sample_id, group, 0}});
  }
  std::vector<std::pair<PictureHash, NearSample>> samples;
};

class FakePayloads final : public PayloadStore {
 public:
  Result<std::vector<std::string>> PutMany(std::span<const std::string_view> payloads) override {
    if (full) return Error{ErrorCode::kResourceExhausted, "the disk is full"};
    std::vector<std::string> refs;
    for (const auto payload : payloads) refs.push_back("ref:" + std::string(payload));
    stored += payloads.size();
    return refs;
  }
  Result<std::string> Get(const std::string& ref) const override { return ref.substr(4); }
  bool full = false;
  std::size_t stored = 0;
};

class FakeStore final : public SampleStore {
 public:
  Result<KnownPushes> FindKnown(const std::string& /*task*/,
                                std::span<const PushedName> names) override {
    KnownPushes known;
    for (const auto& pushed : names) {
      const auto sample = samples.find(pushed.sha256);
      known.samples.push_back(sample == samples.end()
                                  ? std::nullopt
                                  : std::optional(KnownSample{sample->second.id, sample->second.name,
                                                              sample->second.split}));
      const auto aside = quarantined.find({pushed.sha256, pushed.name});
      known.quarantined.push_back(aside == quarantined.end() ? std::nullopt
                                                             : std::optional(aside->second.reasons));
    }
    return known;
  }
  Result<bool> Save(const BatchToStore& batch) override {
    if (!races.empty()) {
      const Sample other = races.front();
      races.pop_front();
      samples.emplace(other.sha256, other);
      return false;
    }
    for (const auto& sample : batch.samples) samples.emplace(sample.sha256, sample);
    for (const auto& sample : batch.quarantined) {
      quarantined.emplace(std::pair(sample.sha256, sample.name), sample);
    }
    ++saves;
    return true;
  }
  Result<std::optional<Sample>> Find(const std::string&) override { return std::optional<Sample>(); }
  Result<Page<Sample>> List(const SampleFilter&, const PageRequest&) override { return Page<Sample>{}; }
  Result<Sample> Deactivate(const std::string&, const std::string&, Timestamp) override {
    return Error{ErrorCode::kNotFound, "no sample"};
  }
  Result<Page<QuarantinedSample>> ListQuarantine(const std::string&, std::optional<ReasonCode>,
                                                 const PageRequest&) override {
    return Page<QuarantinedSample>{};
  }
  Result<SampleCounts> Count(const std::string&) override { return SampleCounts{}; }

  std::map<Digest, Sample> samples;
  std::map<std::pair<Digest, std::string>, QuarantinedSample> quarantined;
  std::deque<Sample> races;  // Stored by somebody else at the next saves.
  int saves = 0;
};

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
  const auto verdicts = Ingest({Push("broken", "b.jpg"), Push("dark", "d.jpg"), Push("good", "g.jpg")});

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
  const auto verdicts = Ingest({Push("near:1", "1.jpg"), Push("near:3", "3.jpg"), Push("near:9", "9.jpg")});

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
  EXPECT_EQ(ingestor_.Ingest("dogs", std::vector{Push("x", "x")}).error().code, ErrorCode::kNotFound);
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
