#include "tidewheel/labeling/storage/postgres_vote_store.h"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tidewheel/labeling/storage/testing/storage_fixture.h"

namespace tidewheel::labeling {
namespace {

class PostgresVoteStoreTest : public StorageFixture {
 protected:
  static ResolvedVote NewVoteOn(int sample, const std::string& annotator,
                                const std::string& class_name,
                                AnnotatorKind kind = AnnotatorKind::kPerson) {
    return {.vote = {.vote_id = VoteId(NewUuid()),
                     .sample_id = SampleId(SampleUuid(sample)),
                     .class_name = class_name,
                     .annotator = annotator,
                     .annotator_kind = kind,
                     .source = "test",
                     .voted_at = SystemClock().Now()}};
  }
  SaveOutcome Save(const std::vector<ResolvedVote>& votes) {
    const auto outcome = PostgresVoteStore(*pool_).Save("lights", votes);
    EXPECT_TRUE(outcome.ok()) << outcome.error().message;
    return outcome ? *outcome : SaveOutcome{};
  }
};

TEST_F(PostgresVoteStoreTest, ResolvesByIdNameAndDigest) {
  AddSamples(3);
  Admin(
      "INSERT INTO ingestion.samples VALUES ('018f0000-0000-7000-8000-00000000ffff', 'signs', "
      "'\\x01', '1.png', NULL)");
  const std::vector<Subject> subjects = {
      {Subject::By::kName, "2.png"},
      {Subject::By::kSha256, std::string(63, '0') + "3"},
      {Subject::By::kSampleId, SampleUuid(1)},
      {Subject::By::kName, "2.png"},
      {Subject::By::kName, "x'y\"z\\.png"},
      {Subject::By::kSampleId, "018F0000-0000-7000-8000-00000000FFFF"}};

  const auto found = PostgresVoteStore(*pool_).Resolve("lights", subjects);

  ASSERT_TRUE(found.ok()) << found.error().message;
  ASSERT_EQ(found->size(), 6u);
  EXPECT_EQ((*found)[0].sample_id.text(), SampleUuid(2));
  EXPECT_EQ((*found)[1].sample_id.text(), SampleUuid(3));
  EXPECT_EQ((*found)[2].sample_id.text(), SampleUuid(1));
  EXPECT_EQ((*found)[3].sample_id.text(), SampleUuid(2));
  EXPECT_EQ((*found)[4].matches, 0u);
  EXPECT_EQ((*found)[5].matches, 0u);  // Of another task.
}

TEST_F(PostgresVoteStoreTest, SampleInUseGoesBeforeDeactivatedOnesOfItsName) {
  AddSamples(3);
  Admin(
      "UPDATE ingestion.samples SET name = 'same.png';"
      "UPDATE ingestion.samples SET deactivated_at = now() WHERE sample_id <> '" +
      SampleUuid(2) + "'");
  const std::vector<Subject> subjects = {{Subject::By::kName, "same.png"}};

  const auto found = PostgresVoteStore(*pool_).Resolve("lights", subjects);
  Admin("UPDATE ingestion.samples SET deactivated_at = NULL");
  const auto ambiguous = PostgresVoteStore(*pool_).Resolve("lights", subjects);

  ASSERT_TRUE(found.ok() && ambiguous.ok());
  EXPECT_EQ((*found)[0].sample_id.text(), SampleUuid(2));
  EXPECT_EQ((*ambiguous)[0].matches, 3u);
}

TEST_F(PostgresVoteStoreTest, RepeatsChangeNothingAndNewOpinionsKeepTheOldOnes) {
  const auto first = Save({NewVoteOn(1, "ann", "red"), NewVoteOn(2, "ann", "red")});
  const auto repeated = Save({NewVoteOn(1, "ann", "red"), NewVoteOn(2, "ann", "red")});
  const auto changed =
      Save({NewVoteOn(1, "ann", "green"), NewVoteOn(2, "ann", "red"), NewVoteOn(3, "ann", "red")});

  EXPECT_EQ(first.accepted, 2u);
  EXPECT_EQ(repeated.accepted, 0u);
  EXPECT_EQ(repeated.unchanged, 2u);
  EXPECT_EQ(changed.accepted, 2u);
  EXPECT_EQ(changed.unchanged, 1u);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.votes"), 4);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.votes WHERE superseded_at IS NOT NULL AND "
                   "class_name = 'red'"),
            1);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.votes_v1"), 3);
  EXPECT_EQ(Number("SELECT votes FROM labeling.annotators WHERE annotator = 'ann'"), 3);
}

