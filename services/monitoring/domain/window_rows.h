#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tidewheel/base/clock.h"
#include "tidewheel/base/result.h"
#include "tidewheel/monitoring/domain/monitoring_policy.h"
#include "tidewheel/monitoring/domain/prediction.h"
#include "tidewheel/monitoring/domain/profile.h"

namespace tidewheel::monitoring {

/// One stored prediction as those see it who judge.
struct ObservedRow {
  std::string request_id;
  std::uint32_t index = 0;
  Timestamp at{};  // Event time: predicted_at.
  std::uint32_t class_index = 0;
  std::vector<float> probabilities;
  /// In the order of the profile's features, NaN where missing; without a profile in that of
  /// WindowRows::features.
  std::vector<double> features;
  /// Names that came with the prediction and are not in the profile.
  std::vector<std::string> unknown_features;
  std::vector<float> embedding;
  std::vector<std::string> quality_problems;
  std::string role;                      // "production", "canary" or "shadow".
  std::vector<std::string> slices;       // "key=value".
  std::optional<std::uint32_t> outcome;  // Class index; absent while unknown, or no class of ours.
  std::optional<Timestamp> outcome_at;
  double seconds = 0;
  std::string payload_sha256;
};

/// A window's name.
struct WindowKey {
  ModelKey model;
  std::string slice;         // Empty: all traffic; else "key=value".
  std::string kind;          // "count" or "time".
  std::uint64_t number = 0;  // From 1. By count: consecutive. By time: event time / length.

  /// "<model>/<number>" of all traffic by count; "<model>/<kind>/<slice>/<number>" otherwise.
  std::string Id() const;

  friend auto operator<=>(const WindowKey&, const WindowKey&) = default;
};

/// A closed window with its rows in event order: by time, then request id, then index.
struct WindowRows {
  ModelKey model;
  std::string slice;
  std::string kind;
  std::uint64_t number = 0;
  Timestamp first_at{};
  Timestamp last_at{};
  /// Of which rows it is made; another one with the same key means that a late row has changed it.
  std::uint64_t fingerprint = 0;
  std::vector<std::string> classes;   // Names by class index.
  std::vector<std::string> features;  // Names of ObservedRow::features.
  std::vector<ObservedRow> rows;
  /// The closed window before, of all traffic by count; null: it is not known any more.
  std::shared_ptr<const WindowRows> before;

  WindowKey key() const { return {model, slice, kind, number}; }
};

/// Is told of windows and outcomes. Of one model nobody tells it two things at a time, whatever
/// copies of the service run. What is answered with an error is told again.
class WindowListener {
 public:
  virtual ~WindowListener() = default;

  /// At least once for each closed window, of one model in the order of `last_at`. A repeat with
  /// the same fingerprint must change nothing; one with another replaces what was concluded from
  /// the earlier. `profile` is null for a package without one.
  virtual Result<void> OnWindow(const WindowRows& window, const Profile* profile,
                                const MonitoringPolicy& policy) = 0;

  /// Rows that got their outcome, each with `outcome` set if it is one of `classes`; in the order
  /// they were joined, which is that of `outcome_at` as far as the lateness allows. `first_number`
  /// is the number of rows[0] in the model's own count of joined outcomes from 0: what was told
  /// before comes again with the same numbers and must change nothing.
  virtual Result<void> OnOutcomes(const ModelKey& model, const std::vector<std::string>& classes,
                                  std::span<const ObservedRow> rows, std::uint64_t first_number,
                                  const Profile* profile, const MonitoringPolicy& policy) = 0;
};

/// What judgement has to add to a stored window.
struct WindowNote {
  std::optional<double> estimated_accuracy;
  double estimated_low = 0;
  double estimated_high = 0;
  /// Of the largest finding of each kind, as a share of its threshold.
  std::map<std::string, double> drift;
};

/// When a task's events last came: silence is measured from here.
struct TaskActivity {
  std::string task;
  Timestamp newest_at{};   // Event time of the newest prediction.
  Timestamp arrived_at{};  // When the last new one was stored.
};

}  // namespace tidewheel::monitoring
