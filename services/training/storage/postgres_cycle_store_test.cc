#include "tidewheel/training/storage/postgres_cycle_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tidewheel/base/ids.h"
#include "tidewheel/postgres/migrator.h"
#include "tidewheel/testing/postgres_server.h"
#include "tidewheel/training/domain/cycle_starter.h"
#include "tidewheel/training/domain/fake_callees.h"
#include "tidewheel/training/migrations.h"
#include "tidewheel/training/storage/postgres_sample_catalogue.h"

namespace tidewheel::training {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ManualClock final : public Clock {
 public:
  Timestamp Now() const override { return now; }
  Timestamp now{std::chrono::seconds(1'700'000'000)};
};

class PostgresCycleStoreTest : public tidewheel::testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const auto migrated =
        postgres::Migrate(database_.admin_dsn, "training", "tidewheel_training", Migrations());
    ASSERT_TRUE(migrated.ok()) << migrated.error().message;
    postgres::PoolOptions options;
    options.dsn = database_.DsnOf("tidewheel_training");
    options.search_path = "training";
    pool_.emplace(options);
    store_.emplace(*pool_);
  }

  CycleStarter Starter() { return {*store_, platform_, platform_, clock_}; }
  Cycle Started(const std::string& request_id = "r") {
    const auto started =
        Starter().StartByHand({.request_id = request_id, .task = "lights", .actor = "ann"});
    EXPECT_TRUE(started.ok()) << started.error().message;
    return started->cycle;
  }
  Result<Decision> Alert(const std::string& event, const std::string& alert = "alert-1") {
    auto starter = Starter();
    return starter.OnAlert({event, alert, "lights", "model-1", "data_drift", 0.1, clock_.now});
  }
  std::optional<Cycle> Claimed(const std::string& owner = "me") {
    const auto claimed = store_->Claim(owner, clock_.now, seconds(10));
    EXPECT_TRUE(claimed.ok()) << claimed.error().message;
    return *claimed;
  }
  CycleSave Saving(const std::string& owner = "me") {
    CycleSave save;
    save.owner = owner;
    save.now = save.next_step_at = clock_.now;
    return save;
  }
  Result<void> Move(Cycle& cycle, CycleState to, const std::string& owner = "me") {
    CycleSave save = Saving(owner);
    save.to = to;
    save.result = "left it";
    cycle.state = to;
    cycle.stage_since = clock_.now;
    if (HasEnded(to)) cycle.ended_at = clock_.now;
    return store_->Save(cycle, save);
  }
  void Admin(const std::string& sql) {
    pqxx::connection admin(database_.admin_dsn);
    pqxx::work tx(admin);
    tx.exec(sql);
    tx.commit();
  }
  std::vector<std::string> EventTypes() {
    pqxx::connection admin(database_.admin_dsn);
    pqxx::work tx(admin);
    std::vector<std::string> types;
    for (const auto& row : tx.exec("SELECT type FROM training.outbox ORDER BY id")) {
      types.emplace_back(row[0].c_str());
    }
    return types;
  }

