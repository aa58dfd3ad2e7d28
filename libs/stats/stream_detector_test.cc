#include "tidewheel/stats/stream_detector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "tidewheel/base/random.h"
#include "tidewheel/stats/adwin.h"
#include "tidewheel/stats/cusum.h"
#include "tidewheel/stats/error_rate_detectors.h"
#include "tidewheel/stats/hddm.h"
#include "tidewheel/stats/kswin.h"

namespace tidewheel::stats {
namespace {

std::vector<double> Errors(std::uint64_t seed, std::size_t size, double rate, double rate_after) {
  Random random(seed);
  std::vector<double> values(size);
  for (std::size_t i = 0; i < size; ++i) {
    values[i] = random.Uniform() < (i < size / 2 ? rate : rate_after) ? 1 : 0;
  }
  return values;
}

std::vector<StreamEvent> Drifts(StreamDetector& detector, const std::vector<double>& values) {
  auto events = *FindEvents(detector, values);
  std::erase_if(events, [](const StreamEvent& e) { return e.state != StreamState::kDrift; });
  return events;
}

class StreamDetectorTest : public testing::TestWithParam<DetectorKind> {};

TEST_P(StreamDetectorTest, GoesOnFromItsBytesAsIfNeverInterrupted) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto values = Errors(seed, 3'000, 0.15, 0.5);
    auto whole = MakeDetector(GetParam());
    auto restarted = MakeDetector(GetParam());
    Random random(seed + 100);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (random.Below(50) == 0) {
        auto restored = RestoreDetector(restarted->SaveState());
        ASSERT_TRUE(restored.ok()) << restored.error().message;
        restarted = *std::move(restored);
      }
      ASSERT_EQ(*whole->Update(values[i]), *restarted->Update(values[i])) << "row " << i;
    }
    EXPECT_EQ(whole->SaveState(), restarted->SaveState());
    EXPECT_EQ(restarted->observations(), values.size());
    EXPECT_EQ(restarted->kind(), GetParam());
  }
}

