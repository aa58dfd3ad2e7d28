#include "tidewheel/monitoring/domain/comparison.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <vector>

#include "tidewheel/base/ids.h"
#include "tidewheel/stats/sequential_test.h"

namespace tidewheel::monitoring {
namespace {

constexpr std::size_t kMostName = 200;  // Bytes.

std::string Share(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3g", value);
  return text.data();
}

/// Of a rate, at all looks at once; 0 to 1 without trials.
stats::Interval RateInterval(std::uint64_t hits, std::uint64_t trials, double alpha) {
  if (trials == 0) return {0, 1};
  stats::SequentialOptions options;
  options.alpha = alpha;
  auto test = stats::SequentialMeanTest::Make({0, 1}, options);
  if (!test) return {0, 1};
  const std::array<std::uint64_t, 2> times = {trials - hits, hits};
  test->Add(times);
  const auto look = test->Look();
  return {std::max(0.0, look.interval.low), std::min(1.0, look.interval.high)};
}

/// Of a mean of logarithms.
stats::Interval LogInterval(const LogSums& sums, double alpha) {
  const double n = static_cast<double>(sums.count);
  const double mean = sums.logs / n;
  const double variance = std::max(sums.squares / n - mean * mean, 1e-6) * n / (n - 1);
  // The mixture is tightest at about this many.
  constexpr double kTightestAt = 200;
  const double l = -2 * std::log(alpha);
  const double rho = (l + std::log(l) + 1) / kTightestAt;
  const double width = std::sqrt(variance * 2 * (n * rho + 1) / (n * n * rho) *
                                 std::log(std::sqrt(n * rho + 1) / alpha));
  return {mean - width, mean + width};
}

enum class Part { kWithin, kBeyond, kOpen };

/// An interval against a limit that it should stay below.
Part Against(const stats::Interval& interval, double limit) {
  if (interval.low > limit) return Part::kBeyond;
  return interval.high <= limit ? Part::kWithin : Part::kOpen;
}

stats::Interval Difference(const stats::Interval& a, const stats::Interval& b) {
  return {a.low - b.high, a.high - b.low};
}

}  // namespace

void LogSums::Add(double value) {
  const double log = std::log(std::max(value, 1e-6));
  ++count;
  sum += value;
  logs += log;
  squares += log * log;
}

Comparison JudgeComparison(const ComparisonPlan& plan, const ComparisonCounts& counts) {
  Comparison comparison;
  comparison.plan = plan;
  comparison.counts = counts;
  const ArmCounts& candidate = counts.candidate;
  const ArmCounts& baseline = counts.baseline;
  bool harmful = false;
  bool harmless = true;
  std::string beyond;
  std::string open;
  const auto take = [&](Part part, const std::string& what) {
    if (part == Part::kBeyond) {
      harmful = true;
      beyond += (beyond.empty() ? "" : "; ") + what;
    }
    if (part != Part::kWithin) harmless = false;
    if (part == Part::kOpen) open += (open.empty() ? "" : "; ") + what;
  };

  if (candidate.outcomes > 0 && baseline.outcomes > 0) {
    const double alpha = plan.alpha / 4;  // Half of alpha, for two arms.
    const auto difference = Difference(RateInterval(candidate.correct, candidate.outcomes, alpha),
                                       RateInterval(baseline.correct, baseline.outcomes, alpha));
    const auto rate = [](const ArmCounts& arm) {
      return static_cast<double>(arm.correct) / static_cast<double>(arm.outcomes);
    };
    comparison.accuracy_difference = rate(candidate) - rate(baseline);
    comparison.accuracy_low = difference.low;
    comparison.accuracy_high = difference.high;
  }
  if (plan.stage == "canary" && plan.max_accuracy_loss > 0) {
    const stats::Interval loss = {-comparison.accuracy_high, -comparison.accuracy_low};
    take(comparison.accuracy_difference ? Against(loss, plan.max_accuracy_loss) : Part::kOpen,
         comparison.accuracy_difference
             ? "accuracy differs by " + Share(*comparison.accuracy_difference) + " (" +
                   Share(comparison.accuracy_low) + " to " + Share(comparison.accuracy_high) +
                   "), a loss of " + Share(plan.max_accuracy_loss) + " is allowed"
             : "no outcomes of both yet");
  }
  if (plan.stage == "shadow" && plan.max_disagreement > 0) {
    const auto rate = RateInterval(counts.disagreements, candidate.predictions, plan.alpha / 2);
    take(Against(rate, plan.max_disagreement),
         std::to_string(counts.disagreements) + " of " + std::to_string(candidate.predictions) +
             " answers differ (" + Share(rate.low) + " to " + Share(rate.high) + "), " +
             Share(plan.max_disagreement) + " is allowed");
  }
  if (plan.max_error_increase > 0) {
    const double alpha = plan.alpha / 8;
    const auto difference =
        Difference(RateInterval(candidate.errors, candidate.errors + candidate.requests, alpha),
                   RateInterval(baseline.errors, baseline.errors + baseline.requests, alpha));
    take(Against(difference, plan.max_error_increase),
         "failed requests: " + std::to_string(candidate.errors) + " of " +
             std::to_string(candidate.errors + candidate.requests) + " against " +
             std::to_string(baseline.errors) + " of " +
             std::to_string(baseline.errors + baseline.requests));
  }
  if (plan.max_latency_ratio > 0) {
    const double alpha = plan.alpha / 8;
    if (candidate.seconds.count < kLeastLatencies || baseline.seconds.count < kLeastLatencies) {
      take(Part::kOpen, "fewer than " + std::to_string(kLeastLatencies) + " latencies of each");
    } else {
      const auto ratio =
          Difference(LogInterval(candidate.seconds, alpha), LogInterval(baseline.seconds, alpha));
      take(Against(ratio, std::log(plan.max_latency_ratio)),
           "latency is " + Share(std::exp(ratio.low)) + " to " + Share(std::exp(ratio.high)) +
               " times the baseline's, " + Share(plan.max_latency_ratio) + " is allowed");
    }
  }
  if (harmful) {
    comparison.verdict = "harmful";
    comparison.reason = beyond;
  } else if (harmless) {
    comparison.verdict = "harmless";
    comparison.reason = "everything looked at is surely within its limits";
  } else {
    comparison.reason = "not sure yet: " + open;
  }
  return comparison;
}

Result<void> CheckPlan(ComparisonPlan* plan) {
  const auto bad = [](std::string why) {
    return Error{ErrorCode::kInvalidArgument, "a comparison " + std::move(why)};
  };
  if (plan->alpha == 0) plan->alpha = 0.05;
  if (!IsUuid(plan->id)) return bad("has a UUID as its id");
  for (const std::string* name : {&plan->task, &plan->candidate, &plan->baseline}) {
    if (name->empty() || name->size() > kMostName || name->find('\0') != std::string::npos) {
      return bad("names a task and two model versions, of 1 to 200 bytes each");
    }
  }
  if (plan->candidate == plan->baseline) return bad("is between two model versions, not one");
  if (plan->stage != "shadow" && plan->stage != "canary") {
    return bad("has the stage shadow or canary, not " + plan->stage.substr(0, 40));
  }
  if (!(plan->alpha > 0 && plan->alpha <= 0.5)) return bad("has an alpha above 0 and at most 0.5");
  const auto share = [](double value) { return value >= 0 && value <= 1; };
  if (!share(plan->max_accuracy_loss) || !share(plan->max_error_increase) ||
      !share(plan->max_disagreement)) {
    return bad("has limits of 0 to 1");
  }
  if (!(plan->max_latency_ratio >= 0 && plan->max_latency_ratio <= 1e6)) {
    return bad("has a latency ratio of 0 to 1000000");
  }
  return {};
}

}  // namespace tidewheel::monitoring
