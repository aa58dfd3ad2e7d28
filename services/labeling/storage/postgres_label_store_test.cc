#include "tidewheel/labeling/storage/postgres_label_store.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/labeling/domain/fake_stores.h"
#include "tidewheel/labeling/domain/label_maker.h"
#include "tidewheel/labeling/storage/postgres_vote_store.h"
#include "tidewheel/labeling/storage/testing/storage_fixture.h"

namespace tidewheel::labeling {
namespace {

class PostgresLabelStoreTest : public StorageFixture {
 protected:
  PostgresLabelStoreTest() {
    tasks_.tasks["lights"] = {
        .name = "lights", .version = 1, .classes = {"red", "yellow", "green"}};
  }
  void SetUp() override {
    StorageFixture::SetUp();
    if (IsSkipped()) return;
    store_ = std::make_unique<PostgresLabelStore>(*pool_);
    maker_ = std::make_unique<LabelMaker>(tasks_, *store_, clock_, LabelCounters{}, 2);
  }

  void Vote(int sample, const std::string& annotator, const std::string& class_name) {
    const std::vector<ResolvedVote> votes = {{.vote = {.vote_id = VoteId(NewUuid()),
                                                       .sample_id = SampleId(SampleUuid(sample)),
                                                       .class_name = class_name,
                                                       .annotator = annotator,
                                                       .annotator_kind = AnnotatorKind::kPerson,
                                                       .source = "test",
                                                       .voted_at = clock_.Now()}}};
    const auto saved = PostgresVoteStore(*pool_).Save("lights", votes);
    ASSERT_TRUE(saved.ok()) << saved.error().message;
  }

  FakeTaskCatalogue tasks_;
  SystemClock clock_;
  std::unique_ptr<PostgresLabelStore> store_;
  std::unique_ptr<LabelMaker> maker_;
};

TEST_F(PostgresLabelStoreTest, ComputationKeepsVersionsAndQueuesOneEventEach) {
  for (int sample = 1; sample <= 5; ++sample)
    Vote(sample, "ann", sample % 2 == 0 ? "red" : "green");
  ASSERT_TRUE(maker_->Compute("lights", {}).ok());
  Vote(3, "ann", "yellow");

  const auto report = maker_->Compute("lights", {});

  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->changed, 1u);
  EXPECT_EQ(report->unchanged, 4u);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.labels"), 6);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.labels_v1"), 5);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.outbox WHERE topic = 'tidewheel.labels' AND type "
                   "= 'label.decided'"),
            6);
  EXPECT_EQ(
      Number("SELECT number FROM labeling.consensus WHERE finished_at IS NOT NULL AND changed = 1"),
      2);

  const auto history = store_->Find(SampleId(SampleUuid(3)));
  ASSERT_TRUE(history.ok());
  EXPECT_EQ(history->label.class_name, "yellow");
  EXPECT_EQ(history->label.version, 2u);
  ASSERT_EQ(history->earlier.size(), 1u);
  EXPECT_EQ(history->earlier[0].class_name, "green");
}

TEST_F(PostgresLabelStoreTest, EventsSayWhatTheLabelSays) {
  Vote(1, "ann", "green");
  ASSERT_TRUE(maker_->Compute("lights", {}).ok());

  const auto payload = admin_->ReadOnly([](pqxx::transaction_base& tx) -> Result<std::string> {
    return postgres::BytesOf(tx.exec1("SELECT payload FROM labeling.outbox")[0]);
  });

  ASSERT_TRUE(payload.ok());
  events::v1::LabelEvent event;
  ASSERT_TRUE(event.ParseFromString(*payload));
  EXPECT_EQ(event.sample_id(), SampleUuid(1));
  EXPECT_EQ(event.task(), "lights");
  EXPECT_EQ(event.class_name(), "green");
  EXPECT_EQ(event.version(), 1u);
  EXPECT_EQ(event.method(), "majority");
}

TEST_F(PostgresLabelStoreTest, WithdrawnLabelsLeaveTheViewAndComeBackAsNewVersions) {
  Vote(1, "ann", "red");
  ASSERT_TRUE(maker_->Compute("lights", {}).ok());
  tasks_.tasks["lights"].min_votes = 2;
  ASSERT_TRUE(maker_->Compute("lights", {}).ok());

  EXPECT_EQ(Number("SELECT count(*) FROM labeling.labels_v1"), 0);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.outbox WHERE type = 'label.withdrawn'"), 1);
  const auto withdrawn = store_->Find(SampleId(SampleUuid(1)));
  ASSERT_FALSE(withdrawn.ok());
  EXPECT_EQ(withdrawn.error().code, ErrorCode::kNotFound);

  Vote(1, "bob", "red");
  ASSERT_TRUE(maker_->Compute("lights", {}).ok());
  EXPECT_EQ(Number("SELECT version FROM labeling.labels_v1"), 3);
}

TEST_F(PostgresLabelStoreTest, OlderComputationIsShutOut) {
  Vote(1, "ann", "red");
  const auto older = store_->Begin("lights", ConsensusMethod::kMajority, clock_.Now());
  ASSERT_TRUE(older.ok());
  ASSERT_TRUE(maker_->Compute("lights", {}).ok());
  const std::vector<Label> late = {{.label_id = LabelId(NewUuid()),
                                    .sample_id = SampleId(SampleUuid(1)),
                                    .class_name = "green",
                                    .confidence = 1,
                                    .method = ConsensusMethod::kMajority,
                                    .version = 2,
                                    .votes = 1,
                                    .decided_at = clock_.Now()}};

  const auto saved = store_->Save(*older, late);
  const auto finished = store_->Finish(*older, {}, {}, clock_.Now());

  ASSERT_FALSE(saved.ok());
  EXPECT_EQ(saved.error().code, ErrorCode::kAborted);
  ASSERT_FALSE(finished.ok());
  EXPECT_EQ(finished.error().code, ErrorCode::kAborted);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.labels"), 1);
}