TEST_F(PostgresVoteStoreTest, KindOfAnAnnotatorStays) {
  Save({NewVoteOn(1, "ann", "red", AnnotatorKind::kModel)});
  auto unsaid = NewVoteOn(2, "ann", "red");
  unsaid.kind_given = false;

  const auto outcome = Save({NewVoteOn(3, "ann", "red", AnnotatorKind::kPerson), unsaid});

  ASSERT_EQ(outcome.conflicts.size(), 1u);
  EXPECT_EQ(outcome.conflicts[0].place, 0u);
  EXPECT_EQ(outcome.conflicts[0].known, AnnotatorKind::kModel);
  EXPECT_EQ(outcome.accepted, 1u);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.votes WHERE annotator_kind = 'model'"), 2);
}

TEST_F(PostgresVoteStoreTest, ServiceCannotRewriteAVote) {
  Save({NewVoteOn(1, "ann", "red")});

  const auto rewritten = pool_->InTransaction([](pqxx::work& tx) -> Result<void> {
    tx.exec("UPDATE votes SET class_name = 'green'");
    return {};
  });
  const auto removed = pool_->InTransaction([](pqxx::work& tx) -> Result<void> {
    tx.exec("DELETE FROM votes");
    return {};
  });

  ASSERT_FALSE(rewritten.ok());
  EXPECT_EQ(rewritten.error().code, ErrorCode::kPermissionDenied);
  ASSERT_FALSE(removed.ok());
  EXPECT_EQ(removed.error().code, ErrorCode::kPermissionDenied);
}

TEST_F(PostgresVoteStoreTest, ConcurrentRequestsLeaveOneOpinionEach) {
  constexpr int kThreads = 4;
  constexpr int kSamples = 300;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::vector<ResolvedVote> votes;
      for (int s = 0; s < kSamples; ++s) {
        for (const std::string annotator : {"ann", "bob"}) {
          votes.push_back(NewVoteOn(s, annotator, t % 2 == 0 ? "red" : "green"));
        }
      }
      const auto saved = PostgresVoteStore(*pool_).Save("lights", votes);
      EXPECT_TRUE(saved.ok()) << saved.error().message;
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(Number("SELECT count(*) FROM labeling.votes_v1"), 2 * kSamples);
  EXPECT_EQ(Number("SELECT count(*) FROM (SELECT FROM labeling.votes_v1 GROUP BY sample_id, "
                   "annotator, source"
                   " HAVING count(*) > 1) AS doubled"),
            0);
  EXPECT_EQ(Number("SELECT sum(votes) FROM labeling.annotators"), 2 * kSamples);
}

TEST_F(PostgresVoteStoreTest, ListsInForceInPages) {
  std::vector<ResolvedVote> votes;
  for (int s = 1; s <= 5; ++s) votes.push_back(NewVoteOn(s, "ann", "red"));
  Save(votes);
  Save({NewVoteOn(1, "ann", "green"), NewVoteOn(1, "bob \"b\"", "red")});
  PostgresVoteStore store(*pool_);

  std::vector<Vote> all;
  VoteId after;
  for (int page = 0; page < 10; ++page) {
    const auto listed = store.List({"lights", {}}, after, 2);
    ASSERT_TRUE(listed.ok()) << listed.error().message;
    if (listed->empty()) break;
    all.insert(all.end(), listed->begin(), listed->end());
    after = listed->back().vote_id;
  }
  const auto of_first = store.List({"lights", SampleId(SampleUuid(1))}, {}, 10);

  EXPECT_EQ(all.size(), 6u);
  ASSERT_TRUE(of_first.ok());
  ASSERT_EQ(of_first->size(), 2u);
  std::map<std::string, std::string> said;
  for (const Vote& vote : *of_first) said[vote.annotator] = vote.class_name;
  EXPECT_EQ(said, (std::map<std::string, std::string>{{"ann", "green"}, {"bob \"b\"", "red"}}));
}

TEST_F(PostgresVoteStoreTest, TenThousandVotesAreResolvedAndSavedWithinSeconds) {
  constexpr int kVotes = 10'000;
  AddSamples(kVotes);
  std::vector<Subject> subjects;
  std::vector<ResolvedVote> votes;
  for (int s = 1; s <= kVotes; ++s) {
    subjects.push_back({Subject::By::kName, std::to_string(s) + ".png"});
    votes.push_back(NewVoteOn(s, "ann", "red"));
  }
  PostgresVoteStore store(*pool_);
  const auto started = std::chrono::steady_clock::now();

  const auto resolved = store.Resolve("lights", subjects);
  const auto outcome = store.Save("lights", votes);

  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - started;
  ASSERT_TRUE(resolved.ok() && outcome.ok());
  EXPECT_EQ(outcome->accepted, 10'000u);
  for (const Resolution& resolution : *resolved) ASSERT_EQ(resolution.matches, 1u);
  RecordProperty("seconds", std::to_string(taken.count()));
  EXPECT_LT(taken.count(), 5) << "10,000 votes took " << taken.count() << " s";
}

}  // namespace
}  // namespace tidewheel::labeling
