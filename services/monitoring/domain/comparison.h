#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/monitoring_store.h"

namespace tidewheel::monitoring {

/// A candidate beside the baseline while both get traffic. A limit of 0 is not looked at.
struct ComparisonPlan {
  std::string id;  // A UUID, made by the caller.
  std::string task;
  std::string candidate;  // Model version.
  std::string baseline;
  std::string stage;    // "shadow" or "canary".
  double alpha = 0.05;  // Chance of any wrong verdict over the whole run.
  double max_accuracy_loss = 0.02;
  double max_error_increase = 0.01;
  double max_latency_ratio = 3;
  double max_disagreement = 0.5;  // Of shadows.
  Timestamp started_at{};
};

/// Sums over numbers above 0 and their logarithms.
struct LogSums {
  std::uint64_t count = 0;
  double sum = 0;
  double logs = 0;
  double squares = 0;  // Of the logarithms.

  void Add(double value);
  double Mean() const { return count > 0 ? sum / static_cast<double>(count) : 0; }
};

struct ArmCounts {
  std::uint64_t predictions = 0;
  std::uint64_t requests = 0;  // Answered; a request may hold several predictions.
  std::uint64_t errors = 0;    // Requests that failed.
  std::uint64_t outcomes = 0;
  std::uint64_t correct = 0;
  LogSums seconds;  // Of answered requests.
};

struct ComparisonCounts {
  ArmCounts candidate;
  ArmCounts baseline;
  std::uint64_t disagreements = 0;  // Of a shadow with what clients were answered.
};

struct Comparison {
  ComparisonPlan plan;
  ComparisonCounts counts;
  /// Candidate less baseline, with an interval that holds at all looks at once.
  std::optional<double> accuracy_difference;
  double accuracy_low = -1;
  double accuracy_high = 1;
  std::string verdict = "undecided";  // Or "harmful", "harmless".
  std::string reason;
  Timestamp updated_at{};
};

/// What the counts say, at any look. Each rate has an interval by betting that holds at all looks
/// at once (SequentialMeanTest; Waudby-Smith, Ramdas 2023), which needs nothing but counts: neither
/// the order of arrival nor the split of the traffic matters. Two arms' intervals make one of their
/// difference. Pairing the arms' outcomes as they come (stats::CanaryTest) would decide a little
/// earlier, but its verdict depends on the order in which they came, and it has a state: outcomes
/// that are late, repeated or told to another copy would have to be brought into one order first.
/// Counts read from the tables give every copy the same verdict at every look. The ratio of
/// latencies is that of geometric means, with the mixture bound of Robbins (1970) in its
/// large-sample form (Waudby-Smith et al. 2021), from kLeastLatencies requests on. Half of alpha is
/// for accuracy (of shadows: disagreement), a quarter each for errors and latency. "harmful": one
/// of them is surely beyond its limit. "harmless": all of those looked at are surely within. The
/// verdict is the one of this look alone.
Comparison JudgeComparison(const ComparisonPlan& plan, const ComparisonCounts& counts);
inline constexpr std::uint64_t kLeastLatencies = 30;

/// kInvalidArgument names what is out of range. An alpha of 0 becomes 0.05.
Result<void> CheckPlan(ComparisonPlan* plan);

/// Thread-safe.
class ComparisonStore {
 public:
  virtual ~ComparisonStore() = default;

  struct Stored {
    ComparisonPlan plan;
    std::string verdict;  // "undecided" until it is decided; then it stays.
    std::string reason;
    Timestamp updated_at{};
  };

  /// False: there is one with this id; nothing was changed.
  virtual Result<bool> Add(const ComparisonPlan& plan) = 0;
  virtual Result<std::optional<Stored>> FindComparison(const std::string& id) = 0;
  /// Newest first.
  virtual Result<Page<Stored>> ListComparisons(const std::string& task,
                                               const PageRequest& page) = 0;
  /// What both did since the comparison began.
  virtual Result<ComparisonCounts> Count(const ComparisonPlan& plan) = 0;
  /// The first one that decides stays.
  virtual Result<void> Decide(const std::string& id, const std::string& verdict,
                              const std::string& reason, Timestamp at) = 0;
};

}  // namespace tidewheel::monitoring