  ManualClock clock_;
  FakePlatform platform_;
  std::optional<postgres::Pool> pool_;
  std::optional<PostgresCycleStore> store_;
};

TEST_F(PostgresCycleStoreTest, KeepsEverythingOfACycle) {
  Started();
  Cycle cycle = *Claimed();
  EXPECT_EQ(cycle.task_version, 3U);
  ASSERT_EQ(cycle.steps.size(), 1U);
  cycle.baseline_model_version_id = "model-1";
  cycle.previous_dataset_version_id = "dataset-0";
  cycle.batch_id = "batch";
  cycle.dataset_version_id = "dataset-1";
  cycle.run_id = "run-1";
  cycle.candidate_model_version_id = "model-2";
  cycle.gate_evaluation_id = "gate-1";
  cycle.gain = 0.1 + 0.2;
  cycle.gain_low = -0.5;
  cycle.labels = 80;
  cycle.cpu_seconds = 12.25;
  cycle.harmed_requests = 35;
  cycle.share_number = 1;
  cycle.comparison_id = "comparison";
  cycle.has_traffic = true;
  cycle.ending = CycleState::kFailed;
  cycle.ending_reason = "no \"memory\", {left}";
  cycle.failed_in = CycleState::kTraining;
  cycle.criteria = {
      {.name = "better_on_new",
       .verdict = GateVerdict::kPass,
       .reason = "9 won",
       .difference = 0.25,
       .samples = 20},
      {.name = "not_worse_on_old", .verdict = GateVerdict::kInconclusive, .reason = "few"}};
  CycleSave save = Saving();
  save.details = {{"run", "run-1"}, {"odd", "a, \"b\" {c}"}};
  save.chosen = {{NewUuid(), "req", 3, "random", 0.5, 0.125},
                 {NewUuid(), "req", 4, "drifted", 7, 0}};
  save.to = CycleState::kCollecting;
  save.result = "began";
  cycle.state = CycleState::kCollecting;
  cycle.stage_since = clock_.now;
  const auto saved = store_->Save(cycle, save);
  ASSERT_TRUE(saved.ok()) << saved.error().message;

  const Cycle read = **store_->Find(cycle.id);
  EXPECT_EQ(Name(read.state), "collecting");
  EXPECT_EQ(read.gain, 0.1 + 0.2);
  EXPECT_EQ(read.gain_low, -0.5);
  EXPECT_FALSE(read.gain_high.has_value());
  EXPECT_EQ(read.labels, 80U);
  EXPECT_EQ(read.cpu_seconds, 12.25);
  EXPECT_EQ(read.harmed_requests, 35U);
  EXPECT_EQ(read.comparison_id, "comparison");
  EXPECT_TRUE(read.has_traffic);
  EXPECT_EQ(*read.ending, CycleState::kFailed);
  EXPECT_EQ(*read.failed_in, CycleState::kTraining);
  EXPECT_EQ(read.ending_reason, cycle.ending_reason);
  ASSERT_EQ(read.steps.size(), 2U);
  EXPECT_EQ(read.steps[0].result, "began");
  EXPECT_EQ(read.steps[0].left_at, clock_.now);
  EXPECT_EQ(read.steps[0].details.at("odd"), "a, \"b\" {c}");
  EXPECT_FALSE(read.steps[1].left_at.has_value());
  ASSERT_EQ(read.criteria.size(), 2U);
  EXPECT_EQ(read.criteria[0].difference, 0.25);
  EXPECT_EQ(read.criteria[1].verdict, GateVerdict::kInconclusive);
  EXPECT_EQ(read.acquired.at("random"), 1U);
  const auto samples = store_->ListSamples(cycle.id);
  ASSERT_EQ(samples->size(), 2U);
  EXPECT_EQ((*samples)[0].inclusion_probability, 0.125);
  EXPECT_EQ((*samples)[1].request_index, 4U);
  EXPECT_THAT(EventTypes(), ElementsAre("cycle.triggered", "cycle.collecting"));
}

TEST_F(PostgresCycleStoreTest, OneCycleOfATaskIsOpenHoweverManyAlertsCome) {
  std::vector<std::jthread> storm;
  std::atomic<int> started = 0;
  std::atomic<int> failed = 0;
  for (int t = 0; t < 4; ++t) {
    storm.emplace_back([&, t] {
      FakePlatform platform;
      CycleStarter starter(*store_, platform, platform, clock_);
      for (int i = 0; i < 25; ++i) {
        const std::string name = std::to_string(t) + "-" + std::to_string(i);
        const auto decided = starter.OnAlert(
            {name, "alert-" + name, "lights", "model-1", "data_drift", 0.1, clock_.now});
        failed += decided.ok() ? 0 : 1;
        started += decided.ok() && decided->Started() ? 1 : 0;
      }
    });
  }
  storm.clear();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(started, 1);
  EXPECT_EQ(store_->List("lights", {}, {})->items.size(), 1U);
  EXPECT_EQ(store_->ListDecisions("lights", {.size = 1'000, .token = ""})->items.size(), 100U);
}

TEST_F(PostgresCycleStoreTest, AnEventThatComesAgainDecidesNothing) {
  const auto first = Alert("event-1");
  const auto again = Alert("event-1");
  ASSERT_TRUE(first.ok() && again.ok());
  EXPECT_TRUE(again->Started());
  EXPECT_EQ(first->id, again->id);
  EXPECT_EQ(store_->ListDecisions("", {})->items.size(), 1U);
  EXPECT_THAT(EventTypes(), ElementsAre("cycle.triggered"));
}

TEST_F(PostgresCycleStoreTest, ALeaseKeepsOthersAwayUntilItHasPassed) {
  Started();
  Cycle mine = *Claimed("first");
  EXPECT_FALSE(Claimed("second").has_value());
  clock_.now += seconds(11);
  ASSERT_TRUE(Claimed("second").has_value());
  EXPECT_EQ(Move(mine, CycleState::kCollecting, "first").error().code, ErrorCode::kAborted);
  EXPECT_TRUE(Move(mine, CycleState::kCollecting, "second").ok());
}

TEST_F(PostgresCycleStoreTest, WhatPeopleAskedForWhileAStepWasTakenStays) {
  Started();
  Cycle cycle = *Claimed();
  ASSERT_TRUE(store_->Pause(cycle.id, {"ann", "", clock_.now}).ok());
  ASSERT_TRUE(store_->Pause(cycle.id, {"ann", "", clock_.now}).ok());
  ASSERT_TRUE(Move(cycle, CycleState::kCollecting).ok());
  EXPECT_TRUE((*store_->Find(cycle.id))->paused);
  EXPECT_FALSE(Claimed().has_value());

  clock_.now += seconds(100);
  ASSERT_TRUE(store_->Resume(cycle.id, {"ann", "", clock_.now}).ok());
  // The time paused does not count against its limits.
  EXPECT_EQ((*store_->Find(cycle.id))->stage_since, clock_.now);
  cycle = *Claimed();
  ASSERT_TRUE(store_->RequestCancel(cycle.id, {"bob", "enough", clock_.now}).ok());
  CycleSave waits = Saving();
  waits.next_step_at = clock_.now + seconds(60);
  ASSERT_TRUE(store_->Save(cycle, waits).ok());
  const auto due = Claimed();  // At once, and not in a minute.
  ASSERT_TRUE(due.has_value());
  EXPECT_TRUE(due->cancel_requested);
  EXPECT_EQ(due->cancel_reason, "cancelled by bob: enough");
}

TEST_F(PostgresCycleStoreTest, WhoAskedForWhatAboutACycleStaysWithIt) {
  const Cycle started = Started();
  const auto later = [this] { return clock_.now += seconds(1); };
  ASSERT_TRUE(store_->Pause(started.id, {"ann", "lunch", later()}).ok());
  ASSERT_TRUE(store_->Pause(started.id, {"bob", "", later()}).ok());  // Changes nothing.
  ASSERT_TRUE(store_->Resume(started.id, {"bob", "", later()}).ok());
  Cycle cycle = *Claimed();
  cycle.failed_in = CycleState::kTraining;
  cycle.ending = CycleState::kFailed;
  ASSERT_TRUE(Move(cycle, CycleState::kFailed).ok());
  ASSERT_TRUE(store_->Retry(started.id, {"eve", "memory was added", later()}).ok());
  ASSERT_TRUE(store_->RequestCancel(started.id, {"ann", "enough", later()}).ok());
  ASSERT_TRUE(store_->RequestCancel(started.id, {"bob", "me too", later()}).ok());

  const auto told = [](const Decision& decision) {
    return std::string(Name(decision.outcome)) + " by " + decision.actor + ": " + decision.reason;
  };
  std::vector<std::string> words;
  const Cycle kept = **store_->Find(started.id);
  for (const auto& decision : kept.decisions) {
    EXPECT_EQ(decision.cycle_id, started.id);
    EXPECT_EQ(decision.task, "lights");
    EXPECT_EQ(decision.trigger, "hand");
    words.push_back(told(decision));
  }
  EXPECT_THAT(words, ElementsAre(HasSubstr("started by ann"), "paused by ann: lunch",
                                 "resumed by bob: ", "retried by eve: memory was added",
                                 "cancelled by ann: enough"));
  EXPECT_EQ(store_->ListDecisions("lights", {})->items.size(), words.size());
  // They are part of the cycle, and kept as long.
  ASSERT_TRUE(store_->Forget(seconds(0)).ok());
  EXPECT_EQ((*store_->Find(started.id))->decisions.size(), words.size());
}

TEST_F(PostgresCycleStoreTest, WhatACycleDecidesByItselfIsKeptOnce) {
  Started();
  Cycle cycle = *Claimed();
  for (int i = 0; i < 2; ++i) {
    CycleSave save = Saving();
    save.decisions.push_back({.id = NewUuid(),
                              .task = cycle.task,
                              .decided_at = clock_.now += seconds(1),
                              .trigger = "hand",
                              .alert_id = "",
                              .event = "cycle " + cycle.id + "/no_test_split",
                              .outcome = DecisionOutcome::kWentOn,
                              .because = "no_test_split",
                              .reason = "none can come",
                              .cycle_id = cycle.id,
                              .actor = cycle.CycleActor()});
    ASSERT_TRUE(store_->Save(cycle, save).ok());
    cycle = *Claimed();
  }
  ASSERT_EQ(cycle.decisions.size(), 2U);
  EXPECT_EQ(cycle.decisions[1].outcome, DecisionOutcome::kWentOn);
  EXPECT_EQ(cycle.decisions[1].because, "no_test_split");
}

TEST_F(PostgresCycleStoreTest, AFailedCycleIsRetriedUnlessAnotherOneRuns) {
  Started("first");
  Cycle cycle = *Claimed();
  EXPECT_EQ(store_->Retry(cycle.id, {"eve", "", clock_.now}).error().code,
            ErrorCode::kFailedPrecondition);
  cycle.failed_in = CycleState::kTraining;
  cycle.run_id = "run-1";
  cycle.ending = CycleState::kFailed;
  ASSERT_TRUE(Move(cycle, CycleState::kFailed).ok());
  EXPECT_EQ(store_->RequestCancel(cycle.id, {"bob", "", clock_.now}).error().code,
            ErrorCode::kFailedPrecondition);

  const Cycle other = Started("second");
  const auto refused = store_->Retry(cycle.id, {"eve", "", clock_.now});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr(other.id));
  Cycle second = *Claimed();
  ASSERT_TRUE(Move(second, CycleState::kRejected).ok());

  const auto retried = store_->Retry(cycle.id, {"eve", "", clock_.now});
  ASSERT_TRUE(retried.ok()) << retried.error().message;
  EXPECT_EQ(Name(retried->state), "training");
  EXPECT_EQ(retried->retries, 1U);
  EXPECT_TRUE(retried->run_id.empty());
  EXPECT_FALSE(retried->ending.has_value());
  EXPECT_FALSE(retried->ended_at.has_value());
  EXPECT_EQ(retried->steps.size(), 3U);
  EXPECT_TRUE(Claimed().has_value());
}

TEST_F(PostgresCycleStoreTest, ListsArePagedNewestFirst) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    clock_.now += seconds(1);
    ids.insert(ids.begin(), Started("r-" + std::to_string(i)).id);
    Cycle cycle = *Claimed();
    ASSERT_TRUE(Move(cycle, i % 2 == 0 ? CycleState::kRejected : CycleState::kPromoted).ok());
  }
  std::vector<std::string> listed;
  PageRequest page{.size = 2, .token = ""};
  do {
    const auto cycles = store_->List("lights", {}, page);
    ASSERT_TRUE(cycles.ok());
    for (const auto& cycle : cycles->items) listed.push_back(cycle.id);
    page.token = cycles->next_token;
  } while (!page.token.empty());
  EXPECT_EQ(listed, ids);
  EXPECT_EQ(store_->List("", CycleState::kPromoted, {})->items.size(), 2U);
  EXPECT_EQ(store_->List("signs", {}, {})->items.size(), 0U);
  const auto first = store_->List("lights", {}, {.size = 1, .token = ""});
  EXPECT_EQ(store_->List("signs", {}, {.size = 1, .token = first->next_token}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(store_->ListDecisions("lights", {.size = 3, .token = ""})->items.size(), 3U);
  const auto state = store_->StateOf("lights");
  EXPECT_EQ(state->last_cycle_id, ids.front());
  EXPECT_EQ(state->ended_at, clock_.now);
  std::uint64_t counted = 0;
  const auto counts = store_->CountByState();
  for (const auto& count : *counts) counted += count.cycles;
  EXPECT_EQ(counted, 5U);
}

TEST_F(PostgresCycleStoreTest, OldDecisionsAgainstACycleAndOldAlertsAreForgotten) {
  ASSERT_TRUE(
      store_->KeepAlert({"lights", "model-1", {"alert", "old", "data_drift", 0.1, {}}}).ok());
  ASSERT_TRUE(store_->DropAlert("dropped").ok());
  Admin(
      "INSERT INTO training.decisions (decision_id, task, decided_at, trigger, alert_id, event, "
      "outcome, because, reason, cycle_id) SELECT gen_random_uuid(), 'lights', now() - n * "
      "interval "
      "'1 day', 'alert', 'a', n::text, CASE WHEN n = 9 THEN 'started' ELSE 'not_started' END, '', "
      "'', CASE WHEN n = 9 THEN gen_random_uuid() END FROM generate_series(0, 9) AS n");
  Admin("UPDATE training.waiting_alerts SET kept_at = now() - interval '6 days'");
  ASSERT_TRUE(
      store_->KeepAlert({"lights", "model-1", {"alert", "new", "data_drift", 0.1, {}}}).ok());
  EXPECT_EQ(*store_->Forget(std::chrono::hours(132)), 5U);  // n of 6, 7, 8; two alerts.
  EXPECT_EQ(store_->ListDecisions("lights", {})->items.size(), 7U);
  EXPECT_EQ(store_->ListWaitingAlerts()->size(), 1U);
  EXPECT_EQ(*store_->Forget(std::chrono::hours(132)), 0U);
}

TEST_F(PostgresCycleStoreTest, WhatTheCyclesOfADayCostIsCounted) {
  Admin(
      "INSERT INTO training.cycles (cycle_id, request_id, task, task_version, state, trigger, "
      "alert_id, alert_cause, damage, actor, asked_because, labels_at_hand, given_candidate, "
      "override_reason, labels, cpu_seconds, stage_since, next_step_at, started_at, ended_at) "
      "SELECT gen_random_uuid(), n::text, 'lights', 1, 'promoted', 'hand', '', '', 0, '', '', "
      "false, "
      "false, '', 10 * n, n, now(), now(), now() - interval '3 days', now() - n * interval '9 "
      "hours' FROM generate_series(1, 4) AS n");
  const auto state = store_->StateOf("lights");
  ASSERT_TRUE(state.ok()) << state.error().message;
  EXPECT_EQ(state->labels_of_day, 30U);  // Of those 9 and 18 hours ago.
  EXPECT_EQ(state->cpu_seconds_of_day, 3);
  EXPECT_EQ(store_->StateOf("signs")->labels_of_day, 0U);
}

TEST_F(PostgresCycleStoreTest, AWaitingAlertThatWasDroppedIsNotKeptAgain) {
  const WaitingAlert alert{
      "lights", "model-1", {"alert", "alert-1", "data_drift", 0.1, clock_.now}};
  ASSERT_TRUE(store_->KeepAlert(alert).ok());
  ASSERT_TRUE(store_->KeepAlert(alert).ok());
  ASSERT_EQ(store_->ListWaitingAlerts()->size(), 1U);
  EXPECT_EQ(store_->ListWaitingAlerts()->at(0).trigger.since, clock_.now);
  ASSERT_TRUE(store_->DropAlert("alert-1").ok());
  ASSERT_TRUE(store_->KeepAlert(alert).ok());
  EXPECT_TRUE(store_->ListWaitingAlerts()->empty());
}

// --- what the views say

constexpr char kViews[] = R"(
  CREATE TABLE ingestion.samples (sample_id uuid, task text, sha256 bytea, payload_ref text, name text, source text,
      group_key text, split text, collected_at timestamptz, added_at timestamptz, deactivated_at timestamptz, width int,
      height int, metadata jsonb);
  CREATE VIEW ingestion.samples_v1 AS SELECT * FROM ingestion.samples;
  CREATE TABLE ingestion.captured (task text, request_id text, request_index int, sample_id uuid, captured_at timestamptz,
      captured_because text NOT NULL DEFAULT '', inclusion_probability double precision NOT NULL DEFAULT 0);
  CREATE VIEW ingestion.captured_requests_v2 AS SELECT * FROM ingestion.captured;
  CREATE TABLE labeling.labels (sample_id uuid, task text, decided_at timestamptz, class_name text);
  CREATE VIEW labeling.labels_v1 AS SELECT * FROM labeling.labels;
  CREATE TABLE curation.versions (dataset_version_id uuid, task text, version int, digest text, items bigint,
      manifest_ref text, classes text[], task_version int, built_at timestamptz);
  CREATE TABLE curation.items (dataset_version_id uuid, ordinal bigint, sample_id uuid, sha256 bytea, payload_ref text,
      class_index int, class_name text, split text, weight double precision, label_id uuid, label_confidence double precision);
  CREATE VIEW curation.dataset_versions_v1 AS SELECT * FROM curation.versions;
  CREATE VIEW curation.dataset_items_v1 AS SELECT * FROM curation.items;
  GRANT USAGE ON SCHEMA curation, ingestion, labeling TO tidewheel_training;
  GRANT SELECT ON curation.dataset_versions_v1, curation.dataset_items_v1, ingestion.samples_v1, labeling.labels_v1,
      ingestion.captured_requests_v2 TO tidewheel_training;
)";

std::string Id(int number) {
  const std::string digits = std::to_string(number);
  return "01900000-0000-7000-8000-" + std::string(12 - digits.size(), '0') + digits;
}

class PostgresSampleCatalogueTest : public PostgresCycleStoreTest {
 protected:
  void SetUp() override {
    PostgresCycleStoreTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Admin(kViews);
    catalogue_.emplace(*pool_);
  }
  void Sample(int number, const std::string& name, const std::string& metadata = "{}") {
    Admin(
        "INSERT INTO ingestion.samples (sample_id, task, sha256, name, group_key, split, metadata) "
        "VALUES "
        "('" +
        Id(number) + "', 'lights', decode(lpad('" + std::to_string(number) +
        "', 64, '0'), 'hex'), '" + name + "', 'group-" + std::to_string(number) + "', '" +
        (number % 2 == 0 ? "test" : "training") + "', '" + metadata + "')");
  }
  void Item(int dataset, int sample, const std::string& class_name = "red") {
    Admin(
        "INSERT INTO curation.items (dataset_version_id, ordinal, sample_id, class_name, split, "
        "class_index) "
        "VALUES ('" +
        Id(dataset) + "', " + std::to_string(sample) + ", '" + Id(sample) + "', '" + class_name +
        "', 'test', 0)");
  }
  void Prediction(int run, int sample, int predicted, const std::string& baseline = "{}") {
    Admin(
        "INSERT INTO training.run_predictions (run_id, ordinal, sample_id, split, given_class, "
        "predicted_class, "
        "probabilities, baseline_probabilities) VALUES ('" +
        Id(run) + "', " + std::to_string(sample) + ", '" + Id(sample) + "', 'test', 0, " +
        std::to_string(predicted) + ", '{0.5,0.5}', '" + baseline + "')");
  }
  void Run(int number) {
    Admin(
        "INSERT INTO training.runs (run_id, request_id, task, dataset_version_id, dataset_digest, "
        "dataset_items, "
        "classes, recipe, seed, actor, state, queued_at) VALUES ('" +
        Id(number) + "', 'q" + std::to_string(number) + "', 'lights', '" + Id(2) +
        "', '', 1, '{red,green}', 'image-cnn', 1, 'ann', 'succeeded', now())");
  }

  std::optional<PostgresSampleCatalogue> catalogue_;
};

TEST_F(PostgresSampleCatalogueTest, FindsCapturedSamplesByNameOrContent) {
  Sample(10, "r-1#0", R"({"captured_because": "random", "inclusion_probability": "0.05"})");
  Sample(11, "r-2#3");
  Sample(12, "pushed.png", R"({"inclusion_probability": "nonsense"})");
  Item(1, 11);
  Admin(
      "INSERT INTO ingestion.captured (task, request_id, request_index, sample_id) VALUES "
      "('lights', 'r-1', 0, '" +
      Id(10) + "'), ('lights', 'r-2', 3, '" + Id(11) + "')");
  std::vector<RankedPrediction> predictions{{"r-1", 0, "", 0.5},
                                            {"r-2", 3, "", 0.4},
                                            {"r-9", 0, std::string(62, '0') + "12", 0.3},
                                            {"r-8", 0, "no digest", 0.2}};
  const auto found = catalogue_->FindCaptured("lights", Id(1), predictions);
  ASSERT_TRUE(found.ok()) << found.error().message;
  ASSERT_EQ(found->size(), 3U);
  for (const auto& sample : *found) {
    EXPECT_EQ(sample.known, sample.sample_id == Id(11));
    if (sample.sample_id == Id(10)) {
      EXPECT_EQ(sample.captured_because, "random");
      EXPECT_EQ(sample.inclusion_probability, 0.05);
      EXPECT_EQ(sample.group, "group-10");
      EXPECT_EQ(sample.split, "test");
    }
    if (sample.sample_id == Id(12)) {
      EXPECT_EQ(sample.inclusion_probability, 0);
      EXPECT_EQ(sample.sha256, std::string(62, '0') + "12");
    }
  }
  EXPECT_TRUE(catalogue_->FindCaptured("signs", "", predictions)->empty());
}

TEST_F(PostgresSampleCatalogueTest, EachRequestOfAPictureHasItsOwnReason) {
  Sample(10, "r-1#0", R"({"captured_because": "uncertain", "inclusion_probability": "0"})");
  Admin("INSERT INTO ingestion.captured VALUES ('lights', 'r-1', 0, '" + Id(10) +
        "', now(), 'uncertain', 0), ('lights', 'r-2', 0, '" + Id(10) + "', now(), 'random', 0.25)");
  const std::string content = std::string(62, '0') + "10";
  const std::vector<RankedPrediction> predictions{
      {"r-1", 0, content, 0.5}, {"r-2", 0, content, 0.5}, {"r-3", 0, content, 0.5}};
  const auto found = catalogue_->FindCaptured("lights", "", predictions);
  ASSERT_TRUE(found.ok()) << found.error().message;
  ASSERT_EQ(found->size(), 2U);
  for (const auto& sample : *found) {
    EXPECT_EQ(sample.sample_id, Id(10));
    EXPECT_EQ(sample.captured_because, sample.name == "r-2#0" ? "random" : "uncertain");
    EXPECT_EQ(sample.inclusion_probability, sample.name == "r-2#0" ? 0.25 : 0);
  }
}

TEST_F(PostgresSampleCatalogueTest, CountsWhatIsNew) {
  for (const int sample : {10, 11, 12}) Item(1, sample);
  for (const int sample : {10, 11, 13}) Item(2, sample);
  Item(2, 12, "green");  // Labeled otherwise by now.
  EXPECT_EQ(*catalogue_->CountNewItems(Id(2), Id(1)), 2U);
  EXPECT_EQ(*catalogue_->CountNewItems(Id(1), Id(1)), 0U);
  EXPECT_EQ(*catalogue_->NewestDataset("lights"), "");
  Admin(
      "INSERT INTO labeling.labels SELECT gen_random_uuid(), 'lights', now() - n * interval '1 "
      "hour', 'red' "
      "FROM generate_series(0, 9) AS n");
  EXPECT_EQ(*catalogue_->CountNewLabels("lights"), 10U);
  Admin("INSERT INTO curation.versions (dataset_version_id, task, version, built_at) VALUES ('" +
        Id(1) + "', 'lights', 1, now() - interval '150 minutes')");
  EXPECT_EQ(*catalogue_->CountNewLabels("lights"), 3U);
  EXPECT_EQ(*catalogue_->NewestDataset("lights"), Id(1));
}

TEST_F(PostgresSampleCatalogueTest, KnowsTheLabelsOfTheSamplesThatHaveOne) {
  Admin("INSERT INTO labeling.labels VALUES ('" + Id(10) + "', 'lights', now(), 'red'), ('" +
        Id(11) + "', 'signs', now(), 'stop')");
  const std::vector<std::string> samples{Id(10), Id(11), Id(12)};
  EXPECT_THAT(*catalogue_->LabelsOf("lights", samples),
              ::testing::ElementsAre(::testing::Pair(Id(10), "red")));
}

TEST_F(PostgresSampleCatalogueTest, GateSamplesKnowConditionSlicesAndTheBaselinesAnswer) {
  Run(50);
  Item(1, 10);
  Sample(10, "old.png", R"({"site": "north", "other": "x"})");
  Sample(11, "r-1#0", R"({"site": "south"})");
  Prediction(50, 10, 0, "{0.9,0.1}");
  Prediction(50, 11, 0, "{0.2,0.8}");
  const std::vector<std::string> keys{"site", "camera", "site"};
  const auto samples = catalogue_->GateSamples(Id(50), Id(1), keys);
  ASSERT_TRUE(samples.ok()) << samples.error().message;
  ASSERT_EQ(samples->size(), 2U);
  EXPECT_FALSE((*samples)[0].is_new_condition);
  EXPECT_TRUE((*samples)[1].is_new_condition);
  EXPECT_EQ((*samples)[0].baseline_class, 0U);
  EXPECT_EQ((*samples)[1].baseline_class, 1U);
  EXPECT_THAT((*samples)[0].slices, ElementsAre("site=north"));
  EXPECT_THAT((*samples)[1].slices, ElementsAre("site=south"));
  EXPECT_TRUE(catalogue_->GateSamples(Id(50), Id(1), {})->at(0).slices.empty());
}

TEST_F(PostgresSampleCatalogueTest, TwoRunsAreComparedOnTheSamplesBothWereAskedAbout) {
  Run(50);
  Run(51);
  for (const int sample : {10, 11}) Prediction(50, sample, 1);
  for (const int sample : {11, 12}) Prediction(51, sample, 0);
  const auto samples = catalogue_->GateSamplesOf(Id(50), Id(51), Id(1), {});
  ASSERT_TRUE(samples.ok()) << samples.error().message;
  ASSERT_EQ(samples->size(), 1U);
  EXPECT_EQ((*samples)[0].candidate_class, 1U);
  EXPECT_EQ((*samples)[0].baseline_class, 0U);
  EXPECT_TRUE(catalogue_->GateSamplesOf("run-1", Id(51), Id(1), {})->empty());
}

}  // namespace
}  // namespace tidewheel::training
