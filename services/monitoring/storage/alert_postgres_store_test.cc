#include "tidewheel/monitoring/storage/alert_postgres_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tidewheel/base/ids.h"
#include "tidewheel/events/v1/events.pb.h"
#include "tidewheel/monitoring/domain/alert_keeper.h"
#include "tidewheel/monitoring/domain/comparison_desk.h"
#include "tidewheel/monitoring/domain/testing/made_up_traffic.h"
#include "tidewheel/monitoring/storage/comparison_postgres_store.h"
#include "tidewheel/monitoring/storage/testing/storage_test.h"
#include "tidewheel/postgres/outbox.h"

namespace tidewheel::monitoring {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Change = MadeUpTraffic::Change;

class PostgresAlertStoreTest : public StorageTest {
 protected:
  void SetUp() override {
    StorageTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    alerts_ = std::make_unique<PostgresAlertStore>(*pool_, [](const Alert& alert, AlertChange) {
      return std::vector<NotificationDraft>{{"http://one", "{\"a\":1}"},
                                            {"http://two", alert.diagnosis.title}};
    });
  }

  Alert MakeAlert(const std::string& cause) {
    Alert alert;
    alert.id = NewUuid();
    alert.model = {"lights", "model-1"};
    alert.diagnosis.cause = cause;
    alert.diagnosis.title = "a \"quoted\" title, {with braces}";
    alert.diagnosis.description = "what\nhappened";
    alert.diagnosis.damage = 0.25;
    alert.diagnosis.since = At(5);
    alert.diagnosis.delay_predictions = 70;
    alert.diagnosis.class_shares = {{"a, \"b\"", 0.25}, {"c", 0.75}};
    alert.diagnosis.predicted = {3, 0, 9};
    alert.diagnosis.telling_predictions = {"r-1#0", "r-2#1"};
    HistogramEvidence histogram;
    histogram.subject = "sharpness";
    histogram.bounds = {0, 0.5, 1};
    histogram.reference_shares = {0.25, 0.75};
    histogram.current_shares = {1, 0};
    alert.diagnosis.histograms = {histogram};
    for (int i = 0; i < 2; ++i) {
      Finding finding;
      finding.id = NewUuid();
      finding.model = alert.model;
      finding.kind = FindingKind::kFeatureDrift;
      finding.subject = "feature " + std::to_string(i);
      finding.method = "ks";
      finding.statistic = 0.5;
      finding.fires = true;
      finding.first_at = At(1);
      finding.last_at = At(2);
      finding.window_id = "model-1/7";
      alert.diagnosis.findings.push_back(finding);
    }
    alert.raised_at = At(10);
    alert.updated_at = At(10);
    alert.webhooks = {"http://one"};
    return alert;
  }
  Result<void> Save(const Alert& alert, AlertChange change) {
    return alerts_->InTask(alert.model.task,
                           [&](AlertLedger& ledger) { return ledger.Save(alert, change, At(11)); });
  }
  std::vector<postgres::OutboxMessage> Outbox() {
    std::vector<postgres::OutboxMessage> messages;
    const auto read = pool_->InTransaction([&](pqxx::work& tx) -> Result<void> {
      const auto batch = postgres::Outbox("monitoring").TakeBatch(tx, 100);
      if (batch) {
        for (const auto& each : *batch) messages.push_back(each.message);
      }
      return {};
    });
    EXPECT_TRUE(read.ok());
    return messages;
  }