TEST_F(PostgresLabelStoreTest, InterruptedComputationIsCompletedByARepeat) {
  for (int sample = 1; sample <= 7; ++sample) Vote(sample, "ann", "red");
  ASSERT_TRUE(maker_->Compute("lights", {}).ok());
  // What a crash after the second transaction would have left behind.
  Admin("DELETE FROM labeling.labels WHERE sample_id > '" + SampleUuid(4) +
        "'; DELETE FROM labeling.outbox");

  const auto report = maker_->Compute("lights", {});

  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->changed, 3u);
  EXPECT_EQ(
      Number("SELECT count(*) FROM labeling.labels_v1 WHERE class_name = 'red' AND version = 1"),
      7);
  EXPECT_EQ(Number("SELECT count(*) FROM labeling.outbox"), 3);
}

TEST_F(PostgresLabelStoreTest, AnnotatorsCarryTheirQuality) {
  for (int sample = 1; sample <= 20; ++sample) {
    Vote(sample, "ann", "red");
    Vote(sample, "bob", "red");
    Vote(sample, "eve", "green");
  }
  const auto before = store_->ListAnnotators("lights", "", 10);
  ASSERT_TRUE(maker_->Compute("lights", ConsensusMethod::kMajority).ok());

  const auto after = store_->ListAnnotators("lights", "", 10);
  const auto rest = store_->ListAnnotators("lights", "ann", 1);

  ASSERT_TRUE(before.ok() && after.ok() && rest.ok());
  ASSERT_EQ(before->size(), 3u);
  EXPECT_FALSE((*before)[0].quality.has_value());
  ASSERT_EQ(after->size(), 3u);
  EXPECT_EQ((*after)[0].annotator, "ann");
  EXPECT_EQ((*after)[0].votes, 20u);
  EXPECT_EQ((*after)[0].agreement, 1.0);
  EXPECT_EQ((*after)[2].agreement, 0.0);
  EXPECT_GT((*after)[0].quality.value(), (*after)[2].quality.value());
  ASSERT_EQ(rest->size(), 1u);
  EXPECT_EQ((*rest)[0].annotator, "bob");
}

TEST_F(PostgresLabelStoreTest, ListsLabelsInPagesAndByClass) {
  for (int sample = 1; sample <= 5; ++sample) Vote(sample, "ann", sample == 2 ? "green" : "red");
  ASSERT_TRUE(maker_->Compute("lights", {}).ok());

  const auto first = store_->List({"lights", ""}, {}, 2);
  ASSERT_TRUE(first.ok());
  ASSERT_EQ(first->size(), 2u);
  const auto second = store_->List({"lights", ""}, first->back().sample_id, 10);
  const auto green = store_->List({"lights", "green"}, {}, 10);

  ASSERT_TRUE(second.ok() && green.ok());
  EXPECT_EQ(second->size(), 3u);
  ASSERT_EQ(green->size(), 1u);
  EXPECT_EQ((*green)[0].sample_id.text(), SampleUuid(2));
}

TEST_F(PostgresLabelStoreTest, CurationMayReadTheViewsAndNothingElse) {
  Vote(1, "ann", "red");
  ASSERT_TRUE(maker_->Compute("lights", {}).ok());
  postgres::Pool curation({.dsn = database_.DsnOf("tidewheel_curation"), .search_path = {}});

  const auto seen = curation.ReadOnly([](pqxx::transaction_base& tx) -> Result<long> {
    return tx
        .exec1(
            "SELECT (SELECT count(*) FROM labeling.labels_v1) + (SELECT count(*) FROM "
            "labeling.votes_v1)")[0]
        .as<long>();
  });
  const auto refused = curation.ReadOnly([](pqxx::transaction_base& tx) -> Result<long> {
    return tx.exec1("SELECT count(*) FROM labeling.votes")[0].as<long>();
  });

  ASSERT_TRUE(seen.ok()) << seen.error().message;
  EXPECT_EQ(*seen, 2);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kPermissionDenied);
}

TEST_F(PostgresLabelStoreTest, SeventyThousandVotesBecomeLabelsWithinSeconds) {
  Admin(
      "INSERT INTO labeling.annotators (task, annotator, kind, votes) VALUES ('lights', 'import', "
      "'import', 70000);"
      "INSERT INTO labeling.votes (vote_id, task, sample_id, class_name, annotator, "
      "annotator_kind, source, voted_at)"
      " SELECT gen_random_uuid(), 'lights', gen_random_uuid(), (ARRAY['red', 'yellow', 'green'])[1 "
      "+ n % 3], 'import',"
      " 'import', 'file', now() FROM generate_series(1, 70000) AS n");
  LabelMaker maker(tasks_, *store_, clock_);

  const auto first = maker.Compute("lights", {});
  const auto second = maker.Compute("lights", {});

  ASSERT_TRUE(first.ok()) << first.error().message;
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(first->changed, 70'000u);
  EXPECT_EQ(second->unchanged, 70'000u);
  RecordProperty("first_seconds", std::to_string(first->seconds));
  RecordProperty("second_seconds", std::to_string(second->seconds));
  EXPECT_LT(first->seconds, 30);
}

}  // namespace
}  // namespace tidewheel::labeling
