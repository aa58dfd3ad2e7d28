#include "tidewheel/monitoring/domain/alert_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "tidewheel/monitoring/domain/testing/fake_alert_store.h"
#include "tidewheel/monitoring/domain/testing/made_up_traffic.h"

namespace tidewheel::monitoring {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Change = MadeUpTraffic::Change;

constexpr std::size_t kRows = 50;

class FixedClock final : public Clock {
 public:
  Timestamp Now() const override { return now; }
  Timestamp now{std::chrono::seconds(1'900'000'000)};
};

class AlertKeeperTest : public ::testing::Test {
 protected:
  AlertKeeperTest() {
    policy_.window_predictions = kRows;
    policy_.webhooks = {"http://127.0.0.1:1/hook"};
  }

  void Tell(WindowRows window, const Profile& profile) {
    auto& last = last_[window.model];
    if (last != nullptr && last->number + 1 == window.number) window.before = last;
    last = std::make_shared<const WindowRows>(window);
    const auto told = keeper_.OnWindow(window, &profile, policy_);
    ASSERT_TRUE(told.ok()) << told.error().message;
  }
  void Tell(MadeUpTraffic& traffic, std::uint64_t first, std::uint64_t windows,
            Change change = Change::kNone, std::size_t from = 0) {
    for (std::uint64_t w = 0; w < windows; ++w) {
      Tell(traffic.Window(first + w, kRows, change, w == 0 ? from : 0), traffic.profile());
    }
  }
  /// Windows with the outcomes of their rows right after them.
  void TellWithOutcomes(MadeUpTraffic& traffic, std::uint64_t first, std::uint64_t windows,
                        Change change = Change::kNone) {
    for (std::uint64_t w = 0; w < windows; ++w) {
      std::vector<ObservedRow> rows;
      std::vector<std::uint32_t> truths;
      for (std::size_t i = 0; i < kRows; ++i) {
        rows.push_back(traffic.Next(change));
        truths.push_back(traffic.truth());
      }
      Tell(traffic.Window(first + w, rows), traffic.profile());
      for (std::size_t i = 0; i < kRows; ++i) rows[i].outcome = truths[i];
      const auto told = keeper_.OnOutcomes({"lights", "model-1"}, traffic.profile().classes, rows,
                                           outcomes_, &traffic.profile(), policy_);
      ASSERT_TRUE(told.ok()) << told.error().message;
      outcomes_ += kRows;
    }
  }

  MonitoringPolicy policy_;
  FixedClock clock_;
  FakeAlertStore store_;
  AlertKeeper keeper_{store_, clock_};
  std::uint64_t outcomes_ = 0;
  std::map<ModelKey, std::shared_ptr<const WindowRows>> last_;
};

TEST_F(AlertKeeperTest, CalmTrafficRaisesNothing) {
  MadeUpTraffic traffic(1);

  TellWithOutcomes(traffic, 1, 60);

  EXPECT_THAT(store_.Raised(), IsEmpty());
  EXPECT_THAT(store_.told, IsEmpty());
  const auto& note = store_.notes.begin()->second;
  ASSERT_TRUE(note.estimated_accuracy.has_value());
  EXPECT_NEAR(*note.estimated_accuracy, traffic.profile().predictions.accuracy, 0.08);
  EXPECT_LT(note.estimated_low, *note.estimated_accuracy);
  EXPECT_LT(note.drift.at("embedding_drift"), 1);
}

TEST_F(AlertKeeperTest, TurnedInputsAreOneDataDriftThatNamesWhereItBegan) {
  MadeUpTraffic traffic(2);
  Tell(traffic, 1, 5);

  Tell(traffic, 6, 3, Change::kTurned, 20);

  ASSERT_THAT(store_.Raised(), ElementsAre("data_drift"));
  const Alert& alert = store_.alerts[0];
  EXPECT_THAT(store_.told, SizeIs(1));
  EXPECT_GT(alert.diagnosis.damage, 0.2);
  const auto began = Timestamp(std::chrono::seconds(1'800'000'000 + 5 * kRows + 20));
  EXPECT_LT(std::abs((alert.diagnosis.since - began).count()), 10'000'000);
  EXPECT_LE(alert.diagnosis.delay_predictions, 100U);
  EXPECT_THAT(alert.diagnosis.telling_predictions, SizeIs(10));
  EXPECT_GE(alert.diagnosis.histograms.size(), 3U);
  EXPECT_THAT(alert.webhooks, ElementsAre("http://127.0.0.1:1/hook"));
  for (const auto& histogram : alert.diagnosis.histograms) {
    EXPECT_NEAR(
        std::accumulate(histogram.current_shares.begin(), histogram.current_shares.end(), 0.0), 1,
        1e-9);
  }
}

TEST_F(AlertKeeperTest, OtherSharesOfTheClassesAreALabelShiftWithTheShares) {
  MadeUpTraffic traffic(3, 800, 800);
  Tell(traffic, 1, 3);

  Tell(traffic, 4, 8, Change::kShares);

  ASSERT_THAT(store_.Raised(), ElementsAre("label_shift"));
  const auto& shares = store_.alerts[0].diagnosis.class_shares;
  EXPECT_NEAR(shares.at("red"), 0.15, 0.05);
  EXPECT_NEAR(shares.at("green"), 0.15, 0.05);
  EXPECT_NEAR(shares.at("yellow"), 0.70, 0.05);
}

TEST_F(AlertKeeperTest, ClassesThatSwapTheirMeaningAreAConceptDriftSeenByOutcomes) {
  MadeUpTraffic traffic(4);
  TellWithOutcomes(traffic, 1, 4);

  TellWithOutcomes(traffic, 5, 4, Change::kConcept);

  ASSERT_THAT(store_.Raised(), ElementsAre("concept_drift"));
  const Diagnosis& diagnosis = store_.alerts[0].diagnosis;
  EXPECT_GT(diagnosis.damage, 0.5);
  EXPECT_LE(diagnosis.delay_predictions, 120U);
  EXPECT_FALSE(diagnosis.telling_predictions.empty());

  TellWithOutcomes(traffic, 9, 3);

  EXPECT_EQ(store_.alerts[0].state, AlertState::kResolved);
  EXPECT_THAT(store_.alerts[0].resolution, HasSubstr("measured: 3 blocks"));
}

TEST_F(AlertKeeperTest, DriftedInputsExplainTheErrorsThatComeWithThem) {
  MadeUpTraffic traffic(5);
  TellWithOutcomes(traffic, 1, 4);

  TellWithOutcomes(traffic, 5, 5, Change::kTurned);

  EXPECT_THAT(store_.Raised(), ElementsAre("data_drift"));
}

TEST_F(AlertKeeperTest, DarkInputsAreASensorFaultAndNotADrift) {
  MadeUpTraffic traffic(6);
  Tell(traffic, 1, 4);

  Tell(traffic, 5, 4, Change::kDark, 30);

  ASSERT_THAT(store_.Raised(), ElementsAre("sensor_fault"));
  EXPECT_THAT(store_.alerts[0].diagnosis.title, HasSubstr("underexposed"));

  Tell(traffic, 9, 3);

  EXPECT_EQ(store_.alerts[0].state, AlertState::kResolved);
}

TEST_F(AlertKeeperTest, AFewDarkInputsInAnyWindowAreASensorFaultToo) {
  MadeUpTraffic traffic(7);
  for (std::uint64_t w = 1; w <= 12; ++w) {
    Tell(traffic.Window(w, kRows, Change::kDark, 0, 0.12), traffic.profile());
  }

  EXPECT_THAT(store_.Raised(), ElementsAre("sensor_fault"));
}

TEST_F(AlertKeeperTest, AnAlertAbsorbsWhatComesAfterAndEndsByMeasurement) {
  MadeUpTraffic traffic(8);
  Tell(traffic, 1, 2);
  Tell(traffic, 3, 10, Change::kTurned);
  ASSERT_THAT(store_.Raised(), SizeIs(1));
  EXPECT_TRUE(store_.alerts[0].open());

  Tell(traffic, 13, 2);
  EXPECT_TRUE(store_.alerts[0].open());
  Tell(traffic, 15, 2);

  EXPECT_EQ(store_.alerts[0].state, AlertState::kResolved);
  EXPECT_THAT(store_.alerts[0].resolution, HasSubstr("measured: 3 windows"));
  EXPECT_THAT(store_.told, SizeIs(2));
}

TEST_F(AlertKeeperTest, ANewModelThatKnowsTheNewConditionResolvesTheAlertOfTheOld) {
  MadeUpTraffic traffic(9);
  Tell(traffic, 1, 2);
  Tell(traffic, 3, 3, Change::kTurned);
  ASSERT_NE(store_.Open("data_drift"), nullptr);
  // Made from the old condition and some of the new.
  Profile mixed = traffic.profile();
  for (int i = 0; i < 40; ++i) {
    const ObservedRow row = traffic.Next(Change::kTurned);
    mixed.rows.push_back({i % 2 == 0 ? "test" : "training", row.class_index, row.probabilities,
                          row.embedding, row.features});
  }

  for (std::uint64_t w = 1; w <= 20; ++w) {
    auto window = traffic.Window(w, kRows, Change::kTurned);
    window.model.model_version_id = "model-2";
    Tell(window, mixed);
    EXPECT_EQ(store_.Open("data_drift") == nullptr, w >= 3) << w;
  }

  EXPECT_THAT(store_.Raised(), SizeIs(1));
  EXPECT_THAT(store_.alerts[0].resolution, HasSubstr("model-2"));
}

TEST_F(AlertKeeperTest, WindowsOfShadowsAndCanariesNeitherRaiseNorResolve) {
  MadeUpTraffic traffic(10);
  const auto canary = [&](std::uint64_t number, Change change) {
    auto window = traffic.Window(number, kRows, change);
    window.model.model_version_id = "model-2";
    for (auto& row : window.rows) row.role = number % 2 == 0 ? "canary" : "shadow";
    return window;
  };
  for (std::uint64_t w = 1; w <= 4; ++w) Tell(canary(w, Change::kTurned), traffic.profile());
  EXPECT_THAT(store_.Raised(), IsEmpty());

  Tell(traffic, 1, 4, Change::kTurned);
  for (std::uint64_t w = 5; w <= 8; ++w) Tell(canary(w, Change::kNone), traffic.profile());

  EXPECT_NE(store_.Open("data_drift"), nullptr);
}

TEST_F(AlertKeeperTest, RepeatsChangeNothingAndAFailedTransactionIsToldAgain) {
  MadeUpTraffic traffic(11);
  Tell(traffic, 1, 2);
  const auto window = traffic.Window(3, kRows, Change::kTurned);
  store_.fail_next_commit = true;
  EXPECT_EQ(keeper_.OnWindow(window, &traffic.profile(), policy_).error().code,
            ErrorCode::kUnavailable);

  for (int i = 0; i < 3; ++i) Tell(window, traffic.profile());

  EXPECT_THAT(store_.Raised(), SizeIs(1));
  EXPECT_EQ(store_.alerts[0].diagnosis.predicted[0] + store_.alerts[0].diagnosis.predicted[1] +
                store_.alerts[0].diagnosis.predicted[2],
            store_.alerts[0].diagnosis.delay_predictions);
}

TEST_F(AlertKeeperTest, OutcomesThatComeAgainCountOnce) {
  MadeUpTraffic traffic(12);
  Tell(traffic, 1, 1);
  std::vector<ObservedRow> rows;
  for (int i = 0; i < 8; ++i) {
    rows.push_back(traffic.Next());
    rows.back().outcome = (rows.back().class_index + 1) % 3;
  }

  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(keeper_
                    .OnOutcomes({"lights", "model-1"}, traffic.profile().classes, rows, 0,
                                &traffic.profile(), policy_)
                    .ok());
  }

  const auto watch = ModelWatch::FromBytes(store_.states["lights/model/model-1"]);
  ASSERT_TRUE(watch.ok());
  EXPECT_EQ(watch->next_outcome, 8U);
  EXPECT_EQ(watch->all.current.errors, 8U);
}

TEST_F(AlertKeeperTest, ASliceThatFailsIsNamed) {
  MadeUpTraffic traffic(13);
  for (std::uint64_t w = 1; w <= 10; ++w) {
    std::vector<ObservedRow> rows;
    for (std::size_t i = 0; i < kRows; ++i) rows.push_back(traffic.Next());
    auto window = traffic.Window(w, rows);
    Tell(window, traffic.profile());
    for (std::size_t i = 0; i < kRows; ++i) {
      const bool rare = w > 3 && i % 10 == 0;
      rows[i].slices = {rare ? "weather=snow" : "weather=dry"};
      rows[i].outcome = rare ? (rows[i].class_index + 1) % 3 : rows[i].class_index;
    }
    ASSERT_TRUE(keeper_
                    .OnOutcomes({"lights", "model-1"}, traffic.profile().classes, rows, outcomes_,
                                &traffic.profile(), policy_)
                    .ok());
    outcomes_ += kRows;
  }

  ASSERT_THAT(store_.Raised(), ElementsAre("slice"));
  ASSERT_NE(store_.Open("slice"), nullptr);
  EXPECT_EQ(store_.Open("slice")->diagnosis.findings[0].subject, "weather=snow");
}

TEST_F(AlertKeeperTest, SlicesThatDriftAreNamedWhileTheRestIsCalmTheDearestFirst) {
  policy_.slice_keys = {"camera"};
  MadeUpTraffic traffic(21);
  std::uint64_t whole = 0;
  std::map<std::string, std::uint64_t> numbers;
  std::map<std::string, std::vector<ObservedRow>> waiting;
  std::vector<ObservedRow> all;
  const auto add = [&](ObservedRow row, const std::string& slice) {
    row.slices = {slice};
    all.push_back(row);
    auto& rows = waiting[slice];
    rows.push_back(row);
    if (all.size() == kRows) {
      Tell(traffic.Window(++whole, std::exchange(all, {})), traffic.profile());
    }
    if (rows.size() < kRows) return;
    auto window = traffic.Window(++numbers[slice], std::exchange(rows, {}));
    window.slice = slice;
    ASSERT_TRUE(keeper_.OnWindow(window, &traffic.profile(), policy_).ok());
    ASSERT_TRUE(keeper_.OnWindow(window, &traffic.profile(), policy_).ok());  // A repeat.
  };
  const auto send = [&](int rows, const std::set<std::string>& turned) {
    for (int i = 0; i < rows; ++i) {
      // The north sees every 30th row, the east every 25th.
      const std::string slice = i % 30 == 0   ? "camera=north"
                                : i % 25 == 1 ? "camera=east"
                                              : "camera=south";
      add(traffic.Next(turned.contains(slice) ? Change::kTurned : Change::kNone), slice);
    }
  };
  send(6'000, {});
  EXPECT_THAT(store_.Raised(), IsEmpty());

  send(4'500, {"camera=north"});

  ASSERT_THAT(store_.Raised(), ElementsAre("slice"));
  const Diagnosis& diagnosis = store_.alerts[0].diagnosis;
  EXPECT_EQ(diagnosis.findings[0].subject, "camera=north");
  EXPECT_GT(diagnosis.findings[0].effect, 0.1);
  EXPECT_GT(diagnosis.damage, 0);
  EXPECT_LT(diagnosis.damage, 0.05);
  EXPECT_THAT(diagnosis.title, HasSubstr("camera=north"));

  send(6'000, {});

  EXPECT_EQ(store_.alerts[0].state, AlertState::kResolved);
  EXPECT_THAT(store_.Raised(), SizeIs(1));
}

TEST_F(AlertKeeperTest, EstimatesAreAuditedWhenOutcomesCome) {
  const auto audit = [&]() -> std::optional<Finding> {
    const auto found = store_.findings.find("audit/model-1");
    if (found == store_.findings.end() || found->second.empty()) return std::nullopt;
    return found->second.front();
  };
  MadeUpTraffic traffic(22);
  TellWithOutcomes(traffic, 1, 20);
  ASSERT_TRUE(audit().has_value());
  EXPECT_EQ(audit()->kind, FindingKind::kEstimateAudit);
  EXPECT_FALSE(audit()->fires);
  EXPECT_LT(std::abs(audit()->effect), 0.05);

  TellWithOutcomes(traffic, 21, 8, Change::kConcept);

  ASSERT_TRUE(audit().has_value());
  EXPECT_TRUE(audit()->fires);
  EXPECT_GT(audit()->effect, 0.1);
  EXPECT_GT(audit()->effect_low, 0);
}

TEST_F(AlertKeeperTest, StrangeValuesAreTheDataSFaultOnlyOnceNothingHasDrifted) {
  MadeUpTraffic traffic(23);
  Tell(traffic, 1, 2);
  for (std::uint64_t w = 3; w <= 5; ++w) {
    auto window = traffic.Window(w, kRows);
    // One feature of eight is far off in every fifth row.
    for (std::size_t i = 0; i < kRows; i += 5) window.rows[i].features[1] = 1'000;
    Tell(window, traffic.profile());
    EXPECT_THAT(store_.Raised(), SizeIs(w == 3 ? 0 : 1)) << w;
  }

  EXPECT_THAT(store_.Raised(), ElementsAre("data_quality"));
}

TEST_F(AlertKeeperTest, ACategoryThatWasNeverSeenIsADataQualityAlert) {
  MadeUpTraffic traffic(24);
  Profile profile = traffic.profile();
  for (std::size_t i = 0; i < profile.rows.size(); ++i) {
    profile.rows[i].features[7] = static_cast<double>(1 + i % 4 + (i % 4 == 2 ? 4 : 0));
  }
  profile.features[7].min = 1;
  profile.features[7].max = 7;
  for (std::uint64_t w = 1; w <= 6; ++w) {
    auto window = traffic.Window(w, kRows);
    for (std::size_t i = 0; i < kRows; ++i) {
      const double usual = static_cast<double>(1 + i % 4 + (i % 4 == 2 ? 4 : 0));
      window.rows[i].features[7] = w > 3 && i % 6 == 0 ? 6 : usual;
    }
    Tell(window, profile);
  }

  ASSERT_THAT(store_.Raised(), ElementsAre("data_quality"));
  EXPECT_THAT(store_.alerts[0].diagnosis.title, HasSubstr("new feature_7"));
}

TEST_F(AlertKeeperTest, WhereAWindowIsHalfOldTheFirstAlertNamesTheRightCause) {
  for (std::uint64_t world = 0; world < 12; ++world) {
    for (const auto change : {Change::kTurned, Change::kShares}) {
      FakeAlertStore store;
      AlertKeeper keeper(store, clock_);
      MadeUpTraffic traffic(3'000 + world, 300, 800);
      std::shared_ptr<const WindowRows> before;
      std::uint64_t told_in = 0;
      for (std::uint64_t w = 1; w <= 9 && told_in == 0; ++w) {
        const Change now = w < 3 ? Change::kNone : change;
        auto window = traffic.Window(w, kRows, now, w == 3 ? 4 * world : 0);
        window.before = before;
        before = std::make_shared<const WindowRows>(window);
        ASSERT_TRUE(keeper.OnWindow(window, &traffic.profile(), policy_).ok());
        if (!store.alerts.empty()) told_in = w;
      }
      ASSERT_FALSE(store.alerts.empty()) << world;
      EXPECT_EQ(store.alerts[0].diagnosis.cause,
                change == Change::kTurned ? "data_drift" : "label_shift")
          << "world " << world << ", window " << told_in;
      // Turned inputs within 100 rows of the change, at most one window later than they could.
      EXPECT_LE(told_in, change == Change::kTurned ? 4U : 9U) << world;
    }
  }
}

TEST_F(AlertKeeperTest, FeaturesThatNobodySendsAnyMoreAreADataQualityAlert) {
  MadeUpTraffic traffic(14);
  Tell(traffic, 1, 2);
  for (std::uint64_t w = 3; w <= 4; ++w) {
    auto window = traffic.Window(w, kRows);
    for (auto& row : window.rows) {
      row.features[2] = std::nan("");
      row.unknown_features = {"colour"};
    }
    Tell(window, traffic.profile());
  }

  ASSERT_THAT(store_.Raised(), ElementsAre("data_quality"));
  EXPECT_THAT(store_.alerts[0].diagnosis.title, HasSubstr("missing feature_2"));
}

TEST_F(AlertKeeperTest, AnnotatorsWhoGotWorseAreNamedTogether) {
  const auto fact = [&](const std::string& who, std::uint64_t agreed, double p) {
    return AnnotatorFact{"lights", who, 50, agreed, 200, 190, p, clock_.now};
  };
  ASSERT_TRUE(keeper_.OnAnnotator(fact("ada", 47, 0.4), policy_).ok());
  ASSERT_THAT(store_.findings["annotator/ada"], SizeIs(1));
  EXPECT_FALSE(store_.findings["annotator/ada"][0].fires);
  EXPECT_NEAR(store_.findings["annotator/ada"][0].effect, -0.01, 1e-9);
  ASSERT_TRUE(keeper_.OnAnnotator(fact("bo", 20, 1e-12), policy_).ok());
  ASSERT_TRUE(keeper_.OnAnnotator(fact("cy", 25, 1e-9), policy_).ok());
  ASSERT_TRUE(keeper_.OnAnnotator(fact("cy", 25, 1e-9), policy_).ok());

  ASSERT_THAT(store_.Raised(), ElementsAre("annotator_quality"));
  EXPECT_THAT(store_.alerts[0].diagnosis.title, HasSubstr("bo (95 % to 40 %), cy"));
  EXPECT_THAT(store_.alerts[0].diagnosis.findings, SizeIs(2));

  EXPECT_TRUE(store_.findings["annotator/cy"][0].fires);

  ASSERT_TRUE(keeper_.OnAnnotator(fact("bo", 47, 0.4), policy_).ok());
  EXPECT_FALSE(store_.findings["annotator/bo"][0].fires);
  EXPECT_TRUE(store_.alerts[0].open());
  ASSERT_TRUE(keeper_.OnAnnotator(fact("cy", 47, 0.4), policy_).ok());
  EXPECT_FALSE(store_.alerts[0].open());
}

TEST_F(AlertKeeperTest, SilenceIsToldAndEnds) {
  policy_.silence_seconds = 60;
  TaskActivity activity{"lights", clock_.now, clock_.now};
  ASSERT_TRUE(keeper_.OnTime(activity, policy_).ok());
  EXPECT_THAT(store_.Raised(), IsEmpty());

  clock_.now += std::chrono::seconds(61);
  ASSERT_TRUE(keeper_.OnTime(activity, policy_).ok());
  ASSERT_TRUE(keeper_.OnTime(activity, policy_).ok());
  ASSERT_THAT(store_.Raised(), ElementsAre("silence"));

  activity.arrived_at = clock_.now;
  ASSERT_TRUE(keeper_.OnTime(activity, policy_).ok());
  EXPECT_FALSE(store_.alerts[0].open());
}

TEST_F(AlertKeeperTest, ABurstOfQuarantineIsASensorFaultAndDuplicatesAreNone) {
  for (int i = 0; i < 200; ++i) {
    CapturedSample sample{
        "event-" + std::to_string(i), "lights", "s-" + std::to_string(i), {}, clock_.now};
    if (i % 2 == 0) sample.reasons = {"near_duplicate"};
    if (i > 120 && i % 4 == 1) sample.reasons = {"blurred"};
    ASSERT_TRUE(keeper_.OnCapturedSample(sample, policy_).ok());
    ASSERT_TRUE(keeper_.OnCapturedSample(sample, policy_).ok());
    if (i == 120) {
      EXPECT_THAT(store_.Raised(), IsEmpty());
    }
  }

  EXPECT_THAT(store_.Raised(), ElementsAre("sensor_fault"));
}

TEST_F(AlertKeeperTest, PeopleAcknowledgeMuteAndResolve) {
  MadeUpTraffic traffic(15);
  Tell(traffic, 1, 3, Change::kTurned);
  ASSERT_THAT(store_.alerts, SizeIs(1));
  const std::string id = store_.alerts[0].id;

  for (int i = 0; i < 2; ++i) {
    const auto alert = keeper_.Acknowledge(id, "ada");
    ASSERT_TRUE(alert.ok());
    EXPECT_EQ(alert->state, AlertState::kAcknowledged);
  }
  EXPECT_THAT(store_.told, SizeIs(2));
  const auto muted = keeper_.Mute(id, "ada", 60);
  ASSERT_TRUE(muted.ok());
  EXPECT_TRUE(muted->muted(clock_.now));
  Tell(traffic, 4, 1, Change::kTurned);
  EXPECT_EQ(store_.alerts[0].state, AlertState::kAcknowledged);
  const auto resolved = keeper_.Resolve(id, "ada", "the lights were turned back");
  ASSERT_TRUE(resolved.ok());
  EXPECT_EQ(resolved->resolution, "by ada: the lights were turned back");

  EXPECT_TRUE(keeper_.Resolve(id, "bo", "again").ok());
  EXPECT_EQ(store_.alerts[0].resolution, "by ada: the lights were turned back");
  EXPECT_EQ(keeper_.Acknowledge(id, "ada").error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(keeper_.Acknowledge("none", "ada").error().code, ErrorCode::kNotFound);
}

TEST(ModelWatchTest, ItsBytesBringItBack) {
  ModelWatch watch;
  watch.recent.push_back({"count",
                          7,
                          9,
                          Timestamp(std::chrono::seconds(5)),
                          1.5,
                          false,
                          {{FindingKind::kInputQuality, "quality", 1, 2, 3, 4}}});
  watch.slices["a=b"].current = {3, 1};
  watch.past.push_back({Timestamp(std::chrono::seconds(8)), true, "r#0"});
  watch.suspicion.emplace();
  watch.suspicion->telling = {"r#0"};
  watch.detector = std::string("\0\1", 2);

  const auto again = ModelWatch::FromBytes(watch.ToBytes());

  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->ToBytes(), watch.ToBytes());
  EXPECT_EQ(again->recent[0].rare[0].subject, "quality");
  EXPECT_FALSE(ModelWatch::FromBytes("nonsense").ok());
  std::string cut = watch.ToBytes();
  for (std::size_t size = 1; size < cut.size(); ++size) {
    EXPECT_FALSE(ModelWatch::FromBytes(cut.substr(0, size)).ok()) << size;
  }
}

}  // namespace
}  // namespace tidewheel::monitoring
