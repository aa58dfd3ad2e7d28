#include "tidewheel/monitoring/storage/postgres_window_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

#include "tidewheel/base/random.h"
#include "tidewheel/monitoring/storage/testing/storage_test.h"
#include "tidewheel/testing/eventually.h"

namespace tidewheel::monitoring {
namespace {

using std::chrono::seconds;

/// Everything that came of some traffic, digit for digit.
std::string Digest(PostgresMonitoringStore& store) {
  std::ostringstream text;
  text.precision(17);
  const auto tally = [&text](const Tally& sums) {
    text << sums.predictions << ' ' << sums.confidence_sum << ' ' << sums.outcomes << ' '
         << sums.correct;
    for (const auto& [name, count] : sums.by_class) text << ' ' << name << '=' << count;
    text << '\n';
  };
  const auto summaries = store.ListSummaries("", {});
  for (const auto& summary : summaries->items) {
    text << summary.model.model_version_id << ' ' << FormatUtc(summary.last_at) << ' ';
    tally(summary.tally);
    auto slices = store.ListSlices(summary.model).value();
    slices.emplace_back();
    for (const auto& slice : slices) {
      for (const std::string kind : {"count", "time"}) {
        const auto windows = store.ListWindows({summary.model, slice, kind}, {1'000, ""});
        for (const auto& window : windows->items) {
          if (!window.closed) continue;
          text << slice << ' ' << kind << ' ' << window.number << ' ' << FormatUtc(window.first_at)
               << ' ' << FormatUtc(window.last_at) << ' ';
          tally(window.tally);
          const auto rows = store.ReadWindow({summary.model, slice, kind, window.number});
          for (const auto& row : rows->rows) {
            text << row.request_id << '#' << row.index << ' ' << row.outcome.value_or(99) << ' ';
            for (const double feature : row.features) text << feature << ' ';
          }
          text << '\n';
        }
      }
    }
  }
  return text.str();
}

struct Traffic {
  std::vector<Prediction> predictions;
  std::vector<Outcome> outcomes;
};

class PostgresWindowStoreTest : public StorageTest {
 protected:
  Traffic MadeUpTraffic(std::uint64_t seed, int requests) const {
    Random random(seed);
    Traffic traffic;
    const char* const classes[] = {"red", "yellow", "green"};
    for (int i = 0; i < requests; ++i) {
      Prediction prediction = Answer(i, static_cast<std::uint32_t>(random.Below(3)));
      // Many at the same moment: then request ids decide.
      prediction.predicted_at =
          At(static_cast<int>(random.Below(static_cast<std::uint64_t>(requests) / 3)));
      prediction.confidence = static_cast<double>(static_cast<float>(random.Uniform()));
      prediction.measures = {{"sharpness", random.Normal()}, {"luminance", random.Uniform()}};
      if (random.Below(3) > 0) {
        prediction.slices = {"camera=" + std::to_string(random.Below(3))};
      }
      if (random.Below(4) == 0) prediction.model.model_version_id = "model-2";
      traffic.predictions.push_back(prediction);
      for (std::uint64_t k = random.Below(3); k > 0; --k) {
        traffic.outcomes.push_back(Truth(i, classes[random.Below(3)], "source-" + std::to_string(k),
                                         static_cast<int>(random.Below(20))));
      }
    }
    return traffic;
  }

  template <typename Item>
  static void Shuffle(std::vector<Item>* items, Random* random) {
    for (std::size_t i = items->size(); i > 1; --i) {
      std::swap((*items)[i - 1], (*items)[random->Below(i)]);
    }
  }

  /// What the traffic comes to when it is sent once, in order and at once.
  std::string InOrder(Traffic traffic) {
    std::sort(traffic.predictions.begin(), traffic.predictions.end(),
              [](const Prediction& a, const Prediction& b) {
                return std::tie(a.predicted_at, a.request_id) <
                       std::tie(b.predicted_at, b.request_id);
              });
    EXPECT_TRUE(store().AddPredictions(traffic.predictions, policies_).ok());
    EXPECT_TRUE(store().AddOutcomes(traffic.outcomes).ok());
    copy_->CutAll();
    const std::string digest = Digest(store());
    const auto wiped = pool_->InTransaction([](pqxx::work& tx) -> Result<void> {
      for (const char* table :
           {"windows", "model_tallies", "streams", "models", "predictions", "slice_predictions",
            "failures", "outcomes", "joined_outcomes", "task_clocks"}) {
        tx.exec0(std::string("DELETE FROM ") + table);
      }
      return {};
    });
    EXPECT_TRUE(wiped.ok()) << wiped.error().message;
    copy_ = std::make_unique<StorageCopy>(*pool_);
    return digest;
  }
};

TEST_F(PostgresWindowStoreTest, WindowsAreRunsInTheOrderOfEventTime) {
  std::vector<Prediction> predictions;
  for (int i = 24; i >= 0; --i) predictions.push_back(Answer(i, i % 5 == 0 ? 1 : 0));
  Add(predictions, 25);
  copy_->CutAll();
  const auto windows = Windows();
  ASSERT_EQ(windows.size(), 3U);
  EXPECT_EQ(windows[0].number, 3U);
  EXPECT_FALSE(windows[0].closed);
  EXPECT_EQ(windows[0].tally.predictions, 5U);
  EXPECT_TRUE(windows[1].closed);
  EXPECT_EQ(windows[1].number, 2U);
  EXPECT_EQ(windows[1].first_at, At(10));
  EXPECT_EQ(windows[1].last_at, At(19));
  EXPECT_EQ(windows[1].tally.by_class.at("yellow"), 2U);
  EXPECT_DOUBLE_EQ(windows[1].tally.MeanConfidence(), 0.5);
}

TEST_F(PostgresWindowStoreTest, AWindowWaitsForLateEventsOfItsTask) {
  policies_["lights"].lateness_seconds = 1'000'000;  // Nobody waits so long in this test.
  std::vector<Prediction> predictions;
  for (int i = 0; i < 20; ++i) predictions.push_back(Answer(i));
  Add(predictions, 20);
  copy_->CutAll();
  ASSERT_EQ(Windows().size(), 1U);
  EXPECT_FALSE(Windows()[0].closed);
  EXPECT_EQ(Windows()[0].tally.predictions, 10U);  // What it would be if nothing else came.
  Add({Answer(1'000'011)}, 1);
  copy_->CutAll();
  const auto windows = Windows();
  ASSERT_GE(windows.size(), 1U);
  EXPECT_TRUE(windows.back().closed);
  EXPECT_EQ(windows.back().number, 1U);
  EXPECT_EQ(std::count_if(windows.begin(), windows.end(),
                          [](const Window& window) { return window.closed; }),
            1);
}

TEST_F(PostgresWindowStoreTest, WhatNothingFollowsIsNotWaitedForLongerThanTheLateness) {
  policies_["lights"].lateness_seconds = 0.3;
  std::vector<Prediction> predictions;
  for (int i = 0; i < 10; ++i) predictions.push_back(Answer(i));
  Add(predictions, 10);
  EXPECT_TRUE(tidewheel::testing::Eventually(seconds(30), [this] {
    copy_->CutAll();
    return Windows().front().closed;
  }));
}

TEST_F(PostgresWindowStoreTest, ALateRowChangesItsWindowAndThoseBehindIt) {
  std::vector<Prediction> predictions;
  for (int i = 0; i < 30; ++i) predictions.push_back(Answer(i));
  Add(predictions, 30);
  copy_->CutAll();
  std::map<std::uint64_t, std::uint64_t> told;
  const WindowStore::Teller teller{
      .window = [&](const WindowRows& window) -> Result<void> {
        told[window.number] = window.rows.size();
        return {};
      },
      .outcomes = [](const WindowRows& /*rows*/, std::uint64_t /*first*/) -> Result<void> {
        return {};
      }};
  while (*windows().Tell(teller) > 0) {
  }
  EXPECT_EQ(told.size(), 3U);
  WindowNote note;
  note.estimated_accuracy = 0.5;
  ASSERT_TRUE(store().NoteWindow({kModel, "", "count", 1}, note).ok());
  ASSERT_TRUE(store().NoteWindow({kModel, "", "count", 2}, note).ok());

  told.clear();
  Prediction late = Answer(15);
  late.request_id = "late";
  Add({late}, 1);
  copy_->CutAll();
  while (*windows().Tell(teller) > 0) {
  }
  EXPECT_THAT(told, ::testing::ElementsAre(::testing::Pair(2U, 10U), ::testing::Pair(3U, 10U)));
  auto windows = Windows();
  std::reverse(windows.begin(), windows.end());
  EXPECT_EQ(windows[1].last_at, At(18));
  EXPECT_TRUE(windows[0].estimated_accuracy.has_value());
  EXPECT_FALSE(windows[1].estimated_accuracy.has_value());
}

TEST_F(PostgresWindowStoreTest, WindowsByTimeCoverWholeIntervals) {
  policies_["lights"].window_seconds = 10;
  std::vector<Prediction> predictions;
  for (int i = 0; i < 35; ++i) predictions.push_back(Answer(i));
  Add(predictions, 35);
  copy_->CutAll();
  auto windows = Windows("", "time");
  std::reverse(windows.begin(), windows.end());
  ASSERT_EQ(windows.size(), 4U);
  EXPECT_EQ(windows[0].number, 170'000'000U);
  EXPECT_EQ(windows[0].tally.predictions, 10U);
  EXPECT_EQ(windows[3].tally.predictions, 5U);
  Prediction late = Answer(12);
  late.request_id = "late";
  Add({late}, 1);
  copy_->CutAll();
  windows = Windows("", "time");
  EXPECT_EQ(windows[2].tally.predictions, 11U);
  EXPECT_EQ(windows[1].tally.predictions, 10U);
  EXPECT_EQ(store().ReadWindow({kModel, "", "time", windows[2].number})->rows.size(), 11U);
}

TEST_F(PostgresWindowStoreTest, ShuffledDoubledAndDelayedEventsGiveTheSameDigitForDigit) {
  policies_["lights"].window_predictions = 16;
  policies_["lights"].window_seconds = 7;
  for (const std::uint64_t seed : {1, 2, 3}) {
    Traffic traffic = MadeUpTraffic(seed, 300);
    const std::string expected = InOrder(traffic);
    EXPECT_GT(expected.size(), 10'000U);

    Random random(seed);
    const auto predictions = traffic.predictions;
    traffic.predictions.insert(traffic.predictions.end(), predictions.begin(), predictions.end());
    const auto outcomes = traffic.outcomes;
    traffic.outcomes.insert(traffic.outcomes.end(), outcomes.begin(), outcomes.end());
    Shuffle(&traffic.predictions, &random);
    Shuffle(&traffic.outcomes, &random);
    // Two copies of the service, each with half of the events and both cutting all the while.
    const auto run = [&](std::size_t half) {
      const auto pool = NewPool();
      StorageCopy copy(*pool);
      std::vector<Prediction> some;
      std::vector<Outcome> others;
      const std::size_t steps = 20;
      for (std::size_t step = half; step < steps; step += 2) {
        some.clear();
        others.clear();
        for (std::size_t i = step; i < traffic.predictions.size(); i += steps) {
          some.push_back(traffic.predictions[i]);
        }
        for (std::size_t i = step; i < traffic.outcomes.size(); i += steps) {
          others.push_back(traffic.outcomes[i]);
        }
        const auto stored = copy.store.AddPredictions(some, policies_);
        EXPECT_TRUE(stored.ok()) << stored.error().message;
        const auto observed = copy.store.AddOutcomes(others);
        EXPECT_TRUE(observed.ok()) << observed.error().message;
        EXPECT_TRUE(copy.windows.Cut().ok());
        EXPECT_TRUE(copy.windows.NumberOutcomes().ok());
      }
    };
    {
      std::jthread other(run, 0);
      run(1);
    }
    copy_->CutAll();
    EXPECT_EQ(Digest(store()), expected) << "seed " << seed;
    InOrder({});
  }
}

TEST_F(PostgresWindowStoreTest, ACopyThatDiesBetweenTransactionsLosesAndRepeatsNothing) {
  policies_["lights"].window_predictions = 16;
  const Traffic traffic = MadeUpTraffic(5, 200);
  const std::string expected = InOrder(traffic);

  Random random(9);
  std::map<WindowKey, std::uint64_t> judged;
  std::map<std::string, std::vector<std::string>> heard;  // Outcomes by model, by their number.
  const auto teller = [&](StorageCopy& copy) {
    return copy.windows.Tell(
        {.window = [&](const WindowRows& window) -> Result<void> {
           if (random.Below(3) == 0) return Error{ErrorCode::kUnavailable, "killed before"};
           judged[window.key()] = window.fingerprint;
           if (random.Below(3) == 0) return Error{ErrorCode::kUnavailable, "killed behind"};
           return {};
         },
         .outcomes = [&](const WindowRows& rows, std::uint64_t first) -> Result<void> {
           auto& known = heard[rows.model.model_version_id];
           EXPECT_LE(first, known.size());
           for (std::size_t i = 0; i < rows.rows.size(); ++i) {
             const std::string& request = rows.rows[i].request_id;
             if (first + i < known.size()) {
               EXPECT_EQ(known[first + i], request);
             } else {
               known.push_back(request);
             }
           }
           if (random.Below(2) == 0) return Error{ErrorCode::kUnavailable, "killed behind"};
           return {};
         }});
  };
  for (std::size_t i = 0; i < traffic.predictions.size(); i += 25) {
    // Each step by a copy that has just started, and each delivery twice.
    for (int repeat = 0; repeat < 2; ++repeat) {
      StorageCopy copy(*pool_);
      const auto some = std::span(traffic.predictions).subspan(i, 25);
      ASSERT_TRUE(copy.store.AddPredictions(some, policies_).ok());
    }
    const std::size_t each = traffic.outcomes.size() / 8;
    StorageCopy copy(*pool_);
    ASSERT_TRUE(
        copy.store.AddOutcomes(std::span(traffic.outcomes).subspan(i / 25 * each, each)).ok());
    ASSERT_TRUE(StorageCopy(*pool_).windows.Cut().ok());
    (void)teller(copy);
  }
  ASSERT_TRUE(store().AddOutcomes(traffic.outcomes).ok());
  copy_->CutAll();
  for (int idle = 0; idle < 20;) {  // Errors too count as nothing done.
    StorageCopy copy(*pool_);
    const auto told = teller(copy);
    idle = told.ok() && *told > 0 ? 0 : idle + 1;
  }

  EXPECT_EQ(Digest(store()), expected);
  std::size_t closed = 0;
  for (const std::string model : {"model-1", "model-2"}) {
    auto slices = store().ListSlices({"lights", model}).value();
    slices.emplace_back();
    for (const auto& slice : slices) {
      const auto listed = store().ListWindows({{"lights", model}, slice, "count"}, {1'000, ""});
      for (const auto& window : listed->items) {
        if (!window.closed) continue;
        ++closed;
        const WindowKey key{window.model, slice, "count", window.number};
        ASSERT_TRUE(judged.contains(key)) << key.Id();
        EXPECT_EQ(judged.at(key), store().ReadWindow(key)->fingerprint);
      }
    }
    const auto summary = store().ListSummaries("lights", {});
    for (const auto& item : summary->items) {
      if (item.model.model_version_id != model) continue;
      EXPECT_EQ(heard[model].size(), item.tally.outcomes);
    }
  }
  EXPECT_EQ(closed, judged.size());
}

TEST_F(PostgresWindowStoreTest, OutcomesAreToldInTheOrderTheyWereObserved) {
  std::vector<Prediction> predictions;
  std::vector<Outcome> outcomes;
  for (int i = 0; i < 40; ++i) {
    predictions.push_back(Answer(i));
    outcomes.push_back(Truth(i, "red", "person", 500 - 2 * i));  // The last observed first.
  }
  Add(predictions, 40);
  ASSERT_TRUE(store().AddOutcomes(outcomes).ok());
  copy_->CutAll();
  std::vector<std::string> heard;
  std::uint64_t expected_first = 0;
  std::size_t told = 1;
  while (told > 0) {
    const auto done = windows().Tell(
        {.window = [](const WindowRows& /*window*/) -> Result<void> { return {}; },
         .outcomes = [&](const WindowRows& rows, std::uint64_t first) -> Result<void> {
           EXPECT_EQ(first, expected_first);
           expected_first += rows.rows.size();
           for (const auto& row : rows.rows) {
             heard.push_back(row.request_id);
             EXPECT_EQ(row.outcome, 0U);
           }
           return {};
         }});
    ASSERT_TRUE(done.ok()) << done.error().message;
    told = *done;
  }
  ASSERT_EQ(heard.size(), 40U);
  EXPECT_EQ(heard.front(), "r-39");
  EXPECT_EQ(heard.back(), "r-0");
}

TEST_F(PostgresWindowStoreTest, AWindowComesWithTheOneBeforeAlsoAfterARestart) {
  std::vector<Prediction> predictions;
  for (int i = 0; i < 40; ++i) predictions.push_back(Answer(i));
  Add(predictions, 40);
  copy_->CutAll();
  std::vector<std::string> told;
  const auto tell = [&](PostgresWindowStore& store, bool fail) {
    return store.Tell(
        {.window = [&](WindowRows window) -> Result<void> {
           std::string before = "none";
           if (window.before != nullptr) {
             before = std::to_string(window.before->number) + " of " +
                      std::to_string(window.before->rows.size());
             EXPECT_EQ(window.before->rows.back().index, 0U);
             EXPECT_LT(window.before->last_at, window.first_at);
           }
           if (fail) return Error{ErrorCode::kUnavailable, "not now"};
           told.push_back(std::to_string(window.number) + " after " + before);
           return {};
         },
         .outcomes = [](const WindowRows&, std::uint64_t) -> Result<void> { return {}; }});
  };

  ASSERT_TRUE(tell(windows(), false).ok());
  ASSERT_TRUE(tell(windows(), false).ok());
  EXPECT_FALSE(tell(windows(), true).ok());
  StorageCopy again(*pool_);
  ASSERT_TRUE(tell(again.windows, false).ok());
  ASSERT_TRUE(tell(again.windows, false).ok());

  EXPECT_THAT(told, ::testing::ElementsAre("1 after none", "2 after 1 of 10", "3 after 2 of 10",
                                           "4 after 3 of 10"));
}

TEST_F(PostgresWindowStoreTest, OfOneModelOnlyOneIsToldAtATime) {
  std::vector<Prediction> predictions;
  for (int i = 0; i < 200; ++i) predictions.push_back(Answer(i));
  Add(predictions, 200);
  copy_->CutAll();
  std::atomic<int> inside = 0;
  std::mutex mutex;  // Guards numbers.
  std::vector<std::uint64_t> numbers;
  const auto run = [&] {
    const auto pool = NewPool();
    StorageCopy copy(*pool);
    for (int idle = 0; idle < 50;) {
      const auto told = copy.windows.Tell(
          {.window = [&](const WindowRows& window) -> Result<void> {
             EXPECT_EQ(++inside, 1);
             {
               const std::lock_guard lock(mutex);
               numbers.push_back(window.number);
             }
             --inside;
             return {};
           },
           .outcomes = [](const WindowRows& /*rows*/, std::uint64_t /*first*/) -> Result<void> {
             return {};
           }});
      EXPECT_TRUE(told.ok());
      idle = told.ok() && *told > 0 ? 0 : idle + 1;
    }
  };
  {
    std::jthread other(run);
    run();
  }
  EXPECT_EQ(numbers.size(), 20U);
  EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
}

}  // namespace
}  // namespace tidewheel::monitoring
