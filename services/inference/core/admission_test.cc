#include "tidewheel/inference/core/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "tidewheel/base/random.h"

namespace tidewheel::inference {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using ::testing::HasSubstr;

constexpr std::size_t kMostRows = 16;

/// What a call of the model in the simulation takes: 1 ms and 0.1 ms a row.
nanoseconds Takes(std::size_t rows) {
  return microseconds{1'000} + static_cast<std::int64_t>(rows) * microseconds{100};
}

struct Report {
  std::vector<double> waits_ms;
  std::size_t refused = 0;
  std::size_t late = 0;  // Accepted, and yet answered after the deadline or not at all.
  std::size_t rows = 0;
  double seconds = 0;
};

/// One instance in virtual time under Poisson arrivals of single rows: no thread, no clock.
Report Simulate(double rate, nanoseconds budget, std::optional<nanoseconds> deadline,
                std::size_t requests) {
  Random random(7);
  BatchQueue queue({}, {.most_rows = kMostRows, .most_requests = 1'000'000});
  CostModel cost;
  cost.Add(1, Takes(1));
  Report report;
  SteadyTime now{std::chrono::hours{1}};
  const SteadyTime start = now;
  SteadyTime next_arrival = now;
  SteadyTime busy_until = now;
  std::size_t running = 0;
  std::vector<std::unique_ptr<QueuedRequest>> batch;
  std::vector<RefusedRequest> refused;
  std::size_t arrived = 0;
  while (arrived < requests) {
    if (running > 0 && busy_until <= next_arrival) {
      now = busy_until;
      for (const auto& done : batch) report.late += done->deadline < now ? 1 : 0;
      report.rows += running;
      batch.clear();
      running = 0;
    } else {
      now = next_arrival;
      next_arrival +=
          nanoseconds{static_cast<std::int64_t>(-std::log1p(-random.Uniform()) / rate * 1e9)};
      ++arrived;
      auto request = std::make_unique<QueuedRequest>();
      if (deadline) request->deadline = now + *deadline;
      const Backlog backlog{.rows = queue.RowsBefore(0),
                            .running = running > 0 ? busy_until - now : nanoseconds{0},
                            .most_rows = kMostRows,
                            .idle = running == 0 && queue.size() == 0};
      const Urgency urgency{.deadline = request->deadline, .budget = budget};
      if (!CheckInTime("m", backlog, cost, urgency, now)) {
        ++report.refused;
      } else {
        EXPECT_TRUE(queue.Add(request, now, refused).ok());
      }
    }
    if (running > 0) continue;
    if (queue.Next(now, cost.Of(kMostRows), batch, refused).kind !=
        BatchQueue::Turn::Kind::kBatch) {
      continue;
    }
    running = batch.size();
    for (const auto& request : batch) {
      report.waits_ms.push_back(
          std::chrono::duration<double, std::milli>(now - request->queued).count());
    }
    busy_until = now + Takes(running);
    cost.Add(running, Takes(running));
  }
  report.late += refused.size();
  report.seconds = std::chrono::duration<double>(now - start).count();
  return report;
}

double Quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

const double kCapacity = kMostRows / std::chrono::duration<double>(Takes(kMostRows)).count();

TEST(AdmissionTest, AtThreeTimesCapacityTheAcceptedKeepTheirWaitAndTheModelIsBusy) {
  const Report report = Simulate(3 * kCapacity, milliseconds{8}, std::nullopt, 60'000);

  // A request waits for those before it and for the call that it just missed.
  const double call_ms = std::chrono::duration<double, std::milli>(Takes(kMostRows)).count();
  EXPECT_LE(Quantile(report.waits_ms, 1), 8 + call_ms);
  EXPECT_NEAR(static_cast<double>(report.refused) / 60'000, 2.0 / 3, 0.03);
  EXPECT_GT(static_cast<double>(report.rows) / report.seconds, 0.97 * kCapacity);
}

TEST(AdmissionTest, TheAcceptedWaitNoLongerAtThreeTimesCapacityThanTwiceAsLongAsAtCapacity) {
  const Report at = Simulate(kCapacity, milliseconds{8}, std::nullopt, 60'000);
  const Report over = Simulate(3 * kCapacity, milliseconds{8}, std::nullopt, 60'000);

  EXPECT_LE(Quantile(over.waits_ms, 0.99), 2 * Quantile(at.waits_ms, 0.99));
}

TEST(AdmissionTest, WithDeadlinesTheAcceptedAreInTimeAndTheRestIsToldAtOnce) {
  const Report report = Simulate(3 * kCapacity, nanoseconds{0}, milliseconds{12}, 60'000);

  const auto accepted = static_cast<double>(report.waits_ms.size());
  EXPECT_LE(static_cast<double>(report.late), 0.02 * accepted);
  EXPECT_GT(static_cast<double>(report.rows) / report.seconds, 0.95 * kCapacity);
}

TEST(AdmissionTest, BelowCapacityNobodyIsRefused) {
  EXPECT_EQ(Simulate(0.6 * kCapacity, milliseconds{20}, milliseconds{30}, 60'000).refused, 0U);
}

TEST(AdmissionTest, WithNothingBeforeItARequestIsLetInWhateverItsCost) {
  CostModel cost;
  cost.Add(1, std::chrono::seconds{1});
  const SteadyTime now{std::chrono::hours{1}};
  const Urgency urgency{.deadline = now + milliseconds{1}};
  EXPECT_TRUE(CheckInTime("m", {.idle = true}, cost, urgency, now).ok());
  const auto refused = CheckInTime("m", {.rows = 3}, cost, urgency, now);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(refused.error().message,
              HasSubstr("model \"m\": 3 rows wait, about 3000 ms; the deadline is in 1 ms"));

  // The next in turn by the budget, but not by its deadline.
  const Backlog running{.running = std::chrono::seconds{1}};
  EXPECT_TRUE(CheckInTime("m", running, cost, {.budget = milliseconds{20}}, now).ok());
  EXPECT_FALSE(CheckInTime("m", running, cost, urgency, now).ok());
  EXPECT_FALSE(CheckInTime("m", {.rows = 1}, cost, {.budget = milliseconds{20}}, now).ok());
}

}  // namespace
}  // namespace tidewheel::inference