TEST_P(StreamDetectorTest, SeesARateThatRisesFromATenthToNineTenths) {
  auto detector = MakeDetector(GetParam());

  const auto drifts = Drifts(*detector, Errors(3, 4'000, 0.1, 0.9));

  EXPECT_TRUE(std::any_of(drifts.begin(), drifts.end(), [](const StreamEvent& drift) {
    return drift.index >= 2'000 && drift.index < 2'200;
  }));
}

TEST_P(StreamDetectorTest, StaysSmall) {
  auto detector = MakeDetector(GetParam());
  Random random(5);
  std::size_t largest = 0;
  for (int i = 0; i < 200'000; ++i) {
    ASSERT_TRUE(detector->Update(random.Uniform() < 0.3 ? 1 : 0).ok());
    if (i % 1'000 == 0) largest = std::max(largest, detector->SaveState().size());
  }
  EXPECT_LT(largest, 4'096U);
}

TEST_P(StreamDetectorTest, ResetForgetsAllButTheCount) {
  const auto values = Errors(8, 2'000, 0.2, 0.7);
  auto used = MakeDetector(GetParam());
  ASSERT_TRUE(FindEvents(*used, Errors(7, 1'500, 0.4, 0.4)).ok());

  used->Reset();

  EXPECT_EQ(used->state(), StreamState::kStable);
  EXPECT_EQ(used->observations(), 1'500U);
  auto fresh = MakeDetector(GetParam());
  const auto again = *FindEvents(*used, values);
  // KSWIN goes on with its draws, so that a reset does not repeat the first ones.
  if (GetParam() != DetectorKind::kKswin) {
    EXPECT_EQ(again, *FindEvents(*fresh, values));
  }
}

TEST_P(StreamDetectorTest, ACloneAndItsOriginalGoTheirOwnWays) {
  auto original = MakeDetector(GetParam());
  ASSERT_TRUE(FindEvents(*original, Errors(1, 1'000, 0.3, 0.3)).ok());
  const std::string before = original->SaveState();

  auto copy = original->Clone();
  ASSERT_TRUE(FindEvents(*copy, Errors(2, 500, 0.9, 0.9)).ok());

  EXPECT_EQ(original->SaveState(), before);
  EXPECT_NE(copy->SaveState(), before);
}

TEST_P(StreamDetectorTest, RefusesWhatIsNoNumberAndCountsItAsNotSeen) {
  auto detector = MakeDetector(GetParam());
  ASSERT_TRUE(detector->Update(1).ok());
  const std::string before = detector->SaveState();
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
        -std::numeric_limits<double>::infinity(), 1e91}) {
    const auto refused = detector->Update(bad);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(refused.error().message.find(Name(GetParam())), std::string::npos);
  }
  EXPECT_EQ(detector->SaveState(), before);
}

TEST_P(StreamDetectorTest, NamesTheRowThatItRefuses) {
  auto detector = MakeDetector(GetParam());
  const std::vector<double> values = {0, 1, std::nan(""), 0};

  const auto events = FindEvents(*detector, values);

  ASSERT_FALSE(events.ok());
  EXPECT_EQ(events.error().message.substr(0, 7), "row 2: ");
  EXPECT_EQ(detector->observations(), 2U);
}

/// The state with other content and a check sum that fits: what an attacker would send.
std::string Sealed(std::string body) {
  const std::uint64_t sum = StableHash(body);
  for (int b = 0; b < 8; ++b) body.push_back(static_cast<char>(sum >> (8 * b)));
  return body;
}

TEST_P(StreamDetectorTest, RefusesBytesThatWereCutOrChanged) {
  auto detector = MakeDetector(GetParam());
  ASSERT_TRUE(FindEvents(*detector, Errors(4, 300, 0.3, 0.3)).ok());
  const std::string bytes = detector->SaveState();
  ASSERT_TRUE(RestoreDetector(bytes).ok());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_FALSE(RestoreDetector(bytes.substr(0, i)).ok());
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    EXPECT_FALSE(RestoreDetector(changed).ok());
  }
  EXPECT_FALSE(RestoreDetector(bytes + '\0').ok());
  EXPECT_FALSE(RestoreDetector("").ok());
}

TEST_P(StreamDetectorTest, SurvivesBytesMadeToHarmIt) {
  auto detector = MakeDetector(GetParam());
  ASSERT_TRUE(FindEvents(*detector, Errors(4, 300, 0.3, 0.3)).ok());
  const std::string bytes = detector->SaveState();
  const std::string body = bytes.substr(0, bytes.size() - 8);
  ASSERT_TRUE(RestoreDetector(Sealed(body)).ok());
  const auto values = Errors(5, 400, 0.2, 0.8);
  Random random(6);
  std::size_t refused = 0;
  const auto send = [&](const std::string& hostile) {
    auto restored = RestoreDetector(Sealed(hostile));
    if (!restored) {
      EXPECT_EQ(restored.error().code, ErrorCode::kInvalidArgument);
      ++refused;
      return;
    }
    ASSERT_TRUE(FindEvents(**restored, values).ok());
    EXPECT_EQ(RestoreDetector((*restored)->SaveState()).ok(), true);
  };
  for (std::size_t i = 6; i < body.size(); ++i) {
    for (const int value : {0x00, 0x01, 0x7F, 0x80, 0xFF}) {
      std::string hostile = body;
      hostile[i] = static_cast<char>(value);
      send(hostile);
    }
  }
  for (int round = 0; round < 500; ++round) {
    std::string hostile = body;
    for (int changes = 0; changes < 4; ++changes) {
      hostile[6 + random.Below(body.size() - 6)] = static_cast<char>(random.Below(256));
    }
    send(hostile);
  }
  EXPECT_GT(refused, 50U);
}

INSTANTIATE_TEST_SUITE_P(All, StreamDetectorTest,
                         testing::Values(DetectorKind::kAdwin, DetectorKind::kDdm,
                                         DetectorKind::kEddm, DetectorKind::kHddmA,
                                         DetectorKind::kHddmW, DetectorKind::kPageHinkley,
                                         DetectorKind::kKswin, DetectorKind::kCusum,
                                         DetectorKind::kEwma),
                         [](const auto& kind) { return std::string(Name(kind.param)); });

TEST(DetectorNameTest, LeadsBackToItsKind) {
  EXPECT_EQ(*DetectorNamed("hddm_w"), DetectorKind::kHddmW);
  const auto none = DetectorNamed("adwin2");
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  EXPECT_NE(none.error().message.find("page_hinkley"), std::string::npos);
}

TEST(DetectorStateTest, RefusesAnotherDetectorsBytesAndOtherVersions) {
  std::string bytes = Ddm::Make()->SaveState();
  EXPECT_FALSE(Adwin::Restore(bytes).ok());
  bytes[4] = 2;
  const auto newer = RestoreDetector(bytes);
  ASSERT_FALSE(newer.ok());
  EXPECT_NE(newer.error().message.find("version 2"), std::string::npos);
}

TEST(DetectorOptionsTest, RefusesWhatIsOutsideTheirRange) {
  const double nan = std::nan("");
  EXPECT_FALSE(Adwin::Make({.delta = 0}).ok());
  EXPECT_FALSE(Adwin::Make({.delta = nan}).ok());
  EXPECT_FALSE(Adwin::Make({.check_every = 0}).ok());
  EXPECT_FALSE(Adwin::Make({.max_buckets = 0}).ok());
  EXPECT_FALSE(Adwin::Make({.max_buckets = 65}).ok());
  EXPECT_FALSE(Adwin::Make({.min_side = 0}).ok());
  EXPECT_FALSE(Ddm::Make({.warning_level = 3, .drift_level = 2}).ok());
  EXPECT_FALSE(Ddm::Make({.warning_level = 0}).ok());
  EXPECT_FALSE(Ddm::Make({.drift_level = nan}).ok());
  EXPECT_FALSE(Eddm::Make({.warning_share = 0.8, .drift_share = 0.9}).ok());
  EXPECT_FALSE(Eddm::Make({.warning_share = 1.1}).ok());
  EXPECT_FALSE(HddmA::Make({.drift_confidence = 0}).ok());
  EXPECT_FALSE(HddmA::Make({.drift_confidence = 0.1, .warning_confidence = 0.01}).ok());
  EXPECT_FALSE(HddmW::Make({.weight = 1}).ok());
  EXPECT_FALSE(HddmW::Make({.warning_confidence = 1}).ok());
  EXPECT_FALSE(PageHinkley::Make({.slack = -1}).ok());
  EXPECT_FALSE(PageHinkley::Make({.threshold = 0}).ok());
  EXPECT_FALSE(PageHinkley::Make({.fading = 1.5}).ok());
  EXPECT_FALSE(Cusum::Make({.threshold = nan}).ok());
  EXPECT_FALSE(Kswin::Make({.alpha = 1e-20}).ok());
  EXPECT_FALSE(Kswin::Make({.alpha = 1}).ok());
  EXPECT_FALSE(Kswin::Make({.window = 59}).ok());
  EXPECT_FALSE(Kswin::Make({.recent = 1}).ok());
  EXPECT_FALSE(EwmaChart::Make({.weight = 0}).ok());
  EXPECT_FALSE(EwmaChart::Make({.weight = 0.1}).ok());
  EXPECT_TRUE(EwmaChart::Make({.weight = 0.1, .control_limit = 3}).ok());
  EXPECT_FALSE(EwmaChart::Make({.control_limit = nan}).ok());
  EXPECT_FALSE(EwmaChart::Make({.warning_share = 0}).ok());
}

TEST(ErrorRateDetectorTest, TakesNoValueThatIsNoRate) {
  EXPECT_FALSE(Ddm::Make()->Update(1.5).ok());
  EXPECT_TRUE(Ddm::Make()->Update(0.5).ok());
  EXPECT_TRUE(Ddm::Make({.only_rates = false})->Update(1.5).ok());
  EXPECT_FALSE(HddmA::Make()->Update(-0.1).ok());
  EXPECT_FALSE(HddmW::Make()->Update(2).ok());
  EXPECT_FALSE(EwmaChart::Make()->Update(2).ok());
  EXPECT_FALSE(Eddm::Make()->Update(0.5).ok());
}

TEST(DdmTest, AlarmsAtTheFirstErrorOfAStreamThatHadNone) {
  auto detector = *Ddm::Make();
  std::vector<double> values(200, 0.0);
  values[150] = 1;

  EXPECT_EQ(Drifts(detector, values), (std::vector<StreamEvent>{{150, StreamState::kDrift}}));
}

/// ADWIN written down from its definition: buckets in one list, a root and divisions for each cut.
class PlainAdwin {
 public:
  explicit PlainAdwin(const AdwinOptions& options) : options_(options) {}

  bool Update(double value) {
    buckets_.push_back({1, value, 0});
    for (double size = 1;; size *= 2) {
      const auto of_size = [&](const Bucket& bucket) { return bucket.size == size; };
      if (std::count_if(buckets_.begin(), buckets_.end(), of_size) <=
          static_cast<std::ptrdiff_t>(options_.max_buckets)) {
        break;
      }
      const auto oldest = std::find_if(buckets_.begin(), buckets_.end(), of_size);
      *oldest = Joined(*oldest, *(oldest + 1));
      buckets_.erase(oldest + 1);
    }
    if (++seen_ % options_.check_every != 0) return false;
    bool found = false;
    while (Whole().size > options_.grace && HasCut()) {
      buckets_.pop_front();
      found = true;
    }
    return found;
  }
  double mean() const { return Whole().total / Whole().size; }

 private:
  struct Bucket {
    double size, total, squares;
  };
  static Bucket Joined(const Bucket& a, const Bucket& b) {
    if (a.size == 0) return b;
    const double apart = a.total / a.size - b.total / b.size;
    return {a.size + b.size, a.total + b.total,
            a.squares + b.squares + a.size * b.size / (a.size + b.size) * apart * apart};
  }
  Bucket Whole() const {
    Bucket whole{0, 0, 0};
    for (const Bucket& bucket : buckets_) whole = Joined(whole, bucket);
    return whole;
  }
  bool HasCut() const {
    const Bucket whole = Whole();
    const double log_term = std::log(2 * std::log(whole.size) / options_.delta);
    double n0 = 0, total0 = 0;
    for (const Bucket& bucket : buckets_) {
      n0 += bucket.size;
      total0 += bucket.total;
      const double n1 = whole.size - n0;
      if (n0 < options_.min_side || n1 < options_.min_side) continue;
      const double m = 1 / (n0 - options_.min_side + 1) + 1 / (n1 - options_.min_side + 1);
      const double limit =
          std::sqrt(2 * m * whole.squares / whole.size * log_term) + 2.0 / 3.0 * m * log_term;
      if (std::abs(total0 / n0 - (whole.total - total0) / n1) > limit) return true;
    }
    return false;
  }

  AdwinOptions options_;
  std::deque<Bucket> buckets_;
  std::uint64_t seen_ = 0;
};

TEST(AdwinTest, AgreesWithItsDefinitionOnStreamsOfAllKinds) {
  int drifts = 0;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    Random random(seed);
    const AdwinOptions options{.delta = seed % 3 == 0 ? 0.3 : 0.002,
                               .check_every = static_cast<std::uint32_t>(1 + random.Below(40)),
                               .max_buckets = static_cast<std::uint32_t>(1 + random.Below(8)),
                               .min_side = static_cast<std::uint32_t>(1 + random.Below(10)),
                               .grace = static_cast<std::uint32_t>(random.Below(50)),
                               .reset_after_drift = false};
    auto adwin = *Adwin::Make(options);
    PlainAdwin plain(options);
    double level = 0;
    for (int i = 0; i < 3'000; ++i) {
      if (random.Below(500) == 0) level = 3 * random.Normal();
      const double value = seed % 2 == 0 ? level + random.Normal()
                                         : (random.Uniform() < 0.3 + 0.1 * level ? 1.0 : 0.0);
      const bool drift = *adwin.Update(value) == StreamState::kDrift;
      ASSERT_EQ(drift, plain.Update(value)) << "seed " << seed << " row " << i;
      drifts += drift ? 1 : 0;
    }
    EXPECT_NEAR(adwin.mean(), plain.mean(), 1e-9);
  }
  EXPECT_GT(drifts, 100);
}

TEST(AdwinTest, KeepsMeanAndVarianceOfItsWindow) {
  auto adwin = *Adwin::Make({.delta = 1e-12});
  Random random(1);
  double sum = 0, squares = 0;
  const int n = 10'000;
  for (int i = 0; i < n; ++i) {
    const double value = random.Normal();
    sum += value;
    squares += value * value;
    ASSERT_EQ(*adwin.Update(value), StreamState::kStable);
  }
  EXPECT_EQ(adwin.width(), static_cast<std::uint64_t>(n));
  EXPECT_NEAR(adwin.mean(), sum / n, 1e-12);
  EXPECT_NEAR(adwin.variance(), squares / n - sum / n * (sum / n), 1e-9);
}

TEST(AdwinTest, DescribesTheStreamAfterTheChangeUntilTheNextValue) {
  auto adwin = *Adwin::Make();
  Random random(2);
  for (int i = 0; i < 2'000; ++i) ASSERT_TRUE(adwin.Update(random.Normal()).ok());
  int i = 0;
  while (*adwin.Update(10 + random.Normal()) != StreamState::kDrift) ASSERT_LT(++i, 100);

  EXPECT_GT(adwin.mean(), 5);  // It was 0; some of what was before stays below the resolution.
  EXPECT_LT(adwin.width(), 100U);
  ASSERT_TRUE(adwin.Update(10).ok());
  EXPECT_EQ(adwin.width(), 1U);
}

TEST(AdwinTest, IsBlindToTheSign) {
  auto adwin = *Adwin::Make();
  auto mirror = *Adwin::Make();
  Random random(3);
  for (int i = 0; i < 5'000; ++i) {
    const double value = random.Normal() + (i / 1'000 % 2 == 0 ? 0 : 1);
    ASSERT_EQ(*adwin.Update(value), *mirror.Update(-value));
  }
}

TEST(DriftSidesTest, DownIsUpOfTheMirroredStream) {
  const auto check = [](auto up, auto down, auto both, const char* name) {
    std::size_t drifts = 0;
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      for (const double rate : {0.2, 0.8}) {
        up.Reset();
        down.Reset();
        both.Reset();
        const auto values = Errors(seed, 4'000, rate, 1 - rate);
        std::vector<double> mirrored;
        for (const double value : values) mirrored.push_back(1 - value);
        const auto rises = Drifts(up, values);
        EXPECT_EQ(rises, Drifts(down, mirrored)) << name;
        drifts += rises.size();
        if (rate > 0.5) {
          EXPECT_FALSE(Drifts(both, values).empty()) << name;
        }
      }
    }
    EXPECT_GT(drifts, 0U) << name;
  };
  check(*HddmA::Make(), *HddmA::Make({.sides = DriftSides::kDown}),
        *HddmA::Make({.sides = DriftSides::kBoth}), "hddm_a");
  check(*HddmW::Make(), *HddmW::Make({.sides = DriftSides::kDown}),
        *HddmW::Make({.sides = DriftSides::kBoth}), "hddm_w");
  check(*Cusum::Make(), *Cusum::Make({.sides = DriftSides::kDown}),
        *Cusum::Make({.sides = DriftSides::kBoth}), "cusum");
  check(*PageHinkley::Make({.sides = DriftSides::kUp}),
        *PageHinkley::Make({.sides = DriftSides::kDown}), *PageHinkley::Make(), "page_hinkley");
}

/// Over all ways to put two samples of n in one order: the share with a distance of k or more.
double TailByEnumeration(int distance, int size) {
  int all = 0, far = 0;
  for (unsigned order = 0; order < (1U << (2 * size)); ++order) {
    int walk = 0, ones = 0, furthest = 0;
    for (int i = 0; i < 2 * size; ++i) {
      const bool first = (order >> i & 1U) != 0;
      ones += first ? 1 : 0;
      walk += first ? 1 : -1;
      furthest = std::max(furthest, std::abs(walk));
    }
    if (ones != size) continue;
    ++all;
    far += furthest >= distance ? 1 : 0;
  }
  return static_cast<double>(far) / all;
}

TEST(EqualSizesKolmogorovSmirnovTailTest, AgreesWithEnumerationAndScipy) {
  for (int size = 1; size <= 8; ++size) {
    for (int distance = 0; distance <= size; ++distance) {
      EXPECT_NEAR(EqualSizesKolmogorovSmirnovTail(static_cast<std::uint64_t>(distance),
                                                  static_cast<std::uint64_t>(size)),
                  TailByEnumeration(distance, size), 1e-12);
    }
  }
  // scipy.stats.ks_2samp(method="exact") of two samples of 30.
  EXPECT_NEAR(EqualSizesKolmogorovSmirnovTail(10, 30), 0.07088798787114439, 1e-12);
  EXPECT_NEAR(EqualSizesKolmogorovSmirnovTail(14, 30), 0.0025300622362698397, 1e-14);
  EXPECT_EQ(EqualSizesKolmogorovSmirnovTail(31, 30), 0);
}

TEST(KswinTest, SeesAChangeOfSpreadThatLeavesTheMean) {
  auto kswin = *Kswin::Make({.alpha = 1e-4, .window = 300, .recent = 100});
  Random random(4);
  std::vector<double> values(2'000);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = random.Normal() * (i < 1'000 ? 1 : 5);
  }

  const auto drifts = Drifts(kswin, values);

  ASSERT_FALSE(drifts.empty());
  EXPECT_GE(drifts.front().index, 1'000U);
  EXPECT_LE(drifts.front().index, 1'100U);
}

TEST(KswinTest, TheWindowOfTwiceTheNewestIsTestedWhole) {
  // Nothing is left to chance then: the newest 20 are all above the 20 before them.
  auto kswin = *Kswin::Make({.alpha = 0.001, .window = 40, .recent = 20, .seed = 9});
  StreamState state = StreamState::kStable;
  for (int i = 0; i < 40; ++i) state = *kswin.Update(i);

  EXPECT_EQ(state, StreamState::kDrift);
  EXPECT_NEAR(kswin.p_value(), 1.450889e-11, 1e-16);  // 2 / C(40, 20).
}

TEST(EwmaChartTest, RaisesAboutOneFalseAlarmInFourHundredValuesAsPublished) {
  // Alarms in 400,000 values with a rate of 0.1 to 0.4, within a third of the published mean.
  for (const double rate : {0.1, 0.2, 0.3, 0.4}) {
    auto chart = *EwmaChart::Make();
    Random random(11);
    int alarms = 0;
    for (int i = 0; i < 400'000; ++i) {
      alarms += *chart.Update(random.Uniform() < rate ? 1 : 0) == StreamState::kDrift ? 1 : 0;
    }
    EXPECT_NEAR(alarms, 1'000, 333) << rate;
  }
}

struct Change {
  const char* name;
  DetectorKind kind;
  double rate;
  double rate_after;
  double false_alarms;  // Published, a mean of 100 seeds, like
  double delay;
};

class ErrorStreamTest : public testing::TestWithParam<Change> {};

/// 100 seeds here against 100 seeds of the published figures: the difference of the two means has
/// sqrt(2) standard errors, and three of these are allowed.
TEST_P(ErrorStreamTest, RepeatsThePublishedFalseAlarmsAndDelay) {
  constexpr int kSeeds = 100;
  const Change& change = GetParam();
  std::vector<double> alarms, delays;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    auto detector = MakeDetector(change.kind);
    const auto values = Errors(1'000 + seed, 10'000, change.rate, change.rate_after);
    double before = 0;
    double delay = 5'000;  // Not seen to the end.
    for (const StreamEvent& drift : Drifts(*detector, values)) {
      if (drift.index < 5'000) {
        ++before;
      } else {
        delay = std::min(delay, static_cast<double>(drift.index) - 5'000);
      }
    }
    alarms.push_back(before);
    delays.push_back(delay);
  }
  const auto check = [](const std::vector<double>& found, double published, const char* what) {
    double mean = 0, variance = 0;
    for (const double x : found) mean += x / kSeeds;
    for (const double x : found) variance += (x - mean) * (x - mean) / (kSeeds - 1);
    EXPECT_NEAR(mean, published, 3 * std::sqrt(2 * variance / kSeeds)) << what;
    RecordProperty(what, std::to_string(mean));
  };
  check(alarms, change.false_alarms, "false_alarms_per_5000");
  check(delays, change.delay, "mean_delay");
}

INSTANTIATE_TEST_SUITE_P(
    Published, ErrorStreamTest,
    testing::Values(Change{"adwin_20_40", DetectorKind::kAdwin, .2, .4, 0, 159},
                    Change{"adwin_10_20", DetectorKind::kAdwin, .1, .2, 0, 308},
                    Change{"adwin_05_10", DetectorKind::kAdwin, .05, .1, 0, 641},
                    Change{"ddm_20_40", DetectorKind::kDdm, .2, .4, .42, 1'066},
                    Change{"eddm_20_40", DetectorKind::kEddm, .2, .4, 14, 234},
                    Change{"page_hinkley_20_40", DetectorKind::kPageHinkley, .2, .4, .06, 205}),
    [](const auto& change) { return std::string(change.param.name); });

}  // namespace
}  // namespace tidewheel::stats