  std::unique_ptr<PostgresAlertStore> alerts_;
};

TEST_F(PostgresAlertStoreTest, AnAlertComesBackAsItWasSaved) {
  const Alert alert = MakeAlert("data_drift");
  ASSERT_TRUE(Save(alert, AlertChange::kRaised).ok());

  const auto found = alerts_->FindAlert(alert.id);

  ASSERT_TRUE(found.ok()) << found.error().message;
  ASSERT_TRUE(found->has_value());
  const Diagnosis& diagnosis = (*found)->diagnosis;
  EXPECT_EQ(diagnosis.title, alert.diagnosis.title);
  EXPECT_EQ(diagnosis.class_shares, alert.diagnosis.class_shares);
  EXPECT_EQ(diagnosis.predicted, alert.diagnosis.predicted);
  EXPECT_EQ(diagnosis.telling_predictions, alert.diagnosis.telling_predictions);
  EXPECT_EQ(diagnosis.since, At(5));
  ASSERT_THAT(diagnosis.histograms, SizeIs(1));
  EXPECT_EQ(diagnosis.histograms[0].bounds, (std::vector<double>{0, 0.5, 1}));
  ASSERT_THAT(diagnosis.findings, SizeIs(2));
  EXPECT_EQ(diagnosis.findings[1].subject, "feature 1");
  EXPECT_EQ((*found)->webhooks, alert.webhooks);
  EXPECT_FALSE((*found)->resolved_at.has_value());
  EXPECT_FALSE(alerts_->FindAlert("no uuid")->has_value());
  EXPECT_FALSE(alerts_->FindAlert(NewUuid())->has_value());
}

TEST_F(PostgresAlertStoreTest, EveryChangeIsAnEventInTheSameTransaction) {
  Alert alert = MakeAlert("label_shift");
  ASSERT_TRUE(Save(alert, AlertChange::kRaised).ok());
  ASSERT_TRUE(Save(alert, AlertChange::kUpdated).ok());
  alert.state = AlertState::kResolved;
  alert.resolved_at = At(20);
  ASSERT_TRUE(Save(alert, AlertChange::kResolved).ok());
  const auto failed = alerts_->InTask("lights", [&](AlertLedger& ledger) -> Result<void> {
    const auto saved = ledger.Save(MakeAlert("silence"), AlertChange::kRaised, At(11));
    EXPECT_TRUE(saved.ok());
    return Error{ErrorCode::kAborted, "no"};
  });
  EXPECT_FALSE(failed.ok());

  const auto messages = Outbox();

  ASSERT_THAT(messages, SizeIs(2));
  EXPECT_EQ(messages[0].type, "alert.raised");
  EXPECT_EQ(messages[1].type, "alert.resolved");
  EXPECT_EQ(messages[0].topic, "tidewheel.alerts");
  events::v1::AlertEvent event;
  ASSERT_TRUE(event.ParseFromString(messages[1].payload));
  EXPECT_EQ(event.alert_id(), alert.id);
  EXPECT_EQ(event.cause(), "label_shift");
  EXPECT_EQ(event.state(), "resolved");
  EXPECT_DOUBLE_EQ(event.damage(), 0.25);
  EXPECT_EQ(event.since().seconds(), 1'700'000'005);
}

TEST_F(PostgresAlertStoreTest, OneOpenAlertOfATaskAndCauseHoweverManyCopiesRaise) {
  ASSERT_TRUE(Save(MakeAlert("data_drift"), AlertChange::kRaised).ok());
  EXPECT_EQ(Save(MakeAlert("data_drift"), AlertChange::kRaised).error().code,
            ErrorCode::kAlreadyExists);
  EXPECT_TRUE(Save(MakeAlert("silence"), AlertChange::kRaised).ok());

  // Two copies of the keeper see the same trouble at once.
  MadeUpTraffic traffic(1);
  MonitoringPolicy policy;
  policy.window_predictions = 50;
  const auto pool = NewPool();
  PostgresAlertStore other(*pool);
  const SystemClock clock;
  AlertKeeper one_keeper(*alerts_, clock);
  AlertKeeper other_keeper(other, clock);
  auto window = traffic.Window(1, 50, Change::kDark);
  window.model.task = "streets";
  auto again = window;
  again.model.model_version_id = "model-2";
  std::thread first(
      [&] { EXPECT_TRUE(one_keeper.OnWindow(window, &traffic.profile(), policy).ok()); });
  std::thread second(
      [&] { EXPECT_TRUE(other_keeper.OnWindow(again, &traffic.profile(), policy).ok()); });
  first.join();
  second.join();

  const auto open = alerts_->ListAlerts("streets", AlertState::kRaised, {});
  ASSERT_TRUE(open.ok()) << open.error().message;
  EXPECT_THAT(open->items, SizeIs(1));
}

TEST_F(PostgresAlertStoreTest, ListsArePagedNewestFirst) {
  std::vector<std::string> ids;
  for (const std::string cause : {"data_drift", "silence", "slice"}) {
    Alert alert = MakeAlert(cause);
    alert.raised_at = At(static_cast<int>(ids.size()));
    ids.push_back(alert.id);
    ASSERT_TRUE(Save(alert, AlertChange::kRaised).ok());
  }
  const auto first = alerts_->ListAlerts("lights", std::nullopt, {2, ""});
  ASSERT_TRUE(first.ok());
  ASSERT_THAT(first->items, SizeIs(2));
  EXPECT_EQ(first->items[0].id, ids[2]);
  const auto second = alerts_->ListAlerts("lights", std::nullopt, {2, first->next_token});
  ASSERT_THAT(second->items, SizeIs(1));
  EXPECT_TRUE(second->next_token.empty());
  EXPECT_EQ(alerts_->ListAlerts("streets", std::nullopt, {2, first->next_token}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_THAT(alerts_->ListAlerts("lights", AlertState::kResolved, {})->items, IsEmpty());

  FindingFilter filter;
  filter.alert_id = ids[0];
  const auto findings = alerts_->ListFindings(filter, {1, ""});
  ASSERT_THAT(findings->items, SizeIs(1));
  EXPECT_THAT(alerts_->ListFindings(filter, {5, findings->next_token})->items, SizeIs(1));
}

TEST_F(PostgresAlertStoreTest, FindingsOfAWindowAreReplacedAndForgotten) {
  Finding quiet;
  quiet.id = NewUuid();
  quiet.model = {"lights", "model-1"};
  quiet.window_id = "model-1/1";
  quiet.last_at = At(1);
  Finding firing = quiet;
  firing.id = NewUuid();
  firing.fires = true;
  const std::vector<std::string> none = {"", ""};
  const auto replace = [&](std::vector<Finding> findings) {
    return alerts_->InTask("lights", [&](AlertLedger& ledger) {
      return ledger.ReplaceFindings("model-1/1", findings, none);
    });
  };
  ASSERT_TRUE(replace({quiet}).ok());
  quiet.id = NewUuid();
  ASSERT_TRUE(replace({quiet, firing}).ok());
  EXPECT_THAT(alerts_->ListFindings({}, {})->items, SizeIs(2));
  FindingFilter filter;
  filter.firing_only = true;
  EXPECT_THAT(alerts_->ListFindings(filter, {})->items, SizeIs(1));

  ASSERT_TRUE(pool_
                  ->InTransaction([](pqxx::work& tx) -> Result<void> {
                    tx.exec0(
                        "INSERT INTO inbox (consumer, event_id, received_at) VALUES "
                        "('alerts', gen_random_uuid(), '2001-01-01Z'), "
                        "('alerts', gen_random_uuid(), now())");
                    return {};
                  })
                  .ok());

  const auto forgotten = alerts_->Forget(At(2));

  ASSERT_TRUE(forgotten.ok()) << forgotten.error().message;
  EXPECT_EQ(*forgotten, 1U);
  const auto ids = pool_->ReadOnly([](pqxx::transaction_base& tx) -> Result<int> {
    return tx.exec1("SELECT count(*) FROM inbox")[0].as<int>();
  });
  EXPECT_EQ(*ids, 1);
}

TEST_F(PostgresAlertStoreTest, NotificationsWaitTheirTurnAndAreLeased) {
  Alert alert = MakeAlert("data_drift");
  ASSERT_TRUE(Save(alert, AlertChange::kRaised).ok());
  alert.state = AlertState::kResolved;
  alert.resolved_at = At(12);
  ASSERT_TRUE(Save(alert, AlertChange::kResolved).ok());

  const auto taken = alerts_->Take(At(13), std::chrono::seconds(30), 10);
  ASSERT_TRUE(taken.ok()) << taken.error().message;
  ASSERT_THAT(*taken, SizeIs(2));  // The end waits for the beginning.
  EXPECT_EQ((*taken)[0].change, "raised");
  EXPECT_EQ((*taken)[0].target, "http://one");
  EXPECT_THAT(*alerts_->Take(At(14), std::chrono::seconds(30), 10), IsEmpty());

  ASSERT_TRUE(alerts_->Delivered((*taken)[0].id, At(14)).ok());
  ASSERT_TRUE(alerts_->Failed((*taken)[1].id, At(60), "away", false).ok());
  const auto then = alerts_->Take(At(15), std::chrono::seconds(30), 10);
  ASSERT_THAT(*then, SizeIs(1));
  EXPECT_EQ((*then)[0].change, "resolved");
  EXPECT_EQ((*then)[0].target, "http://one");
  const auto later = alerts_->Take(At(61), std::chrono::seconds(30), 10);
  EXPECT_THAT(*later, SizeIs(2));
}

TEST_F(PostgresAlertStoreTest, AMutedAlertNotifiesNobody) {
  Alert alert = MakeAlert("data_drift");
  alert.muted_until = At(100);
  ASSERT_TRUE(Save(alert, AlertChange::kRaised).ok());

  EXPECT_THAT(*alerts_->Take(At(13), std::chrono::seconds(30), 10), IsEmpty());
  EXPECT_THAT(Outbox(), SizeIs(1));
  EXPECT_TRUE((*alerts_->FindAlert(alert.id))->muted(At(99)));
}

TEST_F(PostgresAlertStoreTest, StatesAndEventsAreKept) {
  const std::string bytes("\0\xff'\"", 4);
  const std::string event = NewUuid();
  const auto body = [&](AlertLedger& ledger) -> Result<void> {
    const auto before = ledger.State("model/1");
    EXPECT_TRUE(before.ok() && (before->empty() || *before == bytes));
    const auto first = ledger.FirstTime(event);
    EXPECT_TRUE(first.ok());
    EXPECT_EQ(*first, before->empty());
    return ledger.SaveState("model/1", bytes);
  };
  ASSERT_TRUE(alerts_->InTask("lights", body).ok());
  ASSERT_TRUE(alerts_->InTask("lights", body).ok());
}

TEST_F(PostgresAlertStoreTest, WindowsAreNoted) {
  std::vector<Prediction> predictions;
  for (int i = 0; i < 10; ++i) predictions.push_back(Answer(i));
  Add(predictions, 10);
  copy_->CutAll();
  WindowNote note;
  note.estimated_accuracy = 0.9;
  note.estimated_low = 0.8;
  note.estimated_high = 0.95;
  note.drift = {{"embedding_drift", 1.5}};
  const auto noted = alerts_->InTask("lights", [&](AlertLedger& ledger) {
    return ledger.NoteWindow({kModel, "", "count", 1}, note);
  });
  ASSERT_TRUE(noted.ok()) << noted.error().message;

  const auto windows = Windows();

  ASSERT_FALSE(windows.empty());
  const Window& window = windows.back();
  EXPECT_EQ(window.estimated_accuracy, 0.9);
  EXPECT_EQ(window.drift.at("embedding_drift"), 1.5);
}

TEST_F(PostgresAlertStoreTest, ComparisonsCountWhatBothDid) {
  PostgresComparisonStore comparisons(*pool_);
  class Then final : public Clock {
   public:
    Timestamp Now() const override { return At(0); }
  };
  const Then clock;
  ComparisonDesk desk(comparisons, clock);
  ComparisonPlan plan;
  plan.id = NewUuid();
  plan.task = "lights";
  plan.candidate = "model-2";
  plan.baseline = "model-1";
  plan.stage = "canary";
  const auto started = desk.Start(plan);
  ASSERT_TRUE(started.ok()) << started.error().message;
  EXPECT_TRUE(started->second);
  EXPECT_FALSE(desk.Start(plan)->second);
  ComparisonPlan other = plan;
  other.candidate = "model-3";
  EXPECT_EQ(desk.Start(other).error().code, ErrorCode::kAlreadyExists);

  std::vector<Prediction> predictions;
  std::vector<Outcome> outcomes;
  for (int i = 0; i < 200; ++i) {
    Prediction answer = Answer(i);
    answer.seconds = 0.01;
    if (i % 4 == 0) {
      answer.model.model_version_id = "model-2";
      answer.role = Role::kCanary;
    }
    predictions.push_back(answer);
    outcomes.push_back(Truth(i, i % 4 == 0 ? "yellow" : "red"));
  }
  Add(predictions, 200);
  ASSERT_TRUE(store().AddOutcomes(outcomes).ok());

  const auto found = desk.Find(plan.id);

  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->counts.candidate.predictions, 50U);
  EXPECT_EQ(found->counts.baseline.predictions, 150U);
  EXPECT_EQ(found->counts.candidate.outcomes, 50U);
  EXPECT_EQ(found->counts.candidate.correct, 0U);
  EXPECT_EQ(found->counts.baseline.correct, 150U);
  EXPECT_NEAR(found->counts.baseline.seconds.Mean(), 0.01, 1e-6);
  EXPECT_EQ(found->verdict, "harmful");
  EXPECT_EQ(desk.Find(plan.id)->reason, found->reason);
  EXPECT_EQ(desk.Find(NewUuid()).error().code, ErrorCode::kNotFound);
  EXPECT_THAT(desk.List("lights", {})->items, SizeIs(1));
}

}  // namespace
}  // namespace tidewheel::monitoring
